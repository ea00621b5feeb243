"""Decode audio with FFmpeg, by way of PyAV, within bounds.

This is the only module that opens audio for reading. The bytes come from elsewhere, so FFmpeg gets only the
demuxer of the recognised kind, only the codecs that music has in it, and only the file. Time is bounded by a
deadline that is checked for each packet, memory by `claims` (what a header makes FFmpeg expand) and by
reading packet after packet. Whatever FFmpeg says about the bytes becomes a `NotAudioError`.

Damaged packets: a decoder needs some packets before it plays (an MP3 stream that begins mid-frame), and a
file may have a scratch. So two packets, and one of each ten, may fail to decode. A file with more is refused.

PyAV takes a tenth of a second to import, so it is imported where it is needed; `load_ffmpeg` does it earlier.
"""

from __future__ import annotations

import contextlib
import errno
import io
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from musicgate.assets.audio import LONGEST_S, SNIFF_BYTES, AudioKind, id3v2_size, mp3_header, sniff
from musicgate.assets.claims import Claims, read_claims
from musicgate.errors import NotAudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer
    from av import AudioFrame, AudioResampler, AudioStream, Packet
    from av.container import InputContainer

Source: TypeAlias = Path | bytes
#: Sample format, channel layout, sample rate.
_Form: TypeAlias = tuple[str, str, int]

HIGHEST_RATE_HZ: Final = 1_000_000
LOWEST_RATE_HZ: Final = 1_000
#: 7.1 surround, the most that AAC, Opus and FLAC have.
MOST_CHANNELS: Final = 8
#: Failed packets: so many, and one of so many, are tolerated.
_TOLERATED_PACKETS: Final = 2
_PACKETS_PER_TOLERATED: Final = 10

