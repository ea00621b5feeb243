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

from typing import Final, NamedTuple

from musicgate.plugin import Draft, Said, is_blank, neutral_value, refused, utf16_units

#: The block's options that idea mode ignores.
#: Source: docs.kie.ai/suno-api/generate-music, early 2026: "only prompt is required and other parameters are
#: ignored".
IGNORED_IN_IDEA_MODE: Final = (
    *("style", "title", "negativeTags", "vocalGender", "styleWeight", "weirdnessConstraint"),
    *("audioWeight", "personaId", "personaModel", "variety"),
)

#: The style that is sent when the request has lyrics only: custom mode requires one.
DEFAULT_STYLE: Final = "whatever suits the lyrics"
DEFAULT_TITLE: Final = "Untitled"
DEFAULT_TITLE_CHARS: Final = 80

_VOICES: Final = {"f": "female", "m": "male"}


class Texts(NamedTuple):
    """The texts of a request; an instrumental has neither lyrics nor a neutral voice."""

    idea: Said | None
    lyrics: Said | None
    style: Said | None
    title: Said | None
    avoided: Said | None
    voice: Said | None
    instrumental: bool


def write_texts(draft: Draft) -> Said | None:
    """Choose the mode and fill its flags and text fields.

    Returns:
        The idea, if there is no field for it beside the lyrics.

    Raises:
        RequestError: style, title or prompt is missing where the mode needs it.
    """
    block, lyrics = draft.block, neutral_value(draft.request, "lyrics")
    instrumental = block.get("instrumental", draft.request.instrumental) is True
    custom, voice, left_over = block.get("customMode"), draft.said("vocalGender", "vocal_gender"), None
    if instrumental and lyrics is not None:
        draft.not_applied("lyrics", "an instrumental sings no lyrics")
        lyrics = None
    if instrumental and _neutral(voice):
        draft.not_applied("vocal_gender", "an instrumental has no voice")
        voice = None
    texts = Texts(
        idea=draft.said("prompt", "prompt"),
        lyrics=None if lyrics is None else Said(lyrics, ("lyrics",)),
        style=draft.said("style", "style"),
        title=draft.said("title", "title"),
        avoided=draft.said("negativeTags", "negative_style"),
        voice=voice,
        instrumental=instrumental,
    )
    has_both = texts.style is not None and texts.title is not None
    if custom is True:
        left_over = _explicit_custom(draft, texts)
    elif custom is None and texts.lyrics:
        left_over = _custom_for_lyrics(draft, texts, texts.lyrics)
    elif custom is None and instrumental and has_both and (_neutral(texts.style) or _neutral(texts.title)):
        if texts.idea:
            message = "sent, but Suno reads it as lyrics in custom mode, and an instrumental sings none"
            draft.changed(texts.idea.path, message)
        _send_custom(draft, texts, texts.idea, texts.style, texts.title)
    else:
        _idea(draft, texts)
    return left_over


def _neutral(said: Said | None) -> Said | None:
    return None if said is None or said.in_block else said


def _explicit_custom(draft: Draft, texts: Texts) -> Said | None:
    idea, lyrics = texts.idea, texts.lyrics
    prompt = idea if idea and idea.in_block else lyrics or idea
    if texts.style is None or texts.title is None:
        token = "style_and_title_required_when_custom_mode_enabled"  # noqa: S105 - a contract token
        missing = "style" if texts.style is None else "title"
        raise refused(("suno", missing), "custom mode needs style and title", token)
    if prompt is None and not texts.instrumental:
        token = "prompt_required_for_lyric_mode_when_custom_mode_enabled"  # noqa: S105 - as above
        message = "custom mode needs the words to sing as the prompt, unless it is instrumental"
        raise refused("suno.prompt", message, token)
    _send_custom(draft, texts, prompt, texts.style, texts.title)
    return idea if prompt is not None and prompt is lyrics else None


def _custom_for_lyrics(draft: Draft, texts: Texts, lyrics: Said) -> Said | None:
    idea, style, title, limits = texts.idea, texts.style, texts.title, draft.offer.limits
    if style is None and idea and _fits(idea.text, limits.style_chars):
        style, idea = idea, None
        draft.changed(style.path, "sent as the style: with lyrics there is no field for an idea")
    if style is None:
        style = Said(DEFAULT_STYLE, ("style",))
        draft.changed("style", f"Suno needs a style beside lyrics; {DEFAULT_STYLE!r} was sent")
    if title is None:
        title = Said(_title_from(lyrics.text, limits.title_chars or DEFAULT_TITLE_CHARS), ("title",))
        draft.changed("title", f"Suno needs a title beside lyrics; {title.text!r} was sent")
    _send_custom(draft, texts, lyrics, style, title)
    return idea


def _send_custom(
    draft: Draft, texts: Texts, prompt: Said | None, style: Said | None, title: Said | None
) -> None:
    draft.send("prompt", prompt)
    draft.send("style", style)
    draft.send("title", title)
    draft.send("negativeTags", texts.avoided)
    draft.send("vocalGender", texts.voice)
    draft.send("customMode", value=True)
    draft.send("instrumental", texts.instrumental)


def _idea(draft: Draft, texts: Texts) -> None:
    style, idea = _neutral(texts.style), texts.idea
    if idea is None and style is not None and draft.block.get("customMode") is None:
        idea, style = style, None
        draft.changed(idea.path, "sent as the prompt: nothing else says what the song shall be")
    if idea is None:
        raise refused("prompt", "a prompt is needed", "prompt_required_when_custom_mode_disabled")
    if texts.lyrics:
        draft.not_applied("lyrics", "suno.customMode is false: Suno invents the words from the prompt")
    voice = _neutral(texts.voice)
    lines = {
        "Style": style,
        "Title": _neutral(texts.title),
        "Vocals": voice and Said(_VOICES.get(voice.text, voice.text), voice.path),
        "Avoid": _neutral(texts.avoided),
    }
    why = "without custom mode Suno has no field for it"
    text = draft.with_lines(idea.text, lines, draft.offer.limits.prompt_chars, why=why)
    for key in IGNORED_IN_IDEA_MODE if draft.block else ():
        value = draft.block.get(key)
        if value is not None and not (isinstance(value, str) and is_blank(value)):
            draft.not_applied(("suno", key), "sent, but Suno ignores it unless customMode is true")
    draft.send("prompt", text, idea.path)
    draft.send("customMode", value=False)
    draft.send("instrumental", texts.instrumental)


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
