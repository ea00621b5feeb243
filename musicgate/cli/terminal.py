"""The only module that prints: escapes control characters and handles the stream's encoding.

Titles, messages and links come from vendors, servers and callers. An escape sequence in one could clear the
screen, forge a line, or make a link that shows one address and leads to another.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from types import TracebackType

#: C0, DEL and C1; bidirectional marks; line separators; tags; lone surrogates, which no encoding has.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
_LINE_END = "\n"


def visible(text: object) -> str:
    """Escape control characters and line breaks, so that untrusted text stays within its line."""
    return _UNSAFE.sub(_escape, str(text))


def visible_lines(text: object) -> str:
    """Escape each line; keep the line breaks."""
    return _LINE_END.join(visible(line) for line in str(text).split(_LINE_END))


def printable(text: object, *, err: bool = False) -> str:
    """Escape lines, and replace what the stream's encoding cannot represent by a question mark."""
    encoding = _encoding(err=err)
    return visible_lines(text).encode(encoding, "replace").decode(encoding)


def say(text: object, *, err: bool = False) -> None:
    """Print lines on standard output, or on standard error."""
    click.echo(printable(text, err=err), err=err)


def say_lines(text: str) -> None:
    """Print lines that end with a line feed, as in JSON, or with a carriage return before it, as in CSV."""
    for line in text.removesuffix(_LINE_END).split(_LINE_END):
        say(line.removesuffix("\r"))


def print_json(value: object) -> None:
    """Print one JSON value, indented; as ASCII if the encoding of standard output is narrower."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode(_encoding(err=False))
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    # Outside of strings there are no unsafe characters but line breaks; inside, an escape means the same.
    say(_LINE_END.join(_UNSAFE.sub(_json_escape, line) for line in text.split(_LINE_END)))


def guard() -> None:
    """Escape tracebacks and log lines of this process, too."""
    sys.excepthook = _show_traceback
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter("%(message)s"))


class LineFormatter(logging.Formatter):
    """Formats a record as one line, whatever it contains; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """Escape the message."""
        return visible(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - the library's name
        """Escape the traceback."""
        return _traceback(ei[1]) if isinstance(ei, tuple) and isinstance(ei[1], BaseException) else ""


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    say(_traceback(error), err=True)


def _traceback(error: BaseException) -> str:
    """Format a traceback; the message of the exception stays on one line."""
    parts = [
        visible_lines(part)
        if part.startswith((" ", "Traceback", _LINE_END))
        else f"{visible(part.rstrip())}{_LINE_END}"
        for part in traceback.format_exception(error)
    ]
    return "".join(parts).rstrip()


def _encoding(*, err: bool) -> str:
    return getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if 0xD800 <= number <= 0xDFFF:
        return "\ufffd"
    names = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    width, letter = (2, "x") if number <= 0xFF else (4, "u") if number <= 0xFFFF else (8, "U")
    return names.get(found[0]) or f"\\{letter}{number:0{width}x}"


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if ord(found[0]) != 0x7F else "\\u007f"
