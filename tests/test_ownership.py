"""Every open job has one owner, and its caller gets it: faults at single calls, by name."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from musicgate import (
    HttpRequest,
    Job,
    JobState,
    StorageError,
)
from musicgate.gateway.follow import advance
from musicgate.gateway.idempotency import IdempotencyKey
from musicgate.model import RateWindow
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import MODEL, FakeVendor, Rig, lost, quota_of, rig_of
from tests.waiting import until

ONE = FakeVendor("one", priority=1)
TWO = FakeVendor("two", priority=2)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", ONE, TWO, store=MemoryJobStore()) as rig:
        yield rig


async def test_accepted_job_goes_from_its_call_to_the_scheduler(rig: Rig) -> None:
    owners: list[tuple[int, int]] = []

    async def note(_: HttpRequest) -> None:
        owners.append((rig.gate.jobs_in_flight, rig.gate.jobs_scheduled))

    rig.transport.on_send = note
    rig.transport.script("one", {"id": "n-1"})
    await rig.submit()
    owners.append((rig.gate.jobs_in_flight, rig.gate.jobs_scheduled))
    assert owners == [(1, 0), (0, 1)]


@pytest.mark.parametrize("error", [TypeError("a bug"), MemoryError(), asyncio.CancelledError()], ids=repr)
async def test_job_whose_call_breaks_goes_to_the_scheduler_and_to_its_caller(
    rig: Rig, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise error

    monkeypatch.setattr("musicgate.gateway.send._note_answer", break_down)
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    assert await rig.store.get(job.id) is not None
    assert (rig.gate.jobs_in_flight, rig.gate.jobs_scheduled) == (0, 1)
    assert rig.context.create_queues["one"].running == 0


async def test_answer_that_our_own_code_cannot_fold_still_leaves_the_vendors_id(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("musicgate.gateway.fold.apply_update", break_down)
    rig.transport.script("one", {"id": "n-1", "status": "works"})
    job = await rig.submit()
    assert (job.native_id, job.attempts[-1].outcome) == ("n-1", "accepted")
    assert await rig.stored(job) == job


async def test_end_of_a_job_whose_write_lost_its_answer_frees_its_reservation(rig: Rig) -> None:
    replace, losses = rig.store.replace, [MemoryError()]

    async def stores_and_breaks(*arguments: Any, **more: Any) -> Any:
        stored = await replace(*arguments, **more)
        if losses:
            raise losses.pop()
        return stored

    rig.store.replace = stores_and_breaks
    rig.transport.script("one", lost())
    job = await rig.submit()
    assert job.state is JobState.FAILED
    assert quota_of(rig.context).open_jobs == 0


async def test_store_that_loses_the_answer_to_a_write_makes_no_second_job(rig: Rig) -> None:
    add = rig.store.add

    async def stores_and_breaks(*arguments: Any, **more: Any) -> None:
        await add(*arguments, **more)
        raise MemoryError

    rig.store.add = stores_and_breaks
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    assert (job.native_id, rig.gate.jobs_scheduled) == ("n-1", 1)


async def test_caller_gets_maybe_stored_when_the_store_does_not_answer(rig: Rig) -> None:
    async def breaks(*_: object, **__: object) -> None:
        raise MemoryError

    rig.store.add = rig.store.get = breaks
    with pytest.raises(StorageError) as caught:
        await rig.submit()
    assert caught.value.maybe_stored
    assert rig.gate.jobs_scheduled == 1  # it finds out whether the job is stored


async def test_closing_returns_the_stored_job_and_cancels_no_caller(tmp_path: Path) -> None:
    vendor = FakeVendor("one", max_parallel_creates=1)
    async with rig_of(tmp_path / "audio", vendor, store=MemoryJobStore()) as rig:
        never = asyncio.Event()

        async def hang(_: HttpRequest) -> None:
            await never.wait()

        rig.transport.on_send = hang
        asked = rig.gate.read({"model": MODEL})
        callers = [asyncio.create_task(rig.gate.submit(asked, wait_s=60)) for _ in range(2)]
        await until(lambda: rig.context.create_queues["one"].waiting == 1)
        await rig.gate.close()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(end, Job) and end.state is JobState.QUEUED for end in ends)
        (waiting,) = [
            job for job in await rig.store.open_jobs("", 10) if job.attempts[-1].outcome == "planned"
        ]
        assert waiting.id in {end.id for end in ends if isinstance(end, Job)}


async def test_reservation_and_slot_are_given_back_whatever_breaks_between_them(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("musicgate.gateway.accept._new_job", break_down)
    with pytest.raises(TypeError):
        await rig.submit()
    assert quota_of(rig.context).open_jobs == 0
    assert rig.context.create_queues["one"].running == 0


async def test_considered_providers_are_shown_as_they_were_at_creation(rig: Rig) -> None:
    key = IdempotencyKey(route="create", key="k", fingerprint="f")
    asked = rig.gate.read({"model": MODEL, "meta": True})
    rig.transport.script("one", {"id": "n-1"})
    first = await rig.gate.submit(asked, idempotency=key)
    assert first.routing == {"candidates": ["one", "two"], "excluded": []}
    del rig.context.providers["one"]  # type: ignore[attr-defined]  # today it would not be considered
    again = await rig.gate.submit(asked, idempotency=key)
    assert again.routing == first.routing


async def test_considered_providers_are_kept_only_when_requested(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    assert (await rig.submit()).routing is None


async def test_job_that_waits_for_its_slot_ends_by_its_deadline_and_costs_nothing(tmp_path: Path) -> None:
    vendor = FakeVendor("one", create_window=RateWindow(calls=1, per_s=9_000.0))
    async with rig_of(tmp_path / "audio", vendor, store=MemoryJobStore()) as rig:
        rig.transport.script("one", {"id": "n-1"})
        await rig.submit()
        rig.clock.sleep = lambda _: asyncio.Event().wait()  # type: ignore[assignment,method-assign,return-value]
        job = await rig.gate.submit(rig.gate.read({"model": MODEL}), wait_s=0)
        assert job.attempts[-1].outcome == "planned"
        rig.clock.pass_s((job.deadline_at - rig.clock.steady()).total_seconds())
        assert await advance(rig.context, job.id) is None
        ended = await rig.stored(job)
        assert ended.failure is not None
        assert (ended.failure.reason.value, ended.failure.costs) == ("expired", False)
        assert len(rig.transport.sent) == 1


async def test_caller_is_told_that_its_job_is_stored_before_the_vendor_answers(rig: Rig) -> None:
    told: list[Job] = []
    told_when_sent: list[int] = []

    async def note(_: HttpRequest) -> None:
        await asyncio.sleep(0.01)
        told_when_sent.append(len(told))

    rig.transport.on_send = note
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.gate.submit(rig.gate.read({"model": MODEL}), on_stored=told.append)
    assert (told_when_sent, [one.id for one in told], job.native_id) == ([1], [job.id], "n-1")


async def test_slow_store_takes_none_of_the_time_that_a_caller_waits_for_the_vendor(tmp_path: Path) -> None:
    vendor = FakeVendor("one", blocking=True)
    async with rig_of(tmp_path / "audio", vendor, store=MemoryJobStore()) as rig:
        add = rig.store.add

        async def slowly(*arguments: Any) -> Any:
            await asyncio.sleep(0.1)
            return await add(*arguments)

        rig.store.add = slowly
        rig.transport.script("one", {"id": "n-1"})
        job = await rig.gate.submit(rig.gate.read({"model": MODEL}), wait_s=0.05)
        assert job.native_id == "n-1"


async def test_replay_waits_for_the_answer_to_the_first_caller(rig: Rig) -> None:
    go_on = asyncio.Event()

    async def hold(_: HttpRequest) -> None:
        await go_on.wait()

    rig.transport.on_send = hold
    rig.transport.script("one", {"id": "n-1"})
    request, key = rig.gate.read({"model": MODEL}), IdempotencyKey.of("k", {})
    first = asyncio.create_task(rig.gate.submit(request, idempotency=key))
    await until(lambda: rig.transport.sent)
    second = asyncio.create_task(rig.gate.submit(request, idempotency=key))
    await asyncio.sleep(0.02)
    assert not second.done()
    go_on.set()
    assert (await first).id == (await second).id
    assert (await second).native_id == "n-1"
