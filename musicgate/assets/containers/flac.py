"""FLAC: the length is that of the frames in the file; STREAMINFO's number is only a claim.

Source: RFC 9639 (sections 8.2 STREAMINFO, 9.1 frame header, 9.3 frame footer).
"""

import re
from typing import Final

import attrs

from musicgate.assets.audio import LONGEST_S, id3v2_size
from musicgate.assets.containers.steps import (
    Content,
    Length,
    Steps,
    find,
)
from musicgate.assets.flac_crc import flac_crc8, flac_crc16
from musicgate.errors import NotAudioError

_SYNC: Final = re.compile(rb"\xff[\xf8\xf9]")
_RATES_HZ: Final = (
    0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
)  # fmt: skip
_SMALLEST_FRAME_BYTES: Final = 9
#: Steps for an offset that looks like a frame, which costs more to check.
_CANDIDATE_STEPS: Final = 4
#: A last frame that is larger is not checked to its end; 24 bit in stereo needs a tenth of it.
_MOST_CHECKED_BYTES: Final = 262_144


@attrs.frozen(kw_only=True)
class FlacFrame:
    """A frame header."""

    #: Counts frames, or samples where the frames vary in length (``is_variable``).
    number: int
    samples: int
    channels: int
    is_variable: bool
    #: 0 = that of STREAMINFO.
    sample_rate_hz: int
    bits_code: int

    def begins_after(self, earlier: "FlacFrame") -> bool:
        """True if this is a later frame of the same stream."""
        return (
            self.number > earlier.number
            and self.is_variable == earlier.is_variable
            and self.sample_rate_hz == earlier.sample_rate_hz
            and self.bits_code == earlier.bits_code
            and self.channels == earlier.channels
        )


def flac(content: Content, steps: Steps) -> Length:
    """Measure a FLAC file.

    Raises:
        NotAudioError: no frame in it, or cut inside a frame.
    """
    info, at = _streaminfo(content, steps)
    fields = int.from_bytes(info[10:18], "big")
    stated = fields & 0xF_FFFF_FFFF
    first, last_at, samples, last_samples = _frames(content, at, steps)
    rate_hz = first.sample_rate_hz or fields >> 44
    if not rate_hz:
        raise NotAudioError("the flac file does not say what its samples are")
    if not _ends_whole(content, last_at, steps):
        if samples < stated <= LONGEST_S * rate_hz:
            raise NotAudioError(f"the flac file is cut: {samples} of {stated} samples are there")
        samples -= last_samples
    return Length(duration_s=samples / rate_hz, sample_rate_hz=rate_hz, channels=first.channels)


def _streaminfo(content: Content, steps: Steps) -> tuple[bytes, int]:
    """The first metadata block, and the offset of the first frame."""
    at, info = id3v2_size(content[:10]) + 4, b""
    while len(head := content[at : at + 4]) == 4:
        steps.take()
        if head[0] & 0x7F == 0 and not info:
            info = content[at + 4 : at + 38]
        at += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 0x80:
            break
    if len(info) < 34:
        raise NotAudioError("the flac file does not say what its samples are")
    return info, at


def _frames(content: Content, at: int, steps: Steps) -> tuple[FlacFrame, int, int, int]:
    """The first frame, the offset of the last one, the samples of all and of the last frame."""
    first: FlacFrame | None = None
    last, last_at, samples = first, 0, 0
    while (at := find(_SYNC, content, at, steps)) >= 0:
        steps.take(_CANDIDATE_STEPS)
        frame = flac_frame(content[at : at + 16])
        if frame is None or (last is not None and not frame.begins_after(last)):
            at += 1
            continue
        first = first or frame
        last, last_at, samples = frame, at, samples + frame.samples
        at += _SMALLEST_FRAME_BYTES
    if first is None or last is None:
        raise NotAudioError("the flac file has no frame of audio in it")
    return first, last_at, samples, last.samples


def flac_frame(head: bytes) -> FlacFrame | None:
    """Read a frame header from its first 16 bytes; None if they are not one."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    block_code, rate_code = head[2] >> 4, head[2] & 15
    channels, bits_code = head[3] >> 4, head[3] >> 1 & 7
    number_bytes = _number_bytes(head[4])
    if (
        not block_code
        or rate_code == 15
        or channels > 10
        or bits_code == 3
        or head[3] & 1
        or not number_bytes
    ):
        return None
    at = 4 + number_bytes
    block_bytes = {6: 1, 7: 2}.get(block_code, 0)
    rate_bytes = {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    end = at + block_bytes + rate_bytes
    if end >= len(head) or flac_crc8(head[:end]) != head[end]:
        return None
    rate = int.from_bytes(head[at + block_bytes : end], "big")
    return FlacFrame(
        number=_coded_number(head[4:at]),
        samples=_block_samples(block_code, int.from_bytes(head[at : at + block_bytes], "big")),
        channels=channels + 1 if channels < 8 else 2,
        is_variable=bool(head[1] & 1),
        sample_rate_hz=_RATES_HZ[rate_code]
        if rate_code < 12
        else rate * {12: 1000, 13: 1, 14: 10}[rate_code],
        bits_code=bits_code,
    )


def _block_samples(code: int, following: int) -> int:
    if code == 1:
        return 192
    if code in {6, 7}:
        return following + 1
    return 576 << code - 2 if code < 6 else 256 << code - 8


def _number_bytes(first: int) -> int:
    """Length of a number in UTF-8-like coding, up to 36 bits, by its first byte; 0 if not valid."""
    ones = 8 - (first ^ 0xFF).bit_length()
    return 1 if not ones else ones if 2 <= ones <= 7 else 0


def _coded_number(coded: bytes) -> int:
    number = coded[0] & (0x7F if len(coded) == 1 else 0x7F >> len(coded))
    for byte in coded[1:]:
        number = number << 6 | byte & 0x3F
    return number


def _ends_whole(content: Content, last_at: int, steps: Steps) -> bool:
    """True if the checksum of the last frame shows that it is complete."""
    end = len(content) - (128 if content[-128:-125] == b"TAG" else 0)
    size = end - last_at
    if size > _MOST_CHECKED_BYTES:
        return True
    steps.take(size // 8)
    return not flac_crc16(content[last_at:end])
