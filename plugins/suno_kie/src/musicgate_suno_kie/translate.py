"""The native requests in the legacy and in the market dialect: the choice of a mode, and its fields.

Custom mode sings the prompt as it is and needs a style and a title. Idea mode (``customMode`` false) writes
the lyrics from the prompt; the vendor's page says that it ignores all other parameters. The contract's
default is idea mode. Which mode a request has, and which text goes where, is the table in the README ("Idea
or custom mode").

In idea mode the caller's own ``suno.style``, ``suno.title`` ... are sent unchanged and reported as not
applied. Neutral fields are appended to the idea as lines of text ("Style: jazz") as long as they fit, and
reported as changed. No text of the caller is ever truncated.

Sources: docs.kie.ai/suno-api/generate-music (early 2026, and 2026-08 for V5_5 and ``duration``); the market
pages (2026-09-25).
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import musicgate.plugin as mg
from musicgate.plugin.lenient import text
from musicgate_suno_kie.declaration import (
    LINKS,
    PLACEHOLDER_CALLBACK_URL,
    WEIGHT_STEP,
    WEIGHTS,
    fields_of,
    is_market,
)

LEGACY_CREATE: Final = "/api/v1/generate"
LEGACY_READ: Final = "/api/v1/generate/record-info"
MARKET_CREATE: Final = "/api/v1/jobs/createTask"
MARKET_READ: Final = "/api/v1/jobs/recordInfo"
MARKET_MODEL: Final = "ai-music-api/generate"


def snake_case(name: str) -> str:
    """The market's spelling of a name."""
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)


#: Legacy spelling -> spelling inside the market's ``input``. Other keys are forwarded unchanged.
#: Source: docs.kie.ai/market, 2026-10-07.
MARKET_SPELLING: Final[Mapping[str, str]] = {field.name: snake_case(field.name) for field in fields_of("V6")}
_WRITTEN_ELSEWHERE: Final = frozenset({"callBackUrl", "prompt"})
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


@mg.hookimpl
def translate_request(
    request: mg.MusicRequest, offer: mg.Offer, settings: mg.ProviderSettings, callback_url: str | None
) -> mg.Translation:
    """Translate a request to the native create call, in the dialect of the model.

    The fields are in the legacy spelling: the caller's block, overlaid with what it means. 0 and false are
    values.

    Raises:
        RequestError: one of the contract's Suno tokens.
    """
    draft = mg.Draft(request, offer, settings, "suno")
    if draft.block:
        draft.copy(*(key for key in draft.block if key not in _WRITTEN_ELSEWHERE))
        _round_weights(draft)
    left_over = _write_texts(draft)
    draft.send("model", draft.native_model)
    if draft.block.get("personaModel"):
        _drop_lone_persona_model(draft)
    if request.duration_s is not None:
        _write_duration(draft, request.duration_s)
    callback = text(draft.block.get("callBackUrl")) or callback_url or PLACEHOLDER_CALLBACK_URL
    url, body = settings.base_url + LEGACY_CREATE, {**draft.fields, "callBackUrl": callback}
    if is_market(draft.native_model, settings):
        song = _market_song(draft)
        if left_over and "prompt" not in song and _fits(left_over.text, offer.limits.prompt_chars):
            # ASSUMED: it does no harm there. No page says what it does.
            song["prompt"] = left_over.text
            draft.changed(left_over.path, "sent beside the lyrics, where the vendor promises no effect of it")
            left_over = None
        url = settings.base_url + MARKET_CREATE
        body = {"model": MARKET_MODEL, "callBackUrl": callback, "input": song}
    if left_over is not None:
        draft.not_applied(left_over.path, "with lyrics and a style there is no field for an idea")
    return draft.post_json(url, body)


@mg.hookimpl
def poll_request(job: mg.Job, settings: mg.ProviderSettings) -> mg.HttpRequest | None:
    """Read the record of a task, in the dialect of its model and of the settings."""
    if job.native_id is None:
        return None
    route = MARKET_READ if is_market(job.native_model, settings) else LEGACY_READ
    return mg.HttpRequest.get(f"{settings.base_url}{route}?taskId={quote(job.native_id, safe='')}")


def _write_texts(draft: mg.Draft) -> mg.Said | None:
    """Choose the mode and fill its flags and text fields.

    Returns:
        The idea, if there is no field for it beside the lyrics.

    Raises:
        RequestError: style, title or prompt is missing where the mode needs it.
    """
    custom = draft.block.get("customMode")
    instrumental = draft.block.get("instrumental", draft.request.instrumental) is True
    idea, style = draft.said("prompt", "prompt"), draft.said("style", "style")
    title, (lyrics, voice) = draft.said("title", "title"), _sung(draft, instrumental=instrumental)
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


def _sung(draft: mg.Draft, *, instrumental: bool) -> tuple[mg.Said | None, mg.Said | None]:
    """The neutral lyrics and the voice; an instrumental has none but the voice of the block."""
    words, voice = mg.neutral_value(draft.request, "lyrics"), draft.said("vocalGender", "vocal_gender")
    if not instrumental:
        return None if words is None else mg.Said(words, ("lyrics",)), voice
    if words is not None:
        draft.not_applied("lyrics", "an instrumental sings no lyrics")
    if _neutral(voice):
        draft.not_applied("vocal_gender", "an instrumental has no voice")
    return None, None if _neutral(voice) else voice


def _neutral(said: mg.Said | None) -> mg.Said | None:
    return None if said is None or said.in_block else said


