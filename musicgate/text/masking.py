"""Mask secrets in texts that people will see, in any spelling and also in part. It knows no vendor.

Masking is for what is shown, never for what is used: a task id or a link that happens to hold a key is needed
unchanged.

A vendor that quotes a key back may spell it differently: in another letter case, percent-encoded once or
twice, with the escapes of JSON or HTML, broken over lines. And a text that was cut (plugins keep a few
hundred characters of a message) may end in the middle of a key, so that a search for the whole key would miss
it. So a text is first normalised to one spelling, and then every run of `PART_CHARS` characters of a secret
is masked. A text that is cut after that is cut in a mask at worst.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING

import attrs

from musicgate.model import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from musicgate.model import JsonValue

MASK = "***"
#: Runs of a secret that are shorter than this are shown. No key is as short.
PART_CHARS = 8
#: Deeper values in a vendor's JSON are masked whole.
_MAX_DEPTH = 100

#: An escaped character, or characters that were inserted into a secret (named "gap").
_ESCAPE = re.compile(
    r"%(?:25)*(?P<percent>[0-9A-Fa-f]{2})"
    r"|\\+u(?P<json>[0-9A-Fa-f]{4})"
    r"|\\+x(?P<hex>[0-9A-Fa-f]{2})"
    r"|&(?:amp;)*#[xX]0*(?P<html_hex>[0-9A-Fa-f]{1,4});"
    r"|&(?:amp;)*#0*(?P<html>[0-9]{1,5});"
    r"|&(?:amp;)*(?P<name>amp|lt|gt|quot|apos);"
    r"|(?P<gap>(?:\\+[nrtbf]|=\r?\n|[\s\u00ad\u200b-\u200d\u2060\ufeff])+)"
    r"|\\+(?P<quoted>[\"'/])"
)
#: A secret without anything that could be an escape or a gap; the token of a job always is one.
_TOKEN = re.compile(r"[A-Za-z0-9_.~+/:-]*")
#: Gaps that are no white space.
_INVISIBLE = ("\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff")
#: In longer texts only every `PART_CHARS`-th part is searched for: that finds any whole secret, and any part
#: of twice that length.
_LONG_CHARS = 1 << 16
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_TO_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


class Masker:
    """Masks the given secrets and their parts."""

    def __init__(self, secrets: Iterable[str], *, whole: bool = False) -> None:
        """Prepare the search for these secrets; empty ones are ignored.

        Args:
            whole: mask only whole secrets of at least `PART_CHARS` characters: for titles and links, where a
                part is a coincidence.
        """
        self._is_whole = whole
        self._parts: tuple[str, ...] = ()
        self._few_parts: tuple[str, ...] = ()
        for secret in secrets:
            self._add(secret)

    def and_one(self, secret: str) -> Masker:
        """A masker of one more secret: of a provider's, which are prepared once, and of a job's token."""
        more = Masker((), whole=self._is_whole)
        more._parts, more._few_parts = self._parts, self._few_parts
        more._add(secret)
        return more

    def _add(self, secret: str) -> None:
        # Both verbatim and with its own apparent escapes decoded: it may be quoted either way.
        spellings = _spellings(secret)
        if self._is_whole:
            parts = few_parts = tuple([text for text in spellings if len(text) >= PART_CHARS])
        else:
            parts = tuple({part for text in spellings for part in _parts(text, 1)})
            few_parts = tuple({part for text in spellings for part in _parts(text, PART_CHARS)})
        self._parts += parts
        self._few_parts += few_parts

    def finds_any(self, texts: Iterable[str], also: str = "") -> bool:
        """True if a secret is in one of the texts, or perhaps across two of them.

        Args:
            also: one more secret, as that of `and_one`, which takes longer.
        """
        # In one go, which is much quicker. NUL belongs to no escape and no gap, so it changes no text.
        joined = "\0".join(texts)
        if not joined:
            return False
        if self._is_whole and not _may_have_escapes(joined):  # fast path, as in `text`
            squeezed = "".join(joined.split()).lower()
            for part in (*self._parts, *_spellings(also)):
                if part in squeezed:
                    break
            else:
                return False
        return self.and_one(also).text(joined) is not joined

    def text(self, text: str) -> str:
        """Mask every secret and part of one in a text; return the same object if there is none."""
        parts = self._parts if len(text) <= _LONG_CHARS else self._few_parts
        if not _may_have_escapes(text):  # fast path for nearly every text
            squeezed = "".join(text.split()).lower()
            for part in parts:
                if part in squeezed:
                    break
            else:
                return text
        plain = _plain(text)
        if not any(part in plain.text for part in parts):
            return text
        found = [part for part in self._parts if part in plain.text]
        spans = sorted(span for part in found for span in _spans(plain, part))
        pieces: list[str] = []
        end = 0
        for start, stop in spans:
            if start > end or not pieces:
                pieces += [text[end:start], MASK]
            end = max(end, stop)
        return "".join([*pieces, text[end:]])

    def failure(self, failure: Failure) -> Failure:
        """Mask the texts of a failure; return the same object if there is nothing to mask."""
        masked = attrs.evolve(
            failure,
            message=self.text(failure.message),
            native_code=failure.native_code and self.text(failure.native_code),
            native_message=failure.native_message and self.text(failure.native_message),
            suggestion=self.json(failure.suggestion),
        )
        return failure if masked == failure else masked

    def json(self, value: JsonValue) -> JsonValue:
        """Mask every text and every key of a JSON value."""
        return self._json(value, 0)

    def _json(self, value: JsonValue, depth: int) -> JsonValue:
        if isinstance(value, str):
            return self.text(value)
        if depth > _MAX_DEPTH:
            return MASK
        if isinstance(value, dict):
            return {
                self.text(key) if isinstance(key, str) else key: self._json(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return type(value)([self._json(item, depth + 1) for item in value])
        return value


@attrs.frozen
class _Plain:
    """A normalised text, and the way back to the original.

    It is made of runs; each has its start in both texts, and the width of its characters in the original.
    """

    text: str
    starts: list[int]
    original_starts: list[int]
    original_widths: list[int]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """The range of these characters in the original text."""
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, stop - 1) - 1
        return (
            self.original_starts[first] + (start - self.starts[first]) * self.original_widths[first],
            self.original_starts[last] + (stop - self.starts[last]) * self.original_widths[last],
        )


def _plain(text: str) -> _Plain:
    """Normalise a text: no escapes, no gaps, lower case."""
    pieces: list[str] = []
    runs: list[tuple[int, int, int]] = []
    length = end = 0
    for match in _ESCAPE.finditer(text):
        start, character = match.start(), _character(match)
        pieces += [text[end:start], character]
        runs += [(length, end, 1), (length + start - end, start, match.end() - start)]
        length, end = length + start - end + len(character), match.end()
    pieces.append(text[end:])
    runs.append((length, end, 1))
    starts, original_starts, widths = zip(*runs, strict=True)
    whole = "".join(pieces)
    lower = whole.lower() if whole.isascii() else whole.translate(_TO_LOWER)
    return _Plain(lower, list(starts), list(original_starts), list(widths))


def _character(match: re.Match[str]) -> str:
    kind, escaped = match.lastgroup, match[match.lastgroup or 0]
    if kind == "gap":
        return ""
    if kind == "quoted":
        return escaped
    if kind == "name":
        return _NAMED[escaped]
    return chr(int(escaped, 10 if kind == "html" else 16))


def _spellings(secret: str) -> tuple[str, ...]:
    """A secret in lower case, as it is and normalised like a text; for a job's token that is the same."""
    lower = secret.lower()
    return (lower,) if _TOKEN.fullmatch(secret) else (lower, _plain(secret).text)


def _may_have_escapes(text: str) -> bool:
    """False if a text has no escapes, and no gaps but white space."""
    return (
        "%" in text
        or "\\" in text
        or "&" in text
        or "=\n" in text
        or "=\r" in text
        or (not text.isascii() and any(sign in text for sign in _INVISIBLE))
    )


def _parts(secret: str, step: int) -> Iterator[str]:
    """The runs of `PART_CHARS` characters of a secret, or the whole secret if it is shorter."""
    if 0 < len(secret) <= PART_CHARS:
        yield secret
    for start in range(0, len(secret) - PART_CHARS + 1, step):
        yield secret[start : start + PART_CHARS]


def _spans(plain: _Plain, part: str) -> Iterator[tuple[int, int]]:
    """The ranges of a part in the original text."""
    start = plain.text.find(part)
    while start >= 0:
        yield plain.span(start, start + len(part))
        start = plain.text.find(part, start + 1)
