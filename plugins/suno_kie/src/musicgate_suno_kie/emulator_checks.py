"""The checks of the emulated kie.ai on a create call, in the vendor's order, and their refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import JsonObject, is_blank, utf16_units
from musicgate.plugin.lenient import url
from musicgate_suno_kie.declaration import (
    DURATION_MODELS,
    LIMITS,
    MAX_DURATION_S,
    MIN_DURATION_S,
    Dialect,
)
from musicgate_suno_kie.translate import MARKET_MODEL, MARKET_SPELLING

if TYPE_CHECKING:
    from musicgate.emulation import Switches

_LEGACY_SPELLING: Final = {snake: camel for camel, snake in MARKET_SPELLING.items()}
#: Source: docs.kie.ai/suno-api/generate-music; voice_persona takes V5, V5_5 and the V6 family.
_PERSONA_MODELS: Final = frozenset({"style_persona", "voice_persona"})
_WEIGHTS: Final = ("styleWeight", "weirdnessConstraint", "audioWeight")
#: Seen: validation errors under code 500, with these texts.
_REQUIRED = (500, "{}: This field is required")
_OUT_OF_RANGE = (500, "{} is not within the range of allowed options")

Refusal = tuple[int, str]


def song_of(payload: JsonObject, dialect: Dialect) -> JsonObject:
    """The song of a create call of either dialect, in the legacy spelling."""
    if dialect is Dialect.LEGACY:
        return payload
    native = payload.get("input")
    song = native if isinstance(native, dict) else {}
    return {_LEGACY_SPELLING.get(str(key), str(key)): value for key, value in song.items()}


def refusal(payload: JsonObject, song: JsonObject, dialect: Dialect, switches: Switches) -> Refusal | None:
    """The first error of a create call, as code and text; None if there is none."""
    return (
        _callback_refusal(payload, dialect)
        or _model_refusal(payload, song, dialect, switches)
        or _rule_refusal(song, dialect)
        or _length_refusal(song)
        or _number_refusal(song)
        or _persona_refusal(song)
    )


def _callback_refusal(payload: JsonObject, dialect: Dialect) -> Refusal | None:
    callback_url = payload.get("callBackUrl")
    if dialect is Dialect.MARKET and callback_url is None:
        return None
    # Seen: this text, since 2026-06-11.
    return None if url(callback_url) else (422, "Please enter callBackUrl.")


def _model_refusal(
    payload: JsonObject, song: JsonObject, dialect: Dialect, switches: Switches
) -> Refusal | None:
    if dialect is Dialect.MARKET and payload.get("model") != MARKET_MODEL:
        return 422, "The model name you specified is not supported."
    model = song.get("model")
    if is_blank(model):
        return _REQUIRED[0], _REQUIRED[1].format("model")
    # ASSUMED: the legacy route refuses the V6 family; no source mentions it.
    too_new = dialect is Dialect.LEGACY and str(model).startswith("V6") and not switches.is_on("legacy_v6")
    if model not in LIMITS or too_new:
        return _OUT_OF_RANGE[0], _OUT_OF_RANGE[1].format("model")
    return None


def _rule_refusal(song: JsonObject, dialect: Dialect) -> Refusal | None:
    for flag in ("customMode", "instrumental"):
        if not isinstance(song.get(flag), bool):
            return _REQUIRED[0], _REQUIRED[1].format(flag)
    if dialect is Dialect.MARKET:
        # The market's pages require the two flags and the model, and nothing else, October 2026.
        return None
    custom = song["customMode"]
    required = ("style", "title") if custom else ("prompt",)
    if custom and not song["instrumental"]:
        required = (*required, "prompt")
    missing = next((key for key in required if is_blank(song.get(key))), None)
    # Seen: a text of this form for callBackUrl and negativeTags.
    return (422, f"Please enter {missing}.") if missing else None


def _length_refusal(song: JsonObject) -> Refusal | None:
    limits = LIMITS[str(song["model"])]
    max_units = {"prompt": limits.lyrics_chars, "style": limits.style_chars, "title": limits.title_chars}
    if not song["customMode"]:
        max_units = {"prompt": limits.prompt_chars}
    for key, most in max_units.items():
        value = song.get(key)
        if isinstance(value, str) and most is not None and utf16_units(value) > most:
            return 422, f"The {key} cannot exceed {most} characters"
    return None


def _number_refusal(song: JsonObject) -> Refusal | None:
    for key in _WEIGHTS:
        value = song.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            return 422, f"{key} must be between 0 and 1"
        # Source: docs.kie.ai/suno-api/generate-music: multipleOf 0.01. ASSUMED: the text.
        if abs(value * 100 - round(value * 100)) > 1e-6:
            return 422, f"{key} must be a multiple of 0.01"
    if song.get("vocalGender") not in {None, "", "m", "f"}:
        return _OUT_OF_RANGE[0], _OUT_OF_RANGE[1].format("vocalGender")
    duration_s = song.get("duration")
    if duration_s is None or song.get("model") not in DURATION_MODELS:
        return None
    if (
        isinstance(duration_s, bool)
        or not isinstance(duration_s, int)
        or not MIN_DURATION_S <= duration_s <= MAX_DURATION_S
    ):
        return 422, f"duration must be between {MIN_DURATION_S} and {MAX_DURATION_S}"
    return None


def _persona_refusal(song: JsonObject) -> Refusal | None:
    """Refuse a personaModel that is unknown, has no persona, or that the model does not have."""
    persona_model = song.get("personaModel")
    if is_blank(persona_model):
        return None
    if persona_model not in _PERSONA_MODELS:
        return _OUT_OF_RANGE[0], _OUT_OF_RANGE[1].format("personaModel")
    if is_blank(song.get("personaId")):
        return 422, "Please enter personaId."
    if persona_model == "voice_persona" and not str(song["model"]).startswith(("V5", "V6")):
        return _OUT_OF_RANGE[0], _OUT_OF_RANGE[1].format("personaModel")
    return None
