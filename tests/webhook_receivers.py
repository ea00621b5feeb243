"""Webhook receivers on loopback: one that answers from a script, and one that sends any bytes."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
from aiohttp import web


@attrs.frozen(kw_only=True)
class Received:
    """One message; ``at`` is loop time."""

    headers: dict[str, str]
    raw: bytes
    path: str
    at: float

    @property
    def id(self) -> str:
        """The id of the message."""
        return self.headers["webhook-id"]

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the message."""
        return dict(json.loads(self.raw))


class Receiver:
    """Answers messages with the next of ``answers`` (a status, or a status and headers), then 204.

    Attributes:
        delay_s: how long every answer takes.
        on_message: called for each message before it is answered.
        at_once: number of messages that are being answered.
        most_at_once: the largest number so far.
    """

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []
        self.answers: deque[int | tuple[int, dict[str, str]]] = deque()
        self.delay_s = 0.0
        self.on_message: Callable[[Received], Awaitable[None]] | None = None
        self.at_once = self.most_at_once = 0
        self._arrived = asyncio.Condition()

    async def until(self, count: int, timeout_s: float = 10.0) -> list[Received]:
        """Wait until so many messages have been received."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Record a message and answer it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        message = Received(
            headers=headers,
            raw=await request.read(),
            path=request.path_qs,
            at=asyncio.get_running_loop().time(),
        )
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            async with self._arrived:
                self.received.append(message)
                self._arrived.notify_all()
            if self.on_message is not None:
                await self.on_message(message)
            await asyncio.sleep(self.delay_s)
        finally:
            self.at_once -= 1
        answer = self.answers.popleft() if self.answers else 204
        status, more = answer if isinstance(answer, tuple) else (answer, {})
        return web.Response(status=status, headers=more)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    app = web.Application(client_max_size=1 << 23)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def responding(raw: bytes, *, hang: bool = False) -> AsyncIterator[str]:
    """Run a server that answers with these bytes, then closes the connection or hangs; its address."""
    ended = asyncio.Event()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            await writer.drain()
            if hang:
                await ended.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        ended.set()
        server.close()
        await server.wait_closed()
