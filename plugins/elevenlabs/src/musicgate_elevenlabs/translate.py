"""The native request of the one create call; refuses what the vendor's documentation rules out.

Clearly documented rules (limits, exclusions, plan kinds) are checked here, with the path of the option: a
refusal by the vendor costs a round trip and is harder to understand. Where documents and practice differ, the
vendor decides.

Source: elevenlabs.io/docs/api-reference/music/compose and .../compose-detailed, 2026-08.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import attrs

from musicgate.plugin import (
    HttpRequest,
    JsonObject,
    MusicRequest,
    Offer,
    OptionWarning,
    ProviderSettings,
    RequestError,
    Translation,
    UnsupportedOptionError,
    WarningCode,
    hookimpl,
    is_blank,
)
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.declaration import BLOCK, MAX_PROMPT_CHARS, MAX_SEED
from musicgate_elevenlabs.prompt import (
    Prompt,
    not_applied,
    plan_warnings,
    write_prompt,
)

#: Name of a plan, and its old name, which the vendor's schema still takes for music_v1.
_PLAN_KEYS: Final = ("composition_plan", "music_prompt")
#: Keys of the block that are not copied, since each has a rule of its own.
_TRANSLATED: Final = frozenset(
    {
        "prompt",
        *_PLAN_KEYS,
        "music_length_ms",
        "model_id",
        "output_format",
        "seed",
        "force_instrumental",
        "with_timestamps",
    }
)
#: Flags that only the detailed route has.
_DETAILED_FLAGS: Final = ("with_timestamps", "with_waveform_visual")


@hookimpl
def translate_request(
    request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
) -> Translation:
    """Translate a request to a POST to /v1/music, or to /v1/music/detailed for its extra facts.

    Raises:
        RequestError: the vendor's documentation rules the request out.
    """
    block = request.block(BLOCK)
    output_format = formats.chosen_format(request)
    model = native_model(request, offer, settings)
    warnings = [*_format_warnings(request, output_format)]
    song: dict[str, object]
    if plan_of(request) is not None:
        song = _planned_song(request, model)
        warnings.extend(plan_warnings(request))
    else:
        song, prompt_warnings = _prompted_song(request)
        warnings.extend(prompt_warnings)
    if not is_blank(request.title):
        warnings.append(not_applied("title", "Eleven Music names its songs itself"))
    _check_signature(block, output_format)
    others = {key: value for key, value in block.items() if key not in _TRANSLATED}
    body = {**song, "model_id": model, **_seed(request), **others, **_timestamps(block)}
    return Translation(
        request=_post(settings, body, output_format, detailed=wants_details(request)),
        native_model=model,
        warnings=tuple(warnings),
    )


def native_model(request: MusicRequest, offer: Offer, settings: ProviderSettings) -> str:
    """The block's ``model_id``, else the offer's model, else the one of the settings.

    It is always sent: the vendor's defaults differ.
    """
    own = request.block(BLOCK).get("model_id")
    if isinstance(own, str) and not is_blank(own):
        return own.strip()
    return offer.native_model or str(settings.options["default_model"])


def plan_of(request: MusicRequest) -> JsonObject | None:
    """The composition plan of a request under either name, or None."""
    block = request.block(BLOCK)
    given = (block.get(key) for key in _PLAN_KEYS)
    return next((plan for plan in given if isinstance(plan, Mapping)), None)


def wants_details(request: MusicRequest) -> bool:
    """True if the request needs the detailed route; the plain one silently ignores its flags."""
    return any(request.block(BLOCK).get(flag) is True for flag in _DETAILED_FLAGS)


def requested_ms(request: MusicRequest) -> int | None:
    """The requested length, by plan, ``music_length_ms`` or ``duration``; None if there is none."""
    plan = plan_of(request)
    if plan is not None:
        return plans.length_ms(plan)
    own = request.block(BLOCK).get("music_length_ms")
    if isinstance(own, int):
        return own
    return None if request.duration_s is None else request.duration_s * 1000


def _invalid(path: tuple[str | int, ...], message: str, reason: str = "invalid") -> RequestError:
    dotted = ".".join(str(part) for part in path)
    return RequestError("validation_error", f"{dotted}: {message}", reason=reason, path=path)


def _planned_song(request: MusicRequest, model: str) -> dict[str, object]:
    block = request.block(BLOCK)
    path, _ = _own_prompt(request)
    if path is not None:
        message = "a prompt and a composition plan exclude each other"
        raise _invalid(path, message, "prompt_and_composition_plan_exclusive")
    if block.get("music_length_ms") is not None:
        raise _invalid(
            (BLOCK, "music_length_ms"), "only with a prompt: a composition plan states its own length"
        )
    if block.get("force_instrumental") is True:
        raise _invalid((BLOCK, "force_instrumental"), "only with a prompt")
    given = {key: block[key] for key in _PLAN_KEYS if block.get(key) is not None}
    for key, plan in given.items():
        if isinstance(plan, Mapping):
            _check_plan(plan, model, (BLOCK, key))
    flags = {"force_instrumental": False} if block.get("force_instrumental") is False else {}
    return {**given, **flags}


def _check_plan(plan: JsonObject, model: str, path: tuple[str, ...]) -> None:
    expected, kind = plans.KIND_OF_MODEL.get(model), plans.kind_of(plan)
    if expected is not None and kind is not None and expected is not kind:
        models = ", ".join(name for name, takes in plans.KIND_OF_MODEL.items() if takes is kind)
        message = f"{model} takes a plan of {expected}; this one has {kind}"
        raise _invalid(path, f"{message}, which is for {models} (set {BLOCK}.model_id)")
    problem = next(plans.problems(plan), None)
    if problem is not None:
        raise _invalid((*path, *problem.path), problem.message)


def _prompted_song(request: MusicRequest) -> tuple[dict[str, object], tuple[OptionWarning, ...]]:
    block = request.block(BLOCK)
    path, prompt = _own_prompt(request)
    force = block.get("force_instrumental")
    instrumental = request.instrumental if force is None else force
    written = write_prompt(prompt, request, instrumental=instrumental is True)
    if is_blank(written.text):
        message = "a prompt or a composition plan is needed"
        raise _invalid(("prompt",), message, "prompt_or_composition_plan_required")
    _check_prompt(path or ("prompt",), prompt, written)
    song: dict[str, object] = {"prompt": written.text}
    length_ms = requested_ms(request)
    if length_ms is not None:
        own = block.get("music_length_ms") is not None
        song["music_length_ms"] = _checked_length(
            length_ms, (BLOCK, "music_length_ms") if own else ("duration",)
        )
    if instrumental is not None:
        song["force_instrumental"] = instrumental
    return song, written.warnings


def _own_prompt(request: MusicRequest) -> tuple[tuple[str, ...] | None, str]:
    """Path and text of the prompt; a blank one in the block does not override the request's."""
    own = request.block(BLOCK).get("prompt")
    if isinstance(own, str) and not is_blank(own):
        return (BLOCK, "prompt"), own
    if request.prompt is not None and not is_blank(request.prompt):
        return ("prompt",), request.prompt
    return None, ""


