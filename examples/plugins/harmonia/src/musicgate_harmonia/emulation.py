"""An emulated Harmonia: its routes, states, problems, hooks and recordings."""

from datetime import UTC, datetime
from typing import ClassVar, Final

import attrs
from musicgate import emulation as emu
from musicgate.emulation import switches as kinds
from musicgate.plugin import JsonObject
from musicgate.plugin.lenient import mapping, seconds, text

from musicgate_harmonia import PERFORMANCES, PROBLEMS, PROVIDER, SCORES

_REASONS: Final = {"silenced": "content-rules", "broken": "broken-string"}
#: Three seconds after its ``Date``, and long past: a client that counts from its own clock may retry at once.
_WAIT: Final = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Retry-After": "Thu, 01 Jan 2026 00:00:03 GMT"}


@attrs.define(kw_only=True)
class Performance(emu.Task):
    stages: ClassVar = {"tuning": 0.0, "rehearsing": 5.0, "performing": 15.0, "mastered": 25.0}
    failures: ClassVar = frozenset(_REASONS)
    cancelled: ClassVar = "withdrawn"


class HarmoniaEmulator(emu.EmulatedVendor[Performance]):
    provider = PROVIDER
    task_type = Performance
    model_field = "engine"
    media_paths = ("/v2/recordings/",)
    checks = ("key", "credits", "score", "fault")
    retries_after_s = (60.0, 60.0)
    switches = (
        emu.Switch("score", kinds.script(kinds.ANSWER_FAULTS), "the answer to the free call for a score"),
        kinds.CREATE.plus(no_location="begun, and the answer has no Location"),
        emu.Switch("recording", kinds.word("none"), "mastered without a recording"),
    )

    def __init__(self, options: emu.EmulatorOptions) -> None:
        super().__init__(options)
        self._scores: dict[str, emu.Call] = {}  # by id: the call that made it

    def refuse(self, call: emu.Call, code: int, text: str) -> emu.EmulatedAnswer:
        kind = f"https://harmonia.example/problems/{PROBLEMS[code][0] if code in PROBLEMS else 'false-note'}"
        problem = {"type": kind, "detail": text, "status": code}
        return emu.answer_json(code, problem, _WAIT if code == 429 else {}, "application/problem+json")

    def check_score_fault(self, call: emu.Call) -> emu.EmulatedAnswer | None:
        return self.play(call, self.next_fault("score", call), None)

    def check_score(self, call: emu.Call) -> emu.EmulatedAnswer | None:
        """Find the score that is to be performed: it brings the body and the switches."""
        score = self._scores.get(call.parameters["ref"])
        if score is None:
            return self.refuse(call, 404, "There is no such piece")
        call.body, call.switches, call.raw = score.body, score.switches, score.raw
        return None

    @emu.route(f"POST {SCORES}", checks=("key", "credits", "body", "limits", "score_fault"))
    def score(self, call: emu.Call) -> emu.EmulatedAnswer:
        ref = f"sc_{self.digest('score', len(self._scores))[:20]}"
        self._scores[ref] = call
        return emu.answer_json(201, {"score": {"ref": ref}})

    @emu.route(f"POST {SCORES}/{{ref}}/performances", emu.Kind.CREATE)
    def perform(self, call: emu.Call) -> emu.EmulatedAnswer:
        hook = text(mapping(call.body.get("hook")).get("url")) or ""
        made = self.accept(call, task_id=f"pf_{self.digest(len(self.tasks))[:20]}", callback_url=hook)
        place = {} if call.fault == "no_location" else {"Location": f"{PERFORMANCES}/{made.id}"}
        return emu.answer_bytes(202, "text/plain", b"", place)

    @emu.route(f"GET {PERFORMANCES}/{{id}}", emu.Kind.POLL)
    def poll(self, call: emu.Call, made: Performance) -> emu.EmulatedAnswer:
        return emu.answer_json(200, self.record(made, call.false_status or made.status(call.now)))

    @emu.route(f"DELETE {PERFORMANCES}/{{id}}", emu.Kind.CANCEL)
    def withdraw(self, call: emu.Call, made: Performance) -> emu.EmulatedAnswer:
        if call.now >= made.ends_at_s:
            return self.refuse(call, 409, "The performance has ended")
        self.stop(made, call.now, refund=True)
        return emu.answer_json(200, self.record(made, made.status(call.now)))

    def callback(self, made: Performance, stage: str, now: float) -> JsonObject:
        return {"event": "performance.ended", "performance": {"ref": made.id, "state": made.status(now)}}

    def record(self, made: Performance, state: str) -> JsonObject:
        name = made.request.get("name")
        record = {"ref": made.id, "state": state, "created": _iso(made.created_s), "name": name}
        if state in _REASONS:
            record["reason"] = {"kind": _REASONS[state], "note": "There was no music"}
        if state not in {"performing", "mastered"} or made.switches.get("recording") == "none":
            return {"performance": record}
        song_s = made.length_s(0, seconds(made.request.get("seconds")) or self.usual_s)
        container, until_s = emu.Container(str(made.request.get("container", "mp3"))), made.ends_at_s + 86_400
        file = emu.MediaFile(
            sound=emu.AudioFormat(container=container),
            length_s=song_s if state == "mastered" else song_s / 2,
            seed=int(self.digest(made.id)[:6], 16),
            switches=made.switches,
            expires_s=until_s,
        )
        link = self.media.add(f"/v2/recordings/{made.id}/master.{container}", file)
        length = f"PT{int(song_s // 60)}M{song_s % 60:g}S"
        recording = {"href": link, "length": length, "until": _iso(until_s)}
        return {"performance": {**record, "recording": recording}}


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
