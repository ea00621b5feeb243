"""Content codings of request bodies: decoded piece by piece, and never beyond a limit.

**Source**: RFC 9110 8.4 (gzip, x-gzip, deflate, identity), RFC 1950 to 1952. A body in two codings at once is
refused: no client has a reason to send one.
"""

from __future__ import annotations

import zlib
from typing import Final

#: ``Accept-Encoding`` of a 415.
CODINGS: Final = "gzip, deflate"
#: A gzip body may have several members. Each costs a decompressor, so an endless row of them is refused.
_MAX_MEMBERS: Final = 16
_STEP_BYTES: Final = 65_536
_GZIP_WBITS: Final = 31


class DecodeError(ValueError):
    """The bytes are not in the coding that ``Content-Encoding`` names."""


class TooLargeError(ValueError):
    """The decoded body is larger than the limit."""


class UnknownCodingError(ValueError):
    """A coding, or a combination of codings, that this server does not support."""


def read_content_encoding(header: str) -> str:
    """Return the coding that a ``Content-Encoding`` header names: ``gzip``, ``deflate`` or "" for none.

    Raises:
        UnknownCodingError: it names another one, or more than one.
    """
    names = [name.strip().lower() for name in header.split(",")]
    codings = [name.removeprefix("x-") for name in names if name not in {"", "identity"}]
    if not codings:
        return ""
    if len(codings) > 1 or codings[0] not in {"gzip", "deflate"}:
        raise UnknownCodingError
    return codings[0]


class BodyDecoder:
    """Decodes a body that arrives in pieces.

    Raises (all methods):
        DecodeError: the coding is broken, cut short, or followed by other bytes.
        TooLargeError: more than ``limit_bytes``.
    """

    def __init__(self, coding: str, limit_bytes: int) -> None:
        self._coding = coding
        self._limit = limit_bytes
        self._out = bytearray()
        self._members = 0
        self._inflate: zlib._Decompress | None = None

    def feed(self, piece: bytes) -> None:
        """Decode the next bytes."""
        if not self._coding:
            self._keep(piece)
            return
        while piece:
            if self._inflate is None:
                self._inflate = self._next_member(piece[0])
            try:
                self._keep(self._inflate.decompress(piece, _STEP_BYTES))
            except zlib.error as exc:
                raise DecodeError from exc
            piece = self._inflate.unconsumed_tail
            if self._inflate.eof:
                piece, self._inflate = self._inflate.unused_data, None

    def end(self) -> bytes:
        """Return the decoded body."""
        if self._inflate is not None:
            # zlib may still hold output that did not fit into the last step.
            try:
                while rest := self._inflate.decompress(self._inflate.unconsumed_tail, _STEP_BYTES):
                    self._keep(rest)
            except zlib.error as exc:
                raise DecodeError from exc
            if not self._inflate.eof:
                raise DecodeError
        return bytes(self._out)

    def _keep(self, piece: bytes) -> None:
        if len(self._out) + len(piece) > self._limit:
            raise TooLargeError
        self._out += piece

    def _next_member(self, first: int) -> zlib._Decompress:
        self._members += 1
        if self._coding == "gzip":
            if self._members > _MAX_MEMBERS:
                raise DecodeError
            return zlib.decompressobj(_GZIP_WBITS)
        if self._members > 1:
            raise DecodeError
        # Some clients send deflate without the zlib header that RFC 9110 requires.
        has_header = first & 0x0F == zlib.DEFLATED
        return zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
