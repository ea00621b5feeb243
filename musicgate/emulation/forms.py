"""Texts of a query or a form, as the JSON values that declared fields hold; no vendor is known here."""

from __future__ import annotations

import json
from collections.abc import Iterable

from musicgate.plugin import Array, Field, Flag, JsonValue, Number


def typed(fields: Iterable[Field], given: Iterable[tuple[str, str]]) -> dict[str, JsonValue]:
    """Numbers, true and false by their fields; lists are gathered from all parts of their name.

    A text that is not what its field takes stays a text, which the check of the field refuses.
    """
    kinds = {field.name: field for field in fields}
    values: dict[str, JsonValue] = {}
    lists: dict[str, list[JsonValue]] = {}
    for name, text in given:
        kind = kinds.get(name)
        if isinstance(kind, Array):
            values[name] = lists.setdefault(name, [])
            lists[name].append(text)
        else:
            values[name] = _read(text) if isinstance(kind, Flag | Number) else text
    return values


def _read(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value
