"""Convert delivered audio to the format that the request asked for; knows no files and no links."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from musicgate import jobs
from musicgate.engine import no_stray_cancellation
from musicgate.errors import NotAudioError
from musicgate.gateway.audio_keeper import is_wanted
from musicgate.model import OptionWarning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Asset, Job, Track

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Converted:
    """What came of the conversions of a job's tracks.

    Attributes:
        assets: the converted files by track index.
        warnings: what was made of what, and what could not be converted.
        our_faults: what failed on our own side, and may work later.
    """

    assets: dict[int, Asset] = attrs.field(factory=dict)
    warnings: list[OptionWarning] = attrs.field(factory=list)
    our_faults: dict[int, Exception] = attrs.field(factory=dict)


def tracks_to_convert(job: Job, audio: jobs.KeptAudio = jobs.NO_AUDIO) -> Sequence[Track]:
    """The tracks whose audio is kept, or is to be, in another format than the request asked for."""
    wanted = job.request.format
    if wanted is None or _is_overruled(job):
        return ()
    return [
        track
        for track in jobs.with_audio(job.tracks, audio)
        if track.asset is not None and track.original is None and not is_wanted(track.asset.kind, wanted)
    ]


async def convert_all(context: GatewayContext, job: Job, tracks: Sequence[Track]) -> Converted:
    """Convert tracks to the format of the request, one after another."""
    result = Converted()
    wanted = job.request.format or ""
    for track in tracks:
        if track.asset is None:
            continue
        try:
            with no_stray_cancellation():
                made = await context.keeper.convert(track.asset, wanted, job.id, track.index)
        except NotAudioError as error:
            _log.warning("audio cannot be converted: job=%s track=%s error=%s", job.id, track.index, error)
            message = (
                f"track {track.index} is {track.asset.kind}: it cannot be converted to {wanted}: {error}"
            )
            result.warnings.append(_warning(WarningCode.NOT_APPLIED, message, job))
        except Exception as error:  # noqa: BLE001 - logged, and tried again until the job's deadline
            result.our_faults[track.index] = error
        else:
            result.assets[track.index] = made
            message = (
                f"track {track.index} was delivered as {_described(track.asset)} and converted to"
                f" {_described(made)}; the original is kept"
            )
            result.warnings.append(_warning(WarningCode.CHANGED, message, job))
    return result


def _is_overruled(job: Job) -> bool:
    """True if the vendor's own option for the format was used instead: the caller said so."""
    return any(
        warning.path == ("format",) and warning.code is WarningCode.NOT_APPLIED for warning in job.warnings
    )


def _described(asset: Asset) -> str:
    rate = "" if asset.sample_rate_hz is None else f" at {asset.sample_rate_hz} Hz"
    return f"{asset.kind} ({asset.codec or 'unknown codec'}{rate})"


def _warning(code: WarningCode, message: str, job: Job) -> OptionWarning:
    return OptionWarning(code=code, path=("format",), message=message, plugin=job.plugin)
