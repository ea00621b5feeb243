"""One thread that owns one SQLite connection and commits everything that waits in one transaction; it knows no table.

A durable commit costs one wait for the disk, however many rows it holds. So the thread takes all writes that have gathered
while it was busy, runs them one after another inside one transaction, commits, and only then answers their callers. Each write
has a savepoint of its own: what one caller did wrong is undone for that caller alone. When the commit itself fails, nothing of
the group is stored and every caller is told so, also a caller whose answer depended on nothing but another one's lost write.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs

from musicgate.errors import StorageError

_T = TypeVar("_T")

#: Bounds how long the first caller of a group waits for the others.
_LARGEST_GROUP: Final = 512

#: SQLite's primary result codes (sqlite.org/rescode.html) -> what went wrong, for people.
_REASONS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_PERM: "the database is not ours to write",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
    sqlite3.SQLITE_BUSY: "another program keeps the database locked",
    sqlite3.SQLITE_LOCKED: "another program keeps the database locked",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_CONSTRAINT: "it is already stored",
}


def reason(exc: sqlite3.Error) -> str:
    """What went wrong, in a few words for people, and SQLite's own words behind it."""
    # Errors of the Python module itself (a closed connection) carry no code of SQLite.
    code: int = getattr(exc, "sqlite_errorcode", 0)
    return f"{_REASONS.get(code & 0xFF, 'the database refused')} ({exc})"


def explained(exc: Exception) -> Exception:
    """The error as a caller of the store shall see it: a `StorageError` with a sentence for whatever SQLite says."""
    if not isinstance(exc, sqlite3.Error):
        return exc
    error = StorageError(f"the job store failed: {reason(exc)}")
    error.__cause__ = exc
    return error


@attrs.frozen(kw_only=True)
class _Write:
    operation: Callable[[sqlite3.Connection], Any]
    answer: "asyncio.Future[Any]"


@attrs.frozen(kw_only=True)
class _Outcome:
    write: _Write
    result: Any = None
    error: Exception | None = None

    def tell(self) -> None:
        """Answer the caller, unless the caller has gone away in the meantime."""
        if self.write.answer.done():
            return
        if self.error is None:
            self.write.answer.set_result(self.result)
        else:
            self.write.answer.set_exception(self.error)


class GroupWriter:
    """Runs writes in groups on a thread of its own, for callers of one event loop."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Start the thread. ``connect`` is called on it, again after a connection broke; the connection must not begin by itself."""
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        # A daemon: a program that ends without closing loses only writes whose callers have had no answer.
        self._thread = threading.Thread(target=self._run, name="musicgate-store-writer", daemon=True)
        self._thread.start()

    async def write(self, operation: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run the operation in the next transaction and wait until it is on the disk.

        A caller that is cancelled while it waits cannot know whether the write happened.

        Raises:
            StorageError: nothing of the operation was stored.
        """
        if self._is_closed:
            raise StorageError("the job store is closed")
        answer: asyncio.Future[_T] = self._loop.create_future()
        self._waiting.put(_Write(operation=operation, answer=answer))
        return await answer

    async def close(self) -> None:
        """Finish what waits, then end the thread. Closing again does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, is_last = self._gather(first)
            outcomes = self._commit(group)
            # A loop that was closed without closing the store has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_tell_all, outcomes)
            if is_last:
                break
        self._disconnect()

    def _gather(self, first: _Write) -> tuple[list[_Write], bool]:
        """All writes that wait by now, and whether the end was asked for behind them."""
        group = [first]
        with contextlib.suppress(queue.Empty):
            while len(group) < _LARGEST_GROUP:
                write = self._waiting.get_nowait()
                if write is None:
                    return group, True
                group.append(write)
        return group, False

    def _commit(self, group: Sequence[_Write]) -> list[_Outcome]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [_perform(self._connection, write) for write in group]
            self._connection.execute("COMMIT")
        except Exception as exc:  # noqa: BLE001 - the thread must live on, and every caller must hear of it
            # Closing rolls back. The next group gets a new connection: a disk that was full or read-only when this one was
            # opened may stick to it.
            self._disconnect()
            return [_Outcome(write=write, error=explained(exc)) for write in group]
        return outcomes

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _perform(connection: sqlite3.Connection, write: _Write) -> _Outcome:
    connection.execute("SAVEPOINT one")
    try:
        result = write.operation(connection)
    except Exception as exc:
        # SQLite itself gives the whole transaction up on some errors, a full disk among them.
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return _Outcome(write=write, error=explained(exc))
    connection.execute("RELEASE one")
    return _Outcome(write=write, result=result)


def _tell_all(outcomes: Sequence[_Outcome]) -> None:
    for outcome in outcomes:
        outcome.tell()
