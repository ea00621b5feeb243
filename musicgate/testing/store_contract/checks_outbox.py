"""The outbox: messages stored with the change of their job, and found when they are due."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs
import pytest

from musicgate.errors import StorageError
from musicgate.model import Delivery, DeliveryStatus, DeliveryTry, Job, JobState
from musicgate.store import Backlog, PendingMessage
from musicgate.testing.store_contract.samples import NOW, make_delivery, make_job

if TYPE_CHECKING:
    from musicgate.store import JobStore
    from musicgate.testing.store_contract.subject import StoreUnderTest


async def put(store: JobStore, *deliveries: Delivery, job_id: str = "m1") -> Job:
    """End a new job with these messages about it."""
    job = make_job(job_id)
    await store.add(job, [])
    ended = await store.replace(job, attrs.evolve(job, state=JobState.COMPLETED), [], deliveries)
    assert ended is not None
    return ended


async def check_message_is_stored_with_its_change(subject: StoreUnderTest) -> None:
    """A message is stored with the change of its job, and found by its id and by its job."""
    store = subject.store
    await put(store, make_delivery("msg_2"), make_delivery("msg_1"))
    assert await store.outbox.of_job("m1") == [make_delivery("msg_1"), make_delivery("msg_2")]
    assert await store.outbox.get("msg_2") == make_delivery("msg_2")
    assert await store.outbox.get("msg_3") is None
    assert await store.outbox.of_job("m2") == []


async def check_late_change_stores_no_message(subject: StoreUnderTest) -> None:
    """A change of a job that comes too late stores no message."""
    store = subject.store
    job = await put(store)
    stale = attrs.evolve(job, version=job.version - 1)
    assert await store.replace(stale, stale, [], [make_delivery()]) is None
    assert await store.outbox.pending(10) == []


async def check_no_change_without_its_message(subject: StoreUnderTest) -> None:
    """A change of a job is not stored when its message cannot be."""
    store = subject.store
    await put(store, make_delivery())
    other = make_job("m2")
    await store.add(other, [])
    with pytest.raises(StorageError, match="already stored"):
        await store.replace(other, attrs.evolve(other, state=JobState.FAILED), [], [make_delivery()])
    assert await store.get("m2") == other


async def check_message_is_deleted_with_its_job(subject: StoreUnderTest) -> None:
    """A message is deleted with its job, and not replaced afterwards."""
    store = subject.store
    await put(store, make_delivery("msg_1"))
    await put(store, make_delivery("msg_2", "m2"), job_id="m2")
    await store.delete("m1")
    assert [delivery.id for delivery in await store.outbox.pending(10)] == ["msg_2"]
    assert await store.outbox.get("msg_1") is None
    assert await store.outbox.replace(make_delivery("msg_1"), make_delivery("msg_1")) is None


async def check_late_replacement_of_a_message_loses(subject: StoreUnderTest) -> None:
    """The second of two replacements of a message returns None and changes nothing."""
    store = subject.store
    old = make_delivery()
    await put(store, old)
    tried = DeliveryTry(at=NOW, duration_s=0.25, http_status=500, error="no")
    new = attrs.evolve(old, attempts=1, step=1, tries=(tried,), next_try_at=NOW + timedelta(seconds=5))
    assert await store.outbox.replace(old, new) == attrs.evolve(new, version=1)
    assert await store.outbox.replace(old, attrs.evolve(old, attempts=9)) is None
    assert await store.outbox.get("msg_1") == attrs.evolve(new, version=1)


async def check_one_racing_replacement_of_a_message_wins(subject: StoreUnderTest) -> None:
    """Of many replacements of a message at the same time one is stored."""
    store = subject.store
    old = make_delivery()
    await put(store, old)
    rivals = [attrs.evolve(old, attempts=number) for number in range(1, 11)]
    answers = await asyncio.gather(*(store.outbox.replace(old, rival) for rival in rivals))
    assert [answer for answer in answers if answer is not None] == [await store.outbox.get("msg_1")]


async def check_pending_messages_are_in_order(subject: StoreUnderTest) -> None:
    """Pending messages come by the time at which they are due, then by their ids."""
    store = subject.store
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
    assert await store.outbox.backlog() == Backlog(messages=4, oldest_id="msg_1")


async def check_message_without_a_next_time_is_not_pending(subject: StoreUnderTest) -> None:
    """A message without a time for its next attempt is not pending, until it has one again."""
    store = subject.store
    old = make_delivery()
    await put(store, old)
    done = attrs.evolve(old, status=DeliveryStatus.DELIVERED, next_try_at=None)
    stored = await store.outbox.replace(old, done)
    assert stored is not None
    assert await store.outbox.pending(10) == []
    await store.outbox.replace(stored, attrs.evolve(stored, next_try_at=NOW))
    assert len(await store.outbox.pending(10)) == 1


async def check_messages_of_an_account_by_server(subject: StoreUnderTest) -> None:
    """Messages of one account are found without those to servers that are full."""
    store = subject.store
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


async def check_accounts_due(subject: StoreUnderTest) -> None:
    """The accounts with a due message are found, and the next time at which one is due."""
    store = subject.store
    outbox = store.outbox
    assert (await outbox.accounts_due(NOW), await outbox.next_due(NOW)) == ([], None)
    assert await outbox.backlog() == Backlog(messages=0)
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


async def check_address_is_disabled_for_its_account(subject: StoreUnderTest) -> None:
    """An address is disabled for its account only, until it is enabled again."""
    store = subject.store
    outbox = store.outbox
    await outbox.disable("default", "https://hooks.test/a", NOW)
    await outbox.disable("default", "https://hooks.test/a", NOW)
    assert await outbox.is_disabled("default", "https://hooks.test/a") is True
    assert await outbox.is_disabled("default", "https://hooks.test/b") is False
    assert await outbox.is_disabled("other", "https://hooks.test/a") is False
    assert await outbox.enable("default", "https://hooks.test/a") is True
    assert await outbox.enable("default", "https://hooks.test/a") is False
    assert await outbox.is_disabled("default", "https://hooks.test/a") is False


async def check_odd_addresses_are_stored(subject: StoreUnderTest) -> None:
    """An address may be any text that a caller got past us."""
    store = subject.store
    for number, url in enumerate(
        ("https://h.test/\ud800", "https://h.test/音楽?'; DROP TABLE jobs", "http://[x")
    ):
        job_id, message_id = f"m{number}", f"msg_{number}"
        await put(store, make_delivery(message_id, job_id, url=url, due_s=-number), job_id=job_id)
        (found,) = await store.outbox.pending(1)
        stored = await store.outbox.get(found.id)
        assert stored is not None
        assert stored.url == url
