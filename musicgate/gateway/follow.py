"""The step function of open jobs: poll the vendor, fold the answer, say when to come back.

The scheduler calls it when a job is due, and when a callback says "poll now". It holds no state: everything
that it needs is in the store, so after a crash it simply goes on. It takes a job in whatever phase it is:
planned, sent by a call that broke, accepted, delivered.

The deadline is unconditional. It is checked after every step, however the step ended: a plugin that raises
each time, a vendor whose answers cannot be read and audio that breaks our own code keep no job open.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.errors import PluginError, ProviderError
from musicgate.gateway import commit, fold
from musicgate.gateway.recover import recover
from musicgate.gateway.settle import settle
from musicgate.gateway.vendor_call import call_vendor
from musicgate.plugin import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.gateway.context import GatewayContext
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job
    from musicgate.planning import Candidate

    #: Hands a stored job that was never sent to a create call, which owns it from then on.
    Launch = Callable[[Job, tuple[Candidate, ...]], None]

_log = logging.getLogger(__name__)


async def advance(context: GatewayContext, job_id: str, launch: Launch | None = None) -> float | None:
    """Take a job one step further.

    Args:
        launch: sends a job that was never sent; None = wait for its deadline.

    Returns:
        Seconds until the next step; None when nothing is left to do: the job is final, gone, or its call owns
        it again.
    """
    job = await context.store.get(job_id)
    if job is None:
        context.quota.forget(job_id)
        return None
    if job.state.is_final:
        context.ended(job)
        return None
    if context.clock.steady() < job.deadline_at:
        return await _step(context, job, launch)
    # A job past its deadline is polled once more: its song may have been finished since the last poll.
    pause_s: float | None = 0.0
    try:
        if job.was_sent:
            pause_s = await _step(context, job, None)
    finally:
        job = await _expire(context, job_id)
    if job is None or job.state.is_final:
        return None
    return pause_s if job.delivered_at is None else await settle(context, job)


async def _expire(context: GatewayContext, job_id: str) -> Job | None:
    """End a job whose deadline has passed, unless its last step delivered it: then it has a new one."""
    job = await context.store.get(job_id)
    now, steady = context.clock.now(), context.clock.steady()
    if job is None or steady < job.deadline_at:
        return job
    return await commit.change(context, job, lambda current: jobs.expire(current, now, context.speed, steady))


async def _step(context: GatewayContext, job: Job, launch: Launch | None) -> float | None:
    if job.delivered_at is None:
        job, candidates = await recover(context, job)
        if candidates and launch is not None:
            launch(job, candidates)
            return None
    if job.state.is_final:
        return None
    if job.delivered_at is not None:
        return await settle(context, job)
    installed = context.installed(job)
    if installed is None or job.native_id is None:
        return _until_deadline_s(context, job)
    return await _poll(context, installed, job)


async def _poll(context: GatewayContext, installed: InstalledProvider, job: Job) -> float | None:
    pause_s = _next_poll_s(context, installed, job)
    try:
        request = installed.plugin.poll(job, installed.settings)
        if request is None:
            return _until_deadline_s(context, job)
        update = await call_vendor(context, installed, Step.POLL, request, job)
    except ProviderError as error:
        # A failed poll says nothing about the song: the job stays as it was, and the deadline bounds it.
        _log.info("poll failed: job=%s plugin=%s error=%s", job.id, installed.name, error)
        pause_s = max(pause_s, (error.retry_after_s or 0) / context.speed)
    except PluginError as error:
        _log.error("poll failed: job=%s plugin=%s error=%s", job.id, installed.name, error)
    else:
        job = await fold.apply_update(context, job, update)
        if job.state.is_final:
            return None
        if job.delivered_at is not None:
            return await settle(context, job)
        pause_s = _next_poll_s(context, installed, job)
    return min(pause_s, _until_deadline_s(context, job))


def _next_poll_s(context: GatewayContext, installed: InstalledProvider, job: Job) -> float:
    return jobs.next_poll_s(job, installed.provider.poll, context.clock.now(), context.speed)


def _until_deadline_s(context: GatewayContext, job: Job) -> float:
    return max(0.0, (job.deadline_at - context.clock.steady()).total_seconds())
