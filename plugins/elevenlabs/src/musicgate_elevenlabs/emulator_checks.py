"""What the emulated routes take, the rules between fields, and moderation; no counters.

Source: elevenlabs.io/docs/api-reference/music/compose and its OpenAPI of 2026-08-22; elevenlabs-python
2.78.0, 2026-11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import attrs

from musicgate.emulation import Call, texts_in
from musicgate.plugin import Array, Choice, Flag, JsonObject, JsonValue, Number, Structure, Text
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.declaration import fields

_NEEDED: Final[Any] = {"required_if": ({},)}
_MODEL: Final = Choice("model_id", choices=tuple(plans.KIND_OF_MODEL))
_FLAGS: Final = ("with_timestamps", "with_waveform_visual")
#: Of songs; also those that the plugin does not declare. finetune_strength left the SDK in 2.78.0; like every
#: unknown key it is ignored.
COMPOSE: Final = (
    *(field for field in fields() if field.name not in {"model_id", "output_format", "enable_logging"}),
    _MODEL,
    Choice("generation_mode", choices=("track", "loop", "ambience", "video_to_music")),
    Text("lyrics_text", max_chars=4_000),
    Flag("use_phonetic_names"),
    Choice("model_style_prefix", choices=("music", "sfx")),
    Structure("source_composition_plan"),
)
PLAN: Final = tuple(attrs.evolve(field, **_NEEDED) if field.name == "prompt" else field for field in COMPOSE)
UPLOAD: Final = (
    Text("file", **_NEEDED),
    Choice("extract_composition_plan", choices=("true", "false", *plans.KIND_OF_MODEL)),
    *map(Flag, _FLAGS),
)
STEMS: Final = (
    Text("file", **_NEEDED),
    Choice("stem_variation_id", choices=("two_stems_v1", "six_stems_v1")),
    Flag("sign_with_c2pa"),
)
VIDEO: Final = (
    Array("videos", max_items=10, **_NEEDED),
    Text("description", max_chars=4_100),
    Array("tags", max_items=10),
    _MODEL,
    *map(Flag, ("add_sfx", "separate_tracks", "use_audio_as_reference", "sign_with_c2pa")),
)
_VISIBILITY: Final = Choice("visibility", choices=("private", "workspace"))
NEW_FINETUNE: Final = (
    Text("name", min_chars=5, max_chars=200, **_NEEDED),
    Text("primary_genre", **_NEEDED),
    *(_VISIBILITY, _MODEL, Array("tags"), Array("files", max_items=50)),
)
FINETUNE: Final = (
    Text("name", min_chars=5, max_chars=200),
    *(Text("primary_genre"), _VISIBILITY, Array("tags")),
)
_FORMATS: Final = tuple(sorted(formats.KNOWN))
#: The query of songs; the other routes have fewer formats.
SONG_QUERY: Final = (Choice("output_format", choices=_FORMATS), Flag("enable_logging"))
QUERY: Final = (
    Choice(
        "output_format",
        choices=tuple(name for name in _FORMATS if not name.startswith(("auto", "mp3_48000"))),
    ),
    Flag("enable_logging"),
    Number("page_size", minimum=1, maximum=150, whole=True),
    Choice("sort", choices=("created_at", "name")),
    Choice("sort_direction", choices=("asc", "desc")),
)

_NAMES: Final = ("the beatles", "taylor swift", "nirvana", "coca-cola")
_HARMFUL: Final = ("how to build a bomb",)
_INSTEAD: Final = "a well-known artist"


def plan_of(call: Call) -> JsonObject | None:
    """The composition plan of a call, under either name."""
    plan = call.body.get("composition_plan") or call.body.get("music_prompt")
    return plan if isinstance(plan, dict) else None


def broken_rule(call: Call, output_format: str) -> JsonObject | None:
    """The first rule between fields of a song that is broken. ASSUMED: a 422 list of one."""
    plan, prompt = plan_of(call), call.body.get("prompt")
    model = str(call.body.get("model_id") or "music_v1")
    if plan is None and prompt is None:
        name, message = "prompt", "Either prompt or composition_plan must be given"
    elif plan is not None and prompt is not None:
        name, message = "composition_plan", "prompt and composition_plan exclude each other"
    elif plan is not None and plans.kind_of(plan) is not plans.KIND_OF_MODEL[model]:
        # Seen: 422 naming an invalid plan type, 2026.
        name, message = "composition_plan", f"Invalid composition plan type for model {model}"
    elif call.body.get("sign_with_c2pa") is True and not output_format.startswith("mp3_"):
        name, message = "sign_with_c2pa", "only for mp3"
    else:
        return None
    return {"loc": ["body", name], "msg": message, "type": "value_error"}


def song_ids(value: JsonValue) -> Iterator[str]:
    """Every song that a plan refers to, at any depth."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            song_id = item.get("song_id")
            yield from (song_id,) if isinstance(song_id, str) else ()
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def moderation(call: Call) -> tuple[str, JsonObject] | None:
    """The code and more of a refusal for names of artists and brands, or for harmful texts.

    Seen: bad_prompt 2025-12, bad_composition_plan 2026-05.
    """
    texts = "\n".join(texts_in(dict(call.body))).lower()
    forced, plan = call.switches.get("moderation"), plan_of(call)
    harmful = forced == "harmful" or any(phrase in texts for phrase in _HARMFUL)
    if not (forced or harmful or any(name in texts for name in _NAMES)):
        return None
    suggests = not harmful and call.switches.get("suggestion") != "0"
    if plan is None or forced == "prompt":
        better = {"prompt_suggestion": _without_names(str(call.body.get("prompt") or ""))}
        return "bad_prompt", {"data": better if suggests else {}}
    better = {"composition_plan_suggestion": json.loads(_without_names(json.dumps(plan, ensure_ascii=False)))}
    return "bad_composition_plan", {"code": "bad_request", "data": better if suggests else {}}


def _without_names(text: str) -> str:
    return re.sub("|".join(map(re.escape, _NAMES)), _INSTEAD, text, flags=re.IGNORECASE)
