"""Cancel a job: ask the vendor to stop where that is possible, then end the job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.errors import MusicgateError, RequestError
from musicgate.gateway import commit
from musicgate.gateway.vendor_call import call_vendor
from musicgate.plugin import Step

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import AuditEntry, Job

_log = logging.getLogger(__name__)


async def cancel(context: GatewayContext, job: Job, *, audit: AuditEntry | None = None) -> Job:
    """End an open job as ``cancelled``.

    Args:
        audit: noted with its end.

    Returns:
        The job as it is stored now; cancelling a cancelled job again changes nothing.

    Raises:
        RequestError: 409, the job has ended already, or the vendor has delivered it, perhaps while it was
            asked to stop.
    """
    if jobs.was_cancelled(job):
        return job
    _refuse_finished(job)
    was_stopped = job.was_sent and await stop_vendor(context, job)
    now = context.clock.now()
    # The edit reads the newest version: the job may have been sent or delivered while the vendor was asked to
    # stop.
    stored = await commit.change(
        context, job, lambda current: jobs.cancel(current, now, was_stopped=was_stopped), audit=audit
    )
    if not jobs.was_cancelled(stored):
        _refuse_finished(stored)
    return stored


async def stop_vendor(context: GatewayContext, job: Job) -> bool:
    """Ask a job's vendor to stop. Never raises, since a job ends even if its vendor cannot be asked.

    Returns:
        True if the vendor took the request.
    """
    installed = context.installed(job)
    if installed is None or job.native_id is None:
        return False
    try:
        request = installed.plugin.cancel(job, installed.settings)
        if request is None:
            return False
        update = await call_vendor(context, installed, Step.CANCEL, request, job)
    except MusicgateError as error:
        _log.warning("vendor not stopped: job=%s plugin=%s error=%s", job.id, installed.name, error)
        return False
    return jobs.says_stopped(update)


def _refuse_finished(job: Job) -> None:
    if job.state.is_final or job.delivered_at is not None:
        state = "finished" if job.delivered_at else job.state.value
        message = f"job {job.id} is {state}; it cannot be cancelled any more"
        raise RequestError("not_supported", message, reason="already_final", http_status=409)
