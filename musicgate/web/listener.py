"""The accept loop and the open connections: how many, and how long each may be quiet; it knows no request.

asyncio's own accept loop reports every failed ``accept`` of a round of a hundred, arms itself again as often, and has no limit of
connections. This one is the same on every event loop and Python: it makes room by closing the connection that has been idle longest (so
idle connections shut nobody out), refuses with a 503 where none is idle, and when the process has no descriptor left it says so once a
minute and tries again.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from musicgate.web.connection import Connection, raw_envelope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from musicgate.engine import Supervisor
    from musicgate.settings import ServerSettings

_log = logging.getLogger(__name__)
_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BACKLOG: Final = 512
_RETRY_S: Final = 0.05
_LONG_IDLE_S: Final = 2.0
_SWEEP_S: Final = 1.0
#: How often the same trouble is logged.
_LOG_EVERY_S: Final = 60.0
#: A refused connection stays open so long that its client can read why, if not too many wait for that.
_REFUSED_S: Final = 0.5
_MAX_REFUSED: Final = 32


class Listener:
    """Accepts connections for one aiohttp server."""

    def __init__(
        self, server: web.Server, settings: ServerSettings, max_connections: int, supervisor: Supervisor
    ) -> None:
        self._server = server
        self._settings = settings
        self._supervisor = supervisor
        self._services: list[str] = []
        self._max = max_connections
        self._sockets: list[socket.socket] = []
        self._open: set[Connection] = set()
        self._refused = 0
        self._logged_at = -_LOG_EVERY_S
        #: Connections without a request in progress, the one that has been so for longest first.
        self._idle: dict[Connection, None] = {}

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Bind every address of a host and begin to accept.

        Returns:
            Host and port that are bound.

        Raises:
            OSError: the address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                bound_port = port or (self._sockets[0].getsockname()[1] if self._sockets else 0)
                self._sockets.append(_bind(family, kind, protocol, (address[0], bound_port, *address[2:])))
        except OSError:
            await self.close()
            raise
        bound = self._sockets[0].getsockname()
        for number, sock in enumerate(self._sockets):
            self._serve(f"accept-{bound[1]}-{number}", functools.partial(self._accept, sock))
        self._serve(f"idle-connections-{bound[1]}", self._sweep)
        return str(bound[0]), int(bound[1])

    async def close(self) -> None:
        """Accept nothing more; open connections are the server's to end."""
        for name in self._services:
            await self._supervisor.stop(name)
        for sock in self._sockets:
            sock.close()

    def _serve(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._services.append(name)
        self._supervisor.start(name, run)

    async def _accept(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(sock)
            except OSError as error:
                await self._not_accepted(error)
                continue
            if len(self._open) >= self._max and not self._make_room():
                self._refuse(client)
                await asyncio.sleep(0)
                continue
            try:
                await loop.connect_accepted_socket(self._connection, client)
            except OSError as error:
                client.close()
                _log.debug("connection lost before its first byte error=%s", error)

    async def _not_accepted(self, error: OSError) -> None:
        """Wait a little where the process has no descriptor; anything else is about that one connection."""
        if error.errno in _OUT_OF_DESCRIPTORS:
            self._say_full(f"cannot accept: {os.strerror(error.errno or 0)}")
            # One that was accepted a moment ago is about to ask something; closing it would only change who is shut out.
            self._make_room(_LONG_IDLE_S)
            await asyncio.sleep(_RETRY_S)
        else:
            await asyncio.sleep(0)

    def became_idle(self, connection: Connection) -> None:
        """It was made, or a request on it was answered."""
        self._open.add(connection)
        self._idle.pop(connection, None)
        self._idle[connection] = None

    def became_busy(self, connection: Connection) -> None:
        """A request on it is being answered."""
        self._idle.pop(connection, None)

    def was_lost(self, connection: Connection) -> None:
        """It is closed."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def _connection(self) -> Connection:
        return Connection(self._server, self)

    def _make_room(self, min_idle_s: float = 0.0) -> bool:
        """Close the connection that has been idle longest; False if none is idle, or not for so long."""
        connection = next(iter(self._idle), None)
        now = asyncio.get_running_loop().time()
        if connection is None or now - connection.idle_since < min_idle_s:
            return False
        self._idle.pop(connection)
        connection.force_close()
        return True

    def _refuse(self, client: socket.socket) -> None:
        """A 503, without a request: who waited for it to be read would be held up by those who send none."""
        self._say_full(f"refused: {self._max} connections are open and in use (server.max_connections)")
        message = "the server has as many connections as it takes"
        client.setblocking(False)  # noqa: FBT003 - the standard library takes it so
        with suppress(OSError):
            client.send(raw_envelope(503, message, "connections", retry_after_s=5))
            client.shutdown(socket.SHUT_WR)
        if self._refused >= _MAX_REFUSED:
            client.close()
            return
        self._refused += 1
        asyncio.get_running_loop().call_later(_REFUSED_S, self._end_refused, client)

    def _end_refused(self, client: socket.socket) -> None:
        self._refused -= 1
        client.close()

    def _say_full(self, what: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            _log.warning("connections %s; said again in a minute at the earliest", what)

    async def _sweep(self) -> None:
        """Close what has been quiet for too long."""
        loop = asyncio.get_running_loop()
        shortest_s = min(self._settings.headers_timeout_s, self._settings.idle_timeout_s)
        while True:
            await asyncio.sleep(min(_SWEEP_S, shortest_s))
            now = loop.time()
            overdue = []
            for connection in self._idle:
                if now - connection.idle_since < shortest_s:
                    break  # those behind it became idle later
                if self._is_overdue(connection, now):
                    overdue.append(connection)
            for connection in overdue:
                self._idle.pop(connection, None)
                connection.time_out()

    def _is_overdue(self, connection: Connection, now: float) -> bool:
        if connection.begun_at is not None:
            return now - connection.begun_at >= self._settings.headers_timeout_s
        waits_for_first = not connection.has_served
        limit_s = self._settings.headers_timeout_s if waits_for_first else self._settings.idle_timeout_s
        return now - connection.idle_since >= limit_s


def _bind(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)  # noqa: FBT003 - the standard library takes it so
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
