"""The limits: the least that any aiohttp gateway does. A script of its own.

``limits.py PORT CREATE_URL BODY_FILE asyncio|uvloop``: passes creates on to the URL, and answers GET with the
bytes of the file. ``limits.py polls CREATE_URL SECONDS``: polls one task, 64 at a time, on uvloop, and prints
the number of polls and their CPU seconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

_HEADERS = {"Authorization": "Bearer test-key-not-real", "Content-Type": "application/json"}
_CONCURRENCY = 64


def _session() -> ClientSession:
    return ClientSession(connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar())


def serve(port: int, create_url: str, file: Path) -> None:
    """Serve both limits until SIGTERM."""
    body = file.read_bytes()
    client = web.AppKey("client", ClientSession)

    async def session(app: web.Application) -> AsyncIterator[None]:
        async with _session() as app[client]:
            yield

    async def pass_on(request: web.Request) -> web.Response:
        data = orjson.dumps(orjson.loads(await request.read()))
        async with request.app[client].post(create_url, data=data, headers=_HEADERS) as got:
            answer = orjson.dumps(orjson.loads(await got.read()))
            return web.Response(body=answer, status=got.status, content_type="application/json")

    async def static(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.add_routes(
        [web.post("/v1/music/generate", pass_on), web.get("/v1/music/generate/{music_id}", static)]
    )
    web.run_app(
        app, host="127.0.0.1", port=port, access_log=None, print=None, shutdown_timeout=0.2, backlog=4096
    )


async def poll(create_url: str, seconds: float) -> None:
    """Make a task, poll it for so many seconds, print how often and the CPU time of it."""
    polls = 0
    async with _session() as http:
        async with http.post(create_url, data=b"{}", headers=_HEADERS) as created:
            task = orjson.loads(await created.read())["data"]["taskId"]
        url = f"{create_url}/record-info?taskId={task}"
        used, end = time.process_time(), time.monotonic() + seconds

        async def ask() -> None:
            nonlocal polls
            while time.monotonic() < end:
                async with http.get(url, headers=_HEADERS) as got:
                    orjson.loads(await got.read())
                polls += 1

        await asyncio.gather(*(ask() for _ in range(_CONCURRENCY)))
        print(polls, time.process_time() - used)


if __name__ == "__main__":
    if sys.argv[1] == "polls":
        uvloop.run(poll(sys.argv[2], float(sys.argv[3])))
    else:
        if sys.argv[4] == "uvloop":
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        serve(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
