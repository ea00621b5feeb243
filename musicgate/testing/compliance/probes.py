"""Inputs for plugins: hostile bodies, good bodies with wrong values, values for options."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Every emulator refuses a key that begins so.
BAD_KEY: Final = "bad-test-key-not-real"
#: Every HTTP status that the kit answers with.
STATUSES: Final = (200, 201, 204, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504)
FAILING_STATUSES: Final = tuple(status for status in STATUSES if status >= 400)
HTML: Final = b"<!DOCTYPE html><html><body><h1>It is broken</h1></body></html>"

#: Bodies that hold nothing a vendor could mean, by what they are.
MEANINGLESS: Final[Mapping[str, bytes]] = {
    "an empty body": b"",
    "a blank body": b" \n\t ",
    "cut JSON": b'{"data": {"id": "12',
    "an empty array": b"[]",
    "an array of numbers": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "a text": b'"ok"',
    "true": b"true",
    "an empty object": b"{}",
    "HTML": HTML,
    "bytes that are no UTF-8": b"\xff\xfe\x00\x80",
    "100,000 open brackets": b"[" * 100_000,
    "a number of 5,000 digits": b'{"kit": 1' + b"0" * 5_000 + b"}",
    "NaN": b'{"kit": NaN}',
}
_DEEP: Final = 300
_SHAPES: Final[Mapping[str, object]] = {
    "null": None,
    "a huge number": 10**400,
    "a fraction": 0.5,
    "a list": [[]],
    "an object": {"": {}},
    "true": True,
}
#: Bodies with the wrong types in places where vendors put texts, numbers and objects.
WRONG_SHAPES: Final[Mapping[str, bytes]] = {
    f"{place} = {shape}": json.dumps({place: value}).encode()
    for place in ("data", "code", "status", "error", "message", "id", "detail")
    for shape, value in _SHAPES.items()
} | {
    "1e999 for a code": b'{"code": 1e999, "status": -1e999}',
    "an object 300 deep": b'{"data":' * _DEEP + b"1" + b"}" * _DEEP,
    "half a surrogate pair": b'{"status": "\\ud83d", "message": "\\udc00", "id": "\\ud800"}',
}
NONSENSE: Final[Mapping[str, bytes]] = {**MEANINGLESS, **WRONG_SHAPES}
#: What is put into every place of a good body, one at a time.
WRONG_VALUES: Final[tuple[object, ...]] = (
    None,
    True,
    -1,
    10**400,
    0.5,
    "",
    "  ",
    "kit never heard of this",
    [],
    [None],
    {},
    {"kit": []},
)


def json_of(body: bytes) -> Any:
    """Return the JSON value of a body; None where it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every place in a JSON value, the root included."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return the value at a path."""
    for key in path:
        value = value[key]
    return value


def with_value(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    """Return a copy with another value at one path."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    at(changed, path[:-1])[path[-1]] = new
    return changed


def mutations(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what is changed and the body, for each wrong value in each place of a JSON body."""
    good = json_of(body)
    if not isinstance(good, dict | list):
        return
    for path in places(good):
        where = ".".join(map(str, path)) or "the whole body"
        for wrong in WRONG_VALUES:
            shown = "10**400" if wrong == 10**400 else json.dumps(wrong)
            yield f"{where} = {shown}", json.dumps(with_value(good, path, wrong)).encode()


def texts(value: object) -> Iterator[str]:
    """Yield every text in a JSON value, except keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def option_values(schema: object, examples: list[object]) -> list[object]:
    """Return values that an option's schema allows; those of the schema and of examples come first."""
    if not isinstance(schema, dict):
        return list(examples)
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    stated = [
        *schema.get("enum", ()),
        *([schema["const"]] if "const" in schema else []),
        *schema.get("examples", ()),
    ]
    values = [*examples, *stated]
    if stated:
        return values
    if "boolean" in kinds:
        values += [True, False]
    if {"integer", "number"} & set(kinds):
        values += _numbers(schema)
    if "string" in kinds or not kinds:
        values += ["https://example.com/kit" if schema.get("format") == "uri" else "kit"]
    if "array" in kinds:
        values += [[item] for item in option_values(schema.get("items", {}), [])[:3]]
    if "object" in kinds:
        values += _objects(schema)
    return values


def _numbers(schema: Mapping[str, Any]) -> list[object]:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 60_000))
    return [low, low + 1, (low + high) // 2, high] if high - low >= 2 else [low, (low + high) / 2, high]


def _objects(schema: Mapping[str, Any]) -> list[object]:
    properties = schema.get("properties", {})
    return [
        {name: value} for name, inner in properties.items() for value in option_values(inner, [])[:5]
    ] or [{"kit": "kit"}]
