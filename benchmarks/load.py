"""The load: N connections that each send a request, wait for the answer, and send the next one.

Raw asyncio protocols, because the load must cost a fraction of what it measures: an HTTP client library takes
longer for a request than a static server for its answer. It reads answers with a ``Content-Length`` only,
which is all that the measured routes return; an answer of another kind is an error and is counted as such.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

#: Longest time for the answers that are in flight when a run ends.
_DRAIN_S = 60.0
#: More connections at once may not fit into the backlog of a server, and then wait for seconds.
_OPENED_AT_ONCE = 50


@attrs.frozen(kw_only=True)
class Latencies:
    """Sorted response times in seconds."""

    sorted_s: Sequence[float]

    def quantile_ms(self, share: float) -> float:
        """The time within which this share of the answers arrived; 0 without any answer."""
        if not self.sorted_s:
            return 0.0
        return 1000 * self.sorted_s[min(len(self.sorted_s) - 1, int(share * len(self.sorted_s)))]


@attrs.frozen(kw_only=True)
class Load:
    """What a run of the load has seen.

    Attributes:
        answers: 2xx answers until the end of the run.
        sent: all requests that were answered in any way, those in flight at the end included.
        errors: other answers, and connections that broke.
        bodies: of the 2xx answers, if they were to be kept.
    """

    seconds: float
    answers: int
    sent: int
    errors: int
    latencies: Latencies
    bodies: Sequence[bytes] = ()
    first_error: str = ""

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return self.answers / self.seconds


@attrs.frozen
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def request_bytes(
    method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


async def run_load(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float | None = None,
    count: int | None = None,
    keep_bodies: bool = False,
) -> Load:
    """Send the requests in turn, over and over, for so many seconds or so often.

    A run has no pauses of the garbage collector in it: this process allocates little, and frees by counting.
    """
    run = _Run(port, requests, seconds, count, keep_bodies=keep_bodies)
    gc.collect()
    gc.disable()
    try:
        return await run.result(connections)
    finally:
        gc.enable()


async def ask(port: int, request: bytes) -> Answer:
    """Send one request on a connection of its own."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Answer] = loop.create_future()
    transport, _ = await loop.create_connection(
        lambda: _Connection(lambda: request, answered), "127.0.0.1", port
    )
    try:
        async with asyncio.timeout(_DRAIN_S):
            return await answered
    finally:
        transport.close()


class _Run:
    """One run: counts what its connections report."""

    def __init__(
        self,
        port: int,
        requests: Sequence[bytes],
        seconds: float | None,
        count: int | None,
        *,
        keep_bodies: bool,
    ) -> None:
        self._port = port
        source = itertools.cycle(requests)
        self._requests: Iterator[bytes] = source if count is None else itertools.islice(source, count)
        self._seconds = seconds
        self._keep_bodies = keep_bodies
        self._latencies = array("d")
        self._bodies: list[bytes] = []
        self._ended = False
        self._in_time = self._sent = self._errors = 0
        self._first_error = ""
        self._is_over = asyncio.Event()
        self._working = 0

    async def result(self, connections: int) -> Load:
        loop = asyncio.get_running_loop()
        opened: list[_LoadConnection] = []
        while len(opened) < connections:
            few = min(_OPENED_AT_ONCE, connections - len(opened))
            opened += await asyncio.gather(*(self._open(loop) for _ in range(few)))
        began = time.perf_counter()
        self._working = connections
        for connection in opened:
            connection.send()
        try:
            if self._seconds is not None:
                await asyncio.sleep(self._seconds)
                self._ended = True
            took = time.perf_counter() - began
            async with asyncio.timeout(_DRAIN_S if self._seconds is not None else None):
                await self._is_over.wait()
            if self._seconds is None:
                took = time.perf_counter() - began
        except TimeoutError:
            self._error(f"no answer within {_DRAIN_S:g} s")
            took = time.perf_counter() - began
        finally:
            for connection in opened:
                connection.close()
        return Load(
            seconds=took,
            answers=self._in_time,
            sent=self._sent,
            errors=self._errors,
            latencies=Latencies(sorted_s=sorted(self._latencies)),
            bodies=self._bodies,
            first_error=self._first_error,
        )

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _LoadConnection:
        _, connection = await loop.create_connection(lambda: _LoadConnection(self), "127.0.0.1", self._port)
        return connection

    def next_request(self) -> bytes | None:
        """The next request, or None at the end of the run."""
        request = None if self._ended else next(self._requests, None)
        if request is None:
            self._working -= 1
            if self._working == 0:
                self._is_over.set()
        return request

    def answered(self, status: int, body: bytes, took_s: float) -> None:
        """Count an answer."""
        self._sent += 1
        self._latencies.append(took_s)
        if not 200 <= status < 300:
            self._error(f"HTTP {status}: {body[:300]!r}")
            return
        if not self._ended:
            self._in_time += 1
        if self._keep_bodies:
            self._bodies.append(body)

    def broke(self, why: str) -> None:
        """Count a connection that broke: it sends nothing more."""
        self._error(why)
        self._working -= 1
        if self._working == 0:
            self._is_over.set()

    def _error(self, text: str) -> None:
        self._errors += 1
        self._first_error = self._first_error or text


