"""Validate JSON against a schema that is compiled once.

Violations come in schema order, with the contract's codes. jsonschema is the reference and reports the
violations. jsonschema-rs accepts valid bodies fast: the reference sees only those that it refuses. This is
the only module that imports either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

import musicgate_schemas
from musicgate import text
from musicgate.errors import InvalidRequestError, PluginError, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from jsonschema.exceptions import ValidationError

    from musicgate.model import JsonValue, Provider

#: JSON Schema keyword -> the contract's error code. Anything else is "invalid".
_CODES = {
    "type": "invalid_type",
    "required": "invalid_type",
    "minimum": "too_small",
    "exclusiveMinimum": "too_small",
    "minLength": "too_small",
    "minItems": "too_small",
    "minProperties": "too_small",
    "maximum": "too_big",
    "exclusiveMaximum": "too_big",
    "maxLength": "too_big",
    "maxItems": "too_big",
    "maxProperties": "too_big",
    "enum": "invalid_enum_value",
    "const": "invalid_enum_value",
    "pattern": "invalid_string",
    "not": "invalid_string",
    "format": "invalid_string",
    "additionalProperties": "unrecognized_keys",
}
_SENTENCES = {
    "minimum": "must be at least {}",
    "exclusiveMinimum": "must be greater than {}",
    "maximum": "must be at most {}",
    "exclusiveMaximum": "must be less than {}",
    "minLength": "must have at least {} character(s)",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} item(s)",
    "maxItems": "must have at most {} items",
    "maxProperties": "must have at most {} keys",
    "pattern": "does not have the required form",
    "not": "does not have the required form",
    "format": "must be a valid {}",
}
_TYPE_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


class SchemaValidator:
    """One schema, compiled. ``schema`` is complete: everything it refers to is inside."""

    def __init__(self, schema: dict[str, Any]) -> None:
        """Compile the schema; raises ``SchemaError`` if it is not a JSON Schema."""
        Draft202012Validator.check_schema(schema)
        self._places = {name: place for place, name in enumerate(schema.get("properties", {}))}
        self._reference = Draft202012Validator(schema)
        self._is_valid_fast: Callable[[Any], bool] = jsonschema_rs.Draft202012Validator(schema).is_valid

    @property
    def properties(self) -> Collection[str]:
        """Names of the properties that the schema describes, in its order."""
        return self._places.keys()

    def check(self, value: JsonValue) -> None:
        """Raise if the value is not valid.

        Raises:
            InvalidRequestError: holds the first violations, in schema order, and how many more there are.
        """
        if self._is_valid_fast(value):
            return
        found = self._find(value, text.MAX_COUNTED_VIOLATIONS)
        if found:
            raise InvalidRequestError(
                found[: text.MAX_VIOLATIONS],
                left_out=max(0, len(found) - text.MAX_VIOLATIONS),
                is_counted=len(found) < text.MAX_COUNTED_VIOLATIONS,
            )

    def violations(self, value: JsonValue) -> tuple[Violation, ...]:
        """Every path that breaks the schema, in schema order, each with the first rule that it breaks."""
        return tuple(self._find(value, None))

    def _find(self, value: JsonValue, limit: int | None) -> list[Violation]:
        found: dict[tuple[str | int, ...], Violation] = {}
        for violation in _violations(self._reference.iter_errors(value)):
            found.setdefault(violation.path, violation)
            if len(found) == limit:
                break
        return sorted(
            found.values(),
            key=lambda violation: self._places.get(violation.path[0], 0) if violation.path else -1,
        )


def compose_request_schema(providers: Iterable[Provider]) -> dict[str, Any]:
    """Build the request schema with the option blocks of the given providers, self-contained.

    The contract's blocks (``suno``, ``elevenlabs``, ``minimax``) are always part of it.

    Raises:
        PluginError: a provider's option schema is not a JSON Schema 2020-12.
    """
    schema = bundle("request")
    for provider in providers:
        try:
            Draft202012Validator.check_schema(dict(provider.options_schema))
        except SchemaError as exc:
            raise PluginError(provider.plugin, f"its option schema is not valid: {exc.message}") from exc
        schema["properties"].setdefault(provider.option_block, dict(provider.options_schema))
    return schema


def bundle(name: str) -> dict[str, Any]:
    """Load a published schema with every schema that it refers to embedded under ``$defs``."""
    schema = musicgate_schemas.load(name)
    known = musicgate_schemas.by_id()
    missing = _references(schema) & known.keys()
    while missing:
        for identifier in sorted(missing):
            schema.setdefault("$defs", {})[identifier.rsplit("schema:", 1)[-1].replace(":", "_")] = known[
                identifier
            ]
        present = {part["$id"] for part in schema["$defs"].values() if "$id" in part}
        missing = (_references(schema) & known.keys()) - present
    return schema


def option_blocks(schema: dict[str, Any], providers: Iterable[Provider]) -> frozenset[str]:
    """Names of the vendor blocks of a composed request schema."""
    contract = {
        name.removeprefix("options/") for name in musicgate_schemas.NAMES if name.startswith("options/")
    }
    declared = {provider.option_block for provider in providers}
    return frozenset(name for name in contract | declared if name in schema["properties"])


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"].split("#")[0]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(_references(value) for value in node.values()))
    return set().union(*(_references(item) for item in node)) if isinstance(node, list) else set()


def _violations(errors: Iterable[ValidationError]) -> Iterator[Violation]:
    for error in errors:
        path = tuple(error.absolute_path)
        keyword = str(error.validator)
        limit: Any = error.validator_value
        instance: Any = error.instance
        schema: Any = error.schema
        if keyword == "required":
            for name in (name for name in limit if name not in instance):
                yield _violation((*path, name), keyword, "is required", name)
        elif keyword == "additionalProperties" and limit is False:
            known = schema.get("properties", {})
            for name in (name for name in instance if name not in known):
                yield _violation((*path, name), keyword, "is not known here", limit)
        else:
            yield _violation(path, keyword, _sentence(keyword, limit), limit)


def _violation(path: tuple[str | int, ...], keyword: str, message: str, limit: object) -> Violation:
    code = _CODES.get(keyword, "invalid")
    shown = tuple(
        text.cut_text(part, text.MAX_NAME_CHARS) if isinstance(part, str) else part for part in path
    )
    return Violation(path=shown, message=message, keyword=keyword, code=code, params={keyword: limit})


def _sentence(keyword: str, limit: object) -> str:
    if keyword == "type":
        names = limit if isinstance(limit, list) else [limit]
        return "must be " + " or ".join(_TYPE_NAMES.get(str(name), str(name)) for name in names)
    if keyword == "enum" and isinstance(limit, list):
        return "must be one of " + ", ".join(map(str, limit))
    return _SENTENCES.get(keyword, f"breaks the rule {keyword}").format(limit)
