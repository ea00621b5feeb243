"""The accept loop: limits the number of open connections and their idle times.

asyncio's own accept loop logs every failed ``accept`` of a batch of a hundred, schedules as many retries, and
has no limit of connections. This one behaves the same on every event loop and Python version. Connections
that came together are accepted together: making one takes a few turns of the loop, and a turn of a busy
server takes milliseconds. At the limit it closes the connection that has been idle longest, so idle
connections never keep clients out, and refuses with a 503 if none is idle. Without a free file descriptor it
logs once a minute and tries again.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from musicgate.web.connection import Connection, raw_envelope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

    from musicgate.engine import Supervisor
    from musicgate.settings import ServerSettings

_log = logging.getLogger(__name__)
_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: The most that Linux holds by default. A client whose connection does not fit tries again after a second.
_BACKLOG: Final = 4096
#: Connections that are accepted in one turn of the event loop, which takes 11 ms of it.
_MAX_TOGETHER: Final = 512
_RETRY_S: Final = 0.05
_LONG_IDLE_S: Final = 2.0
_SWEEP_S: Final = 1.0
#: The same warning is logged once in so many seconds.
_LOG_EVERY_S: Final = 60.0
#: A refused connection stays open for so long, for its client to read why, unless too many do already.
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
        self._sockets: list[_ListeningSocket] = []
        #: Accepted, and not yet a connection.
        self._connecting: set[socket.socket] = set()
        self._open: set[Connection] = set()
        #: Refused connections that are still open, and what closes each.
        self._refused: dict[socket.socket, asyncio.TimerHandle] = {}
        self._logged_at = -_LOG_EVERY_S
        #: Connections without a request in progress, the longest idle first.
        self._idle: dict[Connection, None] = {}

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Bind every address of a host and start to accept connections.

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
        """Stop accepting. Open connections are ended by the aiohttp server."""
        for name in self._services:
            await self._supervisor.stop(name)
        for sock in (*self._sockets, *self._connecting):
            sock.close()
        for client, timer in list(self._refused.items()):
            timer.cancel()
            self._end_refused(client)

    def _serve(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._services.append(name)
        self._supervisor.start(name, run)

    async def _accept(self, sock: _ListeningSocket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(sock)
            except OSError as error:
                await self._not_accepted(error)
                continue
            arrived = sock.taken(client)
            await asyncio.gather(*[self._connect(client) for client in arrived if self._admit(client)])
            await asyncio.sleep(0)  # there is nothing to wait for if all were refused

    def _admit(self, client: socket.socket) -> bool:
        if len(self._open) + len(self._connecting) < self._max or self._make_room():
            self._connecting.add(client)
            return True
        self._refuse(client)
        return False

    async def _connect(self, client: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, client)
        except OSError as error:
            client.close()
            _log.debug("connection lost before its first byte error=%s", error)
        finally:
            self._connecting.discard(client)  # its connection owns it now

    async def _not_accepted(self, error: OSError) -> None:
        """Wait if the process has no file descriptor left; any other error concerns that one connection."""
        if error.errno in _OUT_OF_DESCRIPTORS:
            self._warn("connections not accepted: error=%s", os.strerror(error.errno or 0))
            # A connection that was just accepted is about to send a request; closing it would gain nothing.
            self._make_room(_LONG_IDLE_S)
            await asyncio.sleep(_RETRY_S)
        else:
            await asyncio.sleep(0)

    def became_idle(self, connection: Connection) -> None:
        """The connection was made, or a request on it was answered."""
        self._open.add(connection)
        self._idle.pop(connection, None)
        self._idle[connection] = None

    def became_busy(self, connection: Connection) -> None:
        """A request on it is being answered."""
        self._idle.pop(connection, None)

    def was_lost(self, connection: Connection) -> None:
        """The connection is closed."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def _connection(self) -> Connection:
        return Connection(self._server, self)

    def _make_room(self, min_idle_s: float = 0.0) -> bool:
        """Close the longest idle connection; False if none has been idle for so long."""
        connection = next(iter(self._idle), None)
        now = asyncio.get_running_loop().time()
        if connection is None or now - connection.idle_since < min_idle_s:
            return False
        self._idle.pop(connection)
        connection.force_close()
        return True

    def _refuse(self, client: socket.socket) -> None:
        """Send a 503 without waiting for the request, since clients that send none would hold it up."""
        self._warn("connections refused: server.max_connections=%d", self._max)
        message = "the server has as many connections as it takes"
        client.setblocking(False)  # noqa: FBT003 - the standard library takes it so
        with suppress(OSError):
            client.send(raw_envelope(503, message, "connections", retry_after_s=5))
            client.shutdown(socket.SHUT_WR)
        if len(self._refused) >= _MAX_REFUSED:
            client.close()
            return
        loop = asyncio.get_running_loop()
        self._refused[client] = loop.call_later(_REFUSED_S, self._end_refused, client)

    def _end_refused(self, client: socket.socket) -> None:
        del self._refused[client]
        client.close()

    def _warn(self, message: str, detail: object) -> None:
        """Log at most once a minute."""
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            _log.warning(message, detail)

    async def _sweep(self) -> None:
        """Close connections that have been idle for too long."""
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
        limit_s = self._settings.idle_timeout_s if connection.has_served else self._settings.headers_timeout_s
        return now - connection.idle_since >= limit_s


class _ListeningSocket(socket.socket):
    """Owns what it has accepted until it is taken.

    An event loop hands an accepted socket over as the result of a wait, and a wait that is cancelled in the
    turn in which it ends loses its result.
    """

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        #: In the order in which they came.
        self._accepted: dict[socket.socket, None] = {}

    def accept(self) -> tuple[socket.socket, Any]:
        client, address = super().accept()
        client.setblocking(False)  # noqa: FBT003 - the standard library takes it so
        self._accepted[client] = None
        return client, address

    def taken(self, first: socket.socket) -> list[socket.socket]:
        """Take one that the loop has accepted, with all that came meanwhile; the caller owns them now."""
        self._accepted[first] = None  # Windows accepts without a call of `accept`
        with suppress(OSError):  # no more, or what the next wait raises again
            while len(self._accepted) < _MAX_TOGETHER:
                self.accept()
        arrived = list(self._accepted)
        self._accepted.clear()
        return arrived

    def close(self) -> None:
        for client in self._accepted:
            client.close()
        super().close()


def _bind(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> _ListeningSocket:
    sock = _ListeningSocket(family, kind, protocol)
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
