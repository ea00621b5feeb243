"""Knows how a wish becomes apiin.one's create request: model, switches, weights, callback; the texts are worded elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.plugin import (
    HttpRequest,
    OptionWarning,
    RequestError,
    Translation,
    UnsupportedOptionError,
    WarningCode,
    hookimpl,
    is_blank,
)
from musicgate_apiin_one.declaration import OPTION_BLOCK
from musicgate_apiin_one.naming import Generation, NativeModel, find_native
from musicgate_apiin_one.wording import Wish, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.plugin import (
        JsonObject,
        JsonValue,
        MusicRequest,
        Offer,
        ProviderSettings,
    )

CREATE_PATH = "/api/v1/audio/music"

#: Options of the documented block that the translation knows; every other key is the vendor's own and goes on as it is.
_KNOWN_OPTIONS = frozenset(
    {
        *(
            "customMode",
            "instrumental",
            "prompt",
            "style",
            "title",
            "negativeTags",
            "vocalGender",
            "callBackUrl",
        ),
        *("styleWeight", "weirdnessConstraint", "audioWeight", "personaId", "personaModel", "model"),
    }
)
#: Source: https://apiin.one/es/docs/suno/generate, 2026 (generation B only).
_WEIGHTS = {
    "styleWeight": "style_weight",
    "weirdnessConstraint": "weirdness_constraint",
    "audioWeight": "audio_weight",
}
_GENDERS = {"m": "male", "f": "female"}

#: Neutral fields that no generation has a native field for, by the name that the caller knows.
_NOT_EXPRESSIBLE = (
    ("duration", "duration_s", "Suno decides the length itself"),
    ("format", "format", "apiin.one does not let the container be chosen"),
    ("seed", "seed", "apiin.one takes no seed"),
)


@hookimpl
def translate_request(
    request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
) -> Translation:
    """Put a wish into apiin.one's words.

    Raises:
        RequestError: a model that this generation lacks, a text that is missing or too long.
        UnsupportedOptionError: an option of the ``suno`` block that apiin.one has no field for.
    """
    block = request.block(OPTION_BLOCK)
    generation = generation_of(settings)
    model = _choose_model(block, offer, generation)
    _refuse_unsayable(block, generation)
    wording = word(request, model.style_chars)
    # The general page calls the model compulsory, the generate page optional: it is always sent.
    payload: dict[str, JsonValue] = {"model": model.name, **wording.fields}
    payload["make_instrumental"] = Wish.of(request).instrumental
    payload |= {native: block[option] for option, native in _WEIGHTS.items() if option in block}
    gender, gender_warnings = _gender(request, generation)
    payload |= gender
    own_callback = block.get("callBackUrl")
    callback = callback_url if is_blank(own_callback) else own_callback
    payload |= {"callback_url": callback} if callback else {}
    payload |= _forwarded(block, payload)
    return Translation(
        request=HttpRequest.post_json(f"{settings.base_url}{CREATE_PATH}", payload),
        native_model=model.name,
        warnings=(*wording.warnings, *gender_warnings, *_not_applied(request)),
    )


def generation_of(settings: ProviderSettings) -> Generation:
    """The generation of the pages that the operator chose."""
    return Generation(str(settings.options.get("doc_generation", Generation.A)))


def _choose_model(block: JsonObject, offer: Offer, generation: Generation) -> NativeModel:
    """The caller's own model name beats the raw name that was routed, which beats the offer's public id."""
    own = block.get("model")
    path: tuple[str, ...]
    asked, path = offer.native_model or offer.model, ("model",)
    if isinstance(own, str) and not is_blank(own):
        asked, path = own.strip(), (OPTION_BLOCK, "model")
    found = find_native(asked, generation)
    if found is None:
        message = f"apiin.one (generation {generation} of its pages) has no model {asked!r}"
        # The contract's word stands as code and as reason: routing tells "not this model" from a broken rule by it.
        word_for_it = "unsupported_model_or_endpoint"
        raise RequestError(word_for_it, message, reason=word_for_it, path=path)
    return found


def _refuse_unsayable(block: JsonObject, generation: Generation) -> None:
    """Refuse what the caller asks of Suno and apiin.one has no field for."""
    for option in ("personaId", "personaModel"):
        if not is_blank(block.get(option)):
            raise UnsupportedOptionError((OPTION_BLOCK, option), "apiin.one has no personas")
    if generation is Generation.B:
        return
    for option in ("vocalGender", *_WEIGHTS):
        if option in block:
            why = "apiin.one has a field for it in generation B of its pages only (setting doc_generation)"
            raise UnsupportedOptionError((OPTION_BLOCK, option), why)


def _gender(
    request: MusicRequest, generation: Generation
) -> tuple[dict[str, JsonValue], tuple[OptionWarning, ...]]:
    own = request.block(OPTION_BLOCK).get("vocalGender")
    said = own if isinstance(own, str) else request.vocal_gender
    if said is None:
        return {}, ()
    if own is None and Wish.of(request).instrumental:
        return {}, (_no_gender("an instrumental has no voice"),)
    if generation is Generation.B and said in _GENDERS:
        return {"gender": _GENDERS[said]}, ()
    return {}, (_no_gender("apiin.one has a field for it in generation B of its pages only"),)


def _no_gender(why: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=("vocal_gender",), message=why)


def _forwarded(block: JsonObject, payload: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Keys that only the vendor knows, as they are, unless they contradict what the documented options say."""
    unknown = {key: value for key, value in block.items() if key not in _KNOWN_OPTIONS}
    for key, value in unknown.items():
        if key in payload and payload[key] != value:
            raise UnsupportedOptionError(
                (OPTION_BLOCK, key), "contradicts what the other options already say"
            )
    if "gpt_description_prompt" in unknown and "prompt" in payload:
        raise UnsupportedOptionError(
            (OPTION_BLOCK, "gpt_description_prompt"), "is undefined beside a prompt in custom mode"
        )
    return unknown


def _not_applied(request: MusicRequest) -> tuple[OptionWarning, ...]:
    return tuple(
        OptionWarning(code=WarningCode.NOT_APPLIED, path=(name,), message=why)
        for name, field, why in _NOT_EXPRESSIBLE
        if getattr(request, field) is not None
    )
