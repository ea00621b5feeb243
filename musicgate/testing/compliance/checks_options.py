"""Nothing that a caller asks for is dropped in silence: every option and neutral field is sent, reported or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.codec import SchemaValidator
from musicgate.errors import RequestError
from musicgate.model import Ability, MusicRequest, Offer
from musicgate.plugin import Translation
from musicgate.testing.compliance.fates import (
    APPLIED,
    UNTOLD,
    Fate,
    fate_of,
    neutral_base,
    with_field,
)
from musicgate.testing.compliance.probes import option_values
from musicgate.testing.compliance.subject import (
    LYRICS,
    STYLE,
    TITLE,
    Skipped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from musicgate.testing.compliance.subject import Subject

#: Neutral fields of a wish: ability -> (field, its name on the wire, a value).
_FIELDS: Final[Mapping[Ability, tuple[str, str, object]]] = {
    Ability.DURATION: ("duration_s", "duration", 30),
    Ability.LYRICS: ("lyrics", "lyrics", LYRICS),
    Ability.STYLE: ("style", "style", STYLE),
    Ability.TITLE: ("title", "title", TITLE),
    Ability.NEGATIVE_STYLE: ("negative_style", "negative_style", "heavy metal"),
    Ability.INSTRUMENTAL: ("instrumental", "instrumental", True),
    Ability.VOCAL_GENDER: ("vocal_gender", "vocal_gender", "f"),
    Ability.SEED: ("seed", "seed", 7),
}
_FORMATS: Final = ("mp3", "wav", "ogg", "aac")
_STRAY: Final = "kit_unknown_option"
#: A falsy value is a value: it has to arrive like any other.
_STRAY_VALUES: Final = ("kit-canary", 0, False)


def check_every_option_counts(subject: Subject) -> None:
    """Each declared option changes the native request, or a warning or a refusal names its path."""
    if not subject.block_properties:
        raise Skipped("the option schema declares no options")
    for name in subject.block_properties:
        tried = list(_option_tries(subject, name))
        fates = (
            fate_of(subject, offer, wish, made, changed, (subject.provider.option_block, name))
            for offer, wish, made, changed in tried
        )
        assert any(fate not in UNTOLD for fate in fates), (
            f"the declared option {subject.provider.option_block}.{name} changes nothing: not the native request, no warning "
            f"and no refusal names it ({len(tried)} combinations of base wishes and values were tried)"
        )


def check_nested_options_count(subject: Subject) -> None:
    """The same for the declared keys inside an option that is an object."""
    nested = {
        (name, key): values
        for name, schema in subject.block_properties.items()
        if isinstance(schema, dict) and isinstance(schema.get("properties"), dict)
        for key, inner in schema["properties"].items()
        if (values := option_values(inner, []))
    }
    if not nested:
        raise Skipped("no declared option is an object with declared keys")
    block_name = subject.provider.option_block
    for (name, key), values in nested.items():
        fates = (
            fate_of(
                subject,
                offer,
                wish,
                made,
                subject.with_option(wish, name, {key: value}),
                (block_name, name, key),
            )
            for offer, wish, made in subject.base
            if name not in wish.block(block_name)
            for value in values
        )
        counts = any(fate not in UNTOLD for fate in fates)
        assert counts, f"the declared option {block_name}.{name}.{key} changes nothing, and nothing names it"


def check_unknown_options(subject: Subject) -> None:
    """A key of the block that the schema does not declare is forwarded, reported or refused; 0 and false are values."""
    block_name = subject.provider.option_block
    validator = SchemaValidator(dict(subject.provider.options_schema))
    if validator.violations({_STRAY: 1}):
        raise Skipped("the option schema refuses unknown keys, before the plugin is asked")
    for offer, wish, made in subject.base:
        for value in _STRAY_VALUES:
            changed = subject.with_option(wish, _STRAY, value)
            fate = fate_of(subject, offer, wish, made, changed, (block_name, _STRAY))
            assert fate not in UNTOLD, (
                f"{block_name}.{_STRAY} = {value!r} was dropped in silence for {offer.model}: the schema allows unknown keys, "
                "so they are forwarded, reported in a warning or refused"
            )


def check_neutral_fields(subject: Subject) -> None:
    """Every neutral field is sent, reported or refused, whatever else was wished for."""
    for offer, wish, made in neutral_base(subject):
        for ability, (field, wire, value) in _FIELDS.items():
            if getattr(wish, field) is not None:
                continue
            changed = with_field(wish, field, value)
            fate = fate_of(subject, offer, wish, made, changed, (wire,))
            assert fate is not Fate.SILENT, (
                f"the neutral field {wire} = {value!r} was dropped in silence for {offer.model} ({_shown(wish)}): "
                f"send it, or report it as not_applied with the path ({wire!r},); ability `{ability}`"
            )


def check_abilities_are_true(subject: Subject) -> None:
    """A declared ability is followed in at least one wish; an undeclared one is never quietly followed."""
    for offer in subject.provider.offers:
        bases = [base for base in neutral_base(subject) if base[0] is offer]
        for ability, (field, wire, value) in _FIELDS.items():
            fates = {
                fate_of(subject, offer, wish, made, with_field(wish, field, value), (wire,))
                for _, wish, made in _without(field, bases, subject)
            }
            declared = ability in offer.abilities
            assert fates & APPLIED or not declared or not fates, (
                f"{offer.model} declares the ability `{ability}`, yet {wire} = {value!r} is applied in none of the kit's wishes"
            )
            assert declared or Fate.SENT not in fates, (
                f"{offer.model} does not declare the ability `{ability}`, yet {wire} = {value!r} changes the native request "
                "and no warning says otherwise: declare it, or report it"
            )


def check_formats_are_true(subject: Subject) -> None:
    """A declared format is followed; one that is not declared is reported or refused."""
    for offer, wish, made in neutral_base(subject):
        for wanted in _FORMATS:
            changed = attrs.evolve(wish, format=wanted)
            fate = fate_of(subject, offer, wish, made, changed, ("format",))
            if Ability.FORMAT in offer.abilities and wanted in offer.formats:
                known = fate in APPLIED | {
                    Fate.SILENT
                }  # what is sent without being asked for changes nothing
                assert known, (
                    f"{offer.model} declares the format {wanted}, yet it is {fate.value} ({_shown(wish)})"
                )
            elif wanted not in offer.formats:
                told = fate in {Fate.REWORDED, Fate.REPORTED, Fate.REFUSED}
                assert told, f"{offer.model} does not declare the format {wanted}, yet it is {fate.value}"


def _option_tries(
    subject: Subject, name: str
) -> Iterator[tuple[Offer, MusicRequest, Translation, MusicRequest]]:
    block_name, provider = subject.provider.option_block, subject.provider
    raw = provider.options_schema.get("examples", [])
    examples = [
        block[name]
        for block in (raw if isinstance(raw, list) else [])
        if isinstance(block, dict) and name in block
    ]
    values = option_values(subject.block_properties[name], examples)
    for offer, wish, made in subject.base:
        for value in values:
            if wish.block(block_name).get(name) != value:
                yield offer, wish, made, subject.with_option(wish, name, value)


def _without(
    field: str, bases: list[tuple[Offer, MusicRequest, Translation]], subject: Subject
) -> Iterator[tuple[Offer, MusicRequest, Translation]]:
    """The same wishes without one field, where they can be translated without it."""
    for offer, wish, made in bases:
        if getattr(wish, field) is None:
            yield offer, wish, made
            continue
        bare = with_field(wish, field, None)
        try:
            yield offer, bare, subject.translate(bare, offer)
        except RequestError:
            continue


def _shown(wish: MusicRequest) -> str:
    said = {
        name: value for name, value in attrs.asdict(wish, recurse=False).items() if name in _SHOWN and value
    }
    return "in a wish with " + json.dumps(sorted(said))


_SHOWN: Final = frozenset({"prompt", "lyrics", "style", "title", "instrumental"})
