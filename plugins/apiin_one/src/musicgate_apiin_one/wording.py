"""Knows how a wish becomes one of apiin.one's two modes: an idea to write about, or words, style and title; not the other fields.

*Inspiration* mode sends ``gpt_description_prompt`` alone: words and style are invented. *Custom* mode sends ``prompt`` (what is sung),
``style``, ``title`` and ``tags`` (what to avoid). The mode follows from which prompt field is there; both at once is undefined and
never sent. ``suno.customMode`` decides where the caller said it. Otherwise custom mode is taken where only it can carry the neutral
fields: exact lyrics, or an instrumental with a style or a title.
Source: https://apiin.one/docs/suno/generate, 2026-02-24.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from musicgate.plugin import OptionWarning, RequestError, UnsupportedOptionError, WarningCode, is_blank
from musicgate_apiin_one.naming import (
    DESCRIPTION_MAX,
    LYRICS_MAX,
    TITLE_MAX,
    length,
)

if TYPE_CHECKING:
    from musicgate.plugin import JsonValue, MusicRequest

# ASSUMED: the page wants a prompt in custom mode and says nothing of instrumentals; this is how Suno's users say "no words".
INSTRUMENTAL_PROMPT = "[Instrumental]"

_BLOCK = "suno"


@attrs.frozen(kw_only=True)
class Said:
    """A text that the caller gave, and where."""

    text: str
    path: tuple[str, ...]

    @property
    def is_own_option(self) -> bool:
        """True if it stands in the vendor's own block, where nothing may be lost."""
        return self.path[0] == _BLOCK


@attrs.frozen(kw_only=True)
class Wording:
    """The text fields of a create request."""

    fields: dict[str, JsonValue]
    warnings: tuple[OptionWarning, ...] = ()


@attrs.frozen(kw_only=True)
class Wish:
    """The texts of a request, each from the vendor's block where it is not blank there, else from the neutral field."""

    prompt: Said | None
    lyrics: Said | None
    style: Said | None
    title: Said | None
    negative: Said | None
    instrumental: bool
    #: What the caller said about ``suno.customMode``; None = nothing.
    custom: bool | None

    @classmethod
    def of(cls, request: MusicRequest) -> Wish:
        """Read the texts of a request."""
        block = request.block(_BLOCK)
        custom, instrumental = block.get("customMode"), block.get("instrumental")
        return cls(
            prompt=_said(request, "prompt", "prompt"),
            lyrics=_said(request, None, "lyrics"),
            style=_said(request, "style", "style"),
            title=_said(request, "title", "title"),
            negative=_said(request, "negativeTags", "negative_style"),
            instrumental=instrumental if isinstance(instrumental, bool) else bool(request.instrumental),
            custom=custom if isinstance(custom, bool) else None,
        )

    @property
    def has_neutral_style(self) -> bool:
        """True if a style or title stands in a neutral field, where it is no matter of the mode."""
        return any(said is not None and not said.is_own_option for said in (self.style, self.title))

    @property
    def wants_custom(self) -> bool:
        """True for custom mode."""
        if self.custom is not None:
            return self.custom
        return self.has_neutral_style if self.instrumental else self.lyrics is not None


def word(request: MusicRequest, style_chars: int) -> Wording:
    """Put the texts of a request into the vendor's fields.

    Raises:
        RequestError: a text is missing or too long.
        UnsupportedOptionError: an option of the vendor's block finds no place.
    """
    wish = Wish.of(request)
    return _custom(wish, style_chars) if wish.wants_custom else _inspiration(wish)


def _inspiration(wish: Wish) -> Wording:
    missing = RequestError(
        "validation_error",
        "a prompt is needed when suno.customMode is false",
        reason="prompt_required_when_custom_mode_disabled",
        path=("prompt",),
    )
    if wish.prompt is None and (wish.custom is False or not wish.has_neutral_style):
        raise missing
    text = wish.prompt.text if wish.prompt else ""
    if wish.prompt is not None:
        _check_length(wish.prompt, DESCRIPTION_MAX, "prompt", "a description in inspiration mode")
    warnings = []
    for label, said in (("Style", wish.style), ("Title", wish.title), ("Avoid", wish.negative)):
        if said is None:
            continue
        longer = f"{text}\n{label}: {said.text}".lstrip("\n")
        if length(longer) > DESCRIPTION_MAX:
            reason = (
                f"does not fit into the description with the prompt ({DESCRIPTION_MAX} characters in all)"
            )
            warnings.append(_left_out(said, reason))
            continue
        text = longer
        warnings.append(
            _changed(said, "sent as a line of the description: inspiration mode has no field for it")
        )
    if not text:
        raise missing
    if wish.lyrics is not None:
        warnings.append(_left_out(wish.lyrics, _why_no_lyrics(wish, "inspiration mode writes its own words")))
    return Wording(fields={"gpt_description_prompt": text}, warnings=tuple(warnings))


