"""What is particular to the job store on SQLite: files, locks, durability, damage, indexes."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate.codec import dump_event
from musicgate.errors import ConfigError, StorageError
from musicgate.model import AuditEntry, Job, JobQuery, JobState
from musicgate.store import sqlite
from musicgate.store import sqlite_statements as statements
from musicgate.store.sqlite import SqliteJobStore
from tests.job_samples import NOW, ended, make_claim, make_delivery, make_event, make_job


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[SqliteJobStore]:
    async with SqliteJobStore.open(tmp_path / "store.db") as ready:
        yield ready


async def run_on_writer(store: SqliteJobStore, sql: str) -> Any:
    return await store._writer.write(lambda connection: connection.execute(sql).fetchall())


async def test_a_reopened_database_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "store.db"
    async with SqliteJobStore.open(path) as store:
        await store.add(make_job(), [make_event()])
    async with SqliteJobStore.open(path) as store:
        assert await store.get("m1") == make_job()
        assert await store.events("m1") == [(1, make_event())]
    assert sorted(file.name for file in path.parent.iterdir()) == ["store.db", "store.db.lock"]


async def test_a_database_is_private_to_its_user(sqlite_store: SqliteJobStore, tmp_path: Path) -> None:
    await sqlite_store.add(make_job(), [])
    files = (tmp_path / "store.db", tmp_path / "store.db-wal")
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]


async def test_commits_are_durable_and_the_log_is_written_ahead(sqlite_store: SqliteJobStore) -> None:
    assert await run_on_writer(sqlite_store, "PRAGMA synchronous") == [(2,)]
    assert await run_on_writer(sqlite_store, "PRAGMA journal_mode") == [("wal",)]


async def test_a_second_process_is_refused_with_the_path_of_the_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteJobStore.open(path):
        with pytest.raises(ConfigError, match="another musicgate uses the database") as caught:
            async with SqliteJobStore.open(path):
                pass
        assert str(path) in str(caught.value)
    async with SqliteJobStore.open(path) as store:
        await store.ping()


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"])
async def test_audit_log_is_append_only(sqlite_store: SqliteJobStore, statement: str) -> None:
    entry = AuditEntry(NOW, "job.created", "default", "k1")
    await sqlite_store.audit_log.add(entry)
    await sqlite_store.audit_log.forget(NOW)
    with pytest.raises(StorageError, match="append-only"):
        await run_on_writer(sqlite_store, statement)
    assert [found for _, found in await sqlite_store.audit_log.entries(0, 9)] == [entry]


async def test_waiting_writes_are_committed_in_one_transaction(sqlite_store: SqliteJobStore) -> None:
    statements: list[str] = []
    is_held, gate = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(statements.append)
        is_held.set()
        gate.wait(10)

    holding = asyncio.ensure_future(sqlite_store._writer.write(hold))
    await asyncio.to_thread(is_held.wait)
    adding = [asyncio.create_task(sqlite_store.add(make_job(f"m{number}"), [])) for number in range(40)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(holding, *adding)
    control = ("BEGIN", "COMMIT", "SAVEPOINT", "ROLLBACK", "RELEASE")
    assert [statement for statement in statements if statement.startswith(control)] == [
        *("COMMIT", "BEGIN IMMEDIATE", "COMMIT"),
    ]
    assert await sqlite_store.count_open() == 40


async def test_a_failing_write_does_not_affect_the_rest_of_its_group(sqlite_store: SqliteJobStore) -> None:
    taken = make_job("m3")
    await sqlite_store.add(taken, [])
    writes: list[Any] = [sqlite_store.add(make_job(f"m{number}"), [make_event()]) for number in range(6)]
    writes.append(sqlite_store.replace(attrs.evolve(taken, version=9), taken, [make_event()]))
    writes.append(sqlite_store._writer.write(lambda _: 1 // 0))
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == [
        *("NoneType", "NoneType", "NoneType", "StorageError", "NoneType", "NoneType"),
        *("NoneType", "ZeroDivisionError"),
    ]
    assert await sqlite_store.count_open() == 6
    assert await sqlite_store.events("m3") == []
    assert len(await sqlite_store.events("m5")) == 1


async def test_a_write_that_fails_halfway_leaves_nothing(
    sqlite_store: SqliteJobStore,
) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO marks VALUES ('m1', '1')")
        connection.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(StorageError, match="no such table"):
        await sqlite_store._writer.write(half)
    assert await run_on_writer(sqlite_store, "SELECT count(*) FROM marks") == [(0,)]


async def test_a_full_disk_stores_nothing_and_writes_work_again_later(
    sqlite_store: SqliteJobStore,
) -> None:
    await sqlite_store.add(make_job("m1"), [make_event()])
    big = attrs.evolve(make_job("m2"), native_response={"text": "x" * 100_000})
    for write in (
        sqlite_store.add(big, [make_event()]),
        sqlite_store.replace(make_job("m1"), attrs.evolve(big, id="m1"), [make_event()]),
        sqlite_store.ping(),
    ):
        # SQLite raises 1 to the present size. The limit ends with the connection.
        await run_on_writer(sqlite_store, "PRAGMA max_page_count = 1")
        with pytest.raises(StorageError, match="the disk is full"):
            await write
    assert await sqlite_store.get("m2") is None
    assert await sqlite_store.get("m1") == make_job("m1")
    assert len(await sqlite_store.events("m1")) == 1
    await sqlite_store.add(big, [make_event()])
    await sqlite_store.ping()
    assert await sqlite_store.get("m2") == big


async def test_a_read_only_database_refuses_writes_and_can_be_read(sqlite_store: SqliteJobStore) -> None:
    await sqlite_store.add(make_job(), [])
    for write in (sqlite_store.add(make_job("m2"), []), sqlite_store.ping()):
        await run_on_writer(sqlite_store, "PRAGMA query_only = ON")  # ends with the connection
        with pytest.raises(StorageError, match="the database is read-only"):
            await write
        assert await sqlite_store.get("m1") == make_job()
    await sqlite_store.add(make_job("m2"), [])


async def test_a_write_to_a_locked_database_fails_and_works_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "store.db"
    async with SqliteJobStore.open(path) as store:
        await store.ping()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match="another program keeps the database locked"):
                await store.add(make_job(), [])
            other.execute("ROLLBACK")
        assert await store.get("m1") is None
        await store.add(make_job(), [])


async def test_reads_go_on_while_another_program_writes(sqlite_store: SqliteJobStore, tmp_path: Path) -> None:
    await sqlite_store.add(make_job(), [])
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await sqlite_store.get("m1") == make_job()
        assert await sqlite_store.list_jobs("default", JobQuery()) == [make_job()]
        other.execute("ROLLBACK")


async def test_a_read_of_a_busy_database_is_repeated_on_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteJobStore.open(tmp_path / "store.db") as store:
        await store.add(make_job(), [])

        class BusyConnection:
            """Fails as reads do while a log is being recovered."""

            def __init__(self) -> None:
                self.calls = 0

            def execute(self, *_: Any) -> Any:
                self.calls += 1
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = 261  # SQLITE_BUSY_RECOVERY
                raise error

            def close(self) -> None:
                """Nothing to close."""

        quick, busy = store._reader._quick, BusyConnection()
        monkeypatch.setattr(store._reader, "_quick", busy)
        assert await store.get("m1") == make_job()
        assert busy.calls == 1
        monkeypatch.setattr(store._reader, "_quick", quick)


async def test_the_event_loop_is_not_blocked_by_a_long_read(sqlite_store: SqliteJobStore) -> None:
    is_held, gate = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        is_held.set()
        gate.wait(10)

    await sqlite_store.add(make_job(), [make_event()])
    holding = asyncio.create_task(sqlite_store._reader.on_thread(hold))
    await asyncio.to_thread(is_held.wait)
    long = [
        asyncio.create_task(asyncio.wait_for(read, 10))
        for read in (
            sqlite_store.list_jobs("default", JobQuery()),
            sqlite_store.open_jobs("", 10),
            sqlite_store.count_open(),
            sqlite_store.finished_jobs("default", None, NOW, 10),
            sqlite_store.events("m1"),
            sqlite_store.outbox.pending(10),
        )
    ]
    await asyncio.sleep(0)
    assert await sqlite_store.get("m1") == make_job()
    assert await sqlite_store.find_claim("default", "r", "k") is None
    assert await sqlite_store.spent_usd_nanos("default", NOW) == 0
    assert await sqlite_store.outbox.get("msg") is None
    assert not any(read.done() for read in long)
    gate.set()
    await asyncio.gather(holding, *long)


async def test_a_closed_store_refuses_reads(tmp_path: Path) -> None:
    async with SqliteJobStore.open(tmp_path / "store.db") as store:
        await store.list_jobs("default", JobQuery())
    for read in (store.get("m1"), store.list_jobs("default", JobQuery())):
        with pytest.raises(StorageError):
            await read


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("INSERT INTO store_check VALUES (1, x''), (1, x'')", "it is already stored"),
        ("INSERT INTO store_check VALUES (1, NULL)", "it breaks a rule of the tables"),
    ],
)
async def test_constraint_violations_give_the_right_reason(
    sqlite_store: SqliteJobStore, statement: str, reason: str
) -> None:
    with pytest.raises(StorageError, match=reason):
        await run_on_writer(sqlite_store, statement)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"these are holiday pictures" * 100)
    with pytest.raises(StorageError, match="the file is no SQLite database") as caught:
        async with SqliteJobStore.open(path):
            pass
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"these are holiday pictures" * 100
    path.unlink()
    async with SqliteJobStore.open(path) as store:
        await store.ping()


async def test_a_folder_that_cannot_be_created_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be opened"):
        async with SqliteJobStore.open(tmp_path / "file" / "store.db"):
            pass


async def test_a_damaged_row_is_a_storage_error(sqlite_store: SqliteJobStore) -> None:
    await sqlite_store.add(make_job(), [])
    await run_on_writer(sqlite_store, "UPDATE jobs SET doc = substr(doc, 1, 20)")
    with pytest.raises(StorageError, match="the job m1: a stored Job cannot be read"):
        await sqlite_store.get("m1")


async def test_closing_finishes_the_waiting_writes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteJobStore.open(path) as store:
        writes = [asyncio.create_task(store.add(make_job(f"m{number}"), [])) for number in range(1500)]
        await asyncio.sleep(0)
        await store.close()
        assert not store._writer._thread.is_alive()
        assert await asyncio.gather(*writes) == [None] * 1500
    async with SqliteJobStore.open(path) as store:
        assert await store.count_open() == 1500


_ADD_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from job_samples import make_event, make_job
from musicgate.store.sqlite import SqliteJobStore

async def main():
    async with SqliteJobStore.open(Path(sys.argv[1])) as store:
        async def add(number):
            await store.add(make_job(f"m{number}"), [make_event()])
            print(f"m{number}", flush=True)
        for start in range(0, 10**6, 20):
            await asyncio.gather(*(add(start + number) for number in range(20)))

asyncio.run(main())
"""


