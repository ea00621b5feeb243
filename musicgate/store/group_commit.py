"""One thread that owns one SQLite connection and commits everything that waits in one transaction; it knows no table.

A durable commit costs one wait for the disk, however many rows it holds. So the thread takes all writes that have gathered
while it was busy, runs them one after another inside one transaction, commits, and only then answers their callers. Each write
has a savepoint of its own: what one caller did wrong is undone for that caller alone. When the commit itself fails, nothing of
the group is stored and every caller is told so, also a caller whose answer depended on nothing but another one's lost write.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs

from musicgate.errors import StorageError

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)

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
    sqlite3.SQLITE_CONSTRAINT: "it breaks a rule of the tables",
}
#: Extended result codes that say more.
_CLOSER_REASONS: Final = {
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "it is already stored",
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "it is already stored",
}
#: Seconds between tries to hand answers to the event loop while there is no memory for it.
_HAND_OVER_PAUSE_S: Final = 0.5


def reason(exc: sqlite3.Error) -> str:
    """What went wrong, in a few words for people, and SQLite's own words behind it."""
    # Errors of the Python module itself (a closed connection) carry no code of SQLite.
    code: int = getattr(exc, "sqlite_errorcode", 0)
    words = _CLOSER_REASONS.get(code) or _REASONS.get(code & 0xFF, "the database refused")
    return f"{words} ({exc})"


def explained(exc: BaseException) -> Exception:
    """The error as a caller of the store shall see it: a `StorageError` with a sentence for whatever SQLite says."""
    # A StopIteration cannot be an answer: whoever awaits it would take it for an end of its own.
    if isinstance(exc, Exception) and not isinstance(exc, sqlite3.Error | StopIteration):
        return exc
    words = reason(exc) if isinstance(exc, sqlite3.Error) else f"{type(exc).__name__}: {exc}"
    error = StorageError(f"the job store failed: {words}")
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
        self._has_ended = False
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
        write = _Write(operation=operation, answer=answer)
        self._waiting.put(write)
        # Asked only now, since the thread may end in between: what it does not find waiting any more is answered here.
        if self._has_ended:
            _ended(write).tell()
        return await answer

    async def close(self) -> None:
        """Finish what waits, then end the thread. Closing again does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            while self._run_group():
                pass
        finally:
            self._has_ended = True
            self._disconnect()
            with contextlib.suppress(queue.Empty):
                while True:
                    write = self._waiting.get_nowait()
                    if write is not None:
                        self._answer([_ended(write)])

    def _run_group(self) -> bool:
        """Wait for writes, commit them and answer their callers, whatever happens; False when the end was asked for behind them."""
        first = self._waiting.get()
        if first is None:
            return False
        group = [first]
        is_last = False
        try:
            is_last = self._gather(group)
            outcomes = self._commit(group)
        except BaseException as exc:  # noqa: BLE001 - no memory, for instance: the thread must live on, and every caller must hear of it
            outcomes = [_Outcome(write=write, error=explained(exc)) for write in group]
        self._answer(outcomes)
        return not is_last

    def _gather(self, group: list[_Write]) -> bool:
        """Add all writes that wait by now to the group; True if the end was asked for behind them."""
        with contextlib.suppress(queue.Empty):
            while len(group) < _LARGEST_GROUP:
                write = self._waiting.get_nowait()
                if write is None:
                    return True
                group.append(write)
        return False

    def _answer(self, outcomes: Sequence[_Outcome]) -> None:
        while True:
            try:
                self._loop.call_soon_threadsafe(_tell_all, outcomes)
            except RuntimeError:  # a loop that was closed without closing the store has nobody left who waits
                return
            except MemoryError:
                time.sleep(_HAND_OVER_PAUSE_S)
            else:
                return

    def _commit(self, group: Sequence[_Write]) -> list[_Outcome]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [_perform(self._connection, write) for write in group]
            self._connection.execute("COMMIT")
        except BaseException as exc:  # noqa: BLE001 - the thread must live on, and every caller must hear of it
            # Closing rolls back. The next group gets a new connection: a disk that was full or read-only when this one was
            # opened may stick to it.
            self._disconnect()
            return [_Outcome(write=write, error=explained(exc)) for write in group]
        return outcomes

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # One that cannot even be closed is left to itself, without the lock: the next group gets another one.
            for end in (connection.rollback, connection.close):
                with contextlib.suppress(Exception):
                    end()


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


def _ended(write: _Write) -> _Outcome:
    return _Outcome(write=write, error=StorageError("the job store's writer has ended; nothing was stored"))


def _tell_all(outcomes: Sequence[_Outcome]) -> None:
    for outcome in outcomes:
        try:
            outcome.tell()
        except Exception:
            _logger.exception("a caller of the job store could not be answered")
