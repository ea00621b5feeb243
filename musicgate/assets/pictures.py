"""Recognise pictures by their bytes. It decodes nothing.

It knows no SVG: that is a page, which may run scripts.
"""

from __future__ import annotations

import re
from typing import Final

#: First bytes, name of the kind, media type.
# Source: PNG (ISO/IEC 15948) 5.2, JPEG (ISO/IEC 10918-1) B.1.1, GIF89a section 17, WebP (RFC 9649) 2.4,
# AVIF 1.1 section 6 (aomediacodec.github.io/av1-avif, 29 November 2026).
_KINDS: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "png", "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "jpg", "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "gif", "image/gif"),
    (re.compile(rb"RIFF.{4}WEBPVP8", re.DOTALL), "webp", "image/webp"),
    (re.compile(rb".{4}ftyp(?:avi[fs]|mif1.{4}(?:.{4}){0,8}?avif)", re.DOTALL), "avif", "image/avif"),
)
#: So many bytes of a file's start are enough.
PICTURE_SNIFF_BYTES: Final = 64


def sniff_picture(head: bytes) -> tuple[str, str] | None:
    """Recognise a picture that browsers show by its first bytes.

    Returns:
        The kind, which is the file name's ending too, and the media type; None if it is nothing of them.
    """
    for pattern, kind, media_type in _KINDS:
        if pattern.match(head):
            return kind, media_type
    return None
