"""Log records as JSON: the event, and the facts that a line of text has as ``key=value``.

Messages are written as ``event: job=%s error=%s``, so the names of the facts are in the template, and their
values are the arguments. No caller formats anything for it.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Final

from musicgate.cli.terminal import LineFormatter

_FACT: Final = re.compile(r"[ :]*\b(\w+)=%(?:\.(\d+))?([sdfr])")
_CONVERSION: Final = re.compile(r"%(?!%)")
#: Keys of every line; a fact of such a name gets an underscore.
_KEYS: Final = frozenset({"time", "level", "logger", "event", "traceback"})


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object on one line, in ASCII."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = LineFormatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        event, facts = _read(record)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": event,
            **{f"{name}_" if name in _KEYS else name: value for name, value in facts.items()},
        }
        if record.exc_info:
            line["traceback"] = self._lines.formatException(record.exc_info)
        return json.dumps(line)


def _read(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """The event and the facts of a record; the whole message, where it has other parts."""
    names = _names(record.msg) if isinstance(record.msg, str) else None
    args = record.args
    if names is None or not isinstance(args, tuple) or len(args) != len(names[1]):
        return record.getMessage(), {}
    event, found = names
    return event, {
        name: _value(value, kind, digits) for (name, digits, kind), value in zip(found, args, strict=True)
    }


@functools.lru_cache(maxsize=512)
def _names(template: str) -> tuple[str, list[tuple[str, str, str]]] | None:
    """The event of a template, and name, digits and conversion of each fact; None if it has other parts."""
    found = list(_FACT.finditer(template))
    if len(found) != len(_CONVERSION.findall(template)):
        return None
    event = template[: found[0].start()] if found else template
    rest = _FACT.sub("", template)
    return (event, [(match[1], match[2] or "", match[3]) for match in found]) if rest == event else None


def _value(value: object, kind: str, digits: str) -> object:
    if isinstance(value, float) and digits:
        return round(value, int(digits))
    if value is None or (isinstance(value, bool | int | float) and kind != "r"):
        return value
    return repr(value) if kind == "r" else str(value)
