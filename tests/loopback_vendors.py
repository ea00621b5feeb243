"""Vendors on loopback that run a script for each request, to cut, delay or falsify the answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@attrs.define
class Vendor:
    """A server that reads requests and runs its script after each of them."""

    port: int
    script: Script
    heads: list[bytes] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/create?key=test-key-not-real"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                self.bodies.append(await reader.readexactly(length))
                self.heads.append(head)
                await self.script(reader, writer)


Serve = Callable[[Script], Awaitable[int]]
Vendors = Callable[[Script], Awaitable[Vendor]]


def answer(raw: bytes, *, close: bool = True) -> Script:
    """A script that sends these bytes, then closes the connection or waits for the next request."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if close:
            writer.close()

    return script


def whole(body: bytes, head: str = "200 OK", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {head}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def then_silence(raw: bytes = b"") -> Script:
    """A script that sends these bytes and keeps the connection open until the client closes it."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await reader.read()
        writer.close()

    return script


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Serve]:
    """A function that starts a server for a script; its port. Connections end with the context."""
    servers: list[asyncio.Server] = []
    open_connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def start(script: Script) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            open_connections[writer] = task
            with contextlib.suppress(ConnectionError):
                await script(reader, writer)
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()
    for writer in open_connections:
        writer.transport.abort()
    for task in open_connections.values():
        task.cancel()
    await asyncio.gather(*open_connections.values(), return_exceptions=True)
    for writer in open_connections:
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def starting(serve: Serve) -> Vendors:
    """A function that starts a vendor for a script."""

    async def start(script: Script) -> Vendor:
        vendor = Vendor(port=0, script=script)
        vendor.port = await serve(vendor.serve)
        return vendor

    return start
