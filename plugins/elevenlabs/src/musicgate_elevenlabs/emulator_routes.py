"""Eleven Music, played: routes, the order of checks, what is counted, and faults; the sounds and the single checks lie beside it.

Checks in order: route, key, output_format, JSON, schema, exclusions, plan kind, stored songs, moderation, rate, concurrency, credits; then
the song. A call runs for as long as its answer is delayed, and counts as one of the key's parallel calls until then.
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

#: ASSUMED: 900 credits a minute, charged by the second. Source of the 900: elevenlabs.io/pricing/api, 2026-09.
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
    """One song that was made and charged."""

    id: str
    length_s: float
    seed: int
    credits: float
    running: int


class ElevenLabsEmulator:
    """A played vendor; see `musicgate.plugin.emulator.Emulator`. It has no callbacks."""

    def __init__(self, options: EmulatorOptions) -> None:
        """Open empty books."""
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
        """None, ever: the vendor has no webhook for music."""
        return ()

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Nothing to remember."""

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
        return fault if fault is not None else self._delivered(call, self._made(call, now))

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
        most = call.number("calls_per_min", 0)
        recent = [at for at in self._calls_at.get(call.key or "", []) if at > now - 60]
        if most and len(recent) >= most:
            return _busy(call, "rate_limit_exceeded")
        self._calls_at[call.key or ""] = [*recent, now]
        return None

    def _check_concurrency(self, call: Call, now: float) -> Refusal | None:
        running = [end for end in self._running.get(call.key or "", []) if end > now]
        self._running[call.key or ""] = running
        word = call.switches.get("busy", "0")
        if word != "0" and self._holds(call, "busy"):
            return _busy(call, word if word in _BUSY else "rate_limit_exceeded")
        if len(running) >= call.number("max_concurrent", _MAX_CONCURRENT):
            return _busy(call, "concurrent_limit_exceeded")
        return None

    def _check_credits(self, call: Call) -> Refusal | None:
        left = call.number("credits", float("inf")) - self._spent.get(call.key or "", 0.0)
        if songs.length_s(call) * CREDITS_PER_S <= left:
            return None
        return refuse(402, "payment_required", "insufficient_credits", f"{left:.0f} credits are left")

    def _holds(self, call: Call, fault: str) -> bool:
        """True while a fault that lasts ``times`` calls still lasts for this body."""
        digest = hashlib.sha256(fault.encode() + call.raw).digest()
        self._seen[digest] += 1
        return self._seen[digest] <= call.number("times", float("inf"))

    def _fault(self, call: Call) -> EmulatedAnswer | None:
        """A fault before anything was made."""
        if call.switches.get("drop") == "before":
            return attrs.evolve(self._answer(call, 502, b"", {}), drop=True)
        if call.switches.get("json") == "refusal":
            return self._refused(call, refuse(200, "rate_limit_error", "system_busy", _BUSY["system_busy"]))
        error = call.switches.get("error", "0")
        if error == "0" or not error[:3].isdecimal() or not self._holds(call, "error"):
            return None
        status, form = int(error[:3]), error[3:]
        if form == "html":
            return self._answer(call, status, _PAGE, {"Content-Type": "text/html"})
        if form == "empty":
            return self._answer(call, status, b"", {})
        kind, code = (
            ("service_unavailable", "maintenance") if status == 503 else ("internal_error", "internal_error")
        )
        return self._refused(call, _waiting(call, refuse(status, kind, code, "Something went wrong")))

    def _made(self, call: Call, now: float) -> _Song:
        """Make, charge and, if asked, store a song; its call runs from now on."""
        key, length_s = call.key or "", songs.length_s(call)
        number = len(self.books.creates)
        digest = hashlib.sha256(f"{self._options.seed} {number} ".encode() + call.raw).hexdigest()
        wanted_seed = call.given("seed")
        seed = wanted_seed if isinstance(wanted_seed, int) else int(digest[:6], 16)
        song_id, cost = f"song_{digest[:20]}", length_s * CREDITS_PER_S
        self.books.creates.append(song_id)
        self.books.credits_charged[song_id] = cost
        self._spent[key] = self._spent.get(key, 0.0) + cost
        running = self._running.setdefault(key, [])
        running.append(now + self._delay_s(call, length_s))
        if call.given("store_for_inpainting") is True:
            self._stored[song_id] = length_s
        return _Song(id=song_id, length_s=length_s, seed=seed, credits=cost, running=len(running))

    def _delivered(self, call: Call, song: _Song) -> EmulatedAnswer:
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
        if call.switches.get("json") == "refusal":
            return json.dumps(
                {"detail": refuse(200, "x", "system_busy", "The system is busy").detail}
            ).encode()
        if call.is_on("json"):
            return json.dumps({"message": "accepted"}).encode()
        audio = songs.sound(call, song.length_s, song.seed)
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
        """The same for all that belongs to one call."""
        number = sum(self.books.calls.values())
        return hashlib.sha256(f"{self._options.seed} {number} {call.route}".encode()).hexdigest()


def _busy(call: Call, code: str) -> Refusal:
    return _waiting(call, refuse(429, "rate_limit_error", code, _BUSY[code]))


def _waiting(call: Call, refusal: Refusal) -> Refusal:
    """With a Retry-After where the switch asks for one. The vendor's SDKs honour it; its presence is not documented."""
    wait_s = call.switches.get("retry_after")
    return attrs.evolve(refusal, headers={"Retry-After": wait_s}) if wait_s else refusal
