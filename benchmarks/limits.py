"""The limits: the least that any aiohttp gateway does. A script of its own.

``limits.py PORT CREATE_URL BODY_FILE asyncio|uvloop|durable``: passes creates on to the URL, and answers GET
with the bytes of the file. With ``durable`` it runs on uvloop, and commits a row before the call and its
answer after it, as a gateway must that loses no paid work; the database is beside the file.
``limits.py polls CREATE_URL SECONDS``: polls one task, 64 at a time, on uvloop, and prints the number of
polls and their CPU seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import sqlite3
import sys
import threading
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


_Write = tuple[str, tuple[object, ...], "asyncio.Future[None]"]


class Rows:
    """A table of one row per create: the least that a durable store does, with group commit on a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._waiting: list[_Write] = []
        self._is_busy = False
        self._groups: queue.SimpleQueue[list[_Write]] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    async def add(self, doc: bytes) -> int:
        """Commit a new row; its id."""
        key = next(self._ids)
        await self._write("INSERT INTO rows (id, doc) VALUES (?, ?)", (key, doc))
        return key

    async def replace(self, key: int, doc: bytes) -> None:
        """Commit another document of a row."""
        await self._write("UPDATE rows SET doc = ? WHERE id = ?", (doc, key))

    def _write(self, statement: str, values: tuple[object, ...]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((statement, values, done))
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._hand_over)
        return done

    def _hand_over(self) -> None:
        group, self._waiting = self._waiting, []
        self._groups.put(group)

    def _answer(self, group: list[_Write]) -> None:
        for _, _, done in group:
            done.set_result(None)
        self._is_busy = bool(self._waiting)
        if self._is_busy:
            self._loop.call_soon(self._hand_over)

    def _run(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, doc BLOB NOT NULL)")
        while True:
            group = self._groups.get()
            database.execute("BEGIN IMMEDIATE")
            for statement, values, _ in group:
                database.execute(statement, values)
            database.execute("COMMIT")
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._answer, group)


def serve(port: int, create_url: str, file: Path, *, is_durable: bool) -> None:
    """Serve the limits until SIGTERM."""
    body = file.read_bytes()
    client = web.AppKey("client", ClientSession)
    rows = web.AppKey("rows", Rows)

    async def session(app: web.Application) -> AsyncIterator[None]:
        if is_durable:
            app[rows] = Rows(file.with_name("rows.db"))
        async with _session() as app[client]:
            yield

    async def passed_on(request: web.Request, data: bytes) -> tuple[bytes, int]:
        async with request.app[client].post(create_url, data=data, headers=_HEADERS) as got:
            return orjson.dumps(orjson.loads(await got.read())), got.status

    async def pass_on(request: web.Request) -> web.Response:
        data = orjson.dumps(orjson.loads(await request.read()))
        answer, status = await passed_on(request, data)
        return web.Response(body=answer, status=status, content_type="application/json")

    async def store_and_pass_on(request: web.Request) -> web.Response:
        data = orjson.dumps(orjson.loads(await request.read()))
        key = await request.app[rows].add(data)
        answer, status = await passed_on(request, data)
        await request.app[rows].replace(key, answer)
        return web.Response(body=answer, status=status, content_type="application/json")

    async def static(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.add_routes(
        [
            web.post("/v1/music/generate", store_and_pass_on if is_durable else pass_on),
            web.get("/v1/music/generate/{music_id}", static),
        ]
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
        if sys.argv[4] != "asyncio":
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
        serve(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), is_durable=sys.argv[4] == "durable")
