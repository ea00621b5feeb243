"""Store first, send second, fold third: how a wish becomes a job at a vendor without being lost or paid for twice.

The order of things is the promise. The job is durable, with its attempt written down as *sent*, before the first byte leaves. So after a
crash at any point we know that a call may have been made, and never make it again:

* *accepted*: the vendor gave an id, or the audio. The job is followed.
* *refused*: the vendor, or the network before it, plainly said that nothing was created. Only now, and only for the classes of failure
  that allow it, may the next candidate be asked; that attempt is stored as *sent* before it is sent as well.
* *unknown*: the request left us and nothing readable came back. It is never sent again and never given to another vendor. Where the vendor
  can call us back, the job stays open: a callback adopts it, else the deadline ends it. Where it cannot, the job ends at once and says that
  it may have cost money.

What an answer brought exists only in this process until it is stored; so it is tried to be stored for as long as the job lives
(`record.insist`), and the bare id of the vendor's task is stored even where the rest of its answer breaks our own code.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate import lifecycle
from musicgate.errors import AllCandidatesFailedError, ProviderError
from musicgate.gateway import attempts, record
from musicgate.gateway.cancel import tell_vendor_to_stop
from musicgate.gateway.vendor_call import call_vendor
from musicgate.hookspecs import Step
from musicgate.model import AttemptOutcome, Failure, FailureClass, Job, JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.gateway.context import GatewayContext, LiveProvider
    from musicgate.gateway.create_queue import Slot
    from musicgate.gateway.prepare import Choice
    from musicgate.model import JobUpdate, JsonValue, MusicRequest, OptionWarning

_log = logging.getLogger(__name__)
#: Seconds that a create call waits longer than its vendors' time-outs.
_MARGIN_S = 5.0
#: Seconds for which a job may wait for a slot. A full queue (10,000 jobs) at two calls a second is empty after 83 minutes.
QUEUE_DEADLINE_S = 7_200.0


@attrs.define(kw_only=True)
class Caller:
    """Whoever made a create call.

    Attributes:
        is_waiting: the answer has not been given yet.
        queued: set when the job begins to wait for a slot: from then on the caller waits only briefly.
    """

    is_waiting: bool = True
    queued: asyncio.Event = attrs.field(factory=asyncio.Event)


def with_keys(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """The choices that can be called at all.

    Raises:
        AllCandidatesFailedError: none of them has a key.
    """
    callable_choices = tuple(choice for choice in choices if choice.live.key is not None)
    if not callable_choices:
        raise AllCandidatesFailedError([(choice.live.name, _key_missing(choice.live)) for choice in choices])
    return callable_choices


def new_job(
    context: GatewayContext,
    request: MusicRequest,
    choice: Choice,
    *,
    job_id: str,
    token: str,
    account: str,
    generation_id: str,
    warnings: tuple[OptionWarning, ...],
    routing: JsonValue = None,
    has_slot: bool = True,
) -> Job:
    """A job that is about to be sent to the first choice, or waits for a slot there: a crash while it waits must not make it "unknown"."""
    now = context.clock.now()
    attempt = attempts.plan(choice, AttemptOutcome.SENT if has_slot else AttemptOutcome.PLANNED, now)
    longest = choice_deadline(context, choice.live)
    if not has_slot:
        longest = max(longest, timedelta(seconds=QUEUE_DEADLINE_S / context.speed))
    blocking = choice.live.provider.blocking and attempt.outcome is AttemptOutcome.SENT
    job = Job(
        id=job_id,
        account=account,
        generation_id=generation_id,
        request=request,
        state=JobState.IN_PROGRESS if blocking else JobState.QUEUED,
        created_at=now,
        updated_at=now,
        deadline_at=context.clock.steady() + longest,
        callback_token=token,
        warnings=warnings,
        routing=routing,
    )
    return attempts.with_attempt(job, choice, attempt)


async def run(
    context: GatewayContext,
    job: Job,
    choices: Sequence[Choice],
    *,
    caller: Caller | None = None,
    slot: Slot | None = None,
) -> Job:
    """Send a stored job to its first choice, and to the next ones as long as nothing was accepted and the class allows it.

    Args:
        job: as stored; its last attempt belongs to ``choices[0]``, or to a plugin that can no longer be asked and never was.
        choices: in the order of asking.
        caller: who waits for the answer; None = nobody. When nobody does, vendors that were only busy are asked once more later.
        slot: the slot at ``choices[0]``, where the job has it already.

    Returns:
        The job after the last call: accepted, refused for good, or unknown.

    Raises:
        GatewayClosedError: the gateway closes; the job is stored as planned.
        StorageError: the store failed until the job's time was up.
    """
    caller = Caller(is_waiting=False) if caller is None else caller
    to_ask: deque[Choice] = deque(choices)
    busy: dict[str, tuple[Choice, Failure]] = {}
    while to_ask:
        choice = to_ask.popleft()
        if choice.live.name != job.plugin or (job.attempt and job.attempt.outcome is AttemptOutcome.REFUSED):
            job = await _plan_next(context, job, choice)
            if job.state.is_final:
                break
        job = await _call(context, job, choice, caller, slot)
        slot = None
        failure = job.attempt.failure if job.attempt else None
        refused = job.attempt is not None and job.attempt.outcome is AttemptOutcome.REFUSED
        if job.state.is_final or not refused or failure is None:
            break
        busy[choice.live.name] = (choice, failure)
        if to_ask and job.request.routing.allow_fallbacks and failure.rule.try_next:
            _log.info(
                "job %s: %s refused (%s); trying the next provider", job.id, choice.live.name, failure.reason
            )
            continue
        job, again = await _ask_again_or_fail(context, job, failure, busy, caller)
        to_ask = deque(again)
    return job


def patience_s(choices: Sequence[Choice], wait_s: float) -> float:
    """How long a create call waits for its own end: briefly where a call lasts as long as a song, else for every time-out on the way."""
    if any(choice.live.provider.blocking for choice in choices):
        return wait_s
    return _MARGIN_S + sum(
        choice.live.provider.timeouts.connect_s + choice.live.provider.timeouts.create_s for choice in choices
    )


def choice_deadline(context: GatewayContext, live: LiveProvider) -> timedelta:
    """How long an open job is waited for."""
    return timedelta(seconds=context.settings.follow.deadline_s or live.provider.deadline_s)


def is_adoptable(job: Job, live: LiveProvider | None) -> bool:
    """True if a job whose create answer was lost can still be heard of: the vendor calls back, and it was told to call us."""
    was_told = job.attempt is not None and job.attempt.calls_back
    return live is not None and live.provider.callbacks and was_told


async def _plan_next(context: GatewayContext, job: Job, choice: Choice, wait_s: float | None = None) -> Job:
    """Write down that this choice is asked next, perhaps not at once."""
    now = context.clock.now()
    attempt = attempts.plan(choice, AttemptOutcome.PLANNED, now)
    if wait_s is not None:
        attempt = attrs.evolve(attempt, not_before=now + timedelta(seconds=wait_s / context.speed))
    return await record.insist(context, job, lambda current: attempts.with_next(current, choice, attempt))


async def _ask_again_or_fail(
    context: GatewayContext,
    job: Job,
    failure: Failure,
    busy: Mapping[str, tuple[Choice, Failure]],
    caller: Caller,
) -> tuple[Job, tuple[Choice, ...]]:
    """After the last refusal: retry at the first provider that is free again, or fail the job."""
    now, steady = context.clock.now(), context.clock.steady()
    waits = [
        (wait_s, choice)
        for choice, refusal in busy.values()
        if (wait_s := attempts.resend_wait_s(job, refusal, steady)) is not None
    ]
    if caller.is_waiting or not failure.rule.try_next or not waits:
        return await record.insist(context, job, lambda current: lifecycle.fail(current, failure, now)), ()
    wait_s, choice = min(waits, key=lambda wait: wait[0])
    _log.info("job %s: %s is busy; asking again in %g s", job.id, choice.live.name, wait_s)
    job = await _plan_next(context, job, choice, wait_s)
    return job, () if job.state.is_final else (choice,)


async def _call(context: GatewayContext, job: Job, choice: Choice, caller: Caller, slot: Slot | None) -> Job:
    """Make one create call, as soon as it may be made and not after the job's deadline."""
    queue = choice.live.create_queue
    if slot is None:
        try:
            async with asyncio.timeout(max(0.0, (job.deadline_at - context.clock.steady()).total_seconds())):
                await queue.pause(_pause_s(context, job))
                slot = queue.try_slot()
                if slot is None:
                    caller.queued.set()
                    slot = await queue.slot()
        except TimeoutError:
            now, steady = context.clock.now(), context.clock.steady()
            return await record.insist(
                context, job, lambda current: lifecycle.expire(current, now, context.speed, steady)
            )
    with slot:
        return await _send(context, job, choice, slot)


