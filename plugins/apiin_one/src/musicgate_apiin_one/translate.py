"""The native create request: the choice between apiin.one's two modes, and the fields of each.

*Inspiration* mode sends ``gpt_description_prompt`` alone: the vendor writes lyrics and style. *Custom* mode
sends ``prompt`` (the lyrics), ``style``, ``title`` and ``tags`` (what to avoid). The mode follows from which
of the two prompt fields is present; both at once is undefined and never sent. ``suno.customMode`` decides if
it is given. Otherwise custom mode is chosen only where the neutral fields need it: for lyrics, or for an
instrumental with a style or a title.
Source: https://apiin.one/docs/suno/generate, 2026-02-24.
"""

import re
from typing import Final

import musicgate.plugin as mg
from musicgate.plugin import Draft, Said, hookimpl, is_blank, unsupported, utf16_units
from musicgate_apiin_one.declaration import DESCRIPTION_MAX, LYRICS_MAX, MODELS, OPTION_BLOCK, TITLE_MAX

CREATE_PATH: Final = "/api/v1/audio/music"

#: A native name of either generation: ``suno-v4-0-pro``, ``chirp-v5-5``. It is sent unchanged.
_NATIVE_NAME: Final = re.compile(r"(?:suno|chirp)-v[0-9]+(?:-[0-9a-z]+)*")
_BY_NATIVE: Final = {name: model for model in MODELS for names in model.native.values() for name in names}
_BY_ID: Final = {name.lower().removeprefix("suno/"): model for model in MODELS for name in model.ids}
#: Source: https://apiin.one/es/docs/suno/generate, 2026 (generation B only).
_WEIGHTS: Final = {
    "styleWeight": "style_weight",
    "weirdnessConstraint": "weirdness_constraint",
    "audioWeight": "audio_weight",
}
_GENDERS: Final = {"m": "male", "f": "female"}
_ONLY_B: Final = "apiin.one has a field for it in generation B of its pages only (setting doc_generation)"
_PERSONAS: Final = ("personaId", "personaModel")
#: Options of the documented block that are translated; every other key is forwarded unchanged.
_KNOWN_OPTIONS: Final = frozenset(
    {
        *("customMode", "instrumental", "prompt", "style", "title", "negativeTags", "vocalGender"),
        *("callBackUrl", "model", *_WEIGHTS, *_PERSONAS),
    }
)
#: ASSUMED: the page requires a prompt in custom mode and does not mention instrumentals; Suno's users write
#: "no lyrics" like this.
INSTRUMENTAL_PROMPT: Final = "[Instrumental]"


@hookimpl
def translate_request(
    request: mg.MusicRequest, offer: mg.Offer, settings: mg.ProviderSettings, callback_url: str | None
) -> mg.Translation:
    """Translate a request to apiin.one's create call.

    Raises:
        RequestError: a model that this generation lacks, a text that is missing or too long.
        UnsupportedOptionError: an option of the ``suno`` block that apiin.one has no field for.
    """
    draft = Draft(request, offer, settings, OPTION_BLOCK)
    generation = str(settings.options.get("doc_generation", "A"))
    style_chars = _choose_model(draft, generation)
    _refuse_unsupported(draft, generation)
    # The model is mandatory on the general page and optional on the generate page: it is always sent.
    draft.send("model", draft.native_model)
    own = draft.block.get("instrumental")
    instrumental = own if isinstance(own, bool) else bool(request.instrumental)
    _write_texts(draft, style_chars, instrumental=instrumental)
    draft.send("make_instrumental", instrumental)
    for option, native in _WEIGHTS.items():
        draft.send(native, draft.block.get(option))
    _write_gender(draft, generation, instrumental=instrumental)
    own_callback = draft.block.get("callBackUrl")
    draft.send("callback_url", callback_url if is_blank(own_callback) else own_callback)
    _forward(draft)
    for name in ("duration", "format", "seed"):
        if mg.neutral_value(request, name) is not None:
            draft.not_applied(name, "apiin.one has no field for it")
    return draft.post_json(f"{settings.base_url}{CREATE_PATH}")


def _choose_model(draft: Draft, generation: str) -> int:
    """Set the native model: ``suno.model`` beats the routed native name, which beats the public id.

    Returns:
        Its longest style.
    """
    own = draft.said("model")
    name = own.text.strip() if own else draft.offer.native_model or draft.offer.model
    bare = name.lower().removeprefix("suno/")
    listed = _BY_ID.get(bare)
    names = (bare,) if _NATIVE_NAME.fullmatch(bare) else ()
    native = next(iter(listed.native.get(generation, ()) if listed else names), None)
    if native is None:
        message = f"apiin.one (generation {generation} of its pages) has no model {name!r}"
        # The contract's token is both code and reason: it makes routing rule out this candidate alone.
        token = "unsupported_model_or_endpoint"  # noqa: S105 - a contract token
        raise mg.RequestError(token, message, reason=token, path=own.path if own else ("model",))
    draft.native_model = native
    known = _BY_NATIVE.get(native)
    # An unknown name has the largest limit of all models.
    return known.style_chars if known else max(model.style_chars for model in MODELS)


