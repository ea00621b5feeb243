"""Schemas of tools, made from the published ones: whole where an agent writes, else in outline.

Every agent reads the schemas of all tools before its first call, so they must be short. The published schema
of a request is the tools' own, but for the blocks of vendors: of these it says where their schema is. The
published schema of an answer becomes the list of its keys with their types.
"""

from __future__ import annotations

from typing import Any, Final

import musicgate_schemas

#: What is in a file of its own only. ``examples`` are whole bodies.
_OF_A_FILE: Final = ("$schema", "$id", "$comment", "title", "examples", "description")
_KEPT: Final = ("description", "type", "enum", "const", "format")
_BLOCK: Final = "options/"


def request_schema(more: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The published schema of a request as the input of a tool.

    Args:
        more: properties of the tool beside those of the request; they come first.
        required: those of them that must be given.
    """
    schema = {key: value for key, value in musicgate_schemas.load("request").items() if key not in _OF_A_FILE}
    properties = {
        name: _block(name, part) if "$ref" in part else part for name, part in schema["properties"].items()
    }
    return {
        **schema,
        "required": [*required, *schema["required"]],
        "properties": {**more, **properties},
        "additionalProperties": True,
    }


def outline(name: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a published schema's keys with their types, without what is inside of them.

    Args:
        more: properties that the tool adds.
    """
    schema = musicgate_schemas.load(name)
    definitions = schema.get("$defs", {})
    flat = {key: _flat(part, definitions) for key, part in schema["properties"].items()}
    properties = {key: part for key, part in flat.items() if part.keys() - {"description"}}
    return {
        "type": "object",
        "required": list(schema.get("required", ())),
        "properties": {**(more or {}), **properties},
        "additionalProperties": True,
    }


def _block(name: str, part: dict[str, Any]) -> dict[str, Any]:
    text = f"{part['description']} Their schema is the resource {schema_uri(_BLOCK + name)}."
    return {"description": text, "type": "object", "additionalProperties": True}


def portable(node: Any) -> Any:
    """Write each list of types as ``anyOf``: some clients give models only schemas with one type.

    Source: modelcontextprotocol/inspector 2.12, ``tools/list --strict``, November 2026.
    """
    if isinstance(node, list):
        return [portable(item) for item in node]
    if not isinstance(node, dict):
        return node
    copied = {key: portable(value) for key, value in node.items()}
    kinds = copied.get("type")
    if not isinstance(kinds, list):
        return copied
    # What describes the value stays outside; what is a rule about it goes with every type but null.
    rules = {key: copied.pop(key) for key in list(copied) if key not in {"description", "default"}}
    branches = [{"type": kind} if kind == "null" else {**rules, "type": kind} for kind in kinds]
    return {**copied, "anyOf": branches}


def _flat(part: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    target = part.get("$ref", "")
    inner = definitions.get(target.removeprefix("#/$defs/"), {}) if target.startswith("#") else {}
    merged = {**inner, **part}
    return {key: merged[key] for key in _KEPT if key in merged}


def schema_uri(name: str) -> str:
    """The resource of a published schema."""
    return f"musicgate://schemas/{name}"