_DEMUXERS: Final = {
    AudioKind.MP3: "mp3",
    AudioKind.WAV: "wav",
    AudioKind.OGG: "ogg",
    AudioKind.OPUS: "ogg",
    AudioKind.FLAC: "flac",
    AudioKind.M4A: "mov",
    AudioKind.AAC: "aac",
}
_PCM: Final = frozenset(
    {"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_s64le", "pcm_f32le", "pcm_f64le"}
)
#: Decoders by FFmpeg's names; a codec may have several.
_DECODERS: Final = {
    AudioKind.MP3: frozenset({"mp3", "mp3float"}),
    AudioKind.WAV: _PCM
    | {"pcm_alaw", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ms", "gsm_ms", "adpcm_g722", "mp3", "mp3float"},
    AudioKind.OGG: frozenset({"vorbis", "opus", "libopus", "flac", "speex"}),
    AudioKind.OPUS: frozenset({"opus", "libopus"}),
    AudioKind.FLAC: frozenset({"flac"}),
    AudioKind.M4A: frozenset({"aac", "alac", "mp3", "mp3float", "flac", "opus", "libopus"}),
    AudioKind.AAC: frozenset({"aac"}),
}
#: Decoders without loss, which may have more than 16 bits a sample.
_LOSSLESS: Final = _PCM | {"flac", "alac"}


#: Errors of the system when a file is opened. EIO is not among them: demuxers say it of a file that is cut.
_SYSTEM_ERRORS: Final = frozenset({errno.ENOENT, errno.EACCES, errno.EMFILE, errno.ENFILE})


class Deadline:
    """The time that a file may take, on the steady clock."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._end = time.monotonic() + limit_s

    def check(self) -> None:
        """Go on only if there is time left.

        Raises:
            NotAudioError: the time is over.
        """
        if time.monotonic() > self._end:
            raise NotAudioError(f"the audio took more than {self._limit_s:g} s to process")


class Decoding:
    """An audio stream while it is decoded, and what was counted on it so far."""

    def __init__(
        self,
        container: InputContainer,
        stream: AudioStream,
        kind: AudioKind,
        claims: Claims,
        size_bytes: int,
        deadline: Deadline,
    ) -> None:
        self.kind = kind
        self.claims = claims
        self.size_bytes = size_bytes
        self.stream = stream
        #: FFmpeg's name of the codec, which may be another one than that of the decoder.
        self.codec = stream.codec_context.codec.canonical_name
        self.packets = 0
        self.failed_packets = 0
        #: Bytes of the packets that decoded.
        self.audio_bytes = 0
        #: The last packet failed to decode.
        self.ends_damaged = False
        self.sample_rate_hz = 0
        self.channels = 0
        self._samples_at: Counter[int] = Counter()
        self._container = container
        self._deadline = deadline

    @property
    def is_deep(self) -> bool:
        """True if the source has more than 16 bits a sample, without loss."""
        context = self.stream.codec_context
        return context.name in _LOSSLESS and context.format.bytes > 2

    @property
    def duration_s(self) -> float:
        """Seconds decoded so far."""
        return sum(samples / rate_hz for rate_hz, samples in self._samples_at.items())

    @property
    def samples(self) -> int:
        """Samples of a channel decoded so far."""
        return self._samples_at.total()

    def metadata(self) -> dict[str, str]:
        """Text tags of the file and of its stream."""
        return {**self._container.metadata, **self.stream.metadata}

    def frames(self) -> Iterator[AudioFrame]:
        """Decode the stream once. All frames have the format, layout and rate of the first one.

        Raises:
            NotAudioError: it does not decode, is cut, too long or empty, or the deadline has passed.
        """
        uniform = _Uniform()
        with _as_not_audio(self.kind):
            for packet in self._container.demux(self.stream):
                self._deadline.check()
                self.packets += bool(packet.size)
                for frame in self._decoded(packet):
                    yield from uniform(frame)
        self._check_end()

    def _decoded(self, packet: Packet[AudioStream]) -> Iterator[AudioFrame]:
        """Decode a packet; the empty one at the end fetches what the decoder still has.

        FFmpeg plays half a frame at the end of an MP3 file, so those fail here.
        """
        import av

        frames: list[AudioFrame] | None = None
        if not (self.codec == "mp3" and _is_half_a_frame(packet)):
            with contextlib.suppress(av.FFmpegError):
                frames = self.stream.decode(packet if packet.size else None)
        if packet.size:
            self.ends_damaged = frames is None
            self.failed_packets += frames is None
            self.audio_bytes += 0 if frames is None else packet.size
        for frame in frames or ():
            self._count(frame)
            yield frame

    def _count(self, frame: AudioFrame) -> None:
        rate_hz, channels = frame.sample_rate, frame.layout.nb_channels
        check_shape(self.kind, rate_hz, channels)
        if not self.sample_rate_hz:
            self.sample_rate_hz, self.channels = rate_hz, channels
        self._samples_at[rate_hz] += frame.samples
        if self._samples_at[rate_hz] > LONGEST_S * rate_hz:
            raise NotAudioError(f"the {self.kind} file lasts over a day")

    def _check_end(self) -> None:
        good = self.packets - self.failed_packets
        stated = self.claims.frames or (self.stream.frames if self.kind is AudioKind.M4A else 0)
        lacks = self.claims.lacks_media if self.kind is AudioKind.M4A else self.ends_damaged
        if lacks and self.claims.is_fragmented:
            raise NotAudioError(f"the {self.kind} file is cut: its last fragment is not whole")
        if lacks and good < stated:
            raise NotAudioError(f"the {self.kind} file is cut: {good} of {stated} frames are there")
        if self.ends_damaged and self.samples < self.claims.samples:
            raise NotAudioError(
                f"the {self.kind} file is cut: {self.samples} of {self.claims.samples} samples are there"
            )
        if not self.samples:
            raise NotAudioError(f"the {self.kind} file has no audio in it")
        if self.failed_packets > _TOLERATED_PACKETS + self.packets // _PACKETS_PER_TOLERATED:
            raise NotAudioError(
                f"the {self.kind} file is damaged: {self.failed_packets} of {self.packets} packets do not decode"
            )


class _Uniform:
    """Brings frames to the form of the first one: a stream may change from mono to stereo."""

    def __init__(self) -> None:
        self._wanted: _Form | None = None
        self._last: _Form | None = None
        self._resampler: AudioResampler | None = None

    def __call__(self, frame: AudioFrame) -> list[AudioFrame]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        self._wanted = self._wanted or form
        if form == self._wanted:
            self._last = form
            return [frame]
        if form != self._last or self._resampler is None:
            from av import AudioResampler

            self._resampler = AudioResampler(*self._wanted)
            self._last = form
        frame.pts = None
        return self._resampler.resample(frame)


def _is_half_a_frame(packet: Packet[AudioStream]) -> bool:
    frame = mp3_header(bytes(memoryview(packet)[:4]))
    return frame is not None and frame.size_bytes > packet.size


def load_ffmpeg() -> None:
    """Load FFmpeg now, at the start of a server.

    The first use would load it, and hold the interpreter's lock for 70 ms: no other request is answered then.
    """
    import av.filter  # noqa: F401 - that it is loaded is the effect


def kind_of(file: BinaryIO) -> AudioKind | None:
    """The kind of a file, also behind a large ID3 tag."""
    file.seek(0)
    head = file.read(SNIFF_BYTES)
    tag_bytes = id3v2_size(head)
    if not tag_bytes:
        return sniff(head)
    file.seek(tag_bytes)
    behind = sniff(file.read(64))
    return behind if behind in {AudioKind.AAC, AudioKind.FLAC} else AudioKind.MP3


def check_shape(kind: AudioKind, sample_rate_hz: int, channels: int) -> None:
    """Refuse what no music has.

    Raises:
        NotAudioError: an impossible sample rate or number of channels.
    """
    if not LOWEST_RATE_HZ <= sample_rate_hz <= HIGHEST_RATE_HZ or not 0 < channels <= MOST_CHANNELS:
        raise NotAudioError(
            f"the {kind} file does not say what its samples are: {channels} channels at {sample_rate_hz} Hz"
        )


@contextlib.contextmanager
def opened(source: Source, deadline: Deadline, *, with_tags: bool = False) -> Iterator[Decoding]:
    """Open audio for decoding.

    Args:
        source: a file, or its bytes.
        deadline: of all work on it.
        with_tags: read the ID3 tags in front of it, too.

    Raises:
        NotAudioError: not audio, or cut.
        OSError: the file cannot be read.
    """
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        size_bytes = file.seek(0, io.SEEK_END)
        if not size_bytes:
            raise NotAudioError("the file is empty")
        kind = kind_of(file)
        if kind is None:
            raise NotAudioError("the bytes are no audio format that we know")
        claims = read_claims(file, kind, size_bytes)
        file.seek(0)
        begin = 0 if with_tags and claims.has_whole_tags else claims.begin
        read: str | BinaryIO | _Joined = f"file:{source.resolve()}" if isinstance(source, Path) else file
        if claims.head:
            read, begin = _Joined(claims.head, file, claims.begin), 0
        with _container(read, kind, begin) as container:
            yield Decoding(container, _stream(container, kind), kind, claims, size_bytes, deadline)


class _Joined(io.RawIOBase):
    """A head in front of a file from an offset on, without a copy of the file."""

    def __init__(self, head: bytes, file: BinaryIO, begin: int) -> None:
        self._head, self._file, self._begin = head, file, begin
        self._size = len(head) + file.seek(0, io.SEEK_END) - begin
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        part = self._head[self._at : self._at + len(view)]
        if not part:
            self._file.seek(self._begin + self._at - len(self._head))
            part = self._file.read(len(view))
        view[: len(part)] = part
        self._at += len(part)
        return len(part)


@contextlib.contextmanager
def _container(read: str | BinaryIO | _Joined, kind: AudioKind, begin: int) -> Iterator[InputContainer]:
    import av

    options = {
        "protocol_whitelist": "file",
        "format_whitelist": "mp3,wav,ogg,flac,mov,mov\\,mp4\\,m4a\\,3gp\\,3g2\\,mj2,aac",
        "codec_whitelist": ",".join(sorted(_DECODERS[kind])),
        "max_streams": "16",
        "skip_initial_bytes": str(begin),
    }
    with _as_not_audio(kind):
        container = av.open(
            read,
            "r",
            format=_DEMUXERS[kind],
            container_options=options,
            metadata_errors="replace",
        )
    with container:
        yield container


def _stream(container: InputContainer, kind: AudioKind) -> AudioStream:
    stream = next(iter(container.streams.audio), None)
    if stream is None or stream.codec_context is None:
        raise NotAudioError(f"the {kind} file holds no audio that we know")
    context = stream.codec_context
    if context.name not in _DECODERS[kind]:
        raise NotAudioError(f"the {kind} file holds audio that we do not decode: {context.name}")
    check_shape(kind, context.sample_rate, context.layout.nb_channels)
    context.thread_count = 1
    return stream


@contextlib.contextmanager
def _as_not_audio(kind: AudioKind) -> Iterator[None]:
    """Make what FFmpeg says about the bytes a `NotAudioError`, and about the system an `OSError`."""
    import av

    try:
        yield
    except (av.FFmpegError, ValueError, LookupError, ArithmeticError, MemoryError, RuntimeError) as error:
        if isinstance(error, NotAudioError):
            raise
        if isinstance(error, av.FFmpegError) and error.errno in _SYSTEM_ERRORS:
            raise OSError(error.errno, error.strerror) from error
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NotAudioError(f"the {kind} file does not decode: {reason}") from error
