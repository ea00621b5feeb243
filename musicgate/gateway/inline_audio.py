"""Keep audio that a vendor sends as bytes inside its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate import jobs
from musicgate.errors import JobNotFoundError, NotAudioError

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Asset, Job, JobUpdate

#: Ends the failure message of a track whose bytes were kept.
REJECTED_ARE_KEPT: Final = "; the delivered bytes are kept for the gateway's operator"


async def keep_inline_audio(context: GatewayContext, job: Job, update: JobUpdate) -> jobs.KeptAudio:
    """Store the audio bytes of an answer by track; bytes that do not play are reported per track.

    Raises:
        StorageError: our own disk failed.
    """
    if not any(track.audio for track in update.tracks) or job.state.is_final:
        return jobs.NO_AUDIO
    assets: dict[int, Asset] = {}
    broken: dict[int, str] = {}
    rejected: dict[int, Asset] = {}
    indexes = jobs.merge_tracks(job.tracks, update.tracks).indexes
    for index, track in zip(indexes, update.tracks, strict=True):
        if not track.audio:
            continue
        try:
            try:
                assets[index] = await context.keeper.keep_bytes(track.audio, job.id, index)
            except NotAudioError as error:
                broken[index] = f"the vendor's audio does not play: {error}"
                kept = await context.keeper.keep_rejected_bytes(track.audio, job.id, index)
                if kept is not None:
                    rejected[index] = kept
                    broken[index] += REJECTED_ARE_KEPT
        except JobNotFoundError:  # deleted while its create call was in flight
            return jobs.NO_AUDIO
    return jobs.KeptAudio(assets=assets, broken=broken, rejected=rejected)
