"""The native create request: model, flags, weights, callback; its text fields come from `modes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import (
    Draft,
    RequestError,
    Translation,
    hookimpl,
    is_blank,
    neutral_value,
    unsupported,
)
from musicgate_apiin_one.declaration import OPTION_BLOCK
from musicgate_apiin_one.modes import is_instrumental, write_texts
from musicgate_apiin_one.naming import Generation, NativeModel, find_native

if TYPE_CHECKING:
    from musicgate.plugin import MusicRequest, Offer, ProviderSettings

CREATE_PATH: Final = "/api/v1/audio/music"

#: Source: https://apiin.one/es/docs/suno/generate, 2026 (generation B only).
_WEIGHTS: Final = {
    "styleWeight": "style_weight",
    "weirdnessConstraint": "weirdness_constraint",
    "audioWeight": "audio_weight",
}
_PERSONAS: Final = ("personaId", "personaModel")
#: Options of the documented block that are translated; every other key is forwarded unchanged.
_KNOWN_OPTIONS: Final = frozenset(
    {
        *("customMode", "instrumental", "prompt", "style", "title", "negativeTags", "vocalGender"),
        *("callBackUrl", "model", *_WEIGHTS, *_PERSONAS),
    }
)
_GENDERS: Final = {"m": "male", "f": "female"}
_ONLY_B: Final = "apiin.one has a field for it in generation B of its pages only (setting doc_generation)"

#: Neutral fields without a native field in any generation.
_NOT_EXPRESSIBLE: Final = {
    "duration": "Suno decides the length itself",
    "format": "apiin.one does not let the container be chosen",
    "seed": "apiin.one takes no seed",
}


@hookimpl
def translate_request(
    request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
) -> Translation:
    """Translate a request to apiin.one's create call.

    Raises:
        RequestError: a model that this generation lacks, a text that is missing or too long.
        UnsupportedOptionError: an option of the ``suno`` block that apiin.one has no field for.
    """
    draft = Draft(request, offer, settings, OPTION_BLOCK)
    generation = Generation(str(settings.options.get("doc_generation", Generation.A)))
    model = _choose_model(draft, generation)
    _refuse_unsupported(draft, generation)
    # The model is mandatory on the general page and optional on the generate page: it is always sent.
    draft.native_model = model.name
    draft.send("model", model.name)
    write_texts(draft, model.style_chars)
    draft.send("make_instrumental", is_instrumental(draft))
    for option, native in _WEIGHTS.items():
        draft.send(native, draft.block.get(option))
    _write_gender(draft, generation)
    own_callback = draft.block.get("callBackUrl")
    draft.send("callback_url", callback_url if is_blank(own_callback) else own_callback)
    _forward(draft)
    for name, why in _NOT_EXPRESSIBLE.items():
        if neutral_value(request, name) is not None:
            draft.not_applied(name, why)
    return draft.post_json(f"{settings.base_url}{CREATE_PATH}")


def _choose_model(draft: Draft, generation: Generation) -> NativeModel:
    """Find the native model: ``suno.model`` beats the routed native name, which beats the public id."""
    own = draft.said("model")
    name = own.text.strip() if own else draft.offer.native_model or draft.offer.model
    found = find_native(name, generation)
    if found is None:
        message = f"apiin.one (generation {generation} of its pages) has no model {name!r}"
        # The contract's token is both code and reason: it makes routing rule out this candidate alone.
        token = "unsupported_model_or_endpoint"  # noqa: S105 - a contract token
        raise RequestError(token, message, reason=token, path=own.path if own else ("model",))
    return found


def _refuse_unsupported(draft: Draft, generation: Generation) -> None:
    """Refuse options of Suno that apiin.one has no field for."""
    for option in _PERSONAS:
        if not is_blank(draft.block.get(option)):
            raise unsupported((OPTION_BLOCK, option), "apiin.one has no personas")
    for option in ("vocalGender", *_WEIGHTS):
        if generation is Generation.A and option in draft.block:
            raise unsupported((OPTION_BLOCK, option), _ONLY_B)


def _write_gender(draft: Draft, generation: Generation) -> None:
    gender = draft.said("vocalGender", "vocal_gender")
    if gender is None:
        return
    if not gender.in_block and is_instrumental(draft):
        draft.not_applied("vocal_gender", "an instrumental has no voice")
    elif generation is Generation.B and gender.text in _GENDERS:
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
