"""The vendor: those routes of kie.ai that a gateway calls, on raw protocols; knows no gateway.

It runs in the event loop of the load. An emulator of the sandbox is more faithful, and far too slow: this one
answers a poll in some 20 microseconds. A task ends when the measurement says so, not by a clock. The receiver
of the gateway's webhooks is here as well.
"""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final, Self, cast

import attrs

from musicgate.emulation import AudioFormat, song

CREATE: Final = b"/api/v1/generate"
POLL: Final = b"/api/v1/generate/record-info?taskId="
HOOK: Final = b"/hook"
#: Seconds of the two tracks of each song.
TRACKS_S: Final = (3.0, 4.0)


class Stage(Enum):
    """How far a task is."""

    PENDING = "PENDING"
    #: One track can be heard.
    FIRST = "FIRST_SUCCESS"
    DONE = "SUCCESS"
    REFUSED = "SENSITIVE_WORD_ERROR"


@attrs.define
class Task:
    """One song at the vendor.

    Attributes:
        last_s: when it was polled last, or created.
        stage: None = the stage of all tasks.
    """

    created_s: float
    last_s: float
    callback_url: str
    stage: Stage | None = None


@attrs.define
class PollGaps:
    """Times between polls, as this side sees them: age of the task at the poll before, and the gap."""

    ages_s: array[float] = attrs.field(factory=lambda: array("d"))
    gaps_s: array[float] = attrs.field(factory=lambda: array("d"))


class Vendor:
    """The accounts of the vendor: tasks, and how often each route was called."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.tasks: dict[str, Task] = {}
        #: The stage of tasks without one of their own.
        self.stage = Stage.PENDING
        #: Calls of each kind: create, poll, media, hook, unknown.
        self.calls: Counter[str] = Counter()
        #: The gaps between polls are kept here while it is set.
        self.gaps: PollGaps | None = None
        #: Tasks that have not been polled since this was filled.
        self.unseen: set[str] = set()
        self.connected: set[asyncio.Transport] = set()
        self._media = [song(AudioFormat(), duration_s, seed) for seed, duration_s in enumerate(TRACKS_S)]
        self._number = 0

    @classmethod
    @asynccontextmanager
    async def serving(cls) -> AsyncIterator[Self]:
        """Serve on a free port of loopback."""
        vendor: Self

        def connect() -> asyncio.Protocol:
            return VendorConnection(vendor)

        server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0, backlog=4096)
        vendor = cls(server.sockets[0].getsockname()[1])
        try:
            yield vendor
        finally:
            server.close()
            for transport in list(vendor.connected):
                transport.abort()
            await asyncio.sleep(0)  # each of them reports its end

    def forget(self) -> None:
        """Forget every task and every call: another measurement begins."""
        self.tasks.clear()
        self.calls.clear()
        self.unseen.clear()
        self.stage = Stage.PENDING

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def serve(self, transport: asyncio.Transport, method: bytes, target: bytes, body: bytes) -> None:
        """Answer one request."""
        transport.write(self.answer(method, target, body))

    def answer(self, method: bytes, target: bytes, body: bytes) -> bytes:
        """The answer to one request, as bytes of the wire."""
        if target.startswith(POLL):
            return _json_answer(self._poll(target[len(POLL) :].decode()))
        if target == CREATE and method == b"POST":
            return _json_answer(self._create(body))
        if target.startswith(b"/media/"):
            self.calls["media"] += 1
            return _answer(b"audio/mpeg", self._media[int(target.rpartition(b"-")[2][:1])])
        if target == HOOK:
            self.calls["hook"] += 1
            return _json_answer(b"{}")
        self.calls["unknown"] += 1
        return _json_answer(b'{"code":404,"msg":"no such route"}', b"404 Not Found")

    def _create(self, body: bytes) -> bytes:
        self.calls["create"] += 1
        self._number += 1
        task_id = f"{self._number:032x}"
        at, _, rest = body.partition(b'"callBackUrl"')
        callback_url = json.loads(body)["callBackUrl"] if at and rest else ""
        now = time.monotonic()
        self.tasks[task_id] = Task(now, now, callback_url)
        return b'{"code":200,"msg":"success","data":{"taskId":"%s"}}' % task_id.encode()

    def _poll(self, task_id: str) -> bytes:
        self.calls["poll"] += 1
        task = self.tasks.get(task_id)
        if task is None:
            return b'{"code":422,"msg":"recordInfo is null","data":null}'
        now = time.monotonic()
        if self.gaps is not None:
            self.gaps.ages_s.append(task.last_s - task.created_s)
            self.gaps.gaps_s.append(now - task.last_s)
        task.last_s = now
        self.unseen.discard(task_id)
        return self._record(task_id, task.stage or self.stage)

    def _record(self, task_id: str, stage: Stage) -> bytes:
        response = b"null"
        if stage in (Stage.FIRST, Stage.DONE):
            tracks = [self._track(task_id, index) for index in range(len(TRACKS_S))]
            if stage is Stage.FIRST:
                tracks = [{**tracks[0], "audioUrl": ""}]
            response = json.dumps({"taskId": task_id, "sunoData": tracks}).encode()
        return (
            b'{"code":200,"msg":"success","data":{"taskId":"%s","parentMusicId":"","param":"{}","response":%s,'
            b'"status":"%s","type":"chirp-auk-turbo","operationType":"generate","errorCode":null,'
            b'"errorMessage":null}}'
        ) % (task_id.encode(), response, stage.value.encode())

    def _track(self, task_id: str, index: int) -> dict[str, str | float | int]:
        link = f"{self.url}/media/{task_id}-{index}"
        return {
            "id": f"{task_id[:8]}-{task_id[8:12]}-4000-a000-{task_id[-11:]}{index}",
            "audioUrl": f"{link}.mp3",
            "streamAudioUrl": link,
            "imageUrl": "",
            "prompt": "[Verse] brushed drums",
            "modelName": "chirp-auk-turbo",
            "title": "Midnight Blue",
            "tags": "jazz, piano",
            "createTime": 1790000000000,
            "duration": TRACKS_S[index],
        }


class VendorConnection(asyncio.Protocol):
    """Cuts the stream of a connection into requests, and answers them."""

    _transport: asyncio.Transport

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._partial = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class
        self._vendor.connected.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        self._vendor.connected.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        data = self._partial + data if self._partial else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            method, target, _ = data[: data.index(b"\r\n")].split(b" ", 2)
            body_at = end + 4
            length = 0 if method == b"GET" else _length(data[:end])
            if len(data) < body_at + length:
                break
            self._vendor.serve(self._transport, method, target, data[body_at : body_at + length])
            data = data[body_at + length :]
        self._partial = data


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _json_answer(body: bytes, status: bytes = b"200 OK") -> bytes:
    return _answer(b"application/json", body, status)


def _answer(content_type: bytes, body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        content_type,
        len(body),
        body,
    )
