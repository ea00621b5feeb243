"""Nothing that a caller asks for is dropped in silence: every option and neutral field is sent, reported or refused."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.errors import RequestError
from musicgate.hookspecs import Translation
from musicgate.model import Ability, MusicRequest, Offer, WarningCode
from musicgate.schema import SchemaValidator
from musicgate.testing.compliance.probes import option_values, parsed, texts
from musicgate.testing.compliance.subject import LYRICS, PROMPT, STYLE, TITLE, Skipped

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
#: Letters outside the basic plane, right-to-left, joined and combined ones: nobody may cut or mangle them.
_TEXTS: Final = (
    "Ünïcödé cafe\u0301 naïve",
    "🎷🎹 jazz 👩‍👩‍👧‍👦 🏳️‍🌈",
    "موسيقى هادئة مع العود \u200f עברית",
    "日本語の歌詞、静かなピアノ",
    'quotes " \\ / and\nlines\ttabs </script> %s {0}',
)


class Fate(Enum):
    """What became of one option."""

    SENT = "sent"
    REPORTED = "reported"
    REFUSED = "refused"
    SILENT = "dropped in silence"


def check_every_option_counts(subject: Subject) -> None:
    """Each declared option changes the native request, or a warning or a refusal names its path."""
    if not subject.block_properties:
        raise Skipped("the option schema declares no options")
    for name in subject.block_properties:
        tried = list(_option_tries(subject, name))
        fates = (
            _fate(subject, offer, wish, made, changed, (subject.provider.option_block, name))
            for offer, wish, made, changed in tried
        )
        assert any(fate is not Fate.SILENT for fate in fates), (
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
            _fate(subject, offer, wish, made, _with_option(subject, wish, name, {key: value}), (block_name, name, key))
            for offer, wish, made in subject.base
            if name not in wish.block(block_name)
            for value in values
        )
        counts = any(fate is not Fate.SILENT for fate in fates)
        assert counts, f"the declared option {block_name}.{name}.{key} changes nothing, and nothing names it"


def check_unknown_options(subject: Subject) -> None:
    """A key of the block that the schema does not declare is forwarded, reported or refused; 0 and false are values."""
    block_name = subject.provider.option_block
    validator = SchemaValidator(dict(subject.provider.options_schema))
    if validator.violations({_STRAY: 1}):
        raise Skipped("the option schema refuses unknown keys, before the plugin is asked")
    for offer, wish, made in subject.base:
        for value in _STRAY_VALUES:
            changed = _with_option(subject, wish, _STRAY, value)
            fate = _fate(subject, offer, wish, made, changed, (block_name, _STRAY))
            assert fate is not Fate.SILENT, (
                f"{block_name}.{_STRAY} = {value!r} was dropped in silence for {offer.model}: the schema allows unknown keys, "
                "so they are forwarded, reported in a warning or refused"
            )


def check_neutral_fields(subject: Subject) -> None:
    """Every neutral field is sent, reported or refused, whatever else was wished for."""
    for offer, wish, made in _neutral_base(subject):
        for ability, (field, wire, value) in _FIELDS.items():
            if getattr(wish, field) is not None:
                continue
            changed = attrs.evolve(wish, **{field: value})
            fate = _fate(subject, offer, wish, made, changed, (wire,))
            assert fate is not Fate.SILENT, (
                f"the neutral field {wire} = {value!r} was dropped in silence for {offer.model} ({_shown(wish)}): "
                f"send it, or report it as not_applied with the path ({wire!r},); ability `{ability}`"
            )


def check_abilities_are_true(subject: Subject) -> None:
    """A declared ability is followed in at least one wish; an undeclared one is never quietly followed."""
    for offer in subject.provider.offers:
        bases = [base for base in _neutral_base(subject) if base[0] is offer]
        for ability, (field, wire, value) in _FIELDS.items():
            fates = {
                _fate(subject, offer, wish, made, attrs.evolve(wish, **{field: value}), (wire,))
                for _, wish, made in _without(field, bases, subject)
            }
            declared = ability in offer.abilities
            assert Fate.SENT in fates or not declared or not fates, (
                f"{offer.model} declares the ability `{ability}`, yet {wire} = {value!r} is applied in none of the kit's wishes"
            )
            assert declared or Fate.SENT not in fates, (
                f"{offer.model} does not declare the ability `{ability}`, yet {wire} = {value!r} changes the native request "
                "and no warning says otherwise: declare it, or report it"
            )


def check_formats_are_true(subject: Subject) -> None:
    """A declared format is followed; one that is not declared is reported or refused."""
    for offer, wish, made in _neutral_base(subject):
        for wanted in _FORMATS:
            changed = attrs.evolve(wish, format=wanted)
            fate = _fate(subject, offer, wish, made, changed, ("format",))
            if Ability.FORMAT in offer.abilities and wanted in offer.formats:
                known = fate in {Fate.SENT, Fate.SILENT}  # what is sent without being asked for changes nothing
                assert known, f"{offer.model} declares the format {wanted}, yet it is {fate.value} ({_shown(wish)})"
            elif wanted not in offer.formats:
                told = fate in {Fate.REPORTED, Fate.REFUSED}
                assert told, f"{offer.model} does not declare the format {wanted}, yet it is {fate.value}"


def check_texts_are_whole(subject: Subject) -> None:
    """Texts in any script, and texts at and over every stated limit, are sent whole, reported or refused; never cut."""
    for offer, wish, _ in _neutral_base(subject):
        for field in ("prompt", "lyrics", "style", "title", "negative_style"):
            if getattr(wish, field) is None and field != "negative_style":
                continue
            for text in (*_TEXTS, *_long_texts(offer, field)):
                _assert_whole(subject, offer, attrs.evolve(wish, **{field: text}), field, text)


def check_limits_are_true(subject: Subject) -> None:
    """A plain prompt of exactly the stated length is taken."""
    stated = [offer for offer in subject.provider.offers if offer.limits.prompt_chars]
    if not stated:
        raise Skipped("no offer states a limit of the prompt")
    plain = [base for base in subject.base if base[1] == MusicRequest(model=base[0].model, prompt=PROMPT)]
    for offer, wish, _ in plain:
        chars = offer.limits.prompt_chars
        if chars is None:
            continue
        try:
            subject.translate(attrs.evolve(wish, prompt="a" * chars), offer)
        except RequestError as error:
            raise AssertionError(
                f"{offer.model} states prompts of up to {chars} characters, yet refuses one of that length: {error}"
            ) from error


def _fate(
    subject: Subject,
    offer: Offer,
    before: MusicRequest,
    made: Translation,
    after: MusicRequest,
    path: tuple[str, ...],
) -> Fate:
    """What became of the one thing in which two wishes differ."""
    try:
        changed = subject.translate(after, offer)
    except RequestError as error:
        return Fate.REFUSED if _names(error.path, path) else Fate.SILENT
    told = [warning for warning in changed.warnings if _names(warning.path, path) and warning not in made.warnings]
    if any(warning.code is WarningCode.NOT_APPLIED for warning in told):
        return Fate.REPORTED
    if changed.request != made.request:
        return Fate.SENT
    return Fate.REPORTED if told else Fate.SILENT


def _names(said: tuple[str | int, ...], path: tuple[str, ...]) -> bool:
    """True if a path names the option, something inside it, or the object that it stands in (but not the whole block)."""
    shared = min(len(said), len(path))
    return shared >= min(2, len(path)) and said[:shared] == path[:shared]


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
                yield offer, wish, made, _with_option(subject, wish, name, value)


def _with_option(subject: Subject, wish: MusicRequest, name: str, value: object) -> MusicRequest:
    block_name = subject.provider.option_block
    return attrs.evolve(
        wish, blocks={**wish.blocks, block_name: {**wish.block(block_name), name: value}}
    )


def _neutral_base(subject: Subject) -> list[tuple[Offer, MusicRequest, Translation]]:
    """Base wishes without a vendor's block: the block overrides the neutral fields, and that is no loss."""
    return [base for base in subject.base if not base[1].blocks]


