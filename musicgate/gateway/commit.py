"""Writes down what happened to a job: fold, compare-and-set, tell; whoever loses the race reads again and folds again."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

import attrs

from musicgate import jobs
from musicgate.engine import no_stray_cancellation
from musicgate.errors import MusicgateError, NotAudioError, StorageError
from musicgate.model import (
    Asset,
    Failure,
    FailureClass,
    JobUpdate,
)
from musicgate.webhooks import messages_about

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from musicgate.gateway.context import GatewayContext
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job, JobState

_log = logging.getLogger(__name__)
#: A job is changed by a handful of parties; more lost races than this means that something is broken.
_MAX_RACES = 50
#: Seconds between tries to store what exists only in memory when our disk fails; the last one repeats.
_DISK_RETRY_S = (1.0, 3.0, 10.0, 30.0)
#: Tries of a write that breaks in another way than the disk; it may do so each time.
_MAX_BROKEN_TRIES = 3
_DELETED = Failure(reason=FailureClass.CANCELLED, message="the job was deleted")


async def change(context: GatewayContext, job: Job, edit: Callable[[Job], Job]) -> Job:
    """Apply ``edit`` to the newest version of a job and store it.

    Args:
        job: a version of it, perhaps an old one.
        edit: a pure function; returns the same object when there is nothing to do. Applied again to its own result it changes nothing:
            a write whose answer is lost is tried again.

    Returns:
        The version that is stored now. For a job that was deleted meanwhile, one that has ended: nothing may be sent for it any more.

    Raises:
        StorageError: the store is full, read-only or broken.
    """
    for _ in range(_MAX_RACES):
        wanted = edit(job)
        if wanted is job:
            return job
        messages = messages_about(context, job, wanted)
        events = jobs.history(job, wanted, wanted.updated_at)
        stored = await context.store.replace(job, wanted, events, messages)
        if stored is not None:
            context.changed(job, stored)
            if messages:
                context.outbox_changed.set()
            return stored
        newest = await context.store.get(job.id)
        if newest is None:
            await context.assets.delete(job.id)  # audio that came after its job was deleted
            return jobs.fail(wanted, _DELETED, wanted.updated_at)
        if newest.state.is_final:
            context.ended(newest)  # perhaps by this very write, and its answer was lost
        job = newest
    message = f"job {job.id} changed {_MAX_RACES} times while it was being written"
    raise StorageError(message)


async def change_until_stored(context: GatewayContext, job: Job, edit: Callable[[Job], Job]) -> Job:
    """Store a change that exists only in this process, however long our disk fails: until the job's deadline.

    Raises:
        StorageError: the store still fails when the job's time is up.
    """
    return await _until_stored(context, job, lambda: change(context, job, edit))


async def apply_update_until_stored(context: GatewayContext, job: Job, update: JobUpdate) -> Job:
    """Fold the answer to a create call, however long our disk fails; at the least the id that it brought is stored.

    Raises:
        StorageError: the store still fails when the job's time is up.
    """
    try:
        return await _until_stored(context, job, lambda: apply_update(context, job, update))
    except StorageError:
        raise
    except Exception:
        if update.native_id is None:
            raise
        _log.exception("job %s: its answer cannot be folded; only the vendor's id is kept", job.id)
        now, bare = context.clock.now(), JobUpdate(native_id=update.native_id)
        return await change_until_stored(context, job, lambda current: jobs.apply(current, bare, None, now))


async def _until_stored(context: GatewayContext, job: Job, write: Callable[[], Awaitable[Job]]) -> Job:
    """Repeat a write: while our disk fails, up to the job's deadline; after any other error a few times."""
    pauses = itertools.chain(_DISK_RETRY_S, itertools.repeat(_DISK_RETRY_S[-1]))
    for failures, pause_s in enumerate(pauses, 1):
        try:
            with no_stray_cancellation():
                return await write()
        except StorageError as error:
            if context.clock.steady() >= job.deadline_at:
                raise
            _log.error(
                "job %s: its answer cannot be stored (%s); trying again in %s s", job.id, error, pause_s
            )
        except Exception:
            if failures > _MAX_BROKEN_TRIES:
                raise
            _log.exception("job %s: storing its answer broke; trying again in %s s", job.id, pause_s)
        await context.clock.sleep(pause_s / context.speed)
    raise AssertionError  # the loop returns or raises


async def apply_update(context: GatewayContext, job: Job, update: JobUpdate) -> Job:
    """Fold a vendor's answer into a job: keep audio that came as bytes first, then store what it says."""
    installed = context.installed(job)
    mapped = _meaning(installed, update.native_status, job) if installed else None
    if (
        mapped is None
        and update.native_status is not None
        and update.state is None
        and update.failure is None
    ):
        _log.warning(
            "job %s: %s said an unknown status %r; the job stays open",
            job.id,
            job.plugin,
            update.native_status,
        )
    kept, broken = await _keep_bytes(context, job, update)
    wants_body = job.request.debug.return_upstream_response
    now, steady = context.clock.now(), context.clock.steady()

    def edit(current: Job) -> Job:
        folded = jobs.apply(current, update, mapped, now, context.speed, steady)
        if folded is current or current.state.is_final or current.delivered_at is not None:
            return folded
        tracks = tuple(
            attrs.evolve(
                track,
                asset=kept.get(track.index, track.asset),
                failure_message=broken.get(
                    track.index, None if track.index in kept else track.failure_message
                ),
            )
            for track in folded.tracks
        )
        body = update.body if wants_body and update.body is not None else folded.native_response
        return attrs.evolve(folded, tracks=tracks, native_response=body)

    job = await change(context, job, edit)
    if kept and not any(track.asset for track in job.tracks):
        await context.assets.delete(job.id)  # it ended, by a cancel for instance, before its audio came
    return job


def _meaning(installed: InstalledProvider, native_status: str | None, job: Job) -> JobState | None:
    """Map a native status; a plugin error counts as an unknown status: the song must not be lost over it."""
    try:
        return installed.plugin.map_status(native_status)
    except MusicgateError as error:
        _log.error("job %s: %s", job.id, error)
        return None


async def _keep_bytes(
    context: GatewayContext, job: Job, update: JobUpdate
) -> tuple[Mapping[int, Asset], Mapping[int, str]]:
    """Store audio that came inside the answer; what is no audio is reported per track."""
    kept: dict[int, Asset] = {}
    broken: dict[int, str] = {}
    if job.state.is_final:
        return kept, broken
    indexes = jobs.track_indexes(job.tracks, update.tracks)
    for index, track in zip(indexes, update.tracks, strict=True):
        if track.audio:
            try:
                kept[index] = await _keep(context, job.id, index, track.audio)
            except NotAudioError as error:
                broken[index] = f"the vendor's audio does not play: {error}"
    return kept, broken


async def _keep(context: GatewayContext, job_id: str, index: int, content: bytes) -> Asset:
    async with context.assets.staged(job_id, index) as staged:
        await context.assets.fill(staged, content)
        return await context.assets.keep(staged, job_id, index)
