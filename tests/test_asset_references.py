"""Which jobs use which kept object: what every job store promises."""

import asyncio

import pytest

from musicgate.errors import JobNotFoundError, StorageError
from musicgate.store.port import JobStore
from tests.job_samples import make_job

A, B = "aa/aa11.mp3", "bb/bb22.mp3"


@pytest.fixture
async def jobs(store: JobStore) -> JobStore:
    for job_id in ("m1", "m2"):
        await store.add(make_job(job_id), [])
    return store


async def test_a_job_uses_what_it_claimed(jobs: JobStore) -> None:
    references = jobs.asset_references
    assert await references.claim(B, "m1")
    assert await references.claim(A, "m1")
    assert await references.claim(A, "m1")
    assert await references.of_job("m1") == [A, B]
    assert await references.of_job("m2") == []
    assert await references.unused("", 10) == []


async def test_a_job_that_does_not_exist_cannot_claim(jobs: JobStore) -> None:
    with pytest.raises(JobNotFoundError):
        await jobs.asset_references.claim(A, "m3")
    assert await jobs.asset_references.users(("", ""), 10) == []


async def test_an_object_is_unused_when_the_last_job_releases_it(jobs: JobStore) -> None:
    references = jobs.asset_references
    await references.claim(A, "m1")
    await references.claim(B, "m1")
    await references.claim(A, "m2")
    assert await references.release("m1") == [A, B]
    assert await references.unused("", 10) == [B]
    assert await references.release("m2") == [A]
    assert await references.unused("", 10) == [A, B]
    assert await references.unused("", 1) == [A]
    assert await references.unused(A, 10) == [B]
    assert await references.release("m2") == []


async def test_an_object_from_before_there_were_references_is_released_by_its_name(jobs: JobStore) -> None:
    references = jobs.asset_references
    await references.claim(A, "m2")
    assert await references.release("m1", [A, "m1/0.mp3"]) == [A, "m1/0.mp3"]
    assert await references.unused("", 10) == ["m1/0.mp3"]


async def test_deleting_a_job_releases_what_it_uses(jobs: JobStore) -> None:
    await jobs.asset_references.claim(A, "m1")
    await jobs.delete("m1")
    assert await jobs.asset_references.of_job("m1") == []
    assert await jobs.asset_references.unused("", 10) == [A]


async def test_an_unused_object_can_be_claimed_until_its_removal_begins(jobs: JobStore) -> None:
    references = jobs.asset_references
    await references.claim(A, "m1")
    await references.release("m1")
    assert await references.claim(A, "m2")
    assert await references.unused("", 10) == []
    assert not await references.begin_removal(A)

    await references.release("m2")
    assert await references.begin_removal(A)
    assert not await references.claim(A, "m1")
    assert await references.of_job("m1") == []
    assert await references.unused("", 10) == [A], "a removal that was broken off is begun again"
    assert await references.begin_removal(A)

    await references.end_removal(A)
    assert await references.unused("", 10) == []
    assert await references.claim(A, "m1")


async def test_users_are_paged_by_name_and_job(jobs: JobStore) -> None:
    references = jobs.asset_references
    for name, job_id in ((B, "m1"), (A, "m2"), (A, "m1")):
        await references.claim(name, job_id)
    assert await references.users(("", ""), 2) == [(A, "m1"), (A, "m2")]
    assert await references.users((A, "m2"), 2) == [(B, "m1")]


async def test_of_a_claim_and_a_removal_at_the_same_time_one_wins(jobs: JobStore) -> None:
    references = jobs.asset_references
    for _ in range(20):
        await references.claim(A, "m1")
        await references.release("m1")
        claimed, removing = await asyncio.gather(references.claim(A, "m2"), references.begin_removal(A))
        assert claimed is not removing
        await references.end_removal(A)
        await references.release("m2")
        await references.end_removal(A)


async def test_a_store_in_trouble_says_so(jobs: JobStore) -> None:
    await jobs.close()
    with pytest.raises(StorageError):
        await jobs.asset_references.claim(A, "m1")
    with pytest.raises(StorageError):
        await jobs.asset_references.release("m1")
