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
(`commit.change_until_stored`), and the bare id of the vendor's task is stored even where the rest of its answer breaks our own code.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate import jobs
from musicgate.engine import Caller
from musicgate.errors import AllCandidatesFailedError, ProviderError
from musicgate.gateway import commit
from musicgate.gateway.cancel import tell_vendor_to_stop
from musicgate.gateway.vendor_call import call_vendor
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Failure,
    FailureClass,
    Job,
    JobState,
)
from musicgate.plugin import Step
from musicgate.views import render_native_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.engine import Slot
    from musicgate.gateway.context import GatewayContext
    from musicgate.hosting import InstalledProvider
    from musicgate.model import (
        JobUpdate,
        JsonValue,
        MusicRequest,
        OptionWarning,
    )
    from musicgate.planning import Candidate

_log = logging.getLogger(__name__)
#: Seconds that a create call waits longer than its vendors' time-outs.
_MARGIN_S = 5.0
#: Seconds for which a job may wait for a slot. A full queue (10,000 jobs) at two calls a second is empty after 83 minutes.
QUEUE_DEADLINE_S = 7_200.0


def with_keys(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The choices that can be called at all.

    Raises:
        AllCandidatesFailedError: none of them has a key.
    """
    callable_candidates = tuple(candidate for candidate in candidates if candidate.installed.key is not None)
    if not callable_candidates:
        raise AllCandidatesFailedError(
            [(candidate.installed.name, _key_missing(candidate.installed)) for candidate in candidates]
        )
    return callable_candidates


def new_job(
    context: GatewayContext,
    request: MusicRequest,
    candidate: Candidate,
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
    outcome = AttemptOutcome.SENT if has_slot else AttemptOutcome.PLANNED
    longest = candidate_deadline(context, candidate.installed)
    if not has_slot:
        longest = max(longest, timedelta(seconds=QUEUE_DEADLINE_S / context.speed))
    blocking = candidate.installed.provider.blocking and has_slot
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
    attempt = _attempt(job, candidate, outcome, now)
    return jobs.with_attempt(job, attempt, candidate.translation.warnings, _shown_request(job, candidate))


def _attempt(job: Job, candidate: Candidate, outcome: AttemptOutcome, now: datetime) -> Attempt:
    """An attempt at a candidate; nothing is sent yet."""
    request, token = candidate.translation.request, job.callback_token
    return Attempt(
        plugin=candidate.installed.name,
        provider=candidate.installed.provider.name,
        model=candidate.offer.model,
        native_model=candidate.translation.native_model,
        outcome=outcome,
        planned_at=now,
        calls_back=token in request.url or token.encode() in request.body,
    )


def _shown_request(job: Job, candidate: Candidate) -> JsonValue:
    """The native request without the callback token, if its caller asked to see it."""
    if not job.request.returns_upstream_request:
        return None
    return render_native_body(candidate.translation.request, {job.callback_token: "***"})


async def run(
    context: GatewayContext,
    job: Job,
    candidates: Sequence[Candidate],
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
    to_ask: deque[Candidate] = deque(candidates)
    busy: dict[str, tuple[Candidate, Failure]] = {}
    while to_ask:
        candidate = to_ask.popleft()
        if candidate.installed.name != job.plugin or (
            job.attempt and job.attempt.outcome is AttemptOutcome.REFUSED
        ):
            job = await _plan_next(context, job, candidate)
            if job.state.is_final:
                break
        job = await _call(context, job, candidate, caller, slot)
        slot = None
        failure = job.attempt.failure if job.attempt else None
        refused = job.attempt is not None and job.attempt.outcome is AttemptOutcome.REFUSED
        if job.state.is_final or not refused or failure is None:
            break
        busy[candidate.installed.name] = (candidate, failure)
        if to_ask and job.request.routing.allow_fallbacks and failure.rule.try_next:
            _log.info(
                "job %s: %s refused (%s); trying the next provider",
                job.id,
                candidate.installed.name,
                failure.reason,
            )
            continue
        job, again = await _ask_again_or_fail(context, job, failure, busy, caller)
        to_ask = deque(again)
    return job


def create_budget_s(candidates: Sequence[Candidate], wait_s: float) -> float:
    """How long a create call waits for its own end: briefly where a call lasts as long as a song, else for every time-out on the way."""
    if any(candidate.installed.provider.blocking for candidate in candidates):
        return wait_s
    return _MARGIN_S + sum(
        candidate.installed.provider.timeouts.connect_s + candidate.installed.provider.timeouts.create_s
        for candidate in candidates
    )


def candidate_deadline(context: GatewayContext, installed: InstalledProvider) -> timedelta:
    """How long an open job is waited for."""
    return timedelta(seconds=context.settings.follow.deadline_s or installed.provider.deadline_s)


def is_adoptable(job: Job, installed: InstalledProvider | None) -> bool:
    """True if a job whose create answer was lost can still be heard of: the vendor calls back, and it was told to call us."""
    was_told = job.attempt is not None and job.attempt.calls_back
    return installed is not None and installed.provider.callbacks and was_told


async def _plan_next(
    context: GatewayContext, job: Job, candidate: Candidate, wait_s: float | None = None
) -> Job:
    """Write down that this choice is asked next, perhaps not at once."""
    now = context.clock.now()
    attempt = _attempt(job, candidate, AttemptOutcome.PLANNED, now)
    if wait_s is not None:
        attempt = attrs.evolve(attempt, not_before=now + timedelta(seconds=wait_s / context.speed))
    warnings, shown = candidate.translation.warnings, _shown_request(job, candidate)
    return await commit.change_until_stored(
        context, job, lambda current: jobs.with_next(current, attempt, warnings, shown)
    )


async def _ask_again_or_fail(
    context: GatewayContext,
    job: Job,
    failure: Failure,
    busy: Mapping[str, tuple[Candidate, Failure]],
    caller: Caller,
) -> tuple[Job, tuple[Candidate, ...]]:
    """After the last refusal: retry at the first provider that is free again, or fail the job."""
    now, steady = context.clock.now(), context.clock.steady()
    waits = [
        (wait_s, candidate)
        for candidate, refusal in busy.values()
        if (wait_s := jobs.resend_wait_s(job, refusal, steady)) is not None
    ]
    if caller.is_waiting or not failure.rule.try_next or not waits:
        return await commit.change_until_stored(
            context, job, lambda current: jobs.fail(current, failure, now)
        ), ()
    wait_s, candidate = min(waits, key=lambda wait: wait[0])
    _log.info("job %s: %s is busy; asking again in %g s", job.id, candidate.installed.name, wait_s)
    job = await _plan_next(context, job, candidate, wait_s)
    return job, () if job.state.is_final else (candidate,)


async def _call(
    context: GatewayContext, job: Job, candidate: Candidate, caller: Caller, slot: Slot | None
) -> Job:
    """Make one create call, as soon as it may be made and not after the job's deadline."""
    queue = context.create_queues[candidate.installed.name]
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
            return await commit.change_until_stored(
                context, job, lambda current: jobs.expire(current, now, context.speed, steady)
            )
    with slot:
        return await _send(context, job, candidate, slot)


def _pause_s(context: GatewayContext, job: Job) -> float:
    """Seconds until the call may be made, where the vendor was busy before."""
    not_before = job.attempt.not_before if job.attempt else None
    return 0.0 if not_before is None else max(0.0, (not_before - context.clock.now()).total_seconds())


async def _send(context: GatewayContext, job: Job, candidate: Candidate, slot: Slot) -> Job:
    installed = candidate.installed
    if job.attempt is not None and job.attempt.outcome is AttemptOutcome.PLANNED:
        now, deadline = context.clock.now(), context.clock.steady() + candidate_deadline(context, installed)
        job = await commit.change_until_stored(
            context,
            job,
            lambda current: jobs.started(current, now, deadline, blocking=installed.provider.blocking),
        )
        if job.state.is_final:
            return job
    slot.call()
    try:
        update = await call_vendor(context, installed, Step.CREATE, candidate.translation.request, job)
    except ProviderError as error:
        context.health[installed.name].note_call(error.failure, context.clock.steady())
        return await _note_failure(context, job, candidate, error)
    refusal = update.failure if update.native_id is None else None
    context.health[installed.name].note_call(refusal, context.clock.steady())
    return await _note_answer(context, job, update)


async def _note_answer(context: GatewayContext, job: Job, update: JobUpdate) -> Job:
    now = context.clock.now()
    if update.failure is not None and update.native_id is None:
        failure = update.failure
        body = update.body if job.request.debug.return_upstream_response else None
        return await commit.change_until_stored(
            context, job, lambda current: jobs.refused(current, failure, now, body)
        )
    stored = await commit.apply_update_until_stored(context, job, update)
    stored = await commit.change_until_stored(context, stored, lambda current: jobs.accepted(current, now))
    if stored.state.is_final and update.native_id is not None and jobs.was_cancelled(stored):
        await tell_vendor_to_stop(context, stored)
    return stored


async def _note_failure(context: GatewayContext, job: Job, candidate: Candidate, error: ProviderError) -> Job:
    now = context.clock.now()
    failure = error.failure
    if not error.maybe_accepted:
        return await commit.change_until_stored(
            context, job, lambda current: jobs.refused(current, failure, now)
        )
    adoptable = is_adoptable(job, candidate.installed)
    _log.warning(
        "job %s: outcome unknown at %s (%s); it is not sent again",
        job.id,
        candidate.installed.name,
        failure.message,
    )
    return await commit.change_until_stored(
        context, job, lambda current: jobs.lost(current, failure, now, adoptable=adoptable)
    )


def _key_missing(installed: InstalledProvider) -> Failure:
    message = f"{installed.name}_key_missing: set {installed.provider.key_env}, or providers.{installed.name}.api_key"
    return Failure(reason=FailureClass.AUTH, message=message, http_status=502)
