"""The one way to the screen: control characters are shown, not obeyed, and what an encoding lacks is replaced; nothing else prints.

Texts of vendors, servers and callers reach this command line: titles, messages, links. One that holds an escape sequence could clear the
screen, forge a line, or make a link that says one thing and leads to another.
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

#: C0, DEL and C1; marks that turn the direction of writing; separators that end a line; lone surrogates, which no encoding has.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
_LINE_END = "\n"


def visible(text: object) -> str:
    """Foreign text, fit to stand in a line: control characters are shown as escapes, line breaks too."""
    return _UNSAFE.sub(_escape, str(text))


def visible_lines(text: object) -> str:
    """Lines of ours, each with what is unsafe as escapes."""
    return _LINE_END.join(visible(line) for line in str(text).split(_LINE_END))


def printable(text: object, *, err: bool = False) -> str:
    """Lines as the stream can show them; what its encoding lacks becomes a question mark."""
    encoding = _encoding(err=err)
    return visible_lines(text).encode(encoding, "replace").decode(encoding)


def say(text: object, *, err: bool = False) -> None:
    """Print lines, on standard output or on standard error."""
    click.echo(printable(text, err=err), err=err)


def print_json(value: object) -> None:
    """Print one JSON value, readable; a letter that standard output cannot hold is escaped, so that nothing is lost."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode(_encoding(err=False))
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    # Between values JSON has line breaks only; what is unsafe stands in a text, where an escape means the same.
    say(_LINE_END.join(_UNSAFE.sub(_json_escape, line) for line in text.split(_LINE_END)))


def guard() -> None:
    """Make tracebacks and log lines of this process go the same way."""
    sys.excepthook = _show_traceback
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter("%(message)s"))


class LineFormatter(logging.Formatter):
    """One record is one line, whatever is in it; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The line."""
        return visible(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802 - the library's name
        """The lines of a traceback."""
        return _traceback(ei[1]) if isinstance(ei, tuple) and isinstance(ei[1], BaseException) else ""


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    say(_traceback(error), err=True)


def _traceback(error: BaseException) -> str:
    """A traceback whose frames keep their lines, while the message of an error stays in one."""
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
