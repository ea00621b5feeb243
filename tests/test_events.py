"""Following a job's events: all, once and in order, for late, slow and many readers; read in pages."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import attrs
import pytest

from musicgate import JobNotFoundError, StorageError
from musicgate.gateway import events as following
from musicgate.gateway.events import Changes, follow_events, watch_job
from musicgate.model import (
    EventKind,
    Job,
    JobEvent,
    JobState,
)
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import START
from tests.sample_jobs import job


class Log:
    """A job whose history grows as a test says; counts what is read at a time."""

    def __init__(self) -> None:
        self.store = MemoryJobStore()
        self.changes = Changes()
        self.job = job()
        self.largest = 0
        read = self.store.events

        async def counted(
            job_id: str, after: int = 0, limit: int | None = None
        ) -> Sequence[tuple[int, JobEvent]]:
            page = await read(job_id, after, limit)
            self.largest = max(self.largest, len(page))
            return page

        self.store.events = counted  # type: ignore[method-assign]  # the only way to see what is read

    async def begin(self) -> "Log":
        await self.store.add(self.job, (event(EventKind.CREATED),))
        return self

    async def grow(self, *kinds: EventKind, state: JobState = JobState.IN_PROGRESS) -> None:
        stored = await self.store.replace(
            self.job, attrs.evolve(self.job, state=state), [event(kind) for kind in kinds]
        )
        assert stored is not None
        self.job = stored
        self.changes.notify(self.job.id)

    async def end(self) -> None:
        await self.grow(EventKind.STATE, EventKind.SETTLED, state=JobState.COMPLETED)

    def follow(self, after: int = 0, pause_s: float = 60.0) -> AsyncIterator[tuple[int, JobEvent] | None]:
        return follow_events(self.store, self.changes, self.job.id, after=after, pause_s=pause_s)

    async def read(self, after: int = 0, between_s: float = 0.0) -> list[tuple[int, str]]:
        seen = []
        async with asyncio.timeout(10):
            async for item in self.follow(after):
                assert item is not None
                seen.append((item[0], item[1].kind.value))
                await asyncio.sleep(between_s)
        return seen


def event(kind: EventKind) -> JobEvent:
    return JobEvent(kind=kind, at=START)


WHOLE = [(1, "created"), (2, "attempt"), (3, "track"), (4, "state"), (5, "settled")]


@pytest.fixture
async def log() -> Log:
    return await Log().begin()


@pytest.mark.parametrize("after", range(6))
async def test_events_of_a_finished_job_are_read_from_any_number_on(log: Log, after: int) -> None:
    await log.grow(EventKind.ATTEMPT, EventKind.TRACK)
    await log.end()
    assert await log.read(after) == WHOLE[after:]
    assert log.changes._flags == {}


async def test_readers_who_come_at_any_time_see_the_same(log: Log) -> None:
    readers = [asyncio.create_task(log.read()) for _ in range(3)]
    await asyncio.sleep(0.005)
    await log.grow(EventKind.ATTEMPT, EventKind.TRACK)
    readers.append(asyncio.create_task(log.read()))
    slow = asyncio.create_task(log.read(between_s=0.005))
    await asyncio.sleep(0.005)
    await log.end()
    assert await asyncio.gather(*readers, slow) == [WHOLE] * 5
    assert log.changes._flags == {}


async def test_no_event_after_the_final_one_is_read(log: Log) -> None:
    await log.end()
    await log.grow(EventKind.OUTPUT, state=JobState.COMPLETED)
    assert await log.read() == [(1, "created"), (2, "state"), (3, "settled")]
    assert await log.read(3) == [(4, "output")]


async def test_job_that_ended_without_a_final_event_ends_its_readers(log: Log) -> None:
    reader = asyncio.create_task(log.read())
    await asyncio.sleep(0.005)
    await log.grow(EventKind.STATE, state=JobState.FAILED)
    assert await reader == [(1, "created"), (2, "state")]


async def test_event_between_the_two_reads_is_not_lost(log: Log) -> None:
    """The job ends after its events were read and before its state is."""
    get, is_ended = log.store.get, False

    async def ended_meanwhile(job_id: str) -> Job | None:
        nonlocal is_ended
        if not is_ended:
            is_ended = True
            await log.end()
        return await get(job_id)

    log.store.get = ended_meanwhile  # type: ignore[method-assign]  # between the two reads
    assert await log.read() == [(1, "created"), (2, "state"), (3, "settled")]


async def test_silence_yields_none(log: Log) -> None:
    seen: list[object] = []
    async with asyncio.timeout(5):
        async for item in log.follow(after=1, pause_s=0.005):
            seen.append(item if item is None else item[0])
            if len(seen) == 2:
                await log.end()
    assert seen == [None, None, 2, 3]


async def test_deleted_job_ends_its_readers(log: Log) -> None:
    reader = asyncio.create_task(log.read())
    await asyncio.sleep(0.005)
    await log.store.delete(log.job.id)
    log.changes.notify(log.job.id)
    assert await reader == [(1, "created")]


async def test_slow_reader_holds_a_page_and_misses_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PAGE", 10)
    reader = asyncio.create_task(log.read(between_s=0.0001))
    for _ in range(100):
        await log.grow(*[EventKind.TRACK] * 10)
        await asyncio.sleep(0)
    await log.end()
    seen = await reader
    assert [number for number, _ in seen] == list(range(1, 1004))
    assert log.largest == 10
    assert log.changes._flags == {}


async def test_watcher_sees_the_last_of_many_changes(log: Log) -> None:
    versions = []
    async with asyncio.timeout(5):
        async for job in watch_job(log.store, log.changes, log.job.id):
            versions.append(job.version)
            if len(versions) == 1:
                for _ in range(5):
                    await log.grow(EventKind.TRACK)
                await log.end()
    assert versions == [0, 6]


async def test_watching_a_job_that_is_not_there_is_an_error(log: Log) -> None:
    with pytest.raises(JobNotFoundError):
        await anext(watch_job(log.store, log.changes, "music_none"))
    assert log.changes._flags == {}


async def test_readers_of_one_job_share_its_reads(log: Log) -> None:
    await log.grow(EventKind.ATTEMPT)
    calls: list[int] = []
    read = log.store.events

    async def counted(
        job_id: str, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, JobEvent]]:
        calls.append(after)
        await asyncio.sleep(0.005)
        return await read(job_id, after, limit)

    log.store.events = counted  # type: ignore[method-assign]  # the only way to see what is read
    readers = [asyncio.create_task(log.read()) for _ in range(50)]
    await asyncio.sleep(0.03)
    await log.end()
    assert (
        await asyncio.gather(*readers)
        == [[(1, "created"), (2, "attempt"), (3, "state"), (4, "settled")]] * 50
    )
    assert len(calls) <= 10  # without sharing each of 50 readers reads three pages
    assert log.changes._reads == {}


async def test_a_read_that_began_before_a_change_is_not_shared_after_it(log: Log) -> None:
    gates, answers = [asyncio.Event(), asyncio.Event()], iter(("old", "new"))

    async def read() -> str:
        answer, gate = next(answers), gates.pop(0)
        await gate.wait()
        return answer

    first, second = gates
    with log.changes.listening(log.job.id), log.changes.listening(log.job.id):
        before = [asyncio.create_task(log.changes.read(log.job.id, "job", read)) for _ in range(2)]
        await asyncio.sleep(0)
        log.changes.notify(log.job.id)
        after = [asyncio.create_task(log.changes.read(log.job.id, "job", read)) for _ in range(2)]
        await asyncio.sleep(0)
        first.set()
        assert await asyncio.gather(*before) == ["old", "old"]
        second.set()
        assert await asyncio.gather(*after) == ["new", "new"]
    assert log.changes._reads == {}


async def test_a_reader_that_leaves_does_not_end_a_shared_read(log: Log) -> None:
    gate = asyncio.Event()

    async def read() -> str:
        await gate.wait()
        raise StorageError("the disk failed")

    with log.changes.listening(log.job.id), log.changes.listening(log.job.id):
        leaving, staying = (asyncio.create_task(log.changes.read(log.job.id, "job", read)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        gate.set()
        with pytest.raises(StorageError, match="the disk failed"):
            await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert log.changes._reads == {}
