"""Correct the header of a WAV file: sizes that a streaming writer could not know, and derived fields.

A header that was written before its samples holds a placeholder as size (0, 7FFFFFFF, FFFFFFFF, two billion):
then all that follows are samples, and whether the transfer was complete is known from HTTP. A plausible size
of which bytes are missing means a cut file.
"""

import struct
from typing import BinaryIO, Final

import attrs

from musicgate.assets.audio import Repair
from musicgate.errors import NotAudioError

#: From this size on, a size is a placeholder: no song has a gigabyte of samples (94 minutes of a CD).
_PLACEHOLDER_BYTES: Final = 1_000_000_000
_LARGEST_SIZE: Final = 0xFFFF_FFFF
#: A file has some ten chunks.
_MOST_CHUNKS: Final = 10_000
_CHUNKS: Final = frozenset({b"data", b"fmt ", b"LIST", b"fact", b"bext", b"cue ", b"id3 ", b"ID3 ", b"PEAK"})
_PCM, _FLOAT, _ALAW, _ULAW, _EXTENSIBLE = 0x01, 0x03, 0x06, 0x07, 0xFFFE


@attrs.frozen(kw_only=True)
class WavHeader:
    """What was found in the header of a WAV file.

    Attributes:
        repairs: make its fields agree with the body.
        begin: 0, or where its data chunk begins if a decoder would not find it: behind a chunk of odd size
            that was not padded.
        head: what must be in front of that data chunk.
    """

    repairs: tuple[Repair, ...]
    begin: int = 0
    head: bytes = b""


@attrs.frozen(kw_only=True)
class _Fmt:
    """The ``fmt`` chunk, which describes the samples, and its offset."""

    at: int
    tag: int
    channels: int
    sample_rate_hz: int
    block_bytes: int
    bits: int


def read_wav_header(file: BinaryIO, size_bytes: int) -> WavHeader:
    """Find the samples, and the fields of the header that contradict them.

    Raises:
        NotAudioError: cut, or without samples or their description.
    """
    at, fmt, fmt_chunk, is_padded = 12, None, b"", True
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            break
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name == b"fmt " and fmt is None:
            fmt_chunk = file.read(min(size, 40))
            fmt = _fmt(fmt_chunk, at + 8)
        elif name == b"data":
            if fmt is None:
                raise NotAudioError("the wav file does not say what its samples are")
            repairs = _repairs(file, fmt, at, size, size_bytes)
            if is_padded:
                return WavHeader(repairs=repairs)
            described = b"fmt " + len(fmt_chunk).to_bytes(4, "little") + fmt_chunk
            return WavHeader(repairs=repairs, begin=at, head=b"RIFF\xff\xff\xff\xffWAVE" + described)
        at += 8 + size
        file.seek(at)
        if size % 2:
            has_pad = file.read(4) not in _CHUNKS  # some writers forget it
            at += has_pad
            is_padded = is_padded and has_pad
    raise NotAudioError("the wav file has no data chunk")


def _fmt(chunk: bytes, at: int) -> _Fmt | None:
    if len(chunk) < 16:
        return None
    tag, channels, rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")
    return _Fmt(at=at, tag=tag, channels=channels, sample_rate_hz=rate_hz, block_bytes=block_bytes, bits=bits)


def _repairs(file: BinaryIO, fmt: _Fmt, data_at: int, stated: int, size_bytes: int) -> tuple[Repair, ...]:
    file.seek(0)
    head = file.read(8)
    if head[:4] != b"RIFF":  # RF64: its sizes are elsewhere, and placeholders here (EBU Tech 3306)
        return ()
    there = size_bytes - data_at - 8
    riff = int.from_bytes(head[4:], "little")
    if there < stated < _PLACEHOLDER_BYTES and riff + 8 != size_bytes:
        raise NotAudioError(f"the wav file is cut: {there} of {stated} bytes are there")
    whole = size_bytes - 8
    if whole > _LARGEST_SIZE:
        return ()
    size = stated if 0 < stated <= there else there
    correct = {data_at + 4: size.to_bytes(4, "little")}
    if not data_at + size <= riff <= whole:
        correct[4] = whole.to_bytes(4, "little")
    frame_bytes = _frame_bytes(fmt)
    if 0 < frame_bytes <= 0xFFFF and frame_bytes * fmt.sample_rate_hz <= _LARGEST_SIZE:
        correct[fmt.at + 8] = struct.pack("<IH", frame_bytes * fmt.sample_rate_hz, frame_bytes)
    return tuple(
        Repair(at=offset, content=field)
        for offset, field in sorted(correct.items())
        if _read(file, offset, len(field)) != field
    )


def _frame_bytes(fmt: _Fmt) -> int:
    """Bytes of one sample of all channels; 0 if samples are compressed."""
    if fmt.tag in {_ALAW, _ULAW}:
        return fmt.channels
    if fmt.tag in {_PCM, _FLOAT}:
        return fmt.channels * ((fmt.bits + 7) // 8) if 0 < fmt.bits <= 64 else fmt.block_bytes
    return 0


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
