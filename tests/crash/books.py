"""The jobs of an installation, read through the port of its store, whichever store that is."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

from musicgate.errors import StorageError
from musicgate.model import JobQuery
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.sqlite import SqliteJobStore
from tests.postgres_servers import execute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from musicgate.model import Job
    from musicgate.store import JobStore

_PAGE = 500
#: A database that is being started again is waited for.
_TIMEOUT_S = 60.0


class Books:
    """Reads the jobs of a store that a server may be using, and that may be away for a while."""

    def __init__(
        self,
        opened: Callable[[], AbstractAsyncContextManager[JobStore]],
        rows: Callable[[], Awaitable[int]],
    ) -> None:
        self._opened = opened
        self._rows = rows

    @classmethod
    def of_sqlite(cls, path: Path) -> Books:
        """The books in a file."""

        async def rows() -> int:
            with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
                (count,) = connection.execute("SELECT count(*) FROM jobs").fetchone()
            return int(count)

        return cls(lambda: SqliteJobStore.open_to_read(path), rows)

    @classmethod
    def of_postgres(cls, url: str) -> Books:
        """The books in a database."""

        async def rows() -> int:
            ((count,),) = await execute(url, "SELECT count(*) FROM musicgate.jobs")
            return int(count)

        return cls(lambda: PostgresJobStore.open_to_read(url), rows)

    async def jobs(self) -> list[Job]:
        """Every job that can be read, the oldest first."""
        return await self._read(_all)

    async def open_jobs(self) -> list[Job]:
        """The jobs that are not final."""
        return await self._read(_open)

    async def rows(self) -> int:
        """The number of jobs, readable or not; the port leaves out what cannot be read."""
        return await self._rows()

    async def _read(self, read: Callable[[JobStore], Awaitable[list[Job]]]) -> list[Job]:
        end = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                async with self._opened() as store:
                    return await read(store)
            except StorageError:
                if time.monotonic() > end:
                    raise
            await asyncio.sleep(0.2)


async def _all(store: JobStore) -> list[Job]:
    jobs: list[Job] = []
    before = None
    while page := await store.list_jobs(None, JobQuery(limit=_PAGE, before=before)):
        jobs += page
        before = (page[-1].created_at, page[-1].id)
    return jobs[::-1]


async def _open(store: JobStore) -> list[Job]:
    jobs: list[Job] = []
    while page := await store.open_jobs(jobs[-1].id if jobs else "", _PAGE):
        jobs += page
    return jobs
