"""Two S3 servers that are not ours, on loopback, and a link to them that fails when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from musicgate.assets.objects import open_objects
from musicgate.assets.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from musicgate.assets.port import ObjectStore

BUCKET = "songs"
KEY, SECRET = "test-key-id", "test-secret-not-real"
#: Short enough for tests of a stalled store.
IMPATIENT = Patience(connect_s=1.0, request_s=0.4, retry_s=0.1, retries=2, pause_s=0.01)
#: Long enough for any answer that comes.
PATIENT = Patience(request_s=0.6, retry_s=5.0, retries=4, pause_s=0.01)


@attrs.frozen
class S3Server:
    """An S3 server with a bucket."""

    name: str
    port: int

    def options(self, *, port: int | None = None) -> dict[str, str]:
        """What a store of this server is opened with, perhaps through another port."""
        return {
            "access_key_id": KEY,
            "secret_access_key": SECRET,
            "region": "us-east-1",
            "endpoint": f"http://127.0.0.1:{port or self.port}",
            "allow_http": "true",
        }

    def open(self, prefix: str, *, port: int | None = None, patience: Patience | None = None) -> ObjectStore:
        """A store in a folder of the bucket."""
        options = self.options(port=port)
        return open_objects(f"s3://{BUCKET}/{prefix}", environ={}, options=options, patience=patience)

    def unfinished_uploads(self, prefix: str) -> int | None:
        """How many multipart uploads are neither complete nor aborted; None if the server does not say."""
        if self.name != "moto":
            return None
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", f"/{BUCKET}?uploads")
            return connection.getresponse().read().decode().count(f"<Key>{prefix}/")


@contextlib.contextmanager
def moto() -> Iterator[S3Server]:
    """Moto's server, in a process of its own: its imports raise warnings, and change botocore."""
    script = (
        "import sys; from moto.server import ThreadedMotoServer as Server\n"
        "server = Server(ip_address='127.0.0.1', port=0, verbose=False); server.start()\n"
        "print(server.get_host_and_port()[1], flush=True); sys.stdin.read(); server.stop()"
    )
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            with contextlib.closing(connection):
                connection.request("PUT", f"/{BUCKET}")
                assert connection.getresponse().status == 200
            yield S3Server("moto", port)
        finally:
            process.kill()


@contextlib.contextmanager
def rclone(folder: Path) -> Iterator[S3Server]:
    """``rclone serve s3`` over a local folder: it checks signatures, and answers ranges with 200."""
    (folder / BUCKET).mkdir()
    program = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    assert program is not None, "rclone is missing: install the group of dependencies for development"
    command = [program, "serve", "s3", str(folder), "--addr", "127.0.0.1:0", "--auth-key", f"{KEY},{SECRET}"]
    with subprocess.Popen(  # noqa: S603 - our own words
        [*command, "--config", "", "--vfs-cache-mode", "off"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"server on \[?http://127\.0\.0\.1:(\d+)", line):
                    yield S3Server("rclone", int(found[1]))
                    break
        finally:
            process.kill()


@attrs.define
class Fault:
    """What goes wrong with requests whose first line contains a mark.

    Attributes:
        mark: ``PUT``, ``partNumber=2``, ``uploads`` ...
        kind: ``cut`` in the body; ``stall`` before it; ``lose`` the answer; or a status to answer, without
            asking the server.
        times: so many requests.
    """

    mark: str
    kind: str | int
    times: int = 1


class FaultyLink:
    """A relay on loopback to a server; requests go through unless a fault is waiting for them."""

    def __init__(self, port: int, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)
        #: Set once a fault has struck.
        self.struck = asyncio.Event()
        self._server_port = port
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = int(self._listener.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        self._listener.close()

    async def _relay(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        server, requests = await asyncio.open_connection("127.0.0.1", self._server_port)
        back = asyncio.create_task(_copy(server, answers))
        try:
            while not self._closing.is_set():
                head = await client.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                body = int(length[1]) if length else 0
                kind = self._fault(head.split(b"\r\n", 1)[0].decode())
                if kind == "stall":
                    await self._closing.wait()
                    return
                if isinstance(kind, int):
                    await client.readexactly(body)
                    answers.write(_answer(kind))
                    continue
                if kind == "lose":
                    back.cancel()
                requests.write(head)
                left = body // 2 if kind == "cut" else body
                while left:
                    piece = await client.read(min(left, 65_536))
                    left -= len(piece)
                    requests.write(piece)
                    await requests.drain()
                if kind == "lose":
                    await server.read(1)
                if kind is not None:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            back.cancel()
            answers.transport.abort()
            requests.transport.abort()

    def _fault(self, line: str) -> str | int | None:
        for fault in self.faults:
            if fault.mark in line and fault.times:
                fault.times -= 1
                self.struck.set()
                return fault.kind
        return None


def _answer(status: int) -> bytes:
    codes = {409: "OperationAborted", 503: "SlowDown", 507: "XMinioStorageFull", 403: "AccessDenied"}
    body = f"<Error><Code>{codes[status]}</Code><Message>{SECRET}</Message></Error>"
    return f"HTTP/1.1 {status} Some Reason\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
