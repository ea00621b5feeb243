"""MiniMax, played: order of checks, limits, books and time; shapes, rules and media are in the modules beside this one.

Keys: none or a malformed header is 1004; one that begins with ``bad`` is 2049; ``free-plan...`` has no paid model (2061),
``no-credits...`` no balance (1008), ``window-used...`` a used-up plan window (2056). Every other key is good.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import attrs

from musicgate.emulation import (
    EmulatedAnswer,
    EmulatedCallback,
    EmulatorBooks,
    EmulatorOptions,
    switches_in,
)
from musicgate.plugin import HttpRequest, HttpResponse, lenient
from musicgate_minimax import emulation_answers as answers
from musicgate_minimax.emulation_media import LINK_LIFE_S, Shelf, Song
from musicgate_minimax.emulation_rules import (
    LATE_CODES,
    TEXTS,
    duration_s_of,
    recording_refusal,
    refusal_of,
    sound_of,
)
from musicgate_minimax.models import RULES

CREATE: Final = "/v1/music_generation"
PREPROCESS: Final = "/v1/music_cover_preprocess"
PRICE_USD: Final = 0.15

_MINUTE_S: Final = 60.0
_FEATURE_LIFE_S: Final = 86_400.0
#: Calls a minute and at a time. Source: https://platform.minimax.io/docs/guides/rate-limits, July 2026.
_PAID_LIMITS: Final = (120, 20)
_FREE_LIMITS: Final = (3, 3)
#: Seen: 30 to over 120 s (openclaw/openclaw, 2026).
_BASE_DELAY_S: Final = 30.0
_DELAY_PER_SECOND: Final = 0.3


@attrs.define(kw_only=True)
class _Account:
    """What is counted for one key."""

    calls_at: list[float] = attrs.field(factory=list)
    busy_until: list[float] = attrs.field(factory=list)
    spent_usd: float = 0.0


@attrs.frozen(kw_only=True)
class _Call:
    """One request to an API route, read."""

    key: str
    body: Mapping[str, object]
    model: str
    trace_id: str
    origin: str
    now: float
    switches: Mapping[str, str]


@attrs.frozen(kw_only=True)
class _No:
    """A refusal: its number and text."""

    code: int
    text: str


class MiniMaxEmulator:
    """See the module. Deterministic in its seed, its requests and their times."""

    def __init__(self, options: EmulatorOptions) -> None:
        """Start with empty books."""
        self.books = EmulatorBooks()
        self._options = options
        self._shelf = Shelf(options.seed)
        self._accounts: defaultdict[str, _Account] = defaultdict(_Account)
        self._features: dict[str, float] = {}

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request."""
        parts = urlsplit(request.url)
        if request.method == "GET" and self._shelf.holds(parts.path):
            self.books.calls["GET media"] += 1
            return self._shelf.answer(request.url, now)
        route = f"{request.method} {parts.path}"
        self.books.calls[route] += 1
        if route not in {f"POST {CREATE}", f"POST {PREPROCESS}"}:
            return EmulatedAnswer(response=answers.not_found())
        call = self._read(request, now)
        return self._create(call) if parts.path == CREATE else self._preprocess(call)

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """This vendor calls nobody."""
        return ()

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """This vendor calls nobody, so nobody answers."""

    def _read(self, request: HttpRequest, now: float) -> _Call:
        headers = {name.lower(): value for name, value in request.headers.items()}
        scheme, _, key = headers.get("authorization", "").partition(" ")
        try:
            body = lenient.mapping(json.loads(request.body))
        except ValueError:
            body = {}
        parts = urlsplit(request.url)
        number = self.books.calls.total()
        digest = hashlib.sha256(f"{self._options.seed}|{number}|{now}".encode() + request.body).hexdigest()
        return _Call(
            key=key.strip() if scheme == "Bearer" else "",
            body=body,
            model=str(body.get("model") or ""),
            trace_id=digest[:32],
            origin=f"{parts.scheme}://{parts.netloc}",
            now=now,
            switches={**self._options.switches, **switches_in(*body.values())},
        )

    def _create(self, call: _Call) -> EmulatedAnswer:
        """The vendor's order of checks. ASSUMED: key, model, plan, balance, rate, parameters, text, output."""
        no = (
            self._refused_key(call)
            or self._refused_model(call)
            or self._refused_balance(call)
            or self._refused_rate(call)
            or self._refused_by_switch(call)
            or self._refused_body(call)
        )
        if no is not None:
            late = self._delay_s(call, 0.0) if no.code in LATE_CODES else 0.0
            return self._told(call, no, late)
        status = lenient.integer(call.switches.get("http")) or 200
        if 400 <= status < 500:
            return EmulatedAnswer(response=answers.page(status))
        return self._sing(call, status)

    def _sing(self, call: _Call, status: int) -> EmulatedAnswer:
        """Make the song, write it into the books, and answer as the switches want it."""
        duration_s = duration_s_of(call.body, call.switches.get("length_s"))
        seed = int(call.trace_id[:8], 16)
        song = Song(
            sound=sound_of(call.body), duration_s=duration_s, seed=seed, fault=call.switches.get("media", "")
        )
        delay_s = self._delay_s(call, duration_s)
        account = self._accounts[call.key]
        account.busy_until.append(call.now + delay_s)
        account.spent_usd += PRICE_USD
        self.books.creates.append(call.trace_id)
        self.books.credits_charged[call.trace_id] = PRICE_USD
        response = self._sung(call, song)
        if status >= 500:
            response = answers.page(status)
        if call.switches.get("body"):
            response = answers.spoilt(call.switches["body"], response)
        cut = lenient.integer(call.switches.get("cut"))
        return EmulatedAnswer(
            response=response, delay_s=delay_s, drop="drop" in call.switches, cut_after_bytes=cut
        )

    def _sung(self, call: _Call, song: Song) -> HttpResponse:
        content = song.play()
        extra = {
            "music_duration": round(song.duration_s * 1000),
            "music_sample_rate": song.sound.sample_rate_hz,
            "music_channel": song.sound.channels,
            "bitrate": song.sound.bitrate_bps,
            "music_size": len(content),
        }
        if call.body.get("stream") is True and call.switches.get("sse") != "json":
            return answers.stream(content, extra, call.trace_id, call.switches)
        audio = content.hex()
        if call.body.get("output_format") == "url":
            wished_s = lenient.integer(call.switches.get("link_s"))
            life_s = LINK_LIFE_S if wished_s is None else float(wished_s)
            audio = self._shelf.link(call.origin, call.trace_id, song, call.now, life_s)
        return answers.song(audio, extra, call.trace_id, call.switches)

    def _preprocess(self, call: _Call) -> EmulatedAnswer:
        """A reference recording gets an id from its content, good for a day; the same recording gets the same id."""
        no = self._refused_key(call) or self._refused_model(call)
        given = [str(call.body[key]) for key in ("audio_url", "audio_base64") if call.body.get(key)]
        if no is None and (len(given) != 1 or not RULES[call.model].is_cover):
            no = _No(code=2013, text="invalid params, exactly one of audio_url, audio_base64 is required")
        wrong = recording_refusal(call.body)
        if no is None and wrong is not None:
            no = _No(code=2013, text=wrong)
        if no is not None:
            return self._told(call, no, 0.0)
        feature_id = hashlib.sha256(given[0].encode()).hexdigest()[:32]
        self._features[feature_id] = call.now + _FEATURE_LIFE_S
        return EmulatedAnswer(response=answers.preprocessed(feature_id, 30.0, call.trace_id))

    def _refused_key(self, call: _Call) -> _No | None:
        if not call.key:
            return _No(code=1004, text=TEXTS[1004])
        return _No(code=2049, text=TEXTS[2049]) if call.key.startswith("bad") else None

    def _refused_model(self, call: _Call) -> _No | None:
        if call.model not in RULES:
            # ASSUMED: 2013 for an unknown model.
            return _No(code=2013, text=f"invalid params, unknown model {call.model}")
        # ASSUMED: the ended models answer like models outside the plan; what they really say is not known.
        ended = call.model.endswith("-free") and call.switches.get("free") != "alive"
        if ended or (call.key.startswith("free-plan") and not call.model.endswith("-free")):
            return _No(code=2061, text=f"{TEXTS[2061]}, {call.model}")
        return None

    def _refused_balance(self, call: _Call) -> _No | None:
        budget = lenient.seconds(call.switches.get("balance_usd"))
        spent = self._accounts[call.key].spent_usd
        if call.key.startswith("no-credits") or (budget is not None and spent + PRICE_USD > budget + 1e-9):
            return _No(code=1008, text=TEXTS[1008])
        return None

    def _refused_rate(self, call: _Call) -> _No | None:
        if call.key.startswith("window-used"):
            return _No(code=2056, text=_window_text(call.now))
        account, window_s = self._accounts[call.key], _MINUTE_S / self._options.speed
        account.calls_at = [at for at in account.calls_at if at > call.now - window_s]
        account.busy_until = [until for until in account.busy_until if until > call.now]
        usual = _FREE_LIMITS if call.model.endswith("-free") else _PAID_LIMITS
        wished = [lenient.integer(call.switches.get(name)) for name in ("rpm", "connections")]
        rpm, connections = (
            limit if wish is None else wish for limit, wish in zip(usual, wished, strict=True)
        )
        if len(account.calls_at) >= rpm:
            return _No(code=1002, text=TEXTS[1002])
        account.calls_at.append(call.now)
        if len(account.busy_until) >= connections:
            return _No(code=1041, text=TEXTS[1041])
        return None

    def _refused_by_switch(self, call: _Call) -> _No | None:
        code = lenient.integer(call.switches.get("code"))
        if code is None:
            return None
        return _No(
            code=code, text=_window_text(call.now) if code == 2056 else TEXTS.get(code, f"error {code}")
        )

    def _refused_body(self, call: _Call) -> _No | None:
        text = refusal_of(call.body, call.model, self._features, call.now)
        return None if text is None else _No(code=2013, text=text)

    def _told(self, call: _Call, no: _No, delay_s: float) -> EmulatedAnswer:
        text = f"{no.text}: {call.key}" if "echo_key" in call.switches else no.text
        return EmulatedAnswer(
            response=answers.refusal(no.code, text, call.trace_id, call.switches), delay_s=delay_s
        )

    def _delay_s(self, call: _Call, duration_s: float) -> float:
        asked = lenient.seconds(call.switches.get("delay_s"))
        return (asked or _BASE_DELAY_S + _DELAY_PER_SECOND * duration_s) / self._options.speed


def _window_text(now: float) -> str:
    """Seen: a text of this form (MiniMax-AI/MiniMax-MCP issue 80, May 2026)."""
    reset = (datetime.fromtimestamp(now, UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    window = "5-hour usage limit reached for Token Plan Starter (1500/1500 used)"
    return f"usage limit exceeded, {window}, resets at {reset}"
