"""The emulator of MiniMax: accounts, order of checks, rate limits, songs and faults.

Sans I/O and deterministic: requests and time come in. A missing key or a malformed header is 1004, a key that
begins with ``bad`` 2049; ``free-plan...`` has no paid model (2061), ``no-credits...`` no balance (1008),
``window-used...`` a used-up plan window (2056). Every other key is valid.
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
from musicgate_minimax import emulator_answers as answers
from musicgate_minimax.emulator_checks import (
    LATE_CODES,
    TEXTS,
    duration_s_of,
    encoding_of,
    recording_refusal,
    refusal_of,
)
from musicgate_minimax.emulator_media import LINK_LIFE_S, Media, Song
from musicgate_minimax.models import RULES

CREATE: Final = "/v1/music_generation"
PREPROCESS: Final = "/v1/music_cover_preprocess"
PRICE_USD: Final = 0.15

_MINUTE_S: Final = 60.0
_FEATURE_LIFE_S: Final = 86_400.0
#: Calls per minute, and concurrent calls.
#: Source: https://platform.minimax.io/docs/guides/rate-limits, July 2026.
_PAID_LIMITS: Final = (120, 20)
_FREE_LIMITS: Final = (3, 3)
#: Seen: 30 to over 120 s (openclaw/openclaw, 2026).
_BASE_DELAY_S: Final = 30.0
_DELAY_PER_SECOND: Final = 0.3


@attrs.define(kw_only=True)
class _Account:
    """Counters of one key."""

    calls_at: list[float] = attrs.field(factory=list)
    busy_until: list[float] = attrs.field(factory=list)
    spent_usd: float = 0.0


@attrs.frozen(kw_only=True)
class _Call:
    """A request to an API route, taken apart."""

    key: str
    body: Mapping[str, object]
    model: str
    trace_id: str
    origin: str
    now: float
    switches: Mapping[str, str]


@attrs.frozen(kw_only=True)
class _Refusal:
    """Code and text of a refusal."""

    code: int
    text: str


class MiniMaxEmulator:
    """An emulated MiniMax; implements `musicgate.plugin.emulator.Emulator`."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.books = EmulatorBooks()
        self._options = options
        self._media = Media(options.seed)
        self._accounts: defaultdict[str, _Account] = defaultdict(_Account)
        self._features: dict[str, float] = {}

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request."""
        parts = urlsplit(request.url)
        if request.method == "GET" and self._media.serves(parts.path):
            self.books.calls["GET media"] += 1
            return self._media.answer(request.url, now)
        route = f"{request.method} {parts.path}"
        self.books.calls[route] += 1
        if route not in {f"POST {CREATE}", f"POST {PREPROCESS}"}:
            return EmulatedAnswer(response=answers.not_found())
        call = self._read(request, now)
        return self._create(call) if parts.path == CREATE else self._preprocess(call)

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """Return nothing: this vendor has no callbacks."""
        return ()

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Do nothing: this vendor has no callbacks."""

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
        # ASSUMED: the order of the checks: key, model, plan, balance, rate, parameters, text, output.
        refusal = (
            self._key_refusal(call)
            or self._model_refusal(call)
            or self._balance_refusal(call)
            or self._rate_refusal(call)
            or self._switched_refusal(call)
            or self._body_refusal(call)
        )
        if refusal is not None:
            delay_s = self._delay_s(call, 0.0) if refusal.code in LATE_CODES else 0.0
            return self._refused(call, refusal, delay_s)
        status = lenient.integer(call.switches.get("http")) or 200
        if 400 <= status < 500:
            return EmulatedAnswer(response=answers.page(status))
        return self._accept(call, status)

    def _accept(self, call: _Call, status: int) -> EmulatedAnswer:
        """Make and charge the song, and answer with the faults of the switches."""
        duration_s = duration_s_of(call.body, call.switches.get("length_s"))
        seed = int(call.trace_id[:8], 16)
        song = Song(
            encoding=encoding_of(call.body),
            duration_s=duration_s,
            seed=seed,
            fault=call.switches.get("media", ""),
        )
        delay_s = self._delay_s(call, duration_s)
        account = self._accounts[call.key]
        account.busy_until.append(call.now + delay_s)
        account.spent_usd += PRICE_USD
        self.books.creates.append(call.trace_id)
        self.books.credits_charged[call.trace_id] = PRICE_USD
        response = self._song(call, song)
        if status >= 500:
            response = answers.page(status)
        if call.switches.get("body"):
            response = answers.unreadable(call.switches["body"], response)
        cut = lenient.integer(call.switches.get("cut"))
        return EmulatedAnswer(
            response=response, delay_s=delay_s, drop="drop" in call.switches, cut_after_bytes=cut
        )

    def _song(self, call: _Call, song: Song) -> HttpResponse:
        content = song.audio()
        extra = {
            "music_duration": round(song.duration_s * 1000),
            "music_sample_rate": song.encoding.sample_rate_hz,
            "music_channel": song.encoding.channels,
            "bitrate": song.encoding.bitrate_bps,
            "music_size": len(content),
        }
        if call.body.get("stream") is True and call.switches.get("sse") != "json":
            return answers.stream(content, extra, call.trace_id, call.switches)
        audio = content.hex()
        if call.body.get("output_format") == "url":
            switched_s = lenient.integer(call.switches.get("link_s"))
            life_s = LINK_LIFE_S if switched_s is None else float(switched_s)
            audio = self._media.signed_link(call.origin, call.trace_id, song, call.now, life_s)
        return answers.song(audio, extra, call.trace_id, call.switches)

    def _preprocess(self, call: _Call) -> EmulatedAnswer:
        """Prepare a reference recording: its id comes from its content and is valid for a day."""
        refusal = self._key_refusal(call) or self._model_refusal(call)
        given = [str(call.body[key]) for key in ("audio_url", "audio_base64") if call.body.get(key)]
        if refusal is None and (len(given) != 1 or not RULES[call.model].is_cover):
            text = "invalid params, exactly one of audio_url, audio_base64 is required"
            refusal = _Refusal(code=2013, text=text)
        invalid = recording_refusal(call.body)
        if refusal is None and invalid is not None:
            refusal = _Refusal(code=2013, text=invalid)
        if refusal is not None:
            return self._refused(call, refusal, 0.0)
        feature_id = hashlib.sha256(given[0].encode()).hexdigest()[:32]
        self._features[feature_id] = call.now + _FEATURE_LIFE_S
        return EmulatedAnswer(response=answers.preprocessed(feature_id, 30.0, call.trace_id))

    def _key_refusal(self, call: _Call) -> _Refusal | None:
        if not call.key:
            return _Refusal(code=1004, text=TEXTS[1004])
        return _Refusal(code=2049, text=TEXTS[2049]) if call.key.startswith("bad") else None

    def _model_refusal(self, call: _Call) -> _Refusal | None:
        if call.model not in RULES:
            # ASSUMED: 2013 for an unknown model.
            return _Refusal(code=2013, text=f"invalid params, unknown model {call.model}")
        # ASSUMED: the ended models answer like models outside the plan; their real answer is not known.
        ended = call.model.endswith("-free") and call.switches.get("free") != "alive"
        if ended or (call.key.startswith("free-plan") and not call.model.endswith("-free")):
            return _Refusal(code=2061, text=f"{TEXTS[2061]}, {call.model}")
        return None

    def _balance_refusal(self, call: _Call) -> _Refusal | None:
        budget = lenient.seconds(call.switches.get("balance_usd"))
        spent = self._accounts[call.key].spent_usd
        if call.key.startswith("no-credits") or (budget is not None and spent + PRICE_USD > budget + 1e-9):
            return _Refusal(code=1008, text=TEXTS[1008])
        return None

    def _rate_refusal(self, call: _Call) -> _Refusal | None:
        if call.key.startswith("window-used"):
            return _Refusal(code=2056, text=_window_text(call.now))
        account, window_s = self._accounts[call.key], _MINUTE_S / self._options.speed
        account.calls_at = [at for at in account.calls_at if at > call.now - window_s]
        account.busy_until = [until for until in account.busy_until if until > call.now]
        default_rpm, default_connections = _FREE_LIMITS if call.model.endswith("-free") else _PAID_LIMITS
        rpm = lenient.integer(call.switches.get("rpm"))
        connections = lenient.integer(call.switches.get("connections"))
        if len(account.calls_at) >= (default_rpm if rpm is None else rpm):
            return _Refusal(code=1002, text=TEXTS[1002])
        account.calls_at.append(call.now)
        if len(account.busy_until) >= (default_connections if connections is None else connections):
            return _Refusal(code=1041, text=TEXTS[1041])
        return None

    def _switched_refusal(self, call: _Call) -> _Refusal | None:
        code = lenient.integer(call.switches.get("code"))
        if code is None:
            return None
        return _Refusal(
            code=code, text=_window_text(call.now) if code == 2056 else TEXTS.get(code, f"error {code}")
        )

    def _body_refusal(self, call: _Call) -> _Refusal | None:
        text = refusal_of(call.body, call.model, self._features, call.now)
        return None if text is None else _Refusal(code=2013, text=text)

    def _refused(self, call: _Call, refusal: _Refusal, delay_s: float) -> EmulatedAnswer:
        text = f"{refusal.text}: {call.key}" if "echo_key" in call.switches else refusal.text
        return EmulatedAnswer(
            response=answers.refusal(refusal.code, text, call.trace_id, call.switches), delay_s=delay_s
        )

    def _delay_s(self, call: _Call, duration_s: float) -> float:
        switched_s = lenient.seconds(call.switches.get("delay_s"))
        return (switched_s or _BASE_DELAY_S + _DELAY_PER_SECOND * duration_s) / self._options.speed


def _window_text(now: float) -> str:
    # Seen: a text of this form (MiniMax-AI/MiniMax-MCP issue 80, May 2026).
    reset = (datetime.fromtimestamp(now, UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    window = "5-hour usage limit reached for Token Plan Starter (1500/1500 used)"
    return f"usage limit exceeded, {window}, resets at {reset}"
