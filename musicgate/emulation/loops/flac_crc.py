"""The two checksums of FLAC frames (RFC 9639): CRC-8 of a head, CRC-16 of a whole frame."""

from collections.abc import Iterable
from typing import Final


def flac_crc8(content: Iterable[int]) -> int:
    """CRC-8 of bytes, polynomial 0x07."""
    crc = 0
    for byte in content:
        crc = _CRC8[crc ^ byte]
    return crc


def flac_crc16(content: Iterable[int]) -> int:
    """CRC-16 of bytes, polynomial 0x8005. Of data followed by its own checksum it is 0."""
    crc = 0
    for byte in content:
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
    return crc


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    top, mask, rows = 1 << bits - 1, (1 << bits) - 1, []
    for row in range(256):
        value = row << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        rows.append(value)
    return tuple(rows)


_CRC8: Final = _table(0x07, 8)
_CRC16: Final = _table(0x8005, 16)
