"""Sends HTTP as bytes, for requests that no client library would send."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs

if TYPE_CHECKING:
    from tests.e2e.running_server import RunningServer


@attrs.frozen(kw_only=True)
class RawAnswer:
    """One answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object in it."""
        return dict(json.loads(self.raw))


async def read_answer(reader: asyncio.StreamReader, *, is_head: bool = False) -> RawAnswer:
    """Read the next answer of a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if is_head else int(headers.get("content-length", "0"))
    return RawAnswer(
        status=int(status_line.split()[1]), headers=headers, raw=await reader.readexactly(length)
    )


async def connect(server: RunningServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = urlsplit(server.url)
    return await asyncio.open_connection(where.hostname, where.port)


async def exchange(server: RunningServer, *pieces: bytes, timeout_s: float = 10.0) -> list[RawAnswer]:
    """Send pieces on one connection, and read all answers, a 100 included, until the server closes it.

    The client's side is closed after the first final answer, which ends a connection that is kept alive.
    """
    reader, writer = await connect(server)
    answers = []
    try:
        async with asyncio.timeout(timeout_s):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
            while True:
                try:
                    answers.append(await read_answer(reader, is_head=pieces[0].startswith(b"HEAD ")))
                except (asyncio.IncompleteReadError, ConnectionError):
                    return answers
                if answers[-1].status != 100 and answers[-1].headers.get("connection") != "close":
                    writer.write_eof()
    finally:
        writer.close()
