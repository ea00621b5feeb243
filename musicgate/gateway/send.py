"""Store first, send second, fold third: how a stored job is sent to a vendor, never twice.

The order of things is the promise. The job is durable, with its attempt stored as *sent*, before the first
byte leaves. So after a crash at any point we know that a call may have been made, and never make it again:

* *accepted*: the vendor gave an id, or the audio. The job is followed.
* *refused*: the vendor, or the network before it, plainly said that nothing was created. Only now, and only
  for the classes of failure that allow it, may the next candidate be asked; that attempt is stored as *sent*
  before it is sent as well.
* *unknown*: the request left us and nothing readable came back. It is never sent again and never given to
  another vendor. Where the vendor can call us back, the job stays open: a callback adopts it, else the
  deadline ends it. Where it cannot, the job ends at once and says that it may have cost money.

A create call belongs to the process that makes it, which the job names (`Job.sender`). Another replica may
take a job over of which nothing was sent, when that process is silent; then this one, should it wake up,
sends and plans nothing more. What it was answered meanwhile is a fact, and is stored.

What an answer brought exists only in this process until it is stored. So storing it is tried for as long as
the job lives (`commit.change_until_stored`), and the bare id of the vendor's task is stored even where the
rest of its answer breaks our own code.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.engine import Caller, until_seen
from musicgate.errors import ProviderError
from musicgate.gateway import commit, fold
from musicgate.gateway.cancel import stop_vendor
from musicgate.gateway.candidates import is_adoptable, job_lifetime, new_attempt, shown_request
from musicgate.gateway.vendor_call import call_vendor
from musicgate.model import AttemptOutcome
from musicgate.plugin import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from musicgate.engine import Slot
    from musicgate.gateway.context import GatewayContext
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Failure, Job, JobUpdate, JsonValue
    from musicgate.planning import Candidate

_log = logging.getLogger(__name__)
#: A call that begins so long after it was stored reads its job again first; or a part of the heartbeat, after
#: which this replica counts as dead.
_STALLED_S, _STALLED_PART = 5.0, 1 / 3
#: Bound once: on Python 3.11 a member costs fifty times as much by the name of its class, for each create ten
#: times.
_PLANNED, _SENT, _REFUSED = AttemptOutcome.PLANNED, AttemptOutcome.SENT, AttemptOutcome.REFUSED
_CREATE = Step.CREATE


async def run(
    context: GatewayContext,
    job: Job,
    candidates: Iterable[Candidate],
    *,
    caller: Caller | None = None,
    slot: Slot | None = None,
) -> Job:
    """Send a stored job to its candidates, one after another while each refusal allows the next.

    Args:
        job: as stored; its last attempt belongs to the first candidate, or to a plugin that can no longer be
            asked.
        candidates: in the order of asking; the others are taken only when the first has refused.
        caller: who waits for the answer. Without one, or when it has gone, vendors that were only busy are
            called again.
        slot: the slot at the first candidate, where the job has it already.

    Returns:
        The job after the last call: accepted, refused for good, or unknown.

    Raises:
        GatewayClosedError: the gateway closes; the job is stored as planned.
        StorageError: the store still fails at the job's deadline.
    """
    caller = Caller(is_waiting=False) if caller is None else caller
    called: list[Candidate] = []
    failure = _refusal(job)
    for candidate in candidates:
        if not _is_ours(context, job):
            return job
        if candidate.installed.name != job.plugin or job.outcome is _REFUSED:
            job = await _plan(context, job, candidate)
        job = await _call(context, job, candidate, caller, slot)
        slot = None
        called.append(candidate)
        failure = _refusal(job)
        if failure is None or not failure.rule.try_next or not job.request.routing.allow_fallbacks:
            break
    return job if failure is None else await _retry_busy(context, job, called, caller)


async def _retry_busy(context: GatewayContext, job: Job, called: Sequence[Candidate], caller: Caller) -> Job:
    """Retry providers that were only busy, whichever is free first; fail the job when none is left."""
    while (failure := _refusal(job)) is not None and _is_ours(context, job):
        retry = _first_retry(context, job, called)
        if retry is None or caller.is_waiting or not failure.rule.try_next:
            return await _fail(context, job, failure)
        wait_s, candidate = retry
        name = candidate.installed.name
        _log.info("provider busy, call retried: job=%s plugin=%s wait_s=%g", job.id, name, wait_s)
        job = await _plan(context, job, candidate, wait_s)
        job = await _call(context, job, candidate, caller, None)
    return job


def _refusal(job: Job) -> Failure | None:
    """Why the last call of an open job was refused; None if it was not."""
    is_refused = job.outcome is _REFUSED and not job.state.is_final
    return job.attempt.failure if is_refused and job.attempt else None


def _first_retry(
    context: GatewayContext, job: Job, called: Sequence[Candidate]
) -> tuple[float, Candidate] | None:
    """Seconds until the first retry, and its candidate; None if no provider may be called again."""
    steady = context.clock.steady()
    failures = {attempt.plugin: attempt.failure for attempt in job.attempts if attempt.failure}
    waits = [
        (wait_s, candidate)
        for candidate in called
        if (wait_s := jobs.resend_wait_s(job, failures[candidate.installed.name], steady)) is not None
    ]
    return min(waits, key=lambda wait: wait[0], default=None)


async def _fail(context: GatewayContext, job: Job, failure: Failure) -> Job:
    now = context.clock.now()
    return await commit.change_until_stored(
        context, job, _ours(context, lambda current: jobs.fail(current, failure, now))
    )


def _is_ours(context: GatewayContext, job: Job) -> bool:
    """True if this replica makes the job's create call; another one may have taken it over meanwhile."""
    return job.sender == context.shares.replica


