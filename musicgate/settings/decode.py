"""Decodes text files that people write: UTF-8, with or without a byte order mark."""

from __future__ import annotations

import codecs

#: UTF-32 first: its little-endian mark begins like that of UTF-16.
_WIDE_MARKS = (
    ("UTF-32", codecs.BOM_UTF32_LE),
    ("UTF-32", codecs.BOM_UTF32_BE),
    ("UTF-16", codecs.BOM_UTF16_LE),
    ("UTF-16", codecs.BOM_UTF16_BE),
)


class NotTextError(ValueError):
    """Bytes that are not UTF-8 text. The message names the encoding or the line, and quotes nothing."""


def decoded(data: bytes) -> str:
    """Decode UTF-8 text and drop the byte order mark that some editors write.

    Raises:
        NotTextError: The text has another encoding.
    """
    for name, mark in _WIDE_MARKS:
        if data.startswith(mark):
            raise NotTextError(f"{name} text; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise NotTextError(f"not UTF-8 text (line {line})") from None
