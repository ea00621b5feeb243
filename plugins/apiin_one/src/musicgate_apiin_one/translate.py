"""The native create request: model, flags, weights, callback; its text fields come from `modes`."""

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
from musicgate_apiin_one.modes import Options, choose_mode
from musicgate_apiin_one.naming import Generation, NativeModel, find_native

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

#: Options of the documented block that are translated; every other key is forwarded unchanged.
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

#: Neutral fields without a native field in any generation: name for the caller, attribute, message.
_NOT_EXPRESSIBLE = (
    ("duration", "duration_s", "Suno decides the length itself"),
    ("format", "format", "apiin.one does not let the container be chosen"),
    ("seed", "seed", "apiin.one takes no seed"),
)


@hookimpl
def translate_request(
    request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
) -> Translation:
    """Translate a request to apiin.one's create call.

    Raises:
        RequestError: a model that this generation lacks, a text that is missing or too long.
        UnsupportedOptionError: an option of the ``suno`` block that apiin.one has no field for.
    """
    block = request.block(OPTION_BLOCK)
    generation = generation_of(settings)
    model = _choose_model(block, offer, generation)
    _refuse_unsupported(block, generation)
    chosen = choose_mode(request, model.style_chars)
    # The model is mandatory on the general page and optional on the generate page: it is always sent.
    payload: dict[str, JsonValue] = {"model": model.name, **chosen.fields}
    payload["make_instrumental"] = Options.of(request).instrumental
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
        warnings=(*chosen.warnings, *gender_warnings, *_not_applied(request)),
    )


def generation_of(settings: ProviderSettings) -> Generation:
    """The configured generation of the pages."""
    return Generation(str(settings.options.get("doc_generation", Generation.A)))


def _choose_model(block: JsonObject, offer: Offer, generation: Generation) -> NativeModel:
    """Find the native model: ``suno.model`` beats the routed native name, which beats the public id."""
    own = block.get("model")
    path: tuple[str, ...]
    name, path = offer.native_model or offer.model, ("model",)
    if isinstance(own, str) and not is_blank(own):
        name, path = own.strip(), (OPTION_BLOCK, "model")
    found = find_native(name, generation)
    if found is None:
        message = f"apiin.one (generation {generation} of its pages) has no model {name!r}"
        # The contract's token is both code and reason: it makes routing rule out this candidate alone.
        token = "unsupported_model_or_endpoint"  # noqa: S105 - a contract token
        raise RequestError(token, message, reason=token, path=path)
    return found


def _refuse_unsupported(block: JsonObject, generation: Generation) -> None:
    """Refuse options of Suno that apiin.one has no field for."""
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
    gender = own if isinstance(own, str) else request.vocal_gender
    if gender is None:
        return {}, ()
    if own is None and Options.of(request).instrumental:
        return {}, (_no_gender("an instrumental has no voice"),)
    if generation is Generation.B and gender in _GENDERS:
        return {"gender": _GENDERS[gender]}, ()
    return {}, (_no_gender("apiin.one has a field for it in generation B of its pages only"),)


def _no_gender(why: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=("vocal_gender",), message=why)


def _forwarded(block: JsonObject, payload: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Undocumented keys, unchanged; refused if they contradict the documented options."""
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
