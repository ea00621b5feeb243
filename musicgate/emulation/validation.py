"""The errors of vendors whose server validates requests as FastAPI does; no vendor is known here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from musicgate.plugin import FieldViolation, JsonValue

_TYPES: Final[Mapping[str, str]] = {"required": "missing", "choices": "enum", "max_items": "too_long"}


def validation_errors(broken: Iterable[FieldViolation], where: str = "body") -> list[JsonValue]:
    """The list in which FastAPI reports broken declarations: path, message and type of each.

    Args:
        where: the part of the request: ``body``, ``query`` or ``path``.
    """
    return [
        {
            "loc": [where, found.name, *found.inside],
            "msg": found.message,
            "type": _TYPES.get(found.rule, "value_error"),
        }
        for found in broken
    ]
