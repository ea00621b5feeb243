"""The step function of open jobs: poll the vendor, fold the answer, say when to come back.

The scheduler calls it when a job is due, and when a callback says "poll now". Everything that it needs is in
the store, so after a crash it simply goes on. It takes a job in whatever phase it is: planned, sent by a call
that broke, accepted, delivered. Where the last poll changed nothing, the next one needs no store
(`quiet_polls`): that memory saves work, and losing it loses nothing.

The deadline is unconditional. It is checked after every step, however the step ended: a plugin that raises
each time, a vendor whose answers cannot be read and audio that breaks our own code keep no job open.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate import jobs
from musicgate.engine import ShareLostError
from musicgate.errors import PluginError, ProviderError
from musicgate.gateway import commit, fold
from musicgate.gateway.recover import is_called_elsewhere, recover
from musicgate.gateway.settle import settle
from musicgate.gateway.vendor_call import Exchange, call_vendor, repeat_poll
from musicgate.model import share_of
from musicgate.plugin import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from musicgate.engine import Shares
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.quiet_polls import QuietPoll
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job
    from musicgate.planning import Candidate

    #: Hands a stored job that was never sent to a create call, which owns it from then on.
    Launch = Callable[[Job, tuple[Candidate, ...]], None]

_log = logging.getLogger(__name__)
#: Seconds until a job is tried again whose share is not held for certain just now.
_NOT_HELD_S = 1.0
#: Seconds between two looks at a job whose create call another replica makes; it tells when that ends.
_LOOK_AGAIN_S = 5.0
#: Seconds until a job is read again that cannot be polled: its callback may have reached another replica.
_ADOPTED_ELSEWHERE_S = 30.0
#: Seconds beyond its deadline for which such a job is left to that call.
_FOREIGN_GRACE_S = 60.0


async def advance(context: GatewayContext, job_id: str, launch: Launch | None = None) -> float | None:
    """Take a job one step further.

    Args:
        launch: sends a job that was never sent; None = wait for its deadline.

    Returns:
        Seconds until the next step; None when nothing is left to do: the job is final, gone, or its call owns
        it again.
    """
    shares = context.shares
    if shares.replica:
        term = _held_term(shares, job_id)
        if term is None:
            return _NOT_HELD_S  # it is dropped when the share is lost for good
        context = context.under(term)
    last = context.quiet_polls.of(job_id)
    steady = context.clock.steady()
    try:
        if last is not None and last.is_usable(steady):
            return await _poll_again(context, job_id, last, steady, launch)
        return await _read_and_step(context, job_id, steady, launch, None)
    except ShareLostError:
        return _NOT_HELD_S


def _held_term(shares: Shares, job_id: str) -> int | None:
    """The term under which this replica holds a job's share; None if it does not, or not for certain."""
    share = share_of(job_id)
    # Another thread takes and loses shares: it may be lost between the two lines.
    term = shares.term_of(share)
    return term if share in shares.held else None


async def _poll_again(
    context: GatewayContext, job_id: str, last: QuietPoll, steady: datetime, launch: Launch | None
) -> float | None:
    """Repeat a poll that changed nothing; the job is only read if the answer is another one now."""
    retry_after_s = 0.0
    try:
        response = await repeat_poll(context, job_id, last)
    except ProviderError as error:
        retry_after_s = _note_failed_poll(job_id, last.installed, error)
    else:
        if not context.quiet_polls.repeats(job_id, last, response):
            exchange = Exchange(last.request, response, calls=1)
            return await _read_and_step(context, job_id, steady, launch, exchange)
        last.repeat_count += 1
    pause_s = jobs.poll_pause_s(
        last.created_at, last.installed.provider.poll, context.clock.now(), context.speed
    )
    return min(max(pause_s, retry_after_s / context.speed), _until_s(context, last.deadline_at))


async def _read_and_step(
    context: GatewayContext,
    job_id: str,
    steady: datetime,
    launch: Launch | None,
    exchange: Exchange | None,
) -> float | None:
    """Read a job and take it one step further.

    Args:
        steady: when the step began.
        exchange: a poll of this step that is answered already.
    """
    with context.quiet_polls.begun(job_id) as mark:
        job = await context.store.get(job_id)
        if job is None:
            context.quota.forget(job_id)
            return None
        if job.state.is_final:
            context.ended(job)
            return None
        # The store may have let us wait until another replica had the share, which polls the job.
        if context.shares.replica and _held_term(context.shares, job_id) != context.term:
            return _NOT_HELD_S
        wait_s = _LOOK_AGAIN_S / context.speed
        # However long its sender is alive: the deadline is unconditional, a little later.
        if is_called_elsewhere(context, job) and steady < job.deadline_at + timedelta(
            seconds=_FOREIGN_GRACE_S / context.speed
        ):
            return wait_s
        step = _Step(context, mark, steady, exchange)
        if steady < job.deadline_at:
            return await step.run(job, launch)
        # A job past its deadline is polled once more: its song may have been finished since the last poll.
        pause_s: float | None = 0.0
        try:
            if job.was_sent:
                pause_s = await step.run(job, None)
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


@attrs.define(eq=False)
class _Step:
    """One step of a job that was read from the store.

    Attributes:
        mark: of `QuietPolls.begun`.
        began: steady time of its begin.
        exchange: a poll of this step that is answered already.
    """

    context: GatewayContext
    mark: object
    began: datetime
    exchange: Exchange | None

    async def run(self, job: Job, launch: Launch | None) -> float | None:
        """Send, poll or settle a job, whatever it needs next."""
        context = self.context
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
            return _until_adopted_s(context, job.deadline_at)
        return await self._poll(installed, job)

    async def _poll(self, installed: InstalledProvider, job: Job) -> float | None:
        context, exchange, retry_after_s = self.context, self.exchange, 0.0
        try:
            request = None
            if exchange is None:
                request, exchange = installed.plugin.poll(job, installed.settings), Exchange()
                if request is None:
                    return _until_adopted_s(context, job.deadline_at)
            update = await call_vendor(context, installed, Step.POLL, request, job, exchange)
        except ProviderError as error:
            retry_after_s = _note_failed_poll(job.id, installed, error)
        except PluginError as error:
            _log.error("poll failed: job=%s plugin=%s error=%s", job.id, installed.name, error)
        else:
            before, job = job, await fold.apply_update(context, job, update)
            if job is before and not job.request.debug.trace:  # each of its polls is logged
                context.quiet_polls.remember(self.mark, job, installed, exchange, self.began)
            if job.state.is_final:
                return None
            if job.delivered_at is not None:
                return await settle(context, job)
        pause_s = jobs.next_poll_s(job, installed.provider.poll, context.clock.now(), context.speed)
        return min(max(pause_s, retry_after_s / context.speed), _until_s(context, job.deadline_at))


def _note_failed_poll(job_id: str, installed: InstalledProvider, error: ProviderError) -> float:
    """Log a poll that failed; the seconds that the vendor wants us to wait.

    It says nothing about the song: the job stays as it was, and the deadline bounds it.
    """
    _log.info("poll failed: job=%s plugin=%s error=%s", job_id, installed.name, error)
    return error.retry_after_s or 0.0


def _until_adopted_s(context: GatewayContext, deadline_at: datetime) -> float:
    """Seconds until the next step of a job that only a callback takes further."""
    wait_s = _until_s(context, deadline_at)
    return min(wait_s, _ADOPTED_ELSEWHERE_S / context.speed) if context.shares.replica else wait_s


def _until_s(context: GatewayContext, deadline_at: datetime) -> float:
    return max(0.0, (deadline_at - context.clock.steady()).total_seconds())
