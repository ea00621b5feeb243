"""What every outbox promises, run against that of each job store."""

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from musicgate.errors import StorageError
from musicgate.model import (
    Delivery,
    DeliveryStatus,
    DeliveryTry,
    Job,
    JobState,
    MusicRequest,
)
from musicgate.store.port import JobStore, PendingMessage
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def make_job(job_id: str = "m1") -> Job:
    return Job(
        id=job_id,
        account="default",
        generation_id="G-1",
        request=MusicRequest(model="suno/v4"),
        state=JobState.IN_PROGRESS,
        created_at=NOW,
        updated_at=NOW,
        deadline_at=NOW + timedelta(minutes=20),
        callback_token=f"token-{job_id}",
    )


def make_delivery(
    message_id: str = "msg_1",
    job_id: str = "m1",
    *,
    url: str = "https://hooks.test/a",
    account: str = "default",
    due_s: float | None = 0,
) -> Delivery:
    return Delivery(
        id=message_id,
        job_id=job_id,
        account=account,
        url=url,
        type="music.completed",
        created_at=NOW,
        next_try_at=None if due_s is None else NOW + timedelta(seconds=due_s),
    )


async def put(store: JobStore, *deliveries: Delivery, job_id: str = "m1") -> Job:
    """End a new job with these messages about it."""
    job = make_job(job_id)
    await store.add(job, [])
    ended = await store.replace(job, attrs.evolve(job, state=JobState.COMPLETED), [], deliveries)
    assert ended is not None
    return ended


async def test_a_message_is_stored_with_the_change_of_its_job(store: JobStore) -> None:
    await put(store, make_delivery("msg_2"), make_delivery("msg_1"))
    assert await store.outbox.of_job("m1") == [make_delivery("msg_1"), make_delivery("msg_2")]
    assert await store.outbox.get("msg_2") == make_delivery("msg_2")
    assert await store.outbox.get("msg_3") is None
    assert await store.outbox.of_job("m2") == []


async def test_no_message_is_stored_when_the_change_comes_too_late(store: JobStore) -> None:
    job = await put(store)
    stale = attrs.evolve(job, version=job.version - 1)
    assert await store.replace(stale, stale, [], [make_delivery()]) is None
    assert await store.outbox.pending(10) == []


async def test_no_change_is_stored_when_its_message_cannot_be(store: JobStore) -> None:
    await put(store, make_delivery())
    other = make_job("m2")
    await store.add(other, [])
    with pytest.raises(StorageError, match="already stored"):
        await store.replace(other, attrs.evolve(other, state=JobState.FAILED), [], [make_delivery()])
    assert await store.get("m2") == other


async def test_a_message_is_deleted_with_its_job(store: JobStore) -> None:
    await put(store, make_delivery("msg_1"))
    await put(store, make_delivery("msg_2", "m2"), job_id="m2")
    await store.delete("m1")
    assert [delivery.id for delivery in await store.outbox.pending(10)] == ["msg_2"]
    assert await store.outbox.get("msg_1") is None
    assert await store.outbox.replace(make_delivery("msg_1"), make_delivery("msg_1")) is None


async def test_the_second_of_two_replacements_loses(store: JobStore) -> None:
    old = make_delivery()
    await put(store, old)
    tried = DeliveryTry(at=NOW, duration_s=0.25, http_status=500, error="no")
    new = attrs.evolve(old, attempts=1, step=1, tries=(tried,), next_try_at=NOW + timedelta(seconds=5))
    assert await store.outbox.replace(old, new) == attrs.evolve(new, version=1)
    assert await store.outbox.replace(old, attrs.evolve(old, attempts=9)) is None
    assert await store.outbox.get("msg_1") == attrs.evolve(new, version=1)


async def test_one_of_many_racing_replacements_wins(store: JobStore) -> None:
    old = make_delivery()
    await put(store, old)
    rivals = [attrs.evolve(old, attempts=number) for number in range(1, 11)]
    answers = await asyncio.gather(*(store.outbox.replace(old, rival) for rival in rivals))
    assert [answer for answer in answers if answer is not None] == [await store.outbox.get("msg_1")]


async def test_pending_messages_are_ordered_by_due_time(store: JobStore) -> None:
    await put(
        store,
        make_delivery("msg_1", due_s=20),
        make_delivery("msg_2", due_s=-5),
        make_delivery("msg_3", due_s=None),
        make_delivery("msg_4", due_s=10),
        make_delivery("msg_5", due_s=10),
    )
    assert [found.id for found in await store.outbox.pending(10)] == ["msg_2", "msg_4", "msg_5", "msg_1"]
    assert [found.id for found in await store.outbox.pending(2)] == ["msg_2", "msg_4"]


async def test_a_message_without_a_next_time_is_sent_no_more(store: JobStore) -> None:
    old = make_delivery()
    await put(store, old)
    done = attrs.evolve(old, status=DeliveryStatus.DELIVERED, next_try_at=None)
    stored = await store.outbox.replace(old, done)
    assert stored is not None
    assert await store.outbox.pending(10) == []
    await store.outbox.replace(stored, attrs.evolve(stored, next_try_at=NOW))
    assert len(await store.outbox.pending(10)) == 1


