"""A proxy that serves a server of ours below a path, and that can go away and come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp import web

from tests.free_port import free_port

PREFIX: Final = "/tools/music"
_HOP_BY_HOP: Final = frozenset(
    {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}
)


class PrefixProxy:
    """Sends requests below `PREFIX` on, and answers everything else with 404."""

    def __init__(self, target: str, session: aiohttp.ClientSession) -> None:
        self._target = target
        self._session = session
        self._port = free_port()
        self._runner: web.AppRunner | None = None
        self.url = f"http://127.0.0.1:{self._port}{PREFIX}"

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application()
        app.router.add_route("*", f"{PREFIX}/{{rest:.*}}", self._forward)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()

    async def stop(self) -> None:
        """Cut all connections, and refuse new ones."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = self._target + request.path_qs.removeprefix(PREFIX)
        async with self._session.request(
            request.method, url, headers=headers, data=await request.read(), allow_redirects=False
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response


@asynccontextmanager
async def behind_prefix(target: str) -> AsyncIterator[PrefixProxy]:
    """A running proxy in front of a server."""
    async with aiohttp.ClientSession() as session:
        proxy = PrefixProxy(target, session)
        await proxy.start()
        try:
            yield proxy
        finally:
            await proxy.stop()
