"""The switches of the emulated vendor, and its refusals in each of their forms.

Source: elevenlabs.io/docs/eleven-api/resources/errors, 2026-08.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from musicgate.emulation import Call, EmulatedAnswer, Switch, answer_json, switches, with_headers
from musicgate.plugin import JsonObject, JsonValue
from musicgate.plugin.lenient import mapping

#: Type and codes of each status; a switch that asks for the status gets the first one.
_CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid_request", "bad_request malformed_json bad_prompt bad_composition_plan"),
    401: ("authentication_error", "invalid_api_key missing_api_key missing_permissions quota_exceeded"),
    402: ("payment_required", "insufficient_credits paid_plan_required limited_access"),
    403: ("authorization_error", "subscription_required insufficient_permissions model_access_denied"),
    404: ("not_found", "song_not_found finetune_not_found"),  # ASSUMED: the code of a finetune
    409: ("conflict", "conflict"),
    429: (
        "rate_limit_error",
        "rate_limit_exceeded concurrent_limit_exceeded system_busy too_many_concurrent_requests",
    ),
    500: ("internal_error", "internal_error"),
    503: ("service_unavailable", "maintenance"),
}
#: Codes in the older form. Seen: 401 with missing_permissions and with quota_exceeded, 402 with
#: limited_access for a free account, 400 with bad_prompt and bad_composition_plan, 2025-2026.
_OLDER: Final = {
    *("missing_permissions", "quota_exceeded", "limited_access"),
    *("bad_prompt", "bad_composition_plan", "too_many_concurrent_requests"),
}
_NOTHING: Final[JsonObject] = MappingProxyType({})
STATUS_OF: Final = {code: status for status, (_, codes) in _CODES.items() for code in codes.split()}
FIRST_CODES: Final = {status: codes.split()[0] for status, (_, codes) in _CODES.items()}

#: The vendor's own switches, and the neutral one with values of its own.
SWITCHES: Final = (
    switches.CREATE.plus(
        json="HTTP 200 with JSON instead of audio",
        refusal="HTTP 200 with the error system_busy",
        **{code: f"HTTP {status}" for code, status in STATUS_OF.items()},
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


def headers_of(call: Call) -> dict[str, str]:
    """The headers that each answer of the vendor's own has. Seen: also none of them, 2026-06-29."""
    if "bare" in call.switches.get_all("headers"):
        return {}
    return {"request-id": call.trace[:20], "x-trace-id": call.trace[20:52]}


def refusal(call: Call, text: str, status: int = 500, more: JsonObject = _NOTHING) -> EmulatedAnswer:
    """Make an error; ``text`` is a code, a code with ``: `` and more, or a message for the status."""
    code, _, detail = text.partition(": ")
    if code not in STATUS_OF:
        return error(call, status, {"type": "internal_error", "code": "internal_error", "message": text})
    status = STATUS_OF[code]
    message = code.replace("_", " ").capitalize() + (detail and f": {detail}")
    if code in _OLDER:
        return error(call, status, {"status": code, "message": message, **more})
    kind = _CODES[status][0]
    named = {"type": kind, "code": code, "status": code, "message": message, "param": None}
    return error(call, status, {**named, "request_id": call.trace[:20], **more})


def refuse_fields(call: Call, *entries: tuple[tuple[str | int, ...], str, str]) -> EmulatedAnswer:
    """Make the 422 of the schema; each entry is ``(loc, msg, type)`` of a field."""
    return error(
        call, 422, [{"loc": list(where), "msg": message, "type": kind} for where, message, kind in entries]
    )


def error(call: Call, status: int, detail: list[JsonValue] | JsonObject) -> EmulatedAnswer:
    """Make an error answer, in the form of the switch ``detail``."""
    entry, shown = mapping(detail[0] if isinstance(detail, list) else detail), call.switches.get("detail")
    message = str(entry.get("message") or entry.get("msg"))
    older: JsonObject = {"status": str(entry.get("status") or entry.get("type")), "message": message}
    body: JsonValue = {"text": message, "legacy": older}.get(shown, detail)
    # The vendor's SDKs honour Retry-After; that the vendor sends it is not documented.
    wait_s = call.switches.get("retry_after") if status in {429, 503} else ""
    waiting = {"Retry-After": wait_s} if wait_s else {}
    return with_headers(answer_json(status, {"detail": body}), {**headers_of(call), **waiting})