async def test_messages_of_one_account_are_found_past_servers_that_are_full(store: JobStore) -> None:
    await put(
        store,
        make_delivery("msg_1", url="https://slow.test/a?job=1"),
        make_delivery("msg_2", url="https://SLOW.test:443/b"),
        make_delivery("msg_3", url="http://slow.test/a"),
        make_delivery("msg_4", url="https://quick.test/"),
        make_delivery("msg_5", url="https://quick.test/", due_s=-5),
        make_delivery("msg_6", url="https://quick.test/", due_s=None),
        make_delivery("msg_7", url="https://quick.test/", account="other"),
    )
    outbox = store.outbox
    all_of_it = ["msg_5", "msg_1", "msg_2", "msg_3", "msg_4"]
    assert [found.id for found in await outbox.pending_of("default", 9)] == all_of_it
    assert [found.id for found in await outbox.pending_of("default", 2)] == all_of_it[:2]
    full = ["https://slow.test:443", "https://quick.test:443"]
    assert [found.id for found in await outbox.pending_of("default", 9, except_origins=full)] == ["msg_3"]
    assert [found.id for found in await outbox.pending_of("other", 9, except_origins=full)] == []
    assert await outbox.pending_of("unknown", 9) == []
    (found,) = await outbox.pending_of("other", 9)
    assert found == PendingMessage(
        id="msg_7", account="other", origin="https://quick.test:443", next_try_at=NOW
    )


async def test_accounts_with_a_due_message_are_found_and_the_next_due_time(store: JobStore) -> None:
    outbox = store.outbox
    assert (await outbox.accounts_due(NOW), await outbox.next_due(NOW)) == ([], None)
    await put(
        store,
        make_delivery("msg_1", account="carol", due_s=20),
        make_delivery("msg_2", account="bob", due_s=0),
        make_delivery("msg_3", account="bob", due_s=-9),
        make_delivery("msg_4", account="alice", due_s=-5),
        make_delivery("msg_5", account="dave", due_s=None),
        make_delivery("msg_6", account="carol", due_s=10),
    )
    assert await outbox.accounts_due(NOW) == ["alice", "bob"]
    assert await outbox.accounts_due(NOW + timedelta(seconds=10)) == ["alice", "bob", "carol"]
    assert await outbox.next_due(NOW) == NOW + timedelta(seconds=10)
    assert await outbox.next_due(NOW + timedelta(seconds=10)) == NOW + timedelta(seconds=20)
    assert await outbox.next_due(NOW + timedelta(seconds=20)) is None


async def test_a_disabled_address_is_disabled_for_its_account_only(store: JobStore) -> None:
    outbox = store.outbox
    await outbox.disable("default", "https://hooks.test/a", NOW)
    await outbox.disable("default", "https://hooks.test/a", NOW)
    assert await outbox.is_disabled("default", "https://hooks.test/a") is True
    assert await outbox.is_disabled("default", "https://hooks.test/b") is False
    assert await outbox.is_disabled("other", "https://hooks.test/a") is False
    assert await outbox.enable("default", "https://hooks.test/a") is True
    assert await outbox.enable("default", "https://hooks.test/a") is False
    assert await outbox.is_disabled("default", "https://hooks.test/a") is False


@pytest.mark.parametrize(
    "url", ["https://h.test/\ud800", "https://h.test/音楽?'; DROP TABLE jobs", "http://[x"]
)
async def test_odd_addresses_are_stored(store: JobStore, url: str) -> None:
    await put(store, make_delivery(url=url))
    (found,) = await store.outbox.pending(1)
    stored = await store.outbox.get(found.id)
    assert stored is not None
    assert stored.url == url
    await store.outbox.disable("default", url, NOW)
    assert await store.outbox.is_disabled("default", url)


async def test_a_memory_store_that_fails_fails_its_outbox() -> None:
    store = MemoryJobStore()
    await put(store, make_delivery())
    store.trouble = "the disk is full"
    outbox = store.outbox
    for write in (
        outbox.replace(make_delivery(), make_delivery()),
        outbox.disable("default", "u", NOW),
        outbox.enable("default", "u"),
    ):
        with pytest.raises(StorageError, match="the disk is full"):
            await write


async def test_messages_survive_a_restart(tmp_path: Path) -> None:
    async with SqliteJobStore.open(tmp_path / "store.db") as store:
        await put(store, make_delivery())
        await store.outbox.disable("default", "https://gone.test/", NOW)
    async with SqliteJobStore.open(tmp_path / "store.db") as store:
        assert [found.id for found in await store.outbox.pending(9)] == ["msg_1"]
        assert await store.outbox.get("msg_1") == make_delivery()
        assert await store.outbox.is_disabled("default", "https://gone.test/")


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
        await put(store, make_delivery("msg_1", due_s=-5), make_delivery("msg_2"))
        damage = "UPDATE webhook_deliveries SET doc = '{' WHERE id = 'msg_1'"
        await store._writer.write(lambda connection: connection.execute(damage).close())
        assert [found.id for found in await store.outbox.pending(9)] == ["msg_1", "msg_2"]
        with pytest.raises(StorageError):
            await store.outbox.get("msg_1")
