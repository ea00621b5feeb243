"""Knows what the vendor checks before it takes a song, in its order, and the code and words of each refusal; it stores nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import JsonObject, is_blank
from musicgate.plugin.lenient import url
from musicgate_suno_kie.declaration import (
    DURATION_MODELS,
    LIMITS,
    LONGEST_S,
    SHORTEST_S,
    Dialect,
)
from musicgate_suno_kie.modes import utf16_units
from musicgate_suno_kie.translate import MARKET_MODEL, MARKET_SPELLING

if TYPE_CHECKING:
    from musicgate_suno_kie.emulator_switches import Switches

_LEGACY_SPELLING: Final = {snake: camel for camel, snake in MARKET_SPELLING.items()}
_WEIGHTS: Final = ("styleWeight", "weirdnessConstraint", "audioWeight")
#: Seen: validation errors under code 500, in these words.
_REQUIRED = (500, "{}: This field is required")
_OUT_OF_RANGE = (500, "{} is not within the range of allowed options")

Refusal = tuple[int, str]


def song_of(payload: JsonObject, dialect: Dialect) -> JsonObject:
    """What is asked for, in the legacy spelling, from the body of either dialect."""
    if dialect is Dialect.LEGACY:
        return payload
    wanted = payload.get("input")
    known = wanted if isinstance(wanted, dict) else {}
    return {_LEGACY_SPELLING.get(str(key), str(key)): value for key, value in known.items()}


def refusal(payload: JsonObject, song: JsonObject, dialect: Dialect, switches: Switches) -> Refusal | None:
    """The first thing that is wrong with a create call, as code and text; None when all is well."""
    return (
        _callback_refusal(payload, dialect)
        or _model_refusal(payload, song, dialect, switches)
        or _rule_refusal(song)
        or _length_refusal(song)
        or _number_refusal(song, dialect)
    )


def _callback_refusal(payload: JsonObject, dialect: Dialect) -> Refusal | None:
    given = payload.get("callBackUrl")
    if dialect is Dialect.MARKET and given is None:
        return None
    # Seen: this text, since 2026-06-11.
    return None if url(given) else (422, "Please enter callBackUrl.")


def _model_refusal(
    payload: JsonObject, song: JsonObject, dialect: Dialect, switches: Switches
) -> Refusal | None:
    if dialect is Dialect.MARKET and payload.get("model") != MARKET_MODEL:
        return 422, "The model name you specified is not supported."
    model = song.get("model")
    if is_blank(model):
        return _REQUIRED[0], _REQUIRED[1].format("model")
    # ASSUMED: the legacy route refuses the V6 family; nobody has said.
    too_new = dialect is Dialect.LEGACY and str(model).startswith("V6") and not switches.word("legacy_v6")
    if model not in LIMITS or too_new:
        return _OUT_OF_RANGE[0], _OUT_OF_RANGE[1].format("model")
    return None


def _rule_refusal(song: JsonObject) -> Refusal | None:
    for flag in ("customMode", "instrumental"):
        if not isinstance(song.get(flag), bool):
            return _REQUIRED[0], _REQUIRED[1].format(flag)
    custom, words = song["customMode"], song.get("prompt") or song.get("lyrics")
    required = (
        {"style": song.get("style"), "title": song.get("title")} if custom else {"prompt": song.get("prompt")}
    )
    if custom and not song["instrumental"]:
        required["prompt"] = words
    missing = next((key for key, value in required.items() if is_blank(value)), None)
    return (422, f"{missing} cannot be empty") if missing else None


def _length_refusal(song: JsonObject) -> Refusal | None:
    limits = LIMITS[str(song["model"])]
    longest = {"prompt": limits.lyrics_chars, "style": limits.style_chars, "title": limits.title_chars}
    if not song["customMode"]:
        longest = {"prompt": limits.prompt_chars}
    for key, most in longest.items():
        value = song.get(key)
        if isinstance(value, str) and most is not None and utf16_units(value) > most:
            return 422, f"The {key} cannot exceed {most} characters"
    return None


def _number_refusal(song: JsonObject, dialect: Dialect) -> Refusal | None:
    for key in _WEIGHTS:
        value = song.get(key)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1
        ):
            return 422, f"{key} must be between 0 and 1"
    if song.get("vocalGender") not in {None, "", "m", "f"}:
        return _OUT_OF_RANGE[0], _OUT_OF_RANGE[1].format("vocalGender")
    length_s = song.get("duration")
    if length_s is None or song.get("model") not in DURATION_MODELS:
        return None
    if isinstance(length_s, bool) or not isinstance(length_s, int) or not SHORTEST_S <= length_s <= LONGEST_S:
        return 422, f"duration must be between {SHORTEST_S} and {LONGEST_S}"
    return None
