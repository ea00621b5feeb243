"""Settle a delivered job: fetch, measure, convert and price its audio; then it is completed.

A vendor's link may refuse for a while after "done", answer with nothing, or break off. So each track is tried
again, by all its links, for `ARCHIVE_GRACE_S`; what was fetched is stored track by track. At the end of that
time the job is completed with the tracks that play, and the others say why they do not. A job without one
good track fails, with its vendor links in place: they may work for the caller.

Audio in another format than the request asked for is converted; the original is stored first, and stays.
Audio that cannot be converted is kept as it is, with a warning.

What does not decode is kept at the last try, as the bytes that were paid for: see `Track.rejected`.

What fails on our own side (a full disk, a bug) says nothing about the links, and is tried again until the
job's deadline.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import attrs

from musicgate import jobs, planning
from musicgate.engine import no_stray_cancellation
from musicgate.errors import JobNotFoundError, NotAudioError, ProviderError, StorageError
from musicgate.gateway import commit
from musicgate.gateway.counting import OTHER
from musicgate.gateway.covers import keep_covers
from musicgate.gateway.finishing import finish_all, tracks_to_finish
from musicgate.gateway.inline_audio import REJECTED_ARE_KEPT
from musicgate.model import Asset, OptionWarning, WarningCode
from musicgate.planning import find_offer
from musicgate.tracing import span_of_job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Job, PriceRule, Track

_log = logging.getLogger(__name__)

#: Seconds for which fetching a finished track is tried.
#: Seen: Suno links that answer 403 for a while after SUCCESS; empty and truncated bodies, August and
#: September 2026.
ARCHIVE_GRACE_S = 600.0
#: Pause between two tries grows with the time since delivery, within these bounds, in seconds.
_PAUSE_MIN_S, _PAUSE_MAX_S = 2.0, 60.0
_DOWNLOAD_TIMEOUT_S = 300.0
#: Tracks of one job that are fetched at a time: a vendor's answer may name any number.
_DOWNLOADS_PER_JOB = 4
#: A vendor rounds the duration, or says the planned one; what differs by more is told.
_MAX_DIFFERENCE_S = 1.0


async def settle(context: GatewayContext, job: Job) -> float | None:
    """Fetch what is not kept yet, then end the job, or say when to try again.

    Returns:
        Seconds until the next try; None when the job is final.
    """
    about = {"musicgate.job": job.id}
    with span_of_job(context.tracing, job.trace, "settle", about, parent=job.trace):
        return await _settle(context, job)


async def _settle(context: GatewayContext, job: Job) -> float | None:
    # Before the fetch: what its last try keeps of broken audio depends on it.
    steady = context.clock.steady()
    since_s = (steady - (job.delivered_at or steady)).total_seconds()
    is_over = since_s >= ARCHIVE_GRACE_S / context.speed
    results = await _fetch_all(context, job, is_over=is_over)
    if any(isinstance(result, JobNotFoundError) for result in results.values()):
        return None  # it was deleted meanwhile
    our_faults: Mapping[int, Exception] = {
        index: result for index, result in results.items() if isinstance(result, Exception)
    }
    missing = {index: result for index, result in results.items() if isinstance(result, Missing)}
    now = context.clock.now()
    is_last_try = not our_faults and (is_over or all(result.is_final for result in missing.values()))
    audio = jobs.KeptAudio(
        assets={index: result for index, result in results.items() if isinstance(result, Asset)},
        broken={
            index: result.message
            for index, result in missing.items()
            if is_over or is_last_try or result.is_final
        },
        rejected={index: result.rejected for index, result in missing.items() if result.rejected},
    )
    warnings: list[OptionWarning] = []
    if is_last_try and (unfinished := tracks_to_finish(context, job, audio)):
        # The original is known to the job before anything else is done with it.
        job = await commit.change(context, job, lambda current: jobs.keep_audio(current, audio, now))
        finished = await finish_all(context, job, unfinished)
        our_faults, warnings = finished.our_faults, finished.warnings
        is_last_try = not our_faults
        audio = attrs.evolve(audio, finished=finished.assets)
    if is_last_try:
        covers = await keep_covers(context, job, jobs.with_audio(job.tracks, audio))
        audio = attrs.evolve(audio, images=covers)
    warnings += _contradictions(job, audio)

    trouble = next((storage_trouble(error) for error in our_faults.values()), None)

    def edit(current: Job) -> Job:
        if not is_last_try:
            return jobs.keep_audio(current, audio, now, trouble)
        tracks, prices = jobs.with_audio(current.tracks, audio), _prices(context, current)
        usage = planning.measure_usage(tracks, prices)
        unpriced = planning.why_unpriced(usage, prices)
        return jobs.settle(current, tracks, usage, now, unpriced, warnings)

    stored = await commit.change(context, job, edit)
    if stored.state.is_final:
        kept = {asset.name for asset in (*audio.assets.values(), *audio.rejected.values())}
        if kept and kept.isdisjoint(asset.name for track in stored.tracks for asset in track.assets):
            _log.info("job ended while its audio was fetched, audio removed: job=%s", job.id)
            await context.keeper.release(job.id)
        return None
    for index, error in our_faults.items():
        _log.error("audio cannot be kept: job=%s track=%s error=%r", job.id, index, error)
    for index, reason in missing.items():
        _log.info("audio cannot be fetched yet: job=%s track=%s reason=%s", job.id, index, reason.message)
    return min(_PAUSE_MAX_S, max(_PAUSE_MIN_S, since_s * context.speed / 4)) / context.speed


def storage_trouble(error: Exception) -> str:
    """What a job's events say of an error of our own, which keeps its audio from being stored."""
    return str(error) if isinstance(error, StorageError) else "the gateway failed; its log says why"


