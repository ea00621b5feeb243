"""Move MP3 frames without a bit reservoir to another bit rate, or from two channels to one.

The loops are encoded once, at a low bit rate. A frame consists of side information and Huffman data; the rest
of a larger frame is ancillary data that every decoder skips (ISO/IEC 11172-3 section 2.4.1.8). So a frame
moves to a higher bit rate with zeros behind it, and needs no encoder.
"""

import functools
import struct
from collections.abc import Iterator
from importlib.resources import files
from typing import Final

import attrs

from musicgate.assets import (
    MPEG1_BITRATES_BPS,
    MPEG2_BITRATES_BPS,
    FrameHeader,
    mp3_header,
)

BARS: Final = {"stereo": 8, "middle": 4}
#: Loops by sample rate, the best first, each with the lowest bit rate whose frames are large enough for its
#: own.
_LOOPS: Final = {
    16_000: (("middle", 32_000),),
    22_050: (("middle", 32_000),),
    24_000: (("middle", 32_000),),
    32_000: (("middle", 32_000),),
    44_100: (("stereo", 128_000), ("middle", 32_000)),
    48_000: (("stereo", 112_000),),
}
#: Per MPEG version: width of main_data_begin, private bits for one and two channels, scfsi bits a channel,
#: granules, and the side information of one channel in one granule.
_MPEG1_SIDE: Final = (9, 5, 3, 4, 2, 59)
_MPEG2_SIDE: Final = (8, 1, 2, 0, 1, 63)


@attrs.frozen(kw_only=True)
class _Part:
    """One frame without padding: header, side information and Huffman data."""

    header: bytes
    side: bytes
    main: bytes


def nearest_bitrate_bps(sample_rate_hz: int, bitrate_bps: int) -> int:
    """Return the nearest bit rate that MP3 has for this sample rate, as LAME does."""
    table = MPEG1_BITRATES_BPS if sample_rate_hz >= 32_000 else MPEG2_BITRATES_BPS
    return min(table, key=lambda known: (abs(known - bitrate_bps), known))


def song(*, sample_rate_hz: int, bitrate_bps: int, channels: int, duration_s: float, seed: int) -> bytes:
    """Make a constant bit rate MP3 file; an "Info" frame in front states its frames and bytes.

    Raises:
        ValueError: no loop is shipped for this sample rate, bit rate and number of channels.
    """
    bitrate_bps = nearest_bitrate_bps(sample_rate_hz, bitrate_bps)
    frames, bars = _loop(sample_rate_hz, bitrate_bps, channels)
    samples = 1152 if sample_rate_hz >= 32_000 else 576
    count = max(1, round(duration_s * sample_rate_hz / samples))
    start = rotation(seed, len(frames), bars)
    rounds, rest = divmod(count, len(frames))
    rotated = frames[start:] + frames[:start]
    body = b"".join(rotated) * rounds + b"".join(rotated[:rest])
    return _info_frame(frames[0], count, len(body)) + body


