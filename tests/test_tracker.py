import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from musicgate.gateway import tracker as tracking
from musicgate.gateway.tracker import Tracker

Step = Callable[[str], Awaitable[float | None]]


@asynccontextmanager
async def running(step: Step, *, concurrency: int = 8, min_gap_s: float = 0.001) -> AsyncIterator[Tracker]:
    tracker = Tracker(step, concurrency=concurrency, min_gap_s=min_gap_s)
    task = asyncio.create_task(tracker.run())
    try:
        yield tracker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def emptied(tracker: Tracker) -> None:
    async with asyncio.timeout(5):
        while len(tracker):  # noqa: ASYNC110 - a tracker tells nobody that it is empty
            await asyncio.sleep(0.001)


async def test_jobs_are_looked_at_in_the_order_of_their_due_times() -> None:
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)

    async with running(step) as tracker:
        for job_id, delay_s in (("c", 0.03), ("a", 0.0), ("b", 0.015)):
            tracker.watch(job_id, delay_s)
        assert len(tracker) == 3
        await emptied(tracker)
    assert seen == ["a", "b", "c"]


async def test_job_is_looked_at_until_it_says_that_it_is_over() -> None:
    pauses: list[float | None] = [0.002, 0.0, -5.0, None]

    async def step(_: str) -> float | None:
        return pauses.pop(0)

    async with running(step) as tracker:
        tracker.watch("a", 0.0)
        await emptied(tracker)
        assert tracker._looked_at == {}
    assert pauses == []


async def test_earlier_look_replaces_a_later_one_and_not_the_other_way_round() -> None:
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)

    async with running(step) as tracker:
        tracker.watch("a", 0.005)
        tracker.watch("a", 0.001)
        tracker.watch("a", 0.005)
        tracker.watch("b", 0.01)
        await emptied(tracker)
    assert seen == ["a", "b"]


async def test_sleeping_tracker_hears_of_an_earlier_job() -> None:
    seen: list[str] = []
    looked = asyncio.Event()

    async def step(job_id: str) -> None:
        seen.append(job_id)
        looked.set()

    async with running(step) as tracker:
        tracker.watch("late", 60.0)
        await asyncio.sleep(0.005)
        tracker.watch("early", 0.0)
        await asyncio.wait_for(looked.wait(), 5)
        assert (seen, len(tracker)) == (["early"], 1)


async def test_wake_looks_now() -> None:
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)

    async with running(step) as tracker:
        tracker.watch("a", 60.0)
        tracker.wake("a")
        tracker.wake("never watched")
        await emptied(tracker)
    assert sorted(seen) == ["a", "never watched"]


async def test_job_that_is_woken_during_a_look_is_looked_at_once_more() -> None:
    inside, free = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    async def step(_: str) -> float | None:
        seen.append(len(seen))
        inside.set()
        await free.wait()
        return 60.0 if len(seen) == 1 else None

    async with running(step) as tracker:
        tracker.watch("a", 0.0)
        await inside.wait()
        for _ in range(3):
            tracker.wake("a")
        assert (len(seen), len(tracker)) == (1, 1)
        free.set()
        await emptied(tracker)
    assert seen == [0, 1]


async def test_job_that_falls_due_during_a_look_is_looked_at_once_more() -> None:
    inside, free = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    async def step(_: str) -> float | None:
        seen.append(len(seen))
        inside.set()
        await free.wait()
        return 60.0 if len(seen) == 1 else None

    async with running(step) as tracker:
        tracker.watch("a", 0.0)
        await inside.wait()
        tracker.watch("a", 0.0)
        await asyncio.sleep(0.005)
        free.set()
        await emptied(tracker)
    assert seen == [0, 1]


async def test_woken_job_that_is_over_stays_over() -> None:
    inside, free = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)
        inside.set()
        await free.wait()

    async with running(step) as tracker:
        tracker.watch("a", 0.0)
        await inside.wait()
        tracker.wake("a")
        free.set()
        await emptied(tracker)
    assert seen == ["a"]
    assert tracker._looked_at == {}


