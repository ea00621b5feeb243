"""Reads for the SQLite job store, on the event loop or a thread; knows connections, no table.

A search by key takes about ten microseconds, less than a hop to a thread. So it runs on the event loop, on a
connection that never waits: with a write-ahead log the writer does not block readers. Another program may, a
backup or a recovery for instance; then the read is repeated on the thread, which waits. All other reads run
on the thread: a list or a sum may take long.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from musicgate.errors import StorageError
from musicgate.store.sqlite_errors import as_caller_sees, is_busy

_T = TypeVar("_T")
Rows = list[tuple[Any, ...]]


class SqliteReader:
    """Reads from one database, for callers on one event loop."""

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        """Connect.

        Args:
            busy_timeout_s: how long the thread waits while another program keeps the database locked.
        """
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._quick = _connect(path, 0.0)
        self._waiting: sqlite3.Connection | None = None
        self._is_closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="musicgate-store-reader")

    async def by_key(self, statement: str, *values: str | int | None) -> Rows:
        """The rows of a search that finds few rows through an index.

        Raises:
            StorageError: the database cannot be read.
        """
        try:
            return self._quick.execute(statement, values).fetchall()
        except sqlite3.Error as exc:
            if not is_busy(exc):
                raise as_caller_sees(exc) from exc
        return await self.listed(statement, *values)

    async def listed(self, statement: str, *values: str | int | None) -> Rows:
        """The rows of a search that may take long, or find many rows.

        Raises:
            StorageError: the database cannot be read.
        """
        return await self.on_thread(lambda connection: connection.execute(statement, values).fetchall())

    async def on_thread(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run some work on the reader's thread.

        It must leave no statement half-read: that would keep its snapshot, and the log from being truncated.

        Raises:
            StorageError: the database cannot be read.
        """
        if self._is_closed:
            raise StorageError("the job store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)
        except sqlite3.Error as exc:
            raise as_caller_sees(exc) from exc

    async def close(self) -> None:
        """Finish the reads that are running and close the connections. Closing again does nothing."""
        self._is_closed = True
        await asyncio.to_thread(self._thread.shutdown)
        for connection in (self._quick, self._waiting):
            if connection is not None:
                connection.close()

    def _work(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._waiting is None:
            self._waiting = _connect(self._path, self._busy_timeout_s)
        return work(self._waiting)


def _connect(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """Open a read-only connection that another thread than its user may close."""
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection
