"""Put the packets of the Opus loop into Ogg pages, padded to a higher bit rate.

Source: RFC 3533 (pages), RFC 7845 (Opus in Ogg), RFC 6716 section 3.2.5 (padding inside a packet).
"""

import functools
import struct
import zlib
from importlib.resources import files
from typing import Final

from musicgate.emulation.loops.mp3 import rotation

RATE_HZ: Final = 48_000
_PACKET_SAMPLES: Final = 960  # 20 ms
_PACKETS_IN_PAGE: Final = 50
_BARS: Final = 8
#: A song begins in the middle of the loop, so a decoder needs 80 ms to settle (RFC 7845 section 4.6).
_PRE_SKIP_SAMPLES: Final = 4 * _PACKET_SAMPLES
#: Asks the decoder for 2 dB less (in 1/256 dB): the low bit rate overshoots the peaks of the music.
_GAIN: Final = -512
_BITRATES_BPS: Final = range(32_000, 256_001)
_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FIRST, _LAST = 2, 4


def song(*, bitrate_bps: int, channels: int, duration_s: float, seed: int) -> bytes:
    """Make an Ogg Opus file; its length is exact to the sample, because the last page states the end.

    Raises:
        ValueError: a bit rate outside 32 to 256 kbit/s, or more than two channels.
    """
    if bitrate_bps not in _BITRATES_BPS or channels not in {1, 2}:
        raise ValueError(f"no Opus music for {bitrate_bps} bit/s and {channels} channel(s)")
    loop = _packets(bitrate_bps // 400)
    end = _PRE_SKIP_SAMPLES + max(1, round(duration_s * RATE_HZ))
    start, count = rotation(seed, len(loop), _BARS), -(-end // _PACKET_SAMPLES)
    rounds = -(-(start + count) // len(loop))
    packets = (loop * rounds)[start : start + count]
    serial = zlib.crc32(b"musicgate %d" % seed)
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, _PRE_SKIP_SAMPLES, RATE_HZ, _GAIN, 0)
    tags = b"OpusTags" + struct.pack("<I", 9) + b"musicgate" + struct.pack("<I", 0)
    pages = [_page((head,), 0, serial, 0, _FIRST), _page((tags,), 0, serial, 1, 0)]
    for first in range(0, count, _PACKETS_IN_PAGE):
        group = packets[first : first + _PACKETS_IN_PAGE]
        last = first + len(group) == count
        granule = end if last else (first + len(group)) * _PACKET_SAMPLES
        pages.append(_page(group, granule, serial, len(pages), _LAST if last else 0))
    return b"".join(pages)


def without_container(ogg: bytes) -> bytes:
    """The contents of the pages of an Ogg file, which no player plays."""
    found, at = b"", 0
    while at < len(ogg):
        start = at + 27 + ogg[at + 26]
        size = sum(ogg[at + 27 : start])
        found, at = found + ogg[start : start + size], start + size
    return found


def _page(packets: tuple[bytes, ...], granule: int, serial: int, number: int, flags: int) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets)
    front = struct.pack("<4sBBqII", b"OggS", 0, flags, granule, serial, number)
    rest = bytes((len(lacing),)) + lacing + b"".join(packets)
    return front + struct.pack("<I", crc(front + bytes(4) + rest)) + rest


def crc(page: bytes) -> int:
    """Return the checksum of an Ogg page: CRC-32, most significant bit first.

    zlib has the same polynomial, but takes the least significant bit first, starts at all ones and inverts
    the result: reverse the bits of each byte and of the result, and undo both inversions. That is 100 times
    faster than a loop over bytes.
    """
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")


@functools.lru_cache(maxsize=6)
def _packets(size_bytes: int) -> tuple[bytes, ...]:
    stored = files(__package__).joinpath("stereo-48000.opus").read_bytes()
    packets, at = [], 0
    while at < len(stored):
        end = at + 2 + int.from_bytes(stored[at : at + 2], "big")
        packets.append(padded(stored[at + 2 : end], size_bytes))
        at = end
    return tuple(packets)


def padded(packet: bytes, size_bytes: int) -> bytes:
    """Enlarge a packet of one frame: code 3, one frame, padding; one that is large enough stays."""
    spare = size_bytes - len(packet) - 2
    if spare < 0:
        return packet
    full, rest = divmod(spare, 255)  # a length byte of 255 means 254 bytes of padding and itself
    front = bytes((packet[0] | 3, 0x41)) + b"\xff" * full + bytes((rest,))
    return (front + packet[1:]).ljust(size_bytes, b"\0")
