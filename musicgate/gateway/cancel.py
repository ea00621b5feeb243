"""Stops a job at the caller's word: tells the vendor where that can be told, and says honestly what that means for the bill."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from musicgate import lifecycle
from musicgate.errors import MusicgateError, RequestError
from musicgate.gateway import record
from musicgate.gateway.exchange import exchange
from musicgate.hookspecs import Step
from musicgate.model import AttemptOutcome, Failure, FailureClass

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
        RequestError: 409, the job has ended already.
    """
    if job.failure is not None and job.failure.reason is FailureClass.CANCELLED:
        return job
    if job.state.is_final or job.delivered_at is not None:
        message = f"job {job.id} is {'finished' if job.delivered_at else job.state.value}; it cannot be cancelled any more"
        raise RequestError("not_supported", message, reason="already_final", status=409)
    never_sent = job.attempt is None or job.attempt.outcome is AttemptOutcome.PLANNED
    told = not never_sent and await _tell(context, job)
    now = context.clock.now()

    def edit(current: Job) -> Job:
        # Its turn may have come while we decided: then it was sent, and only the vendor knows the rest.
        sent = current.attempt is not None and current.attempt.outcome is not AttemptOutcome.PLANNED
        message = (_TOLD if told else _NOT_TOLD) if sent else _NEVER_SENT
        return lifecycle.fail(
            current, Failure(reason=FailureClass.CANCELLED, message=message, may_have_cost=sent), now
        )

    return await record.change(context, job, edit)


async def _tell(context: GatewayContext, job: Job) -> bool:
    """True if the vendor took the word."""
    live = context.live(job)
    if live is None or job.native_id is None:
        return False
    try:
        request = live.plugin.cancel(job, live.settings)
        if request is None:
            return False
        update = await exchange(context, live, Step.CANCEL, request, job)
    except MusicgateError as error:
        _log.warning("job %s: %s could not be told to stop: %s", job.id, live.name, error)
        return False
    return update.failure is None