def _refuse_unsupported(draft: Draft, generation: str) -> None:
    """Refuse options of Suno that apiin.one has no field for."""
    for option in _PERSONAS:
        if not is_blank(draft.block.get(option)):
            raise unsupported((OPTION_BLOCK, option), "apiin.one has no personas")
    for option in ("vocalGender", *_WEIGHTS):
        if generation == "A" and option in draft.block:
            raise unsupported((OPTION_BLOCK, option), _ONLY_B)


def _write_texts(draft: Draft, style_chars: int, *, instrumental: bool) -> None:
    """Choose the mode and fill its text fields."""
    custom, lyrics = draft.block.get("customMode"), mg.neutral_value(draft.request, "lyrics")
    named = draft.said("style", "style"), draft.said("title", "title")
    has_neutral_style = any(said is not None and not said.in_block for said in named)
    needs_custom = has_neutral_style if instrumental else lyrics is not None
    if custom is True or (custom is not False and needs_custom):
        words = None if lyrics is None or instrumental else Said(lyrics, ("lyrics",))
        _write_custom(draft, words, style_chars, is_asked=custom is True, instrumental=instrumental)
    else:
        _write_inspiration(draft, needs_prompt=custom is False or not has_neutral_style)
        if lyrics is not None and not instrumental:
            draft.not_applied("lyrics", "inspiration mode writes its own words")
    if lyrics is not None and instrumental:
        draft.not_applied("lyrics", "an instrumental has no words")


def _write_inspiration(draft: Draft, *, needs_prompt: bool) -> None:
    prompt = draft.said("prompt", "prompt")
    _check_length(prompt, DESCRIPTION_MAX, "prompt")
    text = "" if prompt is None else prompt.text
    if text or not needs_prompt:
        lines = {
            "Style": draft.said("style", "style"),
            "Title": draft.said("title", "title"),
            "Avoid": draft.said("negativeTags", "negative_style"),
        }
        text = draft.with_lines(text, lines, DESCRIPTION_MAX, why="inspiration mode has no field for it")
    if not text:
        raise mg.refused(
            "prompt",
            "a prompt is needed when suno.customMode is false",
            "prompt_required_when_custom_mode_disabled",
        )
    draft.send("gpt_description_prompt", text)


def _write_custom(
    draft: Draft, words: Said | None, style_chars: int, *, is_asked: bool, instrumental: bool
) -> None:
    """Fill the fields of custom mode, by the contract's rules where ``suno.customMode`` asks for it.

    Args:
        words: the neutral lyrics, if they are sung.
    """
    idea, sung = draft.said("prompt", "prompt"), words
    style, title = draft.said("style", "style"), draft.said("title", "title")
    if is_asked and (words is None or (idea is not None and idea.in_block)):
        idea, sung = None, idea
    if is_asked and (style is None or title is None):
        raise mg.refused(
            (OPTION_BLOCK, "style" if style is None else "title"),
            "style and title are needed when suno.customMode is true",
            "style_and_title_required_when_custom_mode_enabled",
        )
    if is_asked and sung is None and not instrumental:
        raise mg.refused(
            (OPTION_BLOCK, "prompt"),
            "the words to sing are needed when suno.customMode is true and suno.instrumental is false",
            "prompt_required_for_lyric_mode_when_custom_mode_enabled",
        )
    _check_length(sung, LYRICS_MAX, "prompt")
    _check_length(style, style_chars, "style")
    _check_length(title, TITLE_MAX, "title")
    draft.send("prompt", sung or INSTRUMENTAL_PROMPT)
    # Style and title are optional on the page: without them the vendor chooses.
    draft.send("style", style)
    draft.send("title", title)
    # The feed shows a genre as "tags", but on input "tags" is what to avoid.
    draft.send("tags", draft.said("negativeTags", "negative_style"))
    if idea is None:
        return
    longer = f"{style.text}, {idea.text}" if style else idea.text
    if utf16_units(longer) <= style_chars:
        draft.send("style", longer)
        draft.changed(idea.path, "sent as part of the style: in custom mode the prompt is what is sung")
    elif idea.in_block:
        raise unsupported(idea.path, f"does not fit into the style ({style_chars} characters)")
    else:
        draft.not_applied(idea.path, f"does not fit into the style ({style_chars} characters)")


def _check_length(said: Said | None, max_units: int, field: str) -> None:
    if said is not None and (units := utf16_units(said.text)) > max_units:
        raise mg.too_long(said.path, units, max_units, f"{field}_too_long")


def _write_gender(draft: Draft, generation: str, *, instrumental: bool) -> None:
    gender = draft.said("vocalGender", "vocal_gender")
    if gender is None:
        return
    if not gender.in_block and instrumental:
        draft.not_applied("vocal_gender", "an instrumental has no voice")
    elif generation == "B" and gender.text in _GENDERS:
        draft.send("gender", _GENDERS[gender.text])
    else:
        draft.not_applied("vocal_gender", _ONLY_B)


def _forward(draft: Draft) -> None:
    """Send undocumented keys unchanged; refuse those that contradict the documented options."""
    unknown = {key: value for key, value in draft.block.items() if key not in _KNOWN_OPTIONS}
    for key, value in unknown.items():
        if key in draft.fields and draft.fields[key] != value:
            raise unsupported((OPTION_BLOCK, key), "contradicts what the other options already say")
    if "gpt_description_prompt" in unknown and "prompt" in draft.fields:
        path = OPTION_BLOCK, "gpt_description_prompt"
        raise unsupported(path, "is undefined beside a prompt in custom mode")
    draft.fields |= unknown
