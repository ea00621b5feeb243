"""The accept loop's own sockets: refused connections are answered, and closed with the server."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
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


async def test_connections_that_came_together_are_accepted_together_up_to_the_limit() -> None:
    supervisor, server = Supervisor(), web.Server(_never)
    listener = Listener(server, ServerSettings(), 40, supervisor)
    host, port = await listener.open("127.0.0.1", 0)
    await asyncio.sleep(0.1)
    # The system takes them, while the loop has no turn.
    clients = [socket.create_connection((host, port), timeout=10) for _ in range(42)]
    for _ in range(12):
        await asyncio.sleep(0)
    assert len(listener._open) == 40
    assert [await asyncio.to_thread(client.recv, 12) for client in clients[40:]] == [b"HTTP/1.1 503"] * 2
    await listener.close()
    for client in clients:
        client.close()
    await server.shutdown(0.1)
    await supervisor.stop_services()


def _somaxconn() -> int:
    file = Path("/proc/sys/net/core/somaxconn")
    return int(file.read_text()) if file.exists() else 0


@pytest.mark.skipif(_somaxconn() < 600, reason="the system holds fewer connections back")
async def test_a_burst_of_connections_is_held_back_while_the_server_is_busy() -> None:
    supervisor, server = Supervisor(), web.Server(_never)
    listener = Listener(server, ServerSettings(), 1, supervisor)
    address = await listener.open("127.0.0.1", 0)
    # The loop has no turn meanwhile. One that is not held back would try again after a second.
    with contextlib.ExitStack() as clients:
        for _ in range(600):
            clients.enter_context(socket.create_connection(address, timeout=0.9))
    await listener.close()
    await server.shutdown(0.1)
    await supervisor.stop_services()


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_each_accepted_connection_is_closed_with_the_server_in_whatever_turn_of_the_loop(
    new_loop: Callable[[], asyncio.AbstractEventLoop], turns: int
) -> None:
    """One that is lost shows as an unclosed socket, which is an error in these tests."""

    async def close_after_turns() -> None:
        supervisor, server = Supervisor(), web.Server(_never)
        listener = Listener(server, ServerSettings(), 40, supervisor)
        address = await listener.open("127.0.0.1", 0)
        await asyncio.sleep(0.1)
        clients = [socket.create_connection(address, timeout=10) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.close()
        await server.shutdown(0.1)
        for client in clients:
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(client.recv, 12) == b""
            client.close()
        await supervisor.stop_services()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(close_after_turns())
    gc.collect()


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
