"""Convert audio to another container, with FFmpeg, by way of PyAV.

`MADE` says which kind is made with which codec. What is kept: the sample rate and the channels where the
codec has them (else the nearest that it has), the length to within a frame of the codec, and text tags. What
is lost: pictures, chapters and C2PA manifests, which bind the bytes that they were made for. The same source
always gives the same bytes.

- Ogg holds Opus: PyAV's FFmpeg has no encoder for Vorbis, and Opus sounds better at the same size. Opus runs
  at 48 kHz, to which FFmpeg's swresample converts.
- WAV and FLAC have 16 bits, and 24 where the source has more than 16 without loss.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.assets.audio import AudioKind
from musicgate.assets.decoding import Deadline, Decoding, opened
from musicgate.assets.filters import FilterChain
from musicgate.errors import NotAudioError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av import AudioFrame
    from av.container import OutputContainer

#: Encoding a three-minute song takes some five seconds.
CONVERT_LIMIT_S: Final = 300.0
#: Tags are text of a song; what is larger is something else.
_MOST_TAGS: Final = 64
_MOST_TAG_CHARACTERS: Final = 100_000
#: Tags that describe the old container.
_CONTAINER_TAGS: Final = frozenset(
    {"encoder", "encoded_by", "major_brand", "minor_version", "compatible_brands", "creation_time"}
    | {"handler_name", "vendor_id", "language", "tlen", "duration"}
)
_DISK_ERRORS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.ENOENT}
    | {errno.EMFILE, errno.ENFILE}
)
_AAC_RATES_HZ: Final = (
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Made:
    """How one kind of file is made.

    Attributes:
        codec: FFmpeg's name of the codec, as `AudioFacts.codec`; WAV has ``pcm_s24le`` for deep sources.
        encoder: FFmpeg's name of the encoder.
        muxer: FFmpeg's name of the container.
        bit_rate_bps: of two channels, others have as much each; 0 = the codec is without loss.
        most_channels: more are mixed down.
        rates_hz: that the codec has, falling; empty = every rate.
        sample_format: that the encoder takes; without loss, 16 bits or (``deep_format``) more.
    """

    codec: str
    encoder: str
    muxer: str
    sample_format: str
    deep_format: str = ""
    bit_rate_bps: int = 0
    most_channels: int = 8
    rates_hz: tuple[int, ...] = ()
    encoder_options: tuple[tuple[str, str], ...] = ()
    muxer_options: tuple[tuple[str, str], ...] = ()


#: What each kind is made of. 192 kbit/s is transparent for most music in MP3 and AAC; 160 in Opus. LAME's
#: quality 7 and FFmpeg's fast AAC coder take half or a third of the time of their defaults.
MADE: Final[Mapping[AudioKind, Made]] = {
    AudioKind.MP3: Made(
        codec="mp3",
        encoder="libmp3lame",
        muxer="mp3",
        sample_format="fltp",
        bit_rate_bps=192_000,
        most_channels=2,
        rates_hz=(48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000),
        encoder_options=(("compression_level", "7"),),
    ),
    AudioKind.WAV: Made(
        codec="pcm_s16le", encoder="pcm_s16le", muxer="wav", sample_format="s16", deep_format="s32"
    ),
    AudioKind.OPUS: Made(
        codec="opus",
        encoder="libopus",
        muxer="ogg",
        sample_format="flt",
        bit_rate_bps=160_000,
        rates_hz=(48_000,),
    ),
    AudioKind.M4A: Made(
        codec="aac",
        encoder="aac",
        muxer="ipod",
        sample_format="fltp",
        bit_rate_bps=192_000,
        rates_hz=_AAC_RATES_HZ,
        encoder_options=(("aac_coder", "fast"),),
        muxer_options=(("movflags", "+faststart"),),
    ),
    AudioKind.FLAC: Made(codec="flac", encoder="flac", muxer="flac", sample_format="s16", deep_format="s32"),
}

#: The kinds that are each ``format`` of a request already.
KINDS_OF_FORMAT: Final[Mapping[str, frozenset[AudioKind]]] = {
    "mp3": frozenset({AudioKind.MP3}),
    "wav": frozenset({AudioKind.WAV}),
    "ogg": frozenset({AudioKind.OPUS, AudioKind.OGG}),
    "aac": frozenset({AudioKind.M4A, AudioKind.AAC}),
    "flac": frozenset({AudioKind.FLAC}),
}
#: The kind that is made for each ``format`` of a request.
KIND_OF_FORMAT: Final[Mapping[str, AudioKind]] = {
    "mp3": AudioKind.MP3,
    "wav": AudioKind.WAV,
    "ogg": AudioKind.OPUS,
    "aac": AudioKind.M4A,
    "flac": AudioKind.FLAC,
}


def convert_file(
    source: Path, target: Path, kind: AudioKind, *, bit_rate_bps: int = 0, limit_s: float = CONVERT_LIMIT_S
) -> None:
    """Make a file of another kind from an audio file. The target appears whole, or not at all.

    Args:
        source: any audio that `measure` accepts.
        target: in a folder that exists; a file there is replaced.
        kind: one of `MADE`.
        bit_rate_bps: of all channels; 0 = that of `MADE`. Kinds without loss have none.
        limit_s: seconds that it may take.

    Raises:
        NotAudioError: the source is not audio, does not decode, cannot be encoded, or takes too long.
        OSError: the source cannot be read, or the target not written.
        KeyError: nothing makes this kind.
    """
    made = MADE[kind]
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with opened(source, Deadline(limit_s), with_tags=True) as decoding:
            _write(decoding, part, made, bit_rate_bps)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _write(decoding: Decoding, part: Path, made: Made, bit_rate_bps: int) -> None:
    import av

    options = {"fflags": "+bitexact", **dict(made.muxer_options)}
    with (
        _writing(made),
        av.open(
            f"file:{part.resolve()}",
            "w",
            format=made.muxer,
            container_options=options,
            metadata_errors="replace",
        ) as container,
    ):
        encoder: _Encoder | None = None
        for frame in decoding.frames():
            encoder = encoder or _Encoder(container, decoding, made, frame, bit_rate_bps)
            encoder.encode(frame)
        if encoder is not None:
            encoder.encode(None)


class _Encoder:
    """Brings frames into the form that a codec has, and encodes them."""

    def __init__(
        self, container: OutputContainer, decoding: Decoding, made: Made, first: AudioFrame, bit_rate_bps: int
    ) -> None:
        from av import AudioFormat, AudioStream

        self._container = container
        is_deep = decoding.is_deep and bool(made.deep_format)
        rate_hz = _nearest_rate(first.sample_rate, made.rates_hz)
        layout = _layout(first, made.most_channels)
        encoder = "pcm_s24le" if is_deep and made.encoder == "pcm_s16le" else made.encoder
        stream = container.add_stream(
            encoder, rate=rate_hz, layout=layout, options=dict(made.encoder_options)
        )
        if not isinstance(stream, AudioStream):
            raise TypeError(f"{encoder} is no encoder of audio")
        self._stream = stream
        sample_format = made.deep_format if is_deep else made.sample_format
        stream.format = AudioFormat(sample_format)
        if made.bit_rate_bps:
            stream.bit_rate = bit_rate_bps or made.bit_rate_bps * stream.layout.nb_channels // 2
        container.metadata.update(_tags(decoding.metadata()))
        stream.codec_context.open()
        form = f"sample_fmts={sample_format}:channel_layouts={layout}:sample_rates={rate_hz}"
        filters = [("aresample", str(rate_hz)), ("aformat", form)]
        if stream.frame_size:
            filters.append(("asetnsamples", f"n={stream.frame_size}:p=0"))
        self._chain = FilterChain(first, *filters)
        self._samples = 0
        self._time_base = Fraction(1, rate_hz)

    def encode(self, frame: AudioFrame | None) -> None:
        """Encode a frame; None at the end."""
        for filtered in self._chain.push(frame):
            # Times from 0 on: the encoder's delay comes before, and the container is told to skip it.
            filtered.pts, filtered.time_base = self._samples, self._time_base
            self._samples += filtered.samples
            self._container.mux(self._stream.encode(filtered))
        if frame is None:
            self._container.mux(self._stream.encode(None))


def _nearest_rate(rate_hz: int, rates_hz: tuple[int, ...]) -> int:
    """The smallest rate that loses nothing, else the highest there is."""
    if not rates_hz:
        return rate_hz
    return min((one for one in rates_hz if one >= rate_hz), default=max(rates_hz))


def _layout(first: AudioFrame, most_channels: int) -> str:
    channels = first.layout.nb_channels
    if channels > most_channels:
        return "stereo"
    known = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return known[channels]


def _tags(metadata: dict[str, str]) -> dict[str, str]:
    """Tags that are about the song, of a plausible size."""
    kept = {
        name: text
        for name, text in metadata.items()
        if name.lower() not in _CONTAINER_TAGS and len(text) <= _MOST_TAG_CHARACTERS
    }
    return dict(list(kept.items())[:_MOST_TAGS])


@contextlib.contextmanager
def _writing(made: Made) -> Iterator[None]:
    """Tell a disk that fails from audio that cannot be encoded."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        if error.errno in _DISK_ERRORS:
            raise OSError(error.errno, error.strerror) from error
        raise NotAudioError(f"the audio cannot be made into {made.codec}: {error.strerror}") from error
    except (ValueError, ArithmeticError, LookupError, MemoryError, RuntimeError) as error:
        if isinstance(error, NotAudioError):
            raise
        raise NotAudioError(f"the audio cannot be made into {made.codec}: {error}") from error
