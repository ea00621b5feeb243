"""Faults besides a kill: a stopped server, a locked store, a full disk, nonsense from vendors."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from musicgate.plugin.wire import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.crash.harness import Harness
    from tests.crash.server import Server

#: Longer than a write waits for the lock (5 s), so that writes fail.
LOCKED_S = 6.5
_TEXT = {"Content-Type": "application/json"}

#: Unreadable answers of vendors. None of them refuses a song, so none of them may end a job as refused.
NONSENSE: tuple[HttpResponse, ...] = tuple(
    HttpResponse(status=status, headers=_TEXT, body=body)
    for status, body in (
        (200, b"null"),
        (200, b"[]"),
        (200, b'"done"'),
        (200, b"17"),
        (200, b'{"code": {}, "data": 5}'),
        (200, b'{"code": 200, "data": {"taskId": ["x"], "status": 7, "response": "no"}}'),
        (200, b'{"code": "200", "data": [[[]]], "status": null, "base_resp": []}'),
        (200, b'{"code": 1e999, "data": {"taskId": NaN}}'),
        (200, b'{"\xff\xfe": "\\ud800"}'),
        (200, b"[" * 20_000),
        (200, b""),
        (200, b"<html>ok</html>"),
        (500, b'{"detail": null}'),
        (502, b"\x00\x01\x02"),
    )
)


def install_broken_hooks(site: Path) -> None:
    """Install `tests.crash.broken_hooks` as a distribution into a folder of the server's path."""
    metadata = site / "crash_broken_hooks-0.1.dist-info"
    metadata.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("broken_hooks.py"), site / "crash_broken_hooks.py")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: crash-broken-hooks\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[musicgate]\nbroken_hooks = crash_broken_hooks:plugin\n")


async def stop_for_a_while(harness: Harness, seconds: float, server: Server | None = None) -> None:
    """Send SIGSTOP to a server, and SIGCONT after a while."""
    server = server or harness.server
    server.halt()
    try:
        await asyncio.sleep(seconds)
    finally:
        server.go_on()


async def lock_store(harness: Harness, seconds: float = LOCKED_S, _: Server | None = None) -> None:
    """Hold the write lock of the database, as a backup program does."""
    if harness.postgres is not None:
        await _lock_tables(harness.postgres.url, seconds)
        return

    def hold() -> None:
        connection = sqlite3.connect(harness.database, timeout=30, isolation_level=None)
        with contextlib.closing(connection):
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("COMMIT")

    await asyncio.to_thread(hold)


async def _lock_tables(url: str, seconds: float) -> None:
    """Keep the table of jobs locked for so long, as a change of a schema does, or until PostgreSQL stops."""
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE musicgate.jobs IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(seconds)
        finally:
            await connection.close()


async def fill_disk(harness: Harness, seconds: float, server: Server | None = None) -> None:
    """Keep a server's files from growing for a while."""
    server = server or harness.server
    pid = server.pid
    if pid is None:
        return
    limit_file_size(pid, 1)
    await asyncio.sleep(seconds)
    if server.pid == pid:
        limit_file_size(pid, resource.RLIM_INFINITY)


async def send_nonsense(harness: Harness, seconds: float, _: Server | None = None) -> None:
    """Make the next few answers of every vendor unreadable."""
    for vendor in harness.vendors.values():
        vendor.nonsense_left = 3
    await asyncio.sleep(seconds)
    for vendor in harness.vendors.values():
        vendor.nonsense_left = 0


def limit_file_size(pid: int, size: int) -> None:
    """Keep the files of a process from growing beyond a size, as on a full disk."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


#: By name: the fault, and how long it lasts at most.
FAULTS: dict[str, tuple[Callable[[Harness, float, Server | None], Awaitable[None]], float]] = {
    "SIGSTOP": (stop_for_a_while, 2.0),
    "store locked": (lock_store, LOCKED_S),
    "disk full": (fill_disk, 1.5),
    "vendor nonsense": (send_nonsense, 1.0),
}
