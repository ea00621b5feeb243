"""One step of an open job: poll the vendor, fold the answer, say when to come back; the only step function there is.

The scheduler calls it when a job is due, and when a callback says "poll now". It holds no state: everything that it needs is in the store, so
after a crash it simply goes on. It takes a job in whatever phase it is: planned, sent by a call that broke, accepted, delivered.

The deadline is unconditional. It is checked after every step, however the step ended: a plugin that raises each time, a vendor that is
understood by nobody and audio that breaks our own code keep no job open.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from musicgate import lifecycle
from musicgate.errors import PluginError, ProviderError
from musicgate.gateway import record
from musicgate.gateway.recover import recover
from musicgate.gateway.settle import settle
from musicgate.gateway.vendor_call import call_vendor
from musicgate.hookspecs import Step
from musicgate.model import AttemptOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.gateway.context import GatewayContext, LiveProvider
    from musicgate.gateway.prepare import Choice
    from musicgate.model import Job

    #: Hands a stored job that was never sent to a create call, which owns it from then on.
    Launch = Callable[[Job, tuple[Choice, ...]], None]

_log = logging.getLogger(__name__)


async def advance(context: GatewayContext, job_id: str, launch: Launch | None = None) -> float | None:
    """Take a job one step further.

    Args:
        launch: sends a job that was never sent; None = leave it to its deadline.

    Returns:
        Seconds until the next step; None when nothing is left to do: the job is final, gone, or its call owns it again.
    """
    job = await context.store.get(job_id)
    if job is None:
        context.admission.forget(job_id)
        return None
    if job.state.is_final:
        context.ended(job)
        return None
    if context.clock.steady() < job.deadline_at:
        return await _step(context, job, launch)
    # A job whose time is up is asked about once more: its song may have been finished while nobody polled.
    pause_s: float | None = 0.0
    try:
        if job.attempt is not None and job.attempt.outcome is not AttemptOutcome.PLANNED:
            pause_s = await _step(context, job, None)
    finally:
        job = await _expire(context, job_id)
    if job is None or job.state.is_final:
        return None
    return pause_s if job.delivered_at is None else await settle(context, job)


async def _expire(context: GatewayContext, job_id: str) -> Job | None:
    """End a job if its time is up: its last step may have delivered it, and then it has more."""
    job = await context.store.get(job_id)
    now, steady = context.clock.now(), context.clock.steady()
    if job is None or steady < job.deadline_at:
        return job
    return await record.change(
        context, job, lambda current: lifecycle.expire(current, now, context.speed, steady)
    )


async def _step(context: GatewayContext, job: Job, launch: Launch | None) -> float | None:
    if job.delivered_at is None:
        job, choices = await recover(context, job)
        if choices and launch is not None:
            launch(job, choices)
            return None
    if job.state.is_final:
        return None
    if job.delivered_at is not None:
        return await settle(context, job)
    live = context.live(job)
    if live is None or job.native_id is None:
        return _until_deadline_s(context, job)
    return await _poll(context, live, job)


async def _poll(context: GatewayContext, live: LiveProvider, job: Job) -> float | None:
    pause_s = _next_poll_s(context, live, job)
    try:
        request = live.plugin.poll(job, live.settings)
        if request is None:
            return _until_deadline_s(context, job)
        update = await call_vendor(context, live, Step.POLL, request, job)
    except ProviderError as error:
        # Noise says nothing about the song: the job stays as it was, and the deadline bounds it.
        _log.info("job %s: a poll of %s brought nothing: %s", job.id, live.name, error)
        pause_s = max(pause_s, (error.retry_after_s or 0) / context.speed)
    except PluginError as error:
        _log.error("job %s: %s", job.id, error)
    else:
        job = await record.fold(context, job, update)
        if job.state.is_final:
            return None
        if job.delivered_at is not None:
            return await settle(context, job)
        pause_s = _next_poll_s(context, live, job)
    return min(pause_s, _until_deadline_s(context, job))


def _next_poll_s(context: GatewayContext, live: LiveProvider, job: Job) -> float:
    return lifecycle.next_look_s(job, live.provider.poll, context.clock.now(), context.speed)


def _until_deadline_s(context: GatewayContext, job: Job) -> float:
    return max(0.0, (job.deadline_at - context.clock.steady()).total_seconds())
