"""Customers' receivers on loopback for tests: one that answers from a script, and one that speaks no proper HTTP."""

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
    """One message as it came. ``at`` is loop time."""

    headers: dict[str, str]
    raw: bytes
    path: str
    at: float

    @property
    def id(self) -> str:
        """The message's id."""
        return self.headers["webhook-id"]

    @property
    def body(self) -> dict[str, Any]:
        """What it says."""
        return dict(json.loads(self.raw))


class Receiver:
    """Answers each message with the next of ``answers`` (a status, or headers beside it), then with 204.

    Attributes:
        delay_s: how long every answer takes.
        on_message: called for each message before it is answered.
        most_at_once: how many messages were under way together, at the most.
    """

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []
        self.answers: deque[int | tuple[int, dict[str, str]]] = deque()
        self.delay_s = 0.0
        self.on_message: Callable[[Received], Awaitable[None]] | None = None
        self.at_once = self.most_at_once = 0
        self._came = asyncio.Condition()

    async def until(self, count: int, patience_s: float = 10.0) -> list[Received]:
        """Wait for so many messages."""
        async with asyncio.timeout(patience_s), self._came:
            await self._came.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Remember, and answer."""
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
            async with self._came:
                self.received.append(message)
                self._came.notify_all()
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
    """A receiver on a port of its own."""
    receiver = Receiver()
    app = web.Application(client_max_size=1 << 23)
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(words: bytes, *, hang: bool = False) -> AsyncIterator[str]:
    """A server that says these words to everybody, then hangs up or hangs; its address."""
    ended = asyncio.Event()

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(words)
            await writer.drain()
            if hang:
                await ended.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        ended.set()
        server.close()
        await server.wait_closed()
