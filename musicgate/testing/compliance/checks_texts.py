"""Texts of a wish arrive whole, in any script and of any length, or the caller is told; stated limits are true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

import attrs

from musicgate.errors import RequestError
from musicgate.model import MusicRequest, Offer
from musicgate.testing.compliance.fates import names, neutral_base, with_field
from musicgate.testing.compliance.probes import parsed, texts
from musicgate.testing.compliance.subject import PROMPT, Skipped

if TYPE_CHECKING:
    from musicgate.plugin import HttpRequest
    from musicgate.testing.compliance.subject import Subject

#: Letters outside the basic plane, right-to-left, joined and combined ones: nobody may cut or mangle them.
_TEXTS: Final = (
    "Ünïcödé cafe\u0301 naïve",
    "🎷🎹 jazz 👩‍👩‍👧‍👦 🏳️‍🌈",
    "موسيقى هادئة مع العود \u200f עברית",
    "日本語の歌詞、静かなピアノ",
    'quotes " \\ / and\nlines\ttabs </script> %s {0}',
)


def check_texts_are_whole(subject: Subject) -> None:
    """Texts in any script, and texts at and over every stated limit, are sent whole, reported or refused; never cut."""
    for offer, wish, _ in neutral_base(subject):
        for field in ("prompt", "lyrics", "style", "title", "negative_style"):
            if getattr(wish, field) is None and field != "negative_style":
                continue
            for text in (*_TEXTS, *_long_texts(offer, field)):
                _assert_whole(subject, offer, with_field(wish, field, text), (field,), text)


def check_option_texts_are_whole(subject: Subject) -> None:
    """Free texts of the option block arrive whole in any script, or the caller is told."""
    free = [
        name
        for name, schema in subject.block_properties.items()
        if isinstance(schema, dict)
        and schema.get("type") == "string"
        and not {"enum", "const", "format", "pattern", "maxLength"} & schema.keys()
    ]
    if not free:
        raise Skipped("no declared option is a free text")
    for offer, wish, _ in subject.base:
        for name in free:
            for text in _TEXTS:
                path = (subject.provider.option_block, name)
                _assert_whole(subject, offer, subject.with_option(wish, name, text), path, text)


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
    subject: Subject, offer: Offer, wish: MusicRequest, path: tuple[str, ...], text: str
) -> None:
    shown = f"{'.'.join(path)} of {len(text)} characters ({text[:12]!r}...) for {offer.model}"
    try:
        made = subject.translate(wish, offer)
    except RequestError as error:
        assert str(error).strip(), f"{shown} was refused without a word"
        return
    if any(names(warning.path, path) for warning in made.warnings):
        return
    whole = any(text in one for one in _texts_of(made.request))
    assert whole, f"{shown} is not whole in the native request: texts are never cut"


def _texts_of(request: HttpRequest) -> list[str]:
    """Every text that a request carries: in JSON, as a form, in the URL, or as it stands."""
    body, url = parsed(request.body), unquote_plus(request.url)
    if body is not None:
        return [url, *texts(body)]
    plain = request.body.decode("utf-8", "replace")
    return [url, plain, unquote_plus(plain)]
