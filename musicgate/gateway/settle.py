"""The last step of a job: fetch the audio that the vendor has finished, measure it, price it; only then is the job completed.

A vendor's link may refuse for a while after "done", answer with nothing, or break off. So each track is tried again, by all its links,
for `ARCHIVE_GRACE_S`; what was fetched is stored track by track. When the time is up the job is completed with the tracks that play,
and the others say why they do not. A job without one good track fails, with its vendor links left in place: the caller may have more luck.

What fails on our own side (a full disk, a bug) says nothing about the links, and is tried again until the job's deadline.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from musicgate import jobs, planning
from musicgate.engine import no_stray_cancellation
from musicgate.errors import NotAudioError, ProviderError
from musicgate.gateway import commit
from musicgate.model import (
    Asset,
    JobState,
    OptionWarning,
    WarningCode,
)
from musicgate.planning import find_offer

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Job, PriceRule, Track

_log = logging.getLogger(__name__)

#: Seconds for which a finished track is tried to be fetched.
#: Seen: Suno links that answer 403 for a while after SUCCESS; empty and truncated bodies, August and September 2026.
ARCHIVE_GRACE_S = 600.0
#: Pause between two tries grows with the time since delivery, within these bounds, in seconds.
_PAUSE_MIN_S, _PAUSE_MAX_S = 2.0, 60.0
_DOWNLOAD_TIMEOUT_S = 300.0
#: Tracks of one job that are fetched at a time: a vendor's answer may name any number.
_DOWNLOADS_PER_JOB = 4


async def settle(context: GatewayContext, job: Job) -> float | None:
    """Fetch what is not kept yet, then end the job, or say when to try again.

    Returns:
        Seconds until the next try; None when the job is final.
    """
    results = await _fetch_all(context, job)
    our_faults = {index: result for index, result in results.items() if isinstance(result, Exception)}
    missing = {index: result for index, result in results.items() if isinstance(result, Missing)}
    now, steady = context.clock.now(), context.clock.steady()
    since_s = (steady - (job.delivered_at or steady)).total_seconds()
    is_over = since_s >= ARCHIVE_GRACE_S / context.speed
    final = not our_faults and (is_over or all(result.is_final for result in missing.values()))

    def edit(current: Job) -> Job:
        tracks = tuple(
            _with_result(track, results.get(track.index), is_over=is_over or final)
            for track in current.tracks
        )
        if final:
            prices = _prices(context, current)
            usage = planning.measure_usage(tracks, prices)
            settled = jobs.settle(current, tracks, usage, now)
            return _with_warning(settled, planning.why_unpriced(usage, prices))
        if current.state.is_final or tracks == current.tracks:
            return current
        return attrs.evolve(current, tracks=tracks, updated_at=now)

    stored = await commit.change(context, job, edit)
    if stored.state.is_final:
        kept = {result.name for result in results.values() if isinstance(result, Asset)}
        if kept.isdisjoint(track.asset.name for track in stored.tracks if track.asset):
            await _discard(context, stored, kept)
        return None
    for index, error in our_faults.items():
        _log.error("job %s: track %s cannot be kept: %r", job.id, index, error)
    for index, reason in missing.items():
        _log.info("job %s: track %s cannot be fetched yet: %s", job.id, index, reason.message)
    return min(_PAUSE_MAX_S, max(_PAUSE_MIN_S, since_s * context.speed / 4)) / context.speed


@attrs.frozen
class Missing:
    """Why a track has no audio: none of its links gave any. ``is_final``: another try cannot bring it."""

    message: str
    is_final: bool = False


#: The kept audio of a track; or why none of its links gave any; or what failed on our own side, which says nothing about the links.
Fetched = Asset | Missing | Exception


async def _fetch_all(context: GatewayContext, job: Job) -> dict[int, Fetched]:
    """Fetch every track that is not kept yet, a few at a time."""
    if not context.settings.assets.archive:
        return {}
    wanted = [
        track for track in job.tracks if track.asset is None and track.audio_url and not track.failure_message
    ]
    places = asyncio.Semaphore(_DOWNLOADS_PER_JOB)

    async def fetch(track: Track) -> Fetched:
        async with places:
            return await _fetch_guarded(context, job.id, track)

    async with asyncio.TaskGroup() as group:
        fetching = {track.index: group.create_task(fetch(track)) for track in wanted}
    return {index: task.result() for index, task in fetching.items()}


async def _fetch_guarded(context: GatewayContext, job_id: str, track: Track) -> Fetched:
    """One track's trouble, whatever it is, is that track's alone."""
    try:
        with no_stray_cancellation():
            return await _fetch(context, job_id, track)
    except Exception as error:  # noqa: BLE001 - told, logged, and tried again until the job's deadline
        return error


async def _fetch(context: GatewayContext, job_id: str, track: Track) -> Fetched:
    """The kept audio of a track, or why none of its links gave any.

    Raises:
        StorageError: our own disk failed.
    """
    reasons: list[str] = []
    are_final = True
    for url in (track.audio_url, *track.fallback_urls):
        if not url:
            continue
        async with context.assets.staged(job_id, track.index) as staged:
            try:
                await context.transport.download(
                    url,
                    staged.path,
                    max_bytes=context.settings.assets.max_bytes,
                    timeout_s=_DOWNLOAD_TIMEOUT_S,
                )
                return await context.assets.keep(staged, job_id, track.index)
            except (ProviderError, NotAudioError) as error:
                reasons.append(str(error))
                are_final = are_final and getattr(error, "is_final", False)
    return Missing("; ".join(dict.fromkeys(reasons)) or "no link", is_final=are_final and bool(reasons))


async def _discard(context: GatewayContext, job: Job, kept: set[str]) -> None:
    """Remove audio that came after its job had ended, by a cancel or a delete for instance."""
    if kept:
        _log.info("job %s: it ended while its audio was being fetched; the audio is removed", job.id)
        await context.assets.delete(job.id)


def _with_result(track: Track, result: Fetched | None, *, is_over: bool) -> Track:
    if isinstance(result, Asset):
        return attrs.evolve(track, asset=result)
    if isinstance(result, Missing) and (is_over or result.is_final):
        return attrs.evolve(track, failure_message=result.message)
    return track


def _with_warning(job: Job, reason: str | None) -> Job:
    """The job with a warning that it has no price, where there is something to say."""
    if reason is None or job.state is not JobState.COMPLETED:
        return job
    warning = OptionWarning(code=WarningCode.NOT_PRICED, path=(), message=reason)
    return attrs.evolve(job, warnings=(*job.warnings, warning))


def _prices(context: GatewayContext, job: Job) -> tuple[PriceRule, ...]:
    installed = context.installed(job)
    offer = find_offer(installed.provider, job.attempt.model) if installed and job.attempt else None
    return offer.prices if offer else ()
