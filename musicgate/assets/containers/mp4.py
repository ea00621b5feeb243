"""MP4 (M4A): boxes, sample tables and fragments.

The length is that of the samples whose bytes are present. The durations in ``mvhd`` and ``mdhd`` are not even
read.

Source: ISO/IEC 14496-12 (sections are named below).
"""

import struct
from collections.abc import Iterator
from typing import Final

import attrs

from musicgate.assets.containers.steps import Content, Length, Steps
from musicgate.errors import NotAudioError

_Range = tuple[int, int]

#: Steps for a box: there are few of them.
_BOX_STEPS: Final = 4
#: Entries of a table that are read at a time, and how many of them cost a step.
_ENTRIES: Final = 8_192
_ENTRIES_PER_STEP: Final = 16
#: An AAC packet decodes to no more samples than this (with spectral band replication).
_MOST_AAC_SAMPLES: Final = 2_048
_USUAL_AAC_SAMPLES: Final = 1_024


@attrs.define(kw_only=True)
class _Samples:
    """Samples that are present, and their duration in units of the track."""

    #: Bytes of media not yet assigned to a sample.
    left: int
    count: int = 0
    units: int = 0
    #: More samples were stated than there are bytes for.
    is_short: bool = False


@attrs.frozen(kw_only=True)
class _Track:
    """The first sound track, as described in ``moov``."""

    id: int
    timescale: int
    codec: bytes
    channels: int
    sample_rate_hz: int
    stbl: _Range
    #: Units that an edit list skips at the start, and those that it plays; 0 = all.
    skipped: int
    played: int


def m4a(content: Content, steps: Steps) -> Length:
    """Measure the sound in an MP4 file, fragmented or not.

    Raises:
        NotAudioError: damaged, cut, or without sound.
    """
    whole = (0, len(content))
    moov, media_bytes, is_cut = _overview(content, whole, steps)
    track = _track(content, moov, steps) if moov else None
    if moov is None or track is None or not track.timescale or not track.channels or not track.sample_rate_hz:
        raise NotAudioError("the m4a file does not say what its samples are")
    samples = _Samples(left=media_bytes)
    _count_table(content, track.stbl, samples, steps)
    defaults = _fragment_defaults(content, moov, track.id, steps)
    is_fragmented = False
    for name, box in _boxes(content, whole, steps):
        if name == b"moof":
            is_fragmented = True
            _count_fragment(content, box, track.id, defaults, samples, steps)
    if is_cut and (is_fragmented or samples.is_short):
        raise NotAudioError("the m4a file is damaged or cut: a box is larger than what is left")
    return Length(
        duration_s=_played_units(track, samples) / track.timescale,
        sample_rate_hz=track.sample_rate_hz,
        channels=track.channels,
    )


def _overview(content: Content, whole: _Range, steps: Steps) -> tuple[_Range | None, int, bool]:
    """The range of ``moov``, the bytes of media present, and whether the last ones are missing."""
    moov, media_bytes, is_cut = None, 0, False
    for name, (start, end) in _boxes(content, whole, steps):
        if name == b"moov":
            moov = (start, end)
        elif name == b"mdat":
            media_bytes += min(end, len(content)) - start
            is_cut = end > len(content)
    return moov, media_bytes, is_cut


def _boxes(content: Content, around: _Range, steps: Steps) -> Iterator[tuple[bytes, _Range]]:
    """Name and content range of each box (section 4.2).

    Size 1 means that a 64-bit size follows, size 0 that the box extends to the end. ``mdat`` may be shorter
    than its size.
    """
    at, end = around
    while len(head := content[at : min(at + 16, end)]) >= 8:
        steps.take(_BOX_STEPS)
        size, head_bytes = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, head_bytes = int.from_bytes(head[8:16], "big"), 16
        size = size or end - at
        if size < head_bytes or (at + size > end and head[4:8] != b"mdat"):
            raise NotAudioError("the m4a file is damaged or cut: a box is larger than what is left")
        yield head[4:8], (at + head_bytes, at + size)
        at += size


