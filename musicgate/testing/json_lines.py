"""Where each value of a JSON text stands: its line by JSON pointer; knows nothing of cases."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+')


def lines_of(text: str) -> Mapping[str, int]:
    """Return the line (from 1) on which each value begins, by its JSON pointer; ``""`` is the whole.

    Args:
        text: valid JSON.

    Raises:
        ValueError: an object holds a key twice; the message begins with the line.
    """
    found: dict[str, int] = {}
    #: Of each open object or list: its pointer, and the key or index of the next value.
    open_parts: list[tuple[str, str | int]] = []
    line, end, is_key = 1, 0, False
    for token in _TOKEN.finditer(text):
        line += text.count("\n", end, token.start())
        end = token.start()
        word = token[0]
        if word in "]}":
            open_parts.pop()
            is_key = False
        elif word == ",":
            pointer, place = open_parts[-1]
            is_key = isinstance(place, str)
            open_parts[-1] = (pointer, place if isinstance(place, str) else place + 1)
        elif word == ":":
            is_key = False
        elif is_key:
            pointer, _ = open_parts[-1]
            key = word[1:-1].replace("~", "~0").replace("/", "~1")
            if f"{pointer}/{key}" in found:
                raise ValueError(f"{line}: the key {word} is there twice")
            open_parts[-1] = (pointer, key)
        else:
            here = "/".join(map(str, open_parts[-1])) if open_parts else ""
            found[here] = line
            if word in "[{":
                open_parts.append((here, 0 if word == "[" else ""))
                is_key = word == "{"
    return found


def pointer_of(path: tuple[str | int, ...]) -> str:
    """Return the JSON pointer of a path."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in path)
