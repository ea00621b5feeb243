"""The checks of the emulated apiin.one on a create call: models, modes, lengths, types.

ASSUMED: the order of the checks, and that a field of the other generation is refused rather than ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.plugin import utf16_units
from musicgate_apiin_one.naming import DESCRIPTION_MAX

if TYPE_CHECKING:
    from musicgate.plugin import JsonObject, JsonValue

#: Credits for one task of two tracks. Source: https://apiin.one model pages, 2026.
#: ASSUMED: the -vip and -pro names cost the same as V4.
CREDITS = {
    "A": {
        "suno-v3-5": 5,
        "suno-v4-0": 8,
        "suno-v4-0-vip": 8,
        "suno-v4-0-pro": 8,
        "suno-v4-5": 10,
        "suno-v5-0": 12,
    },
    "B": {
        "chirp-v3-5": 5,
        "chirp-v4-0": 8,
        "chirp-v4-5": 10,
        "chirp-v4-5-plus": 10,
        "chirp-v5": 12,
        "chirp-v5-5": 12,
    },
}
DEFAULT_MODEL = {"A": "suno-v3-5", "B": "chirp-v3-5"}

_TEXTS = ("model", "prompt", "gpt_description_prompt", "style", "title", "tags", "callback_url")
_B_ONLY = ("gender", "style_weight", "weirdness_constraint", "audio_weight")
_WEIGHTS = _B_ONLY[1:]


def prices(generation: str) -> dict[str, int]:
    """Credits by model, for one generation or for both."""
    return CREDITS.get(generation) or {**CREDITS["A"], **CREDITS["B"]}


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
    limits = {
        "gpt_description_prompt": DESCRIPTION_MAX,
        "prompt": 5000 if "v4-5" in model else 3000,
        "style": 1000 if "v4-5" in model or "v5" in model else 200,
        "title": 80,
    }
    for name, max_units in limits.items():
        if utf16_units(str(body.get(name, ""))) > max_units:
            return f"{name} must not exceed {max_units} characters"
    return None
