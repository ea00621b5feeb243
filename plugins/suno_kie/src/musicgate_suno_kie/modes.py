"""Knows which of Suno's two modes a wish becomes, and what each of its words turns into there; it knows no route and no JSON.

Custom mode sings the prompt word for word and needs style and title. Idea mode (``customMode`` false) invents the words from the
prompt; the vendor's page says that it ignores all other parameters. The contract's default is idea mode.

============  ==============================================  ======  =======================================================
customMode    and the wish has                                mode    words
============  ==============================================  ======  =======================================================
true (said)   anything                                        custom  prompt = suno.prompt, else lyrics, else prompt; the
                                                                      contract's tokens if style, title or words are missing
false (said)  anything                                        idea    lyrics are reported as not applied
left out      neutral lyrics, not instrumental                custom  prompt = lyrics; a missing style is the idea, or a stock
                                                                      phrase; a missing title is the first sung line
left out      neutral style or title; style and title known;  custom  the idea, if any, goes along as prompt
              instrumental
left out      neutral style, no idea, no lyrics               idea    the style is the idea
left out      anything else                                   idea    as below
============  ==============================================  ======  =======================================================

"Known" counts the ``suno`` block and the neutral field. In idea mode the caller's own ``suno.style``, ``suno.title`` ... are sent as
they stand and reported as not applied; neutral wishes are said in words behind the idea ("Style: jazz") as far as they fit, and
reported as changed. Nothing that a caller wrote is ever cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from musicgate.plugin import (
    Limits,
    MusicRequest,
    OptionWarning,
    RequestError,
    WarningCode,
    is_blank,
)
from musicgate_suno_kie.wish import Said, Wish

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The block's options of which idea mode takes no notice.
#: Source: docs.kie.ai/suno-api/generate-music, early 2026: "only prompt is required and other parameters are ignored".
IGNORED_IN_IDEA_MODE: Final = (
    "style",
    "title",
    "negativeTags",
    "vocalGender",
    "styleWeight",
    "weirdnessConstraint",
    "audioWeight",
    "personaId",
    "personaModel",
)

#: What custom mode is told when only lyrics were given: it insists on a style.
UNSTATED_STYLE: Final = "whatever suits the lyrics"
UNTITLED: Final = "Untitled"

_VOICES = {"f": "female", "m": "male"}


@attrs.frozen(kw_only=True)
class Plan:
    """What is sent in which mode.

    Attributes:
        fields: text fields in the legacy spelling; they replace what the block says under the same key.
        paths: where the caller wrote each of them, for messages.
    """

    custom: bool
    instrumental: bool
    fields: dict[str, str]
    paths: dict[str, tuple[str, ...]]
    warnings: tuple[OptionWarning, ...] = ()


def plan(request: MusicRequest, limits: Limits) -> Plan:
    """Choose the mode and find the words.

    Raises:
        RequestError: style, title or prompt is missing where the mode needs it, or one is too long.
    """
    wish = Wish.of(request)
    custom = wish.block.get("customMode")
    if custom is True:
        planned = _custom_as_said(wish)
    elif custom is None and wish.lyrics and not wish.instrumental:
        planned = _custom_for_lyrics(wish, wish.lyrics, limits)
    elif custom is None and _suits_custom_instrumental(wish):
        planned = _custom_instrumental(wish)
    else:
        planned = _idea(wish, limits)
    _check_lengths(planned, limits)
    return attrs.evolve(planned, warnings=(*planned.warnings, *_unsung(wish)))


def utf16_units(text: str) -> int:
    """Length of a text as UTF-16 counts it: an emoji is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _suits_custom_instrumental(wish: Wish) -> bool:
    neutral = wish.neutral(wish.style) or wish.neutral(wish.title)
    return wish.instrumental and neutral is not None and wish.style is not None and wish.title is not None


def _custom_as_said(wish: Wish) -> Plan:
    own_prompt = wish.idea if wish.idea and wish.idea.path[0] == "suno" else None
    prompt = own_prompt or (None if wish.instrumental else wish.lyrics) or wish.idea
    if wish.style is None or wish.title is None:
        token = "style_and_title_required_when_custom_mode_enabled"  # noqa: S105 - a word of the contract, not a secret
        missing = "style" if wish.style is None else "title"
        raise RequestError(
            "validation_error", "custom mode needs style and title", reason=token, path=("suno", missing)
        )
    if prompt is None and not wish.instrumental:
        token = "prompt_required_for_lyric_mode_when_custom_mode_enabled"  # noqa: S105 - a word of the contract
        message = "custom mode needs the words to sing as the prompt, unless it is instrumental"
        raise RequestError("validation_error", message, reason=token, path=("suno", "prompt"))
    unused = (_unused_idea(wish.idea),) if wish.idea and prompt is wish.lyrics else ()
    return _custom(wish, prompt, wish.style, wish.title, unused)


def _custom_for_lyrics(wish: Wish, lyrics: Said, limits: Limits) -> Plan:
    style, title, warnings = wish.style, wish.title, []
    longest = limits.style_chars
    fits = wish.idea is not None and (longest is None or utf16_units(wish.idea.text) <= longest)
    if style is None and wish.idea and fits:
        style = wish.idea
        warnings.append(
            _changed(wish.idea.path, "sent as the style: with lyrics there is no field for an idea")
        )
    elif wish.idea:
        warnings.append(_unused_idea(wish.idea))
    if style is None:
        style = Said(text=UNSTATED_STYLE, path=("style",))
        warnings.append(
            _changed(("style",), f"Suno needs a style beside lyrics; {UNSTATED_STYLE!r} was sent")
        )
    if title is None:
        title = Said(text=_title_from(lyrics.text, limits.title_chars or 80), path=("title",))
        warnings.append(_changed(("title",), f"Suno needs a title beside lyrics; {title.text!r} was sent"))
    return _custom(wish, lyrics, style, title, tuple(warnings))


