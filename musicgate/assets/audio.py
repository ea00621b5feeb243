"""Recognise audio by its bytes: kinds, frame headers, the WAV header. It decodes nothing."""

import functools
import itertools
import re
import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import attrs


class AudioKind(StrEnum):
    """The format of a file, by its bytes; Ogg is split into `opus` and `ogg` (Vorbis and the rest)."""

    MP3 = "mp3"
    WAV = "wav"
    OGG = "ogg"
    OPUS = "opus"
    FLAC = "flac"
    M4A = "m4a"
    AAC = "aac"


@attrs.frozen(kw_only=True)
class Repair:
    """A header field that contradicts the body: its offset, and its correct content."""

    at: int
    content: bytes


@attrs.frozen(kw_only=True)
class AudioFacts:
    """What was measured by decoding a file, whatever its header or its vendor claims.

    Attributes:
        codec: FFmpeg's name of the codec: ``mp3``, ``opus``, ``pcm_s16le``.
        duration_s: of the decoded samples, without an encoder's delay and padding where the container states
            them; greater than 0, at most a day.
        bit_rate_bps: of the audio alone, without tags and pictures.
        size_bytes: of the file; the repairs do not change it.
        sha256: hexadecimal, of the file with its repairs.
        loudness_lufs: integrated loudness (EBU R128); None if it is silent or shorter than 0.4 s.
        true_peak_dbtp: to a tenth where it is over -20; None if it is silent.
        is_silent: everything is under -66 dBTP, half a thousandth of full scale.
        repairs: make the header agree with the body; none changes the size of the file.
    """

    kind: AudioKind
    codec: str
    duration_s: float
    sample_rate_hz: int
    channels: int
    bit_rate_bps: int
    size_bytes: int
    sha256: str
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    is_silent: bool
    repairs: tuple[Repair, ...] = ()


@attrs.frozen(kw_only=True)
class FrameHeader:
    """One frame of an MP3 or ADTS stream; `size_bytes` includes the header."""

    sample_rate_hz: int
    channels: int
    samples: int
    size_bytes: int
    #: 0 for ADTS, whose frames do not state it.
    bitrate_bps: int = 0
    #: Offset of the encoder's "Xing" or "Info" note, if there is one: behind header, checksum and side
    #: information.
    note_offset: int = 0


#: Longest audio that is believed: no provider makes an hour, and a long recording still fits.
LONGEST_S: Final = 24 * 3600
#: So much of a file's start is enough to recognise its kind, whatever it begins with.
SNIFF_BYTES: Final = 65_536
#: Without a header in front, so many frames in a row make a stream; at most so many offsets are tried.
_CHAINED_FRAMES: Final = 5
_MOST_CANDIDATES: Final = 2_000

_CONTENT_TYPES: Final = {
    AudioKind.MP3: "audio/mpeg",
    AudioKind.WAV: "audio/wav",
    AudioKind.OGG: "audio/ogg",
    AudioKind.OPUS: "audio/ogg",  # RFC 7845 section 9: Opus in Ogg is audio/ogg; audio/opus (RFC 7587) is for RTP
    AudioKind.FLAC: "audio/flac",
    AudioKind.M4A: "audio/mp4",
    AudioKind.AAC: "audio/aac",
}

#: ISO base media brands of pictures and video, which begin with "ftyp" like audio.
_PICTURE_BRANDS: Final = frozenset(
    {b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"jp2 ", b"crx "}
)

