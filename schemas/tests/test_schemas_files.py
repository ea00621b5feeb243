"""The published files: complete, valid, documented, and closed under ``$ref``."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

import musicgate_schemas
from musicgate_schemas import NAMES, by_id, load

PACKAGE = Path(musicgate_schemas.__file__).parent
IDS = {
    "request": "urn:musicgate:schema:v1:request",
    "job": "urn:musicgate:schema:v1:job",
    "error": "urn:musicgate:schema:v1:error",
    "plan": "urn:musicgate:schema:v1:plan",
    "job_list": "urn:musicgate:schema:v1:job_list",
    "event": "urn:musicgate:schema:v1:event",
    "model_list": "urn:musicgate:schema:v1:model_list",
    "provider_list": "urn:musicgate:schema:v1:provider_list",
    "webhook": "urn:musicgate:schema:v1:webhook",
    "webhook_delivery_list": "urn:musicgate:schema:v1:webhook_delivery_list",
    "webhook_test": "urn:musicgate:schema:v1:webhook_test",
    "options/suno": "urn:musicgate:schema:v1:options:suno",
    "options/elevenlabs": "urn:musicgate:schema:v1:options:elevenlabs",
    "options/minimax": "urn:musicgate:schema:v1:options:minimax",
    "case": "urn:musicgate:schema:v1:case",
}

Violations = Callable[[str, object], list[tuple[tuple[str | int, ...], str]]]


def subschemas(schema: object, *, top: bool = True) -> Iterator[dict[str, Any]]:
    """Every object inside a schema, examples left out: those are instances, not schemas."""
    if isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            if not (top and key == "examples"):
                yield from subschemas(value, top=False)
    elif isinstance(schema, list):
        for value in schema:
            yield from subschemas(value, top=False)


def test_names_are_exactly_the_files_of_the_package() -> None:
    root = PACKAGE / "v1"
    assert sorted(NAMES) == sorted(
        path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.json")
    )


def test_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_ids_are_the_published_ones() -> None:
    assert {name: load(name)["$id"] for name in NAMES} == IDS
    assert list(by_id()) == [IDS[name] for name in NAMES]


def test_by_id_holds_what_load_reads() -> None:
    assert by_id() == {IDS[name]: load(name) for name in NAMES}


def test_each_load_is_a_fresh_copy() -> None:
    load("request")["properties"].clear()
    by_id()[IDS["request"]].clear()
    assert "model" in load("request")["properties"]


@pytest.mark.parametrize("name", ["nonsense", "", "request.json", "../__init__", "options"])
def test_unknown_name_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError, match="no schema named"):
        load(name)


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_valid_against_the_official_meta_schema(name: str) -> None:
    assert load(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(load(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_example_validates(name: str, violations: Violations) -> None:
    examples = load(name)["examples"]
    assert examples
    assert [violations(name, example) for example in examples] == [[] for _ in examples]


@pytest.mark.parametrize("name", NAMES)
def test_every_ref_is_absolute_or_local_and_resolves_offline(name: str, registry: Registry[Any]) -> None:
    resolver = registry.resolver(base_uri=IDS[name])
    for ref in [part["$ref"] for part in subschemas(load(name)) if isinstance(part.get("$ref"), str)]:
        assert ref.startswith(("urn:musicgate:schema:v1:", "#/$defs/"))
        assert resolver.lookup(ref).contents


@pytest.mark.parametrize("name", NAMES)
def test_every_property_and_definition_is_described(name: str) -> None:
    schema = load(name)
    assert schema["title"]
    assert schema["description"]
    for definition in schema.get("$defs", {}).values():
        assert definition["title"]
        assert definition["description"]
    conditions = {"if", "then", "else", "anyOf", "allOf"}
    stack = [schema, *schema.get("$defs", {}).values()]
    while stack:
        part = stack.pop()
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), f"{name}: {key} has no description"
        children = [value for key, value in part.items() if key not in conditions | {"examples", "$defs"}]
        stack += [child for child in children if isinstance(child, dict) and "properties" in child]
        stack += [value for value in part.get("properties", {}).values() if isinstance(value, dict)]


@pytest.mark.parametrize("name", NAMES)
def test_no_schema_fills_in_values(name: str) -> None:
    assert [part for part in subschemas(load(name)) if "default" in part] == []


@pytest.mark.parametrize("name", NAMES)
def test_only_keywords_of_the_specification_are_used(name: str) -> None:
    vocabulary = [
        "$schema",
        "$id",
        "$ref",
        "$defs",
        "$comment",
        "title",
        "description",
        "examples",
        "type",
        "enum",
        "const",
        "required",
        "properties",
        "additionalProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "items",
        "contains",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "contentEncoding",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
    ]
    stack: list[Any] = [load(name)]
    while stack:
        part = stack.pop()
        if not isinstance(part, dict):
            continue
        assert set(part) <= set(vocabulary)
        for key in ("properties", "$defs"):
            stack += part.get(key, {}).values()
        for key in ("allOf", "anyOf"):
            stack += part.get(key, [])
        stack += [
            part.get(key)
            for key in (
                "items",
                "contains",
                "additionalProperties",
                "propertyNames",
                "not",
                "if",
                "then",
                "else",
            )
        ]


def test_violations_are_reported_in_the_order_of_the_contract() -> None:
    assert list(load("request")["properties"]) == [
        "model",
        "prompt",
        "duration",
        "format",
        "provider",
        "suno",
        "elevenlabs",
        "minimax",
        "echo_upstream_request",
        "debug",
        "meta",
        "lyrics",
        "style",
        "title",
        "negative_style",
        "instrumental",
        "vocal_gender",
        "seed",
        "webhook_url",
        "metadata",
    ]


def test_regular_expressions_stay_with_what_every_dialect_has() -> None:
    """Look-around and back-references are missing in RE2 (Go) and in Rust's plain engine."""
    patterns = [
        part["pattern"]
        for name in NAMES
        for part in subschemas(load(name))
        if isinstance(part.get("pattern"), str)
    ]
    assert len(patterns) > 10
    assert [pattern for pattern in patterns if "(?" in pattern or "\\1" in pattern] == []


def test_files_are_plain_utf_8_json_with_a_final_line_feed() -> None:
    for name in NAMES:
        raw = (PACKAGE / "v1" / f"{name}.json").read_bytes()
        assert raw.endswith(b"}\n")
        assert not raw.startswith(b"\xef\xbb\xbf")
        assert json.loads(raw) == load(name)


def test_python_in_the_readme_runs() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    exec(compile(blocks[0], "README.md", "exec"), {})  # noqa: S102  the README is ours


def test_readme_lists_every_schema_with_its_id() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"| `{name}` | `{IDS[name]}` |" not in readme] == []
