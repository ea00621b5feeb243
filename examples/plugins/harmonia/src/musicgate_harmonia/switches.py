"""Knows the emulator's switches, which scores it refuses, and in which words; it plays nothing."""

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

#: Every switch: global, or for one song by magic words in any text of its request: ``[emulate end=broken]``.
SWITCHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "create": "what the call for a score answers: a status (400, 402, 429, 503 ...), html, empty",
        "perform": "what the call that costs answers: the same, or drop (begun, then cut off), lost (no Location)",
        "look": "what each look answers: a status, html, empty",
        "end": "the last state (default mastered); silenced or broken gives up; any other word is said for ever",
        "recording": "what the link answers: a status, empty, html, cut; none = mastered without a recording",
        "hooks": "off, double, badsign or stale",
        "song_s": "length of the song in seconds (default: what was asked for, else 10)",
    }
)
_PROBLEMS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("wrong-note", "The score cannot be read"),
    401: ("no-ticket", "No ticket, no music"),
    402: ("out-of-notes", "Your account is out of notes"),
    404: ("no-such-piece", "There is no such piece"),
    409: ("curtain-fallen", "The performance has ended"),
    422: ("house-rules", "The brief breaks the rules of the house"),
    429: ("too-loud", "Too many requests"),
    503: ("hall-closed", "The hall is closed"),
}
_ENGINES: Final = ("allegro-2", "largo-1")
_LONGEST: Final = {
    "brief": BRIEF_BYTES,
    "words": WORDS_BYTES,
    "genre": LABEL_BYTES,
    "avoid": LABEL_BYTES,
    "name": LABEL_BYTES,
}
_HTML: Final = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"
#: A date that has passed for every clock: "as soon as you like".
_RETRY_AFTER: Final = "Thu, 01 Jan 2026 00:00:03 GMT"
_DATE: Final = "Thu, 01 Jan 2026 00:00:00 GMT"


def answer_json(status: int, body: JsonValue) -> EmulatedAnswer:
    """A JSON answer."""
    return answer_file("application/json", json.dumps(body).encode(), status=status)


def answer_file(content_type: str, content: bytes, *, status: int = 200) -> EmulatedAnswer:
    """A file."""
    headers = {"Content-Type": content_type, "Content-Length": str(len(content))}
    return EmulatedAnswer(response=HttpResponse(status=status, headers=headers, body=content))


def answer_nothing(status: int, headers: Mapping[str, str]) -> EmulatedAnswer:
    """An answer without a body."""
    return EmulatedAnswer(response=HttpResponse(status=status, headers={**headers, "Content-Length": "0"}))


def refuse(status: int) -> EmulatedAnswer:
    """The vendor's problem for a status."""
    kind, detail = _PROBLEMS.get(status, ("false-note", "Something is out of tune"))
    problem = {"type": f"https://harmonia.example/problems/{kind}", "detail": detail, "status": status}
    answer = answer_file("application/problem+json", json.dumps(problem).encode(), status=status)
    if status != 429:
        return answer
    # Counted from the answer's own Date, so that no clock is needed.
    headers = {**answer.response.headers, "Date": _DATE, "Retry-After": _RETRY_AFTER}
    return EmulatedAnswer(response=HttpResponse(status=status, headers=headers, body=answer.response.body))


def fault(word: str) -> EmulatedAnswer | None:
    """The answer that a switch asks for; None for a word that is no fault."""
    if word.isdecimal():
        return refuse(int(word))
    if word == "html":
        return answer_file("text/html", _HTML, status=502)
    return answer_file("text/plain", b"") if word == "empty" else None


def account_refusal(request: HttpRequest) -> EmulatedAnswer | None:
    """Every key is good but none, one that begins with ``bad`` (401) and one that begins with ``no-credits`` (402)."""
    key = next((value for name, value in request.headers.items() if name.lower() == "x-harmonia-key"), "")
    if not key or key.startswith("bad"):
        return refuse(401)
    return refuse(402) if key.startswith("no-credits") else None


def score_refusal(score: JsonObject) -> EmulatedAnswer | None:
    """Why a score cannot be played; None for a good one."""
    if score.get("engine") not in _ENGINES or not (score.get("brief") or score.get("words")):
        return refuse(400)
    if any(len(str(score.get(field, "")).encode()) > longest for field, longest in _LONGEST.items()):
        return refuse(400)
    length_s = integer(score.get("seconds")) if "seconds" in score else SHORTEST_S
    if length_s is None or not SHORTEST_S <= length_s <= LONGEST_S:
        return refuse(400)
    return None
