"""The accept loop's own sockets: refused connections are answered, and closed with the server."""

import asyncio
import socket
from typing import Any

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


class _FlowTransport(asyncio.Transport):
    """A transport that counts how often it is paused, and keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.written = b""

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def close(self) -> None:
        pass


@pytest.mark.parametrize(("size", "calls"), [(100, []), (3_000_000, ["pause", "resume"])])
async def test_a_body_that_fills_the_buffer_pauses_the_client_until_it_is_read(
    size: int, calls: list[str]
) -> None:
    async def count(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=str(len(await request.content.read())))

    server, transport = web.Server(count), _FlowTransport()
    connection = Connection(server, Listener(server, ServerSettings(), 1, Supervisor()))
    connection.connection_made(transport)
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode()
    connection.data_received(head + b"x" * (size // 2))
    connection.data_received(b"x" * (size - size // 2))
    for _ in range(20):
        await asyncio.sleep(0)
    assert transport.written.endswith(b"\r\n\r\n" + str(size).encode())
    assert [transport.calls[0], transport.calls[-1]] == calls if calls else transport.calls == []
    await server.shutdown(0.1)
