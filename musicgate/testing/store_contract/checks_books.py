"""What ended jobs used, and the audit log: written with the jobs, and there after they are gone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs
import pytest

from musicgate.errors import StorageError
from musicgate.model import (
    AuditEntry,
    Failure,
    FailureClass,
    JobState,
    UsageGroup,
    UsageQuery,
    UsageSum,
)
from musicgate.testing.store_contract.samples import (
    NOW,
    ended,
    make_claim,
    make_event,
    make_job,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.model import Job
    from musicgate.store import JobStore
    from musicgate.testing.store_contract.subject import StoreUnderTest

_DAY_S = 86_400
_TODAY = NOW.date()
_ALL = UsageQuery(first=_TODAY, last=_TODAY, group_by=())


def _with_audio(job: Job, seconds: float) -> Job:
    assert job.usage is not None
    return attrs.evolve(job, usage=attrs.evolve(job.usage, output_audio_seconds=seconds))


def _failed(job: Job, reason: FailureClass) -> Job:
    return attrs.evolve(job, state=JobState.FAILED, failure=Failure(reason=reason, message="no"))


def _entry(label: str, age_s: float = 0) -> AuditEntry:
    return AuditEntry(NOW - timedelta(seconds=age_s), label, "default", "key-1", "m1", "G-1", "0")


async def _noted(store: JobStore) -> list[str]:
    return [entry.action for _, entry in await store.audit_log.entries(0, 99)]


async def check_end_is_counted_once(subject: StoreUnderTest) -> None:
    """Of many changes that make one job end it is counted once, and not by what is changed after that."""
    store, job = subject.store, make_job()
    await store.add(job, [])
    done = _with_audio(ended(job, price_usd_nanos=7), 1.25)
    answers = await asyncio.gather(*(store.replace(job, done, []) for _ in range(9)))
    (stored,) = (answer for answer in answers if answer is not None)
    await store.replace(stored, ended(stored, price_usd_nanos=500), [])
    expected = UsageSum(group=(), jobs=1, completed=1, usd_nanos=7, unpriced_jobs=0, audio_ms=1250)
    assert await store.usage(_ALL) == [expected]


async def check_song_of_a_failed_job_is_not_counted(subject: StoreUnderTest) -> None:
    """A job that failed stays counted as failed, also when it is completed with audio of an operator."""
    store, job = subject.store, make_job()
    await store.add(job, [])
    failed = await store.replace(job, _failed(job, FailureClass.EXPIRED), [])
    assert failed is not None
    await store.replace(failed, attrs.evolve(ended(failed), failure=None), [])
    (total,) = await store.usage(_ALL)
    assert (total.jobs, total.failed) == (1, 1)


async def check_usage_outlives_its_jobs(subject: StoreUnderTest) -> None:
    """A job that is deleted, or a store that is opened again, leaves usage as it was."""
    store, job = subject.store, make_job()
    await store.add(job, [])
    await store.replace(job, ended(job, price_usd_nanos=7), [])
    before = await store.usage(_ALL)
    assert len(before) == 1
    assert await store.delete("m1")
    assert await store.usage(_ALL) == before


async def check_usage_is_told_apart(subject: StoreUnderTest) -> None:
    """Sums are by day of the end, account, key, provider, plugin, model and outcome, in their order."""
    store = subject.store
    ends: tuple[tuple[str, str, Callable[[Job], Job]], ...] = (
        ("a", "k1", lambda job: ended(job, price_usd_nanos=3)),
        ("a", "k1", lambda job: ended(job, price_usd_nanos=4)),
        ("a", "k2", ended),
        ("b", "", lambda job: _failed(job, FailureClass.MODERATION)),
        ("b", "", lambda job: _failed(job, FailureClass.EXPIRED)),
        ("a", "k1", lambda job: ended(job, at_s=_DAY_S, price_usd_nanos=5)),
    )
    for number, (account, key_id, end) in enumerate(ends):
        job = attrs.evolve(make_job(f"m{number}", account=account), key_id=key_id)
        await store.add(job, [])
        assert await store.replace(job, end(job), [])
    two_days = attrs.evolve(_ALL, last=_TODAY + timedelta(days=1))

    async def sums(query: UsageQuery) -> list[tuple[object, ...]]:
        found = await store.usage(query)
        return [(*each.group, each.jobs, each.failed, each.usd_nanos, each.unpriced_jobs) for each in found]

    by = UsageGroup
    assert await sums(two_days) == [(6, 2, 12, 1)]
    assert await sums(attrs.evolve(two_days, group_by=(by.DAY,))) == [
        ("2026-11-20", 5, 2, 7, 1),
        ("2026-11-21", 1, 0, 5, 0),
    ]
    assert await sums(attrs.evolve(_ALL, group_by=(by.KEY, by.ACCOUNT))) == [
        ("", "b", 2, 2, 0, 0),
        ("k1", "a", 2, 0, 7, 0),
        ("k2", "a", 1, 0, 0, 1),
    ]
    assert await sums(attrs.evolve(_ALL, account="b", group_by=(by.OUTCOME,))) == [
        ("expired", 1, 1, 0, 0),
        ("moderation", 1, 1, 0, 0),
    ]
    named = (by.PROVIDER, by.PLUGIN, by.MODEL, by.OUTCOME)
    assert await sums(attrs.evolve(_ALL, key_id="k2", group_by=named)) == [
        ("suno", "suno_kie", "suno/v4", "completed", 1, 0, 0, 1)
    ]
    assert len(await sums(attrs.evolve(_ALL, group_by=(by.ACCOUNT,), limit=1))) == 1
    assert await sums(attrs.evolve(_ALL, account="c")) == []


async def check_ends_of_one_batch_are_all_counted(subject: StoreUnderTest) -> None:
    """Jobs that end at the same moment are all counted, and one whose change comes too late is not."""
    store = subject.store
    jobs = [make_job(f"m{number}") for number in range(40)]
    await asyncio.gather(*(store.add(job, []) for job in jobs))
    stale = attrs.evolve(jobs[0], version=9)
    ends = [store.replace(job, ended(job, price_usd_nanos=2), [make_event()]) for job in (*jobs, stale)]
    assert (await asyncio.gather(*ends))[-1] is None
    (total,) = await store.usage(_ALL)
    assert (total.jobs, total.usd_nanos) == (40, 80)


async def check_open_jobs_are_counted_by_plugin(subject: StoreUnderTest) -> None:
    """Open jobs are counted by plugin, without those that have ended."""
    store, done = subject.store, make_job("m3")
    for job in (
        make_job("m1"),
        make_job("m2", account="other"),
        done,
        attrs.evolve(make_job("m4"), attempts=()),
    ):
        await store.add(job, [])
    await store.replace(done, ended(done), [])
    assert await store.count_open_by_plugin() == {"suno_kie": 2, "": 1}


async def check_audit_entries_come_with_their_jobs(subject: StoreUnderTest) -> None:
    """An entry is noted with the write that it is about, and not when that stores nothing."""
    store, job = subject.store, make_job()
    created = AuditEntry(NOW, "job.created", "ü", "key-1", "m1", "G-1")
    assert await store.add(job, [], make_claim(), audit=created) is None
    assert await store.add(make_job("m2"), [], make_claim("m2"), audit=_entry("duplicate")) is not None
    with pytest.raises(StorageError):
        await store.add(job, [], audit=_entry("again"))
    stored = await store.replace(job, ended(job), [], audit=_entry("changed"))
    assert stored is not None
    assert await store.replace(job, ended(job), [], audit=_entry("late")) is None
    assert await store.delete("m1", audit=_entry("deleted"))
    assert not await store.delete("m1", audit=_entry("gone"))
    assert await _noted(store) == ["job.created", "changed", "deleted"]
    ((_, first), *_) = await store.audit_log.entries(0, 1)
    assert first == created


async def check_audit_log_is_read_in_pages(subject: StoreUnderTest) -> None:
    """Entries are returned in the order of their adding, each once, from the number of the last page on."""
    log = subject.store.audit_log
    await log.add(*(_entry(f"a{number}") for number in range(5)))
    await asyncio.gather(*(log.add(_entry("b")) for _ in range(5)))
    await log.add()
    found: list[tuple[int, AuditEntry]] = []
    while page := await log.entries(found[-1][0] if found else 0, 3):
        assert len(page) <= 3
        found += page
    assert [entry.action for _, entry in found] == ["a0", "a1", "a2", "a3", "a4", *["b"] * 5]
    assert found[0][1] == _entry("a0")
    numbers = [number for number, _ in found]
    assert numbers == sorted(set(numbers))


async def check_long_audit_entry_is_cut(subject: StoreUnderTest) -> None:
    """A text of any length and kind is noted, cut to 512 characters."""
    log = subject.store.audit_log
    await log.add(_entry("x" * 9_000), _entry("a\x00b\ud800"))
    (_, first), (_, second) = await log.entries(0, 9)
    assert (len(first.action), second.action[0]) == (512, "a")


async def check_old_audit_entries_are_forgotten(subject: StoreUnderTest) -> None:
    """Old entries go from the oldest on; the newest stays, and no number comes again."""
    log = subject.store.audit_log
    ages_s = (300, 250, 10, 400)
    await log.add(*(_entry(f"{age_s}", age_s) for age_s in ages_s))
    (*_, last), before = await log.entries(0, 9), NOW - timedelta(seconds=100)
    assert await log.forget(before) == 2
    assert await _noted(subject.store) == ["10", "400"]
    assert await log.forget(NOW + timedelta(days=1)) == 1
    assert await log.entries(0, 9) == [last]
    await log.add(_entry("new"))
    assert (await log.entries(last[0], 9))[0][1].action == "new"
