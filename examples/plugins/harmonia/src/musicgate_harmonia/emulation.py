"""Emulate Harmonia: scores, performances, recordings, hooks, faults; no socket and no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import attrs
from musicgate.emulation import (
    AudioFormat,
    Container,
    EmulatedAnswer,
    EmulatedCallback,
    EmulatorBooks,
    EmulatorOptions,
    song,
    switches_in,
)
from musicgate.plugin import HttpRequest, HttpResponse, JsonObject, JsonValue, ProviderError, Secret
from musicgate.plugin.lenient import mapping, seconds, text

from musicgate_harmonia.callback import SIGNATURE_HEADER, sign
from musicgate_harmonia.declaration import PRICE_USD_PER_S
from musicgate_harmonia.read import PERFORMANCES_PATH
from musicgate_harmonia.switches import (
    account_refusal,
    answer_file,
    answer_json,
    answer_nothing,
    fault,
    refuse,
    score_refusal,
)
from musicgate_harmonia.translate import SCORES_PATH

#: Source: VENDOR.md, 2026-11-20: about 25 seconds; hooks up to three times, a minute apart; links live for a
#: day.
TUNING_S: Final = 5.0
REHEARSING_S: Final = 15.0
MASTERED_S: Final = 25.0
RETRY_AFTER_S: Final = 60.0
MAX_TRIES: Final = 3
LINK_LIFE_S: Final = 86_400.0

_RECORDINGS_PATH: Final = "/v2/recordings"
_SONG_S: Final = 10.0
_STALE_S: Final = 3600
_REASONS: Final[Mapping[str, JsonObject]] = {
    "silenced": {"kind": "content-rules", "note": "The brief breaks the content rules"},
    "broken": {"kind": "broken-string", "note": "The performance failed"},
}


@attrs.define(kw_only=True)
class _Performance:
    """One performance of a score."""

    ref: str
    score: JsonObject
    switches: Mapping[str, str]
    created_s: float
    speed: float
    withdrawn_s: float | None = None

    @property
    def ends_at_s(self) -> float:
        return self.created_s + MASTERED_S / self.speed

    @property
    def length_s(self) -> float:
        return seconds(self.switches.get("song_s")) or seconds(self.score.get("seconds")) or _SONG_S

    @property
    def container(self) -> str:
        return text(self.score.get("container")) or "mp3"

    def state(self, now: float) -> str:
        if self.withdrawn_s is not None and now >= self.withdrawn_s:
            return "withdrawn"
        age_s = (now - self.created_s) * self.speed
        if age_s < REHEARSING_S:
            return "tuning" if age_s < TUNING_S else "rehearsing"
        return "performing" if now < self.ends_at_s else self.switches.get("end", "mastered")

    def record(self, now: float) -> JsonObject:
        state = self.state(now)
        record: dict[str, JsonValue] = {"ref": self.ref, "state": state, "created": iso(self.created_s)}
        record |= {"name": self.score["name"]} if "name" in self.score else {}
        record |= {"reason": _REASONS[state]} if state in _REASONS else {}
        if state in {"performing", "mastered"} and self.switches.get("recording") != "none":
            minutes, rest = divmod(self.length_s, 60)
            record["recording"] = {
                "href": f"{_RECORDINGS_PATH}/{self.ref}/master.{self.container}",
                "length": f"PT{int(minutes)}M{rest:g}S" if minutes else f"PT{rest:g}S",
                "until": iso(self.ends_at_s + LINK_LIFE_S),
            }
        return {"performance": record}


@attrs.define(kw_only=True)
class _Due:
    """A hook that is to be called."""

    id: str
    performance: _Performance
    at_s: float
    tries: int = 0


class HarmoniaEmulator:
    """An emulated Harmonia. See `musicgate.plugin.emulator.Emulator`."""

    def __init__(self, options: EmulatorOptions) -> None:
        self.books = EmulatorBooks()
        self._options = options
        self._scores: dict[str, JsonObject] = {}
        self._performances: dict[str, _Performance] = {}
        self._due: list[_Due] = []
        self._sent: dict[str, _Due] = {}

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request."""
        path = urlsplit(request.url).path
        match (request.method, *path.strip("/").split("/")):
            case ("GET", "v2", "recordings", ref, file):
                route, answer = "GET /v2/recordings/{ref}/{file}", self._recording(ref, file, now)
            case ("POST", "v2", "scores"):
                route = f"POST {SCORES_PATH}"
                answer = account_refusal(request) or self._score(request)
            case ("POST", "v2", "scores", ref, "performances"):
                route = f"POST {SCORES_PATH}/{{ref}}/performances"
                answer = account_refusal(request) or self._perform(ref, now)
            case ("GET" | "DELETE" as method, "v2", "performances", ref):
                route = f"{method} {PERFORMANCES_PATH}/{{ref}}"
                answer = account_refusal(request) or self._poll(ref, now, withdraw=method == "DELETE")
            case _:
                route, answer = f"{request.method} {path}", refuse(404)
        self.books.calls[route] += 1
        return answer

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """Return the hooks to call now."""
        ready = [due for due in self._due if due.at_s <= now]
        self._due = [due for due in self._due if due.at_s > now]
        self._sent |= {due.id: due for due in ready}
        return [EmulatedCallback(id=due.id, request=self._hook(due.performance, now)) for due in ready]

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Plan another try of a hook that was not answered with 2xx, up to a limit."""
        due = self._sent.pop(callback_id, None)
        if due is None or (status is not None and 200 <= status < 300) or due.tries + 1 >= MAX_TRIES:
            return
        again = attrs.evolve(
            due, id=f"{due.id}+", at_s=now + RETRY_AFTER_S / self._options.speed, tries=due.tries + 1
        )
        self._due.append(again)

    def _score(self, request: HttpRequest) -> EmulatedAnswer:
        try:
            score = HttpResponse(status=200, body=request.body).json_object()
        except ProviderError:
            return refuse(400)
        wrong = score_refusal(score) or fault(self._switches(score).get("create", ""))
        if wrong is not None:
            return wrong
        ref = f"sc_{self._digest('score', len(self._scores))}"
        self._scores[ref] = score
        return answer_json(201, {"score": {"ref": ref}})

    def _perform(self, score_ref: str, now: float) -> EmulatedAnswer:
        score = self._scores.get(score_ref)
        if score is None:
            return refuse(404)
        switches = self._switches(score)
        broken = fault(switches.get("perform", ""))
        if broken is not None:
            return broken
        made = self._begin(score, switches, now)
        location = (
            {} if switches.get("perform") == "lost" else {"Location": f"{PERFORMANCES_PATH}/{made.ref}"}
        )
        return attrs.evolve(answer_nothing(202, location), drop=switches.get("perform") == "drop")

    def _begin(self, score: JsonObject, switches: Mapping[str, str], now: float) -> _Performance:
        made = _Performance(
            ref=f"pf_{self._digest('performance', len(self._performances))}",
            score=score,
            switches=switches,
            created_s=now,
            speed=self._options.speed,
        )
        self._performances[made.ref] = made
        self.books.creates.append(made.ref)
        is_free = switches.get("end") in _REASONS
        self.books.credits_charged[made.ref] = 0.0 if is_free else made.length_s * float(PRICE_USD_PER_S)
        hooks = switches.get("hooks", "")
        if mapping(score.get("hook")).get("url") and hooks != "off":
            for number in range(2 if hooks == "double" else 1):
                self._due.append(_Due(id=f"{made.ref}:{number}", performance=made, at_s=made.ends_at_s))
        return made

    def _poll(self, ref: str, now: float, *, withdraw: bool) -> EmulatedAnswer:
        made = self._performances.get(ref)
        if made is None:
            return refuse(404)
        if withdraw:
            if now >= made.ends_at_s:
                return refuse(409)
            made.withdrawn_s = now if made.withdrawn_s is None else made.withdrawn_s
        return fault(made.switches.get("poll", "")) or answer_json(200, made.record(now))

    def _recording(self, ref: str, file: str, now: float) -> EmulatedAnswer:
        made = self._performances.get(ref)
        if made is None or file != f"master.{made.container}" or now > made.ends_at_s + LINK_LIFE_S:
            return refuse(404)
        sound = AudioFormat(container=Container(made.container))
        seed = int(hashlib.sha256(ref.encode()).hexdigest()[:6], 16)
        # Before it is mastered, a recording is half as long.
        length_s = made.length_s if made.state(now) == "mastered" else made.length_s / 2
        content = song(sound, length_s, seed=seed)
        broken = made.switches.get("recording", "")
        kind = "audio/wav" if made.container == "wav" else "audio/mpeg"
        answer = fault(broken) or answer_file(kind, content)
        return attrs.evolve(answer, cut_after_bytes=len(content) // 2 if broken == "cut" else None)

    def _hook(self, made: _Performance, now: float) -> HttpRequest:
        performance = {"ref": made.ref, "state": made.state(now)}
        body = {"event": "performance.ended", "performance": performance}
        request = HttpRequest.post_json(str(mapping(made.score.get("hook")).get("url")), body)
        if self._options.webhook_secret is None:
            return request
        switch = made.switches.get("hooks", "")
        at = iso(now - (_STALE_S if switch == "stale" else 0))
        signature = sign(request.body, at, Secret(self._options.webhook_secret))
        if switch == "badsign":
            signature = signature[::-1]
        headers = {**request.headers, SIGNATURE_HEADER: f"at={at}; sig={signature}"}
        return attrs.evolve(request, headers=headers)

    def _switches(self, score: JsonObject) -> Mapping[str, str]:
        return {**self._options.switches, **switches_in(*score.values())}

    def _digest(self, kind: str, number: int) -> str:
        return hashlib.sha256(f"{self._options.seed}|{kind}|{number}".encode()).hexdigest()[:20]


def iso(at_s: float) -> str:
    """Format epoch seconds as the vendor writes times."""
    return datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
