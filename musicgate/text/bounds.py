"""Limits on what is kept, repeated or shown of what callers and vendors send, and cutting to them.

They decide how much they send; we decide how much of it is stored and rendered for every later reader.
Everything without a natural limit has one here, in count and in characters. A cut is always visible: "and
89,950 more".
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from musicgate.model import JsonValue

# --- requests ---

#: JSON values in one body. Reading as many takes 20 ms, and reading JSON cannot be interrupted.
MAX_BODY_VALUES: Final = 100_000
#: JSON values in all known fields of a request together, option blocks included: ten times a long composition
#: plan.
MAX_REQUEST_VALUES: Final = 5_000
#: Levels of lists and objects in a request.
MAX_REQUEST_DEPTH: Final = 64
#: Characters of a text field of a request: twenty times the longest text that a vendor accepts.
MAX_TEXT_CHARS: Final = 100_000
#: Characters of the fields that are repeated in messages and table rows.
MAX_MODEL_CHARS: Final = 256
MAX_WEBHOOK_URL_CHARS: Final = 4_096
#: Violations that one response lists, and those that are counted: each costs some 15 us.
MAX_VIOLATIONS: Final = 50
MAX_COUNTED_VIOLATIONS: Final = 500
#: Characters of a caller's key that is repeated in a path.
MAX_NAME_CHARS: Final = 100
#: From this size on a request body is parsed on a thread: no smaller body costs the event loop 20 ms.
LARGE_BODY_BYTES: Final = 16 * 1024

# --- vendors' answers ---

#: From this size on a vendor's response is parsed on a thread.
LARGE_ANSWER_BYTES: Final = 32 * 1024
#: Vendors make one to four tracks per request.
MAX_TRACKS: Final = 32
#: Warnings from one source (the request, a translation, a response), and of a job in all.
MAX_WARNINGS: Final = 50
MAX_JOB_WARNINGS: Final = 200
#: An id is used whole or not at all: a part of one names nothing, or something else.
MAX_ID_CHARS: Final = 512
MAX_STATUS_CHARS: Final = 200
MAX_CODE_CHARS: Final = 200
#: A text of an entry of the audit log; longer ones are cut.
MAX_AUDIT_CHARS: Final = 512
MAX_MESSAGE_CHARS: Final = 2_000
MAX_TITLE_CHARS: Final = 500
MAX_TAGS_CHARS: Final = 2_000
MAX_LYRICS_CHARS: Final = 20_000
#: A link is used whole or not at all.
MAX_URL_CHARS: Final = 8_192
MAX_FALLBACK_URLS: Final = 8
#: ``extra`` of all tracks of a response together: the timed lyrics of a ten-minute song are 7,000 values.
MAX_EXTRA_VALUES: Final = 10_000
MAX_EXTRA_CHARS: Final = 500_000
#: What is kept for ``upstream_request``, ``upstream_response`` and ``suggestion``.
MAX_KEPT_VALUES: Final = 10_000
MAX_KEPT_CHARS: Final = 500_000
MAX_KEPT_DEPTH: Final = 64
#: A longer ``Retry-After`` is not usable.
MAX_RETRY_AFTER_S: Final = 7 * 86_400.0

# --- store ---

#: Bytes of stored jobs in one page of a list that is shown. A page holds one job at least.
MAX_PAGE_BYTES: Final = 1_000_000
#: The same for the pages in which all open jobs are read.
MAX_OPEN_PAGE_BYTES: Final = 32_000_000
#: From this size on a stored document is decoded on a thread.
LARGE_DOC_BYTES: Final = 64 * 1024

_MARK: Final = "…"
#: What keys, tokens and links are made of.
_TOKEN_CHARS: Final = string.ascii_letters + string.digits + "!#$%&*+-./:=?@\\^_`|~"
#: At most so much leading white space is skipped.
_BLANKS: Final = 4_096
_STRUCTURE: Final = (b",", b"[", b"{")


def and_more(count: int) -> str:
    """The text that replaces so many things that were left out."""
    return f"and {count:,} more"


def cut_text(text: str, max_chars: int) -> str:
    """Cut a text that is too long, and mark the cut.

    A token that the cut would split is removed whole: a part of a key would no longer be recognised as a
    secret.
    """
    if len(text) <= max_chars:
        return text
    kept = text[: max_chars - len(_MARK)]
    if text[len(kept)] in _TOKEN_CHARS:
        kept = kept.rstrip(_TOKEN_CHARS)
    return kept + _MARK


def cut_json(value: JsonValue, *, max_values: int, max_chars: int) -> JsonValue:
    """Cut a JSON value to so many values and characters; return the same object if it fits."""
    if _fits(value, max_values, max_chars):
        return value
    return _Cutter(max_values, max_chars).cut(value, MAX_KEPT_DEPTH)


def values_upto(value: JsonValue, stop: int) -> int:
    """Count the JSON values inside a value, up to ``stop``; too deep nesting counts as ``stop``."""
    count, level = 0, [value]
    for _ in range(MAX_REQUEST_DEPTH + 1):
        below: list[JsonValue] = []
        for item in level:
            if not isinstance(item, dict | list | tuple):
                continue
            count += len(item)
            if count >= stop:
                return stop
            below.extend(item.values() if isinstance(item, dict) else item)
        if not below:
            return count
        level = below
    return stop


def is_too_wide(raw: bytes) -> bool:
    """True for JSON of more than `MAX_BODY_VALUES` values.

    Found without parsing, by the commas and brackets outside of strings.
    """
    if len(raw) <= MAX_BODY_VALUES:  # each has a byte at least
        return False
    if raw[:_BLANKS].lstrip()[:1] not in {b"{", b"["} or sum(map(raw.count, _STRUCTURE)) <= MAX_BODY_VALUES:
        return False
    outside = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    return sum(map(outside.count, _STRUCTURE)) > MAX_BODY_VALUES


class _Cutter:
    """Copies a JSON value until its budget is used up."""

    def __init__(self, max_values: int, max_chars: int) -> None:
        self._values = max_values
        self._chars = max_chars

    def cut(self, value: JsonValue, levels: int) -> JsonValue:
        """Return the value, or as much of it as fits."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            self._chars -= _digits(value)
        if not isinstance(value, Mapping | list | tuple):
            return value
        if not levels:
            return _MARK
        if isinstance(value, Mapping):
            return self._object(value, levels - 1)
        kept: list[JsonValue] = []
        for item in value:
            if self._is_full():
                return [*kept, and_more(len(value) - len(kept))]
            kept.append(self.cut(item, levels - 1))
        return kept

    def _object(self, value: Mapping[str, JsonValue], levels: int) -> dict[str, JsonValue]:
        kept: dict[str, JsonValue] = {}
        for name, item in value.items():
            if self._is_full():
                return {**kept, _MARK: and_more(len(value) - len(kept))}
            kept[self._text(cut_text(str(name), MAX_NAME_CHARS))] = self.cut(item, levels)
        return kept

    def _text(self, text: str) -> str:
        shown = cut_text(text, max(self._chars, MAX_NAME_CHARS))
        self._chars -= len(shown)
        return shown

    def _is_full(self) -> bool:
        self._values -= 1
        return self._values < 0 or self._chars <= 0


def _fits(value: JsonValue, max_values: int, max_chars: int) -> bool:
    values, chars, level = 0, 0, [value]
    for _ in range(MAX_KEPT_DEPTH + 1):
        below: list[JsonValue] = []
        for item in level:
            if isinstance(item, str):
                chars += len(item)
            elif isinstance(item, int):
                chars += _digits(item)
            elif isinstance(item, Mapping):
                values += len(item)
                chars += sum(map(len, item))
                below.extend(item.values())
            elif isinstance(item, list | tuple):
                values += len(item)
                below.extend(item)
            if values > max_values or chars > max_chars:
                return False
        if not below:
            return True
        level = below
    return False


def _digits(number: int) -> int:
    """Approximate characters of a number; one may have thousands of digits."""
    return number.bit_length() // 3