async def test_one_job_is_never_looked_at_twice_at_a_time() -> None:
    inside: dict[str, int] = {}
    most = 0

    async def step(job_id: str) -> float | None:
        nonlocal most
        inside[job_id] = inside.get(job_id, 0) + 1
        most = max(most, inside[job_id])
        await asyncio.sleep(0.002)
        inside[job_id] -= 1
        return None

    async with running(step) as tracker:
        for _ in range(5):
            tracker.watch("a", 0.0)
            tracker.wake("a")
            await asyncio.sleep(0.001)
        await emptied(tracker)
    assert most == 1


async def test_only_so_many_looks_run_at_once() -> None:
    inside = most = 0

    async def step(_: str) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001)
        inside -= 1

    async with running(step, concurrency=3) as tracker:
        for number in range(12):
            tracker.watch(f"job {number}", 0.0)
        await emptied(tracker)
    assert most == 3


async def test_storm_of_wakes_costs_one_look_a_gap() -> None:
    seen = 0
    looked = asyncio.Event()

    async def step(_: str) -> float | None:
        nonlocal seen
        seen += 1
        looked.set()
        return 60.0

    async with running(step, min_gap_s=60.0) as tracker:
        tracker.wake("a")
        await asyncio.wait_for(looked.wait(), 5)
        for _ in range(20):
            tracker.wake("a")
            await asyncio.sleep(0)
        await asyncio.sleep(0.005)
    assert seen == 1


async def test_look_that_breaks_is_tried_again_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracking, "_AFTER_ERROR_S", 0.002)
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)
        if job_id == "bad" and seen.count("bad") < 3:
            raise RuntimeError("broke")

    async with running(step) as tracker:
        tracker.watch("bad", 0.0)
        tracker.watch("good", 0.0)
        await emptied(tracker)
    assert (seen.count("bad"), seen.count("good")) == (3, 1)
    assert "job bad: a look failed" in caplog.text


async def test_stopping_ends_the_looks_that_run() -> None:
    inside, ended = asyncio.Event(), asyncio.Event()

    async def step(_: str) -> None:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running(step) as tracker:
        tracker.watch("a", 0.0)
        await inside.wait()
    assert ended.is_set()


async def test_lane_whose_looks_hang_does_not_hold_up_another() -> None:
    seen: list[str] = []

    async def step(job_id: str) -> None:
        if job_id.startswith("hanging"):
            await asyncio.Event().wait()
        seen.append(job_id)

    async with running(step, concurrency=2) as tracker:
        for number in range(5):
            tracker.watch(f"hanging {number}", 0.0, "slow")
        tracker.watch("a", 0.001, "quick")
        tracker.watch("b", 0.002, "quick")
        async with asyncio.timeout(5):
            while len(seen) < 2:  # noqa: ASYNC110 - a tracker tells nobody what it has done
                await asyncio.sleep(0.001)
        assert len(tracker) == 5
        assert len(tracker._running) == 2
    assert seen == ["a", "b"]


async def test_jobs_that_wait_for_their_lane_are_looked_at_in_turn_and_once() -> None:
    seen: list[str] = []
    go = asyncio.Event()

    async def step(job_id: str) -> None:
        await go.wait()
        seen.append(job_id)

    async with running(step, concurrency=1) as tracker:
        for job_id in ("a", "b", "c"):
            tracker.watch(job_id, 0.0, "one")
        async with asyncio.timeout(5):
            while len(tracker._lanes["one"].waiting) < 2:  # noqa: ASYNC110 - a tracker tells nobody who waits
                await asyncio.sleep(0.001)
        tracker.wake("b")
        tracker.watch("c", 0.0)
        go.set()
        await emptied(tracker)
    assert seen == ["a", "b", "c"]