class AnswerReader(asyncio.Protocol):
    """Cuts the stream of a connection into answers."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._partial = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        """Read an answer; there is never more than one on the way."""
        if self._partial:
            data = self._partial + data
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            status = int(data[9:12])
            length = _content_length(data[:end], status)
            if length is None:
                self.failed(f"HTTP {status} without Content-Length")
                self.transport.abort()
                return
            if len(data) >= end + 4 + length:
                self._partial = b""
                self.received(status, data[end + 4 :])
                return
        self._partial = data

    def received(self, status: int, body: bytes) -> None:
        """Take an answer."""
        raise NotImplementedError

    def failed(self, why: str) -> None:
        """Take the end of the connection."""
        raise NotImplementedError


class _LoadConnection(AnswerReader):
    """A connection of a run."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run
        self._sent_at = 0.0
        self._is_waiting = False

    def send(self) -> None:
        """Send the next request, if there is one."""
        request = self._run.next_request()
        if request is None:
            self._is_waiting = False
            return
        self._is_waiting = True
        self._sent_at = time.perf_counter()
        self.transport.write(request)

    def received(self, status: int, body: bytes) -> None:
        """Report, and go on."""
        self._run.answered(status, body, time.perf_counter() - self._sent_at)
        self.send()

    def failed(self, why: str) -> None:
        """Report once."""
        if self._is_waiting:
            self._is_waiting = False
            self._run.broke(why)

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that waits for its answer has broken."""
        self.failed(f"connection lost: {exc!r}")

    def close(self) -> None:
        """Close the connection; what it still waits for does not count."""
        self._is_waiting = False
        self.transport.close()


class _Connection(AnswerReader):
    """A connection for one request."""

    def __init__(self, request: Callable[[], bytes], answered: asyncio.Future[Answer]) -> None:
        super().__init__()
        self._request = request
        self._answered = answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        super().connection_made(transport)
        self.transport.write(self._request())

    def received(self, status: int, body: bytes) -> None:
        """Deliver the answer."""
        if not self._answered.done():
            self._answered.set_result(Answer(status, body))

    def failed(self, why: str) -> None:
        """Deliver the failure."""
        if not self._answered.done():
            self._answered.set_exception(ConnectionError(why))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail unless the answer is there."""
        self.failed(f"connection lost: {exc!r}")


def _content_length(head: bytes, status: int) -> int | None:
    """Length of the body; None if the head does not say."""
    if status in (204, 304):
        return 0
    lowered = head.lower()
    at = lowered.find(b"\r\ncontent-length:")
    if at < 0:
        return None
    end = lowered.find(b"\r\n", at + 17)
    return int(lowered[at + 17 : end if end >= 0 else len(lowered)])
