"""Callbacks of the emulated kie.ai: times, bodies, signatures and retries."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.emulation import EmulatedCallback
from musicgate.plugin import HttpRequest, JsonObject, Secret
from musicgate_suno_kie.callback import sign
from musicgate_suno_kie.declaration import PLACEHOLDER_CALLBACK_URL, Dialect
from musicgate_suno_kie.emulator_task import Task, snake_case

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Seconds between a failed callback and the next attempt.
#: Source: docs.kie.ai/suno-api/generate-music-callbacks, one page version.
RETRIES_AFTER_S: Final = (60.0, 300.0, 900.0)
TIMEOUT_S: Final = 15.0
_STALE_S = 3600
_MESSAGES = {
    "text": "Text generated successfully.",
    "first": "First track generated successfully.",
    "complete": "All generated successfully.",
}


@attrs.define(kw_only=True, order=True)
class _Due:
    at: float
    number: int
    stage: str = attrs.field(order=False)
    task: Task = attrs.field(order=False)
    retries: int = attrs.field(default=0, order=False)


class CallbackQueue:
    """Callbacks that are due later, and those that wait for an answer."""

    def __init__(self, secret: str | None) -> None:
        self._secret = Secret(secret) if secret else None
        self._queue: list[_Due] = []
        self._sent: dict[str, _Due] = {}
        self._count = 0

    def schedule(self, task: Task) -> None:
        """Schedule the callbacks of a new task; the placeholder address gets none."""
        faults = task.switches.get_all("callbacks")
        if not task.callback_url or task.callback_url == PLACEHOLDER_CALLBACK_URL or "off" in faults:
            return
        if task.switches.get("stop"):
            return
        stages = [(task.at_s(stage), stage) for stage in task.stages()]
        if task.fails:
            stages = stages[-1:]
        if "reverse" in faults:
            stages = [(at, stage) for (at, _), (_, stage) in zip(stages, reversed(stages), strict=True)]
        for at, stage in stages:
            for _ in range(2 if "double" in faults else 1):
                self._push(_Due(at=at, number=self._count, stage=stage, task=task))

    def due(self, now: float) -> Sequence[EmulatedCallback]:
        """Callbacks to send now; each attempt is returned once."""
        calls = []
        while self._queue and self._queue[0].at <= now:
            due = heapq.heappop(self._queue)
            name = f"{due.task.id}:{due.stage}:{due.number}:{due.retries}"
            self._sent[name] = due
            calls.append(EmulatedCallback(id=name, request=self._request(due, now), timeout_s=TIMEOUT_S))
        return calls

    def answered(self, name: str, status: int | None, now: float) -> None:
        """Schedule a retry of a callback that was not answered with 200; at most three retries."""
        due = self._sent.pop(name, None)
        if due is None or status == 200 or due.retries >= len(RETRIES_AFTER_S):
            return
        due.at = now + RETRIES_AFTER_S[due.retries] / due.task.speed
        due.retries += 1
        self._push(due)

    def _push(self, due: _Due) -> None:
        self._count += 1
        heapq.heappush(self._queue, due)

    def _request(self, due: _Due, now: float) -> HttpRequest:
        request = HttpRequest.post_json(due.task.callback_url, _body(due.task, due.stage, now))
        faults = due.task.switches.get_all("callbacks")
        if self._secret is None or "unsigned" in faults:
            return request
        timestamp = str(int(now) - (_STALE_S if "stale" in faults else 0))
        signature = sign("badsign" if "badsign" in faults else due.task.id, timestamp, self._secret)
        signed = {**request.headers, "X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}
        return attrs.evolve(request, headers=signed)


def _body(task: Task, stage: str, now: float) -> JsonObject:
    """Build a callback's body. Which shape market tasks send is unknown; ASSUMED: the market's own."""
    shape = task.switches.get("callback_shape") or ("market" if task.dialect is Dialect.MARKET else "suno")
    failed = task.fails and stage == "done"
    code = (task.error_code or 501) if failed else 200
    if shape == "record":
        return {"code": code, "msg": "success", "data": task.legacy_record(max(now, task.at_s(stage)))}
    if shape == "market":
        return {"code": code, "msg": "success", "data": task.market_record(max(now, task.at_s(stage)))}
    kind = "error" if failed else {"done": "complete"}.get(stage, stage)
    tracks = [snake_case(track) for track in task.tracks(task.at_s(stage))]
    shown = {"text": 0, "first": 1}.get(stage, len(tracks))
    return {
        "code": code,
        "msg": task.error_message if failed else _MESSAGES[kind],
        "data": {"callbackType": kind, "task_id": task.id, "data": None if failed else tracks[:shown]},
    }
