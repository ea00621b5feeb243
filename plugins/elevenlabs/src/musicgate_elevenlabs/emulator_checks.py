"""The checks of the emulated vendor's requests: fields, exclusions, plans and moderation; no counters.

Source: elevenlabs.io/docs/api-reference/music/compose and its OpenAPI of 2026-08-22; elevenlabs-python
2.78.0, 2026-11.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from musicgate.emulation import Call, texts_in
from musicgate.plugin import (
    Choice,
    Field,
    Flag,
    JsonObject,
    JsonValue,
    Number,
    Structure,
    Text,
    lenient,
    violations,
)
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.declaration import FIELDS

#: Path, message and type of a wrong field.
Entry = tuple[tuple[str | int, ...], str, str]

_MODEL: Final = Choice("model_id", choices=tuple(plans.KIND_OF_MODEL))
#: Fields of the other JSON routes, and those that the plugin does not declare. finetune_strength left the
#: SDK in 2.78.0; like every unknown key it is ignored.
_COMPOSE: Final = (
    *(field for field in FIELDS if field.name not in {"output_format", "enable_logging"}),
    _MODEL,
    Choice("generation_mode", choices=("track", "loop", "ambience", "video_to_music")),
    Text("lyrics_text", max_chars=4_000),
    Flag("use_phonetic_names"),
    Choice("model_style_prefix", choices=("music", "sfx")),
    Structure("source_composition_plan"),
)
_ALWAYS: Final[tuple[Mapping[str, JsonValue], ...]] = ({},)
_FINETUNE: Final = (
    Text("name", min_chars=5, max_chars=200),
    Text("primary_genre"),
    Choice("visibility", choices=("private", "workspace")),
    Structure("tags"),
)
_BY_ROUTE: Final[Mapping[str, tuple[Field, ...]]] = {
    "POST /v1/music/plan": (Text("prompt", required_if=_ALWAYS), *_COMPOSE),
    "POST /v1/music/upload": (
        Structure("file", required_if=_ALWAYS),
        Choice("extract_composition_plan", choices=("true", "false", *plans.KIND_OF_MODEL)),
        *map(Flag, ("with_timestamps", "with_waveform_visual")),
    ),
    "POST /v1/music/stem-separation": (
        Structure("file", required_if=_ALWAYS),
        Choice("stem_variation_id", choices=("two_stems_v1", "six_stems_v1")),
        Flag("sign_with_c2pa"),
    ),
    "POST /v1/music/video-to-music": (
        Structure("videos", required_if=_ALWAYS),
        Text("description", max_chars=4_100),
        Structure("tags"),
        _MODEL,
        *map(Flag, ("add_sfx", "separate_tracks", "use_audio_as_reference", "sign_with_c2pa")),
    ),
    "POST /v1/music/finetunes": (
        Text("name", required_if=_ALWAYS),
        Text("primary_genre", required_if=_ALWAYS),
        _MODEL,
        Structure("files"),
        *_FINETUNE,
    ),
    "PATCH /v1/music/finetunes/{id}": _FINETUNE,
}
_SONGS: Final = {f"POST /v1/music{end}" for end in ("", "/detailed", "/stream", "/detailed/stream")}
_LOGGING: Final = Choice("enable_logging", choices=("true", "false"))
_FORMATS: Final = tuple(sorted(formats.KNOWN))
_FEWER_FORMATS: Final = tuple(name for name in _FORMATS if not name.startswith(("auto", "mp3_48000")))
#: Fields of the query: of the routes for songs, and of the others, which have fewer formats.
_QUERY: Final[Mapping[bool, tuple[Field, ...]]] = {
    True: (Choice("output_format", choices=_FORMATS), _LOGGING),
    False: (
        Choice("output_format", choices=_FEWER_FORMATS),
        _LOGGING,
        Number("page_size", minimum=1, maximum=150),
        Choice("sort", choices=("created_at", "name")),
        Choice("sort_direction", choices=("asc", "desc")),
    ),
}
#: How many there may be at most.
_COUNTS: Final[Mapping[str, Mapping[str, int]]] = {
    "POST /v1/music/video-to-music": {"videos": 10, "tags": 10},
    "POST /v1/music/finetunes": {"files": 50},
}

_NAMES: Final = ("the beatles", "taylor swift", "nirvana", "coca-cola")
_HARMFUL: Final = ("how to build a bomb",)
_INSTEAD: Final = "a well-known artist"


def form_body(call: Call) -> JsonObject:
    """The fields of a form as if they had come as JSON; files by their names."""
    body: dict[str, JsonValue] = {}
    lists: dict[str, list[JsonValue]] = {}
    for part in call.form:
        if part.filename or part.name == "tags":
            lists.setdefault(part.name, []).append(part.filename or part.text)
        elif part.name != "extract_composition_plan" and part.text in {"true", "false"}:
            body[part.name] = part.text == "true"
        else:
            body[part.name] = part.text
    return {**body, **lists}


def plan_of(call: Call) -> JsonObject | None:
    """The composition plan of a call, under either name."""
    plan = call.body.get("composition_plan") or call.body.get("music_prompt")
    return plan if isinstance(plan, dict) else None


def broken_query(call: Call) -> Iterator[Entry]:
    """Each parameter of the query out of its range."""
    query: JsonObject = {
        name: lenient.integer(value) or value if name == "page_size" else value
        for name, value in call.query.items()
    }
    for found in violations(_QUERY[call.route in _SONGS], query):
        yield ("query", found.name), found.message, "enum"


def broken_fields(call: Call) -> Iterator[Entry]:
    """Each field out of its range; nulls and unknown keys are no error."""
    for found in violations(_BY_ROUTE.get(call.route, _COMPOSE), call.body):
        yield (
            ("body", found.name, *found.inside),
            found.message,
            "missing" if found.rule == "required" else "value_error",
        )
    for name, most in _COUNTS.get(call.route, {}).items():
        listed = call.body.get(name)
        if isinstance(listed, list) and len(listed) > most:
            yield ("body", name), f"at most {most} are allowed", "too_long"


def broken_rule(call: Call, output_format: str) -> Entry | None:
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
    return ("body", name), message, "value_error"


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
