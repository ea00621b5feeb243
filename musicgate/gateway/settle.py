"""The last step of a job: fetch the audio that the vendor has finished, measure it, price it; only then is the job completed.

A vendor's link may refuse for a while after "done", answer with nothing, or break off. So each track is tried again, by all its links,
for `ARCHIVE_GRACE_S`; what was fetched is written down track by track. When the time is up the job is completed with the tracks that play,
and the others say why they do not. A job without one good track fails, with its vendor links left in place: the caller may have more luck.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from musicgate import lifecycle, pricing
from musicgate.audio import NotAudioError
from musicgate.errors import ProviderError, StorageError
from musicgate.gateway import record
from musicgate.routing import find_offer

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Asset, Job, PriceRule, Track

_log = logging.getLogger(__name__)

#: Seconds for which a finished track is tried to be fetched.
#: Seen: Suno links that answer 403 for a while after SUCCESS; empty and truncated bodies, August and September 2026.
ARCHIVE_GRACE_S = 600.0
#: Pause between two tries grows with the time since delivery, within these bounds, in seconds.
_PAUSE_MIN_S, _PAUSE_MAX_S = 2.0, 60.0
_DOWNLOAD_TIMEOUT_S = 300.0


async def settle(context: GatewayContext, job: Job) -> float | None:
    """Fetch what is not kept yet, then end the job, or say when to try again.

    Returns:
        Seconds until the next try; None when the job is final.
    """
    results: dict[int, Asset | str] = {}
    our_fault: StorageError | None = None
    if context.settings.assets.archive:
        wanted = [
            track
            for track in job.tracks
            if track.asset is None and track.audio_url and not track.failure_message
        ]
        for track, outcome in zip(
            wanted, await asyncio.gather(*(_fetch(context, job.id, track) for track in wanted)), strict=True
        ):
            if isinstance(outcome, StorageError):
                our_fault = outcome
            else:
                results[track.index] = outcome
    now = context.clock.now()
    since_s = (now - (job.delivered_at or now)).total_seconds()
    failed = {index: reason for index, reason in results.items() if isinstance(reason, str)}
    final = our_fault is None and (not failed or since_s >= ARCHIVE_GRACE_S / context.speed)

    def edit(current: Job) -> Job:
        tracks = tuple(_with_result(track, results.get(track.index), final=final) for track in current.tracks)
        if not final:
            return (
                current if tracks == current.tracks else attrs.evolve(current, tracks=tracks, updated_at=now)
            )
        return lifecycle.settle(
            current, tracks, pricing.measure_usage(tracks, _prices(context, current)), now
        )

    job = await record.change(context, job, edit)
    if job.state.is_final:
        return None
    if our_fault is not None:
        _log.error("job %s: its audio cannot be kept: %s", job.id, our_fault)
    for index, reason in failed.items():
        _log.info("job %s: track %s cannot be fetched yet: %s", job.id, index, reason)
    return min(_PAUSE_MAX_S, max(_PAUSE_MIN_S, since_s * context.speed / 4)) / context.speed


async def _fetch(context: GatewayContext, job_id: str, track: Track) -> Asset | str | StorageError:
    """The kept audio of a track, or why none of its links gave any; our own disk's failure says nothing about the links."""
    reasons = []
    for url in (track.audio_url, *track.fallback_urls):
        if not url:
            continue
        try:
            staged = context.assets.stage(job_id, track.index)
        except StorageError as error:
            return error
        try:
            await context.transport.download(
                url, staged.path, max_bytes=context.settings.assets.max_bytes, timeout_s=_DOWNLOAD_TIMEOUT_S
            )
            return await context.assets.keep(staged, job_id, track.index)
        except StorageError as error:
            return error
        except (ProviderError, NotAudioError) as error:
            reasons.append(str(error))
        finally:
            context.assets.discard(staged)
    return "; ".join(dict.fromkeys(reasons)) or "no link"


def _with_result(track: Track, result: Asset | str | None, *, final: bool) -> Track:
    if result is None:
        return track
    if isinstance(result, str):
        return attrs.evolve(track, failure_message=result) if final else track
    return attrs.evolve(track, asset=result)


def _prices(context: GatewayContext, job: Job) -> tuple[PriceRule, ...]:
    live = context.live(job)
    offer = find_offer(live.provider, job.attempt.model) if live and job.attempt else None
    return offer.prices if offer else ()