@attrs.frozen
class Missing:
    """Why none of a track's links gave audio.

    Attributes:
        is_final: another try cannot change that.
        rejected: what was delivered instead, at the last try.
    """

    message: str
    is_final: bool = False
    rejected: Asset | None = None


#: The kept audio of a track; or why none of its links gave any; or what failed on our own side.
Fetched = Asset | Missing | Exception


async def _fetch_all(context: GatewayContext, job: Job, *, is_over: bool) -> dict[int, Fetched]:
    """Fetch every track that is not kept yet, a few at a time. By track index."""
    if not context.settings.assets.archive:
        return {}
    wanted = [
        track for track in job.tracks if track.asset is None and track.audio_url and not track.failure_message
    ]
    downloads = asyncio.Semaphore(_DOWNLOADS_PER_JOB)

    async def fetch(track: Track) -> Fetched:
        async with downloads:
            return await _fetch_guarded(context, job, track, is_over=is_over)

    async with asyncio.TaskGroup() as group:
        fetching = {track.index: group.create_task(fetch(track)) for track in wanted}
    return {index: task.result() for index, task in fetching.items()}


async def _fetch_guarded(context: GatewayContext, job: Job, track: Track, *, is_over: bool) -> Fetched:
    """Fetch a track; an error on our own side is a result, so that it does not stop other tracks."""
    try:
        with no_stray_cancellation():
            return await _fetch(context, job, track, is_over=is_over)
    except Exception as error:  # noqa: BLE001 - logged, and tried again until the job's deadline
        return error


async def _fetch(context: GatewayContext, job: Job, track: Track, *, is_over: bool) -> Fetched:
    """Keep the audio of a track, by the first of its links that gives any.

    Args:
        is_over: this is the last try: what does not play is kept as it is.

    Raises:
        StorageError: our own disk failed.
    """
    reasons: list[str] = []
    are_final, rejected = True, None
    with ExitStack() as held:
        undecodable: Path | None = None
        for url in (track.audio_url, *track.fallback_urls):
            if not url:
                continue
            with ExitStack() as own:
                staged = own.enter_context(context.keeper.staged(job.id, track.index))
                try:
                    await _download(context, job, url, staged)
                    return await context.keeper.keep(staged, job.id)
                except (ProviderError, NotAudioError) as error:
                    reasons.append(str(error))
                    are_final = are_final and getattr(error, "is_final", False)
                    if is_over and undecodable is None and isinstance(error, NotAudioError):
                        undecodable = staged
                        held.push(own.pop_all())
        if undecodable is not None:
            rejected = await context.keeper.keep_rejected(undecodable, job.id)
    message = "; ".join(dict.fromkeys(reasons)) or "no link"
    if rejected is not None:
        message += REJECTED_ARE_KEPT
    return Missing(message, is_final=are_final and bool(reasons), rejected=rejected)


async def _download(context: GatewayContext, job: Job, url: str, staged: Path) -> None:
    """Download a vendor's link into a file, and count how that went."""
    installed = context.installed(job)
    plugin = OTHER if installed is None else installed.name
    attributes = {"musicgate.job": job.id, "musicgate.plugin": plugin}
    outcome, began_s = "failed", time.perf_counter()
    with span_of_job(context.tracing, job.trace, "download", attributes, kind="CLIENT"):
        try:
            await context.transport.download(
                url,
                staged,
                max_bytes=context.settings.assets.max_bytes,
                timeout_s=_DOWNLOAD_TIMEOUT_S,
                own_headers=context.media_headers(job, url),
            )
            outcome = "fetched"
        finally:
            context.figures.downloads.observe((plugin, outcome), time.perf_counter() - began_s)


def _contradictions(job: Job, audio: jobs.KeptAudio) -> list[OptionWarning]:
    """What the vendor says of its audio, and is not so."""
    return [
        OptionWarning(
            code=WarningCode.DIFFERS,
            path=(),
            message=(
                f"the vendor says that track {track.index} lasts {track.duration_s:.1f} s;"
                f" its audio lasts {track.asset.duration_s:.1f} s"
            ),
            plugin=job.plugin,
        )
        for track in jobs.with_audio(job.tracks, audio)
        if track.asset is not None
        and track.duration_s is not None
        and abs(track.duration_s - track.asset.duration_s) > _MAX_DIFFERENCE_S
    ]


def _prices(context: GatewayContext, job: Job) -> tuple[PriceRule, ...]:
    installed = context.installed(job)
    offer = find_offer(installed.provider, job.attempt.model) if installed and job.attempt else None
    return offer.prices if offer else ()