def _pause_s(context: GatewayContext, job: Job) -> float:
    """Seconds until the call may be made, where the vendor was busy before."""
    not_before = job.attempt.not_before if job.attempt else None
    return 0.0 if not_before is None else max(0.0, (not_before - context.clock.now()).total_seconds())


async def _send(context: GatewayContext, job: Job, choice: Choice, slot: Slot) -> Job:
    live = choice.live
    if job.attempt is not None and job.attempt.outcome is AttemptOutcome.PLANNED:
        now, deadline = context.clock.now(), context.clock.steady() + choice_deadline(context, live)
        job = await record.insist(
            context,
            job,
            lambda current: attempts.started(current, now, deadline, blocking=live.provider.blocking),
        )
        if job.state.is_final:
            return job
    slot.call()
    try:
        update = await call_vendor(context, live, Step.CREATE, choice.translation.request, job)
    except ProviderError as error:
        live.health.note_call(error.failure, context.clock.steady())
        return await _note_failure(context, job, choice, error)
    refusal = update.failure if update.native_id is None else None
    live.health.note_call(refusal, context.clock.steady())
    return await _note_answer(context, job, update)


async def _note_answer(context: GatewayContext, job: Job, update: JobUpdate) -> Job:
    now = context.clock.now()
    if update.failure is not None and update.native_id is None:
        failure = update.failure
        body = update.body if job.request.debug.return_upstream_response else None
        return await record.insist(
            context, job, lambda current: attempts.refused(current, failure, now, body)
        )
    stored = await record.fold_insisting(context, job, update)
    stored = await record.insist(context, stored, lambda current: attempts.accepted(current, now))
    if stored.state.is_final and update.native_id is not None and lifecycle.was_cancelled(stored):
        await tell_vendor_to_stop(context, stored)
    return stored


async def _note_failure(context: GatewayContext, job: Job, choice: Choice, error: ProviderError) -> Job:
    now = context.clock.now()
    failure = error.failure
    if not error.maybe_accepted:
        return await record.insist(context, job, lambda current: attempts.refused(current, failure, now))
    adoptable = is_adoptable(job, choice.live)
    _log.warning(
        "job %s: outcome unknown at %s (%s); it is not sent again", job.id, choice.live.name, failure.message
    )
    return await record.insist(
        context, job, lambda current: attempts.lost(current, failure, now, adoptable=adoptable)
    )


def _key_missing(live: LiveProvider) -> Failure:
    message = f"{live.name}_key_missing: set {live.provider.key_env}, or providers.{live.name}.api_key"
    return Failure(reason=FailureClass.AUTH, message=message, http_status=502)
