"""Tolerant readers for values in vendors' JSON; they know the odd forms that occur in the wild and no vendor's fields.

Every reader takes anything and returns a clean value or None; none of them raises.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from musicgate.plugin.wire import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.plugin.wire import HttpResponse

#: Numbers above this are epoch milliseconds, below it epoch seconds (it is the year 5138 in seconds, 1973 in milliseconds).
_MILLISECONDS_FROM = 100_000_000_000
_NUMBER_WITH_UNIT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:s|sec|secs|second|seconds)?\s*", re.IGNORECASE)


def mapping(value: object) -> Mapping[str, object]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Mapping[str, object]]:
    """The JSON objects in a list, in order; a single object counts as a list of one; anything else is no item."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def first(source: Mapping[str, object], *keys: str) -> object:
    """The first value among ``keys`` that is neither missing, null nor blank text."""
    for key in keys:
        value = source.get(key)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return value
    return None


def json_text(value: object) -> object:
    """JSON in a text as its value (vendors put JSON inside JSON), anything else as it is; a text that is no JSON is None."""
    if not isinstance(value, str):
        return value
    try:
        return read_json(value)
    except (ValueError, RecursionError):
        return None


def text(value: object) -> str | None:
    """Stripped, not blank text; a whole number becomes its digits (ids come as numbers at times); else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (value.strip() or None) if isinstance(value, str) else None


def url(value: object) -> str | None:
    """An absolute http(s) URL, unchanged but for surrounding blanks; else None. An empty string is no URL."""
    candidate = text(value)
    if candidate is None:
        return None
    try:
        parts = urlsplit(candidate)
    except ValueError:
        return None
    return candidate if parts.scheme in {"http", "https"} and parts.netloc else None


def seconds(value: object) -> float | None:
    """Positive finite seconds from a number, numeric text or text with a unit ("186 s"); else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        match = _NUMBER_WITH_UNIT.fullmatch(value)
        value = float(match[1]) if match else None
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def integer(value: object) -> int | None:
    """A whole number from a number or numeric text; else None. A boolean is no number."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: object) -> datetime | None:
    """An aware UTC time from epoch milliseconds, epoch seconds, ISO text or ``YYYY-MM-DD hh:mm:ss`` (read as UTC)."""
    number = integer(value)
    try:
        if number is not None:
            return datetime.fromtimestamp(number / 1000 if number > _MILLISECONDS_FROM else number, UTC)
        if not isinstance(value, str):
            return None
        parsed = datetime.fromisoformat(value.strip())
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def retry_after_s(response: HttpResponse) -> float | None:
    """Seconds of a ``Retry-After`` header, given as seconds or as a date (counted from the answer's own ``Date``)."""
    value = response.header("retry-after")
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    until, now = _http_date(value), _http_date(response.header("date")) or response.received_at
    return max(0.0, (until - now).total_seconds()) if until and now else None


def _http_date(value: str | None) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value) if value else None
    except (ValueError, TypeError, OverflowError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed and parsed.tzinfo is None else parsed
