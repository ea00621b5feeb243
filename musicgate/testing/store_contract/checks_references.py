"""Which jobs use which kept object, and the removal of what none uses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import pytest

from musicgate.errors import JobNotFoundError
from musicgate.testing.store_contract.samples import make_job

if TYPE_CHECKING:
    from musicgate.store import JobStore
    from musicgate.testing.store_contract.subject import StoreUnderTest

A: Final = "aa/aa11.mp3"
B: Final = "bb/bb22.mp3"


async def _with_jobs(subject: StoreUnderTest) -> JobStore:
    for job_id in ("m1", "m2"):
        await subject.store.add(make_job(job_id), [])
    return subject.store


async def check_job_uses_what_it_claimed(subject: StoreUnderTest) -> None:
    """A job uses the objects that it claimed, also if it claimed one twice."""
    references = (await _with_jobs(subject)).asset_references
    assert await references.claim(B, "m1")
    assert await references.claim(A, "m1")
    assert await references.claim(A, "m1")
    assert await references.of_job("m1") == [A, B]
    assert await references.of_job("m2") == []
    assert await references.unused("", 10) == []


async def check_missing_job_cannot_claim(subject: StoreUnderTest) -> None:
    """A job that does not exist cannot claim an object."""
    jobs = await _with_jobs(subject)
    with pytest.raises(JobNotFoundError):
        await jobs.asset_references.claim(A, "m3")
    assert await jobs.asset_references.users(("", ""), 10) == []


async def check_object_is_unused_after_its_last_job(subject: StoreUnderTest) -> None:
    """An object is unused when the last job that uses it releases it."""
    references = (await _with_jobs(subject)).asset_references
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


async def check_object_without_a_reference_is_released(subject: StoreUnderTest) -> None:
    """An object from before there were references is released by its name."""
    references = (await _with_jobs(subject)).asset_references
    await references.claim(A, "m2")
    assert await references.release("m1", [A, "m1/0.mp3"]) == [A, "m1/0.mp3"]
    assert await references.unused("", 10) == ["m1/0.mp3"]


async def check_deleting_releases(subject: StoreUnderTest) -> None:
    """Deleting a job releases what it uses."""
    jobs = await _with_jobs(subject)
    await jobs.asset_references.claim(A, "m1")
    await jobs.delete("m1")
    assert await jobs.asset_references.of_job("m1") == []
    assert await jobs.asset_references.unused("", 10) == [A]


async def check_removal_is_begun_and_ended(subject: StoreUnderTest) -> None:
    """An unused object can be claimed until its removal begins, and again when it has ended."""
    references = (await _with_jobs(subject)).asset_references
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


async def check_users_are_paged(subject: StoreUnderTest) -> None:
    """The users of objects are paged by name and job."""
    references = (await _with_jobs(subject)).asset_references
    for name, job_id in ((B, "m1"), (A, "m2"), (A, "m1")):
        await references.claim(name, job_id)
    assert await references.users(("", ""), 2) == [(A, "m1"), (A, "m2")]
    assert await references.users((A, "m2"), 2) == [(B, "m1")]


async def check_claim_or_removal_wins(subject: StoreUnderTest) -> None:
    """Of a claim and a removal at the same time one wins."""
    references = (await _with_jobs(subject)).asset_references
    for _ in range(20):
        await references.claim(A, "m1")
        await references.release("m1")
        claimed, removing = await asyncio.gather(references.claim(A, "m2"), references.begin_removal(A))
        assert claimed is not removing
        await references.end_removal(A)
        await references.release("m2")
        await references.end_removal(A)
