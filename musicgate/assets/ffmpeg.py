"""What the FFmpeg that was found is, and what it lacks of what is needed. `doctor` asks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

from musicgate.assets.convert import MADE

#: The filters that measuring, converting and drawing use.
_FILTERS: Final = ("aformat", "apad", "aresample", "asetnsamples", "astats", "ebur128")


@attrs.frozen(kw_only=True)
class FfmpegReport:
    """The FFmpeg of this installation.

    Attributes:
        version: FFmpeg's own: ``8.1.2``.
        library: what it was found with, and its version: ``PyAV 18.1.0``.
        folder: where that is.
        missing: encoders, containers and filters that are needed and not there.
    """

    version: str
    library: str
    folder: Path
    missing: tuple[str, ...]


def inspect_ffmpeg() -> FfmpegReport:
    """Load FFmpeg and look at what it has.

    Raises:
        ImportError: there is none, or a library that it needs is not there.
    """
    import av
    from av.codec.codec import Codec, UnknownCodecError
    from av.filter import filters_available

    missing = []
    for made in MADE.values():
        try:
            Codec(made.encoder, "w")
        except UnknownCodecError:
            missing.append(f"encoder {made.encoder}")
        if made.muxer not in av.formats_available:
            missing.append(f"container {made.muxer}")
    missing += [f"filter {name}" for name in _FILTERS if name not in filters_available]
    return FfmpegReport(
        version=av.ffmpeg_version_info,
        library=f"PyAV {av.__version__}",
        folder=Path(av.__file__).parent,
        missing=tuple(missing),
    )
