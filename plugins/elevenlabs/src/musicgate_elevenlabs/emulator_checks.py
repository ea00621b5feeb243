"""The checks of the emulated vendor: key, query, schema, exclusions, plan, moderation; no counters.

Source: elevenlabs.io/docs/api-reference/music/compose and its OpenAPI of 2026-08-22; .../resources/errors,
2026-08.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from musicgate.plugin.lenient import mapping
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.declaration import MAX_PROMPT_CHARS, MAX_SEED
from musicgate_elevenlabs.emulator_call import (
    Call,
    Refusal,
    refuse,
    refuse_fields,
    refuse_legacy,
    texts_in,
    walk,
)

#: First characters of keys with a special answer; every other key is valid.
_SPECIAL_KEYS: Final[Mapping[str, Refusal]] = {
    "bad": refuse(401, "authentication_error", "invalid_api_key", "Invalid API key"),
    # Seen: 402 with limited_access for a free account, 2026.
    "free-plan": refuse_legacy(402, "limited_access", "The Music API is not available on the free plan."),
    "no-scope-403": refuse(
        403, "authorization_error", "insufficient_permissions", "Key lacks music_generation"
    ),
    # Seen: 401 with missing_permissions and with quota_exceeded, 2025-2026.
    "no-scope": refuse_legacy(
        401, "missing_permissions", "The API key lacks the permission music_generation."
    ),
    "no-credits-401": refuse_legacy(401, "quota_exceeded", "This request exceeds your quota."),
    "no-credits": refuse(402, "payment_required", "insufficient_credits", "Not enough credits"),
}

_NAMES: Final = ("the beatles", "taylor swift", "nirvana", "coca-cola")
_HARMFUL: Final = ("how to build a bomb",)
_INSTEAD: Final = "a well-known artist"

_Rule = Callable[[object], str | None]


def check_key(call: Call) -> Refusal | None:
    """Check for a missing key or one with a special answer."""
    if not call.key:
        return refuse(401, "authentication_error", "missing_api_key", "No API key was given")
    found = (refusal for start, refusal in _SPECIAL_KEYS.items() if call.key.startswith(start))
    return next(found, None)


def check_output_format(call: Call) -> Refusal | None:
    """Check the query, before the body."""
    name = call.query.get("output_format", "auto")
    if name in formats.KNOWN:
        gated = name == "pcm_44100" or (name.startswith("mp3_") and name.endswith("_192"))
        if call.is_on("tier_gate") and gated:
            return refuse(403, "authorization_error", "subscription_required", f"{name} needs a higher plan")
        return None
    message = f"Input should be a known output format, not {name!r}"
    if call.switches.get("query_error") == "400":
        return refuse(400, "validation_error", "invalid_output_format", message, "output_format")
    return refuse_fields((("query", "output_format"), message, "enum"))


def check_json(call: Call) -> Refusal | None:
    """Check that the body is a JSON object."""
    if call.malformed:
        return refuse(400, "invalid_request", "malformed_json", "The body is not JSON")
    if call.body is None:
        return refuse_fields((("body",), "Input should be a valid dictionary", "model_attributes_type"))
    return None


def check_schema(call: Call) -> Refusal | None:
    """Check the range of every field; nulls and unknown keys are no error."""
    entries = [*_broken_fields(call), *_broken_plan(call)]
    return refuse_fields(*entries) if entries else None


def check_exclusions(call: Call) -> Refusal | None:
    """Check fields that exclude or need each other. ASSUMED: a 422 list of one."""
    plan, prompt = call.plan is not None, call.given("prompt") is not None
    rules = (
        (not plan and not prompt, "prompt", "Either prompt or composition_plan must be given"),
        (plan and prompt, "composition_plan", "prompt and composition_plan exclude each other"),
        (plan and call.given("music_length_ms") is not None, "music_length_ms", "only with prompt"),
        (plan and call.given("force_instrumental") is True, "force_instrumental", "only with prompt"),
        (
            call.given("finetune_strength") is not None and call.given("finetune_id") is None,
            "finetune_strength",
            "only with finetune_id",
        ),
        (
            call.given("sign_with_c2pa") is True and not call.output_format.startswith("mp3_"),
            "sign_with_c2pa",
            "only for mp3",
        ),
    )
    broken = next(((name, message) for is_broken, name, message in rules if is_broken), None)
    return refuse_fields((("body", broken[0]), broken[1], "value_error")) if broken else None


def check_plan_kind(call: Call) -> Refusal | None:
    """Check that the model takes this kind of plan.

    Seen: 422 naming an invalid plan type, 2026. ASSUMED: as a list of one.
    """
    if call.plan is None or plans.kind_of(call.plan) is plans.KIND_OF_MODEL.get(call.model):
        return None
    message = f"Invalid composition plan type for model {call.model}"
    return refuse_fields((("body", "composition_plan"), message, "value_error"))


def check_songs(call: Call, stored: Mapping[str, object]) -> Refusal | None:
    """Check that the songs that a plan refers to are stored."""
    missing = next((song_id for song_id in _song_ids(call.plan) if song_id not in stored), None)
    return refuse(404, "not_found", "song_not_found", f"No song {missing}") if missing else None


def check_moderation(call: Call) -> Refusal | None:
    """Check for names of artists and brands, and for harmful texts.

    Seen: bad_prompt 2025-12, bad_composition_plan 2026-05.
    """
    texts = "\n".join(texts_in(call.body)).lower()
    forced = call.switches.get("moderation")
    named = any(name in texts for name in _NAMES)
    harmful = forced == "harmful" or any(phrase in texts for phrase in _HARMFUL)
    if not (forced or named or harmful):
        return None
    suggests = not harmful and call.switches.get("suggestion") != "0"
    if call.plan is None or forced == "prompt":
        message = "The prompt may not break our terms of service"
        data = {"prompt_suggestion": _without_names(str(call.given("prompt") or ""))}
        return refuse_legacy(400, "bad_prompt", message, data=data if suggests else {})
    message = "The composition plan may not break our terms of service"
    plan = json.loads(_without_names(json.dumps(call.plan, ensure_ascii=False)))
    data = {"composition_plan_suggestion": plan} if suggests else {}
    return refuse_legacy(400, "bad_composition_plan", message, code="bad_request", data=data)


def _without_names(text: str) -> str:
    return re.sub("|".join(map(re.escape, _NAMES)), _INSTEAD, text, flags=re.IGNORECASE)


def _song_ids(plan: object) -> Iterator[str]:
    ids = (item.get("song_id") for item in walk(plan) if isinstance(item, dict))
    return (song_id for song_id in ids if isinstance(song_id, str))


def _broken_fields(call: Call) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    for name, rule in _FIELDS.items():
        value = call.given(name)
        message = None if value is None else rule(value)
        if message:
            yield ("body", name), message, "value_error"


def _broken_plan(call: Call) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    if call.plan is not None:
        for problem in plans.problems(call.plan):
            yield ("body", "composition_plan", *problem.path), problem.message, "value_error"


def _text(max_chars: int) -> _Rule:
    def rule(value: object) -> str | None:
        fits = isinstance(value, str) and len(value) <= max_chars
        return None if fits else f"Input should be text of at most {max_chars} characters"

    return rule


def _whole_number(minimum: int, maximum: int) -> _Rule:
    def rule(value: object) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum
        return None if fits else f"Input should be a whole number from {minimum} to {maximum}"

    return rule


def _choice(*allowed: str) -> _Rule:
    return lambda value: None if value in allowed else f"Input should be one of {', '.join(allowed)}"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "Input should be a valid boolean"


def _strength(value: object) -> str | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 2
    return None if fits else "Input should be greater than 0 and at most 2"


def _object(value: object) -> str | None:
    return None if mapping(value) or value == {} else "Input should be an object"


_FIELDS: Final[Mapping[str, _Rule]] = {
    "prompt": _text(MAX_PROMPT_CHARS),
    "composition_plan": _object,
    "music_prompt": _object,
    "music_length_ms": _whole_number(plans.MIN_LENGTH_MS, plans.MAX_LENGTH_MS),
    "model_id": _choice(*plans.KIND_OF_MODEL),
    "seed": _whole_number(0, MAX_SEED),
    "force_instrumental": _flag,
    "finetune_id": _text(100),
    "finetune_strength": _strength,
    "respect_sections_durations": _flag,
    "store_for_inpainting": _flag,
    "sign_with_c2pa": _flag,
    "with_timestamps": _flag,
    "with_waveform_visual": _flag,
    "generation_mode": _choice("track", "loop", "ambience", "video_to_music"),
    "lyrics_text": _text(4_000),
    "use_phonetic_names": _flag,
    "model_style_prefix": _choice("music", "sfx"),
    "source_composition_plan": _object,
}
