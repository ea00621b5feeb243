"""The schema of the option block and the declared fields say the same of an option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from musicgate.codec import SchemaValidator
from musicgate.model import Array, Choice, Field, Flag, Number, Structure, Text
from musicgate.testing.compliance.subject import Skipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.testing.compliance.subject import Subject

#: Longer texts are not tried: base64 of a recording.
_MAX_CHARS: Final = 100_000


def check_schema_allows_declared_values(subject: Subject) -> None:
    """What a declared field takes, up to its limits, can be said as the option of its name."""
    tried = False
    for offer in (*subject.provider.offers, *subject.provider.raw_offers):
        for field in offer.fields:
            option = _option(subject.block_properties, field.name)
            if option is None:
                continue  # an option that is not published: the schema may allow any other key
            validator = SchemaValidator({"type": "object", "properties": {"it": option}})
            for value in _values(field, option):
                tried = True
                broken = validator.violations({"it": value})
                assert not broken, (
                    f"the schema of the option {field.name!r} does not allow {str(value)[:40]!r}, which the field "
                    f"of {offer.model} takes ({field.takes()}): {broken[0].message}"
                )
    if not tried:
        raise Skipped("no option of the schema is a declared field")


def _option(properties: Mapping[str, object], name: str) -> Mapping[str, Any] | None:
    """The schema of an option, dotted inside objects; None for one that the schema does not list."""
    first, _, rest = name.partition(".")
    option = properties.get(first)
    if not isinstance(option, Mapping):
        return None
    inner = option.get("properties")
    return option if not rest else _option(inner, rest) if isinstance(inner, Mapping) else None


def _values(field: Field, option: Mapping[str, Any]) -> Sequence[Any]:
    """Values at the limits of a field; none for a text of which the schema says the form."""
    match field:
        case Number():
            ends = [end for end in (field.minimum, field.maximum) if end is not None]
            return [int(end) if field.whole else end for end in ends] or [1]
        case Choice():
            return field.choices
        case Flag():
            return [True, False]
        case Array():
            return [[]] if field.each is None and not field.min_items else []
        case Structure() if "properties" not in option:
            return [{}] if option.get("type") != "array" else [[]]
        case Text() if not {"pattern", "format", "enum"} & option.keys():
            lengths = {max(field.min_chars, 1), min(field.max_chars or 1, _MAX_CHARS)}
            return ["x" * length for length in sorted(lengths)]
    return []