def _inside(content: Content, around: _Range, steps: Steps, *path: bytes) -> _Range | None:
    """Content range of the first box on this path, or None."""
    for name in path:
        found = next((box for inner, box in _boxes(content, around, steps) if inner == name), None)
        if found is None:
            return None
        around = found
    return around


def _number(content: Content, box: _Range | None, offset: int, size: int = 4) -> int:
    """A number in a box; 0 if the box is missing or too short."""
    if box is None or box[0] + offset + size > box[1]:
        return 0
    return int.from_bytes(content[box[0] + offset : box[0] + offset + size], "big")


def _is_long(content: Content, box: _Range | None) -> bool:
    """True if the times in a box have 64 bits."""
    return _number(content, box, 0, 1) == 1


def _timescale(content: Content, mdhd: _Range | None) -> int:
    """Units per second; the field follows two times (sections 8.4.2 and 8.2.2)."""
    return _number(content, mdhd, 20 if _is_long(content, mdhd) else 12)


def _track(content: Content, moov: _Range, steps: Steps) -> _Track | None:
    for name, trak in _boxes(content, moov, steps):
        mdia = _inside(content, trak, steps, b"mdia") if name == b"trak" else None
        if (
            mdia is None or _number(content, _inside(content, mdia, steps, b"hdlr"), 8) != 0x736F756E
        ):  # "soun"
            continue
        stbl = _inside(content, mdia, steps, b"minf", b"stbl")
        stsd = _inside(content, stbl, steps, b"stsd") if stbl else None
        if stbl is None or stsd is None:
            continue
        timescale = _timescale(content, _inside(content, mdia, steps, b"mdhd"))
        tkhd = _inside(content, trak, steps, b"tkhd")
        skipped, played = _edit(content, moov, trak, timescale, steps)
        return _Track(
            id=_number(content, tkhd, 20 if _is_long(content, tkhd) else 12),
            timescale=timescale,
            codec=content[stsd[0] + 12 : min(stsd[0] + 16, stsd[1])],
            channels=_number(content, stsd, 32, 2),
            # Rates above 65,535 Hz do not fit into the field (section 12.2.3); then a unit is a sample.
            sample_rate_hz=_number(content, stsd, 40, 2) or timescale,
            stbl=stbl,
            skipped=skipped,
            played=played,
        )
    return None


def _edit(content: Content, moov: _Range, trak: _Range, timescale: int, steps: Steps) -> tuple[int, int]:
    """Units that an edit list of one entry skips at the start and plays (section 8.6.6)."""
    elst = _inside(content, trak, steps, b"edts", b"elst")
    movie_timescale = _timescale(content, _inside(content, moov, steps, b"mvhd"))
    if elst is None or _number(content, elst, 4) != 1 or not movie_timescale:
        return 0, 0
    wide = 8 if _is_long(content, elst) else 4
    duration, skipped = _number(content, elst, 8, wide), _number(content, elst, 8 + wide, wide)
    if skipped >> 8 * wide - 1:
        return 0, 0  # an empty edit
    return skipped, duration * timescale // movie_timescale


def _played_units(track: _Track, samples: _Samples) -> int:
    units = samples.units
    if track.codec == b"mp4a" and units * track.sample_rate_hz > (
        _MOST_AAC_SAMPLES * samples.count * track.timescale
    ):
        units = _USUAL_AAC_SAMPLES * samples.count * track.timescale // track.sample_rate_hz
    units = max(0, units - track.skipped) or units
    return min(units, track.played) if track.played else units


