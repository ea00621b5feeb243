"""An emulated Harmonia: its routes, states, problems, hooks and recordings.

Source: VENDOR.md, 2026-11-20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

import attrs
from musicgate.emulation import (
    AudioFormat,
    Auth,
    Call,
    Container,
    EmulatedAnswer,
    EmulatedVendor,
    EmulatorOptions,
    Kind,
    MediaFile,
    Signed,
    Switch,
    Task,
    answer_bytes,
    answer_json,
    route,
)
from musicgate.emulation import switches as kinds
from musicgate.plugin import JsonObject, JsonValue, Secret
from musicgate.plugin.lenient import integer, mapping, seconds, text

from musicgate_harmonia.callback import SIGNATURE_HEADER, sign
from musicgate_harmonia.declaration import (
    BRIEF_BYTES,
    LABEL_BYTES,
    LONGEST_S,
    PRICE_USD_PER_S,
    SHORTEST_S,
    WORDS_BYTES,
)
from musicgate_harmonia.read import PERFORMANCES_PATH
from musicgate_harmonia.translate import SCORES_PATH

LINK_LIFE_S: Final = 86_400.0

_RECORDINGS_PATH: Final = "/v2/recordings/"
_SONG_S: Final = 10.0
_REASONS: Final[Mapping[str, JsonObject]] = {
    "silenced": {"kind": "content-rules", "note": "The brief breaks the content rules"},
    "broken": {"kind": "broken-string", "note": "The performance failed"},
}
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
#: Three seconds after its ``Date``, and long past: a client that counts from its own clock may retry at once.
_WAIT: Final = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Retry-After": "Thu, 01 Jan 2026 00:00:03 GMT"}
_ENGINES: Final = ("allegro-2", "largo-1")
_MAX_BYTES: Final = {
    "brief": BRIEF_BYTES,
    "words": WORDS_BYTES,
    "genre": LABEL_BYTES,
    "avoid": LABEL_BYTES,
    "name": LABEL_BYTES,
}


@attrs.define(kw_only=True)
class Performance(Task):
    """One performance of a score, which is its request."""

    stages: ClassVar[Mapping[str, float]] = {
        "tuning": 0.0,
        "rehearsing": 5.0,
        "performing": 15.0,
        "mastered": 25.0,
    }
    failures: ClassVar[frozenset[str]] = frozenset(_REASONS)
    cancelled: ClassVar[str] = "withdrawn"

    @property
    def song_s(self) -> float:
        """Length of the whole song."""
        return self.length_s(0, seconds(self.request.get("seconds")) or _SONG_S)

    @property
    def container(self) -> str:
        """Format of the recording."""
        return text(self.request.get("container")) or "mp3"

    def record(self, now: float, state: str) -> JsonObject:
        """Make the vendor's record."""
        record: dict[str, JsonValue] = {"ref": self.id, "state": state, "created": iso(self.created_s)}
        record |= {"name": self.request["name"]} if "name" in self.request else {}
        record |= {"reason": _REASONS[state]} if state in _REASONS else {}
        if state in {"performing", "mastered"} and self.switches.get("recording") != "none":
            minutes, rest = divmod(self.song_s, 60)
            record["recording"] = {
                "href": f"{_RECORDINGS_PATH}{self.id}/master.{self.container}",
                "length": f"PT{int(minutes)}M{rest:g}S" if minutes else f"PT{rest:g}S",
                "until": iso(self.ends_at_s + LINK_LIFE_S),
            }
        return {"performance": record}


def _sign(signed: Signed) -> Mapping[str, str]:
    at = iso(float(signed.timestamp))
    return {SIGNATURE_HEADER: f"at={at}; sig={sign(signed.body, at, Secret(signed.secret))}"}


