"""Many jobs: pages of open, finished and listed jobs, counts, and what an account has spent."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate.model import Job, JobQuery, JobState, MusicRequest
from musicgate.testing.store_contract.samples import NOW, ended, make_job

if TYPE_CHECKING:
    from musicgate.testing.store_contract.subject import StoreUnderTest

_DAY_S = 86_400


async def check_open_jobs_come_in_pages(subject: StoreUnderTest) -> None:
    """Open jobs come in pages, in the order of their ids; finished ones are left out."""
    store = subject.store
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


async def check_finished_job_is_not_open(subject: StoreUnderTest) -> None:
    """A job that a replacement finishes is no longer open."""
    job = make_job()
    await subject.store.add(job, [])
    await subject.store.replace(job, attrs.evolve(job, state=JobState.FAILED), [])
    assert await subject.store.open_jobs("", 10) == []
    assert await subject.store.count_open() == 0


async def check_open_jobs_are_counted(subject: StoreUnderTest) -> None:
    """Open jobs are counted, of one account and of all; the accounts that have jobs are in order."""
    store = subject.store
    await store.add(make_job("m1"), [])
    await store.add(make_job("m2", account="other"), [])
    await store.add(ended(make_job("m3")), [])
    await store.add(ended(make_job("m4", account="a third")), [])
    assert (await store.count_open("default"), await store.count_open()) == (1, 2)
    assert await store.accounts() == ["a third", "default", "other"]


async def check_lists_are_newest_first(subject: StoreUnderTest) -> None:
    """Jobs are listed newest first, page by page, of one account or of all."""
    store = subject.store
    for number in range(5):
        await store.add(make_job(f"m{number}", age_s=100 - number), [])
    await store.add(make_job("m9", account="other"), [])
    first = await store.list_jobs("default", JobQuery(limit=2))
    assert [job.id for job in first] == ["m4", "m3"]
    before = (first[-1].created_at, first[-1].id)
    rest = await store.list_jobs("default", JobQuery(before=before))
    assert [job.id for job in rest] == ["m2", "m1", "m0"]
    assert [job.id for job in await store.list_jobs(None, JobQuery(limit=3))] == ["m9", "m4", "m3"]


async def check_jobs_of_one_time_are_listed_by_id(subject: StoreUnderTest) -> None:
    """Jobs that were created at the same time are paged by their ids, the greatest first."""
    for number in range(3):
        await subject.store.add(make_job(f"m{number}"), [])
    seen, before = [], None
    while page := await subject.store.list_jobs("default", JobQuery(before=before, limit=1)):
        seen.append(page[0].id)
        before = (page[0].created_at, page[0].id)
    assert seen == ["m2", "m1", "m0"]


async def check_lists_are_filtered(subject: StoreUnderTest) -> None:
    """A list has exactly the jobs of its account, states and model, in every combination, page by page."""
    store = subject.store
    jobs = [
        attrs.evolve(
            make_job(f"m{number}", account="ab"[number % 2], state=state, age_s=number // 3),
            request=MusicRequest(model=f"suno/v{number % 3}"),
        )
        for number, state in enumerate(list(JobState) * 6)
    ]
    for job in jobs:
        await store.add(job, [])
    newest = sorted(jobs, key=lambda job: (job.created_at, job.id), reverse=True)
    for account in ("a", "c", None):
        for states in ((), (JobState.FAILED,), (JobState.QUEUED, JobState.COMPLETED), (JobState.FAILED,) * 2):
            for model in (None, "suno/v1", "suno/v9"):
                wanted = [
                    job
                    for job in newest
                    if account in {None, job.account}
                    and (not states or job.state in states)
                    and model in {None, job.request.model}
                ]
                found: list[Job] = []
                query = JobQuery(states=states, model=model, limit=4)
                while page := await store.list_jobs(account, query):
                    found += page
                    query = attrs.evolve(query, before=(page[-1].created_at, page[-1].id))
                assert found == wanted


async def check_page_of_large_jobs_is_short(subject: StoreUnderTest) -> None:
    """A page that would have more bytes than asked for is shorter, but never empty."""
    store = subject.store
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


async def check_finished_jobs_are_paged(subject: StoreUnderTest) -> None:
    """Finished jobs of an account that ended before a time are paged from the oldest."""
    store = subject.store
    for job_id, at_s in (("m1", -5.0), ("m2", -10.0), ("m3", 0.0)):
        await store.add(ended(make_job(job_id), at_s=at_s), [])
    await store.add(make_job("m4"), [])
    await store.add(ended(make_job("m5", account="other"), at_s=-7.0), [])
    ten, five = NOW - timedelta(seconds=10), NOW - timedelta(seconds=5)
    assert list(await store.finished_jobs("default", None, NOW, 10)) == [(ten, "m2"), (five, "m1")]
    assert list(await store.finished_jobs("default", None, NOW, 1)) == [(ten, "m2")]
    assert list(await store.finished_jobs("default", (ten, "m2"), NOW, 10)) == [(five, "m1")]
    assert list(await store.finished_jobs("default", (five, "m1"), NOW, 10)) == []


async def check_spend_follows_every_change(subject: StoreUnderTest) -> None:
    """The spend since any time is the sum over the jobs, also of changed prices and deleted jobs."""
    store = subject.store
    midnight = NOW.replace(hour=0, minute=0)
    since = [NOW + timedelta(seconds=s) for s in (-9 * _DAY_S, -_DAY_S, 0, _DAY_S / 2, 9 * _DAY_S)]
    since += [midnight + timedelta(days=days) for days in (-1, 0, 1)] + [midnight - timedelta(microseconds=1)]
    known: dict[str, Job] = {}

    async def check() -> None:
        for account in ("a", "b", "c"):
            own = [job for job in known.values() if job.account == account and job.completed_at]
            for moment in since:
                expected = sum(
                    (job.usage.total_usd_nanos or 0)
                    for job in own
                    if job.usage and job.completed_at and job.completed_at >= moment
                )
                assert await store.spent_usd_nanos(account, moment) == expected

    for number in range(8):
        job = make_job(f"m{number}", account="ab"[number % 2])
        if number < 2:
            known[job.id] = ended(job, at_s=-_DAY_S * number, price_usd_nanos=5)
            await store.add(known[job.id], [])
            continue
        await store.add(job, [])
        ends = [ended(job, at_s=(number - 4) * _DAY_S / 3, price_usd_nanos=10**number)]
        if number % 3 == 0:
            ends.append(ended(job, at_s=_DAY_S, price_usd_nanos=7))
        if number == 4:
            ends.append(ended(job, at_s=0))
        stored = job
        for end in ends:
            replaced = await store.replace(stored, end, [])
            assert replaced is not None
            stored = known[job.id] = replaced
        await check()
    for job_id in list(known):
        await store.delete(job_id)
        del known[job_id]
        await check()
