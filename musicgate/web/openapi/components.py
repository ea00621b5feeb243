"""The published JSON Schemas as components of the OpenAPI document.

The document is complete in itself. The published files refer to each other by URN (``$id``), which validators
of JSON Schema resolve, and which tools that read OpenAPI take for an address. So each file, and each of its
``$defs``, becomes a component, and every ``$ref`` leads to one. Nothing else is changed, but for where a rule
is written:

Generators read ``allOf``, ``anyOf`` and ``not`` beside ``properties`` as types, and lose the properties. Such
rules are moved to ``then`` below an ``if`` that always holds. That means the same to a validator, and a
generator passes over it. For the same reason every list gets ``items``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, cast

import musicgate_schemas

#: Component of each published schema; a case file is nothing that HTTP shows.
COMPONENT_OF_SCHEMA: Final = {
    "request": "MusicRequest",
    "job": "MusicJob",
    "error": "ErrorAnswer",
    "plan": "Plan",
    "job_list": "JobList",
    "event": "JobEvent",
    "model_list": "ModelList",
    "provider_list": "ProviderList",
    "webhook": "WebhookMessage",
    "webhook_delivery_list": "WebhookDeliveryList",
    "webhook_test": "WebhookTestResult",
    "options/suno": "SunoOptions",
    "options/elevenlabs": "ElevenLabsOptions",
    "options/minimax": "MiniMaxOptions",
}
_HERE: Final = "#/components/schemas/"
#: What a file of its own has. Its ``examples`` are whole bodies. Its ``title`` would be a second name.
_OF_A_FILE: Final = frozenset({"$schema", "$id", "$comment", "$defs", "examples", "title"})
#: Keywords that generators take for types; ``oneOf`` is one: the kinds of events.
_RULES: Final = ("allOf", "anyOf", "not")


@functools.cache
def component_of_reference() -> dict[str, str]:
    """The component that each ``$ref`` between published schemas leads to, by URN with fragment."""
    found = {}
    for name, component in COMPONENT_OF_SCHEMA.items():
        schema = musicgate_schemas.load(name)
        found[schema["$id"]] = component
        for definition in schema.get("$defs", {}):
            found[f"{schema['$id']}#/$defs/{definition}"] = _camel(definition)
    return found


def load_components(option_blocks: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Load every component: the published schemas, and those of answers without a published file.

    Args:
        option_blocks: schemas of the blocks that installed plugins read, by name; added to the request where
            they are not published.
    """
    components: dict[str, dict[str, Any]] = {}
    for name, component in COMPONENT_OF_SCHEMA.items():
        schema = musicgate_schemas.load(name)
        parts = {component: schema}
        parts |= {_camel(key): part for key, part in schema.get("$defs", {}).items()}
        for key, part in parts.items():
            components[key] = _as_component(part, schema["$id"])
        components[component]["externalDocs"] = {
            "description": "The published JSON Schema",
            "url": f"v1/schemas/{name}",
        }
    components["JobEvent"]["discriminator"] = _by_kind(components)
    properties = components["MusicRequest"]["properties"]
    for block, options in option_blocks.items():
        if block not in properties:
            name = f"{_camel(block)}Options"
            components[name] = _as_component(_without_references(options), "")
            properties[block] = {
                "description": "Options of an installed plugin; they override the neutral fields of the request.",
                "$ref": _HERE + name,
            }
    for name in ("answers.json", "agent_answers.json", "operator_answers.json"):
        text = files(__package__).joinpath(name).read_text(encoding="utf-8")
        components |= cast("dict[str, dict[str, Any]]", json.loads(text))
    return components


def _by_kind(components: Mapping[str, Any]) -> dict[str, Any]:
    """The kinds of events by their type, for tools that choose the type of a value by one key."""
    kinds = [kind["$ref"] for kind in components["JobEvent"]["oneOf"]]
    types = [components[kind.removeprefix(_HERE)]["properties"]["type"]["const"] for kind in kinds]
    return {"propertyName": "type", "mapping": dict(zip(types, kinds, strict=True))}


def _as_component(schema: dict[str, Any], own_id: str) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key not in _OF_A_FILE}
    component = cast("dict[str, Any]", _with_references(kept, own_id))
    rules = {key: component.pop(key) for key in _RULES if key in component}
    return component | {"if": {}, "then": rules} if rules else component


def _without_references(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a plugin, or what is known without its definitions, whose names may be in use."""
    if '"$ref"' in json.dumps(schema):
        return {"description": schema.get("description", ""), "type": "object", "additionalProperties": True}
    return dict(schema)


def _with_references(node: object, own_id: str) -> object:
    """Copy a schema with the names of components in its references."""
    if isinstance(node, list):
        return [_with_references(item, own_id) for item in node]
    if not isinstance(node, dict):
        return node
    copied = {key: _with_references(value, own_id) for key, value in node.items() if key != "$comment"}
    kinds = node.get("type")
    if "array" in (kinds if isinstance(kinds, list) else [kinds]):
        copied.setdefault("items", {})
    target = node.get("$ref")
    if isinstance(target, str):
        copied["$ref"] = (
            _HERE + component_of_reference()[own_id + target if target.startswith("#") else target]
        )
    return copied


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
