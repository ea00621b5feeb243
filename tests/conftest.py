"""Fixtures of the core's tests: canned answers for aiohttp, vendors on loopback, all job stores."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses
from yarl import URL

from musicgate.store.port import JobStore
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore
from tests.loopback_vendors import Serve, Vendors, serving, starting


class CannedResponse(aiohttp.ClientResponse):
    """A response without a request: aiohttp 3.14 wants its writer, aioresponses 0.7.9 passes none."""

    def __init__(self, method: str, url: URL, **arguments: Any) -> None:
        writer: Any = SimpleNamespace(output_size=0)
        super().__init__(method, url, stream_writer=writer, **arguments)


class CannedAnswers(aioresponses):
    """aioresponses whose answers work with the installed aiohttp."""

    def add(self, *arguments: Any, **options: Any) -> None:
        """Add an answer; the arguments are those of `aioresponses.add`."""
        super().add(*arguments, **{"response_class": CannedResponse, **options})


@pytest.fixture
def canned_answers() -> Iterator[CannedAnswers]:
    """Answer aiohttp without a socket: `canned_answers.post(url, payload={...}, status=200)`."""
    answers = CannedAnswers()
    with answers:
        yield answers


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
async def in_memory(_folder: Path) -> AsyncIterator[JobStore]:
    yield MemoryJobStore()


def on_sqlite(folder: Path) -> AbstractAsyncContextManager[JobStore]:
    return SqliteJobStore.open(folder / "store.db")


@pytest.fixture(params=[in_memory, on_sqlite])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[JobStore]:
    """Each job store: a test with this fixture runs once for every store."""
    opened: Callable[[Path], AbstractAsyncContextManager[JobStore]] = request.param
    async with opened(tmp_path) as ready:
        yield ready
