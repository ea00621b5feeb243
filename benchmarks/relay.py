"""A relay of connections to PostgreSQL: it counts answers, falls silent, or breaks them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path
from typing import Final

from benchmarks.servers import free_port

_CHUNK: Final = 65_536
#: "Ready for query", the end of a round trip (postgresql.org/docs/current/protocol-message-formats.html).
_READY: Final = (b"Z\x00\x00\x00\x05I", b"Z\x00\x00\x00\x05T")


class Network(Enum):
    """How the network is."""

    UP = "up"
    #: Nothing arrives, and nothing says so: a cable that is pulled.
    SILENT = "silent"
    #: Connections break, and new ones are refused: the other machine is off.
    REFUSED = "refused"


class Relay:
    """The network between the servers and PostgreSQL."""

    def __init__(self, socket: Path) -> None:
        self.port = free_port()
        self.round_trips = 0
        self._socket = socket
        self._network = Network.UP
        self._is_up = asyncio.Event()
        self._is_up.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Relay]:
        """Relay until the end."""
        await self._listen()
        try:
            yield self
        finally:
            await self.become(Network.REFUSED)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, database: str, user: str = "postgres") -> str:
        """The URL of a database by this way."""
        return f"postgresql://{user}:@127.0.0.1:{self.port}/{database}"

    async def become(self, network: Network) -> None:
        """Change the network. What was held back while it was silent arrives when it is up again."""
        self._network = network
        if network is Network.UP:
            self._is_up.set()
            await self._listen()
            return
        self._is_up.clear()
        if network is Network.REFUSED:
            if self._server is not None:
                self._server.close()
                self._server = None
            for writer in list(self._writers):
                writer.transport.abort()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=512)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connected(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._is_up.wait()
            there_reader, there = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there}
        try:
            await asyncio.gather(
                self._copy(reader, there, counts=False), self._copy(there_reader, writer, counts=True)
            )
        except OSError:
            pass  # one side has broken
        finally:
            self._writers -= {writer, there}
            for one in (writer, there):
                one.transport.abort()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool
    ) -> None:
        while data := await reader.read(_CHUNK):
            await self._is_up.wait()
            if counts:
                self.round_trips += sum(data.count(mark) for mark in _READY)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
