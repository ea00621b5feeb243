"""Values of settings in the wanted type, or an error that names the key and where it stands; knows no setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from musicgate.errors import ConfigError
from musicgate.webhooks import read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.model import Secret

_WORDS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def typed_value(kind: type, value: object, key: str, source: str | None) -> Any:
    """A value of the wanted type. Text from the environment is read as a number or a switch; nothing else is converted."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    if isinstance(value, str) and kind is bool and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    if isinstance(value, str) and kind in {int, float}:
        try:
            return kind(value)
        except ValueError:
            pass
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    raise ConfigError(f"must be {names.get(kind, kind.__name__)}, not {value!r}", key=key, source=source)


def signing_secret(value: object, key: str, source: str | None) -> Secret | None:
    """The secret of a webhook's signature; None for an empty text. The complaint never shows what was said.

    Raises:
        ConfigError: it has another form.
    """
    if not isinstance(value, str):
        raise ConfigError("must be text", key=key, source=source)
    return read_secret(value, key=key, source=source) if value.strip() else None


def by_schema(schema: Mapping[str, Any], value: object) -> object:
    """A plugin's setting from the environment, as the type that its schema names; anything else is left for the schema to judge."""
    kinds = {"integer": int, "number": float, "boolean": bool}
    kind = kinds.get(str(schema.get("type")))
    try:
        return typed_value(kind, value, "", None) if kind and isinstance(value, str) else value
    except ConfigError:
        return value
