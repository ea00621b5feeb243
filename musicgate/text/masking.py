"""Takes secrets out of texts that people will see, in whatever spelling and also in part; it knows no vendor and no job.

Masking is for what is shown, never for what is used: a task id or a link that happens to hold a key is needed as it is.

A vendor that quotes a key back spells it as it likes: in another letter case, percent-encoded once or twice, with the escapes of JSON or
HTML, broken over lines. And a text that was cut (plugins keep a few hundred characters of a message) may end in the middle of a key, so
that a search for the whole key finds nothing. So a text is first brought to one spelling, and then every run of `PART_CHARS` characters
of a secret is masked wherever it is. Whoever cuts a text after that, cuts a mask.
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
#: A run of a secret that is shorter than this is shown. Keys have no fewer characters.
PART_CHARS = 8
#: What lies deeper in a vendor's JSON is not kept.
_MAX_DEPTH = 100

#: One character in another spelling, or something inside a secret that is none of it (named "gap").
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
#: Without one of these a text has no escape in it, and no gap but white space.
_SIGNS = ("%", "\\", "&", "=\n", "=\r", "\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff")
#: In longer texts, one part in `PART_CHARS` is looked for: any whole secret is found, and any part of twice that length.
_LONG_CHARS = 1 << 16
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_TO_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


class Masker:
    """Masks the secrets that it was made for, and their parts."""

    def __init__(self, secrets: Iterable[str], *, whole: bool = False) -> None:
        """Take the secrets; empty ones are none.

        Args:
            whole: mask only whole secrets of at least `PART_CHARS` characters: for titles and links, where less is a coincidence.
        """
        # As it stands and without what looks like an escape in it: it may be quoted either way.
        spellings = {text for secret in secrets for text in (secret.lower(), _plain(secret).text)}
        if whole:
            self._parts = self._few_parts = tuple(text for text in spellings if len(text) >= PART_CHARS)
            return
        self._parts = tuple({part for text in spellings for part in _parts(text, 1)})
        self._few_parts = tuple({part for text in spellings for part in _parts(text, PART_CHARS)})

    def text(self, text: str) -> str:
        """The text, with every secret in it, and every part of one, replaced; the same object when there is none."""
        parts = self._parts if len(text) <= _LONG_CHARS else self._few_parts
        if not _has_signs(text):  # the quick way, for nearly every text
            squeezed = "".join(text.split()).lower()
            if not any(part in squeezed for part in parts):
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
        """The failure, with every text in it masked; the same object when there was nothing to mask."""
        masked = attrs.evolve(
            failure,
            message=self.text(failure.message),
            native_code=failure.native_code and self.text(failure.native_code),
            native_message=failure.native_message and self.text(failure.native_message),
            suggestion=self.json(failure.suggestion),
        )
        return failure if masked == failure else masked

    def json(self, value: JsonValue) -> JsonValue:
        """A JSON value, with every text and every key in it masked. Only values that are kept are worth the walk."""
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
    """A text in one spelling, made of runs: where each begins, here and in the text before, and how wide its characters were there."""

    text: str
    here: list[int]
    there: list[int]
    widths: list[int]

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Where the characters were before."""
        first, last = bisect_right(self.here, start) - 1, bisect_right(self.here, stop - 1) - 1
        return (
            self.there[first] + (start - self.here[first]) * self.widths[first],
            self.there[last] + (stop - self.here[last]) * self.widths[last],
        )


def _plain(text: str) -> _Plain:
    """Without escapes, gaps and capitals."""
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
    here, there, widths = zip(*runs, strict=True)
    whole = "".join(pieces)
    lower = whole.lower() if whole.isascii() else whole.translate(_TO_LOWER)
    return _Plain(lower, list(here), list(there), list(widths))


def _character(match: re.Match[str]) -> str:
    kind, said = match.lastgroup, match[match.lastgroup or 0]
    if kind == "gap":
        return ""
    if kind == "quoted":
        return said
    if kind == "name":
        return _NAMED[said]
    return chr(int(said, 10 if kind == "html" else 16))


def _has_signs(text: str) -> bool:
    return any(sign in text for sign in _SIGNS)


def _parts(secret: str, step: int) -> Iterator[str]:
    """The runs of `PART_CHARS` characters, or the whole secret when it is shorter."""
    if 0 < len(secret) <= PART_CHARS:
        yield secret
    for start in range(0, len(secret) - PART_CHARS + 1, step):
        yield secret[start : start + PART_CHARS]


def _spans(plain: _Plain, part: str) -> Iterator[tuple[int, int]]:
    """Where a part lies in the text that was made plain."""
    start = plain.text.find(part)
    while start >= 0:
        yield plain.span(start, start + len(part))
        start = plain.text.find(part, start + 1)