def python(*arguments: str) -> "subprocess.Popen[str]":
    """Start a Python process whose output is read here."""
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own


async def test_every_acknowledged_job_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with python("-c", _ADD_UNTIL_KILLED, str(path), str(Path(__file__).parent)) as process:
        assert process.stdout is not None
        answered = [process.stdout.readline().strip() for _ in range(200)]
        process.kill()
        answered += process.stdout.read().split("\n")[:-1]
    async with SqliteJobStore.open(path) as store:
        for job_id in answered:
            assert await store.get(job_id) == make_job(job_id)
            assert len(await store.events(job_id)) == 1


@pytest.mark.parametrize(
    "sql, values, index",
    [
        (statements.OPEN_JOBS, ("", 10), "USING INDEX jobs_open (id>?)"),
        (statements.COUNT_OPEN, (), "USING COVERING INDEX jobs_open"),
        (statements.FIND_NATIVE, ("a", "n"), "USING INDEX jobs_native (account=? AND native_id=?)"),
        (statements.GET, ("m1",), "USING INDEX sqlite_autoindex_jobs_1 (id=?)"),
        (statements.EARLIER_EVENTS, ("m1", 0), "USING PRIMARY KEY (job_id=? AND number>?)"),
        (statements.COUNT_OPEN_OF, ("a",), "USING COVERING INDEX jobs_of_state (account=? AND state=?)"),
        (statements.FINISHED, ("a", 1, "a", 9, 10), "USING COVERING INDEX jobs_ended ("),
        (statements.FIND_CLAIM, ("a", "r", "k"), "USING PRIMARY KEY (account=? AND route=? AND key=?)"),
        (statements.MARK, ("audio",), "USING PRIMARY KEY (name=?)"),
        (statements.DELETE_JOB, ("m1",), "USING INDEX sqlite_autoindex_jobs_1 (id=?)"),
        (statements.DELETE_EARLIER_EVENTS, ("m1",), "USING PRIMARY KEY (job_id=?)"),
        (statements.DELETE_CLAIMS_OF, ("m1",), "idempotency_keys_of (job_id=?)"),
    ],
)
async def test_every_query_uses_an_index_and_needs_no_sorting(
    sqlite_store: SqliteJobStore, sql: str, values: tuple[str | int, ...], index: str
) -> None:
    plan = await sqlite_store._reader.by_key(f"EXPLAIN QUERY PLAN {sql}", *values)
    assert len(plan) == 1
    assert index in plan[0][3]


