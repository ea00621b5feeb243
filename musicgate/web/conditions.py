"""Conditional requests and ranges as in RFC 9110 (8.8, 13 and 14), without aiohttp or files.

A request for several ranges is answered with the whole file, which 14.2 allows: no player sends one.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

import attrs

_TAG: Final = re.compile(r'[ \t,]*((?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*")[ \t]*(?=,|$)')
_RANGES: Final = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL)
_RANGE: Final = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)
#: Longer numbers are larger than any file.
_MAX_DIGITS: Final = 18
_SAFE: Final = frozenset({"GET", "HEAD"})


@attrs.frozen(kw_only=True)
class Conditions:
    """The conditional headers of a request; None = absent.

    Attributes:
        if_match, if_none_match, if_range: the field values; lines of one field are joined with commas.
    """

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None
    if_range: str | None = None

    def status(self, method: str, etag: str, modified_at: datetime | None = None) -> int | None:
        """Evaluate the conditions: 304, 412, or None for the full answer.

        **Source**: RFC 9110 13.2.2, in its order.
        """
        if self.if_match is not None:
            is_wanted = matches(self.if_match, etag, is_weak_enough=False)
        else:
            is_wanted = not _is_after(modified_at, self.if_unmodified_since)
        if not is_wanted:
            return 412
        if self.if_none_match is not None:
            is_known = matches(self.if_none_match, etag, is_weak_enough=True)
        else:
            is_dated = modified_at is not None and self.if_modified_since is not None and method in _SAFE
            is_known = is_dated and not _is_after(modified_at, self.if_modified_since)
        if not is_known:
            return None
        return 304 if method in _SAFE else 412

    def range_counts(self, etag: str, last_modified: str, modified_at: datetime, now: datetime) -> bool:
        """Return False if ``If-Range`` names another version, so that the whole file is sent (13.1.5).

        A date is a strong validator only if the file was not changed shortly before (8.8.2.2).
        """
        if self.if_range is None:
            return True
        if self.if_range.startswith(('"', "W/")):
            return self.if_range == etag and not etag.startswith("W/")
        return self.if_range == last_modified and now - modified_at > timedelta(minutes=1)


def matches(field: str, etag: str, *, is_weak_enough: bool) -> bool:
    """Return True if the field contains the entity tag, or is ``*`` (8.8.3.2).

    A malformed field matches nothing.
    """
    if field.strip() == "*":
        return True
    found, at = False, 0
    while at < len(field.rstrip(" \t,")):
        tag = _TAG.match(field, at)
        if tag is None:
            return False
        found = found or _is_same(tag[1], etag, is_weak_enough=is_weak_enough)
        at = tag.end()
    return found


def _is_same(one: str, other: str, *, is_weak_enough: bool) -> bool:
    if is_weak_enough:
        return one.removeprefix("W/") == other.removeprefix("W/")
    return one == other and not one.startswith("W/")


class RangeError(ValueError):
    """None of the ranges overlaps the file."""


def read_range(field: str, size_bytes: int) -> tuple[int, int] | None:
    """Return first and last byte of a ``Range`` field; None if the whole file is to be sent.

    Raises:
        RangeError: no range overlaps the file.
    """
    found = _RANGES.fullmatch(field.strip())
    if found is None:
        return None  # another unit, which is ignored (14.2)
    parts = [part.strip(" \t") for part in found[1].split(",")]
    ranges = [_RANGE.fullmatch(part) for part in parts if part]
    wanted = []
    for part in ranges:
        if part is None or not (part[1] or part[2]):
            return None  # malformed
        first, last = _bound(part[1]), _bound(part[2])
        if part[1] and part[2] and last < first:
            return None
        if not part[1]:
            first, last = max(0, size_bytes - last), (size_bytes - 1 if last else -1)
        elif not part[2]:
            last = size_bytes - 1
        if first < size_bytes and first <= last:
            wanted.append((first, min(last, size_bytes - 1)))
    if not ranges:
        return None
    if not wanted:
        raise RangeError
    return wanted[0] if len(wanted) == 1 else None


def _bound(digits: str) -> int:
    return 10**_MAX_DIGITS if len(digits) > _MAX_DIGITS else int(digits or "0")


def _is_after(modified_at: datetime | None, moment: datetime | None) -> bool:
    """Compare in whole seconds, like ``Last-Modified``; False if one of the two is unknown."""
    return modified_at is not None and moment is not None and modified_at.replace(microsecond=0) > moment
