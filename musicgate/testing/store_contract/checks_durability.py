"""What was answered is there after a restart, and closing or cancelling loses no write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from musicgate.model import JobState
from musicgate.testing.store_contract.samples import (
    NOW,
    ended,
    make_claim,
    make_delivery,
    make_event,
    make_job,
)

if TYPE_CHECKING:
    from musicgate.testing.store_contract.subject import StoreUnderTest


async def check_everything_survives_a_restart(subject: StoreUnderTest) -> None:
    """Jobs, events, keys, messages, disabled addresses, references, marks and the spend are there again."""
    store, job = subject.store, make_job(native_id="n")
    await store.add(job, [make_event("a")], make_claim())
    stored = await store.replace(job, ended(job, price_usd_nanos=7), [make_event("b")], [make_delivery()])
    await store.add(make_job("m2"), [])
    await store.asset_references.claim("aa/aa11.mp3", "m1")
    await store.asset_references.claim("bb/bb22.mp3", "m2")
    await store.asset_references.release("m2")
    await store.asset_references.begin_removal("bb/bb22.mp3")
    await store.outbox.disable("default", "https://gone.test/", NOW)
    await store.set_mark("audio", "9")
    again = await subject.reopen()
    assert await again.get("m1") == stored
    assert await again.find_native("default", "n") == stored
    assert await again.events("m1") == [(1, make_event("a")), (2, make_event("b"))]
    assert await again.find_claim("default", "create", "k") == make_claim()
    assert [found.id for found in await again.open_jobs("", 9)] == ["m2"]
    assert [found.id for found in await again.outbox.pending(9)] == ["msg_1"]
    assert await again.outbox.get("msg_1") == make_delivery()
    assert await again.outbox.is_disabled("default", "https://gone.test/")
    assert await again.asset_references.users(("", ""), 9) == [("aa/aa11.mp3", "m1")]
    assert not await again.asset_references.claim("bb/bb22.mp3", "m2"), "it was being removed"
    assert await again.mark("audio") == "9"
    assert await again.spent_usd_nanos("default", NOW) == 7
    assert stored is not None
    assert await again.replace(stored, stored, []) == attrs.evolve(stored, version=2)


async def check_closing_finishes_the_writes(subject: StoreUnderTest) -> None:
    """Closing a store waits for the writes that wait, and they are stored."""
    store = subject.store
    writes = [asyncio.create_task(store.add(make_job(f"m{number}"), [])) for number in range(500)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*writes) == [None] * 500
    again = await subject.reopen()
    assert await again.count_open() == 500


async def check_cancelled_write_goes_on(subject: StoreUnderTest) -> None:
    """A caller that is cancelled holds up no other one, and its write is made all the same."""
    store = subject.store
    await store.add(make_job("m3"), [])
    leaving = [
        asyncio.create_task(write)
        for write in (
            store.add(make_job("m1"), []),
            store.replace(make_job("m3"), make_job("m3", state=JobState.FAILED), []),
        )
    ]
    staying = asyncio.create_task(store.add(make_job("m2"), []))
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await staying
    await asyncio.wait(leaving)
    await store.close()
    again = await subject.reopen()
    assert [job.id for job in await again.open_jobs("", 9)] == ["m1", "m2"]
