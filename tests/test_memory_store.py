"""What is particular to the job store in memory: it fails on request."""

import pytest

from musicgate.errors import StorageError
from musicgate.model import JobState
from musicgate.testing.memory_store import MemoryJobStore
from tests.job_samples import NOW, make_delivery, make_job


async def test_a_failing_memory_store_stores_nothing() -> None:
    store = MemoryJobStore()
    await store.add(make_job(), [])
    await store.replace(make_job(), make_job(state=JobState.COMPLETED), [], [make_delivery()])
    store.trouble = "the disk is full"
    for write in (
        store.add(make_job("m2"), []),
        store.replace(make_job(), make_job(), []),
        store.ping(),
        store.outbox.replace(make_delivery(), make_delivery()),
        store.outbox.disable("default", "u", NOW),
        store.outbox.enable("default", "u"),
    ):
        with pytest.raises(StorageError, match="the disk is full"):
            await write
    store.trouble = None
    assert await store.get("m2") is None
    await store.ping()
