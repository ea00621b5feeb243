"""The callback queue of an emulated vendor: times, signatures, retries and their faults."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs

from musicgate.emulation.tasks import Task
from musicgate.plugin import CallbackSignature, EmulatedCallback, HttpRequest, JsonValue

#: Age of a signature with the switch ``callbacks=stale``.
_STALE_S: Final = 3600


@attrs.frozen(kw_only=True)
class Signed:
    """What a signature may cover.

    Attributes:
        timestamp: whole epoch seconds, as text.
        secret: the callback secret of the account.
    """

    task_id: str
    timestamp: str
    body: bytes
    secret: str = attrs.field(repr=False)


class Sign(Protocol):
    """Makes the headers of a signed callback."""

    def __call__(self, signed: Signed, /) -> Mapping[str, str]:
        """Sign one callback."""


def declared_signature(signature: CallbackSignature) -> Sign:
    """Sign as a plugin declares that its vendor does."""

    def sign(signed: Signed, /) -> Mapping[str, str]:
        at = signature.written(int(signed.timestamp))
        made = signature.sign(signed.secret, body=signed.body, native_id=signed.task_id, timestamp=at)
        dated = {signature.timestamp_header: at} if signature.timestamp_header else {}
        return {signature.header: made, **dated}

    return sign


@attrs.define(kw_only=True, order=True)
class _Due:
    at_s: float
    number: int
    stage: str = attrs.field(order=False)
    task: Task = attrs.field(order=False)
    retries: int = attrs.field(default=0, order=False)


class CallbackQueue:
    """Callbacks that are due later, and those that wait for an answer.

    Args:
        body: makes the body of a stage's callback: ``(task, stage, now)``.
        sign: signs it; None = this vendor does not sign.
        secret: None = the account has none, and callbacks are not signed.
        retries_after_s: seconds between a failed callback and the next try, before speed.
        is_taken: True for a status that needs no retry; default: any 2xx.
    """

    def __init__(
        self,
        body: Callable[[Any, str, float], JsonValue],
        *,
        sign: Sign | None = None,
        secret: str | None = None,
        retries_after_s: Sequence[float] = (),
        timeout_s: float = 15.0,
        is_taken: Callable[[int], bool] = lambda status: 200 <= status < 300,
    ) -> None:
        self._body = body
        self._sign = sign
        self._secret = secret
        self._retries_after_s = retries_after_s
        self._timeout_s = timeout_s
        self._is_taken = is_taken
        self._queue: list[_Due] = []
        self._sent: dict[str, _Due] = {}
        self._count = 0

    def schedule(self, task: Task, stages: Sequence[tuple[float, str]]) -> None:
        """Schedule the callbacks of a new task: ``(epoch seconds, stage)`` each, in order."""
        faults = task.switches.get_all("callbacks")
        if not task.callback_url or "off" in faults:
            return
        if "reverse" in faults:
            stages = [(at_s, stage) for (at_s, _), (_, stage) in zip(stages, reversed(stages), strict=True)]
        for at_s, stage in stages:
            for _ in range(2 if "double" in faults else 1):
                self._push(_Due(at_s=at_s, number=self._count, stage=stage, task=task))

    def due(self, now: float) -> Sequence[EmulatedCallback]:
        """Callbacks to send now; each try is returned once. A cancelled task is not called back."""
        calls = []
        while self._queue and self._queue[0].at_s <= now:
            due = heapq.heappop(self._queue)
            if due.task.cancelled_s is not None:
                continue
            name = f"{due.task.id}:{due.stage}:{due.number}:{due.retries}"
            self._sent[name] = due
            calls.append(
                EmulatedCallback(id=name, request=self._request(due, now), timeout_s=self._timeout_s)
            )
        return calls

    def answered(self, name: str, status: int | None, now: float) -> None:
        """Schedule a retry of a callback that was not taken, if one is left."""
        due = self._sent.pop(name, None)
        taken = status is not None and self._is_taken(status)
        if due is None or taken or due.retries >= len(self._retries_after_s):
            return
        due.at_s = now + self._retries_after_s[due.retries] / due.task.speed
        due.retries += 1
        self._push(due)

    def _push(self, due: _Due) -> None:
        self._count += 1
        heapq.heappush(self._queue, due)

    def _request(self, due: _Due, now: float) -> HttpRequest:
        body = json.dumps(self._body(due.task, due.stage, now), ensure_ascii=False, separators=(",", ":"))
        request = HttpRequest(
            method="POST",
            url=due.task.callback_url,
            headers={"Content-Type": "application/json"},
            body=body.encode("utf-8", "surrogatepass"),
        )
        faults = due.task.switches.get_all("callbacks")
        if self._sign is None or self._secret is None or "unsigned" in faults:
            return request
        signed = Signed(
            task_id=due.task.id,
            timestamp=str(int(now) - (_STALE_S if "stale" in faults else 0)),
            body=request.body,
            secret=f"{self._secret}-wrong" if "badsign" in faults else self._secret,
        )
        return attrs.evolve(request, headers={**request.headers, **self._sign(signed)})
