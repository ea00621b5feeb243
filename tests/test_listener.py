"""The accept loop's own sockets: refused connections are answered, and closed with the server."""

import asyncio
import socket

import pytest
from aiohttp import web

from musicgate.engine import Supervisor
from musicgate.settings import ServerSettings
from musicgate.web.connection import Connection
from musicgate.web.listener import Listener


async def _never(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def test_refused_connections_are_closed_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor()
    server = web.Server(_never)
    listener = Listener(server, ServerSettings(), 1, supervisor)
    monkeypatch.setattr(listener, "_make_room", lambda: False)  # no connection is idle
    host, port = await listener.open("127.0.0.1", 0)
    _, held = await asyncio.open_connection(host, port)
    await asyncio.sleep(0.1)  # accepted: the only connection that fits
    refused = [socket.create_connection((host, port)) for _ in range(3)]
    replies = [await asyncio.to_thread(connection.recv, 12) for connection in refused]
    assert replies == [b"HTTP/1.1 503"] * 3
    await listener.close()
    assert listener._refused == {}
    for connection in refused:
        connection.close()
    held.close()
    await server.shutdown(0.1)
    await supervisor.stop_services()


class _ClosedTransport(asyncio.Transport):
    """A transport whose client has gone, as on uvloop: it cannot be written to any more."""

    def is_closing(self) -> bool:
        return True

    def write(self, data: object) -> None:
        raise RuntimeError("unable to perform operation; the handler is closed")

    def close(self) -> None:
        pass


async def test_a_connection_whose_client_has_gone_times_out_in_silence() -> None:
    server = web.Server(_never)
    listener = Listener(server, ServerSettings(), 1, Supervisor())
    connection = Connection(server, listener)
    connection.begun_at, connection.transport = 1.0, _ClosedTransport()
    connection.time_out()
    assert connection.transport is None
