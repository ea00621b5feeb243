"""The switches of the emulated vendor, and its refusals in each of their forms.

Source: elevenlabs.io/docs/eleven-api/resources/errors, 2026-08.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from musicgate.emulation import Call, EmulatedAnswer, Switch, answer_json, switches, with_headers
from musicgate.plugin import JsonObject, JsonValue
from musicgate.plugin.lenient import mapping
from musicgate_elevenlabs.errors import SENT_WITH

#: Codes in the older form. Seen: each of them, 2025-2026.
_OLDER: Final = {
    *("missing_permissions", "quota_exceeded", "limited_access"),
    *("bad_prompt", "bad_composition_plan", "too_many_concurrent_requests"),
}
_NOTHING: Final[JsonObject] = MappingProxyType({})
#: The code that a status stands for: the first one.
FIRST_CODES: Final = {status: code for code, (status, _) in reversed(SENT_WITH.items())}

#: The vendor's own switches, and the neutral one with values of its own.
SWITCHES: Final = (
    switches.CREATE.plus(
        json="HTTP 200 with JSON instead of audio",
        refusal="HTTP 200 with the error system_busy",
        **{code: f"HTTP {status}" for code, (status, _) in SENT_WITH.items()},
    ),
    Switch("detail", switches.word("text", "legacy"), "the form of every error"),
    Switch("moderation", switches.word("prompt", "plan", "harmful"), "refused so, whatever the texts"),
    Switch("suggestion", switches.flag(), "0: moderation makes no suggestion"),
    Switch(
        "tier_gate",
        switches.flag(),
        "1: pcm_44100, mp3 of 192 kbit/s and enable_logging=false need a higher plan",
    ),
    Switch(
        "headers",
        switches.words("bare", "no_song_id", "no_length"),
        "only song-id and those of the content; no song-id; no Content-Length",
    ),
    Switch(
        "detailed",
        switches.words("lf", "camel", "nulls", "no_closing", "glued", "preamble"),
        "LF as line ends, camelCase, nulls in song_metadata; no closing boundary, no line end before it; "
        "bytes before the first boundary",
    ),
    Switch(
        "audio",
        switches.words("mono", "bare_opus", "boundary"),
        "headerless audio with one channel, Opus packets without Ogg, bytes that look like a boundary",
    ),
    Switch(
        "events",
        switches.word("strings"),
        "detailed/stream: each event as a JSON string on a line of its own, not server-sent events",
    ),
    Switch("finetune", switches.word("failed", "blocked"), "how the training of finetunes ends"),
)


def refusal(call: Call, text: str, status: int = 500, more: JsonObject = _NOTHING) -> EmulatedAnswer:
    """Make an error; ``text`` is a code, a code with ``: `` and more, or a message for the status."""
    code, _, detail = text.partition(": ")
    if code not in SENT_WITH:
        return _error(call, status, {"type": "internal_error", "code": "internal_error", "message": text})
    status, kind = SENT_WITH[code]
    message = code.replace("_", " ").capitalize() + (detail and f": {detail}")
    if code in _OLDER:
        return _error(call, status, {"status": code, "message": message, **more})
    named = {"type": kind, "code": code, "status": code, "message": message, "param": None}
    return _error(call, status, {**named, "request_id": call.trace[:20], **more})


def refused_fields(call: Call, entries: list[JsonValue]) -> EmulatedAnswer | None:
    """Make the 422 of the schema, in FastAPI's form; None without an entry."""
    return _error(call, 422, entries) if entries else None


def _error(call: Call, status: int, detail: list[JsonValue] | JsonObject) -> EmulatedAnswer:
    """Make an error answer, in the form of the switch ``detail``."""
    entry, shown = mapping(detail[0] if isinstance(detail, list) else detail), call.switches.get("detail")
    message = str(entry.get("message") or entry.get("msg"))
    older: JsonObject = {"status": str(entry.get("status") or entry.get("type")), "message": message}
    body: JsonValue = {"text": message, "legacy": older}.get(shown, detail)
    # The vendor's SDKs honour Retry-After; that the vendor sends it is not documented.
    wait_s = call.switches.get("retry_after") if status in {429, 503} else ""
    return with_headers(answer_json(status, {"detail": body}), {"Retry-After": wait_s} if wait_s else {})
