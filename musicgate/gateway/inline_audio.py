"""Keep audio that a vendor sends as bytes inside its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.errors import JobNotFoundError, NotAudioError

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Asset, Job, JobUpdate


async def keep_inline_audio(context: GatewayContext, job: Job, update: JobUpdate) -> jobs.KeptAudio:
    """Store the audio bytes of an answer by track; bytes that do not play are reported per track.

    Raises:
        StorageError: our own disk failed.
    """
    if not any(track.audio for track in update.tracks) or job.state.is_final:
        return jobs.NO_AUDIO
    assets: dict[int, Asset] = {}
    broken: dict[int, str] = {}
    indexes = jobs.merge_tracks(job.tracks, update.tracks).indexes
    for index, track in zip(indexes, update.tracks, strict=True):
        if track.audio:
            try:
                assets[index] = await context.keeper.keep_bytes(track.audio, job.id, index)
            except NotAudioError as error:
                broken[index] = f"the vendor's audio does not play: {error}"
            except JobNotFoundError:  # deleted while its create call was in flight
                return jobs.NO_AUDIO
    return jobs.KeptAudio(assets=assets, broken=broken)
