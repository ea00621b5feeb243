"""A load balancer before several servers: it hands each call to one of them, or to the next."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.crash.server import Server

#: A server that is stopped accepts a call and does not answer it.
_TIMEOUT_S = 2.0


class Balancer:
    """Hands calls to servers in turn. What it hands over twice must bear that, as callbacks do."""

    def __init__(self, session: aiohttp.ClientSession, servers: Callable[[], Sequence[Server]]) -> None:
        self._session = session
        self._servers = servers
        self._turn = itertools.count()

    async def handle(self, request: web.Request) -> web.Response:
        """Hand a call to the next server, and to another one if that one does not answer."""
        body = await request.read()
        servers = self._servers()
        start = next(self._turn)
        for number in range(len(servers)):
            server = servers[(start + number) % len(servers)]
            try:
                async with self._session.request(
                    request.method,
                    f"{server.url}{request.raw_path}",
                    data=body,
                    headers={name: value for name, value in request.headers.items() if name != "Host"},
                    timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S),
                ) as answer:
                    return web.Response(status=answer.status, body=await answer.read())
            except (aiohttp.ClientError, TimeoutError):
                continue
        return web.Response(status=503)
