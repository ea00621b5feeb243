"""Put linear PCM into FLAC frames without compressing it: verbatim subframes need no encoder.

Source: RFC 9639 (sections 8.2 STREAMINFO, 9.1 frame header, 9.2.2 verbatim, 9.3 frame footer).
"""

import functools
import struct
from array import array
from typing import Final

from musicgate.emulation.loops.flac_crc import flac_crc8, flac_crc16

#: Samples of a channel in one frame.
_BLOCK: Final = 4096


@functools.lru_cache(maxsize=4)
def flac(pcm: bytes, *, sample_rate_hz: int, channels: int) -> bytes:
    """Make a FLAC file of s16le PCM; the file is as large as the PCM.

    The checksums take about 0.1 s a second of stereo, so the last files are kept.
    """
    samples = array("h", pcm)
    if array("H", b"\x01\x00")[0] == 1:
        samples.byteswap()
    count = len(samples) // channels
    fields = sample_rate_hz << 44 | channels - 1 << 41 | 15 << 36 | count
    info = struct.pack(">HH3x3xQ16x", _BLOCK, _BLOCK, fields)
    frames = [
        _frame(samples[start * channels : (start + _BLOCK) * channels], number, channels)
        for number, start in enumerate(range(0, count, _BLOCK))
    ]
    return b"".join((b"fLaC", bytes((0x80, 0, 0, len(info))), info, *frames))


def _frame(samples: "array[int]", number: int, channels: int) -> bytes:
    # 0x70: the size of the block follows; the sample rate is that of STREAMINFO. 8: 16 bits a sample.
    head = bytes((0xFF, 0xF8, 0x70, channels - 1 << 4 | 8)) + chr(number).encode("utf-8", "surrogatepass")
    head += struct.pack(">H", len(samples) // channels - 1)
    body = b"".join(b"\x02" + samples[channel::channels].tobytes() for channel in range(channels))
    frame = head + bytes((flac_crc8(head),)) + body
    return frame + struct.pack(">H", flac_crc16(frame))
