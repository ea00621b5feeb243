"""Multipart answers of vendors, read leniently; no vendor is known here.

Readers for forms and mails are strict, and take a boundary inside audio for one, or what is left of one for
audio. Here a part ends where a line end, ``--`` and the boundary are followed by the rest of a delimiter
line, and nowhere else: audio may contain line ends, dashes and even the text of the boundary. The closing
delimiter counts only at the very end of the body, with or without a line end before it.

Seen: bytes before the first boundary, LF as line ends, no line end before the closing boundary; clients that
left the closing boundary on the audio, or parts off by the bytes of a CRLF (elevenlabs-python until
2026-03-06).
"""

from __future__ import annotations

import re
from typing import Final

import attrs

_BOUNDARY: Final = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;,"]+))', re.IGNORECASE)
_FIRST_LINE: Final = re.compile(rb"\A\s*--([^\r\n]{1,200}?)(?:--)?[ \t]*\r?\n")
_BLANK_LINE: Final = re.compile(rb"(?:\A|\n)\r?\n")


@attrs.frozen(kw_only=True)
class Part:
    """One part: its header lines, as they were sent, and its bytes."""

    head: bytes
    body: bytes = attrs.field(repr=False)

    def header(self, name: str) -> str:
        """The stripped value of a header, whatever its case; empty if it is absent."""
        for line in self.head.decode("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip().lower() == name.lower():
                return value.strip()
        return ""

    @property
    def is_json(self) -> bool:
        """True if the part is JSON by its media type or, without one, by its first character."""
        stated = self.header("content-type").lower()
        return "json" in stated or (not stated and self.body[:64].lstrip().startswith(b"{"))


@attrs.frozen(kw_only=True)
class Multipart:
    """The parts of a body; ``is_closed`` is False if the closing delimiter is missing."""

    parts: tuple[Part, ...]
    is_closed: bool


def read_multipart(content_type: str | None, body: bytes, *, is_expected: bool = False) -> Multipart | None:
    """Take a multipart body apart; None for any other body. It never raises.

    Bytes before the first boundary line are skipped. A boundary that the body does not have is replaced by
    the one of its first line.

    Args:
        content_type: the media type that is stated, with its parameters.
        is_expected: it is one also without the media type, if its first line looks like a boundary. Audio
            could look so by chance.
    """
    is_stated = (content_type or "").lower().startswith("multipart/")
    if not is_stated and not (is_expected and _FIRST_LINE.match(body)):
        return None
    boundary = _boundary(content_type, body)
    if boundary is None:
        return Multipart(parts=(), is_closed=False)
    mark = b"--" + boundary
    end = _closing_start(body, mark)
    is_closed = end is not None
    if end is None:
        end = len(body) - _torn_delimiter_bytes(body, mark + b"--")
    lines = _delimiter_lines(body, mark, end)
    starts = [after for _, after in lines]
    ends = [before for before, _ in lines[1:]] + [end]
    parts = tuple(_part(body[start:stop]) for start, stop in zip(starts, ends, strict=False) if start <= stop)
    return Multipart(parts=parts, is_closed=is_closed)


def _delimiter_lines(body: bytes, mark: bytes, end: int) -> list[tuple[int, int]]:
    """Start (with the line end before it) and end of each delimiter line.

    Only the first one needs no line end before it.
    """
    lines = re.finditer(re.escape(mark) + rb"[ \t]*\r?\n", body)
    spans = [line.span() for line in lines if line.start() + len(mark) <= end]
    found = [(_without_line_end(body, start), start, after) for start, after in spans]
    return [(before, after) for before, start, after in found if before < start or start == spans[0][0]]


def _closing_start(body: bytes, mark: bytes) -> int | None:
    """Start of the closing delimiter, with one line end before it; None if the body does not end in one."""
    at = body.rfind(mark + b"--")
    if at < 0 or body[at + len(mark) + 2 :].strip():
        return None
    return _without_line_end(body, at)


def _without_line_end(body: bytes, at: int) -> int:
    """The position before the line end that precedes ``at``; ``at`` itself if there is none."""
    if not body.startswith(b"\n", at - 1) or at == 0:
        return at
    return at - 2 if at > 1 and body.startswith(b"\r", at - 2) else at - 1


def _boundary(content_type: str | None, body: bytes) -> bytes | None:
    """The boundary of the header if the body has it, else the one of the body's first line."""
    stated = _BOUNDARY.search(content_type or "")
    if stated:
        boundary = (stated[1] or stated[2]).encode("utf-8", "replace")
        if b"--" + boundary in body:
            return boundary
    first_line = _FIRST_LINE.match(body)
    return first_line[1].rstrip() if first_line else None


def _torn_delimiter_bytes(body: bytes, delimiter: bytes) -> int:
    """Length of the incomplete closing delimiter at the end of a body.

    It has at least a line end and two dashes; anything shorter is audio.
    """
    for size in range(len(delimiter) - 1, 1, -1):
        for line_end in (b"\r\n", b"\n"):
            if body.endswith(line_end + delimiter[:size]):
                return len(line_end) + size
    return 0


def _part(piece: bytes) -> Part:
    """Split a part at the first blank line; without one there is no body."""
    blank_line = _BLANK_LINE.search(piece)
    if blank_line is None:
        return Part(head=piece, body=b"")
    return Part(head=piece[: blank_line.start()], body=piece[blank_line.end() :])