def _ours(context: GatewayContext, edit: Callable[[Job], Job]) -> Callable[[Job], Job]:
    """An edit that changes nothing once another replica makes the job's create call."""
    return lambda current: edit(current) if _is_ours(context, current) else current


async def _plan(context: GatewayContext, job: Job, candidate: Candidate, wait_s: float | None = None) -> Job:
    """Store that a candidate is called next; not before ``wait_s`` seconds have passed."""
    now, token = context.clock.now(), job.callback_token
    not_before = None if wait_s is None else now + timedelta(seconds=wait_s / context.speed)
    attempt = new_attempt(candidate, token, now, not_before)
    shown = shown_request(candidate, job.request, token)
    return await commit.change_until_stored(
        context,
        job,
        _ours(
            context,
            lambda current: jobs.add_attempt(current, attempt, candidate.translation.warnings, shown),
        ),
    )


async def _call(
    context: GatewayContext, job: Job, candidate: Candidate, caller: Caller, slot: Slot | None
) -> Job:
    """Wait for a slot, up to the job's deadline, and make one create call.

    A job that has ended, or that a callback has adopted, is not called.
    """
    outcome = job.outcome
    if job.state.is_final or (outcome is not _PLANNED and outcome is not _SENT):
        return job
    if not _is_ours(context, job):
        return job
    queue = context.create_queues[candidate.installed.name]
    if slot is None:
        try:
            async with _until_deadline(context, job):
                await queue.pause(_pause_s(context, job))
                slot = await queue.slot(caller.move)
        except TimeoutError:
            return await _expire(context, job)
    with slot:
        return await _send(context, job, candidate, slot)


def _until_deadline(context: GatewayContext, job: Job) -> asyncio.Timeout:
    return asyncio.timeout(max(0.0, (job.deadline_at - context.clock.steady()).total_seconds()))


async def _expire(context: GatewayContext, job: Job) -> Job:
    now, steady = context.clock.now(), context.clock.steady()
    return await commit.change_until_stored(
        context, job, _ours(context, lambda current: jobs.expire(current, now, context.speed, steady))
    )


