"""Accept a request: admission, job, create call. Admission says in which order callers learn what.

The reservation and the slot of a request are released here, unless its create call took them over.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from musicgate import jobs
from musicgate.engine import own_id, until_seen
from musicgate.errors import LimitReachedError, ProviderError
from musicgate.gateway.candidates import (
    QUEUE_DEADLINE_S,
    create_budget_s,
    job_lifetime,
    new_attempt,
    shown_request,
    with_keys,
)
from musicgate.gateway.idempotency import claim_of
from musicgate.model import Failure, FailureClass, IdempotencyClaim
from musicgate.planning import Choice

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.engine import Call, InFlight
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.idempotency import IdempotencyKey
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job, JsonValue, MusicRequest
    from musicgate.planning import Candidate, Plan

#: A replica that the others cannot see refuses after so many seconds. It is seen again a little sooner, if it
#: has merely been stopped.
_UNSEEN_S: Final = 5.0


class Submission(NamedTuple):
    """A create call as its caller made it; `musicgate.gateway.Gateway.submit` explains the fields."""

    request: MusicRequest
    account: str
    generation_id: str | None
    strict: bool
    beta_channel: bool
    explain: bool
    wait_s: float
    idempotency: IdempotencyKey | None
    key_id: str = ""

    @property
    def explains(self) -> bool:
        """True if the job is to be kept with its plan."""
        return self.explain or self.request.meta or self.request.debug.enabled


async def accept(
    context: GatewayContext, in_flight: InFlight, submission: Submission
) -> Call | IdempotencyClaim:
    """Make a job of a request, and begin to store and to send it.

    Returns:
        The create call, whose job is being stored; or an earlier use of its key, and then nothing was
        counted, stored or sent.

    Raises:
        RequestError: the caller can fix it, or has to wait; nothing was stored or sent.
        ProviderError: no provider has a key, or too many jobs wait; nothing was stored or sent.
        GatewayClosedError: the gateway closes; nothing was sent.
        StorageError: the other replicas cannot see this one; nothing was stored or sent.
    """
    await until_seen(context.shares, _UNSEEN_S)
    account, key = submission.account, submission.idempotency
    job_id = own_id(context.shares, lambda: context.new_id("music_"))
    token, steady = context.new_token(), context.clock.steady()
    try:
        admitted = await context.admission.admit(
            submission.request,
            account=account,
            job_id=job_id,
            plan=lambda: choose(context, submission, steady, context.callback_url(job_id, token)),
        )
    except LimitReachedError:
        # A duplicate of this call may have taken the last place: then both get the same job.
        duplicate = None if key is None else await _duplicate(context, in_flight, account, key)
        if duplicate is None:
            raise
        return duplicate
    reservation, slot, choice, routing = admitted
    try:
        for installed in choice.providers:
            context.health[installed.name].note_request(steady)
        has_slot = slot is not None
        job = _new_job(context, submission, choice, job_id, token, steady, routing, has_slot=has_slot)
        return in_flight.start(
            job,
            choice,
            claim=None if key is None else claim_of(key, job),
            reservation=reservation,
            slot=slot,
            budget_s=create_budget_s(choice.providers, submission.wait_s),
        )
    except BaseException:
        if slot is not None:
            slot.release()
        reservation.release()
        raise


async def _duplicate(
    context: GatewayContext, in_flight: InFlight, account: str, key: IdempotencyKey
) -> IdempotencyClaim | None:
    """The use of a key by a call that began before this one, here or at another replica."""
    duplicate = await in_flight.duplicate(account, key.route, key.key)
    if duplicate is None and context.shares.replica:
        duplicate = await context.store.find_claim(account, key.route, key.key)
    return duplicate


def _new_job(
    context: GatewayContext,
    submission: Submission,
    choice: Choice,
    job_id: str,
    token: str,
    steady: datetime,
    routing: JsonValue,
    *,
    has_slot: bool,
) -> Job:
    """A job for the first candidate: about to be sent where it has its slot, else planned."""
    candidate, request = choice.first, submission.request
    lifetime = job_lifetime(context, candidate.installed)
    if not has_slot:
        lifetime = max(lifetime, timedelta(seconds=QUEUE_DEADLINE_S / context.speed))
    return jobs.new_job(
        job_id,
        request,
        new_attempt(candidate, token, context.clock.now(), is_sent=has_slot),
        account=submission.account,
        key_id=submission.key_id,
        generation_id=submission.generation_id or context.new_id("G-"),
        callback_token=token,
        deadline_at=steady + lifetime,
        sender=context.shares.replica,
        trace="" if context.tracing is None else context.tracing.current(),
        in_progress=has_slot and candidate.installed.provider.blocking,
        warnings=choice.warnings + candidate.translation.warnings,
        native_request=shown_request(candidate, request, token),
        routing=routing,
    )


def choose(
    context: GatewayContext, submission: Submission, steady: datetime, callback_url: str | None
) -> tuple[Choice, JsonValue]:
    """The candidates of a request, and what the plan was, for a caller who asked to see it.

    Raises:
        RequestError: no provider can take the request.
        ProviderError: no provider has a key, or too many jobs wait.
    """
    planner, beta, strict = context.planner, submission.beta_channel, submission.strict
    explains = submission.explains
    if not explains:
        queues = context.create_queues
        choice = planner.choose(
            submission.request,
            steady,
            callback_url=callback_url,
            can_be_asked=lambda installed: installed.can_be_called and not queues[installed.name].is_full,
            beta_channel=beta,
            strict=strict,
        )
        if choice is not None:
            return choice, None
    plan = planner.plan(
        submission.request, steady, callback_url=callback_url, strict=strict, beta_channel=beta
    )
    candidates = _with_room(context, with_keys(plan.candidates))
    return Choice.of(candidates, plan.warnings), _explained(plan) if explains else None


def _explained(plan: Plan) -> JsonValue:
    """Which providers were considered, and why others were not, at the time of the request."""
    return {
        "candidates": [candidate.installed.name for candidate in plan.candidates],
        "excluded": [
            {"provider_plugin": excluded.plugin, "reason": excluded.reason, "message": excluded.message}
            for excluded in plan.excluded
        ],
    }


def _with_room(context: GatewayContext, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """Leave out candidates whose create queue is full.

    Raises:
        ProviderError: none is left.
    """
    with_room = tuple(candidate for candidate in candidates if _has_room(context, candidate.installed))
    if not with_room:
        name = candidates[0].installed.name
        message = f"{context.create_queues[name].waiting} jobs wait for {name} already"
        raise ProviderError(Failure(reason=FailureClass.RATE_LIMITED, message=message))
    return with_room


def _has_room(context: GatewayContext, installed: InstalledProvider) -> bool:
    return not context.create_queues[installed.name].is_full
