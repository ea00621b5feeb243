"""Knows how to read a file's true length from its own structure; it decodes nothing and asks no network.

MP3 and ADTS are walked frame by frame and WAV chunk by chunk, because tinytag (2.3) estimates an MP3 without a Xing
note from its first frames, believes the lengths that a cut file states, and does not know ADTS. Ogg, FLAC and M4A
are tinytag's, after a check that the last page or box is all there.
"""

import io
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs
from tinytag import TinyTag, TinyTagException

from musicgate.audio import (
    AudioFacts,
    AudioKind,
    FrameHeader,
    NotAudioError,
    adts_header,
    id3v2_size,
    mp3_header,
    sniff,
)

_Bytes = bytes | mmap.mmap
_UNKNOWN_LENGTHS: Final = frozenset(
    {0, 0xFFFF_FFFF}
)  # what encoders that write into a pipe leave in a WAV header


@attrs.frozen(kw_only=True)
class _Length:
    duration_s: float
    sample_rate_hz: int
    channels: int


def measure(path: Path) -> AudioFacts:
    """Measure an audio file.

    Raises:
        NotAudioError: not audio, of no length, or shorter than its container says.
        OSError: the file cannot be read.
    """
    size_bytes = path.stat().st_size
    if not size_bytes:
        raise NotAudioError("the file is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return measure_bytes(content)


def measure_bytes(content: _Bytes) -> AudioFacts:
    """Measure audio that is in memory (or mapped into it), as `measure` does.

    Raises:
        NotAudioError: not audio, of no length, or shorter than its container says.
    """
    kind = sniff(content[: id3v2_size(content[:10]) + 64])
    if kind is None:
        raise NotAudioError("the bytes are no audio format that we know")
    length = _READERS[kind](content)
    if not length.duration_s > 0:
        raise NotAudioError(f"the {kind} file has no audio in it")
    return AudioFacts(
        kind=kind,
        duration_s=length.duration_s,
        size_bytes=len(content),
        sample_rate_hz=length.sample_rate_hz,
        channels=length.channels,
    )


def _mp3(content: _Bytes) -> _Length:
    first_at, first = _first_frame(content, mp3_header, 4)
    stated, trimmed = _encoder_note(content[first_at : first_at + first.size_bytes], first)
    frames = _whole_frames(content, first_at, mp3_header, 4)
    if stated is not None:
        frames = frames[1:]  # the frame that holds the note is silent
        if len(frames) < stated:
            raise NotAudioError(f"the mp3 file is cut: {len(frames)} of {stated} frames are there")
    samples = max(0, sum(frame.samples for frame in frames) - trimmed)
    return _Length(
        duration_s=samples / first.sample_rate_hz,
        sample_rate_hz=first.sample_rate_hz,
        channels=first.channels,
    )


def _adts(content: _Bytes) -> _Length:
    first_at, first = _first_frame(content, adts_header, 7)
    samples = sum(frame.samples for frame in _whole_frames(content, first_at, adts_header, 7))
    return _Length(
        duration_s=samples / first.sample_rate_hz,
        sample_rate_hz=first.sample_rate_hz,
        channels=first.channels,
    )


_ReadHeader = Callable[[bytes], FrameHeader | None]


def _first_frame(content: _Bytes, read: _ReadHeader, header_bytes: int) -> tuple[int, FrameHeader]:
    """The first header that is followed by another one, or by the end of the file, where it says."""
    at = id3v2_size(content[:10])
    while (at := content.find(b"\xff", at)) >= 0:
        frame = read(content[at : at + header_bytes])
        if frame:
            end = at + frame.size_bytes
            if end == len(content) or content[end : end + 3] == b"TAG":
                return at, frame
            if _alike(frame, read(content[end : end + header_bytes])):
                return at, frame
        at += 1
    raise NotAudioError("the file has no frame of audio in it")


def _alike(first: FrameHeader, other: FrameHeader | None) -> bool:
    return other is not None and other.sample_rate_hz == first.sample_rate_hz


def _whole_frames(content: _Bytes, at: int, read: _ReadHeader, header_bytes: int) -> list[FrameHeader]:
    """Every frame that is there to its last byte; what lies between or behind them (tags, noise) is passed over."""
    frames: list[FrameHeader] = []
    while 0 <= at < len(content):
        frame = read(content[at : at + header_bytes])
        if frame is None or (frames and not _alike(frames[0], frame)):
            at = content.find(b"\xff", at + 1)
            continue
        at += frame.size_bytes
        if at <= len(content):
            frames.append(frame)
    return frames


def _encoder_note(frame: bytes, header: FrameHeader) -> tuple[int | None, int]:
    """The number of frames that the first frame states, and the samples of encoder delay and padding to take off.

    Source: gabriel.mp3-tech.org/mp3infotag.html (Xing, Info and the LAME extension); VBRI is Fraunhofer's.
    """
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return int.from_bytes(frame[50:54], "big"), 0
    note = frame[header.note_offset :]
    if note[:4] not in {b"Xing", b"Info"} or len(note) < 8:
        return None, 0
    flags, at = note[7], 8
    stated = int.from_bytes(note[8:12], "big") if flags & 1 else 0
    for flag, field_bytes in ((1, 4), (2, 4), (4, 100), (8, 4)):
        at += field_bytes if flags & flag else 0
    lame = note[at:]
    if lame[:4] not in {b"LAME", b"Lavf", b"Lavc"} or len(lame) < 24:
        return stated, 0
    gap = int.from_bytes(lame[21:24], "big")
    return stated, (gap >> 12) + (gap & 0xFFF)


def _wav(content: _Bytes) -> _Length:
    at, fmt = 12, b""
    while len(chunk := content[at : at + 8]) == 8:
        size, there = int.from_bytes(chunk[4:], "little"), len(content) - at - 8
        if chunk[:4] == b"fmt ":
            fmt = content[at + 8 : at + 24]
        elif chunk[:4] == b"data":
            return _wav_length(fmt, size, there)
        at += 8 + size + size % 2
    raise NotAudioError("the wav file has no data chunk")


def _wav_length(fmt: bytes, stated: int, there: int) -> _Length:
    if stated > there and stated not in _UNKNOWN_LENGTHS:
        raise NotAudioError(f"the wav file is cut: {there} of {stated} bytes are there")
    channels, rate_hz = int.from_bytes(fmt[2:4], "little"), int.from_bytes(fmt[4:8], "little")
    bytes_per_s = int.from_bytes(fmt[8:12], "little")
    if not (channels and rate_hz and bytes_per_s):
        raise NotAudioError("the wav file does not say what its samples are")
    size = there if stated in _UNKNOWN_LENGTHS else stated
    return _Length(duration_s=size / bytes_per_s, sample_rate_hz=rate_hz, channels=channels)


def _ogg(content: _Bytes) -> _Length:
    at = 0
    while at < len(content):
        head = content[at : at + 282]
        if head[:4] != b"OggS" or len(head) < 27:
            raise NotAudioError("the ogg file is damaged or cut between its pages")
        at += 27 + head[26] + sum(head[27 : 27 + head[26]])
    if at > len(content):
        raise NotAudioError(f"the ogg file is cut: its last page lacks {at - len(content)} bytes")
    return _tagged(content)


def _m4a(content: _Bytes) -> _Length:
    boxes = list(_boxes(content, 0, len(content)))
    length = _tagged(content)
    if length.duration_s > 0:
        return length
    # Written in fragments (into a pipe, say): the index in front is empty, each fragment counts its own samples.
    samples, default, timescale = 0, 0, 0
    for name, start, end in boxes:
        if name == b"moov":
            default = _number(content, _inside(content, start, end, b"mvex", b"trex"), 12)
            timescale = _timescale(content, _inside(content, start, end, b"trak", b"mdia", b"mdhd"))
        elif name == b"moof":
            samples += _fragment_duration(content, start, end, default)
    return attrs.evolve(length, duration_s=samples / timescale if timescale else 0.0)


def _boxes(content: _Bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of what is in each box (ISO/IEC 14496-12 section 4.2).

    Size 1 means that a 64-bit size follows, size 0 that the box goes on to the end.
    """
    while len(head := content[at : min(at + 16, end)]) >= 8:
        size, head_bytes = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, head_bytes = int.from_bytes(head[8:16], "big"), 16
        size = size or end - at
        if size < head_bytes or at + size > end:
            raise NotAudioError("the m4a file is damaged or cut: a box is larger than what is left")
        yield head[4:8], at + head_bytes, at + size
        at += size


def _inside(content: _Bytes, start: int, end: int, *path: bytes) -> int | None:
    """Where the content of the first box on this path begins; None where there is no such box."""
    for name, inner_start, inner_end in _boxes(content, start, end):
        if name == path[0]:
            return _inside(content, inner_start, inner_end, *path[1:]) if path[1:] else inner_start
    return None


def _number(content: _Bytes, box: int | None, offset: int) -> int:
    return 0 if box is None else int.from_bytes(content[box + offset : box + offset + 4], "big")


def _timescale(content: _Bytes, mdhd: int | None) -> int:
    """Units in a second; version 1 of the box has 64-bit times in front of it (section 8.4.2)."""
    return _number(content, mdhd, 20 if _number(content, mdhd, 0) >> 24 == 1 else 12)


def _fragment_duration(content: _Bytes, start: int, end: int, default: int) -> int:
    """What the runs of one fragment last, in units of its track (ISO/IEC 14496-12 sections 8.8.7 and 8.8.8)."""
    total = 0
    for name, at, traf_end in _boxes(content, start, end):
        for inner, box, box_end in _boxes(content, at, traf_end) if name == b"traf" else ():
            flags = _number(content, box, 0) & 0xFFFFFF
            if inner == b"tfhd" and flags & 0x08:
                default = _number(content, box, 8 + (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0))
            elif inner == b"trun":
                count = _number(content, box, 4)
                if not flags & 0x100:
                    total += count * default
                    continue
                first = 8 + 4 * (flags & 0x01) + (flags & 0x04)
                step = 4 * (flags >> 8 & 0x0F).bit_count()
                total += sum(
                    _number(content, place, 0)
                    for place in range(box + first, min(box_end, box + first + count * step), step)
                )
    return total


def _tagged(content: _Bytes) -> _Length:
    try:
        tag = TinyTag.get(file_obj=io.BytesIO(content[:]), tags=False)
    except TinyTagException as error:
        raise NotAudioError(f"the file does not parse: {error}") from error
    if not tag.samplerate or not tag.channels:
        raise NotAudioError("the file does not say what its samples are")
    return _Length(
        duration_s=tag.duration or 0.0,
        sample_rate_hz=tag.samplerate,
        channels=tag.channels,
    )


_READERS: Final[dict[AudioKind, Callable[[_Bytes], _Length]]] = {
    AudioKind.MP3: _mp3,
    AudioKind.AAC: _adts,
    AudioKind.WAV: _wav,
    AudioKind.OGG: _ogg,
    AudioKind.OPUS: _ogg,
    AudioKind.M4A: _m4a,
    AudioKind.FLAC: _tagged,
}