def _pause_s(context: GatewayContext, job: Job) -> float:
    """Seconds until the call may be made, where the vendor was busy before."""
    not_before = job.attempt.not_before if job.attempt else None
    return 0.0 if not_before is None else max(0.0, (not_before - context.clock.now()).total_seconds())


async def _send(context: GatewayContext, job: Job, candidate: Candidate, slot: Slot) -> Job:
    installed = candidate.installed
    if job.outcome is _PLANNED:
        now, deadline = context.clock.now(), context.clock.steady() + job_lifetime(context, installed)
        job = await commit.change_until_stored(
            context,
            job,
            _ours(
                context,
                lambda current: jobs.start(current, now, deadline, blocking=installed.provider.blocking),
            ),
        )
        if job.updated_at != now:  # not we have started it: another call of this job has, and makes it
            return job
    read_at = job.updated_at
    stalled = timedelta(seconds=min(_STALLED_S, context.settings.store.heartbeat_s * _STALLED_PART))
    while job.outcome is _SENT and not job.state.is_final and _is_ours(context, job):
        was_stalled = not context.shares.is_seen or context.clock.now() - read_at > stalled
        if not was_stalled and slot.is_fresh:
            break
        try:
            async with _until_deadline(context, job):
                await (until_seen(context.shares) if was_stalled else slot.confirm())
        except TimeoutError:
            return await _expire(context, job)
        if was_stalled:
            read_at, job = context.clock.now(), await _read_again(context, job)
    else:
        return job
    slot.call()
    try:
        update = await call_vendor(context, installed, _CREATE, candidate.translation.request, job)
    except ProviderError as error:
        context.health[installed.name].note_call(error.failure, context.clock.steady())
        return await _note_failure(context, job, installed, error)
    refusal = update.failure if update.native_id is None else None
    context.health[installed.name].note_call(refusal, context.clock.steady())
    if refusal is None:
        return await _note_answer(context, job, update)
    body = update.body if job.request.debug.return_upstream_response else None
    return await _note_refusal(context, job, refusal, body)


async def _read_again(context: GatewayContext, job: Job) -> Job:
    """The job as it is now, where this process was stalled before the first byte left.

    The job's follower may have thought it dead, and the call's outcome unknown. Then it is not made. A store
    that is away is waited for: a call that fails here would leave a job that says it was sent.

    Raises:
        StorageError: the store still fails at the job's deadline.
    """

    async def read() -> Job:
        found = await context.store.get(job.id)
        return jobs.fail(job, commit.DELETED, job.updated_at) if found is None else found

    return await commit.until_stored(context, job, read, "read")


async def _note_answer(context: GatewayContext, job: Job, update: JobUpdate) -> Job:
    stored = await fold.apply_update_until_stored(context, job, update)
    if stored.outcome is _SENT:  # accepted without an id
        now = context.clock.now()
        stored = await commit.change_until_stored(context, stored, lambda current: jobs.accept(current, now))
    if stored.state.is_final and update.native_id is not None and jobs.was_cancelled(stored):
        await stop_vendor(context, stored)
    return stored


async def _note_refusal(context: GatewayContext, job: Job, failure: Failure, body: JsonValue = None) -> Job:
    _log.info("call refused: job=%s plugin=%s reason=%s", job.id, job.plugin, failure.reason)
    now = context.clock.now()
    return await commit.change_until_stored(
        context, job, lambda current: jobs.refuse(current, failure, now, body)
    )


async def _note_failure(
    context: GatewayContext, job: Job, installed: InstalledProvider, error: ProviderError
) -> Job:
    """Store a call without a readable answer: as refused if it cannot have been taken, else unknown."""
    now, failure = context.clock.now(), error.failure
    if not error.maybe_accepted:
        return await _note_refusal(context, job, failure)
    _log.warning(
        "outcome unknown, not sent again: job=%s plugin=%s error=%s", job.id, job.plugin, failure.message
    )
    adoptable = is_adoptable(job, installed)
    return await commit.change_until_stored(
        context, job, lambda current: jobs.lose(current, failure, now, adoptable=adoptable)
    )
