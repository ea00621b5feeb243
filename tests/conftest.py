"""Fixtures of the core's tests: vendors on loopback, all job stores."""

import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from musicgate.store.port import JobStore
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore
from tests import pgbouncers, postgres_servers, s3_servers
from tests.browser import missing
from tests.loopback_vendors import Serve, Vendors, serving, starting


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines if there was no browser."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any(missing.HOW in str(report.longrepr) for report in skipped):
        terminalreporter.write_line(missing.HOW, yellow=True)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server on loopback for a script; its port."""
    async with serving() as start:
        yield start


@pytest.fixture
def vendors(serve: Serve) -> Vendors:
    """Starts a vendor whose script runs when a request has been read."""
    return starting(serve)


@contextlib.asynccontextmanager
async def in_memory(_: pytest.FixtureRequest) -> AsyncIterator[JobStore]:
    yield MemoryJobStore()


def on_sqlite(request: pytest.FixtureRequest) -> AbstractAsyncContextManager[JobStore]:
    folder: Path = request.getfixturevalue("tmp_path")
    return SqliteJobStore.open(folder / "store.db")


@contextlib.asynccontextmanager
async def on_postgres(request: pytest.FixtureRequest) -> AsyncIterator[JobStore]:
    server: postgres_servers.Postgres = request.getfixturevalue("postgres")
    async with PostgresJobStore.open(await postgres_servers.emptied(server.url)) as ready:
        yield ready


@pytest.fixture(params=[in_memory, on_sqlite, on_postgres])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[JobStore]:
    """Each job store: a test with this fixture runs once for every store."""
    opened: Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[JobStore]] = request.param
    async with opened(request) as ready:
        yield ready


@pytest.fixture(scope="session", autouse=True)
def _no_variables_of_the_tests() -> Iterator[None]:
    """Hide the variables that are for the tests: musicgate refuses a MUSICGATE_... that is no setting."""
    with pytest.MonkeyPatch.context() as patched:
        for name in (postgres_servers.NAMED, pgbouncers.NAMED, missing.NAMED):
            patched.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _programs_can_be_interrupted() -> None:
    """Let programs that tests start obey Ctrl-C: a background job ignores it, and they would, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_servers.Postgres]:
    """A database on a real PostgreSQL, for all tests of this process."""
    with postgres_servers.postgres() as database:
        yield database


@pytest.fixture(scope="session")
def moto() -> Iterator[s3_servers.S3Server]:
    """Moto's S3 server, for all tests of this process."""
    with s3_servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3_servers.S3Server]:
    """The S3 server of rclone, for all tests of this process."""
    with s3_servers.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server
