"""The choice between apiin.one's two modes, and the text fields of each; no other fields.

*Inspiration* mode sends ``gpt_description_prompt`` alone: the vendor writes lyrics and style. *Custom* mode
sends ``prompt`` (the lyrics), ``style``, ``title`` and ``tags`` (what to avoid). The mode follows from which
of the two prompt fields is present; both at once is undefined and never sent. ``suno.customMode`` decides if
it is given. Otherwise custom mode is chosen only where the neutral fields need it: for lyrics, or for an
instrumental with a style or a title.
Source: https://apiin.one/docs/suno/generate, 2026-02-24.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from musicgate.plugin import Said, neutral_value, refused, too_long, unsupported, utf16_units
from musicgate_apiin_one.naming import DESCRIPTION_MAX, LYRICS_MAX, TITLE_MAX

if TYPE_CHECKING:
    from musicgate.plugin import Draft

#: ASSUMED: the page requires a prompt in custom mode and does not mention instrumentals; Suno's users write
#: "no lyrics" like this.
INSTRUMENTAL_PROMPT: Final = "[Instrumental]"


class Texts(NamedTuple):
    """The texts of a request; ``custom`` is ``suno.customMode``."""

    prompt: Said | None
    lyrics: Said | None
    style: Said | None
    title: Said | None
    avoided: Said | None
    instrumental: bool
    custom: bool | None

    @property
    def has_neutral_style(self) -> bool:
        """True if a style or a title comes from a neutral field."""
        return any(said is not None and not said.in_block for said in (self.style, self.title))


def write_texts(draft: Draft, style_chars: int) -> None:
    """Choose the mode and fill its text fields.

    Raises:
        RequestError: a text is missing or too long.
        UnsupportedOptionError: a text of the ``suno`` block fits into no field.
    """
    custom, lyrics = draft.block.get("customMode"), neutral_value(draft.request, "lyrics")
    texts = Texts(
        prompt=draft.said("prompt", "prompt"),
        lyrics=None if lyrics is None else Said(lyrics, ("lyrics",)),
        style=draft.said("style", "style"),
        title=draft.said("title", "title"),
        avoided=draft.said("negativeTags", "negative_style"),
        instrumental=is_instrumental(draft),
        custom=custom if isinstance(custom, bool) else None,
    )
    needs_custom = texts.has_neutral_style if texts.instrumental else texts.lyrics is not None
    if texts.custom or (texts.custom is None and needs_custom):
        _custom(draft, texts, style_chars)
    else:
        _inspiration(draft, texts)


def is_instrumental(draft: Draft) -> bool:
    """True if no voice is wanted."""
    own = draft.block.get("instrumental")
    return own if isinstance(own, bool) else bool(draft.request.instrumental)


def _inspiration(draft: Draft, texts: Texts) -> None:
    token = "prompt_required_when_custom_mode_disabled"  # noqa: S105 - a contract token
    missing = refused("prompt", "a prompt is needed when suno.customMode is false", token)
    if texts.prompt is None and (texts.custom is False or not texts.has_neutral_style):
        raise missing
    _check_length(texts.prompt, DESCRIPTION_MAX, "prompt")
    text = texts.prompt.text if texts.prompt else ""
    for label, said in (("Style", texts.style), ("Title", texts.title), ("Avoid", texts.avoided)):
        if said is None:
            continue
        longer = f"{text}\n{label}: {said.text}".lstrip("\n")
        if utf16_units(longer) > DESCRIPTION_MAX:
            why = f"does not fit into the description with the prompt ({DESCRIPTION_MAX} characters in all)"
            _leave_out(draft, said, why)
            continue
        text = longer
        draft.changed(said.path, "sent as a line of the description: inspiration mode has no field for it")
    if not text:
        raise missing
    if texts.lyrics is not None:
        sings = (
            "an instrumental has no words" if texts.instrumental else "inspiration mode writes its own words"
        )
        _leave_out(draft, texts.lyrics, sings)
    draft.send("gpt_description_prompt", text)


def _custom(draft: Draft, texts: Texts, style_chars: int) -> None:
    sung, idea = _sung_and_idea(texts)
    if texts.custom:
        _check_custom_rules(texts, sung)
    _check_length(sung, LYRICS_MAX, "prompt")
    _check_length(texts.style, style_chars, "style")
    _check_length(texts.title, TITLE_MAX, "title")
    style = texts.style.text if texts.style else ""
    if texts.lyrics is not None and texts.instrumental:
        _leave_out(draft, texts.lyrics, "an instrumental has no words")
    if idea is not None:
        longer = f"{style}, {idea.text}" if style else idea.text
        if utf16_units(longer) <= style_chars:
            style = longer
            draft.changed(idea.path, "sent as part of the style: in custom mode the prompt is what is sung")
        else:
            _leave_out(draft, idea, f"does not fit into the style ({style_chars} characters)")
    draft.send("prompt", sung or INSTRUMENTAL_PROMPT)
    # Style and title are optional on the page: without them the vendor chooses.
    draft.send("style", style or None)
    draft.send("title", texts.title)
    # The feed shows a genre as "tags", but on input "tags" is what to avoid.
    draft.send("tags", texts.avoided)


def _sung_and_idea(texts: Texts) -> tuple[Said | None, Said | None]:
    """The text for the ``prompt`` field, and the idea that is left over for the style."""
    lyrics = None if texts.instrumental else texts.lyrics
    has_own_prompt = texts.prompt is not None and texts.prompt.in_block
    if texts.custom and (lyrics is None or has_own_prompt):
        return texts.prompt, None
    return lyrics, texts.prompt


def _check_custom_rules(texts: Texts, sung: Said | None) -> None:
    """Enforce the contract's rules for ``suno.customMode`` true, in its order."""
    if texts.style is None or texts.title is None:
        token = "style_and_title_required_when_custom_mode_enabled"  # noqa: S105 - a contract token
        missing = "style" if texts.style is None else "title"
        raise refused(("suno", missing), "style and title are needed when suno.customMode is true", token)
    if sung is None and not texts.instrumental:
        token = "prompt_required_for_lyric_mode_when_custom_mode_enabled"  # noqa: S105 - as above
        message = "the words to sing are needed when suno.customMode is true and suno.instrumental is false"
        raise refused("suno.prompt", message, token)


def _check_length(said: Said | None, max_units: int, field: str) -> None:
    if said is not None and (units := utf16_units(said.text)) > max_units:
        raise too_long(said.path, units, max_units, f"{field}_too_long")


def _leave_out(draft: Draft, said: Said, why: str) -> None:
    """Report a neutral text that is not sent; an option of the block is sent or refused."""
    if said.in_block:
        raise unsupported(said.path, why)
    draft.not_applied(said.path, why)
