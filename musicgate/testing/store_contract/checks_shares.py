"""Shares of the open jobs, and the terms under which replicas follow them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from musicgate.model import SHARES, JobState, share_of
from musicgate.testing.store_contract.samples import make_delivery, make_event, make_job

if TYPE_CHECKING:
    from musicgate.testing.store_contract.subject import StoreUnderTest


async def check_open_jobs_of_a_share(subject: StoreUnderTest) -> None:
    """Each open job is in the pages of its share, and in those of no other one."""
    store = subject.store
    ids = [f"m{number:03}" for number in range(70)]
    await asyncio.gather(*(store.add(make_job(job_id), []) for job_id in ids))
    done = make_job("m007")
    await store.replace(done, attrs.evolve(done, state=JobState.FAILED), [])
    ids.remove("m007")
    for share in range(SHARES):
        own = [job_id for job_id in ids if share_of(job_id) == share]
        assert await store.open_ids(share) == own
        found: list[str] = []
        while page := await store.open_jobs(found[-1] if found else "", 2, share):
            assert len(page) <= 2
            found += [job.id for job in page]
        assert found == own


async def check_follower_with_the_term_writes(subject: StoreUnderTest) -> None:
    """Under the present term of the job's share, a follower's change is stored."""
    job = make_job()
    await subject.store.add(job, [])
    term = await subject.take_share(share_of(job.id))
    stored = await subject.store.replace(job, attrs.evolve(job, native_status="a"), [], term=term)
    assert stored is not None
    assert await subject.store.get("m1") == stored


async def check_lost_share_writes_nothing(subject: StoreUnderTest) -> None:
    """Once a share is taken again, a follower of before stores nothing: no job, no event, no message."""
    store, job = subject.store, make_job()
    await store.add(job, [])
    before = await subject.take_share(share_of(job.id))
    now = await subject.take_share(share_of(job.id))
    assert now > before
    change = attrs.evolve(job, state=JobState.FAILED)
    for term in (before, now + 1):
        assert await store.replace(job, change, [make_event()], [make_delivery()], term=term) is None
    assert await store.get("m1") == job
    assert await store.events("m1") == []
    assert await store.outbox.pending(9) == []
    assert await store.replace(job, change, [make_event()], [make_delivery()], term=now) is not None


async def check_terms_of_one_batch(subject: StoreUnderTest) -> None:
    """Of changes that come at the same time, those under a lost term are left out, and no other."""
    store = subject.store
    jobs = [make_job(f"m{number}") for number in range(12)]
    terms: dict[int, int] = {}
    for job in jobs:
        await store.add(job, [])
        terms[share_of(job.id)] = await subject.take_share(share_of(job.id))
    lost = share_of("m0")
    await subject.take_share(lost)
    answers = await asyncio.gather(
        *(store.replace(job, job, [make_event()], term=terms[share_of(job.id)]) for job in jobs)
    )
    expected = [share_of(job.id) != lost for job in jobs]
    assert [answer is not None for answer in answers] == expected
    assert [len(await store.events(job.id)) for job in jobs] == [int(is_held) for is_held in expected]


async def check_write_without_a_term(subject: StoreUnderTest) -> None:
    """A writer that does not follow the job, such as a cancel, needs no term."""
    job = make_job()
    await subject.store.add(job, [])
    await subject.take_share(share_of(job.id))
    assert await subject.store.replace(job, attrs.evolve(job, state=JobState.FAILED), []) is not None
