"""Group commit for SQLite: one thread commits all waiting writes at once. It knows no table.

A durable commit waits for the disk once, however many rows it holds. So the thread takes all writes that have
queued up while it was busy, runs them one after another in one transaction, commits, and only then answers
their callers.

A savepoint costs as much as the write that it protects (10 us), so there is none before it is needed. If a
write fails, which is rare, the transaction is rolled back and the group runs once more, each write in a
savepoint of its own: then only the failing one is undone.

If the commit itself fails, nothing of the group is stored and every caller gets the error, including a caller
whose result only reported that another caller's write, now lost, came first.
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

from musicgate.errors import StorageError
from musicgate.store.sqlite_errors import as_caller_sees

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

#: Bounds how long the first caller of a group waits for the others.
_LARGEST_GROUP: Final = 512
#: Seconds between attempts to hand results to the event loop when memory is exhausted.
_HAND_OVER_PAUSE_S: Final = 0.5


#: An operation, and where its caller waits for the answer.
_Write = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]
#: Where the caller waits, and the result or the error.
_Outcome = tuple["asyncio.Future[Any]", Any, Exception | None]


class GroupWriter:
    """Runs writes in groups on a thread of its own, for callers on one event loop."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Start the thread.

        Args:
            connect: called on the thread, and again after a connection broke. The connection must begin no
                transaction by itself (``isolation_level=None``).
        """
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
        """Run the operation in the next transaction, and return when it is on the disk.

        It may run twice, and what it did the first time is rolled back. So it must change nothing but the
        database. A caller that is cancelled while it waits cannot know whether the write happened.

        Raises:
            StorageError: nothing of the operation was stored.
        """
        if self._is_closed:
            raise StorageError("the job store is closed")
        answer: asyncio.Future[_T] = self._loop.create_future()
        write = operation, answer
        self._waiting.put(write)
        # Checked after the put, since the thread may end in between: a write that it no longer sees is
        # answered here.
        if self._has_ended:
            _deliver_all([_ended(write)])
        return await answer

    async def close(self) -> None:
        """Finish the waiting writes, then end the thread. Closing again does nothing."""
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
        """Wait for writes, commit them, answer their callers; False if `close` came behind them."""
        first = self._waiting.get()
        if first is None:
            return False
        group = [first]
        is_last = False
        try:
            is_last = self._gather(group)
            outcomes = self._commit(group)
        except BaseException as exc:  # noqa: BLE001 - as in `_commit`; out of memory, for instance
            outcomes = _failed(group, exc)
        self._answer(outcomes)
        return not is_last

    def _gather(self, group: list[_Write]) -> bool:
        """Add all waiting writes to the group; True if `close` came behind them."""
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
                self._loop.call_soon_threadsafe(_deliver_all, outcomes)
            except RuntimeError:  # the loop was closed without closing the store: no caller waits any more
                return
            except MemoryError:
                time.sleep(_HAND_OVER_PAUSE_S)
            else:
                return

    def _commit(self, group: Sequence[_Write]) -> list[_Outcome]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                outcomes: list[_Outcome] = [
                    (answer, operation(connection), None) for operation, answer in group
                ]
            except Exception:  # noqa: BLE001 - it comes again, with the write that raises it
                # On some errors, such as a full disk, SQLite itself has rolled back.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                outcomes = [_perform_alone(connection, write) for write in group]
            connection.execute("COMMIT")
        except BaseException as exc:  # noqa: BLE001 - the thread must go on, and every caller get an answer
            # Closing rolls back. The next group gets a new connection: one that was opened while the disk
            # was full or read-only may keep failing.
            self._disconnect()
            return _failed(group, exc)
        return outcomes

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # One that cannot be closed is abandoned, after the rollback released its lock.
            for end in (connection.rollback, connection.close):
                with contextlib.suppress(Exception):
                    end()


def _perform_alone(connection: sqlite3.Connection, write: _Write) -> _Outcome:
    operation, answer = write
    connection.execute("SAVEPOINT one")
    try:
        result = operation(connection)
    except Exception as exc:
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return answer, None, as_caller_sees(exc)
    connection.execute("RELEASE one")
    return answer, result, None


def _failed(group: Sequence[_Write], exc: BaseException) -> list[_Outcome]:
    return [(answer, None, as_caller_sees(exc)) for _, answer in group]


def _ended(write: _Write) -> _Outcome:
    return write[1], None, StorageError("the job store's writer has ended; nothing was stored")


def _deliver_all(outcomes: Sequence[_Outcome]) -> None:
    for answer, result, error in outcomes:
        try:
            if answer.done():  # its caller was cancelled in the meantime
                continue
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)
        except Exception:  # noqa: BLE001 - one caller must not cost the others their answers
            _log.exception("a caller of the job store could not be answered")
