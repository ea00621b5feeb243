"""The native request of the one create call; its fields are in `declaration`, plans in `plans`.

Where documents and practice differ, the vendor decides.

Source: elevenlabs.io/docs/api-reference/music/compose and .../compose-detailed, 2026-08.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import musicgate.plugin as mg
from musicgate.plugin import Draft, MusicRequest, refused
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.declaration import BLOCK, MAX_PROMPT_CHARS

#: Flags that only the detailed route has.
_DETAILED_FLAGS: Final = ("with_timestamps", "with_waveform_visual")
#: Query parameters; in the body the vendor ignores them.
_QUERY: Final = ("output_format", "enable_logging")
#: Options that have a rule of their own; all others are copied.
_TRANSLATED: Final = frozenset(
    {
        *("prompt", "music_length_ms", "model_id", "output_format", "seed", "force_instrumental"),
        *("with_timestamps", *plans.KEYS),
    }
)
#: How neutral fields are written into the prompt.
_LABELS: Final[Mapping[str, str | Mapping[str, str]]] = {
    "style": "Style: {}",
    "vocal_gender": {"m": "Vocals: male lead vocals", "f": "Vocals: female lead vocals"},
    "negative_style": "Avoid: {}",
    "lyrics": "Lyrics:\n{}",
}


@mg.hookimpl
def translate_request(
    request: MusicRequest, offer: mg.Offer, settings: mg.ProviderSettings
) -> mg.Translation:
    """Translate a request to a POST to /v1/music, or to /v1/music/detailed for its extra facts.

    Raises:
        RequestError: the vendor's documentation rules the request out.
    """
    draft = Draft(request, offer, settings, BLOCK)
    draft.send("output_format", _output_format(draft))
    is_detailed = wants_details(request)
    # Always sent: the vendor's defaults differ.
    draft.send("model_id", draft.native_model)
    if plan_of(request) is None:
        _describe(draft)
    else:
        _plan(draft)
    # Also beside a prompt, as the vendor's own MCP server does it although the schema forbids it.
    # Seen: elevenlabs/elevenlabs-mcp, 2026-08.
    draft.send("seed", draft.said("seed", "seed"))
    draft.copy(*(name for name in draft.block if name not in _TRANSLATED))
    if is_detailed:  # the plain route has no such field and needs no ``false``
        draft.send("with_timestamps", draft.said("with_timestamps"))
    url = f"{settings.base_url}/v1/music{'/detailed' if is_detailed else ''}"
    return draft.post_json(url, query=_QUERY, accept="*/*")


def plan_of(request: MusicRequest) -> mg.JsonObject | None:
    """The composition plan of a request under either name, or None."""
    given = (request.block(BLOCK).get(key) for key in plans.KEYS)
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


def _plan(draft: Draft) -> None:
    """A composition plan, which is sent unchanged; the neutral fields beside it are not applied."""
    prompt = draft.said("prompt", "prompt")
    if prompt is not None:
        message = "a prompt and a composition plan exclude each other"
        raise refused(prompt.path, message, "prompt_and_composition_plan_exclusive")
    draft.copy("music_length_ms")
    draft.send("force_instrumental", draft.said("force_instrumental"))
    for key in plans.KEYS:
        draft.send(key, draft.block.get(key))
    for name in ("style", "vocal_gender", "negative_style", "lyrics", "instrumental", "duration"):
        if mg.neutral_value(draft.request, name) is not None:
            draft.not_applied(name, "not sent: the composition plan says what the song shall be")


def _describe(draft: Draft) -> None:
    """A prompt, with style, voice, what to avoid and lyrics written into it.

    The vendor has no fields for them: the prompt is its documented way to state them. (A composition plan for
    later models could hold lyrics as well, but it needs a length for every piece, which the gateway would
    have to invent.)
    Source: elevenlabs.io/docs/eleven-api/guides/how-to/music/composition-plans, 2026-08.
    """
    prompt, instrumental = draft.said("prompt", "prompt"), draft.said("force_instrumental", "instrumental")
    added = draft.labelled(_LABELS, is_sung=instrumental is None or instrumental.value is not True)
    if prompt is None and not added.keys() & {"style", "lyrics"}:
        message = "a prompt or a composition plan is needed"
        raise refused("prompt", message, "prompt_or_composition_plan_required")
    own = prompt.text if prompt else ""
    # A prompt that fits alone: what was written into it is too long.
    path = prompt.path if prompt else ("prompt",)
    if added and len(own) <= MAX_PROMPT_CHARS:
        path = (list(added)[-1],)
    draft.send("prompt", "\n\n".join([*([own] if own else []), *added.values()]), path)
    draft.send("music_length_ms", requested_ms(draft.request))
    draft.send("force_instrumental", instrumental)


def _output_format(draft: Draft) -> str | None:
    """The format to send, with the warnings about it; None = the model decides."""
    request, name = draft.request, formats.chosen_format(draft.request)
    output = formats.parse(name)
    if mg.is_blank(draft.block.get("output_format")):
        if request.format is not None and request.format not in formats.NEUTRAL:
            made = ", ".join(formats.NEUTRAL)
            raise mg.unsupported("format", f"Eleven Music makes {made}, not {request.format}")
    else:
        if request.format is not None and request.format != output.container:
            draft.not_applied("format", f"{BLOCK}.output_format {name} wins over it")
        if output.is_headerless:
            message = f"{name} has no header and would not play: the same samples come in a WAV file"
            draft.changed("elevenlabs.output_format", message)
    if draft.block.get("sign_with_c2pa") is True and output.codec not in {formats.Codec.MP3, None}:
        raise refused("elevenlabs.sign_with_c2pa", f"only for mp3; the output format is {name}")
    return name
