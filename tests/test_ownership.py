"""Every open job has one owner, and its caller gets it: what the fault injection plays at every call, here by name."""

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
from tests.fake_vendor import MODEL, FakeVendor, House, house_of, lost

ONE = FakeVendor("one", priority=1)
TWO = FakeVendor("two", priority=2)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(tmp_path / "audio", ONE, TWO, store=MemoryJobStore()) as house:
        yield house


async def until(fact: Any) -> None:
    async with asyncio.timeout(5):
        while not fact():  # noqa: ASYNC110 - a fact tells nobody that it holds
            await asyncio.sleep(0.001)


async def test_accepted_job_goes_from_its_call_to_the_scheduler(house: House) -> None:
    owners: list[tuple[int, int]] = []

    async def note(_: HttpRequest) -> None:
        owners.append((house.gate.jobs_in_flight, house.gate.jobs_scheduled))

    house.transport.on_send = note
    house.transport.script("one", {"id": "n-1"})
    await house.submit()
    owners.append((house.gate.jobs_in_flight, house.gate.jobs_scheduled))
    assert owners == [(1, 0), (0, 1)]


@pytest.mark.parametrize("error", [TypeError("a bug"), MemoryError(), asyncio.CancelledError()], ids=repr)
async def test_job_whose_call_breaks_goes_to_the_scheduler_and_to_its_caller(
    house: House, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise error

    monkeypatch.setattr("musicgate.gateway.send._note_answer", break_down)
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit()
    assert await house.store.get(job.id) is not None
    assert (house.gate.jobs_in_flight, house.gate.jobs_scheduled) == (0, 1)
    assert house.context.create_queues["one"].running == 0


async def test_answer_that_our_own_code_cannot_fold_still_leaves_the_vendors_id(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("musicgate.gateway.fold.apply_update", break_down)
    house.transport.script("one", {"id": "n-1", "status": "works"})
    job = await house.submit()
    assert (job.native_id, job.attempts[-1].outcome) == ("n-1", "accepted")
    assert await house.stored(job) == job


async def test_end_of_a_job_whose_write_lost_its_answer_frees_its_reservation(house: House) -> None:
    replace, losses = house.store.replace, [MemoryError()]

    async def stores_and_breaks(*arguments: Any, **more: Any) -> Any:
        stored = await replace(*arguments, **more)
        if losses:
            raise losses.pop()
        return stored

    house.store.replace = stores_and_breaks
    house.transport.script("one", lost())
    job = await house.submit()
    assert job.state is JobState.FAILED
    assert house.context.quota.open_jobs == 0


async def test_store_that_loses_the_answer_to_a_write_makes_no_second_job(house: House) -> None:
    add = house.store.add

    async def stores_and_breaks(*arguments: Any, **more: Any) -> None:
        await add(*arguments, **more)
        raise MemoryError

    house.store.add = stores_and_breaks
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit()
    assert (job.native_id, house.gate.jobs_scheduled) == ("n-1", 1)


async def test_caller_is_told_when_nobody_knows_whether_its_job_is_stored(house: House) -> None:
    async def breaks(*_: object, **__: object) -> None:
        raise MemoryError

    house.store.add = house.store.get = breaks
    with pytest.raises(StorageError) as caught:
        await house.submit()
    assert caught.value.maybe_stored
    assert house.gate.jobs_scheduled == 1  # which will see


async def test_closing_hands_back_the_stored_job_and_cancels_no_caller(tmp_path: Path) -> None:
    vendor = FakeVendor("one", max_parallel_creates=1)
    async with house_of(tmp_path / "audio", vendor, store=MemoryJobStore()) as house:
        never = asyncio.Event()

        async def hang(_: HttpRequest) -> None:
            await never.wait()

        house.transport.on_send = hang
        asked = house.gate.read({"model": MODEL})
        callers = [asyncio.create_task(house.gate.submit(asked, wait_s=60)) for _ in range(2)]
        await until(lambda: house.context.create_queues["one"].waiting == 1)
        await house.gate.close()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(end, Job) and end.state is JobState.QUEUED for end in ends)
        (waiting,) = [
            job for job in await house.store.open_jobs("", 10) if job.attempts[-1].outcome == "planned"
        ]
        assert waiting.id in {end.id for end in ends if isinstance(end, Job)}


async def test_reservation_and_slot_are_given_back_whatever_breaks_between_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("musicgate.gateway.accept.new_job", break_down)
    with pytest.raises(TypeError):
        await house.submit()
    assert house.context.quota.open_jobs == 0
    assert house.context.create_queues["one"].running == 0


async def test_who_was_considered_is_told_as_it_was_then(house: House) -> None:
    key = IdempotencyKey(route="create", key="k", fingerprint="f")
    asked = house.gate.read({"model": MODEL, "meta": True})
    house.transport.script("one", {"id": "n-1"})
    first = await house.gate.submit(asked, idempotency=key)
    assert first.routing == {"candidates": ["one", "two"], "excluded": []}
    del house.context.providers["one"]  # type: ignore[attr-defined]  # today nobody would choose it
    again = await house.gate.submit(asked, idempotency=key)
    assert again.routing == first.routing


async def test_who_was_considered_is_kept_only_when_asked_for(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    assert (await house.submit()).routing is None


async def test_job_that_waits_for_its_slot_ends_by_its_deadline_and_costs_nothing(tmp_path: Path) -> None:
    vendor = FakeVendor("one", create_window=RateWindow(calls=1, per_s=9_000.0))
    async with house_of(tmp_path / "audio", vendor, store=MemoryJobStore()) as house:
        house.transport.script("one", {"id": "n-1"})
        await house.submit()
        house.clock.sleep = lambda _: asyncio.Event().wait()  # type: ignore[assignment,method-assign,return-value]
        job = await house.gate.submit(house.gate.read({"model": MODEL}), wait_s=0)
        assert job.attempts[-1].outcome == "planned"
        house.clock.pass_s((job.deadline_at - house.clock.steady()).total_seconds())
        assert await advance(house.context, job.id) is None
        ended = await house.stored(job)
        assert ended.failure is not None
        assert (ended.failure.reason.value, ended.failure.costs) == ("expired", False)
        assert len(house.transport.sent) == 1
