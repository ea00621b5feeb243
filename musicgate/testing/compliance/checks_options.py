"""No option is dropped in silence: each option and neutral field is sent, reported or refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.codec import SchemaValidator
from musicgate.errors import RequestError
from musicgate.model import Ability, MusicRequest, Offer
from musicgate.plugin import Translation
from musicgate.testing.compliance.handling import (
    APPLIED,
    UNREPORTED,
    Handling,
    handling_of,
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

#: Neutral fields of a request: ability -> (field, its name in JSON, a value).
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
_FORMATS: Final = ("mp3", "wav", "ogg", "aac", "flac")
_STRAY: Final = "kit_unknown_option"
#: A falsy value is a value: it has to arrive like any other.
_STRAY_VALUES: Final = ("kit-canary", 0, False)
#: The fields that a message about a request names.
_SHOWN: Final = frozenset({"prompt", "lyrics", "style", "title", "instrumental"})


def check_every_option_counts(subject: Subject) -> None:
    """Each declared option changes the native request, or a warning or refusal names its path."""
    if not subject.block_properties:
        raise Skipped("the option schema declares no options")
    block_name = subject.provider.option_block
    for name in subject.block_properties:
        tried = list(_option_tries(subject, name))
        handlings = (
            handling_of(subject, offer, translation, changed, (block_name, name))
            for offer, translation, changed in tried
        )
        assert any(handling not in UNREPORTED for handling in handlings), (
            f"the declared option {block_name}.{name} changes nothing: not the native request, no warning "
            f"and no refusal names it ({len(tried)} combinations of base requests and values were tried)"
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
        path = (block_name, name, key)
        handlings = (
            handling_of(subject, offer, translation, subject.with_option(request, name, {key: value}), path)
            for offer, request, translation in subject.base
            if name not in request.block(block_name)
            for value in values
        )
        counts = any(handling not in UNREPORTED for handling in handlings)
        assert counts, f"the declared option {'.'.join(path)} changes nothing, and nothing names it"


def check_unknown_options(subject: Subject) -> None:
    """A key of the block that the schema does not declare is forwarded, reported or refused.

    Also where its value is 0 or false.
    """
    block_name = subject.provider.option_block
    validator = SchemaValidator(dict(subject.provider.options_schema))
    if validator.violations({_STRAY: 1}):
        raise Skipped("the option schema refuses unknown keys, before the plugin is called")
    for offer, request, translation in subject.base:
        for value in _STRAY_VALUES:
            changed = subject.with_option(request, _STRAY, value)
            handling = handling_of(subject, offer, translation, changed, (block_name, _STRAY))
            assert handling not in UNREPORTED, (
                f"{block_name}.{_STRAY} = {value!r} was dropped in silence for {offer.model}: the schema "
                "allows unknown keys, so they are forwarded, reported in a warning or refused"
            )


def check_neutral_fields(subject: Subject) -> None:
    """Each neutral field is sent, reported or refused, whatever else the request holds."""
    for offer, request, translation in neutral_base(subject):
        for ability, (field, name, value) in _FIELDS.items():
            if getattr(request, field) is not None:
                continue
            handling = handling_of(subject, offer, translation, with_field(request, field, value), (name,))
            assert handling is not Handling.SILENT, (
                f"the neutral field {name} = {value!r} was dropped in silence for {offer.model} "
                f"({_shown(request)}): send it, or report it as not_applied with the path ({name!r},); "
                f"ability `{ability}`"
            )


def check_abilities_are_true(subject: Subject) -> None:
    """A declared ability is applied for at least one request.

    An undeclared one is not applied without a warning.
    """
    for offer in subject.provider.offers:
        bases = [base for base in neutral_base(subject) if base[0] is offer]
        for ability, (field, name, value) in _FIELDS.items():
            handlings = {
                handling_of(subject, offer, translation, with_field(request, field, value), (name,))
                for request, translation in _without(field, bases, subject)
            }
            declared = ability in offer.abilities
            if not declared:
                handlings |= _sent_all_the_same(subject, offer, field, value, bases)
            assert handlings & APPLIED or not declared or not handlings, (
                f"{offer.model} declares the ability `{ability}`, yet {name} = {value!r} is applied in none "
                "of the kit's requests"
            )
            assert declared or Handling.SENT not in handlings, (
                f"{offer.model} does not declare the ability `{ability}`, yet {name} = {value!r} changes the "
                "native request and no warning says otherwise: declare it, or report it"
            )


def _sent_all_the_same(
    subject: Subject,
    offer: Offer,
    field: str,
    value: object,
    bases: list[tuple[Offer, MusicRequest, Translation]],
) -> set[Handling]:
    """`Handling.SENT` if an undeclared field is in the request, although it is reported as not applied."""
    for request, before in _without(field, bases, subject):
        try:
            after = subject.translate(with_field(request, field, value), offer)
        except RequestError:
            continue
        if after.request != before.request:
            return {Handling.SENT}
    return set()


def check_formats_are_true(subject: Subject) -> None:
    """A declared format is applied; one that is not declared is reported or refused."""
    for offer, request, translation in neutral_base(subject):
        for wanted in _FORMATS:
            changed = attrs.evolve(request, format=wanted)
            handling = handling_of(subject, offer, translation, changed, ("format",))
            if Ability.FORMAT in offer.abilities and wanted in offer.formats:
                # SILENT as well: asking for the format that the vendor sends anyway changes nothing.
                assert handling in APPLIED | {Handling.SILENT}, (
                    f"{offer.model} declares the format {wanted}, yet it is {handling.value} "
                    f"({_shown(request)})"
                )
            elif wanted not in offer.formats:
                assert handling in {Handling.REWORDED, Handling.REPORTED, Handling.REFUSED}, (
                    f"{offer.model} does not declare the format {wanted}, yet it is {handling.value}"
                )


def _option_tries(subject: Subject, name: str) -> Iterator[tuple[Offer, Translation, MusicRequest]]:
    """Yield an offer, the translation of a base request, and that request with the option set."""
    block_name, provider = subject.provider.option_block, subject.provider
    raw = provider.options_schema.get("examples", [])
    examples = [
        block[name]
        for block in (raw if isinstance(raw, list) else [])
        if isinstance(block, dict) and name in block
    ]
    values = option_values(subject.block_properties[name], examples)
    for offer, request, translation in subject.base:
        for value in values:
            if request.block(block_name).get(name) != value:
                yield offer, translation, subject.with_option(request, name, value)


def _without(
    field: str, bases: list[tuple[Offer, MusicRequest, Translation]], subject: Subject
) -> Iterator[tuple[MusicRequest, Translation]]:
    """Yield the requests without one field, where they can be translated without it."""
    for offer, request, translation in bases:
        if getattr(request, field) is None:
            yield request, translation
            continue
        bare = with_field(request, field, None)
        try:
            yield bare, subject.translate(bare, offer)
        except RequestError:
            continue


def _shown(request: MusicRequest) -> str:
    fields = attrs.asdict(request, recurse=False).items()
    given = sorted(name for name, value in fields if name in _SHOWN and value)
    return "in a request with " + json.dumps(given)
