"""Receive a vendor's callback: check token and signature, adopt a job without an id, poll now.

A callback is a hint. No state, no link and no audio is taken from it. The one thing it may bring is the
vendor's task id, and only for a job that has none; the next poll asks the vendor itself about that id. A job
that was cancelled while its create call was in flight takes the id as well: only with it can the vendor be
asked to stop.

A signed callback is used once: its time stamp bounds its age, and within that time a repetition is answered
and ignored.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections import OrderedDict
from enum import Enum, auto
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.errors import JobNotFoundError, MusicgateError, UnauthorisedError
from musicgate.gateway import commit
from musicgate.gateway.fold import holds_secret
from musicgate.model import JobUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Job

_log = logging.getLogger(__name__)


class Hint(Enum):
    """What to do after a callback."""

    NOTHING = auto()
    POLL = auto()
    #: It brought the id of a job that was cancelled before: now the vendor can be asked to stop.
    STOP = auto()


class SeenCallbacks:
    """Digests of the last signed callbacks. Empty after a restart: one poll too many does no harm."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def __contains__(self, digest: bytes) -> bool:
        """True if the callback was received before."""
        return digest in self._digests

    def add(self, digest: bytes) -> None:
        """Remember a callback; forget the oldest beyond the capacity."""
        self._digests[digest] = None
        if len(self._digests) > self._capacity:
            self._digests.popitem(last=False)


async def job_of_token(context: GatewayContext, job_id: str, token: str) -> Job:
    """The job of a callback address.

    Raises:
        JobNotFoundError: no such job, or the token is not the job's; which of the two, the error does not
            say.
    """
    job = await context.store.get(job_id)
    expected = "" if job is None else job.callback_token
    if not hmac.compare_digest(expected.encode(), token.encode("utf-8", "replace")) or job is None:
        raise JobNotFoundError(job_id)
    return job


async def receive_callback(
    context: GatewayContext,
    seen: SeenCallbacks,
    job_id: str,
    token: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Hint:
    """Check a callback, and let it adopt its job where that has no vendor's id.

    Args:
        headers: with lower-case names.

    Returns:
        What to do next.

    Raises:
        JobNotFoundError: no such job, or the token is not the job's.
        UnauthorisedError: the signature is missing, wrong or stale.
    """
    job = await job_of_token(context, job_id, token)
    installed = context.installed(job)
    if installed is None or (
        job.state.is_final and (job.native_id is not None or not jobs.was_cancelled(job))
    ):
        return Hint.NOTHING
    masker = installed.masker(job.callback_token)
    try:
        claim = installed.plugin.parse_callback(
            headers, body, installed.settings, context.clock.now().timestamp()
        )
    except MusicgateError as error:
        _log.warning("callback cannot be read, polling: job=%s error=%s", job_id, masker.text(str(error)))
        return Hint.NOTHING if job.native_id is None else Hint.POLL
    if claim.verified is False:
        message = masker.text(claim.message or "the callback's signature is not good")
        _log.warning("callback refused: job=%s error=%s", job_id, message)
        raise UnauthorisedError("invalid_signature", message)
    # The body and not its signature: a vendor signs a repetition anew, and its content is still the same.
    digest = hashlib.sha256(job_id.encode() + b"\n" + body).digest()
    if claim.verified and digest in seen:
        # Not an error: kie.ai asks for idempotency, repeats a callback that it thinks was not taken, and
        # fails a song over it.
        return Hint.NOTHING
    if job.native_id is None and claim.native_id is not None:
        now = context.clock.now()
        update = JobUpdate(native_id=claim.native_id)
        quotes = holds_secret(context, job, update)
        job = await commit.change(
            context, job, lambda current: jobs.apply(current, update, None, now, holds_secret=quotes)
        )
    if claim.native_id is not None and claim.native_id != job.native_id:
        _log.warning("callback names another task, ignored: job=%s", job_id)
        return Hint.NOTHING
    if claim.verified and job.native_id is not None:
        seen.add(digest)
    if job.native_id is None:
        return Hint.NOTHING
    return Hint.STOP if job.state.is_final else Hint.POLL
