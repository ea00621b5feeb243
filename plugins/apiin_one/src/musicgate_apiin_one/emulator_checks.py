"""The checks of the emulated apiin.one on a create call: models, modes, lengths, types.

ASSUMED: the order of the checks, and that a field of the other generation is refused rather than ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.plugin import utf16_units
from musicgate_apiin_one.naming import DESCRIPTION_MAX, MODELS, PAGE_TITLE_MAX, model_behind

if TYPE_CHECKING:
    from musicgate.plugin import JsonObject, JsonValue

DEFAULT_MODEL = {"A": "suno-v3-5", "B": "chirp-v3-5"}

_TEXTS = ("model", "prompt", "gpt_description_prompt", "style", "title", "tags", "callback_url")
_B_ONLY = ("gender", "style_weight", "weirdness_constraint", "audio_weight")
_WEIGHTS = _B_ONLY[1:]


def prices(generation: str) -> dict[str, int]:
    """Credits by model, for one generation or for both."""
    listed = {
        native: model.credits
        for model in MODELS
        for spoken, native in model.native.items()
        if generation in {spoken, "any"}
    }
    # ASSUMED: these names of generation A cost the same as V4.
    variants = {f"suno-v4-0-{name}": listed["suno-v4-0"] for name in ("vip", "pro") if "suno-v4-0" in listed}
    return listed | variants


def find_error(body: JsonObject, model: JsonValue, generation: str) -> str | None:
    """The vendor's message for the first error in a create body; None if there is none."""
    wrong_type = _find_wrong_type(body, generation)
    if wrong_type is not None:
        return wrong_type
    if model not in prices(generation):
        return f"model: {model!r} is not supported"
    custom, idea = body.get("prompt"), body.get("gpt_description_prompt")
    if custom is not None and idea is not None:
        return "use either prompt or gpt_description_prompt"
    if not custom and not idea:
        return "prompt or gpt_description_prompt is required"
    return _find_too_long(body, str(model))


def _find_wrong_type(body: JsonObject, generation: str) -> str | None:
    for name in _TEXTS:
        if name in body and not isinstance(body[name], str):
            return f"{name} must be a string"
    if not isinstance(body.get("make_instrumental", False), bool):
        return "make_instrumental must be a boolean"
    if not str(body.get("callback_url", "http://")).startswith(("http://", "https://")):
        return "callback_url must be a URL"
    unknown = [name for name in _B_ONLY if name in body]
    if generation == "A" and unknown:
        return f"unknown field {unknown[0]}"
    if body.get("gender", "male") not in {"male", "female"}:
        return "gender must be male or female"
    for name in _WEIGHTS:
        weight = body.get(name, 0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 1:
            return f"{name} must be between 0 and 1"
    return None


def _find_too_long(body: JsonObject, model: str) -> str | None:
    """Enforce the generate page's limits. ASSUMED: counted in UTF-16 units."""
    known = model_behind(model)
    limits = {"gpt_description_prompt": DESCRIPTION_MAX, "title": PAGE_TITLE_MAX}
    if known is not None:
        limits |= {"prompt": known.lyrics_chars, "style": known.style_chars}
    for name, max_units in limits.items():
        if utf16_units(str(body.get(name, ""))) > max_units:
            return f"{name} must not exceed {max_units} characters"
    return None
