"""Texts are sent whole, in any script and of any length, reported or refused; limits are true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

import attrs

from musicgate.errors import RequestError
from musicgate.model import MusicRequest, Offer
from musicgate.testing.compliance.handling import names, neutral_base, with_field
from musicgate.testing.compliance.probes import json_of, texts
from musicgate.testing.compliance.subject import PROMPT, Skipped

if TYPE_CHECKING:
    from musicgate.plugin import HttpRequest
    from musicgate.testing.compliance.subject import Subject

#: Characters outside the basic plane, right-to-left, joined and combined ones: they must not be cut or
#: changed.
_TEXTS: Final = (
    "Ünïcödé cafe\u0301 naïve",
    "🎷🎹 jazz 👩‍👩‍👧‍👦 🏳️‍🌈",
    "موسيقى هادئة مع العود \u200f עברית",
    "日本語の歌詞、静かなピアノ",
    'quotes " \\ / and\nlines\ttabs </script> %s {0}',
)
#: Length of a free text of an option that states no limit.
_LONG_OPTION_CHARS: Final = 6_000


def check_texts_are_whole(subject: Subject) -> None:
    """Texts in any script, and at and over every stated limit, are sent whole, reported or refused."""
    for offer, request, _ in neutral_base(subject):
        for field in ("prompt", "lyrics", "style", "title", "negative_style"):
            if getattr(request, field) is None and field != "negative_style":
                continue
            for text in (*_TEXTS, *_long_texts(offer, field)):
                _assert_whole(subject, offer, with_field(request, field, text), (field,), text)


def check_option_texts_are_whole(subject: Subject) -> None:
    """Free texts of the option block, as long as the schema allows, are sent whole, reported or refused."""
    free = {
        name: schema
        for name, schema in subject.block_properties.items()
        if isinstance(schema, dict)
        and schema.get("type") == "string"
        and not {"enum", "const", "format", "pattern"} & schema.keys()
    }
    if not free:
        raise Skipped("no declared option is a free text")
    for offer, request, _ in subject.base:
        for name, schema in free.items():
            longest = schema.get("maxLength", _LONG_OPTION_CHARS)
            texts = [text for text in _TEXTS if len(text) <= longest]
            for text in (*texts, *(letter * longest for letter in ("a", "é"))):
                path = (subject.provider.option_block, name)
                _assert_whole(subject, offer, subject.with_option(request, name, text), path, text)


def check_limits_are_true(subject: Subject) -> None:
    """A plain prompt of exactly the stated length is accepted."""
    stated = [offer for offer in subject.provider.offers if offer.limits.prompt_chars]
    if not stated:
        raise Skipped("no offer states a limit of the prompt")
    plain = [base for base in subject.base if base[1] == MusicRequest(model=base[0].model, prompt=PROMPT)]
    for offer, request, _ in plain:
        chars = offer.limits.prompt_chars
        if chars is None:
            continue
        try:
            subject.translate(attrs.evolve(request, prompt="a" * chars), offer)
        except RequestError as error:
            raise AssertionError(
                f"{offer.model} states prompts of up to {chars} characters, yet refuses one of that length: "
                f"{error}"
            ) from error


def _long_texts(offer: Offer, field: str) -> tuple[str, ...]:
    limits = {
        "prompt": offer.limits.prompt_chars,
        "lyrics": offer.limits.lyrics_chars,
        "style": offer.limits.style_chars,
        "title": offer.limits.title_chars,
    }
    chars = limits.get(field) or 1_000
    return tuple(
        letter * length
        for letter in ("a", "é", "🎷")
        for length in (chars // 2, chars, chars + 1, 20 * chars)
    )


def _assert_whole(
    subject: Subject, offer: Offer, request: MusicRequest, path: tuple[str, ...], text: str
) -> None:
    shown = f"{'.'.join(path)} of {len(text)} characters ({text[:12]!r}...) for {offer.model}"
    try:
        translation = subject.translate(request, offer)
    except RequestError as error:
        assert str(error).strip(), f"{shown} was refused without a message"
        return
    if any(names(warning.path, path) for warning in translation.warnings):
        return
    whole = any(text in sent for sent in _texts_of(translation.request))
    assert whole, f"{shown} is not whole in the native request: texts are never cut"


def _texts_of(request: HttpRequest) -> list[str]:
    """Return every text in a request: in JSON, as a form, in the URL, or as plain text."""
    body, url = json_of(request.body), unquote_plus(request.url)
    if body is not None:
        return [url, *texts(body)]
    plain = request.body.decode("utf-8", "replace")
    return [url, plain, unquote_plus(plain)]
