"""Readers of event streams: many connections that count the events they receive."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self, cast


class Readers:
    """Open event streams, one per request; `events` counts what all of them have received."""

    def __init__(self) -> None:
        self.events = 0
        #: When the last event arrived, by `time.perf_counter`.
        self.last_s = 0.0
        self._connections: list[_Stream] = []
        self._wanted = 0
        self._refusal = ""
        self._reached = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def reading(cls, port: int, requests: Sequence[bytes]) -> AsyncIterator[Self]:
        """Open a stream for each request."""
        readers = cls()
        loop = asyncio.get_running_loop()
        try:
            for request in requests:
                connect = functools.partial(_Stream, readers, request)
                _, stream = await loop.create_connection(connect, "127.0.0.1", port)
                readers._connections.append(stream)
            yield readers
        finally:
            for stream in readers._connections:
                stream.close()

    async def received(self, events: int, timeout_s: float = 60.0) -> None:
        """Wait until so many events have arrived in all.

        Raises:
            ConnectionError: a stream was refused.
            TimeoutError: they have not.
        """
        self._wanted = events
        self._reached.clear()
        if self.events < events:
            async with asyncio.timeout(timeout_s):
                await self._reached.wait()
        if self._refusal:
            raise ConnectionError(f"a stream was refused: {self._refusal}")

    def refused(self, answer: bytes) -> None:
        """Give up: a stream was refused."""
        self._refusal = answer.decode("utf-8", "replace")
        self._reached.set()

    def count(self, events: int) -> None:
        """Count events that have arrived."""
        self.events += events
        self.last_s = time.perf_counter()
        if self.events >= self._wanted:
            self._reached.set()


class _Stream(asyncio.Protocol):
    """One event stream."""

    def __init__(self, readers: Readers, request: bytes) -> None:
        self._readers = readers
        self._request = request
        self._tail = b""
        self._began = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the stream."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count the events that are new; a mark of an event may come in two pieces."""
        if not self._began:
            self._began = True
            if not data.startswith(b"HTTP/1.1 200"):
                self._readers.refused(data)
                return
        mark = b"\nevent: "
        found = (self._tail + data).count(mark)
        self._tail = data[-(len(mark) - 1) :]
        if found:
            self._readers.count(found)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()