def rotation(seed: int, frames: int, bars: int) -> int:
    """Return the frame at which a seed begins; seeds below `bars` begin at a bar, and all differ."""
    in_bar = frames // bars
    return (seed % bars * in_bar + seed // bars) % frames


@functools.lru_cache(maxsize=8)
def _loop(sample_rate_hz: int, bitrate_bps: int, channels: int) -> tuple[tuple[bytes, ...], int]:
    for name, lowest_bps in _LOOPS.get(sample_rate_hz, ()):
        if bitrate_bps >= lowest_bps and (channels == 2 or (channels == 1 and name == "middle")):
            parts = _parts(f"{name}-{sample_rate_hz}.mp3")
            if channels == 1:
                parts = tuple(map(_to_mono, parts))
            return tuple(_wrapped(parts, sample_rate_hz, bitrate_bps)), BARS[name]
    raise ValueError(f"no MP3 loop for {sample_rate_hz} Hz, {bitrate_bps} bit/s, {channels} channel(s)")


@functools.lru_cache(maxsize=8)
def _parts(name: str) -> tuple[_Part, ...]:
    encoded = files(__package__).joinpath(name).read_bytes()
    return tuple(_unwrapped(encoded))


def _unwrapped(encoded: bytes) -> Iterator[_Part]:
    at = 0
    while at < len(encoded):
        header = encoded[at : at + 4]
        frame = _known(header)
        side = encoded[at + 4 : at + frame.note_offset]
        used = sum(length for length, _ in _granules(side, _layout(header), frame.channels))
        main_at = at + frame.note_offset
        yield _Part(header=header, side=side, main=encoded[main_at : main_at + (used + 7) // 8])
        at += frame.size_bytes


def _known(header: bytes) -> FrameHeader:
    frame = mp3_header(header)
    if frame is None:
        raise ValueError(f"a shipped loop is damaged at frame header {header.hex()}")
    return frame


def _layout(header: bytes) -> tuple[int, int, int, int, int, int]:
    return _MPEG1_SIDE if header[1] >> 3 & 3 == 3 else _MPEG2_SIDE


def _granules(
    side: bytes, layout: tuple[int, int, int, int, int, int], channels: int
) -> list[tuple[int, int]]:
    """Return for each granule and channel its Huffman bits, and its side information as a number."""
    begin, private_mono, private_stereo, scfsi, granules, width = layout
    front = begin + (private_mono if channels == 1 else private_stereo) + scfsi * channels
    bits, total = int.from_bytes(side, "big"), 8 * len(side)
    fields = [
        bits >> total - front - width * (number + 1) & (1 << width) - 1
        for number in range(granules * channels)
    ]
    return [(field >> width - 12, field) for field in fields]


def _to_mono(part: _Part) -> _Part:
    """Keep the middle channel of a frame whose side channel is empty, its gain divided by sqrt(2)."""
    layout = _layout(part.header)
    begin, private_mono, private_stereo, scfsi, granules, width = layout
    kept = [field for _, field in _granules(part.side, layout, 2)[::2]]
    total = 8 * len(part.side)
    shared = int.from_bytes(part.side, "big") >> total - begin - private_stereo - scfsi & (1 << scfsi) - 1
    bits = shared  # main_data_begin and the private bits in front of it are zero
    for field in kept:
        # global_gain follows part2_3_length and big_values; two steps are a factor of sqrt(2).
        gain_at = width - 12 - 9 - 8
        gain = field >> gain_at & 0xFF
        bits = bits << width | field - (min(gain, 2) << gain_at)
    used = begin + private_mono + scfsi + granules * width
    side = bits.to_bytes((used + 7) // 8, "big")
    return _Part(header=part.header[:3] + bytes((0xC0 | part.header[3] & 0x0F,)), side=side, main=part.main)


def _wrapped(parts: tuple[_Part, ...], sample_rate_hz: int, bitrate_bps: int) -> Iterator[bytes]:
    """Yield whole frames at the new bit rate; padding bytes keep the running average exact."""
    table = MPEG1_BITRATES_BPS if sample_rate_hz >= 32_000 else MPEG2_BITRATES_BPS
    index = table.index(bitrate_bps) + 1
    earned = 0
    for part in parts:
        bytes_x_rate = (144 if sample_rate_hz >= 32_000 else 72) * bitrate_bps
        earned += bytes_x_rate % sample_rate_hz
        padding, earned = divmod(earned, sample_rate_hz)
        size = bytes_x_rate // sample_rate_hz + padding
        third = index << 4 | part.header[2] & 0x0C | padding << 1
        frame = bytes((0xFF, part.header[1], third, part.header[3])) + part.side + part.main
        if len(frame) > size:
            raise ValueError(
                f"a frame of the loop does not fit into {bitrate_bps} bit/s at {sample_rate_hz} Hz"
            )
        yield frame.ljust(size, b"\0")


def _info_frame(model: bytes, frames: int, body_bytes: int) -> bytes:
    """Make a silent first frame with the tag "Info": number of frames and bytes, as LAME writes it."""
    header = _known(model[:4])
    note = struct.pack(">4sIII", b"Info", 3, frames, header.size_bytes + body_bytes)
    return (model[:4] + bytes(header.note_offset - 4) + note).ljust(header.size_bytes, b"\0")
