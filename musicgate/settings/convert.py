"""Text of files and variables as what it stands for; knows no setting."""

from __future__ import annotations

import codecs
import math
from typing import TYPE_CHECKING, Any

from musicgate.errors import ConfigError
from musicgate.settings.rules import Number, Switch, Whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.settings.rules import Rule

_BY_TYPE: dict[object, Rule] = {"integer": Whole(), "number": Number(), "boolean": Switch()}
#: UTF-32 first: its little-endian mark begins like that of UTF-16.
_WIDE_MARKS = (
    ("UTF-32", codecs.BOM_UTF32_LE),
    ("UTF-32", codecs.BOM_UTF32_BE),
    ("UTF-16", codecs.BOM_UTF16_LE),
    ("UTF-16", codecs.BOM_UTF16_BE),
)


class NotTextError(ValueError):
    """Bytes that are no UTF-8 text; the message says what they are, and quotes nothing."""


def decoded(data: bytes) -> str:
    """UTF-8 text without the byte order mark that some editors put before it.

    Raises:
        NotTextError: it is in another encoding.
    """
    for name, mark in _WIDE_MARKS:
        if data.startswith(mark):
            raise NotTextError(f"{name} text; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise NotTextError(f"not UTF-8 text (line {line})") from None


def by_schema(schema: Mapping[str, Any], value: object) -> object:
    """A plugin's setting from the environment, as the type that its schema names; anything else is left for the schema to judge."""
    text = value.strip() if isinstance(value, str) else value
    rule = _BY_TYPE.get(schema["type"]) if isinstance(schema.get("type"), str) else None
    try:
        return rule.read(text, key="") if rule and isinstance(text, str) else text
    except ConfigError:
        return text


def is_finite(value: object) -> bool:
    """True if there is no NaN and no infinity in a value, however deep: JSON has neither, and JSON Schema lets them pass."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(is_finite(item) for item in value.values())
    return all(is_finite(item) for item in value) if isinstance(value, list) else True
