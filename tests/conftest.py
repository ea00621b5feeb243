"""Fixtures that the core's tests share: answers played into aiohttp's client without a socket, and every job store in turn."""

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


class PlayedResponse(aiohttp.ClientResponse):
    """A client response that nobody wrote a request for.

    aiohttp 3.14 asks each response for the writer of its request, and aioresponses 0.7.9 does not name one.
    """

    def __init__(self, method: str, url: URL, **arguments: Any) -> None:
        writer: Any = SimpleNamespace(output_size=0)
        super().__init__(method, url, stream_writer=writer, **arguments)


class PlayedAnswers(aioresponses):
    """aioresponses whose answers work with the installed aiohttp."""

    def add(self, *arguments: Any, **options: Any) -> None:
        """Play one answer; the arguments are those of `aioresponses.add`."""
        super().add(*arguments, **{"response_class": PlayedResponse, **options})


@pytest.fixture
def played_answers() -> Iterator[PlayedAnswers]:
    """Answer aiohttp's client from a script: `played_answers.post(url, payload={...}, status=200)`."""
    played = PlayedAnswers()
    with played:
        yield played


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server on loopback for each script and tells its port."""
    async with serving() as start:
        yield start


@pytest.fixture
def vendors(serve: Serve) -> Vendors:
    """Starts vendors, each with a script that is run when a request has been read."""
    return starting(serve)


@contextlib.asynccontextmanager
async def in_memory(_folder: Path) -> AsyncIterator[JobStore]:
    yield MemoryJobStore()


def on_sqlite(folder: Path) -> AbstractAsyncContextManager[JobStore]:
    return SqliteJobStore.open(folder / "store.db")


@pytest.fixture(params=[in_memory, on_sqlite])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[JobStore]:
    """Every store in turn: what holds for one must hold for each. A new one joins here."""
    opened: Callable[[Path], AbstractAsyncContextManager[JobStore]] = request.param
    async with opened(tmp_path) as ready:
        yield ready
