"""Change a stored job: compare-and-set against racing writers, and retry while our disk fails.

A writer that loses the race reads the job again and edits the newest version. What a change says is not known
here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.engine import ShareLostError, no_stray_cancellation
from musicgate.errors import StorageError
from musicgate.model import Failure, FailureClass
from musicgate.webhooks import messages_about

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import AuditEntry, Job

_log = logging.getLogger(__name__)
#: A job is changed by a handful of parties; more lost races than this mean that something is broken.
_MAX_RACES = 50
#: Seconds between tries to store what exists only in memory while our disk fails; the last one repeats.
_DISK_RETRY_S = (1.0, 3.0, 10.0, 30.0)
#: Retries of a write that fails otherwise than by a `StorageError`: it may do so each time.
_MAX_BROKEN_TRIES = 3
DELETED = Failure(reason=FailureClass.CANCELLED, message="the job was deleted")


async def change(
    context: GatewayContext, job: Job, edit: Callable[[Job], Job], *, audit: AuditEntry | None = None
) -> Job:
    """Apply ``edit`` to the newest version of a job and store the result.

    Args:
        job: a version of it, perhaps an old one.
        edit: a pure function of `musicgate.jobs`; returns the same object when there is nothing to do.
            Applied to its own result it changes nothing: a write whose answer is lost is tried again.
        audit: noted with the change, if there is one.

    Returns:
        The version that is stored now. For a job that was deleted meanwhile, one that has ended: nothing may
        be sent for it any more.

    Raises:
        StorageError: the store is full, read-only or broken.
        ShareLostError: another replica follows the job now; nothing was stored.
    """
    for _ in range(_MAX_RACES):
        wanted = edit(job)
        if wanted is job:
            return job
        messages = messages_about(context, job, wanted)
        events = jobs.history(job, wanted, wanted.updated_at)
        stored = await context.store.replace(job, wanted, events, messages, term=context.term, audit=audit)
        if stored is not None:
            context.changed(job, stored)
            if messages:
                context.outbox_written()
            return stored
        newest = await context.store.get(job.id)
        if newest is None:
            await context.keeper.release(job.id)  # audio that came after its job was deleted
            return jobs.fail(wanted, DELETED, wanted.updated_at)
        if newest.version == job.version and context.term is not None:
            raise ShareLostError(job.id)
        if newest.state.is_final:
            context.ended(newest)  # perhaps by this very write, and its answer was lost
        job = newest
    message = f"job {job.id} changed {_MAX_RACES} times while it was being written"
    raise StorageError(message)


async def change_until_stored(context: GatewayContext, job: Job, edit: Callable[[Job], Job]) -> Job:
    """Store a change that exists only in this process, and retry until the job's deadline.

    Raises:
        StorageError: the store still fails at the job's deadline.
    """
    return await until_stored(context, job, lambda: change(context, job, edit))


async def until_stored(
    context: GatewayContext, job: Job, write: Callable[[], Awaitable[Job]], what: str = "stored"
) -> Job:
    """Retry a call of the store about a job: up to its deadline while it fails, else a few times.

    Args:
        write: such a call; a reading one, too.
        what: what it does with the job, for the log.

    Raises:
        StorageError: the store still fails at the job's deadline.
    """
    failures = 0
    while True:
        try:
            with no_stray_cancellation():
                return await write()
        except StorageError as error:
            pause_s = _pause_s(failures)
            if context.clock.steady() >= job.deadline_at:
                raise
            _log.error("job not %s, retrying: job=%s retry_s=%s error=%s", what, job.id, pause_s, error)
        except Exception:
            pause_s = _pause_s(failures)
            if failures >= _MAX_BROKEN_TRIES:
                raise
            _log.exception("job not %s, retrying: job=%s retry_s=%s", what, job.id, pause_s)
        failures += 1
        await context.clock.sleep(pause_s / context.speed)


def _pause_s(failures: int) -> float:
    """Seconds until the next try after so many."""
    return _DISK_RETRY_S[min(failures, len(_DISK_RETRY_S) - 1)]
