"""A server on loopback that gives its answers in order, whatever it is asked."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
from aiohttp import web


@attrs.define
class BadServer:
    """Gives its answers in order, then repeats the last one; records each request and its key."""

    answers: list[object]
    requests: list[tuple[str, str, str | None]] = attrs.field(factory=list)
    headers: list[Mapping[str, str]] = attrs.field(factory=list)
    url: str = ""

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.headers.append(request.headers)
        self.requests.append((request.method, request.path, request.headers.get("Authorization")))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang up":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        status, body, headers = answer if isinstance(answer, tuple) else (200, answer, {})
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=content, headers=headers)


@asynccontextmanager
async def running(*answers: object, tls: ssl.SSLContext | None = None) -> AsyncIterator[BadServer]:
    """Start a server.

    Args:
        answers: ``"hang up"``, bytes, an object for JSON, or status, object and headers.
    """
    server = BadServer(list(answers))
    runner = web.ServerRunner(web.Server(server.take), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