def _without(
    field: str, bases: list[tuple[Offer, MusicRequest, Translation]], subject: Subject
) -> Iterator[tuple[Offer, MusicRequest, Translation]]:
    """The same wishes without one field, where they can be translated without it."""
    for offer, wish, made in bases:
        if getattr(wish, field) is None:
            yield offer, wish, made
            continue
        bare = attrs.evolve(wish, **{field: None})
        try:
            yield offer, bare, subject.translate(bare, offer)
        except RequestError:
            continue


def _long_texts(offer: Offer, field: str) -> tuple[str, ...]:
    limits = {
        "prompt": offer.limits.prompt_chars,
        "lyrics": offer.limits.lyrics_chars,
        "style": offer.limits.style_chars,
        "title": offer.limits.title_chars,
    }
    chars = limits.get(field) or 1_000
    return tuple(
        letter * length for letter in ("a", "é", "🎷") for length in (chars // 2, chars, chars + 1, 20 * chars)
    )


def _assert_whole(subject: Subject, offer: Offer, wish: MusicRequest, field: str, text: str) -> None:
    shown = f"{field} of {len(text)} characters ({text[:12]!r}...) for {offer.model}"
    try:
        made = subject.translate(wish, offer)
    except RequestError as error:
        assert str(error).strip(), f"{shown} was refused without a word"
        return
    if any(_names(warning.path, (field,)) for warning in made.warnings):
        return
    body = parsed(made.request.body)
    held = list(texts(body)) if body is not None else [made.request.body.decode("utf-8", "replace")]
    assert any(text in one for one in held), f"{shown} is not whole in the native request: texts are never cut"


def _shown(wish: MusicRequest) -> str:
    said = {name: value for name, value in attrs.asdict(wish, recurse=False).items() if name in _SHOWN and value}
    return "in a wish with " + json.dumps(sorted(said))


_SHOWN: Final = frozenset({"prompt", "lyrics", "style", "title", "instrumental"})
