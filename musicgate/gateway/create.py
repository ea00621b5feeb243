"""From a wish that was read to a job that is being sent: let in, prepared, stored; the order of these steps is the contract's.

The account's limits come before routing, so that a caller who may not ask learns nothing by asking; nothing is counted for a wish that is
refused after that, but its call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.errors import LimitReachedError, ProviderError
from musicgate.gateway import submit
from musicgate.gateway.idempotency import claim_of
from musicgate.gateway.prepare import prepare
from musicgate.model import Failure, FailureClass, IdempotencyClaim

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.idempotency import IdempotencyKey
    from musicgate.gateway.prepare import Choice
    from musicgate.gateway.submissions import Submissions
    from musicgate.model import Job, MusicRequest


async def create(
    context: GatewayContext,
    submissions: Submissions,
    request: MusicRequest,
    *,
    account: str,
    generation_id: str | None,
    strict: bool,
    beta_channel: bool,
    wait_s: float,
    idempotency: IdempotencyKey | None,
) -> Job | IdempotencyClaim:
    """Make a job of a wish and send it; `musicgate.gateway.Gateway.submit` tells of the arguments.

    Returns:
        The job; or the earlier use of its key, and then nothing was counted, stored or sent.

    Raises:
        RequestError: the caller can mend it, or has to wait; nothing was stored or sent.
        ProviderError: nobody can be asked, for lack of a key, or because too many wishes wait; nothing was stored or sent.
        StorageError: the job could not be stored; nothing was sent.
    """
    now = context.clock.now()
    job_id, token = context.new_id("music_"), context.new_token()
    try:
        admitted = await context.admission.admit(
            context.store, request, account=account, job_id=job_id, now=now
        )
    except LimitReachedError:
        # Perhaps it was a twin of this very call that took the last place: then both hear the same.
        twin = None if idempotency is None else await submissions.twin(account, idempotency)
        if twin is None:
            raise
        return twin
    try:
        url = context.callback_url(job_id, token)
        prepared = prepare(context, request, callback_url=url, strict=strict, beta_channel=beta_channel)
        choices = _with_room(submit.with_keys(prepared.choices))
    except BaseException:
        context.admission.forget(job_id)
        raise
    for choice in choices:
        choice.live.health.note_wish(now)
    turn = choices[0].live.turns.try_enter(now)
    job = submit.new_job(
        context,
        request,
        choices[0],
        job_id=job_id,
        token=token,
        account=account,
        generation_id=generation_id or context.new_id("G-"),
        warnings=prepared.warnings,
        has_turn=turn is not None,
    )
    claim = None if idempotency is None else claim_of(idempotency, job)
    begun = await submissions.begin(job, choices, claim, wait_s, turn)
    if isinstance(begun, IdempotencyClaim):
        context.admission.take_back(admitted)
    return begun


def _with_room(choices: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """The choices at which one more wish may wait.

    Raises:
        ProviderError: there is none.
    """
    with_room = tuple(choice for choice in choices if not choice.live.turns.is_full)
    if not with_room:
        message = f"{choices[0].live.turns.waiting} wishes wait for {choices[0].live.name} already"
        raise ProviderError(Failure(reason=FailureClass.RATE_LIMITED, message=message))
    return with_room