def _tables(content: Content, table: _Range, form: str, steps: Steps) -> Iterator[list[tuple[int, ...]]]:
    """The whole entries of a table, some thousand at a time."""
    size = struct.calcsize(form)
    at, end = table[0], table[0] + max(0, table[1] - table[0]) // size * size
    while at < end:
        piece = content[at : min(end, at + size * _ENTRIES)]
        steps.take(len(piece) // size // _ENTRIES_PER_STEP + 1)
        yield list(struct.iter_unpack(form, piece))
        at += len(piece)


def _count_table(content: Content, stbl: _Range, samples: _Samples, steps: Steps) -> None:
    """Count samples by their sizes (section 8.7.3), then add their durations (section 8.6.1.2)."""
    stsz = _inside(content, stbl, steps, b"stsz")
    size, count = _number(content, stsz, 4), _number(content, stsz, 8)
    if stsz is None or not count:
        return
    if size:
        _take_bytes(samples, [], count, size)
    else:
        left = min(count, (stsz[1] - stsz[0] - 12) // 4)
        for entries in _tables(content, (stsz[0] + 12, stsz[0] + 12 + 4 * left), ">I", steps):
            _take_bytes(samples, [entry[0] for entry in entries], len(entries), 0)
    stts, left = _inside(content, stbl, steps, b"stts"), samples.count
    for entries in _tables(content, (stts[0] + 8, stts[1]), ">II", steps) if stts else ():
        for number, units in entries:
            samples.units += min(left, number) * units
            left -= min(left, number)
    samples.count -= left


def _take_bytes(samples: _Samples, sizes: list[int], count: int, size: int) -> int:
    """Assign media bytes to samples as long as there are any; return how many samples got theirs.

    Args:
        sizes: of each sample; empty if all ``count`` have the same ``size``, which counts as one byte or
            more.
    """
    if samples.is_short:
        return 0
    if not sizes:
        fitting = min(count, samples.left // max(1, size))
        samples.left -= fitting * size
    elif (total := sum(sizes)) <= samples.left:
        fitting = count
        samples.left -= total
    else:
        fitting = 0
        while sizes[fitting] <= samples.left:
            samples.left -= sizes[fitting]
            fitting += 1
    samples.is_short = fitting < count
    samples.count += fitting
    return fitting


def _fragment_defaults(content: Content, moov: _Range, track_id: int, steps: Steps) -> tuple[int, int]:
    """Default duration and size of the samples of fragments (section 8.8.3)."""
    mvex = _inside(content, moov, steps, b"mvex")
    for name, trex in _boxes(content, mvex, steps) if mvex else ():
        if name == b"trex" and _number(content, trex, 4) in {0, track_id}:
            return _number(content, trex, 12), _number(content, trex, 16)
    return 0, 0


def _count_fragment(
    content: Content,
    moof: _Range,
    track_id: int,
    defaults: tuple[int, int],
    samples: _Samples,
    steps: Steps,
) -> None:
    """Count the samples in the runs of one fragment (sections 8.8.7 and 8.8.8)."""
    for name, traf in _boxes(content, moof, steps):
        tfhd = _inside(content, traf, steps, b"tfhd") if name == b"traf" else None
        if tfhd is None or _number(content, tfhd, 4) not in {0, track_id}:
            continue
        flags, at = _number(content, tfhd, 0) & 0xFFFFFF, 8
        at += (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0)
        duration, size = defaults
        if flags & 0x08:
            duration, at = _number(content, tfhd, at), at + 4
        if flags & 0x10:
            size = _number(content, tfhd, at)
        for inner, trun in _boxes(content, traf, steps):
            if inner == b"trun":
                _count_run(content, trun, duration, size, samples, steps)


def _count_run(
    content: Content, trun: _Range, duration: int, size: int, samples: _Samples, steps: Steps
) -> None:
    flags, count = _number(content, trun, 0) & 0xFFFFFF, _number(content, trun, 4)
    first = trun[0] + 8 + 4 * (flags & 0x01) + (flags & 0x04)
    fields = (flags >> 8 & 0x0F).bit_count()
    if not fields:
        samples.units += _take_bytes(samples, [], count, size) * duration
        return
    stop = min(trun[1], first + 4 * fields * count)
    for entries in _tables(content, (first, stop), f">{fields}I", steps):
        sizes = [entry[1 if flags & 0x100 else 0] for entry in entries] if flags & 0x200 else []
        there = _take_bytes(samples, sizes, len(entries), size)
        samples.units += sum(entry[0] for entry in entries[:there]) if flags & 0x100 else there * duration
