"""The choice between apiin.one's two modes, and the text fields of each; no other fields.

*Inspiration* mode sends ``gpt_description_prompt`` alone: the vendor writes lyrics and style. *Custom* mode
sends ``prompt`` (the lyrics), ``style``, ``title`` and ``tags`` (what to avoid). The mode follows from which
of the two prompt fields is present; both at once is undefined and never sent. ``suno.customMode`` decides if
it is given. Otherwise custom mode is chosen only where the neutral fields need it: for lyrics, or for an
instrumental with a style or a title.
Source: https://apiin.one/docs/suno/generate, 2026-02-24.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from musicgate.plugin import (
    OptionWarning,
    RequestError,
    UnsupportedOptionError,
    WarningCode,
    is_blank,
    utf16_units,
)
from musicgate_apiin_one.naming import (
    DESCRIPTION_MAX,
    LYRICS_MAX,
    TITLE_MAX,
)

if TYPE_CHECKING:
    from musicgate.plugin import JsonValue, MusicRequest

# ASSUMED: the page requires a prompt in custom mode and does not mention instrumentals; Suno's users write
# "no lyrics" like this.
INSTRUMENTAL_PROMPT = "[Instrumental]"

_BLOCK = "suno"


@attrs.frozen(kw_only=True)
class Given:
    """A text that is not blank, and its path in the request."""

    text: str
    path: tuple[str, ...]

    @property
    def is_own_option(self) -> bool:
        """True for a text of the ``suno`` block: it is sent or refused, never left out."""
        return self.path[0] == _BLOCK


@attrs.frozen(kw_only=True)
class ModeFields:
    """The text fields of a create request."""

    fields: dict[str, JsonValue]
    warnings: tuple[OptionWarning, ...] = ()


@attrs.frozen(kw_only=True)
class Options:
    """The texts of a request; a ``suno`` option that is not blank beats the neutral field."""

    prompt: Given | None
    lyrics: Given | None
    style: Given | None
    title: Given | None
    negative: Given | None
    instrumental: bool
    #: ``suno.customMode``; None if it is not given.
    custom: bool | None

    @classmethod
    def of(cls, request: MusicRequest) -> Options:
        """Read the texts of a request."""
        block = request.block(_BLOCK)
        custom, instrumental = block.get("customMode"), block.get("instrumental")
        return cls(
            prompt=_given(request, "prompt", "prompt"),
            lyrics=_given(request, None, "lyrics"),
            style=_given(request, "style", "style"),
            title=_given(request, "title", "title"),
            negative=_given(request, "negativeTags", "negative_style"),
            instrumental=instrumental if isinstance(instrumental, bool) else bool(request.instrumental),
            custom=custom if isinstance(custom, bool) else None,
        )

    @property
    def has_neutral_style(self) -> bool:
        """True if a style or a title comes from a neutral field."""
        return any(given is not None and not given.is_own_option for given in (self.style, self.title))

    @property
    def wants_custom(self) -> bool:
        """True for custom mode."""
        if self.custom is not None:
            return self.custom
        return self.has_neutral_style if self.instrumental else self.lyrics is not None


def choose_mode(request: MusicRequest, style_chars: int) -> ModeFields:
    """Choose the mode and fill its text fields.

    Raises:
        RequestError: a text is missing or too long.
        UnsupportedOptionError: a text of the ``suno`` block fits into no field.
    """
    options = Options.of(request)
    return _custom(options, style_chars) if options.wants_custom else _inspiration(options)


def _inspiration(options: Options) -> ModeFields:
    missing = RequestError(
        "validation_error",
        "a prompt is needed when suno.customMode is false",
        reason="prompt_required_when_custom_mode_disabled",
        path=("prompt",),
    )
    if options.prompt is None and (options.custom is False or not options.has_neutral_style):
        raise missing
    text = options.prompt.text if options.prompt else ""
    if options.prompt is not None:
        _check_length(options.prompt, DESCRIPTION_MAX, "prompt", "a description in inspiration mode")
    warnings = []
    for label, given in (("Style", options.style), ("Title", options.title), ("Avoid", options.negative)):
        if given is None:
            continue
        longer = f"{text}\n{label}: {given.text}".lstrip("\n")
        if utf16_units(longer) > DESCRIPTION_MAX:
            why = f"does not fit into the description with the prompt ({DESCRIPTION_MAX} characters in all)"
            warnings.append(_left_out(given, why))
            continue
        text = longer
        how = "sent as a line of the description: inspiration mode has no field for it"
        warnings.append(_changed(given, how))
    if not text:
        raise missing
    if options.lyrics is not None:
        why = "inspiration mode writes its own words"
        if options.instrumental:
            why = "an instrumental has no words"
        warnings.append(_left_out(options.lyrics, why))
    return ModeFields(fields={"gpt_description_prompt": text}, warnings=tuple(warnings))


def _custom(options: Options, style_chars: int) -> ModeFields:
    sung, idea = _sung_and_idea(options)
    if options.custom:
        _check_custom_rules(options, sung)
    if sung is not None:
        _check_length(sung, LYRICS_MAX, "prompt", "a prompt in custom mode")
    if options.style is not None:
        _check_length(options.style, style_chars, "style", "a style for this model")
    if options.title is not None:
        _check_length(options.title, TITLE_MAX, "title", "a title")
    style = options.style.text if options.style else ""
    warnings = []
    if options.lyrics is not None and options.instrumental:
        warnings.append(_left_out(options.lyrics, "an instrumental has no words"))
    if idea is not None:
        longer = f"{style}, {idea.text}" if style else idea.text
        if utf16_units(longer) <= style_chars:
            style = longer
            how = "sent as part of the style: in custom mode the prompt is what is sung"
            warnings.append(_changed(idea, how))
        else:
            warnings.append(_left_out(idea, f"does not fit into the style ({style_chars} characters)"))
    fields: dict[str, JsonValue] = {"prompt": sung.text if sung else INSTRUMENTAL_PROMPT}
    # Style and title are optional on the page: without them the vendor chooses.
    fields |= {"style": style} if style else {}
    # The feed shows a genre as "tags", but on input "tags" is what to avoid.
    others = {"title": options.title, "tags": options.negative}
    fields |= {name: given.text for name, given in others.items() if given is not None}
    return ModeFields(fields=fields, warnings=tuple(warnings))


def _sung_and_idea(options: Options) -> tuple[Given | None, Given | None]:
    """The text for the ``prompt`` field, and the idea that is left over for the style."""
    lyrics = None if options.instrumental else options.lyrics
    has_own_prompt = options.prompt is not None and options.prompt.is_own_option
    if options.custom and (lyrics is None or has_own_prompt):
        return options.prompt, None
    return lyrics, options.prompt


def _check_custom_rules(options: Options, sung: Given | None) -> None:
    """Enforce the contract's rules for ``suno.customMode`` true, in its order."""
    if options.style is None or options.title is None:
        raise RequestError(
            "validation_error",
            "style and title are needed when suno.customMode is true",
            reason="style_and_title_required_when_custom_mode_enabled",
            path=(_BLOCK, "style" if options.style is None else "title"),
        )
    if sung is None and not options.instrumental:
        raise RequestError(
            "validation_error",
            "a prompt (the words to sing) is needed when suno.customMode is true and "
            "suno.instrumental is false",
            reason="prompt_required_for_lyric_mode_when_custom_mode_enabled",
            path=(_BLOCK, "prompt"),
        )


def _given(request: MusicRequest, option: str | None, neutral: str) -> Given | None:
    own = request.block(_BLOCK).get(option) if option else None
    if option and isinstance(own, str) and not is_blank(own):
        return Given(text=own, path=(_BLOCK, option))
    text = getattr(request, neutral)
    return None if is_blank(text) else Given(text=text, path=(neutral,))


def _check_length(given: Given, max_units: int, field: str, what: str) -> None:
    units = utf16_units(given.text)
    if units > max_units:
        message = f"{what} may have {max_units} characters at apiin.one, this one has {units}"
        raise RequestError("validation_error", message, reason=f"{field}_too_long", path=given.path)


def _left_out(given: Given, why: str) -> OptionWarning:
    if given.is_own_option:
        raise UnsupportedOptionError(given.path, why)
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=given.path, message=why)


def _changed(given: Given, how: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.CHANGED, path=given.path, message=how)
