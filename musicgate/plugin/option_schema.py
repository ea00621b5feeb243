"""Schemas made of what a plugin declares anyway: of its option block and of its settings.

The schema of a block says no limit a second time. It allows what any of the offers allows; what the chosen
one does not take is refused later, by the core and by `Draft.refuse_undeclared`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from musicgate.model import Array, Choice, Field, Flag, JsonObject, JsonValue, Number, Offer, Structure, Text


def option_schema(title: str, offers: Iterable[Offer], *examples: JsonObject) -> JsonObject:
    """The JSON Schema 2020-12 of the block whose options are the native fields of the offers.

    Args:
        title: of the block, e.g. ``Acme options``.
        examples: blocks that are allowed; they document the schema and feed the compliance kit.
    """
    declared: dict[str, dict[str, Field]] = {}
    for offer in offers:
        for field in offer.fields:
            declared.setdefault(field.name, {})[offer.native_model or offer.model] = field
    properties: dict[str, JsonValue] = {}
    for name, fields in declared.items():
        inside, (*outer, last) = properties, name.split(".")
        for key in outer:
            holder = inside.setdefault(key, _object({}, f"An object; see what is inside {key}."))
            inside = holder["properties"] if isinstance(holder, dict) else {}
        if last not in inside:
            inside[last] = {"description": _description(fields), **_union(list(fields.values()))}
    schema = _object(properties, "The vendor's own options; which of them a model takes is said at each.")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **schema,
        "examples": [dict(example) for example in examples],
    }


def settings_schema(
    **settings: tuple[JsonValue, str] | tuple[JsonValue, str, Sequence[JsonValue]],
) -> JsonObject:
    """The JSON Schema of a plugin's own settings: default, description and perhaps choices, by name.

    The type is that of the default: text, a number, true or false. A setting whose default is a text that is
    not empty cannot be empty either.
    """
    properties = {name: _setting(default, *told) for name, (default, *told) in settings.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _setting(default: JsonValue, description: str, choices: Sequence[JsonValue] = ()) -> JsonObject:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    allowed: JsonObject = {"enum": list(choices)} if choices else {}
    if default and isinstance(default, str) and not choices:
        allowed = {"minLength": 1}
    return {"description": description, "type": kinds[type(default)], **allowed, "default": default}


def _object(properties: dict[str, JsonValue], description: str) -> dict[str, JsonValue]:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _description(fields: dict[str, Field]) -> str:
    """Which models take the option, with what each allows; models that allow the same share a sentence."""
    models: dict[str, list[str]] = {}
    for model, field in fields.items():
        models.setdefault(field.takes(), []).append(model)
    told = (f"{', '.join(names)}: {allowed}." for allowed, names in models.items())
    neutral = sorted({field.neutral for field in fields.values() if field.neutral})
    overrides = f"Overrides {', '.join(neutral)} of the request. " if neutral else ""
    return overrides + " ".join(told)


def _union(fields: Sequence[Field]) -> dict[str, JsonValue]:
    """What any of the fields allows; fields of different kinds together allow anything."""
    numbers = [field for field in fields if isinstance(field, Number)]
    texts = [field for field in fields if isinstance(field, Text)]
    choices = [field for field in fields if isinstance(field, Choice)]
    if len(numbers) == len(fields):
        low = [field.minimum for field in numbers if field.minimum is not None]
        high = [field.maximum for field in numbers if field.maximum is not None]
        return {
            "type": "integer" if all(field.whole for field in numbers) else "number",
            **({"minimum": min(low)} if len(low) == len(fields) else {}),
            **({"maximum": max(high)} if len(high) == len(fields) else {}),
        }
    if len(texts) == len(fields):
        return {"type": "string"}  # lengths are counted in the vendor's unit, not in code points
    if len(choices) == len(fields):
        return {"enum": list(dict.fromkeys(value for field in choices for value in field.choices))}
    if all(isinstance(field, Flag) for field in fields):
        return {"type": "boolean"}
    if all(isinstance(field, Array) for field in fields):
        return {"type": "array"}  # what is in it is said in its description, and checked by the core
    if all(isinstance(field, Structure) and field.fields for field in fields):
        return {"type": "object"}
    return (
        {"type": ["object", "array"]} if all(isinstance(field, Structure | Array) for field in fields) else {}
    )
