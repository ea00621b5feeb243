"""The emulator's switches, and its answers to calls and scores that it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from musicgate.emulation import EmulatedAnswer
from musicgate.plugin import HttpRequest, HttpResponse, JsonObject, JsonValue
from musicgate.plugin.lenient import integer

from musicgate_harmonia.declaration import (
    BRIEF_BYTES,
    LABEL_BYTES,
    LONGEST_S,
    SHORTEST_S,
    WORDS_BYTES,
)

#: Every switch: global, or for one song by a marker in any text of its request: ``[emulate end=broken]``.
SWITCHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "create": "answer of the call for a score: a status (400, 402, 429, 503 ...), html, empty",
        "perform": "answer of the call that costs: the same, or drop (begun, then cut), lost (no Location)",
        "poll": "answer of each poll: a status, html, empty",
        "end": "the last state (default mastered); silenced or broken fails; any other state stays for ever",
        "recording": "answer of the link: a status, empty, html, cut; none = mastered without a recording",
        "hooks": "off, double, badsign or stale",
        "song_s": "length of the song in seconds (default: the requested one, else 10)",
    }
)
_PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("wrong-note", "The score cannot be read"),
    401: ("no-ticket", "The key is missing or unknown"),
    402: ("out-of-notes", "Your account is out of notes"),
    404: ("no-such-piece", "There is no such piece"),
    409: ("curtain-fallen", "The performance has ended"),
    422: ("content-rules", "The brief breaks the content rules"),
    429: ("too-loud", "Too many requests"),
    503: ("hall-closed", "The hall is closed"),
}
_ENGINES: Final = ("allegro-2", "largo-1")
_MAX_BYTES: Final = {
    "brief": BRIEF_BYTES,
    "words": WORDS_BYTES,
    "genre": LABEL_BYTES,
    "avoid": LABEL_BYTES,
    "name": LABEL_BYTES,
}
_HTML: Final = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"
#: Three seconds after `_DATE`, and long past: a client that counts from its own clock may retry at once.
_RETRY_AFTER: Final = "Thu, 01 Jan 2026 00:00:03 GMT"
_DATE: Final = "Thu, 01 Jan 2026 00:00:00 GMT"


def answer_json(status: int, body: JsonValue) -> EmulatedAnswer:
    """Make a JSON answer."""
    return answer_file("application/json", json.dumps(body).encode(), status=status)


def answer_file(content_type: str, content: bytes, *, status: int = 200) -> EmulatedAnswer:
    """Make an answer that is a file."""
    headers = {"Content-Type": content_type, "Content-Length": str(len(content))}
    return EmulatedAnswer(response=HttpResponse(status=status, headers=headers, body=content))


def answer_nothing(status: int, headers: Mapping[str, str]) -> EmulatedAnswer:
    """Make an answer without a body."""
    return EmulatedAnswer(response=HttpResponse(status=status, headers={**headers, "Content-Length": "0"}))


def refuse(status: int) -> EmulatedAnswer:
    """Make the vendor's problem for a status."""
    kind, detail = _PROBLEMS.get(status, ("false-note", "Internal error"))
    problem = {"type": f"https://harmonia.example/problems/{kind}", "detail": detail, "status": status}
    answer = answer_file("application/problem+json", json.dumps(problem).encode(), status=status)
    if status != 429:
        return answer
    # Counted from the answer's own Date, so that no clock is needed.
    headers = {**answer.response.headers, "Date": _DATE, "Retry-After": _RETRY_AFTER}
    return EmulatedAnswer(response=HttpResponse(status=status, headers=headers, body=answer.response.body))


def fault(value: str) -> EmulatedAnswer | None:
    """Make the answer for a switch's value; None for one that is no fault."""
    if value.isdecimal():
        return refuse(int(value))
    if value == "html":
        return answer_file("text/html", _HTML, status=502)
    return answer_file("text/plain", b"") if value == "empty" else None


def account_refusal(request: HttpRequest) -> EmulatedAnswer | None:
    """Refuse a missing key, ``bad...`` (401) and ``no-credits...`` (402); every other key is good."""
    key = next((value for name, value in request.headers.items() if name.lower() == "x-harmonia-key"), "")
    if not key or key.startswith("bad"):
        return refuse(401)
    return refuse(402) if key.startswith("no-credits") else None


def score_refusal(score: JsonObject) -> EmulatedAnswer | None:
    """Refuse a score that breaks a limit; None for a good one."""
    if score.get("engine") not in _ENGINES or not (score.get("brief") or score.get("words")):
        return refuse(400)
    if any(len(str(score.get(field, "")).encode()) > longest for field, longest in _MAX_BYTES.items()):
        return refuse(400)
    length_s = integer(score.get("seconds")) if "seconds" in score else SHORTEST_S
    if length_s is None or not SHORTEST_S <= length_s <= LONGEST_S:
        return refuse(400)
    return None
