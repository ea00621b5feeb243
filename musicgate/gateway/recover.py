"""Recovery: what an open job needs whose create call is not in flight any more. It sends nothing.

The job came from an earlier process, or its call broke in this one; that makes no difference. What was sent
and not answered is never sent again: its outcome is unknown. What was only planned had not left us, and may
be sent now.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.errors import MusicgateError, failure_of
from musicgate.gateway import commit
from musicgate.gateway.candidates import QUEUE_DEADLINE_S, is_adoptable, job_lifetime, with_keys
from musicgate.model import (
    AttemptOutcome,
    Failure,
    FailureClass,
    Stage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Job
    from musicgate.planning import Candidate

_log = logging.getLogger(__name__)
_PAGE = 500
#: Seconds that an open job has at least after a start, however long the gateway was down.
GRACE_S = 300.0
#: Seconds for which the answer of a sender is awaited that is silent, where its vendor cannot call us back.
SENDER_GRACE_S = 150.0
_LOST = Failure(
    reason=FailureClass.UNKNOWN_OUTCOME,
    message="the gateway stopped while the vendor was being asked; the answer was lost",
)


async def open_jobs(context: GatewayContext, share: int | None) -> AsyncIterator[Job]:
    """Every unfinished job of a share, or of the store, in the order in which they were made."""
    after_id = ""
    while page := await context.store.open_jobs(after_id, _PAGE, share):
        after_id = page[-1].id
        for job in page:
            yield job


async def recover(context: GatewayContext, job: Job) -> tuple[Job, tuple[Candidate, ...]]:
    """Find out what an open job needs that no create call owns.

    Returns:
        The job as it is stored now; with candidates if it is still to be sent, without if it is to be
        followed or has ended.
    """
    if is_called_elsewhere(context, job):
        return job, ()
    if job.outcome is AttemptOutcome.PLANNED:
        return await _taken_over(context, *await _plan_again(context, job))
    if job.outcome is AttemptOutcome.REFUSED:
        return await _taken_over(context, *await _plan_after_refusal(context, job))
    if job.outcome is AttemptOutcome.SENT and job.native_id is None and job.delivered_at is None:
        return await _lose(context, job), ()
    return job, ()


def is_called_elsewhere(context: GatewayContext, job: Job) -> bool:
    """True if another replica makes the job's create call, or is to make it: nothing is to be done here.

    A replica that is silent counts as dead. Where that would end the job, it gets more time: it may have been
    stopped while its vendor works, and bring the answer when it goes on.
    """
    shares = context.shares
    if job.sender in {"", shares.replica} or job.native_id is not None or job.delivered_at is not None:
        return False
    patience_s = context.settings.store.heartbeat_s
    if job.outcome is AttemptOutcome.SENT:
        if not is_adoptable(job, context.installed(job)):
            patience_s = max(patience_s, SENDER_GRACE_S / context.speed)
    elif job.outcome not in {AttemptOutcome.PLANNED, AttemptOutcome.REFUSED}:
        return False
    return shares.silence_s(job.sender) <= patience_s


async def _taken_over(
    context: GatewayContext, job: Job, candidates: tuple[Candidate, ...]
) -> tuple[Job, tuple[Candidate, ...]]:
    """Make this replica the sender of a job; without candidates where another one was first."""
    replica, now = context.shares.replica, context.clock.now()
    if candidates and job.sender != replica:
        seen, before = job.outcome, job.sender
        job = await commit.change(context, job, lambda current: jobs.take_over(current, before, replica, now))
        if job.state.is_final or job.sender != replica or job.outcome is not seen:
            return job, ()
    return job, candidates


def recovery_spread_s(job: Job) -> float:
    """Seconds until a job's first poll after a restart, spread so that not all come at once."""
    return sum(job.id.encode()) % 100 / 20


async def clamp_deadline(context: GatewayContext, job: Job) -> Job:
    """Extend the deadline of a job that expired, or nearly so, while the gateway was down.

    A deadline that a wrong clock had put too far ahead is brought back.
    """
    now, steady = context.clock.now(), context.clock.steady()
    installed = context.installed(job)
    own_s = 0.0 if installed is None else job_lifetime(context, installed).total_seconds()
    longest_s = max(own_s, max(QUEUE_DEADLINE_S, jobs.SETTLE_DEADLINE_S) / context.speed)
    earliest = steady + timedelta(seconds=GRACE_S / context.speed)
    latest = max(earliest, steady + timedelta(seconds=longest_s))
    return await commit.change(
        context, job, lambda current: jobs.clamp_deadline(current, earliest, latest, now)
    )


async def _plan_again(context: GatewayContext, job: Job) -> tuple[Job, tuple[Candidate, ...]]:
    """Plan a job again that was never sent, the planned plugin first; fail it without a candidate."""
    try:
        candidates = _candidates(context, job)
    except MusicgateError as error:  # plugins and settings may have changed meanwhile
        now, failure = context.clock.now(), failure_of(error)
        return await commit.change(context, job, lambda current: jobs.fail(current, failure, now)), ()
    return job, tuple(sorted(candidates, key=lambda candidate: candidate.installed.name != job.plugin))


async def _plan_after_refusal(context: GatewayContext, job: Job) -> tuple[Job, tuple[Candidate, ...]]:
    """Plan the providers that a refused job has not asked yet; fail it if none is left."""
    now = context.clock.now()
    failure = (job.attempt.failure if job.attempt else None) or _LOST
    if failure.rule.try_next and job.request.routing.allow_fallbacks:
        asked = {attempt.plugin for attempt in job.attempts}
        try:
            candidates = tuple(
                candidate for candidate in _candidates(context, job) if candidate.installed.name not in asked
            )
        except MusicgateError as error:
            _log.warning("no other provider can be planned: job=%s error=%s", job.id, error)
            candidates = ()
        if candidates:
            return job, candidates
    return await commit.change(context, job, lambda current: jobs.fail(current, failure, now)), ()


async def _lose(context: GatewayContext, job: Job) -> Job:
    """Mark the outcome of a sent call as unknown whose answer was never stored."""
    now = context.clock.now()
    adoptable = is_adoptable(job, context.installed(job))
    failure = _LOST
    if job.storage_trouble is not None:
        message = f"the vendor has sent its audio, and it could not be stored: {job.storage_trouble}"
        failure = Failure(reason=FailureClass.GATEWAY, message=message, may_have_cost=True)
    return await commit.change(
        context, job, lambda current: jobs.lose(current, failure, now, adoptable=adoptable)
    )


def _candidates(context: GatewayContext, job: Job) -> tuple[Candidate, ...]:
    """The candidates of a stored job as they are planned today.

    Raises:
        MusicgateError: there is none.
    """
    url = context.callback_url(job.id, job.callback_token)
    installed = context.installed(job)
    # The account's right to beta providers is not stored; that one was planned shows that it had it.
    had_beta = installed is not None and installed.provider.stage is Stage.BETA
    plan = context.planner.plan(job.request, context.clock.steady(), callback_url=url, beta_channel=had_beta)
    return with_keys(plan.candidates)