def _check_custom(
    prompt: mg.Said | None, style: mg.Said | None, title: mg.Said | None, *, instrumental: bool
) -> None:
    """Enforce the contract's rules for ``suno.customMode`` true, in its order."""
    if style is None or title is None:
        raise mg.refused(
            ("suno", "style" if style is None else "title"),
            "custom mode needs style and title",
            "style_and_title_required_when_custom_mode_enabled",
        )
    if prompt is None and not instrumental:
        raise mg.refused(
            "suno.prompt",
            "custom mode needs the words to sing as the prompt, unless it is instrumental",
            "prompt_required_for_lyric_mode_when_custom_mode_enabled",
        )


def _beside_lyrics(
    draft: mg.Draft, lyrics: mg.Said, idea: mg.Said | None, style: mg.Said | None, title: mg.Said | None
) -> tuple[mg.Said, mg.Said, mg.Said | None]:
    """Style and title beside lyrics, which custom mode requires, and the idea if it is left over."""
    limits = draft.offer.limits
    if style is None and idea and _fits(idea.text, limits.style_chars):
        style, idea = idea, None
        draft.changed(style.path, "sent as the style: with lyrics there is no field for an idea")
    if style is None:
        style = mg.Said(DEFAULT_STYLE, ("style",))
        draft.changed("style", f"Suno needs a style beside lyrics; {DEFAULT_STYLE!r} was sent")
    if title is None:
        title = mg.Said(_title_from(lyrics.text, limits.title_chars or DEFAULT_TITLE_CHARS), ("title",))
        draft.changed("title", f"Suno needs a title beside lyrics; {title.text!r} was sent")
    return style, title, idea


def _write_idea(
    draft: mg.Draft, idea: mg.Said | None, style: mg.Said | None, title: mg.Said | None, voice: mg.Said | None
) -> None:
    style, voice = _neutral(style), _neutral(voice)
    if idea is None and style is not None and draft.block.get("customMode") is None:
        idea, style = style, None
        draft.changed(idea.path, "sent as the prompt: nothing else says what the song shall be")
    if idea is None:
        raise mg.refused("prompt", "a prompt is needed", "prompt_required_when_custom_mode_disabled")
    lines = {
        "Style": style,
        "Title": _neutral(title),
        "Vocals": voice and mg.Said(_VOICES.get(voice.text, voice.text), voice.path),
        "Avoid": _neutral(draft.said("negativeTags", "negative_style")),
    }
    why = "without custom mode Suno has no field for it"
    text = draft.with_lines(idea.text, lines, draft.offer.limits.prompt_chars, why=why)
    for key, value in draft.block.items():
        is_given = value is not None and not (isinstance(value, str) and mg.is_blank(value))
        if key in IGNORED_IN_IDEA_MODE and is_given:
            draft.not_applied(("suno", key), "sent, but Suno ignores it unless customMode is true")
    draft.send("prompt", text, idea.path)
    draft.send("customMode", value=False)


def _fits(text: str, max_units: int | None) -> bool:
    return max_units is None or mg.utf16_units(text) <= max_units


def _title_from(lyrics: str, max_units: int) -> str:
    """The first sung line (no ``[Verse]`` marks), cut after a word to fit a title."""
    lines = (line.strip() for line in lyrics.splitlines())
    line = next((line for line in lines if line and not line.startswith(("[", "("))), "")
    words = line.split()
    while words and not _fits(" ".join(words), max_units):
        words.pop()
    return " ".join(words) or DEFAULT_TITLE


def _market_song(draft: mg.Draft) -> dict[str, mg.JsonValue]:
    """The song in the market's spelling."""
    song = {MARKET_SPELLING.get(key, key): value for key, value in draft.fields.items()}
    # Source: docs.kie.ai/suno-api/extend-music, October 2026: lyrics win over the prompt, which is sung only
    # where there are none.
    is_sung = draft.fields["customMode"] is True and draft.fields["instrumental"] is False
    has_lyrics_field = is_sung and draft.settings.options.get("market_lyrics_field") != "prompt"
    if has_lyrics_field and "lyrics" not in song:  # the block's own are sent unchanged
        song["lyrics"] = song.pop("prompt")
    return song


def _round_weights(draft: mg.Draft) -> None:
    """Send a weight in the steps that the vendor takes."""
    for name in WEIGHTS:
        weight = draft.fields.get(name)
        if isinstance(weight, float) and weight != (rounded := round(weight, 2)):
            draft.send(name, rounded)
            draft.changed(("suno", name), f"sent as {rounded}: the vendor takes multiples of {WEIGHT_STEP}")


def _drop_lone_persona_model(draft: mg.Draft) -> None:
    """Leave out the kind of a persona where no persona is named; idea mode ignores both anyway."""
    if draft.fields["customMode"] and mg.is_blank(draft.block.get("personaId")):
        del draft.fields["personaModel"]
        draft.not_applied("suno.personaModel", "no persona is named by suno.personaId")


def _write_duration(draft: mg.Draft, duration_s: int) -> None:
    """Send the neutral duration where the vendor takes it; ``suno.duration`` beats it."""
    limits = draft.offer.limits
    if draft.block.get("duration") is not None or not draft.offer.declares("duration"):
        return
    least, most = limits.min_duration_s or 0, limits.max_duration_s or duration_s
    if not draft.fields["customMode"]:
        draft.not_applied("duration", "Suno takes a length in custom mode only")
    elif not least <= duration_s <= most:
        draft.not_applied("duration", f"Suno takes lengths from {least:g} to {most:g} s")
    else:
        draft.send("duration", duration_s)