def _check_prompt(path: tuple[str, ...], prompt: str, written: Prompt) -> None:
    # ASSUMED: the limit counts characters (code points), not UTF-16 units.
    if len(prompt) > MAX_PROMPT_CHARS:
        raise _invalid(path, f"{len(prompt)} characters; at most {MAX_PROMPT_CHARS} are allowed")
    if len(written.text) > MAX_PROMPT_CHARS:
        field = "lyrics" if "lyrics" in written.added else written.added[-1]
        message = (
            f"the prompt with {', '.join(written.added)} written into it has {len(written.text)} characters"
        )
        raise _invalid((field,), f"{message}; at most {MAX_PROMPT_CHARS} are allowed")


def _checked_length(length_ms: int, path: tuple[str, ...]) -> int:
    # Some pages mention 10 s or 5 min. Only the schema's range is checked; the vendor may refuse more.
    if not plans.MIN_LENGTH_MS <= length_ms <= plans.MAX_LENGTH_MS:
        allowed = f"{plans.MIN_LENGTH_MS} to {plans.MAX_LENGTH_MS} ms are allowed"
        raise _invalid(path, f"{length_ms} ms; {allowed}")
    return length_ms


def _seed(request: MusicRequest) -> dict[str, object]:
    """The seed, also beside a prompt, as the vendor's own MCP server does although the schema forbids it.

    Seen: elevenlabs/elevenlabs-mcp, 2026-08.
    """
    own = request.block(BLOCK).get("seed")
    seed = request.seed if own is None else own
    if isinstance(seed, int) and not 0 <= seed <= MAX_SEED:
        raise _invalid(("seed",) if own is None else (BLOCK, "seed"), f"{seed}; 0 to {MAX_SEED} are allowed")
    return {} if seed is None else {"seed": seed}


def _timestamps(block: JsonObject) -> dict[str, object]:
    """``with_timestamps`` for the detailed route; the plain one has no such field and needs no ``false``."""
    detailed = any(block.get(flag) is True for flag in _DETAILED_FLAGS)
    value = block.get("with_timestamps")
    return {"with_timestamps": value} if detailed and value is not None else {}


def _format_warnings(request: MusicRequest, output_format: str | None) -> list[OptionWarning]:
    output = formats.parse(output_format)
    if is_blank(request.block(BLOCK).get("output_format")):
        if request.format is not None and request.format not in formats.NEUTRAL:
            made = ", ".join(formats.NEUTRAL)
            raise UnsupportedOptionError(("format",), f"Eleven Music makes {made}, not {request.format}")
        return []
    warnings = []
    if request.format is not None and request.format != output.container:
        warnings.append(not_applied("format", f"{BLOCK}.output_format {output_format} wins over it"))
    if output.is_headerless:
        message = f"{output_format} has no header and would not play: the same samples come in a WAV file"
        path = (BLOCK, "output_format")
        warnings.append(
            OptionWarning(code=WarningCode.CHANGED, path=path, message=message, plugin="elevenlabs")
        )
    return warnings


def _check_signature(block: JsonObject, output_format: str | None) -> None:
    output = formats.parse(output_format)
    if block.get("sign_with_c2pa") is True and output.codec not in {formats.Codec.MP3, None}:
        raise _invalid((BLOCK, "sign_with_c2pa"), f"only for mp3; the output format is {output_format}")


def _post(
    settings: ProviderSettings, body: JsonObject, output_format: str | None, *, detailed: bool
) -> HttpRequest:
    path = "/v1/music/detailed" if detailed else "/v1/music"
    # The output format is a query parameter; in the body the vendor ignores it.
    query = f"?{urlencode({'output_format': output_format})}" if output_format else ""
    request = HttpRequest.post_json(f"{settings.base_url}{path}{query}", body)
    return attrs.evolve(request, headers={**request.headers, "Accept": "*/*"})
