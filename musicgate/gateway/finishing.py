"""Finish delivered audio: convert it to the format of the request, and mark it where that is wanted.

The file as the vendor delivered it stays beside the finished one. It knows no files and no links.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import TYPE_CHECKING

import attrs

from musicgate import jobs
from musicgate.assets.marks import Tags
from musicgate.engine import no_stray_cancellation
from musicgate.errors import MarksError, NotAudioError
from musicgate.gateway.audio_keeper import is_wanted
from musicgate.model import OptionWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Asset, Job, Track

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Finished:
    """What came of a job's tracks.

    Attributes:
        assets: the finished files by track index.
        warnings: what was made of what, and what could not be made.
        our_faults: what failed on our own side, and may work later.
    """

    assets: dict[int, Asset] = attrs.field(factory=dict)
    warnings: list[OptionWarning] = attrs.field(factory=list)
    our_faults: dict[int, Exception] = attrs.field(factory=dict)


def tracks_to_finish(
    context: GatewayContext, job: Job, audio: jobs.KeptAudio = jobs.NO_AUDIO
) -> Sequence[Track]:
    """The tracks whose audio is kept, or is to be, and is not yet as it is to be served."""
    return [
        track
        for track in jobs.with_audio(job.tracks, audio)
        if track.asset is not None
        and track.original is None
        and (context.keeper.marks or _conversion(job, track.asset))
    ]


async def finish_all(context: GatewayContext, job: Job, tracks: Sequence[Track]) -> Finished:
    """Convert and mark tracks, one after another."""
    result = Finished()
    for track in tracks:
        if track.asset is None:
            continue
        wanted = _conversion(job, track.asset)
        try:
            tags = _tags(job, track) if context.keeper.marks else None
            with no_stray_cancellation():
                made = await context.keeper.finish(track.asset, wanted, tags, job.id, track.index)
        except (NotAudioError, MarksError) as error:
            _log.warning("audio cannot be finished: job=%s track=%s error=%s", job.id, track.index, error)
            what = f"converted to {wanted}" if isinstance(error, NotAudioError) else "marked"
            message = f"track {track.index} stays as it was delivered: it cannot be {what}: {error}"
            result.warnings.append(_warning(WarningCode.NOT_APPLIED, message, job))
        except Exception as error:  # noqa: BLE001 - logged, and tried again until the job's deadline
            result.our_faults[track.index] = error
        else:
            result.assets[track.index] = made
            if wanted is not None:
                result.warnings.append(_converted(job, track.index, track.asset, made))
    return result


def _conversion(job: Job, asset: Asset) -> str | None:
    """The format that kept audio is to be converted to, or None."""
    wanted = job.request.format
    if wanted is None or is_wanted(asset.kind, wanted):
        return None
    # The caller chose the format by the vendor's own option, and was told that it beats this one.
    is_overruled = any(
        warning.path == ("format",) and warning.code is WarningCode.NOT_APPLIED for warning in job.warnings
    )
    return None if is_overruled else wanted


def _tags(job: Job, track: Track) -> Tags:
    attempt, artist = job.attempt, job.request.metadata.get("artist")
    return Tags(
        provider=attempt.provider if attempt else "unknown",
        model=attempt.model if attempt else job.request.model,
        tool=f"musicgate {version('musicgate')}",
        job_id=job.id,
        title=track.title or job.request.title,
        artist=artist if isinstance(artist, str) else None,
    )


def _converted(job: Job, index: int, original: Asset, made: Asset) -> OptionWarning:
    lost = ""
    if original.manifest is not None and made.manifest is None:
        lost = ", without its C2PA manifest, which holds for the original only"
    message = (
        f"track {index} was delivered as {_described(original)} and converted to {_described(made)}{lost};"
        " the original is kept"
    )
    return _warning(WarningCode.CHANGED, message, job)


def _described(asset: Asset) -> str:
    rate = "" if asset.sample_rate_hz is None else f" at {asset.sample_rate_hz} Hz"
    return f"{asset.kind} ({asset.codec or 'unknown codec'}{rate})"


def _warning(code: WarningCode, message: str, job: Job) -> OptionWarning:
    return OptionWarning(code=code, path=("format",), message=message, plugin=job.plugin)
