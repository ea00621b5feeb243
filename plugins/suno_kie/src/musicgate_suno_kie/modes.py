"""The choice between Suno's two modes, and the text fields of each; no route, no JSON.

Custom mode sings the prompt as it is and needs a style and a title. Idea mode (``customMode`` false) writes
the lyrics from the prompt; the vendor's page says that it ignores all other parameters. The contract's
default is idea mode.

============  ===================================  ======  ============================================
customMode    the request has                      mode    text fields
============  ===================================  ======  ============================================
true          anything                             custom  prompt = suno.prompt, else lyrics, else
                                                           prompt; the contract's error tokens if
                                                           style, title or prompt is missing
false         anything                             idea    lyrics are reported as not applied
not given     neutral lyrics, not instrumental     custom  prompt = lyrics; a missing style is the
                                                           idea, or a stock phrase; a missing title is
                                                           the first sung line
not given     instrumental, a style and a title,   custom  the idea, if any, is sent as the prompt
              at least one of them neutral
not given     neutral style, no idea, no lyrics    idea    the style is the idea
not given     anything else                        idea    see below
============  ===================================  ======  ============================================

Fields of the ``suno`` block and neutral fields count alike unless the table says neutral. In idea mode the
caller's own ``suno.style``, ``suno.title`` ... are sent unchanged and reported as not applied. Neutral fields
are appended to the idea as lines of text ("Style: jazz") as long as they fit, and reported as changed. No
text of the caller is ever truncated.
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
    utf16_units,
)
from musicgate_suno_kie.options import Given, Options

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The block's options that idea mode ignores.
#: Source: docs.kie.ai/suno-api/generate-music, early 2026: "only prompt is required and other parameters are
#: ignored".
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

#: The style that is sent when the request has lyrics only: custom mode requires one.
DEFAULT_STYLE: Final = "whatever suits the lyrics"
DEFAULT_TITLE: Final = "Untitled"

_VOICES = {"f": "female", "m": "male"}


@attrs.frozen(kw_only=True)
class ModeFields:
    """The mode of a create call and its text fields.

    Attributes:
        fields: text fields in the legacy spelling; they replace the block's values of the same keys.
        paths: where the caller gave each of them, for messages.
    """

    custom: bool
    instrumental: bool
    fields: dict[str, str]
    paths: dict[str, tuple[str, ...]]
    warnings: tuple[OptionWarning, ...] = ()


def choose_mode(request: MusicRequest, limits: Limits) -> ModeFields:
    """Choose the mode and fill its text fields.

    Raises:
        RequestError: style, title or prompt is missing where the mode needs it, or one is too long.
    """
    options = Options.of(request)
    custom = options.block.get("customMode")
    if custom is True:
        chosen = _explicit_custom(options)
    elif custom is None and options.lyrics and not options.instrumental:
        chosen = _custom_for_lyrics(options, options.lyrics, limits)
    elif custom is None and _suits_custom_instrumental(options):
        chosen = _custom_instrumental(options)
    else:
        chosen = _idea(options, limits)
    _check_lengths(chosen, limits)
    warnings = tuple(_not_sung(options)) if options.lyrics or options.voice else ()
    return attrs.evolve(chosen, warnings=chosen.warnings + warnings) if warnings else chosen


def _suits_custom_instrumental(options: Options) -> bool:
    neutral = options.neutral(options.style) or options.neutral(options.title)
    has_both = options.style is not None and options.title is not None
    return options.instrumental and neutral is not None and has_both


def _explicit_custom(options: Options) -> ModeFields:
    own_prompt = options.idea if options.idea and options.idea.path[0] == "suno" else None
    prompt = own_prompt or (None if options.instrumental else options.lyrics) or options.idea
    if options.style is None or options.title is None:
        token = "style_and_title_required_when_custom_mode_enabled"  # noqa: S105 - a contract token
        missing = "style" if options.style is None else "title"
        raise RequestError(
            "validation_error", "custom mode needs style and title", reason=token, path=("suno", missing)
        )
    if prompt is None and not options.instrumental:
        token = "prompt_required_for_lyric_mode_when_custom_mode_enabled"  # noqa: S105 - as above
        message = "custom mode needs the words to sing as the prompt, unless it is instrumental"
        raise RequestError("validation_error", message, reason=token, path=("suno", "prompt"))
    unused = (_unused_idea(options.idea),) if options.idea and prompt is options.lyrics else ()
    return _custom(options, prompt, options.style, options.title, unused)


def _custom_for_lyrics(options: Options, lyrics: Given, limits: Limits) -> ModeFields:
    style, title, warnings = options.style, options.title, []
    max_units = limits.style_chars
    fits = options.idea is not None and (max_units is None or utf16_units(options.idea.text) <= max_units)
    if style is None and options.idea and fits:
        style = options.idea
        warnings.append(
            _changed(options.idea.path, "sent as the style: with lyrics there is no field for an idea")
        )
    elif options.idea:
        warnings.append(_unused_idea(options.idea))
    if style is None:
        style = Given(text=DEFAULT_STYLE, path=("style",))
        warnings.append(_changed(("style",), f"Suno needs a style beside lyrics; {DEFAULT_STYLE!r} was sent"))
    if title is None:
        title = Given(text=_title_from(lyrics.text, limits.title_chars or 80), path=("title",))
        warnings.append(_changed(("title",), f"Suno needs a title beside lyrics; {title.text!r} was sent"))
    return _custom(options, lyrics, style, title, tuple(warnings))


def _custom_instrumental(options: Options) -> ModeFields:
    message = "sent, but Suno reads it as lyrics in custom mode, and an instrumental sings none"
    warnings = (_changed(options.idea.path, message),) if options.idea else ()
    return _custom(options, options.idea, options.style, options.title, warnings)


def _custom(
    options: Options,
    prompt: Given | None,
    style: Given | None,
    title: Given | None,
    warnings: tuple[OptionWarning, ...],
) -> ModeFields:
    voice = None if options.instrumental and options.neutral(options.voice) else options.voice
    texts = {
        "prompt": prompt,
        "style": style,
        "title": title,
        "negativeTags": options.negative_style,
        "vocalGender": voice,
    }
    present = {key: given for key, given in texts.items() if given is not None}
    return ModeFields(
        custom=True,
        instrumental=options.instrumental,
        fields={key: given.text for key, given in present.items()},
        paths={key: given.path for key, given in present.items()},
        warnings=warnings,
    )


def _idea(options: Options, limits: Limits) -> ModeFields:
    style, idea, warnings = options.neutral(options.style), options.idea, list[OptionWarning]()
    if idea is None and style is not None and options.block.get("customMode") is None:
        idea, style = style, None
        warnings.append(_changed(idea.path, "sent as the prompt: nothing else says what the song shall be"))
    if idea is None:
        token = "prompt_required_when_custom_mode_disabled"  # noqa: S105 - a contract token
        raise RequestError("validation_error", "a prompt is needed", reason=token, path=("prompt",))
    text = idea.text
    for label, given in _lines_to_append(options, style):
        content = _VOICES.get(given.text, given.text) if label == "Vocals" else given.text
        longer = f"{text}\n{label}: {content}"
        if limits.prompt_chars is None or utf16_units(longer) <= limits.prompt_chars:
            text = longer
            why = "added to the prompt as a line: without custom mode Suno has no field for it"
            warnings.append(_changed(given.path, why))
        else:
            why = "without custom mode Suno has no field for it, and the prompt has no room"
            warnings.append(_not_applied(given.path, why))
    for key in IGNORED_IN_IDEA_MODE if options.block else ():
        value = options.block.get(key)
        if value is not None and not (isinstance(value, str) and is_blank(value)):
            warnings.append(
                _not_applied(("suno", key), "sent, but Suno ignores it unless customMode is true")
            )
    return ModeFields(
        custom=False,
        instrumental=options.instrumental,
        fields={"prompt": text},
        paths={"prompt": idea.path},
        warnings=tuple(warnings),
    )


def _lines_to_append(options: Options, style: Given | None) -> list[tuple[str, Given]]:
    if not (style or options.title or options.voice or options.negative_style):
        return []
    lines = (
        ("Style", style),
        ("Title", options.neutral(options.title)),
        ("Vocals", None if options.instrumental else options.neutral(options.voice)),
        ("Avoid", options.neutral(options.negative_style)),
    )
    return [(label, given) for label, given in lines if given is not None]


def _not_sung(options: Options) -> Iterator[OptionWarning]:
    """Warn of neutral lyrics and of a voice that the chosen mode does not use."""
    if options.instrumental and options.lyrics:
        yield _not_applied(options.lyrics.path, "an instrumental sings no lyrics")
    elif options.lyrics and options.block.get("customMode") is False:
        yield _not_applied(
            options.lyrics.path, "suno.customMode is false: Suno invents the words from the prompt"
        )
    voice = options.neutral(options.voice)
    if options.instrumental and voice:
        yield _not_applied(voice.path, "an instrumental has no voice")


def _check_lengths(chosen: ModeFields, limits: Limits) -> None:
    checks = {"prompt": limits.prompt_chars}
    if chosen.custom:
        checks = {"prompt": limits.lyrics_chars, "style": limits.style_chars, "title": limits.title_chars}
    for key, max_units in checks.items():
        units = utf16_units(chosen.fields.get(key, ""))
        if max_units is not None and units > max_units:
            path = chosen.paths.get(key, ())
            message = f"{'.'.join(path)} is {units} characters long; Suno takes at most {max_units} here"
            raise RequestError("validation_error", message, reason=f"{key}_too_long", path=path)


def _title_from(lyrics: str, max_units: int) -> str:
    """The first sung line (no ``[Verse]`` marks), cut after a word to fit a title."""
    lines = (line.strip() for line in lyrics.splitlines())
    line = next((line for line in lines if line and not line.startswith(("[", "("))), "")
    words = line.split()
    while words and utf16_units(" ".join(words)) > max_units:
        words.pop()
    return " ".join(words) or DEFAULT_TITLE


def _unused_idea(idea: Given) -> OptionWarning:
    return _not_applied(idea.path, "with lyrics and a style there is no field for an idea")


def _changed(path: tuple[str, ...], message: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.CHANGED, path=path, message=message)


def _not_applied(path: tuple[str, ...], message: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=path, message=message)