class HarmoniaEmulator(EmulatedVendor[Performance]):
    """An emulated Harmonia."""

    name = "harmonia"
    auth = Auth("X-Harmonia-Key")
    task_type = Performance
    media_paths = (_RECORDINGS_PATH,)
    checks = ("key", "credits", "score", "fault")
    sign = staticmethod(_sign)
    #: Hooks are called up to three times, a minute apart.
    retries_after_s = (60.0, 60.0)
    switches = (
        Switch(
            "score", kinds.script(kinds.ANSWER_FAULTS), "the answer to the call for a score, which is free"
        ),
        kinds.CREATE.plus(no_location="begun, and the answer has no Location"),
        Switch("recording", kinds.word("none"), "mastered without a recording"),
    )

    def __init__(self, options: EmulatorOptions) -> None:
        super().__init__(options)
        #: By id: the score, and the call that it came with.
        self._scores: dict[str, Call] = {}

    def refuse(self, call: Call, code: int, text: str) -> EmulatedAnswer:
        """Make the vendor's problem for a status."""
        kind, detail = _PROBLEMS.get(code, ("false-note", "Internal error"))
        problem = {"type": f"https://harmonia.example/problems/{kind}", "detail": detail, "status": code}
        return answer_json(code, problem, _WAIT if code == 429 else {}, "application/problem+json")

    def check_request(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a score that breaks a limit."""
        score = call.body
        length_s = integer(score.get("seconds")) if "seconds" in score else SHORTEST_S
        is_good = (
            score.get("engine") in _ENGINES
            and bool(score.get("brief") or score.get("words"))
            and all(len(str(score.get(field, "")).encode()) <= most for field, most in _MAX_BYTES.items())
            and length_s is not None
            and SHORTEST_S <= length_s <= LONGEST_S
        )
        return None if is_good else self.refuse(call, 400, "")

    def check_score_fault(self, call: Call) -> EmulatedAnswer | None:
        """Play the script ``score``."""
        return self.play(call, self.next_fault("score", call), None)

    def check_score(self, call: Call) -> EmulatedAnswer | None:
        """Find the score that is to be performed: it brings the body and the switches."""
        score = self._scores.get(call.parameters["ref"])
        if score is None:
            return self.refuse(call, 404, "")
        call.body, call.switches, call.raw = score.body, score.switches, score.raw
        return None

    @route(f"POST {SCORES_PATH}", checks=("key", "credits", "body", "request", "score_fault"))
    def score(self, call: Call) -> EmulatedAnswer:
        """Write a score."""
        ref = f"sc_{self.digest('score', len(self._scores))[:20]}"
        self._scores[ref] = call
        return answer_json(201, {"score": {"ref": ref}})

    @route(f"POST {SCORES_PATH}/{{ref}}/performances", Kind.CREATE)
    def perform(self, call: Call) -> EmulatedAnswer:
        """Begin a performance."""
        made = self.accept(
            call,
            task_id=f"pf_{self.digest('performance', len(self.tasks))[:20]}",
            callback_url=text(mapping(call.body.get("hook")).get("url")) or "",
            price=0.0,
        )
        self.books.credits_charged[made.id] = 0.0 if made.fails else made.song_s * float(PRICE_USD_PER_S)
        place = {} if call.fault == "no_location" else {"Location": f"{PERFORMANCES_PATH}/{made.id}"}
        return answer_bytes(202, "text/plain", b"", place)

    @route(f"GET {PERFORMANCES_PATH}/{{id}}", Kind.POLL)
    def poll(self, call: Call, made: Performance) -> EmulatedAnswer:
        """Show a performance."""
        return answer_json(200, made.record(call.now, call.false_status or made.status(call.now)))

    @route(f"DELETE {PERFORMANCES_PATH}/{{id}}", Kind.CANCEL)
    def withdraw(self, call: Call, made: Performance) -> EmulatedAnswer:
        """Withdraw a performance that has not ended."""
        if call.now >= made.ends_at_s:
            return self.refuse(call, 409, "")
        self.stop(made, call.now)
        return answer_json(200, made.record(call.now, made.status(call.now)))

    def callback(self, made: Performance, stage: str, now: float) -> JsonObject:
        """Make the body of a hook."""
        return {"event": "performance.ended", "performance": {"ref": made.id, "state": made.status(now)}}

    def serve_media(self, call: Call) -> EmulatedAnswer:
        """Serve a recording; before it is mastered, it is half as long."""
        ref, _, file = call.path.removeprefix(_RECORDINGS_PATH).partition("/")
        made = self.tasks.get(ref)
        if made is None or file != f"master.{made.container}" or call.now > made.ends_at_s + LINK_LIFE_S:
            return self.refuse(call, 404, "")
        whole = made.status(call.now) == "mastered"
        recording = MediaFile(
            sound=AudioFormat(container=Container(made.container)),
            length_s=made.song_s if whole else made.song_s / 2,
            seed=int(hashlib.sha256(ref.encode()).hexdigest()[:6], 16),
            switches=made.switches,
        )
        return self.media.serve(call, recording)


def iso(at_s: float) -> str:
    """Format epoch seconds as the vendor writes times."""
    return datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
