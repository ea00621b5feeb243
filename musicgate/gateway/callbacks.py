"""A vendor calls: check the token and the signature, adopt a job whose create answer was lost, and look now; believe nothing else.

A callback is a hint. No state, no link and no audio is taken from it; the one thing it may bring is the vendor's task id, and only for a job
that has none. Whether that id is right is then asked of the vendor itself.
"""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING

from musicgate import lifecycle
from musicgate.errors import JobNotFoundError, MusicgateError, UnauthorisedError
from musicgate.gateway import record
from musicgate.model import JobUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.gateway.context import GatewayContext

_log = logging.getLogger(__name__)


async def receive_callback(
    context: GatewayContext, job_id: str, token: str, headers: Mapping[str, str], body: bytes
) -> bool:
    """Take a callback.

    Args:
        headers: with lower-case names.

    Returns:
        True if the job is worth a look now.

    Raises:
        JobNotFoundError: no such job, or the token is not the job's.
        UnauthorisedError: the signature is missing, wrong or stale.
    """
    job = await context.store.get(job_id)
    if job is None or not hmac.compare_digest(job.callback_token.encode(), token.encode()):
        raise JobNotFoundError(job_id)
    live = context.live(job)
    if live is None or job.state.is_final:
        return False
    try:
        claim = live.plugin.parse_callback(headers, body, live.settings, context.clock.now().timestamp())
    except MusicgateError as error:
        _log.warning("job %s: a callback cannot be read (%s); looking all the same", job_id, error)
        return job.native_id is not None
    if claim.verified is False:
        _log.warning("job %s: a callback was refused: %s", job_id, claim.message)
        raise UnauthorisedError("invalid_signature", claim.message or "the callback's signature is not good")
    if job.native_id is None and claim.native_id is not None:
        now = context.clock.now()
        update = JobUpdate(native_id=claim.native_id)
        job = await record.change(context, job, lambda current: lifecycle.apply(current, update, None, now))
    if claim.native_id is not None and claim.native_id != job.native_id:
        _log.warning("job %s: a callback names another task than ours; ignored", job_id)
        return False
    return job.native_id is not None
