"""Tolerant readers for values in vendors' JSON.

They know the odd forms that vendors send, and no vendor's fields. Every reader takes anything and returns a
clean value or None; none of them raises.
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

#: Numbers above this are epoch milliseconds, others epoch seconds (it is the year 5138 in seconds, 1973 in
#: milliseconds).
_MILLISECONDS_FROM = 100_000_000_000
_DIGITS = re.compile(r"\s*(-?[0-9]{1,18})\s*")
_NUMBER_WITH_UNIT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:s|sec|secs|second|seconds)?\s*", re.IGNORECASE)
#: A capital letter inside a name.
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
#: The part of ISO 8601 durations that songs have: PT1H2M3.5S.
_ISO_DURATION = re.compile(r"PT(?:([0-9]{1,4})H)?(?:([0-9]{1,4})M)?(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)S)?")


def mapping(value: object) -> Mapping[str, object]:
    """Return the value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Mapping[str, object]]:
    """Return the JSON objects in a list, in order; a single object counts as a list of one."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def first(source: Mapping[str, object], *keys: str) -> object:
    """Return the first value among ``keys`` that is neither missing, null nor blank text."""
    for key in keys:
        value = source.get(key)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return value
    return None


def snake_case(source: Mapping[str, object]) -> Mapping[str, object]:
    """Return an object with keys like ``song_metadata`` for ``songMetadata``; what is inside is unchanged.

    A key that is there in both forms counts as it is.
    """
    if all(key.islower() for key in source):
        return source
    return {**{_HUMP.sub(r"_\1", key).lower(): value for key, value in source.items()}, **source}


def json_text(value: object) -> object:
    """Decode a text that holds JSON, else None; a value that is no text is returned as it is."""
    if not isinstance(value, str):
        return value
    try:
        return read_json(value)
    except (ValueError, RecursionError):
        return None


def text(value: object) -> str | None:
    """Return stripped, non-blank text; an integer becomes its digits; else None."""
    if isinstance(value, str):
        return value.strip() or None
    # Some vendors send ids as numbers.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def url(value: object) -> str | None:
    """Return an absolute http(s) URL, without surrounding blanks; else None."""
    candidate = text(value)
    if candidate is None:
        return None
    try:
        parts = urlsplit(candidate)
    except ValueError:
        return None
    return candidate if parts.scheme in {"http", "https"} and parts.netloc else None


def seconds(value: object) -> float | None:
    """Return positive finite seconds from a number or a text like "186", "186 s", "PT3M6S"; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        match, iso = _NUMBER_WITH_UNIT.fullmatch(value), _ISO_DURATION.fullmatch(value.strip())
        value = float(match[1]) if match else None
        if iso:
            hours, minutes, rest = (float(part or 0) for part in iso.groups())
            value = hours * 3600 + minutes * 60 + rest
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def fraction(value: object, whole: float = 1.0) -> float | None:
    """Return how much of a whole a number or numeric text is, from 0 to 1; else None.

    Args:
        whole: 100 for a vendor's percent.
    """
    if isinstance(value, str):
        match = _NUMBER_WITH_UNIT.fullmatch(value.replace("%", ""))
        value = float(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= whole:
        return None
    return value / whole


def integer(value: object) -> int | None:
    """Return an integer from a whole number or numeric text; else None. A boolean is not a number."""
    if isinstance(value, str):
        # The digits alone: `\s` matches control characters that `int` refuses.
        match = _DIGITS.fullmatch(value)
        return int(match[1]) if match else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def moment(value: object) -> datetime | None:
    """Return an aware UTC time from epoch seconds or milliseconds, or ISO text; else None."""
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
    """Return the seconds of a ``Retry-After`` header; a date counts from the answer's own ``Date``."""
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
