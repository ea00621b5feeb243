"""Connections to vendors: when a request got one, and which kept ones may be used. Knows no outcome.

aiohttp's own way to observe connections, tracing, costs a handful of objects and callbacks for each
request. A connector that looks at what it hands out sees the same moment: `connect` returns when the
connection is established, TLS and a proxy's tunnel included, and before a byte of the request is written.
"""

import functools
import select
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

import aiohttp
import attrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from musicgate.aio import TimeLimit


@attrs.define
class Progress:
    """How far one request has come. Its ``limit`` starts when the connection is established."""

    limit: TimeLimit
    limit_s: float
    is_connected: bool = False
    is_new: bool = False
    status: int | None = None


#: The request that the current task is sending. aiohttp hands no value of its caller's to a connector.
_progress: Final[ContextVar[Progress | None]] = ContextVar("progress", default=None)


def watch(limit: TimeLimit, limit_s: float) -> Progress:
    """Observe the request that the current task sends next."""
    progress = Progress(limit, limit_s)
    _progress.set(progress)
    return progress


class _Answers(ResponseHandler):
    """aiohttp's protocol, which for each body resumes what is not paused, and so parses nothing, in 2 us.

    Attributes:
        is_readable: see `_readable`; made when it is first asked.
    """

    is_readable: Callable[[], bool] | None = None

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading, if that was paused."""
        if self._reading_paused:
            super().resume_reading(resume_parser)


class WatchedConnector(aiohttp.TCPConnector):
    """Marks the progress of a request that got its connection; hands out no kept one that has ended.

    aiohttp itself drops a kept connection that is too old, or whose end the event loop has read. It does not
    see bytes that were not asked for (some servers send a 408 before they close): they would be taken for the
    answer to the next request.

    Args:
        asks_system: ask the system, too, whether something has come that the event loop has not read yet.
        options: further arguments of `aiohttp.TCPConnector`.
    """

    def __init__(self, *, asks_system: bool, **options: Any) -> None:
        super().__init__(**options)
        self._asks_system = asks_system
        protocol: type[ResponseHandler] = _Answers
        self._factory = functools.partial(protocol, loop=self._loop)

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Get a connection, kept or new; from now on a byte of the request may leave."""
        progress = _progress.get()
        while True:
            connection = await super().connect(req, traces, timeout)
            if progress is None or progress.is_new or not self._has_ended(connection.protocol):
                break
            connection.close()
        if progress is not None and not progress.is_connected:
            progress.is_connected = True
            progress.limit.start()
        return connection

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> ResponseHandler:
        """Make a new connection: there is nothing to be asked about it, whatever the server sends first."""
        protocol = await super()._create_connection(req, traces, timeout)
        if (progress := _progress.get()) is not None:
            progress.is_new = True
        return protocol

    def _has_ended(self, protocol: ResponseHandler | None) -> bool:
        """True if a kept connection was closed, or holds bytes that belong to no request."""
        if protocol is None or protocol.transport is None or protocol.should_close:
            return True
        if not self._asks_system:
            return False
        if not isinstance(protocol, _Answers):
            return True  # not one of `_factory`
        if protocol.is_readable is None:
            socket = protocol.transport.get_extra_info("socket")
            if socket is None:
                return True
            protocol.is_readable = _readable(socket.fileno())
        return protocol.is_readable()


def _readable(descriptor: int) -> Callable[[], bool]:
    """A function that asks the system whether there is something to be read, in 1 us.

    The event loop may not have come round to reading it.
    """
    if not hasattr(select, "poll"):  # Windows, whose `select` takes any number
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))
