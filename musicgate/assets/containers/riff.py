"""WAV: chunks, sizes that a streaming writer could not know, and derived fields that are wrong.

A header that was written before its samples holds a placeholder as size (0, 7FFFFFFF, FFFFFFFF, two billion):
then all that follows are samples, and whether the transfer was complete is known from HTTP. A plausible size
of which bytes are missing means a cut file.
"""

import struct
from typing import Final

import attrs

from musicgate.assets.audio import Repair
from musicgate.assets.containers.mpeg import mp3
from musicgate.assets.containers.steps import Content, Length, Steps
from musicgate.errors import NotAudioError

#: From this size on, a size is a placeholder: no song has a gigabyte of samples (94 minutes of a CD).
_PLACEHOLDER_BYTES: Final = 1_000_000_000
_LARGEST_SIZE: Final = 0xFFFF_FFFF
_CHUNKS: Final = frozenset({b"data", b"fmt ", b"LIST", b"fact", b"bext", b"cue ", b"id3 ", b"ID3 ", b"PEAK"})
_PCM, _MS_ADPCM, _FLOAT, _ALAW, _ULAW, _IMA_ADPCM = 0x01, 0x02, 0x03, 0x06, 0x07, 0x11
_MP3, _EXTENSIBLE = 0x55, 0xFFFE


@attrs.frozen(kw_only=True)
class _Fmt:
    """The ``fmt`` chunk, which describes the samples, and its offset."""

    at: int
    tag: int
    channels: int
    sample_rate_hz: int
    bytes_per_s: int
    block_bytes: int
    bits: int


def wav(content: Content, steps: Steps) -> Length:
    """Measure a WAV file.

    Raises:
        NotAudioError: cut, or without samples or their description.
    """
    at, fmt = 12, None
    while len(head := content[at : at + 8]) == 8:
        steps.take()
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"fmt " and fmt is None:
            fmt = _fmt(content[at + 8 : at + 8 + min(size, 40)], at + 8)
        elif name == b"data":
            return _length(content, fmt, at, size, steps)
        at += 8 + size
        if size % 2 and content[at : at + 4] not in _CHUNKS:  # some writers forget to pad
            at += 1
    raise NotAudioError("the wav file has no data chunk")


def _fmt(chunk: bytes, at: int) -> _Fmt | None:
    if len(chunk) < 16:
        return None
    tag, channels, rate_hz, bytes_per_s, block_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")
    return _Fmt(
        at=at,
        tag=tag,
        channels=channels,
        sample_rate_hz=rate_hz,
        bytes_per_s=bytes_per_s,
        block_bytes=block_bytes,
        bits=bits,
    )


def _length(content: Content, fmt: _Fmt | None, data_at: int, stated: int, steps: Steps) -> Length:
    there = len(content) - data_at - 8
    riff_bytes = int.from_bytes(content[4:8], "little") + 8
    if there < stated < _PLACEHOLDER_BYTES and riff_bytes != len(content):
        raise NotAudioError(f"the wav file is cut: {there} of {stated} bytes are there")
    size = stated if 0 < stated <= there else there
    if fmt and fmt.tag == _MP3:
        return mp3(content, steps, data_at + 8)
    duration_s = _duration_s(fmt, size) if fmt else None
    if fmt is None or duration_s is None:
        raise NotAudioError("the wav file does not say what its samples are")
    return Length(
        duration_s=duration_s,
        sample_rate_hz=fmt.sample_rate_hz,
        channels=fmt.channels,
        repairs=_repairs(content, fmt, data_at, size),
    )


def _frame_bytes(fmt: _Fmt) -> int | None:
    """Bytes of one sample of all channels; None if samples are compressed or not described."""
    if fmt.tag in {_ALAW, _ULAW}:
        return fmt.channels
    if fmt.tag in {_PCM, _FLOAT}:
        return fmt.channels * ((fmt.bits + 7) // 8) if 0 < fmt.bits <= 64 else fmt.block_bytes
    return None


def _duration_s(fmt: _Fmt, size: int) -> float | None:
    channels, rate_hz, block = fmt.channels, fmt.sample_rate_hz, fmt.block_bytes
    if not channels or not rate_hz:
        return None
    frame_bytes = _frame_bytes(fmt)
    if frame_bytes is not None:
        return size // frame_bytes / rate_hz if frame_bytes else None
    if fmt.tag == _IMA_ADPCM and block > 4 * channels:
        return size // block * ((block - 4 * channels) * 2 // channels + 1) / rate_hz
    if fmt.tag == _MS_ADPCM and block > 7 * channels:
        return size // block * ((block - 7 * channels) * 2 // channels + 2) / rate_hz
    # Other codecs (GSM, G.722) would need a decoder; their byte rate is all that is known.
    return size / fmt.bytes_per_s if fmt.bytes_per_s else None


def _repairs(content: Content, fmt: _Fmt, data_at: int, size: int) -> tuple[Repair, ...]:
    """Corrections for header fields that contradict the body."""
    whole = len(content) - 8
    if whole > _LARGEST_SIZE:
        return ()
    riff = int.from_bytes(content[4:8], "little")
    correct = {data_at + 4: size.to_bytes(4, "little")}
    if not data_at + size <= riff <= whole:
        correct[4] = whole.to_bytes(4, "little")
    frame_bytes = _frame_bytes(fmt)
    if frame_bytes and frame_bytes * fmt.sample_rate_hz <= _LARGEST_SIZE and frame_bytes <= 0xFFFF:
        correct[fmt.at + 8] = struct.pack("<IH", frame_bytes * fmt.sample_rate_hz, frame_bytes)
    return tuple(
        Repair(at=at, content=field)
        for at, field in sorted(correct.items())
        if content[at : at + len(field)] != field
    )
