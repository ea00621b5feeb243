"""How the SQLite job store reads; it knows connections and threads, and no table.

Ten microseconds of a search by key are less than a hop to a thread, so these run where they are asked for, on a connection that never
waits: in a write-ahead log readers and the writer do not hold each other up. Somebody else may all the same, a recovery or a backup for
instance; such a read is done again on the thread, which waits. All other reads run on the thread: a list or a sum may take long.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from musicgate.errors import StorageError
from musicgate.store.group_commit import explained

_T = TypeVar("_T")
Rows = list[tuple[Any, ...]]
#: What another program, or a recovery, may say to a reader; it passes.
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class SqliteReader:
    """Reads from one database, for callers of one event loop."""

    def __init__(self, path: Path, patience_s: float) -> None:
        """Connect. ``patience_s`` is for how long the thread waits while others keep the database locked."""
        self._path = path
        self._patience_s = patience_s
        self._quick = _connect(path, 0.0)
        self._patient: sqlite3.Connection | None = None
        self._is_closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="musicgate-store-reader")

    async def by_key(self, statement: str, *values: str | int | None) -> Rows:
        """The rows of a search that finds few of them by an index.

        Raises:
            StorageError: the database cannot be read.
        """
        try:
            return self._quick.execute(statement, values).fetchall()
        except sqlite3.Error as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF not in _BUSY:
                raise explained(exc) from exc
        return await self.listed(statement, *values)

    async def listed(self, statement: str, *values: str | int | None) -> Rows:
        """The rows of a search that may take long, or find many.

        Raises:
            StorageError: the database cannot be read.
        """
        return await self.on_thread(lambda connection: connection.execute(statement, values).fetchall())

    async def on_thread(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do some work on the reader's thread. No statement may be left half-read: it would keep its snapshot, and the log its size.

        Raises:
            StorageError: the database cannot be read.
        """
        if self._is_closed:
            raise StorageError("the job store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)
        except sqlite3.Error as exc:
            raise explained(exc) from exc

    async def close(self) -> None:
        """Finish what is being read and let the database go. Closing again does nothing."""
        self._is_closed = True
        await asyncio.to_thread(self._thread.shutdown)
        for connection in (self._quick, self._patient):
            if connection is not None:
                connection.close()

    def _work(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._patient is None:
            self._patient = _connect(self._path, self._patience_s)
        return work(self._patient)


def _connect(path: Path, patience_s: float) -> sqlite3.Connection:
    """A connection that writes nothing, closed by another thread than the one that uses it."""
    connection = sqlite3.connect(path, timeout=patience_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection
