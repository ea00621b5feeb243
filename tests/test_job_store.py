"""What every job store promises, run against each of them; then what only the one on SQLite does."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from musicgate.errors import ConfigError, StorageError
from musicgate.model import (
    Asset,
    Attempt,
    AttemptOutcome,
    EventKind,
    IdempotencyClaim,
    Job,
    JobEvent,
    JobQuery,
    JobState,
    Meter,
    MusicRequest,
    OptionWarning,
    PriceLine,
    Track,
    Usage,
    WarningCode,
)
from musicgate.store import group_commit, migrate, sqlite
from musicgate.store import sqlite_statements as statements
from musicgate.store.group_commit import GroupWriter
from musicgate.store.port import JobStore
from musicgate.store.sqlite import SqliteJobStore
from musicgate.store.tables import metadata
from musicgate.testing.memory_store import MemoryJobStore

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def make_job(
    job_id: str = "m1",
    *,
    account: str = "default",
    native_id: str | None = None,
    state: JobState = JobState.QUEUED,
    age_s: float = 0,
) -> Job:
    created = NOW - timedelta(seconds=age_s)
    attempt = Attempt(
        plugin="suno_kie",
        provider="suno",
        model="suno/v4",
        native_model="V4",
        outcome=AttemptOutcome.SENT,
        planned_at=created,
        native_id=native_id,
    )
    return Job(
        id=job_id,
        account=account,
        generation_id="G-1",
        request=MusicRequest(model="suno/v4", prompt="p", metadata={"a": "ü"}),
        state=state,
        created_at=created,
        updated_at=created,
        deadline_at=created + timedelta(minutes=20),
        callback_token=f"token-{job_id}",
        attempts=(attempt,),
    )


def make_event(word: str = "x") -> JobEvent:
    return JobEvent(kind=EventKind.STATE, at=NOW, data={"word": word})


# -------------------------------------------------------------------------------------- every store's promises


async def test_an_added_job_is_there(store: JobStore) -> None:
    job = make_job()
    await store.add(job, [make_event()])
    assert await store.get("m1") == job
    assert await store.get("m2") is None


async def test_an_id_is_taken_once(store: JobStore) -> None:
    await store.add(make_job(), [make_event("first")])
    with pytest.raises(StorageError, match="already stored"):
        await store.add(make_job(account="other"), [make_event("second")])
    stored = await store.get("m1")
    assert stored is not None
    assert stored.account == "default"
    assert [event.data["word"] for _, event in await store.events("m1")] == ["first"]


async def test_replace_counts_the_version_up_whatever_the_new_one_says(store: JobStore) -> None:
    old = make_job()
    await store.add(old, [])
    new = attrs.evolve(old, state=JobState.IN_PROGRESS, version=77)
    stored = await store.replace(old, new, [])
    assert stored == attrs.evolve(new, version=1)
    assert await store.get("m1") == stored


async def test_the_second_of_two_replacements_loses_and_changes_nothing(store: JobStore) -> None:
    old = make_job()
    await store.add(old, [])
    winner = await store.replace(old, attrs.evolve(old, native_status="first"), [make_event("first")])
    assert await store.replace(old, attrs.evolve(old, native_status="second"), [make_event("second")]) is None
    assert await store.get("m1") == winner
    assert [event.data["word"] for _, event in await store.events("m1")] == ["first"]


async def test_one_of_many_racing_replacements_wins(store: JobStore) -> None:
    old = make_job()
    await store.add(old, [])
    rivals = [attrs.evolve(old, native_status=str(number)) for number in range(20)]
    answers = await asyncio.gather(*(store.replace(old, rival, [make_event()]) for rival in rivals))
    (winner,) = [answer for answer in answers if answer is not None]
    assert await store.get("m1") == winner
    assert len(await store.events("m1")) == 1


async def test_a_job_that_is_not_there_cannot_be_replaced(store: JobStore) -> None:
    assert await store.replace(make_job(), make_job(), [make_event()]) is None
    assert await store.get("m1") is None
    assert await store.events("m1") == []


async def test_events_are_numbered_per_job_without_gaps(store: JobStore) -> None:
    one, two = make_job("m1"), make_job("m2")
    await store.add(one, [make_event("a"), make_event("b")])
    await store.add(two, [make_event("c")])
    await store.replace(one, one, [make_event("d")])
    events = [(number, event.data["word"]) for number, event in await store.events("m1")]
    assert events == [(1, "a"), (2, "b"), (3, "d")]
    assert await store.events("m1", 1) == [(2, make_event("b")), (3, make_event("d"))]
    assert await store.events("m1", 3) == []
    assert await store.events("m1", 1, 1) == [(2, make_event("b"))]
    assert await store.events("m2") == [(1, make_event("c"))]
    assert await store.events("m3") == []


async def test_the_newest_job_of_the_account_is_found_by_its_native_id(store: JobStore) -> None:
    for job in (
        make_job("m3", native_id="n", age_s=300),
        make_job("m1", native_id="n", age_s=100),
        make_job("m2", native_id="n", age_s=200),
        make_job("m4", native_id="n", age_s=0, account="other"),
        make_job("m5", native_id="elsewhere"),
        make_job("m6"),
    ):
        await store.add(job, [])
    found = await store.find_native("default", "n")
    assert found == make_job("m1", native_id="n", age_s=100)
    assert await store.find_native("default", "unknown") is None
    assert await store.find_native("third", "n") is None


async def test_of_two_jobs_of_one_moment_the_one_with_the_greater_id_is_the_newest(store: JobStore) -> None:
    for job_id in ("m2", "m3", "m1"):
        await store.add(make_job(job_id, native_id="n"), [])
    found = await store.find_native("default", "n")
    assert found is not None
    assert found.id == "m3"


async def test_a_native_id_counts_from_the_replacement_that_brought_it(store: JobStore) -> None:
    job = make_job()
    await store.add(job, [])
    assert await store.find_native("default", "n") is None
    stored = await store.replace(job, make_job(native_id="n"), [])
    assert await store.find_native("default", "n") == stored


async def test_open_jobs_come_in_pages_in_the_order_of_their_ids(store: JobStore) -> None:
    states = {
        "m1": JobState.QUEUED,
        "m2": JobState.COMPLETED,
        "m3": JobState.IN_PROGRESS,
        "m4": JobState.FAILED,
        "m5": JobState.QUEUED,
    }
    for job_id in ("m5", "m2", "m1", "m4", "m3"):
        await store.add(make_job(job_id, state=states[job_id]), [])
    assert [job.id for job in await store.open_jobs("", 2)] == ["m1", "m3"]
    assert [job.id for job in await store.open_jobs("m3", 2)] == ["m5"]
    assert await store.open_jobs("m5", 2) == []
    assert await store.count_open() == 3


async def test_a_finished_job_is_no_longer_open(store: JobStore) -> None:
    job = make_job()
    await store.add(job, [])
    await store.replace(job, attrs.evolve(job, state=JobState.FAILED), [])
    assert await store.open_jobs("", 10) == []
    assert await store.count_open() == 0


@pytest.mark.parametrize("odd", ["\ud800", "a\x00b", "'; DROP TABLE jobs; --", "ü 音楽", ""])
async def test_odd_native_ids_are_stored_and_found(store: JobStore, odd: str) -> None:
    job = make_job(native_id=odd)
    await store.add(job, [])
    assert await store.find_native("default", odd) == job
    assert await store.get(odd) is None
    assert await store.events(odd) == []


async def test_bytes_in_a_job_are_refused_before_anything_is_stored(store: JobStore) -> None:
    with pytest.raises(TypeError, match="bytes"):
        await store.add(attrs.evolve(make_job(), native_response=b"RIFF"), [])
    assert await store.get("m1") is None


def make_claim(
    job_id: str = "m1", *, key: str = "k", account: str = "default", age_s: float = 0
) -> IdempotencyClaim:
    return IdempotencyClaim(
        account=account,
        route="create",
        key=key,
        fingerprint=f"body of {job_id}",
        job_id=job_id,
        created_at=NOW - timedelta(seconds=age_s),
    )


def ended(job: Job, *, at_s: float = 0, price_usd_nanos: int | None = None) -> Job:
    line = PriceLine(
        meter=Meter.REQUESTS,
        quantity=Decimal(1),
        unit_size=Decimal(1),
        price_per_unit_usd=Decimal(1),
        price_usd_nanos=price_usd_nanos or 0,
    )
    usage = Usage(lines=None if price_usd_nanos is None else (line,))
    finished = NOW + timedelta(seconds=at_s)
    return attrs.evolve(job, state=JobState.COMPLETED, completed_at=finished, usage=usage)


async def test_of_twins_with_one_key_the_first_is_stored(store: JobStore) -> None:
    twins = [(make_job(f"m{number}"), make_claim(f"m{number}")) for number in range(50)]
    earlier = await asyncio.gather(*(store.add(job, [], claim) for job, claim in twins))
    winners = [job.id for (job, _), claim in zip(twins, earlier, strict=True) if claim is None]
    assert len(winners) == 1
    assert {claim.job_id for claim in earlier if claim is not None} == set(winners)
    stored = [job.id for job, _ in twins if await store.get(job.id) is not None]
    assert stored == winners
    assert await store.find_claim("default", "create", "k") == make_claim(winners[0])


async def test_a_key_belongs_to_its_account_and_route(store: JobStore) -> None:
    assert await store.add(make_job("m1"), [], make_claim("m1")) is None
    assert await store.add(make_job("m2"), [], make_claim("m2", account="other")) is None
    assert await store.add(make_job("m3"), [], attrs.evolve(make_claim("m3"), route="plan")) is None
    assert await store.find_claim("nobody", "create", "k") is None


async def test_a_job_that_cannot_be_stored_leaves_its_key_free(store: JobStore) -> None:
    await store.add(make_job("m1"), [])
    with pytest.raises(StorageError):
        await store.add(make_job("m1"), [], make_claim("m1"))
    assert await store.find_claim("default", "create", "k") is None


async def test_old_keys_are_forgotten(store: JobStore) -> None:
    await store.add(make_job("m1"), [], make_claim("m1", key="old", age_s=100))
    await store.add(make_job("m2"), [], make_claim("m2", key="new", age_s=99))
    assert await store.forget_claims(NOW - timedelta(seconds=99)) == 1
    assert await store.find_claim("default", "create", "old") is None
    assert await store.find_claim("default", "create", "new") is not None


async def test_jobs_are_listed_newest_first_in_pages(store: JobStore) -> None:
    for number in range(5):
        await store.add(make_job(f"m{number}", age_s=100 - number), [])
    await store.add(make_job("m9", account="other"), [])
    first = await store.list_jobs("default", JobQuery(limit=2))
    assert [job.id for job in first] == ["m4", "m3"]
    before = (first[-1].created_at, first[-1].id)
    rest = await store.list_jobs("default", JobQuery(before=before))
    assert [job.id for job in rest] == ["m2", "m1", "m0"]
    everybodys = await store.list_jobs(None, JobQuery(limit=3))
    assert {job.id for job in everybodys} == {"m9", "m4", "m3"}


async def test_jobs_of_one_moment_are_paged_by_their_ids(store: JobStore) -> None:
    for number in range(3):
        await store.add(make_job(f"m{number}"), [])
    seen, before = [], None
    while page := await store.list_jobs("default", JobQuery(before=before, limit=1)):
        seen.append(page[0].id)
        before = (page[0].created_at, page[0].id)
    assert seen == ["m2", "m1", "m0"]


async def test_jobs_are_listed_by_state_and_model(store: JobStore) -> None:
    await store.add(make_job("m1"), [])
    await store.add(make_job("m2", state=JobState.IN_PROGRESS), [])
    other = make_job("m3", state=JobState.FAILED)
    await store.add(attrs.evolve(other, request=MusicRequest(model="suno/v5")), [])
    states = (JobState.IN_PROGRESS, JobState.FAILED)
    assert [job.id for job in await store.list_jobs("default", JobQuery(states=states))] == ["m3", "m2"]
    assert [job.id for job in await store.list_jobs("default", JobQuery(model="suno/v5"))] == ["m3"]
    assert await store.list_jobs("default", JobQuery(states=states, model="suno/v9")) == []


async def test_open_jobs_are_counted_per_account(store: JobStore) -> None:
    await store.add(make_job("m1"), [])
    await store.add(make_job("m2", account="other"), [])
    await store.add(ended(make_job("m3")), [])
    assert (await store.count_open("default"), await store.count_open()) == (1, 2)


async def test_what_an_account_spent_is_summed_from_a_moment_on(store: JobStore) -> None:
    for number, (at_s, price) in enumerate([(-1, 7), (0, 10), (5, 20), (6, None)]):
        old = make_job(f"m{number}")
        await store.add(old, [])
        assert await store.replace(old, ended(old, at_s=at_s, price_usd_nanos=price), [])
    assert await store.spent_usd_nanos("default", NOW) == 30
    assert await store.spent_usd_nanos("other", NOW) == 0


async def test_jobs_that_ended_long_ago_are_found(store: JobStore) -> None:
    for job_id, at_s in (("m1", -5.0), ("m2", -10.0), ("m3", 0.0)):
        await store.add(ended(make_job(job_id), at_s=at_s), [])
    await store.add(make_job("m4"), [])
    ten, five = NOW - timedelta(seconds=10), NOW - timedelta(seconds=5)
    assert list(await store.finished_jobs(None, NOW, 10)) == [(ten, "m2"), (five, "m1")]
    assert list(await store.finished_jobs(None, NOW, 1)) == [(ten, "m2")]
    assert list(await store.finished_jobs((ten, "m2"), NOW, 10)) == [(five, "m1")]
    assert list(await store.finished_jobs((five, "m1"), NOW, 10)) == []


async def test_a_deleted_job_is_gone_with_everything_of_it(store: JobStore) -> None:
    await store.add(make_job("m1", native_id="n"), [make_event()], make_claim("m1"))
    assert await store.delete("m1") is True
    assert await store.get("m1") is None
    assert await store.find_native("default", "n") is None
    assert await store.events("m1") == []
    assert await store.find_claim("default", "create", "k") is None
    assert await store.delete("m1") is False


async def test_a_healthy_store_answers_the_ping(store: JobStore) -> None:
    await store.ping()
    await store.ping()


async def test_a_closed_store_says_so(store: JobStore) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StorageError, match="closed"):
        await store.add(make_job(), [])
    with pytest.raises(StorageError, match="closed"):
        await store.ping()


# ------------------------------------------------------------------------------------------------ in memory


async def test_trouble_of_the_memory_store_stores_nothing() -> None:
    store = MemoryJobStore()
    await store.add(make_job(), [])
    store.trouble = "the disk is full"
    for write in (store.add(make_job("m2"), []), store.replace(make_job(), make_job(), []), store.ping()):
        with pytest.raises(StorageError, match="the disk is full"):
            await write
    store.trouble = None
    assert await store.get("m2") is None
    await store.ping()


async def damage(store: JobStore, *job_ids: str) -> None:
    """Spoil what is stored about these jobs and their first events."""
    if isinstance(store, MemoryJobStore):
        for job_id in job_ids:
            store._jobs[job_id] = "{}"
            store._events[job_id][0] = "{}"
        return
    assert isinstance(store, SqliteJobStore)
    for job_id in job_ids:
        await run_on_writer(store, f"UPDATE jobs SET doc = '{{}}' WHERE id = '{job_id}'")  # noqa: S608 - our own
        await run_on_writer(
            store,
            f"UPDATE job_events SET doc = '{{}}' WHERE job_id = '{job_id}' AND number = 1",  # noqa: S608 - our own
        )


async def test_a_damaged_row_costs_itself_and_no_other(
    store: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 7):
        await store.add(make_job(f"m{number}", age_s=-number), [make_event("a"), make_event("b")])
    await damage(store, "m6", "m5", "m2")
    listed = await store.list_jobs("default", JobQuery(limit=3))
    assert [job.id for job in listed] == ["m4", "m3", "m1"]
    assert [job.id for job in await store.list_jobs("default", JobQuery(limit=2))] == ["m4", "m3"]
    assert [job.id for job in await store.open_jobs("", 9)] == ["m1", "m3", "m4"]
    assert await store.events("m6") == [(2, make_event("b"))]
    assert await store.events("m6", 0, 1) == [(2, make_event("b"))]
    with pytest.raises(StorageError, match="the job m6: a stored Job cannot be read"):
        await store.get("m6")
    assert "m6 is left out" in caplog.text


async def test_a_page_of_large_jobs_is_short_but_never_empty(store: JobStore) -> None:
    for number in range(1, 6):
        job = attrs.evolve(make_job(f"m{number}", age_s=-number), native_status="x" * 10_000)
        await store.add(job, [])
    query = JobQuery(limit=4, max_bytes=25_000)
    page = await store.list_jobs("default", query)
    assert [job.id for job in page] == ["m5", "m4"]
    place = (page[-1].created_at, page[-1].id)
    assert [job.id for job in await store.list_jobs("default", attrs.evolve(query, before=place))] == [
        *("m3", "m2"),
    ]
    assert [job.id for job in await store.list_jobs("default", attrs.evolve(query, max_bytes=1))] == ["m5"]
    assert len(await store.list_jobs("default", JobQuery(limit=4))) == 4


async def test_a_job_from_before_there_were_bounds_is_read_cut(store: JobStore) -> None:
    warnings = tuple(
        OptionWarning(code=WarningCode.UNKNOWN_KEY, path=(f"k{number}",), message="not known")
        for number in range(9_000)
    )
    tracks = tuple(
        Track(index=number, native_id=f"t{number}", audio_url="https://a.test/") for number in range(900)
    )
    kept = Asset(name="m1/900.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=1, duration_s=1.0)
    request = MusicRequest(model="suno/v4", unknown_keys=tuple(f"k{number}" for number in range(9_000)))
    old = attrs.evolve(
        make_job(),
        warnings=warnings,
        tracks=(*tracks, Track(index=900, asset=kept)),
        request=request,
        native_response={"a": 1},
    )
    await store.add(old, [])
    read = await store.get("m1")
    assert read is not None
    assert read.warnings[:200] == warnings[:200]
    assert [warning.message for warning in read.warnings[200:]] == ["and 8,800 more warnings"]
    assert [track.index for track in read.tracks] == [*range(32), 900]
    assert (len(read.request.unknown_keys), read.request.more_unknown_keys) == (50, 8_950)
    assert await store.list_jobs("default", JobQuery()) == [read]


# ------------------------------------------------------------------------------------------------ on SQLite


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


async def test_a_second_musicgate_is_told_which_database_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteJobStore.open(path):
        with pytest.raises(ConfigError, match="another musicgate uses the database") as caught:
            async with SqliteJobStore.open(path):
                pass
        assert str(path) in str(caught.value)
    async with SqliteJobStore.open(path) as store:
        await store.ping()


async def test_what_waits_together_is_committed_together(sqlite_store: SqliteJobStore) -> None:
    statements: list[str] = []
    is_held, gate = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(statements.append)
        is_held.set()
        gate.wait(10)

    holding = asyncio.create_task(sqlite_store._writer.write(hold))
    await asyncio.to_thread(is_held.wait)
    adding = [asyncio.create_task(sqlite_store.add(make_job(f"m{number}"), [])) for number in range(40)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(holding, *adding)
    assert [word for word in statements if word.startswith(("BEGIN", "COMMIT"))] == [
        *("COMMIT", "BEGIN IMMEDIATE", "COMMIT"),
    ]
    assert await sqlite_store.count_open() == 40


async def test_one_callers_mistake_does_not_spoil_the_group(sqlite_store: SqliteJobStore) -> None:
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


async def test_a_write_that_fails_in_its_middle_leaves_nothing_of_itself(
    sqlite_store: SqliteJobStore,
) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO job_events VALUES ('m1', 1, '{}')")
        connection.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(StorageError, match="no such table"):
        await sqlite_store._writer.write(half)
    assert await sqlite_store.events("m1") == []


async def test_a_full_disk_stores_nothing_and_is_forgotten_when_there_is_room(
    sqlite_store: SqliteJobStore,
) -> None:
    await sqlite_store.add(make_job("m1"), [make_event()])
    big = attrs.evolve(make_job("m2"), native_response={"text": "x" * 100_000})
    for write in (
        sqlite_store.add(big, [make_event()]),
        sqlite_store.replace(make_job("m1"), attrs.evolve(big, id="m1"), [make_event()]),
        sqlite_store.ping(),
    ):
        # SQLite takes the present size for 1. The limit ends with the connection.
        await run_on_writer(sqlite_store, "PRAGMA max_page_count = 1")
        with pytest.raises(StorageError, match="the disk is full"):
            await write
    assert await sqlite_store.get("m2") is None
    assert await sqlite_store.get("m1") == make_job("m1")
    assert len(await sqlite_store.events("m1")) == 1
    await sqlite_store.add(big, [make_event()])
    await sqlite_store.ping()
    assert await sqlite_store.get("m2") == big


async def test_a_read_only_database_says_so_and_can_still_be_read(sqlite_store: SqliteJobStore) -> None:
    await sqlite_store.add(make_job(), [])
    for write in (sqlite_store.add(make_job("m2"), []), sqlite_store.ping()):
        await run_on_writer(sqlite_store, "PRAGMA query_only = ON")  # ends with the connection
        with pytest.raises(StorageError, match="the database is read-only"):
            await write
        assert await sqlite_store.get("m1") == make_job()
    await sqlite_store.add(make_job("m2"), [])


async def test_a_locked_database_is_given_up_on_and_works_later(
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


async def test_a_database_that_is_kept_from_readers_holds_up_the_caller_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SqliteJobStore.open(tmp_path / "store.db") as store:
        await store.add(make_job(), [])

        class BusyConnection:
            """What a reader hears while a log is being recovered."""

            def __init__(self) -> None:
                self.asked = 0

            def execute(self, *_: Any) -> Any:
                self.asked += 1
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = 261  # SQLITE_BUSY_RECOVERY
                raise error

            def close(self) -> None:
                """Nothing to close."""

        quick, busy = store._reader._quick, BusyConnection()
        monkeypatch.setattr(store._reader, "_quick", busy)
        assert await store.get("m1") == make_job()
        assert busy.asked == 1
        monkeypatch.setattr(store._reader, "_quick", quick)


async def test_the_event_loop_goes_on_while_a_long_read_runs(sqlite_store: SqliteJobStore) -> None:
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
            sqlite_store.spent_usd_nanos("default", NOW),
            sqlite_store.finished_jobs(None, NOW, 10),
            sqlite_store.events("m1"),
            sqlite_store.outbox.pending(10),
        )
    ]
    await asyncio.sleep(0)
    assert await sqlite_store.get("m1") == make_job()
    assert await sqlite_store.find_claim("default", "r", "k") is None
    assert await sqlite_store.outbox.get("msg") is None
    assert not any(read.done() for read in long)
    gate.set()
    await asyncio.gather(holding, *long)


async def test_a_closed_store_reads_nothing(tmp_path: Path) -> None:
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
async def test_a_broken_rule_of_the_tables_is_not_called_already_stored(
    sqlite_store: SqliteJobStore, statement: str, reason: str
) -> None:
    with pytest.raises(StorageError, match=reason):
        await run_on_writer(sqlite_store, statement)


async def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
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


async def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be opened"):
        async with SqliteJobStore.open(tmp_path / "file" / "store.db"):
            pass


async def test_a_damaged_row_is_a_storage_error(sqlite_store: SqliteJobStore) -> None:
    await sqlite_store.add(make_job(), [])
    await run_on_writer(sqlite_store, "UPDATE jobs SET doc = substr(doc, 1, 20)")
    with pytest.raises(StorageError, match="the job m1: a stored Job cannot be read"):
        await sqlite_store.get("m1")


async def test_a_damaged_row_does_not_hide_the_open_jobs_behind_it(
    sqlite_store: SqliteJobStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 7):
        await sqlite_store.add(make_job(f"m{number}"), [])
    await run_on_writer(sqlite_store, "UPDATE jobs SET doc = '{}' WHERE id IN ('m1', 'm2', 'm4')")
    assert [job.id for job in await sqlite_store.open_jobs("", 2)] == ["m3", "m5"]
    assert [job.id for job in await sqlite_store.open_jobs("m5", 2)] == ["m6"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        f"the open job {job_id} is left out: a stored Job cannot be read: a field is missing @ $.id"
        for job_id in ("m1", "m2", "m4")
    ]


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteJobStore.open(path) as store:
        writes = [asyncio.create_task(store.add(make_job(f"m{number}"), [])) for number in range(1500)]
        await asyncio.sleep(0)
        await store.close()
        assert not store._writer._thread.is_alive()
        assert await asyncio.gather(*writes) == [None] * 1500
    async with SqliteJobStore.open(path) as store:
        assert await store.count_open() == 1500


async def test_a_caller_that_goes_away_does_not_hold_up_the_others(sqlite_store: SqliteJobStore) -> None:
    leaving = asyncio.create_task(sqlite_store.add(make_job("m1"), []))
    staying = asyncio.create_task(sqlite_store.add(make_job("m2"), []))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await sqlite_store.get("m2") == make_job("m2")


class UnsteadyConnection(sqlite3.Connection):
    """A connection whose commit, and even rollback, fails when it is told to."""

    refused: tuple[str, ...] = ()

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql in self.refused:
            raise sqlite3.OperationalError(f"no {sql} today")
        return super().execute(sql, *arguments)


@pytest.mark.parametrize("refused", [("COMMIT",), ("COMMIT", "ROLLBACK")])
async def test_when_the_commit_fails_everybody_hears_of_it_and_the_next_group_works(
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


@pytest.mark.parametrize("place", ["_gather", "_commit"])
async def test_no_memory_anywhere_in_the_writer_is_told_and_survived(
    writer: GroupWriter, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(writer, place, out_of_memory)
        with pytest.raises(MemoryError):
            await answer_of(writer)
    assert await answer_of(writer) == [(1,)]


async def test_answers_that_cannot_be_handed_over_at_once_are_handed_over_later(
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


async def test_one_answer_that_breaks_does_not_keep_the_others_waiting(writer: GroupWriter) -> None:
    breaking = writer.write(stop_iteration)
    first, second = await asyncio.wait_for(
        asyncio.gather(breaking, answer_of(writer), return_exceptions=True), 5
    )
    assert str(first) == "the job store failed: StopIteration: "
    assert second == [(1,)]


async def test_a_writer_that_has_ended_refuses_at_once_and_leaves_nobody_waiting(writer: GroupWriter) -> None:
    is_held, gate = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        is_held.set()
        gate.wait(10)

    holding = asyncio.create_task(writer.write(hold))
    await asyncio.to_thread(is_held.wait)
    writer._waiting.put(None)  # the end, that nobody asked for
    waiting = [asyncio.create_task(answer_of(writer)) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    await holding
    for answer in await asyncio.gather(*waiting, return_exceptions=True):
        assert str(answer) == "the job store's writer has ended; nothing was stored"
    with pytest.raises(StorageError, match="the job store's writer has ended"):
        await answer_of(writer)


_ADD_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_job_store import make_event, make_job
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
    """Start a Python of its own whose output is read here."""
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own


async def test_every_job_that_was_answered_survives_a_kill(tmp_path: Path) -> None:
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


# ----------------------------------------------------------------------------------------------- migrations


def test_the_head_constant_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


async def test_the_migrated_tables_are_the_defined_ones(tmp_path: Path) -> None:
    async with SqliteJobStore.open(tmp_path / "migrated.db"):
        pass
    migrated, defined = (
        sa.create_engine(f"sqlite:///{tmp_path / name}.db") for name in ("migrated", "defined")
    )
    metadata.create_all(defined)
    words = sa.text(
        "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%' ORDER BY type, name"
    )
    with migrated.connect() as left, defined.connect() as right:
        assert left.execute(words).all() == right.execute(words).all()
        context = MigrationContext.configure(left)
        assert compare_metadata(context, metadata) == []
    migrated.dispose()
    defined.dispose()


def test_opening_an_up_to_date_database_imports_no_migration_tool(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from musicgate.store.sqlite import SqliteJobStore\n"
        "async def main():\n"
        f"    async with SqliteJobStore.open(Path({str(tmp_path / 'store.db')!r})) as store:\n"
        "        await store.ping()\n"
        "asyncio.run(main())\n"
        "print(sorted({'alembic', 'sqlalchemy'} & sys.modules.keys()))\n"
    )
    outputs = [python("-c", script).communicate()[0] for _ in range(2)]
    assert outputs == ["['alembic', 'sqlalchemy']\n", "[]\n"]


async def test_a_database_of_a_newer_musicgate_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SqliteJobStore.open(path) as store:
        await run_on_writer(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="revision '9999', which this version of musicgate does not know"):
        async with SqliteJobStore.open(path):
            pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


async def test_a_migration_that_breaks_leaves_no_half_made_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    upgrade = migrate.upgrade

    def break_at_the_end(connection: sa.Connection, found: str | None, name: str) -> None:
        upgrade(connection, found, name)
        connection.exec_driver_sql("CREATE TABLE jobs (id)")

    monkeypatch.setattr(migrate, "upgrade", break_at_the_end)
    with pytest.raises(StorageError, match=r"cannot be brought up to date: .*already exists"):
        async with SqliteJobStore.open(path):
            pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    monkeypatch.undo()
    async with SqliteJobStore.open(path) as store:
        await store.ping()


@pytest.mark.parametrize(
    "sql, values, index",
    [
        (statements.OPEN_JOBS, ("", 10), "USING INDEX jobs_open (id>?)"),
        (statements.COUNT_OPEN, (), "USING COVERING INDEX jobs_open"),
        (statements.FIND_NATIVE, ("a", "n"), "USING INDEX jobs_native (account=? AND native_id=?)"),
        (statements.GET, ("m1",), "USING INDEX sqlite_autoindex_jobs_1 (id=?)"),
        (statements.EVENTS, ("m1", 0, -1), "USING PRIMARY KEY (job_id=? AND number>?)"),
        (statements.COUNT_OPEN_OF, ("a",), "USING COVERING INDEX jobs_open_of (account=?"),
        (statements.SPENT, ("a", 0), "USING COVERING INDEX jobs_spent (account=? AND finished_at_us>?)"),
        (statements.FINISHED, (1, "a", 9, 10), "USING COVERING INDEX jobs_finished ("),
        (statements.FIND_CLAIM, ("a", "r", "k"), "USING PRIMARY KEY (account=? AND route=? AND key=?)"),
        (
            statements.listing("a", JobQuery(before=(NOW, "m1")))[0],
            ("a", 1, "m1", 10),
            "USING INDEX jobs_listed (account=? AND (created_at_us,id)<(?,?))",
        ),
    ],
)
async def test_every_question_is_answered_from_an_index_without_sorting(
    sqlite_store: SqliteJobStore, sql: str, values: tuple[str | int, ...], index: str
) -> None:
    plan = await sqlite_store._reader.by_key(f"EXPLAIN QUERY PLAN {sql}", *values)
    assert len(plan) == 1
    assert index in plan[0][3]


def test_every_reason_is_a_sentence_for_people() -> None:
    for code, expected in ((sqlite3.SQLITE_IOERR_WRITE, "the disk failed"), (None, "the database refused")):
        error = sqlite3.OperationalError("details")
        if code is not None:
            error.sqlite_errorcode = code
        assert str(group_commit.explained(error)) == f"the job store failed: {expected} (details)"
