"""A proxy on loopback, in front of a server, that breaks chosen requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs

from tests.loopback_vendors import serving

#: Answers of proxies and of other servers.
GARBAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 22\r\n\r\n<html>Welcome!</html>\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 18\r\n\r\n<h1>try later</h1>"


@attrs.frozen(kw_only=True)
class Fault:
    """What happens to a request.

    Attributes:
        path: the request's path contains it.
        answer: sent in place of the server's answer, to which the request does not get; None = it does.
        keep_bytes: of the body of the server's answer, before the connection is cut; None = no byte of the
            answer at all.
    """

    path: str
    method: str = "GET"
    answer: bytes | None = None
    keep_bytes: int | None = None


@attrs.define
class FaultyProxy:
    """Forwards requests; each fault is met once, in any order.

    Attributes:
        heads: of the requests that came, as text.
    """

    upstream_port: int
    port: int = 0
    faults: list[Fault] = attrs.field(factory=list)
    heads: list[str] = attrs.field(factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers(self, name: str, method: str = "GET", path: str = "") -> list[str | None]:
        """A header of the requests with this method and a path that contains this."""
        wanted = [
            head for head in self.heads if head.startswith(f"{method} ") and path in head.split(maxsplit=2)[1]
        ]
        found = [re.search(rf"(?im)^{name}: (.*)\r$", head) for head in wanted]
        return [match[1] if match else None for match in found]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; a script of `tests.loopback_vendors.serving`."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        length = re.search(r"(?im)^content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        method, path, _ = head.split(maxsplit=2)
        fault = next((item for item in self.faults if item.method == method and item.path in path), None)
        if fault is not None:
            self.faults.remove(fault)
            if fault.answer is not None:
                writer.write(fault.answer)
                return
        server, sink = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        try:
            sink.write(head.replace("\r\n", "\r\nConnection: close\r\n", 1).encode("latin-1") + body)
            answer = await server.readuntil(b"\r\n\r\n")
            if fault is None:
                writer.write(answer)
                while piece := await server.read(65_536):
                    writer.write(piece)
                    await writer.drain()
            elif fault.keep_bytes is not None:
                writer.write(answer + await server.readexactly(fault.keep_bytes))
                await writer.drain()
                # A client that sees the cut first does not see what came before it. It is in this loop.
                for _ in range(100):
                    await asyncio.sleep(0)
                await asyncio.sleep(0.05)
        finally:
            sink.close()


@asynccontextmanager
async def faulty_proxy(upstream: str, *faults: Fault) -> AsyncIterator[FaultyProxy]:
    """The proxy in front of a server at this URL."""
    async with serving() as start:
        proxy = FaultyProxy(int(upstream.rpartition(":")[2]), faults=list(faults))
        proxy.port = await start(proxy.serve)
        yield proxy
