"""A call to the emulated vendor and the vendor's refusals, as values; and the switches.

Source of the error forms: elevenlabs.io/docs/eleven-api/resources/errors, 2026-08.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import attrs

from musicgate.emulation import switches_in
from musicgate.plugin import HttpRequest
from musicgate.plugin.lenient import mapping

#: Every switch: set globally, or by ``[emulate name=value ...]`` in any text of the request.
SWITCHES: Final[Mapping[str, str]] = {
    "latency_s": "seconds that a song takes, whatever its length",
    "default_length_s": "length of a song if none is requested (default 8; the real vendor takes about 30)",
    "busy": "429 with this code: rate_limit_exceeded (also 1), concurrent_limit_exceeded, system_busy, "
    "too_many_concurrent_requests",
    "retry_after": "seconds of the Retry-After header beside a 429 or 503",
    "error": "an HTTP status, then json (default), html or empty: 500, 503, 500html, 502html, 503html, "
    "504empty",
    "times": "busy and error end after this number of calls with the same body",
    "drop": "close the connection: 1 = after the song is made and charged, before = before that",
    "cut": "close the connection in the middle of the audio",
    "zero": "200 with an empty body",
    "html": "200 with an HTML page instead of audio",
    "json": "200 with JSON instead of audio; json=refusal: with an error in it",
    "detail": "form of every error: text or legacy",
    "moderation": "refuse as prompt, plan or harmful, whatever the texts",
    "suggestion": "0: moderation makes no suggestion",
    "song_id": "0: no song-id header",
    "query_error": "400: an unknown output_format is refused with 400 instead of 422",
    "tier_gate": "pcm_44100 and mp3 of 192 kbit/s need a higher plan",
    "pcm_channels": "1: headerless audio is mono",
    "bare_opus": "Opus packets without their Ogg container",
    "lf": "detailed: line ends are LF",
    "camel": "detailed: keys in camelCase",
    "nulls": "detailed: nulls everywhere in song_metadata",
    "no_closing": "detailed: the closing boundary is missing",
    "no_length": "no Content-Length header",
    "glued": "detailed: no line end before the closing boundary",
    "preamble": "detailed: bytes right before the first boundary",
    "boundary_in_audio": "detailed: bytes in the audio look like a boundary",
    "max_concurrent": "concurrent calls per key (default 2)",
    "calls_per_min": "calls per minute and key (default unlimited)",
    "credits": "credits of each key (default unlimited)",
}


@attrs.frozen(kw_only=True)
class Call:
    """A request, taken apart.

    Attributes:
        body: the JSON object; None if the body is anything else.
        malformed: True if the body is not JSON at all.
    """

    route: str
    query: Mapping[str, str]
    key: str | None
    raw: bytes
    body: Mapping[str, object] | None
    malformed: bool
    switches: Mapping[str, str]

    def given(self, name: str) -> object:
        """A field of the body; null counts as left out."""
        return mapping(self.body).get(name)

    @property
    def model(self) -> str:
        """The model; the vendor's own default is the oldest one."""
        return str(self.given("model_id") or "music_v1")

    @property
    def plan(self) -> Mapping[str, object] | None:
        """The composition plan under either name."""
        plan = self.given("composition_plan") or self.given("music_prompt")
        return plan if isinstance(plan, dict) else None

    @property
    def output_format(self) -> str:
        """The output format of the query, with ``auto`` resolved."""
        name = self.query.get("output_format", "auto")
        automatic = "mp3_44100_128" if self.model == "music_v1" else "mp3_48000_192"
        return automatic if name == "auto" else name

    def is_on(self, switch: str) -> bool:
        """True if a switch is set and not to 0."""
        return self.switches.get(switch, "0") != "0"

    def number(self, switch: str, default: float) -> float:
        """The value of a numeric switch; the default if it is not set or not a number."""
        try:
            return float(self.switches.get(switch, default))
        except ValueError:
            return default


@attrs.frozen(kw_only=True)
class Refusal:
    """Status, ``detail`` and headers of an error answer."""

    status: int
    detail: object
    headers: Mapping[str, str] = attrs.field(factory=dict)


def read_call(request: HttpRequest, switches: Mapping[str, str]) -> Call:
    """Take a request apart; switches in its texts beat the global ones."""
    parts = urlsplit(request.url)
    try:
        body, malformed = json.loads(request.body), False
    except (ValueError, RecursionError):
        body, malformed = None, True
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(
        route=f"{request.method} {parts.path}",
        query=dict(parse_qsl(parts.query)),
        key=headers.get("xi-api-key"),
        raw=request.body,
        body=body if isinstance(body, dict) else None,
        malformed=malformed,
        switches={**switches, **switches_in(*texts_in(body))},
    )


def walk(value: object) -> Iterator[object]:
    """A JSON value and every value in it, in order, at any depth."""
    stack = [value]
    while stack:
        item = stack.pop()
        yield item
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        stack.extend(reversed(list(inner)))


def texts_in(value: object) -> Iterator[str]:
    """Every text in a JSON value, in order."""
    return (item for item in walk(value) if isinstance(item, str))


def refuse(status: int, kind: str, code: str, message: str, param: str | None = None) -> Refusal:
    """Make an error in the current form."""
    detail = {"type": kind, "code": code, "message": message, "status": code, "param": param}
    return Refusal(status=status, detail=detail)


def refuse_legacy(status: int, detail_status: str, message: str, **more: object) -> Refusal:
    """Make an error in the older form, which plan limits and the moderation still have."""
    return Refusal(status=status, detail={"status": detail_status, "message": message, **more})


def refuse_fields(*entries: tuple[tuple[str | int, ...], str, str]) -> Refusal:
    """Make the 422 of the schema; each entry is ``(loc, msg, type)`` of a field."""
    return Refusal(
        status=422, detail=[{"loc": list(loc), "msg": msg, "type": kind} for loc, msg, kind in entries]
    )


def reshape(refusal: Refusal, form: str | None) -> Refusal:
    """Change the form of an error's detail to text or to the older form."""
    detail = refusal.detail
    entry = mapping(detail[0] if isinstance(detail, list) and detail else detail)
    message = str(entry.get("message") or entry.get("msg") or "refused")
    if form == "text":
        return attrs.evolve(refusal, detail=message)
    if form == "legacy":
        code = entry.get("status") or entry.get("type")
        return attrs.evolve(refusal, detail={"status": code, "message": message})
    return refusal
