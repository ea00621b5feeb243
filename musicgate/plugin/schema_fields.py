"""Native fields from the JSON Schema of an option block, so that a range is written once.

It reads the keywords that a `Field` can hold; everything else in a schema only describes, or is checked by
the request schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from musicgate.model import Choice, Field, Flag, JsonObject, Number, Structure, Text

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def fields_of_schema(
    schema: JsonObject,
    neutral: Mapping[str, str] = _NOTHING,
    carries: Mapping[str, tuple[str, ...]] = _NOTHING,
) -> tuple[Field, ...]:
    """The fields of a native request whose options have the vendor's own names, in the schema's order.

    Args:
        schema: of an object; each property has one ``type``, or an ``enum``.
        neutral: option -> the neutral field that it carries (`Field.neutral`).
        carries: option -> further neutral fields that are written into it (`Field.carries`).

    Raises:
        ValueError: a type that no field has, or a neutral field for an option that the schema lacks; the
            message names the option.
    """
    properties: Any = schema.get("properties", {})
    strange = sorted({*neutral, *carries} - set(properties))
    if strange:
        raise ValueError(f"the schema has no option {strange[0]!r}")
    return tuple(_fields(properties, neutral, carries))


def _fields(
    properties: Mapping[str, Any], neutral: Mapping[str, str], carries: Mapping[str, tuple[str, ...]]
) -> Iterator[Field]:
    for name, one in properties.items():
        into: dict[str, Any] = {"neutral": neutral.get(name), "carries": carries.get(name, ())}
        kind = one.get("type")
        if "enum" in one:
            yield Choice(name, choices=tuple(one["enum"]), **into)
        elif kind == "string":
            yield Text(name, min_chars=one.get("minLength", 0), max_chars=one.get("maxLength"), **into)
        elif kind in {"integer", "number"}:
            bounds = {"minimum": one.get("minimum"), "maximum": one.get("maximum")}
            yield Number(name, whole=kind == "integer", step=one.get("multipleOf"), **bounds, **into)
        elif kind == "boolean":
            yield Flag(name, **into)
        elif kind in {"object", "array"}:
            yield Structure(name, **into)
        else:
            raise ValueError(f"the option {name!r} has the type {kind!r}, which no field has")