def _custom_instrumental(wish: Wish) -> Plan:
    message = "sent, but Suno reads it as lyrics in custom mode, and an instrumental sings none"
    warnings = (_changed(wish.idea.path, message),) if wish.idea else ()
    return _custom(wish, wish.idea, wish.style, wish.title, warnings)


def _custom(
    wish: Wish,
    prompt: Said | None,
    style: Said | None,
    title: Said | None,
    warnings: tuple[OptionWarning, ...],
) -> Plan:
    voice = None if wish.instrumental and wish.neutral(wish.voice) else wish.voice
    texts = {
        "prompt": prompt,
        "style": style,
        "title": title,
        "negativeTags": wish.negative_style,
        "vocalGender": voice,
    }
    known = {key: said for key, said in texts.items() if said is not None}
    return Plan(
        custom=True,
        instrumental=wish.instrumental,
        fields={key: said.text for key, said in known.items()},
        paths={key: said.path for key, said in known.items()},
        warnings=warnings,
    )


def _idea(wish: Wish, limits: Limits) -> Plan:
    style, idea, warnings = wish.neutral(wish.style), wish.idea, []
    if idea is None and style is not None and wish.block.get("customMode") is None:
        idea, style = style, None
        warnings.append(_changed(idea.path, "sent as the prompt: nothing else says what the song shall be"))
    if idea is None:
        token = "prompt_required_when_custom_mode_disabled"  # noqa: S105 - a word of the contract, not a secret
        raise RequestError("validation_error", "a prompt is needed", reason=token, path=("prompt",))
    text = idea.text
    for label, said in _said_in_words(wish, style):
        longer = f"{text}\n{label}: {_VOICES.get(said.text, said.text) if label == 'Vocals' else said.text}"
        if limits.prompt_chars is None or utf16_units(longer) <= limits.prompt_chars:
            text = longer
            warnings.append(
                _changed(
                    said.path, "said in words in the prompt: without custom mode Suno has no field for it"
                )
            )
        else:
            warnings.append(
                _not_applied(
                    said.path, "without custom mode Suno has no field for it, and the prompt has no room"
                )
            )
    for key in IGNORED_IN_IDEA_MODE:
        value = wish.block.get(key)
        if value is not None and not (isinstance(value, str) and is_blank(value)):
            warnings.append(
                _not_applied(("suno", key), "sent, but Suno ignores it unless customMode is true")
            )
    return Plan(
        custom=False,
        instrumental=wish.instrumental,
        fields={"prompt": text},
        paths={"prompt": idea.path},
        warnings=tuple(warnings),
    )


def _said_in_words(wish: Wish, style: Said | None) -> Iterator[tuple[str, Said]]:
    voice = None if wish.instrumental else wish.neutral(wish.voice)
    wishes = {
        "Style": style,
        "Title": wish.neutral(wish.title),
        "Vocals": voice,
        "Avoid": wish.neutral(wish.negative_style),
    }
    return ((label, said) for label, said in wishes.items() if said is not None)


def _unsung(wish: Wish) -> Iterator[OptionWarning]:
    """Neutral words that the chosen mode does not sing."""
    if wish.instrumental and wish.lyrics:
        yield _not_applied(wish.lyrics.path, "an instrumental sings no lyrics")
    elif wish.lyrics and wish.block.get("customMode") is False:
        yield _not_applied(
            wish.lyrics.path, "suno.customMode is false: Suno invents the words from the prompt"
        )
    voice = wish.neutral(wish.voice)
    if wish.instrumental and voice:
        yield _not_applied(voice.path, "an instrumental has no voice")


def _check_lengths(planned: Plan, limits: Limits) -> None:
    checks = {"prompt": limits.lyrics_chars, "style": limits.style_chars, "title": limits.title_chars}
    if not planned.custom:
        checks = {"prompt": limits.prompt_chars}
    for key, longest in checks.items():
        units = utf16_units(planned.fields.get(key, ""))
        if longest is not None and units > longest:
            message = f"{'.'.join(planned.paths[key])} is {units} characters long; Suno takes at most {longest} here"
            raise RequestError("validation_error", message, reason=f"{key}_too_long", path=planned.paths[key])


def _title_from(lyrics: str, longest: int) -> str:
    """The first sung line, as many of its words as a title may have; section marks like ``[Verse]`` are not sung."""
    lines = (line.strip() for line in lyrics.splitlines())
    line = next((line for line in lines if line and not line.startswith(("[", "("))), "")
    words = line.split()
    while words and utf16_units(" ".join(words)) > longest:
        words.pop()
    return " ".join(words) or UNTITLED


def _unused_idea(idea: Said) -> OptionWarning:
    return _not_applied(idea.path, "with lyrics and a style there is no field for an idea")


def _changed(path: tuple[str, ...], message: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.CHANGED, path=path, message=message)


def _not_applied(path: tuple[str, ...], message: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=path, message=message)
