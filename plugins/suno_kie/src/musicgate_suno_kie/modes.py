"""The choice between Suno's two modes, and the text fields of each; no route, no lengths.

Custom mode sings the prompt as it is and needs a style and a title. Idea mode (``customMode`` false) writes
the lyrics from the prompt; the vendor's page says that it ignores all other parameters. The contract's
default is idea mode.

Which mode a request has, and which text goes where, is the table in the README ("Idea or custom mode").

Fields of the ``suno`` block and neutral fields count alike unless the table says neutral. In idea mode the
caller's own ``suno.style``, ``suno.title`` ... are sent unchanged and reported as not applied. Neutral fields
are appended to the idea as lines of text ("Style: jazz") as long as they fit, and reported as changed. No
text of the caller is ever truncated.
"""

from typing import Final

from musicgate.plugin import Draft, Said, is_blank, neutral_value, refused, utf16_units
from musicgate_suno_kie.declaration import LINKS, fields_of

_OF_AN_IDEA: Final = frozenset({"prompt", "customMode", "instrumental", *LINKS})
#: The block's options that idea mode ignores.
#: Source: docs.kie.ai/suno-api/generate-music, early 2026: "only prompt is required and other parameters are
#: ignored".
IGNORED_IN_IDEA_MODE: Final = {field.name for field in fields_of("V6")} - _OF_AN_IDEA

#: The style that is sent when the request has lyrics only: custom mode requires one.
DEFAULT_STYLE: Final = "whatever suits the lyrics"
DEFAULT_TITLE: Final = "Untitled"
DEFAULT_TITLE_CHARS: Final = 80

_VOICES: Final = {"f": "female", "m": "male"}


def write_texts(draft: Draft) -> Said | None:
    """Choose the mode and fill its flags and text fields.

    Returns:
        The idea, if there is no field for it beside the lyrics.

    Raises:
        RequestError: style, title or prompt is missing where the mode needs it.
    """
    custom = draft.block.get("customMode")
    instrumental = draft.block.get("instrumental", draft.request.instrumental) is True
    idea, style, title = (draft.said(name, name) for name in ("prompt", "style", "title"))
    lyrics, voice = _lyrics(draft), draft.said("vocalGender", "vocal_gender")
    if instrumental and lyrics:
        draft.not_applied("lyrics", "an instrumental sings no lyrics")
        lyrics = None
    if instrumental and _neutral(voice):
        draft.not_applied("vocal_gender", "an instrumental has no voice")
        voice = None
    prompt, left_over = idea, None
    if custom is True:
        prompt = idea if idea and idea.in_block else lyrics or idea
        left_over = idea if lyrics and prompt is lyrics else None
        _check_custom(prompt, style, title, instrumental=instrumental)
    elif custom is None and lyrics:
        prompt = lyrics
        style, title, left_over = _beside_lyrics(draft, lyrics, idea, style, title)
    elif custom is None and instrumental and style and title and (_neutral(style) or _neutral(title)):
        if idea:
            why = "sent, but Suno reads it as lyrics in custom mode, and an instrumental sings none"
            draft.changed(idea.path, why)
    else:
        if lyrics:
            draft.not_applied("lyrics", "suno.customMode is false: Suno invents the words from the prompt")
        _write_idea(draft, idea, style, title, voice)
        draft.send("instrumental", instrumental)
        return None
    draft.send("prompt", prompt)
    draft.send("style", style)
    draft.send("title", title)
    draft.send("negativeTags", draft.said("negativeTags", "negative_style"))
    draft.send("vocalGender", voice)
    draft.send("customMode", value=True)
    draft.send("instrumental", instrumental)
    return left_over


def _lyrics(draft: Draft) -> Said | None:
    lyrics = neutral_value(draft.request, "lyrics")
    return None if lyrics is None else Said(lyrics, ("lyrics",))


def _neutral(said: Said | None) -> Said | None:
    return None if said is None or said.in_block else said


def _check_custom(prompt: Said | None, style: Said | None, title: Said | None, *, instrumental: bool) -> None:
    """Enforce the contract's rules for ``suno.customMode`` true, in its order."""
    if style is None or title is None:
        raise refused(
            ("suno", "style" if style is None else "title"),
            "custom mode needs style and title",
            "style_and_title_required_when_custom_mode_enabled",
        )
    if prompt is None and not instrumental:
        raise refused(
            "suno.prompt",
            "custom mode needs the words to sing as the prompt, unless it is instrumental",
            "prompt_required_for_lyric_mode_when_custom_mode_enabled",
        )


def _beside_lyrics(
    draft: Draft, lyrics: Said, idea: Said | None, style: Said | None, title: Said | None
) -> tuple[Said, Said, Said | None]:
    """Style and title beside lyrics, which custom mode requires, and the idea if it is left over."""
    limits = draft.offer.limits
    if style is None and idea and _fits(idea.text, limits.style_chars):
        style, idea = idea, None
        draft.changed(style.path, "sent as the style: with lyrics there is no field for an idea")
    if style is None:
        style = Said(DEFAULT_STYLE, ("style",))
        draft.changed("style", f"Suno needs a style beside lyrics; {DEFAULT_STYLE!r} was sent")
    if title is None:
        title = Said(_title_from(lyrics.text, limits.title_chars or DEFAULT_TITLE_CHARS), ("title",))
        draft.changed("title", f"Suno needs a title beside lyrics; {title.text!r} was sent")
    return style, title, idea


def _write_idea(
    draft: Draft, idea: Said | None, style: Said | None, title: Said | None, voice: Said | None
) -> None:
    style, voice = _neutral(style), _neutral(voice)
    if idea is None and style is not None and draft.block.get("customMode") is None:
        idea, style = style, None
        draft.changed(idea.path, "sent as the prompt: nothing else says what the song shall be")
    if idea is None:
        raise refused("prompt", "a prompt is needed", "prompt_required_when_custom_mode_disabled")
    lines = {
        "Style": style,
        "Title": _neutral(title),
        "Vocals": voice and Said(_VOICES.get(voice.text, voice.text), voice.path),
        "Avoid": _neutral(draft.said("negativeTags", "negative_style")),
    }
    why = "without custom mode Suno has no field for it"
    text = draft.with_lines(idea.text, lines, draft.offer.limits.prompt_chars, why=why)
    for key, value in draft.block.items():
        is_given = value is not None and not (isinstance(value, str) and is_blank(value))
        if key in IGNORED_IN_IDEA_MODE and is_given:
            draft.not_applied(("suno", key), "sent, but Suno ignores it unless customMode is true")
    draft.send("prompt", text, idea.path)
    draft.send("customMode", value=False)


def _fits(text: str, max_units: int | None) -> bool:
    return max_units is None or utf16_units(text) <= max_units


def _title_from(lyrics: str, max_units: int) -> str:
    """The first sung line (no ``[Verse]`` marks), cut after a word to fit a title."""
    lines = (line.strip() for line in lyrics.splitlines())
    line = next((line for line in lines if line and not line.startswith(("[", "("))), "")
    words = line.split()
    while words and not _fits(" ".join(words), max_units):
        words.pop()
    return " ".join(words) or DEFAULT_TITLE
