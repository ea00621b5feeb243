"""One look at an open job: ask the vendor, fold the answer, say when to look again; the only step function there is.

It is called by the tracker when a job is due, and by a callback that says "look now". It holds no state: everything that it needs stands in
the store, so after a crash it simply goes on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from musicgate import lifecycle
from musicgate.errors import PluginError, ProviderError
from musicgate.gateway import record
from musicgate.gateway.exchange import exchange
from musicgate.gateway.settle import settle
from musicgate.hookspecs import Step
from musicgate.model import AttemptOutcome, Failure, FailureClass

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.gateway.context import GatewayContext, LiveProvider
    from musicgate.model import Job

_log = logging.getLogger(__name__)


async def advance(context: GatewayContext, job_id: str) -> float | None:
    """Take a job one step further.

    Returns:
        Seconds until the next look; None when the job is final or gone.
    """
    job = await context.store.get(job_id)
    if job is None or job.state.is_final:
        return None
    if job.delivered_at is not None:
        return await settle(context, job)
    now = context.clock.now()
    overdue = now >= job.deadline_at
    live = context.live(job)
    if live is not None and job.native_id is not None:
        # A job whose time is up is asked about once more: its song may have been finished while nobody looked.
        pause_s = await _look(context, live, job)
        if not overdue:
            return pause_s
        job = await context.store.get(job_id)
        if job is None or job.state.is_final or job.delivered_at is not None:
            return pause_s
    if not overdue:
        return _until_deadline_s(job, now)
    job = await record.change(context, job, lambda current: _expire(current, now))
    return None if job.state.is_final else await settle(context, job)


async def _look(context: GatewayContext, live: LiveProvider, job: Job) -> float | None:
    pause_s = lifecycle.next_look_s(job, live.provider.poll, context.clock.now(), context.speed)
    try:
        request = live.plugin.poll(job, live.settings)
        if request is None:
            return _until_deadline_s(job, context.clock.now())
        update = await exchange(context, live, Step.POLL, request, job)
    except ProviderError as error:
        # Noise says nothing about the song: the job stays as it was, and the deadline bounds it.
        _log.info("job %s: a look at %s said nothing: %s", job.id, live.name, error)
        pause_s = max(pause_s, (error.retry_after_s or 0) / context.speed)
    except PluginError as error:
        _log.error("job %s: %s", job.id, error)
    else:
        job = await record.fold(context, job, update)
        if job.state.is_final:
            return None
        if job.delivered_at is not None:
            return await settle(context, job)
        pause_s = lifecycle.next_look_s(job, live.provider.poll, context.clock.now(), context.speed)
    return min(pause_s, _until_deadline_s(job, context.clock.now()))


def _until_deadline_s(job: Job, now: datetime) -> float:
    return max(0.0, (job.deadline_at - now).total_seconds())


def _expire(job: Job, now: datetime) -> Job:
    """The deadline has passed. A job whose create answer was lost ends with that failure; any other with what it has, or as expired."""
    if job.state.is_final or job.delivered_at is not None:
        return job
    attempt = job.attempt
    if attempt is not None and attempt.outcome in {AttemptOutcome.UNKNOWN, AttemptOutcome.SENT}:
        lost = attempt.failure or Failure(
            reason=FailureClass.UNKNOWN_OUTCOME, message="the vendor's answer was lost"
        )
        return lifecycle.fail(job, attrs.evolve(lost, may_have_cost=True), now)
    said = f"; the last thing the vendor said was {job.native_status!r}" if job.native_status else ""
    message = f"not finished when its time was up{said}"
    return lifecycle.end(job, Failure(reason=FailureClass.EXPIRED, message=message), now)
