"""The writer that commits in groups: who shares a group, and failures."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from musicgate.errors import StorageError
from musicgate.store import group_commit
from musicgate.store.group_commit import GroupWriter
from musicgate.store.sqlite_errors import as_caller_sees


class UnsteadyConnection(sqlite3.Connection):
    """A connection that refuses chosen statements."""

    refused: tuple[str, ...] = ()

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql in self.refused:
            raise sqlite3.OperationalError(f"no {sql} today")
        return super().execute(sql, *arguments)


@pytest.mark.parametrize("refused", [("COMMIT",), ("COMMIT", "ROLLBACK")])
async def test_when_the_commit_fails_every_caller_gets_the_error_and_the_next_group_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: tuple[str, ...]
) -> None:
    path = tmp_path / "plain.db"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None, factory=UnsteadyConnection)

    writer = GroupWriter(connect)
    await writer.write(lambda connection: connection.execute("CREATE TABLE t (x)").close())
    monkeypatch.setattr(UnsteadyConnection, "refused", refused)
    insert = "INSERT INTO t VALUES (1)"
    lost = [writer.write(lambda connection: connection.execute(insert).close()) for _ in range(3)]
    answers = await asyncio.gather(*lost, return_exceptions=True)
    assert {str(answer) for answer in answers} == {
        "the job store failed: the database refused (no COMMIT today)"
    }
    monkeypatch.setattr(UnsteadyConnection, "refused", ())
    await writer.write(lambda connection: connection.execute(insert).close())
    assert await writer.write(lambda db: db.execute("SELECT count(*) FROM t").fetchall()) == [(1,)]
    await writer.close()


class StuckConnection(sqlite3.Connection):
    """A connection that can neither commit nor be closed."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise MemoryError
        return super().execute(sql, *arguments)

    def close(self) -> None:
        raise sqlite3.OperationalError("unable to close due to unfinalized statements")


def out_of_memory(*_: Any) -> Any:
    raise MemoryError


def stop_iteration(_: sqlite3.Connection) -> None:
    raise StopIteration


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[GroupWriter]:
    ready = GroupWriter(lambda: sqlite3.connect(tmp_path / "plain.db", isolation_level=None))
    yield ready
    await ready.close()


async def answer_of(writer: GroupWriter) -> Any:
    return await asyncio.wait_for(writer.write(lambda db: db.execute("SELECT 1").fetchall()), 5)


async def test_a_connection_that_cannot_be_closed_does_not_end_the_writer(tmp_path: Path) -> None:
    kinds: list[Any] = [StuckConnection, sqlite3.Connection]

    def connect() -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(
            tmp_path / "plain.db", isolation_level=None, factory=kinds.pop(0)
        )
        return connection

    writer = GroupWriter(connect)
    with pytest.raises(MemoryError):
        await answer_of(writer)
    assert await answer_of(writer) == [(1,)]
    await writer.close()


class FullQueue:
    """A queue that takes nothing."""

    put = staticmethod(out_of_memory)


