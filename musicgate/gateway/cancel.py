"""Stops a job at its caller's request: tells the vendor where that is possible, and says honestly what that means for the bill."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.errors import MusicgateError, RequestError
from musicgate.gateway import commit
from musicgate.gateway.vendor_call import call_vendor
from musicgate.model import AttemptOutcome, Failure, FailureClass
from musicgate.plugin import Step

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Job

_log = logging.getLogger(__name__)

_NEVER_SENT = "cancelled before it was sent; nothing is billed"
_TOLD = "cancelled; the vendor was told, and may bill what it had done"
_NOT_TOLD = "cancelled here; the vendor could not be told, so it may finish the song and bill it"


async def cancel(context: GatewayContext, job: Job) -> Job:
    """End an open job as ``cancelled``.

    Returns:
        The job as it is stored now; cancelling a cancelled job again changes nothing.

    Raises:
        RequestError: 409, the job has ended already, or the vendor has delivered it, perhaps while it was being told to stop.
    """
    if jobs.was_cancelled(job):
        return job
    _refuse_finished(job)
    never_sent = job.attempt is None or job.attempt.outcome is AttemptOutcome.PLANNED
    is_told = not never_sent and await tell_vendor_to_stop(context, job)
    now = context.clock.now()

    def edit(current: Job) -> Job:
        if current.delivered_at is not None:
            return current  # the song is there, and it is paid for
        # It may have got its slot while we decided: then it was sent, and only the vendor knows the rest.
        sent = current.attempt is not None and current.attempt.outcome is not AttemptOutcome.PLANNED
        message = (_TOLD if is_told else _NOT_TOLD) if sent else _NEVER_SENT
        return jobs.fail(
            current, Failure(reason=FailureClass.CANCELLED, message=message, may_have_cost=sent), now
        )

    stored = await commit.change(context, job, edit)
    if not jobs.was_cancelled(stored):
        _refuse_finished(stored)
    return stored


async def tell_vendor_to_stop(context: GatewayContext, job: Job) -> bool:
    """True if the vendor took it. Never raises: that a vendor cannot be told is no reason to keep a job."""
    installed = context.installed(job)
    if installed is None or job.native_id is None:
        return False
    try:
        request = installed.plugin.cancel(job, installed.settings)
        if request is None:
            return False
        update = await call_vendor(context, installed, Step.CANCEL, request, job)
    except MusicgateError as error:
        _log.warning("job %s: %s could not be told to stop: %s", job.id, installed.name, error)
        return False
    return update.failure is None


def _refuse_finished(job: Job) -> None:
    if job.state.is_final or job.delivered_at is not None:
        word = "finished" if job.delivered_at else job.state.value
        message = f"job {job.id} is {word}; it cannot be cancelled any more"
        raise RequestError("not_supported", message, reason="already_final", http_status=409)