def _custom(wish: Wish, style_chars: int) -> Wording:
    sung, idea = _sung_and_idea(wish)
    if wish.custom:
        _check_custom_rules(wish, sung)
    if sung is not None:
        _check_length(sung, LYRICS_MAX, "prompt", "a prompt in custom mode")
    if wish.style is not None:
        _check_length(wish.style, style_chars, "style", "a style for this model")
    if wish.title is not None:
        _check_length(wish.title, TITLE_MAX, "title", "a title")
    style = wish.style.text if wish.style else ""
    warnings = []
    if wish.lyrics is not None and wish.instrumental:
        warnings.append(_left_out(wish.lyrics, "an instrumental has no words"))
    if idea is not None:
        longer = f"{style}, {idea.text}" if style else idea.text
        if length(longer) <= style_chars:
            style = longer
            warnings.append(
                _changed(idea, "sent as part of the style: in custom mode the prompt is what is sung")
            )
        else:
            warnings.append(_left_out(idea, f"does not fit into the style ({style_chars} characters)"))
    fields: dict[str, JsonValue] = {"prompt": sung.text if sung else INSTRUMENTAL_PROMPT}
    # Style and title are optional on the page: without them the vendor chooses.
    titles = {"title": wish.title, "tags": wish.negative}
    fields |= {"style": style} if style else {}
    # Negative tags are called "tags" on input; the feed's echo shows a genre under the same name.
    fields |= {name: said.text for name, said in titles.items() if said is not None}
    return Wording(fields=fields, warnings=tuple(warnings))


def _sung_and_idea(wish: Wish) -> tuple[Said | None, Said | None]:
    """What the ``prompt`` field shall hold, and the idea that is left over and belongs to the style."""
    lyrics = None if wish.instrumental else wish.lyrics
    if wish.custom and (lyrics is None or (wish.prompt is not None and wish.prompt.is_own_option)):
        return wish.prompt, None
    return lyrics, wish.prompt


def _check_custom_rules(wish: Wish, sung: Said | None) -> None:
    """The contract's rules for ``suno.customMode`` true, in its order."""
    if wish.style is None or wish.title is None:
        raise RequestError(
            "validation_error",
            "style and title are needed when suno.customMode is true",
            reason="style_and_title_required_when_custom_mode_enabled",
            path=(_BLOCK, "style" if wish.style is None else "title"),
        )
    if sung is None and not wish.instrumental:
        raise RequestError(
            "validation_error",
            "a prompt (the words to sing) is needed when suno.customMode is true and suno.instrumental is false",
            reason="prompt_required_for_lyric_mode_when_custom_mode_enabled",
            path=(_BLOCK, "prompt"),
        )


def _why_no_lyrics(wish: Wish, otherwise: str) -> str:
    return "an instrumental has no words" if wish.instrumental else otherwise


def _said(request: MusicRequest, option: str | None, neutral: str) -> Said | None:
    own = request.block(_BLOCK).get(option) if option else None
    if option and isinstance(own, str) and not is_blank(own):
        return Said(text=own, path=(_BLOCK, option))
    text = getattr(request, neutral)
    return None if is_blank(text) else Said(text=text, path=(neutral,))


def _check_length(said: Said, most: int, field: str, what: str) -> None:
    found = length(said.text)
    if found > most:
        message = f"{what} may have {most} characters at apiin.one, this one has {found}"
        raise RequestError("validation_error", message, reason=f"{field}_too_long", path=said.path)


def _left_out(said: Said, why: str) -> OptionWarning:
    if said.is_own_option:
        raise UnsupportedOptionError(said.path, why)
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=said.path, message=why)


def _changed(said: Said, how: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.CHANGED, path=said.path, message=how)
