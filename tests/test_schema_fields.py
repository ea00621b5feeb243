"""Native fields from the schema of an option block: each keyword, and what no field can hold."""

from typing import Any

import pytest

from musicgate.plugin import Array, Choice, Field, Flag, Number, Structure, Text, fields_of_schema


@pytest.mark.parametrize(
    "option, field",
    [
        ({"enum": ["a", "b"], "type": "string"}, Choice("x", choices=("a", "b"))),
        ({"type": "string", "minLength": 2, "maxLength": 9}, Text("x", min_chars=2, max_chars=9)),
        ({"type": "string"}, Text("x")),
        ({"type": "integer", "minimum": 1, "maximum": 8}, Number("x", minimum=1, maximum=8, whole=True)),
        ({"type": "number", "multipleOf": 0.5}, Number("x", step=0.5)),
        ({"type": "boolean"}, Flag("x")),
        ({"type": "array"}, Array("x")),
        (
            {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
            Array("x", each=Flag(""), min_items=1, max_items=3),
        ),
        ({"type": "object"}, Structure("x")),
        ({"type": "object", "properties": {"y": {"type": "boolean"}}}, Structure("x", fields=(Flag("y"),))),
    ],
)
def test_each_keyword_of_an_option_is_in_its_field(option: dict[str, Any], field: Field) -> None:
    assert fields_of_schema({"properties": {"x": option}}) == (field,)


def test_fields_carry_the_neutral_fields_that_are_named() -> None:
    schema = {"properties": {"caption": {"type": "string"}, "bpm": {"type": "integer"}}}
    assert fields_of_schema(schema, neutral={"caption": "prompt"}, carries={"caption": ("style",)}) == (
        Text("caption", neutral="prompt", carries=("style",)),
        Number("bpm", whole=True),
    )


@pytest.mark.parametrize(
    "schema, neutral, carries, message",
    [
        ({"properties": {"x": {"type": "null"}}}, {}, {}, "the option 'x' has the type 'null'"),
        ({"properties": {"x": {}}}, {}, {}, "the option 'x' has the type None"),
        ({"properties": {}}, {"caption": "prompt"}, {}, "the schema has no option 'caption'"),
        ({}, {}, {"caption": ("style",)}, "the schema has no option 'caption'"),
    ],
)
def test_what_no_field_can_hold_is_refused_by_its_name(
    schema: dict[str, Any], neutral: dict[str, str], carries: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fields_of_schema(schema, neutral=neutral, carries=carries)


def test_own_field_replaces_that_of_the_schema_or_is_added() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"type": "string"}, "b": {"type": "boolean"}}}
    fields = fields_of_schema(schema, Text("a", max_chars=9), Number("c"))
    assert fields == (Text("a", max_chars=9), Flag("b"), Number("c"))
    assert fields_of_schema(schema, Choice("a", choices=("x",)))[0] == Choice("a", choices=("x",))
    with pytest.raises(ValueError, match="the option 'b' is no Number in the schema"):
        fields_of_schema(schema, Number("b"))