@pytest.mark.parametrize("place", ["_handed_over", "_commit"])
async def test_running_out_of_memory_is_reported_and_survived(
    writer: GroupWriter, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(group_commit, "_LARGEST_GROUP", 2)
    with monkeypatch.context() as patched:
        patched.setattr(writer, place, out_of_memory if place == "_commit" else FullQueue())
        answers = await asyncio.gather(*(answer_of(writer) for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [MemoryError] * 3
    assert await answer_of(writer) == [(1,)]


@pytest.fixture
def groups(writer: GroupWriter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of writes in each group."""
    sizes: list[int] = []
    commit = writer._commit

    def counted(group: Any) -> Any:
        sizes.append(len(group))
        return commit(group)

    monkeypatch.setattr(writer, "_commit", counted)
    return sizes


class Turns:
    """A clock that advances whenever it is read, as if each turn of the loop took so long."""

    def __init__(self, turn_s: float) -> None:
        self.turn_s = turn_s
        self.now_s = 1.0

    def perf_counter(self) -> float:
        self.now_s += self.turn_s
        return self.now_s


async def write_in_later_turns(writer: GroupWriter, count: int, turns_between: int) -> None:
    """Start writes some turns of the event loop apart, and wait for all."""
    writes = []
    for _ in range(count):
        writes.append(asyncio.create_task(answer_of(writer)))
        for _ in range(turns_between):
            await asyncio.sleep(0)
    await asyncio.gather(*writes)


async def test_writes_gather_while_the_event_loop_is_busy_for_a_bounded_time(
    writer: GroupWriter, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(answer_of(writer), answer_of(writer))
    monkeypatch.setattr(group_commit, "time", Turns(0.001))
    await write_in_later_turns(writer, 3, turns_between=1)
    assert groups == [2, 3]
    # The second comes after more than 20 ms.
    await write_in_later_turns(writer, 2, turns_between=50)
    assert groups == [2, 3, 1, 1]


async def test_writes_do_not_gather_while_the_event_loop_has_nothing_else_to_do(
    writer: GroupWriter, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(answer_of(writer), answer_of(writer))
    monkeypatch.setattr(group_commit, "time", Turns(0.00001))
    await write_in_later_turns(writer, 2, turns_between=20)
    assert groups == [2, 1, 1]


async def test_a_single_caller_never_waits_for_others(
    writer: GroupWriter, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "time", Turns(0.001))
    await write_in_later_turns(writer, 2, turns_between=4)
    assert groups == [1, 1]


async def test_a_group_has_a_largest_size(
    writer: GroupWriter, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_LARGEST_GROUP", 2)
    assert await asyncio.gather(*(answer_of(writer) for _ in range(5))) == [[(1,)]] * 5
    assert groups == [2, 2, 1]


async def test_handing_results_to_the_event_loop_is_retried(
    writer: GroupWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_HAND_OVER_PAUSE_S", 0.01)
    loop, tries = asyncio.get_running_loop(), []
    hand_over = loop.call_soon_threadsafe

    def call_soon(*arguments: Any, **options: Any) -> Any:
        tries.append(arguments)
        return out_of_memory() if len(tries) < 3 else hand_over(*arguments, **options)

    monkeypatch.setattr(loop, "call_soon_threadsafe", call_soon)
    assert await answer_of(writer) == [(1,)]
    assert len(tries) >= 3


async def test_one_failing_result_does_not_keep_the_others_waiting(writer: GroupWriter) -> None:
    breaking = writer.write(stop_iteration)
    first, second = await asyncio.wait_for(
        asyncio.gather(breaking, answer_of(writer), return_exceptions=True), 5
    )
    assert str(first) == "the job store failed: StopIteration: "
    assert second == [(1,)]


async def test_a_group_in_which_one_write_fails_is_repeated_with_savepoints(writer: GroupWriter) -> None:
    await writer.write(lambda db: db.execute("CREATE TABLE t (x UNIQUE)").close())
    runs: list[int] = []

    def insert(number: int) -> Callable[[sqlite3.Connection], int]:
        def run(connection: sqlite3.Connection) -> int:
            runs.append(number)
            connection.execute("INSERT INTO t VALUES (?)", (number % 3,))
            return number

        return run

    answers = await asyncio.gather(*(writer.write(insert(n)) for n in range(4)), return_exceptions=True)
    assert answers[:3] == [0, 1, 2]
    assert str(answers[3]) == "the job store failed: it is already stored (UNIQUE constraint failed: t.x)"
    assert runs == [0, 1, 2, 3] * 2
    assert await writer.write(lambda db: db.execute("SELECT x FROM t").fetchall()) == [(0,), (1,), (2,)]
    runs.clear()
    assert await asyncio.gather(*(writer.write(insert(n)) for n in (3,)), return_exceptions=True) != [3]
    await writer.write(lambda db: db.execute("DELETE FROM t").close())
    runs.clear()
    assert await asyncio.gather(*(writer.write(insert(n)) for n in range(3))) == [0, 1, 2]
    assert runs == [0, 1, 2]


async def test_a_full_disk_in_the_first_run_fails_the_group_like_one_in_the_second(
    writer: GroupWriter,
) -> None:
    """SQLite rolls back the whole transaction by itself."""
    await writer.write(lambda db: db.execute("CREATE TABLE t (x)").close())
    inserts = [
        lambda db, size=size: db.execute("INSERT INTO t VALUES (zeroblob(?))", (size,)).close()
        for size in (9, 10**6)
    ]
    await writer.write(lambda db: db.execute("PRAGMA max_page_count = 1").close())
    answers = await asyncio.gather(*(writer.write(insert) for insert in inserts), return_exceptions=True)
    assert {str(answer) for answer in answers} == {
        "the job store failed: the disk is full (database or disk is full)"
    }
    assert await writer.write(lambda db: db.execute("SELECT * FROM t").fetchall()) == []
    await asyncio.gather(*(writer.write(insert) for insert in inserts))


async def test_closing_needs_no_further_turn_of_the_event_loop_to_commit_what_waits(
    writer: GroupWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_LARGEST_GROUP", 2)
    writes = [asyncio.create_task(answer_of(writer)) for _ in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(writer.close())
    await asyncio.sleep(0)
    writer._thread.join(10)  # blocks the loop
    assert not writer._thread.is_alive()
    await closing
    assert await asyncio.gather(*writes) == [[(1,)]] * 5


async def test_an_ended_writer_refuses_writes_and_leaves_no_caller_waiting(writer: GroupWriter) -> None:
    is_held, gate = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        is_held.set()
        gate.wait(10)

    holding = asyncio.ensure_future(writer.write(hold))
    await asyncio.to_thread(is_held.wait)
    writer._handed_over.put(None)  # the end of the thread, without `close`
    waiting = [asyncio.create_task(answer_of(writer)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    await holding
    for answer in await asyncio.gather(*waiting, return_exceptions=True):
        assert str(answer) == "the job store's writer has ended; nothing was stored"
    with pytest.raises(StorageError, match="the job store's writer has ended"):
        await answer_of(writer)


def test_sqlite_errors_are_described_for_people() -> None:
    for code, expected in ((sqlite3.SQLITE_IOERR_WRITE, "the disk failed"), (None, "the database refused")):
        error = sqlite3.OperationalError("details")
        if code is not None:
            error.sqlite_errorcode = code
        assert str(as_caller_sees(error)) == f"the job store failed: {expected} (details)"
