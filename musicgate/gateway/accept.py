"""Accept a request: quota, plan, job, create call. The order of these steps is part of the contract.

Quotas come before routing, so that a caller beyond its quota learns nothing about providers. A request that
is refused after that counts as a call, and as nothing else.

A request's reservation and its slot are context managers: the block that took them releases them, unless the
create call took them over.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import LimitReachedError, ProviderError
from musicgate.gateway.candidates import create_budget_s, new_job, with_keys
from musicgate.gateway.idempotency import claim_of
from musicgate.model import Failure, FailureClass, IdempotencyClaim

if TYPE_CHECKING:
    from musicgate.engine import Call, InFlight
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.idempotency import IdempotencyKey
    from musicgate.model import JsonValue, MusicRequest
    from musicgate.planning import Candidate, Plan


@attrs.frozen(kw_only=True)
class Submission:
    """A create call as its caller made it; `musicgate.gateway.Gateway.submit` explains the fields."""

    request: MusicRequest
    account: str
    generation_id: str | None
    strict: bool
    beta_channel: bool
    explain: bool
    wait_s: float
    idempotency: IdempotencyKey | None


async def accept(
    context: GatewayContext, in_flight: InFlight, submission: Submission
) -> Call | IdempotencyClaim:
    """Make a job of a request, store it, and begin to send it.

    Returns:
        The create call, whose job is stored; or the earlier use of its key, and then nothing was counted,
        stored or sent.

    Raises:
        RequestError: the caller can fix it, or has to wait; nothing was stored or sent.
        ProviderError: no provider has a key, or too many jobs wait; nothing was stored or sent.
        StorageError: the job could not be stored, and nothing was sent; ``maybe_stored`` where even that is
            not known.
        GatewayClosedError: the gateway closes; nothing was sent.
    """
    account, key = submission.account, submission.idempotency
    job_id = context.new_id("music_")
    with ExitStack() as held:
        try:
            reservation = held.enter_context(
                await context.quota.reserve(
                    context.store, submission.request, account=account, job_id=job_id, clock=context.clock
                )
            )
        except LimitReachedError:
            # A duplicate of this call may have taken the last place: then both get the same job.
            duplicate = None if key is None else await in_flight.duplicate(account, key.route, key.key)
            if duplicate is None:
                raise
            return duplicate
        token = context.new_token()
        plan = context.planner.plan(
            submission.request,
            context.clock.steady(),
            callback_url=context.callback_url(job_id, token),
            strict=submission.strict,
            beta_channel=submission.beta_channel,
        )
        candidates = _with_room(context, with_keys(plan.candidates))
        for candidate in candidates:
            context.health[candidate.installed.name].note_request(context.clock.steady())
        slot = context.create_queues[candidates[0].installed.name].try_slot()
        if slot is not None:
            held.enter_context(slot)
        job = new_job(
            context,
            submission.request,
            candidates[0],
            job_id=job_id,
            token=token,
            account=account,
            generation_id=submission.generation_id or context.new_id("G-"),
            warnings=plan.warnings,
            routing=_explained(plan) if submission.explain else None,
            has_slot=slot is not None,
        )
        call = in_flight.start(
            job,
            candidates,
            claim=None if key is None else claim_of(key, job),
            reservation=reservation,
            slot=slot,
            held=held,
            budget_s=create_budget_s(candidates, submission.wait_s),
        )
    earlier = await in_flight.stored(call)
    if earlier is None:
        return call
    reservation.uncount_call()
    return earlier


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
    queues = context.create_queues
    with_room = tuple(candidate for candidate in candidates if not queues[candidate.installed.name].is_full)
    if not with_room:
        name = candidates[0].installed.name
        message = f"{queues[name].waiting} jobs wait for {name} already"
        raise ProviderError(Failure(reason=FailureClass.RATE_LIMITED, message=message))
    return with_room