async def test_old_idempotency_keys_are_found_and_deleted_by_indexes(sqlite_store: SqliteJobStore) -> None:
    plan = await sqlite_store._reader.by_key(f"EXPLAIN QUERY PLAN {statements.DELETE_OLD_CLAIMS}", 1, 9)
    assert [row[3] for row in plan if "idempotency_keys" in row[3]] == [
        "SEARCH idempotency_keys USING PRIMARY KEY (account=? AND route=? AND key=?)",
        "SEARCH idempotency_keys USING COVERING INDEX idempotency_keys_old (created_at_us<?)",
    ]


async def test_other_writes_are_stored_between_the_pages_of_old_idempotency_keys(
    sqlite_store: SqliteJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_CLAIMS_PAGE", 1)
    for number in range(20):
        await sqlite_store.add(
            make_job(f"m{number}"), [], make_claim(f"m{number}", key=f"k{number}", age_s=1)
        )
    forgetting = asyncio.create_task(sqlite_store.forget_claims(NOW))
    await asyncio.sleep(0)
    await sqlite_store.add(make_job("meanwhile"), [])
    left = await run_on_writer(sqlite_store, "SELECT count(*) FROM idempotency_keys")
    assert left[0][0] > 10
    assert await forgetting == 20


async def test_a_changed_job_has_the_columns_of_a_new_one(
    sqlite_store: SqliteJobStore, tmp_path: Path
) -> None:
    """A change writes only the columns that it changes."""
    row = "SELECT * FROM jobs"
    first = make_job()
    known = make_job(native_id="n1")
    later = NOW + timedelta(seconds=9)
    changes = [
        first,
        attrs.evolve(first, native_status="WAITING", updated_at=later),
        known,
        attrs.evolve(known, state=JobState.IN_PROGRESS),
        attrs.evolve(known, state=JobState.IN_PROGRESS, attempts=()),
        attrs.evolve(known, usage=ended(known, price_usd_nanos=5).usage),
        ended(make_job(native_id="n2"), at_s=1),
        ended(make_job(native_id="n2"), at_s=2),
        ended(make_job(native_id="n2"), at_s=2, price_usd_nanos=5),
        attrs.evolve(ended(make_job(native_id="n2"), at_s=2), state=JobState.FAILED),
        attrs.evolve(known, state=JobState.FAILED),
        make_job(native_id="\ud800"),
        first,
    ]
    stored = first
    await sqlite_store.add(first, [])
    for number, change in enumerate(changes):
        replaced = await sqlite_store.replace(stored, change, [])
        assert replaced is not None
        async with SqliteJobStore.open(tmp_path / f"{number}.db") as other:
            await other.add(replaced, [])
            assert await run_on_writer(sqlite_store, row) == await run_on_writer(other, row)
        assert await sqlite_store.replace(stored, change, []) is None
        stored = replaced
    assert (await run_on_writer(sqlite_store, row))[0][:3] == ("m1", "default", "queued")


@pytest.mark.parametrize(
    ("change", "untouched"),
    [
        (attrs.evolve(make_job(), native_status="WAITING"), ("jobs_of_state", "jobs_native", "jobs_open")),
        (make_job(native_id="n1", state=JobState.IN_PROGRESS), ("jobs_open", "jobs_ended")),
    ],
)
async def test_a_change_leaves_the_indexes_alone_that_it_does_not_concern(
    sqlite_store: SqliteJobStore, change: Job, untouched: tuple[str, ...]
) -> None:
    statement, values = statements.replacement(make_job(), change)

    def touched(connection: sqlite3.Connection) -> set[str]:
        pages = {
            row[2]: row[0]
            for row in connection.execute("SELECT name, type, rootpage FROM sqlite_master").fetchall()
        }
        steps = connection.execute(f"EXPLAIN {statement}", values).fetchall()
        return {pages[step[3]] for step in steps if step[1] == "OpenWrite" and step[3] in pages}

    found = await sqlite_store._writer.write(touched)
    assert "jobs" in found
    assert not found & set(untouched)


async def test_events_are_found_by_the_keys_of_both_tables(sqlite_store: SqliteJobStore) -> None:
    plan = await sqlite_store._reader.by_key(f"EXPLAIN QUERY PLAN {statements.EVENTS}", "m1")
    assert [row[3] for row in plan if row[3].startswith(("SEARCH", "SCAN"))] == [
        "SEARCH jobs USING INDEX sqlite_autoindex_jobs_1 (id=?)",
        "SEARCH job_events USING PRIMARY KEY (job_id=?)",
    ]


async def test_a_new_job_with_its_events_is_one_row(sqlite_store: SqliteJobStore) -> None:
    """Each table and index that a write adds to is a page more in its commit."""
    counts = "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM job_events)"
    await sqlite_store.add(make_job(), [make_event("a"), make_event("b")])
    await sqlite_store.replace(make_job(), make_job(native_id="n1"), [make_event("c")])
    assert await run_on_writer(sqlite_store, counts) == [(1, 0)]
    assert await sqlite_store.events("m1", 1) == [(2, make_event("b")), (3, make_event("c"))]


async def test_events_count_on_from_those_of_before_they_were_in_the_row(
    sqlite_store: SqliteJobStore,
) -> None:
    await sqlite_store.add(make_job(), [])
    earlier = [make_event("a"), make_event("b"), make_event("c")]
    for number, event in enumerate(earlier, 1):
        doc = dump_event(event)
        await run_on_writer(sqlite_store, f"INSERT INTO job_events VALUES ('m1', {number}, '{doc}')")  # noqa: S608
    assert await sqlite_store.events("m1") == list(enumerate(earlier, 1))
    later = [make_event("d"), make_event("e")]
    await sqlite_store.replace(make_job(), make_job(native_id="n1"), later)
    expected = list(enumerate([*earlier, *later], 1))
    for after in range(7):
        for limit in (None, 0, 1, 3):
            assert await sqlite_store.events("m1", after, limit) == expected[after:][:limit]
    assert await sqlite_store.delete("m1")
    assert await run_on_writer(sqlite_store, "SELECT count(*) FROM job_events") == [(0,)]


async def test_a_job_that_has_ended_without_a_time_is_not_open(sqlite_store: SqliteJobStore) -> None:
    await sqlite_store.add(make_job("m1", state=JobState.FAILED), [])
    await sqlite_store.add(make_job("m2"), [])
    await sqlite_store.replace(make_job("m2"), make_job("m2", state=JobState.COMPLETED), [])
    assert await sqlite_store.count_open() == 0
    assert await sqlite_store.open_jobs("", 9) == []
    assert await sqlite_store.finished_jobs("default", None, NOW + timedelta(seconds=1), 9) == [
        (NOW, "m1"),
        (NOW, "m2"),
    ]


async def test_a_new_job_runs_no_trigger(sqlite_store: SqliteJobStore) -> None:
    row = statements.new_row(make_job())
    steps = await sqlite_store._writer.write(
        lambda connection: connection.execute(f"EXPLAIN {statements.ADD_JOB}", row).fetchall()
    )
    assert "Insert" in {step[1] for step in steps}
    assert "Program" not in {step[1] for step in steps}


async def test_the_spend_is_read_by_days_and_the_rest_of_a_day_by_an_index(
    sqlite_store: SqliteJobStore,
) -> None:
    plan = await sqlite_store._reader.by_key(f"EXPLAIN QUERY PLAN {statements.SPENT}", "a", 0, 0)
    assert [row[3] for row in plan if row[3].startswith("SEARCH")] == [
        "SEARCH spent_by_day USING PRIMARY KEY (account=? AND day>?)",
        "SEARCH jobs USING COVERING INDEX jobs_ended (account=? AND finished_at_us>? AND finished_at_us<?)",
    ]


@pytest.mark.parametrize("account", ["a", None])
@pytest.mark.parametrize("before", [None, (NOW, "m1")])
@pytest.mark.parametrize("states", [(), (JobState.FAILED,), (JobState.QUEUED, JobState.COMPLETED)])
@pytest.mark.parametrize("model", [None, "suno/v4"])
async def test_no_list_walks_jobs_that_it_does_not_show(
    sqlite_store: SqliteJobStore,
    account: str | None,
    before: tuple[datetime, str] | None,
    states: tuple[JobState, ...],
    model: str | None,
) -> None:
    """Each search for jobs is bound by every filter, or finds a least account or model, or one row."""
    is_filtered = states or model
    pages = "account=? AND state=? AND model=?" if is_filtered else "account=?"
    if before:
        pages += " AND (created_at_us,id)<(?,?)"
    index = "jobs_of_state" if is_filtered else "jobs_listed"
    allowed = {
        *(
            f"{name} USING {kind}INDEX {index} ({pages})"
            for name in ("jobs", "own")
            for kind in ("", "COVERING ")
        ),
        *("jobs USING COVERING INDEX jobs_listed", "jobs USING COVERING INDEX jobs_listed (account>?)"),
        "jobs USING COVERING INDEX jobs_of_state (account=? AND state=?)",
        "jobs USING COVERING INDEX jobs_of_state (account=? AND state=? AND model>?)",
        *(f"{name} USING INTEGER PRIMARY KEY (rowid=?)" for name in ("jobs", "found")),
    }
    statement, values = statements.listing(account, JobQuery(states=states, model=model, before=before))
    rows = await sqlite_store._reader.on_thread(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    )
    plan = [row[3] for row in rows]
    searches = {step.removeprefix("SEARCH ") for step in plan if step.startswith("SEARCH ")}
    assert searches <= allowed
    scans = {step for step in plan if step.startswith("SCAN ") and "CONSTANT ROW" not in step}
    assert scans <= {f"SCAN {name}" for name in ("accounts", "before", "kinds", "page", "states")}


async def test_what_is_due_is_found_in_the_indexes_alone(tmp_path: Path) -> None:
    async with SqliteJobStore.open(tmp_path / "store.db") as store:
        statements: list[str] = []
        await store._reader.on_thread(lambda connection: connection.set_trace_callback(statements.append))
        store._reader._quick.set_trace_callback(statements.append)
        await store.outbox.pending(5)
        await store.outbox.pending_of("a", 5, except_origins=["b", "c"])
        await store.outbox.accounts_due(NOW)
        await store.outbox.next_due(NOW)
        await store.outbox.of_job("m1")
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        plans = [
            " | ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))
            for statement in statements
        ]
    assert not any("B-TREE" in plan for plan in plans)
    pending, pending_of, accounts_due, next_due, of_job = plans
    assert "USING COVERING INDEX webhook_deliveries_due" in pending
    assert "USING COVERING INDEX webhook_deliveries_due_of (account=? AND next_try_at_us>?)" in pending_of
    assert accounts_due.count("USING COVERING INDEX webhook_deliveries_due_of (account>?)") == 2
    assert "USING COVERING INDEX webhook_deliveries_due_of (account=? AND next_try_at_us>?)" in accounts_due
    assert "USING COVERING INDEX webhook_deliveries_due (next_try_at_us>?)" in next_due
    assert "USING INDEX webhook_deliveries_of" in of_job


async def test_a_damaged_message_hides_no_other(tmp_path: Path) -> None:
    async with SqliteJobStore.open(tmp_path / "store.db") as store:
        await store.add(make_job(), [])
        messages = (make_delivery("msg_1", due_s=-5), make_delivery("msg_2"))
        await store.replace(make_job(), make_job(), [], messages)
        damage = "UPDATE webhook_deliveries SET doc = '{' WHERE id = 'msg_1'"
        await store._writer.write(lambda connection: connection.execute(damage).close())
        assert [found.id for found in await store.outbox.pending(9)] == ["msg_1", "msg_2"]
        with pytest.raises(StorageError):
            await store.outbox.get("msg_1")