_RATES_HZ: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
MPEG1_BITRATES_BPS: Final = tuple(
    1000 * k for k in (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
)
MPEG2_BITRATES_BPS: Final = tuple(
    1000 * k for k in (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
)
_ADTS_RATES_HZ: Final = (
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
)  # fmt: skip


def content_type(kind: AudioKind) -> str:
    """The media type to serve a kind under."""
    return _CONTENT_TYPES[kind]


def extension(kind: AudioKind) -> str:
    """The file name's ending for a kind, with its dot."""
    return f".{kind}"


def sniff(head: bytes) -> AudioKind | None:
    """Recognise the kind of audio by the first bytes of a file; None if it is not known.

    64 bytes are enough for a file with a header. `SNIFF_BYTES` also recognise a stream of frames that begins
    with zeros, or in the middle of a frame.
    """
    if head.startswith(b"ID3"):
        tag_bytes = id3v2_size(head)
        behind = head[tag_bytes : tag_bytes + 7]
        if not tag_bytes:
            return None
        if behind.startswith(b"fLaC"):
            return AudioKind.FLAC
        return AudioKind.AAC if adts_header(behind) else AudioKind.MP3  # live streaming puts tags before AAC
    if head.startswith((b"RIFF", b"RF64")):
        return AudioKind.WAV if head[8:12] == b"WAVE" else None
    if head.startswith(b"OggS"):
        return AudioKind.OPUS if b"OpusHead" in head[27:64] else AudioKind.OGG
    if head.startswith(b"fLaC"):
        return AudioKind.FLAC
    if head[4:8] == b"ftyp":
        return None if head[8:12] in _PICTURE_BRANDS else AudioKind.M4A
    if mp3_header(head[:4]):
        return AudioKind.MP3
    return AudioKind.AAC if adts_header(head[:7]) else _stream_kind(head)


def _stream_kind(head: bytes) -> AudioKind | None:
    """The kind of a stream that begins mid-frame: several whole frames in a row are no accident."""
    for kind, form in ((AudioKind.MP3, MP3), (AudioKind.AAC, ADTS)):
        candidates = itertools.islice(form.pattern.finditer(head), _MOST_CANDIDATES)
        if any(_is_chain(head, found.start(), form) for found in candidates):
            return kind
    return None


def _is_chain(head: bytes, at: int, form: "FrameFormat") -> bool:
    rate_hz = 0
    for _ in range(_CHAINED_FRAMES):
        frame = form.read(head[at : at + form.header_bytes])
        if frame is None or rate_hz not in {0, frame.sample_rate_hz}:
            return False
        rate_hz = frame.sample_rate_hz
        at += frame.size_bytes
    return True


def id3v2_size(head: bytes) -> int:
    """Length in bytes of a leading ID3v2 tag, header and footer included; 0 if there is none.

    Source: id3.org/id3v2.4.0-structure section 3.1.
    """
    if len(head) < 10 or head[:3] != b"ID3" or 0xFF in head[3:5] or max(head[6:10]) > 0x7F:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


@functools.lru_cache(maxsize=256)
def mp3_header(header: bytes) -> FrameHeader | None:
    """Read the four-byte header of an MPEG layer III frame; None if it is not one.

    Source: ISO/IEC 11172-3 section 2.4.1.3, 13818-3 section 2.4.2.3. Free format (bit rate index 0) is
    refused: no vendor writes it.
    """
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, bitrate_index, rate_index = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate_index in {0, 15} or rate_index == 3 or header[3] & 3 == 2:
        return None
    mpeg1, mono = version == 3, header[3] >> 6 == 3
    bitrate_bps = (MPEG1_BITRATES_BPS if mpeg1 else MPEG2_BITRATES_BPS)[bitrate_index - 1]
    sample_rate_hz = _RATES_HZ[version][rate_index]
    samples = 1152 if mpeg1 else 576
    side_bytes = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    return FrameHeader(
        sample_rate_hz=sample_rate_hz,
        channels=1 if mono else 2,
        samples=samples,
        size_bytes=samples // 8 * bitrate_bps // sample_rate_hz + (header[2] >> 1 & 1),
        bitrate_bps=bitrate_bps,
        note_offset=4 + side_bytes + (0 if header[1] & 1 else 2),
    )


@functools.lru_cache(maxsize=1024)
def adts_header(header: bytes) -> FrameHeader | None:
    """Read the seven-byte header of an AAC frame in ADTS; None if it is not one.

    Source: ISO/IEC 14496-3 section 1.A.2.2.
    """
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    rate_index, size_bytes = header[2] >> 2 & 15, (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if rate_index >= len(_ADTS_RATES_HZ) or size_bytes < 7:
        return None
    channels = (header[2] & 1) << 2 | header[3] >> 6
    return FrameHeader(
        sample_rate_hz=_ADTS_RATES_HZ[rate_index],
        channels={0: 2, 7: 8}.get(channels, channels),
        samples=1024 * ((header[6] & 3) + 1),
        size_bytes=size_bytes,
    )


@attrs.frozen(kw_only=True)
class FrameFormat:
    """How to find the frames of a stream: a pattern that every header matches, and its reader."""

    pattern: re.Pattern[bytes]
    header_bytes: int
    read: Callable[[bytes], FrameHeader | None]


MP3: Final = FrameFormat(
    pattern=re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]"), header_bytes=4, read=mp3_header
)
ADTS: Final = FrameFormat(pattern=re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), header_bytes=7, read=adts_header)


def riff_wav(pcm: bytes, *, sample_rate_hz: int, channels: int, bits_per_sample: int = 16) -> bytes:
    """Prepend a 44-byte WAV header to headerless little-endian PCM.

    Raises:
        ValueError: the PCM is not a whole number of sample frames, or too long for a WAV file (4 GiB).
    """
    block = channels * bits_per_sample // 8
    if len(pcm) % block:
        raise ValueError(f"PCM of {len(pcm)} bytes does not divide into sample frames of {block} bytes")
    if len(pcm) > 0xFFFF_FFFF - 36:
        raise ValueError(f"PCM of {len(pcm)} bytes is too long for a WAV file")
    fmt = struct.pack("<HHIIHH", 1, channels, sample_rate_hz, sample_rate_hz * block, block, bits_per_sample)
    return b"".join(
        (b"RIFF", (36 + len(pcm)).to_bytes(4, "little"), b"WAVEfmt ", (16).to_bytes(4, "little"), fmt, b"data",
         len(pcm).to_bytes(4, "little"), pcm)
    )  # fmt: skip


def g711_wav(samples: bytes, law: str, *, sample_rate_hz: int, channels: int) -> bytes:
    """Prepend a WAV header to headerless G.711, which has one byte a sample.

    It has the ``fact`` chunk that a compressed format needs: players take the length from it.

    Args:
        samples: whole sample frames.
        law: ``alaw`` or ``ulaw``.
        sample_rate_hz: samples per second and channel.
        channels: 1 or 2.

    Source: RFC 2361 appendix A (the format tags).
    """
    tag = {"alaw": 6, "ulaw": 7}[law]
    fmt = struct.pack("<HHIIHHH", tag, channels, sample_rate_hz, sample_rate_hz * channels, channels, 8, 0)
    content = b"WAVE" + _chunk(b"fmt ", fmt) + _chunk(b"fact", struct.pack("<I", len(samples) // channels))
    return _chunk(b"RIFF", content + _chunk(b"data", samples) + b"\0" * (len(samples) % 2))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content
