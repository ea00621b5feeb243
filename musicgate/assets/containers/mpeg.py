"""Streams of frames: MP3 and AAC in ADTS. Frames are counted; the encoder's note is a claim."""

from typing import Final

import attrs

from musicgate.assets.audio import (
    ADTS,
    LONGEST_S,
    MP3,
    FrameFormat,
    FrameHeader,
    id3v2_size,
)
from musicgate.assets.containers.steps import (
    Content,
    Length,
    Steps,
    find,
)
from musicgate.errors import NotAudioError

#: Steps for an offset that only looks like a frame: a song has few of them.
_NOISE_STEPS: Final = 8
_NOTE_BYTES: Final = 2_048


@attrs.frozen(kw_only=True)
class _Walk:
    """Frames that are complete."""

    frames: int
    samples: int
    #: The file ends inside a frame.
    is_cut: bool


def mp3(content: Content, steps: Steps, begin: int = 0) -> Length:
    """Measure an MP3 stream, with or without tags, also one that begins mid-frame.

    Args:
        begin: offset of the stream inside another container.

    Raises:
        NotAudioError: without a frame, or cut.
    """
    at, first = _first_frame(content, MP3, steps, begin)
    walk = _walk(content, at, first, MP3, steps)
    stated, trimmed = _encoder_note(content[at : at + min(first.size_bytes, _NOTE_BYTES)], first)
    samples = walk.samples
    if stated is not None:
        samples -= first.samples  # the frame that holds the note is silent
        there = walk.frames - 1
        if walk.is_cut and there < stated <= LONGEST_S * first.sample_rate_hz // first.samples:
            raise NotAudioError(f"the mp3 file is cut: {there} of {stated} frames are there")
    return _length(max(0, samples - trimmed), first)


def adts(content: Content, steps: Steps) -> Length:
    """Measure AAC in ADTS.

    Raises:
        NotAudioError: without a frame.
    """
    at, first = _first_frame(content, ADTS, steps, 0)
    return _length(_walk(content, at, first, ADTS, steps).samples, first)


def _length(samples: int, first: FrameHeader) -> Length:
    return Length(
        duration_s=samples / first.sample_rate_hz,
        sample_rate_hz=first.sample_rate_hz,
        channels=first.channels,
    )


def _first_frame(content: Content, form: FrameFormat, steps: Steps, begin: int) -> tuple[int, FrameHeader]:
    """The first header that is followed, after its size, by another one or the end of the file."""
    tag_bytes = id3v2_size(content[:10])
    # A tag larger than the file has a wrong size; the frames may be there all the same.
    at = begin or (tag_bytes if tag_bytes < len(content) else 10)
    while (at := find(form.pattern, content, at, steps)) >= 0:
        first = form.read(content[at : at + form.header_bytes])
        if first and _is_followed(content, at, first, form, steps):
            return at, first
        steps.take(_NOISE_STEPS)
        at += 1
    raise NotAudioError("the file has no frame of audio in it")


def _is_followed(content: Content, at: int, frame: FrameHeader, form: FrameFormat, steps: Steps) -> bool:
    """True if this frame ends where another one of the same stream, or the end of the file, is."""
    steps.take()
    end = at + frame.size_bytes
    if end == len(content) or content[end : end + 3] == b"TAG":
        return True
    following = form.read(content[end : end + form.header_bytes])
    return following is not None and following.sample_rate_hz == frame.sample_rate_hz


def _walk(content: Content, begin: int, first: FrameHeader, form: FrameFormat, steps: Steps) -> _Walk:
    """Walk the frames, skipping what is between and behind them (tags, noise).

    Raises:
        NotAudioError: the file does not begin with audio, and most of the rest is not audio either.
    """
    size, read, header_bytes, rate_hz = len(content), form.read, form.header_bytes, first.sample_rate_hz
    at, frames, samples, audio_bytes = begin, 0, 0, 0
    while 0 <= at < size:
        steps.take()
        frame = read(content[at : at + header_bytes])
        if frame is None or frame.sample_rate_hz != rate_hz:
            if size - at < header_bytes and content[at] == 0xFF:
                return _Walk(frames=frames, samples=samples, is_cut=True)
            at = _resync(content, at + 1, rate_hz, form, steps)
            continue
        at += frame.size_bytes
        if at <= size:
            frames, samples, audio_bytes = frames + 1, samples + frame.samples, audio_bytes + frame.size_bytes
    if not form.read(content[:header_bytes]) and content[:3] != b"ID3" and 2 * audio_bytes < size - begin:
        raise NotAudioError("most of the file is no audio")
    return _Walk(frames=frames, samples=samples, is_cut=at > size)


def _resync(content: Content, at: int, rate_hz: int, form: FrameFormat, steps: Steps) -> int:
    """Offset of the next frame of the same stream that is followed by another one, or -1."""
    while (at := find(form.pattern, content, at, steps)) >= 0:
        frame = form.read(content[at : at + form.header_bytes])
        if frame and frame.sample_rate_hz == rate_hz and _is_followed(content, at, frame, form, steps):
            return at
        steps.take(_NOISE_STEPS)
        at += 1
    return -1


def _encoder_note(frame: bytes, header: FrameHeader) -> tuple[int | None, int]:
    """The number of frames that the encoder stated, and the samples of delay and padding to subtract.

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
