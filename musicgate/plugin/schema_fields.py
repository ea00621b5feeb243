"""Native fields from the JSON Schema of an option block, so that a range is written once.

It reads the keywords that a `Field` can hold; everything else in a schema only describes, or is checked by
the request schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from musicgate.model import Array, Choice, Field, Flag, JsonObject, Number, Structure, Text

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def fields_of_schema(
    schema: JsonObject,
    *own: Field,
    neutral: Mapping[str, str] = _NOTHING,
    carries: Mapping[str, tuple[str, ...]] = _NOTHING,
) -> tuple[Field, ...]:
    """The fields of a native request whose options have the vendor's own names, in the schema's order.

    A schema may say less than the vendor's limits: it is published, and a limit that changes there changes an
    API. The plugin then declares such a field itself.

    Args:
        schema: of an object; each property has one ``type``, or an ``enum``.
        own: fields of the plugin's own: in the place of the option of that name, or behind all others.
        neutral: option -> the neutral field that it carries (`Field.neutral`).
        carries: option -> further neutral fields that are written into it (`Field.carries`).

    Raises:
        ValueError: a type that no field has, an own field that takes another kind of value than its option,
            or a neutral field for an option that the schema lacks; the message names the option.
    """
    properties: Any = schema.get("properties", {})
    strange = sorted({*neutral, *carries} - set(properties))
    if strange:
        raise ValueError(f"the schema has no option {strange[0]!r}")
    found = {field.name: field for field in _fields(properties, neutral, carries)}
    for field in own:
        if field.name in found and not isinstance(field, _KINDS[type(found[field.name])]):
            raise ValueError(f"the option {field.name!r} is no {type(field).__name__} in the schema")
        found[field.name] = field
    return tuple(found.values())


#: Fields that an own one may be in the place of one of the schema.
_KINDS: Mapping[type[Field], tuple[type[Field], ...]] = {
    Text: (Text, Choice),
    Choice: (Text, Choice),
    Number: (Number, Choice),
    Flag: (Flag,),
    Structure: (Structure,),
    Array: (Array, Structure),
}


def _fields(
    properties: Mapping[str, Any], neutral: Mapping[str, str], carries: Mapping[str, tuple[str, ...]]
) -> Iterator[Field]:
    for name, one in properties.items():
        yield _field(name, one, neutral=neutral.get(name), carries=carries.get(name, ()))


def _field(name: str, one: Mapping[str, Any], **into: Any) -> Field:
    kind = one.get("type")
    if "enum" in one:
        return Choice(name, choices=tuple(one["enum"]), **into)
    if kind == "string":
        return Text(name, min_chars=one.get("minLength", 0), max_chars=one.get("maxLength"), **into)
    if kind in {"integer", "number"}:
        bounds: dict[str, Any] = {"minimum": one.get("minimum"), "maximum": one.get("maximum")}
        return Number(name, whole=kind == "integer", step=one.get("multipleOf"), **bounds, **into)
    if kind == "boolean":
        return Flag(name, **into)
    if kind == "array":
        each = _field("", one["items"]) if one.get("items") else None
        return Array(name, each=each, min_items=one.get("minItems", 0), max_items=one.get("maxItems"), **into)
    if kind == "object":
        return Structure(name, fields=fields_of_schema(one), **into)
    raise ValueError(f"the option {name!r} has the type {kind!r}, which no field has")
