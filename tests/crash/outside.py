"""Emulators and a webhook receiver that outlive the servers, and the trigger of what happens to those.

They run in the harness's own process. Every request that reaches them is a moment at which a server can be
killed or disturbed: before the other side acts, or after it has acted and before its answer leaves.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import attrs
from aiohttp import web

from tests.crash.faults import NONSENSE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from musicgate.plugin.emulator import EmulatedAnswer, EmulatedCallback, Emulator
    from musicgate.plugin.wire import HttpRequest

#: The key at every vendor. Each of several servers appends its name, which the vendors never see.
KEY = "test-key-not-real"
_KEY_OF = re.compile(rf"{KEY}-(\w+)")
_MARK = re.compile(rb"request-(\d+)-")


class Trigger:
    """Kills or disturbs a server when an armed moment comes."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self._moment: str | None = None
        self._delay_s = 0.0
        self._act: Callable[[str], None] = lambda _: None

    def arm(self, moment: str, delay_s: float, act: Callable[[str], None]) -> None:
        """Act at the next moment of that name, after a delay.

        Args:
            act: takes the name of the server that was in it, or an empty text.
        """
        self.done.clear()
        self._moment, self._delay_s, self._act = moment, delay_s, act

    def reached(self, moment: str, server: str = "") -> None:
        """Report a moment; act if it is the armed one."""
        if moment == self._moment:
            self._moment = None
            if self._delay_s:
                asyncio.get_running_loop().call_later(self._delay_s, self.act, server)
            else:
                self.act(server)

    def act(self, server: str = "") -> None:
        """Act now."""
        self._moment = None
        self._act(server)
        self.done.set()


@attrs.define
class CreateCall:
    """A create call at a vendor; times are steady.

    Attributes:
        server: its name.
        ends_s: when the answer leaves.
        made: the tasks that it made.
    """

    server: str
    began_s: float
    ends_s: float
    made: Sequence[str] = ()


@attrs.frozen
class Poll:
    """A poll at a vendor, at a steady time; ``task`` is the vendor's id."""

    server: str
    task: str
    at_s: float


class WatchedVendor:
    """An emulator that reports its calls to a trigger and records them, with the server that made each."""

    def __init__(
        self, name: str, emulator: Emulator, trigger: Trigger, is_create: Callable[[HttpRequest], bool]
    ) -> None:
        self.name = name
        self.books = emulator.books
        #: Seconds that each poll waits for its answer; 0 = as the emulator says.
        self.hold_polls_s = 0.0
        #: How many of the next answers to creates and polls are nonsense.
        self.nonsense_left = 0
        self.nonsense_sent = 0
        #: The numbers of requests whose create call was answered with nonsense.
        self.confused: set[int] = set()
        #: Task ids by the number of the request that they were made for.
        self.made_for: defaultdict[int, list[str]] = defaultdict(list)
        self.creates: list[CreateCall] = []
        self.polls: list[Poll] = []
        self._emulator = emulator
        self._trigger = trigger
        self._is_create = is_create

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer a request, and record it."""
        kind = self._kind(request)
        server, request = _asker(request)
        self._trigger.reached(f"{kind} asked", server)
        before = len(self.books.creates)
        answer = self._emulator.answer(request, now)
        made = self.books.creates[before:]
        at_s = time.monotonic()
        mark = _MARK.search(request.body)
        if mark:
            self.made_for[int(mark[1])] += made
        if kind == "create":
            self.creates.append(CreateCall(server, at_s, at_s + answer.delay_s, made))
        elif kind == "poll":
            text = request.url + request.body.decode("utf-8", "replace")
            self.polls += [Poll(server, task, at_s) for task in re.findall(r"[\w-]{8,}", text)]
        self._trigger.reached(f"{kind} done", server)
        if self.nonsense_left and kind != "media":
            self.nonsense_left -= 1
            self.nonsense_sent += 1
            if mark and kind == "create":
                self.confused.add(int(mark[1]))
            return attrs.evolve(answer, response=NONSENSE[self.nonsense_sent % len(NONSENSE)])
        if self.hold_polls_s and kind == "poll":
            return attrs.evolve(answer, delay_s=self.hold_polls_s)
        return answer

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """The callbacks to send now."""
        due = self._emulator.due_callbacks(now)
        if due:
            self._trigger.reached("callback")
        return due

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Report how a callback was answered."""
        self._emulator.callback_answered(callback_id, status, now)

    def _kind(self, request: HttpRequest) -> str:
        if self._is_create(request):
            return "create"
        return "poll" if "/api/" in request.url else "media"


def _asker(request: HttpRequest) -> tuple[str, HttpRequest]:
    """The server that makes a request, and the request with the one key that all of them have."""
    for name, value in request.headers.items():
        if found := _KEY_OF.search(value):
            headers = {**request.headers, name: value.replace(found[0], KEY)}
            return found[1], attrs.evolve(request, headers=headers)
    return "", request


class Receiver:
    """A webhook receiver that counts how often each message arrives, and for which job."""

    def __init__(self, trigger: Trigger) -> None:
        self.messages: Counter[str] = Counter()
        self.jobs: defaultdict[str, set[str]] = defaultdict(set)
        self.delay_s = 0.0
        self._trigger = trigger

    async def handle(self, request: web.Request) -> web.Response:
        """Receive a message."""
        self._trigger.reached("webhook asked")
        body = json.loads(await request.read())
        message_id = request.headers["webhook-id"]
        self.messages[message_id] += 1
        self.jobs[str(body["data"]["id"])].add(message_id)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self._trigger.reached("webhook done")
        return web.Response(status=204)
