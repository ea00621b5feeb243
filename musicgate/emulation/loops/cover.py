"""Make small cover pictures as PNGs."""

import hashlib
import zlib
from typing import Final

_SIDE: Final = 128


def cover_png(title: str = "") -> bytes:
    """Make a PNG of 128 by 128 pixels: a gradient between two colours that depend on the title.

    Source: PNG specification (ISO/IEC 15948), sections 5.3 and 11.2.
    """
    digest = hashlib.sha256(title.encode()).digest()
    top, bottom = digest[:3], digest[3:6]
    rows = []
    for y in range(_SIDE):
        colour = bytes((a * (_SIDE - 1 - y) + b * y) // (_SIDE - 1) for a, b in zip(top, bottom, strict=True))
        rows.append(b"\0" + colour * _SIDE)
    size = _SIDE.to_bytes(4, "big")
    header = size + size + bytes((8, 2, 0, 0, 0))  # 8 bits a colour, RGB
    pixels = zlib.compress(b"".join(rows), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")
