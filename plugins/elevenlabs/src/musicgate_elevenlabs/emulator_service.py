"""The emulator of Eleven Music: routes, order of checks, rate limits, credits and faults.

Sans I/O and deterministic: requests and time come in. Checks in order: route, key, output_format, JSON,
schema, exclusions, plan kind, stored songs, moderation, rate, concurrency, credits; then the song. A call
counts as one of the key's concurrent calls for as long as its answer is delayed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from musicgate.emulation import (
    EmulatedAnswer,
    EmulatedCallback,
    EmulatorBooks,
    EmulatorOptions,
)
from musicgate.plugin import HttpRequest, HttpResponse
from musicgate_elevenlabs import emulator_checks as checks
from musicgate_elevenlabs import emulator_songs as songs
from musicgate_elevenlabs.emulator_call import (
    Call,
    Refusal,
    read_call,
    refuse,
    refuse_fields,
    reshape,
)

#: ASSUMED: charged by the second, at 900 credits a minute.
#: Source of the 900: elevenlabs.io/pricing/api, 2026-09.
CREDITS_PER_S: Final = 15.0
#: Source: elevenlabs.io/pricing/api, 2026-09 (Starter, Creator, Pro).
_MAX_CONCURRENT: Final = 2
_PAGE: Final = b"<!DOCTYPE html><html><body><h1>Bad gateway</h1></body></html>"
_BUSY: Final = {
    "too_many_concurrent_requests": "Too many concurrent requests",
    "concurrent_limit_exceeded": "Concurrent limit exceeded",
    "rate_limit_exceeded": "Rate limit exceeded",
    "system_busy": "The system is busy",
}


@attrs.frozen(kw_only=True)
class _Song:
    """A song that was made and charged."""

    id: str
    length_s: float
    seed: int
    credits: float
    running: int


class ElevenLabsEmulator:
    """An emulated Eleven Music; implements `musicgate.plugin.emulator.Emulator`."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.books = EmulatorBooks()
        self._options = options
        self._running: dict[str, list[float]] = {}
        self._calls_at: dict[str, list[float]] = {}
        self._spent: dict[str, float] = {}
        self._seen: Counter[bytes] = Counter()
        self._stored: dict[str, float] = {}
        self._routes: Mapping[str, Callable[[Call, float], EmulatedAnswer]] = {
            "POST /v1/music": self._compose,
            "POST /v1/music/detailed": self._compose,
            "POST /v1/music/plan": self._plan,
        }

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request."""
        call = read_call(request, self._options.switches)
        self.books.calls[call.route] += 1
        route = self._routes.get(call.route)
        if route is None:
            return self._refused(call, Refusal(status=404, detail="Not Found"))
        return route(call, now)

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """Return nothing: the vendor has no webhook for music."""
        return ()

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Do nothing: the vendor has no webhook for music."""

    def _compose(self, call: Call, now: float) -> EmulatedAnswer:
        refusal = (
            checks.check_key(call)
            or checks.check_output_format(call)
            or checks.check_json(call)
            or checks.check_schema(call)
            or checks.check_exclusions(call)
            or checks.check_plan_kind(call)
            or checks.check_songs(call, self._stored)
            or checks.check_moderation(call)
            or self._check_rate(call, now)
            or self._check_concurrency(call, now)
            or self._check_credits(call)
        )
        if refusal is not None:
            return self._refused(call, refusal)
        fault = self._fault(call)
        return fault if fault is not None else self._deliver(call, self._make(call, now))

    def _plan(self, call: Call, now: float) -> EmulatedAnswer:
        refusal = (
            checks.check_key(call)
            or checks.check_json(call)
            or checks.check_schema(call)
            or (
                None
                if call.given("prompt")
                else refuse_fields((("body", "prompt"), "Field required", "missing"))
            )
            or checks.check_moderation(call)
            or self._check_rate(call, now)
        )
        if refusal is not None:
            return self._refused(call, refusal)
        body = json.dumps(songs.plan_for(call, songs.length_s(call))).encode()
        return self._answer(call, 200, body, {"Content-Type": "application/json"})

    def _check_rate(self, call: Call, now: float) -> Refusal | None:
        limit = call.number("calls_per_min", 0)
        recent = [at for at in self._calls_at.get(call.key or "", []) if at > now - 60]
        if limit and len(recent) >= limit:
            return _busy(call, "rate_limit_exceeded")
        self._calls_at[call.key or ""] = [*recent, now]
        return None

    def _check_concurrency(self, call: Call, now: float) -> Refusal | None:
        running = [end for end in self._running.get(call.key or "", []) if end > now]
        self._running[call.key or ""] = running
        code = call.switches.get("busy", "0")
        if code != "0" and self._is_lasting(call, "busy"):
            return _busy(call, code if code in _BUSY else "rate_limit_exceeded")
        if len(running) >= call.number("max_concurrent", _MAX_CONCURRENT):
            return _busy(call, "concurrent_limit_exceeded")
        return None

    def _check_credits(self, call: Call) -> Refusal | None:
        left = call.number("credits", float("inf")) - self._spent.get(call.key or "", 0.0)
        if songs.length_s(call) * CREDITS_PER_S <= left:
            return None
        return refuse(402, "payment_required", "insufficient_credits", f"{left:.0f} credits are left")

    def _is_lasting(self, call: Call, fault: str) -> bool:
        """Count a call with this body; True for the first ``times`` calls."""
        digest = hashlib.sha256(fault.encode() + call.raw).digest()
        self._seen[digest] += 1
        return self._seen[digest] <= call.number("times", float("inf"))

    def _fault(self, call: Call) -> EmulatedAnswer | None:
        """A fault before a song is made; None if there is none."""
        if call.switches.get("drop") == "before":
            return attrs.evolve(self._answer(call, 502, b"", {}), drop=True)
        if call.switches.get("json") == "refusal":
            return self._refused(call, refuse(200, "rate_limit_error", "system_busy", _BUSY["system_busy"]))
        error = call.switches.get("error", "0")
        if error == "0" or not error[:3].isdecimal() or not self._is_lasting(call, "error"):
            return None
        status, form = int(error[:3]), error[3:]
        if form == "html":
            return self._answer(call, status, _PAGE, {"Content-Type": "text/html"})
        if form == "empty":
            return self._answer(call, status, b"", {})
        kind, code = (
            ("service_unavailable", "maintenance") if status == 503 else ("internal_error", "internal_error")
        )
        return self._refused(
            call, _with_retry_after(call, refuse(status, kind, code, "Something went wrong"))
        )

    def _make(self, call: Call, now: float) -> _Song:
        """Make, charge and, if requested, store a song; its call runs from now on."""
        key, length_s = call.key or "", songs.length_s(call)
        number = len(self.books.creates)
        digest = hashlib.sha256(f"{self._options.seed} {number} ".encode() + call.raw).hexdigest()
        requested_seed = call.given("seed")
        seed = requested_seed if isinstance(requested_seed, int) else int(digest[:6], 16)
        song_id, cost = f"song_{digest[:20]}", length_s * CREDITS_PER_S
        self.books.creates.append(song_id)
        self.books.credits_charged[song_id] = cost
        self._spent[key] = self._spent.get(key, 0.0) + cost
        running = self._running.setdefault(key, [])
        running.append(now + self._delay_s(call, length_s))
        if call.given("store_for_inpainting") is True:
            self._stored[song_id] = length_s
        return _Song(id=song_id, length_s=length_s, seed=seed, credits=cost, running=len(running))

    def _deliver(self, call: Call, song: _Song) -> EmulatedAnswer:
        headers = {
            "Content-Type": songs.content_type(call),
            "character-cost": str(round(song.credits)),
            "current-concurrent-requests": str(song.running),
            "maximum-concurrent-requests": f"{call.number('max_concurrent', _MAX_CONCURRENT):.0f}",
        }
        if call.switches.get("song_id") != "0":
            headers["song-id"] = song.id
        body = self._body(call, song)
        if call.route.endswith("/detailed"):
            headers["Content-Type"] = f"multipart/mixed; boundary={songs.BOUNDARY}"
        if call.is_on("html"):
            headers["Content-Type"] = "text/html"
        if call.is_on("json"):
            headers["Content-Type"] = "application/json"
        answer = self._answer(call, 200, body, headers)
        return attrs.evolve(
            answer,
            delay_s=self._delay_s(call, song.length_s),
            drop=call.switches.get("drop") == "1",
            cut_after_bytes=len(body) // 2 if call.is_on("cut") else None,
        )

    def _body(self, call: Call, song: _Song) -> bytes:
        if call.is_on("zero"):
            return b""
        if call.is_on("html"):
            return _PAGE
        if call.is_on("json"):
            return json.dumps({"message": "accepted"}).encode()
        audio = songs.audio(call, song.length_s, song.seed)
        if not call.route.endswith("/detailed"):
            return audio
        return songs.multipart_body(call, songs.facts(call, song.length_s, song.seed), audio)

    def _delay_s(self, call: Call, music_s: float) -> float:
        return songs.work_s(call, music_s) / self._options.speed

    def _refused(self, call: Call, refusal: Refusal) -> EmulatedAnswer:
        shaped = reshape(refusal, call.switches.get("detail"))
        detail = shaped.detail
        if isinstance(detail, dict) and "type" in detail:
            detail = {**detail, "request_id": self._trace(call)[:20]}
        body = json.dumps({"detail": detail}).encode()
        return self._answer(call, shaped.status, body, {"Content-Type": "application/json", **shaped.headers})

    def _answer(self, call: Call, status: int, body: bytes, headers: Mapping[str, str]) -> EmulatedAnswer:
        trace = self._trace(call)
        named = {**headers, "request-id": trace[:20], "x-trace-id": trace[20:52]}
        if not call.is_on("no_length"):
            named["Content-Length"] = str(len(body))
        return EmulatedAnswer(response=HttpResponse(status=status, headers=named, body=body))

    def _trace(self, call: Call) -> str:
        """The trace id of the current call."""
        number = sum(self.books.calls.values())
        return hashlib.sha256(f"{self._options.seed} {number} {call.route}".encode()).hexdigest()


def _busy(call: Call, code: str) -> Refusal:
    return _with_retry_after(call, refuse(429, "rate_limit_error", code, _BUSY[code]))


def _with_retry_after(call: Call, refusal: Refusal) -> Refusal:
    """Add the switch's Retry-After. The vendor's SDKs honour the header; it is not documented."""
    wait_s = call.switches.get("retry_after")
    return attrs.evolve(refusal, headers={"Retry-After": wait_s}) if wait_s else refusal
