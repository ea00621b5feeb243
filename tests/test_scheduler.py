import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from musicgate.engine import scheduler as scheduling
from musicgate.engine.scheduler import Scheduler
from musicgate.errors import StorageError

Step = Callable[[str], Awaitable[float | None]]


@asynccontextmanager
async def running(step: Step, *, concurrency: int = 8, min_gap_s: float = 0.001) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(step, concurrency=concurrency, min_gap_s=min_gap_s)
    task = asyncio.create_task(scheduler.run())
    try:
        yield scheduler
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def emptied(scheduler: Scheduler) -> None:
    async with asyncio.timeout(5):
        while len(scheduler):  # noqa: ASYNC110 - a scheduler sends no signal
            await asyncio.sleep(0.001)


async def test_jobs_are_stepped_in_the_order_of_their_due_times() -> None:
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)

    async with running(step) as scheduler:
        for job_id, delay_s in (("c", 0.03), ("a", 0.0), ("b", 0.015)):
            scheduler.take(job_id, delay_s)
        assert len(scheduler) == 3
        await emptied(scheduler)
    assert seen == ["a", "b", "c"]


async def test_job_is_stepped_until_its_step_returns_none() -> None:
    pauses: list[float | None] = [0.002, 0.0, -5.0, None]

    async def step(_: str) -> float | None:
        return pauses.pop(0)

    async with running(step) as scheduler:
        scheduler.take("a", 0.0)
        await emptied(scheduler)
    assert pauses == []


async def test_earlier_step_replaces_a_later_one_and_not_the_other_way_round() -> None:
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)

    async with running(step) as scheduler:
        scheduler.take("a", 0.005)
        scheduler.take("a", 0.001)
        scheduler.take("a", 0.005)
        scheduler.take("b", 0.01)
        await emptied(scheduler)
    assert seen == ["a", "b"]


async def test_sleeping_scheduler_wakes_for_an_earlier_job() -> None:
    seen: list[str] = []
    looked = asyncio.Event()

    async def step(job_id: str) -> None:
        seen.append(job_id)
        looked.set()

    async with running(step) as scheduler:
        scheduler.take("late", 60.0)
        await asyncio.sleep(0.005)
        scheduler.take("early", 0.0)
        await asyncio.wait_for(looked.wait(), 5)
        assert (seen, len(scheduler)) == (["early"], 1)


async def test_wake_steps_now() -> None:
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)

    async with running(step) as scheduler:
        scheduler.take("a", 60.0)
        assert scheduler.wake("a")
        assert not scheduler.wake("not owned")
        await emptied(scheduler)
    assert seen == ["a"]


async def test_job_that_is_woken_during_a_step_is_stepped_once_more() -> None:
    inside, free = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    async def step(_: str) -> float | None:
        seen.append(len(seen))
        inside.set()
        await free.wait()
        return 60.0 if len(seen) == 1 else None

    async with running(step) as scheduler:
        scheduler.take("a", 0.0)
        await inside.wait()
        for _ in range(3):
            scheduler.wake("a")
        assert (len(seen), len(scheduler)) == (1, 1)
        free.set()
        await emptied(scheduler)
    assert seen == [0, 1]


async def test_job_that_falls_due_during_a_step_is_stepped_once_more() -> None:
    inside, free = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    async def step(_: str) -> float | None:
        seen.append(len(seen))
        inside.set()
        await free.wait()
        return 60.0 if len(seen) == 1 else None

    async with running(step) as scheduler:
        scheduler.take("a", 0.0)
        await inside.wait()
        scheduler.take("a", 0.0)
        await asyncio.sleep(0.005)
        free.set()
        await emptied(scheduler)
    assert seen == [0, 1]


async def test_woken_job_whose_step_returns_none_is_forgotten() -> None:
    inside, free = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)
        inside.set()
        await free.wait()

    async with running(step) as scheduler:
        scheduler.take("a", 0.0)
        await inside.wait()
        scheduler.wake("a")
        free.set()
        await emptied(scheduler)
    assert seen == ["a"]
    assert len(scheduler) == 0


async def test_one_job_is_never_stepped_twice_at_a_time() -> None:
    inside: dict[str, int] = {}
    most = 0

    async def step(job_id: str) -> float | None:
        nonlocal most
        inside[job_id] = inside.get(job_id, 0) + 1
        most = max(most, inside[job_id])
        await asyncio.sleep(0.002)
        inside[job_id] -= 1
        return None

    async with running(step) as scheduler:
        for _ in range(5):
            scheduler.take("a", 0.0)
            scheduler.wake("a")
            await asyncio.sleep(0.001)
        await emptied(scheduler)
    assert most == 1


async def test_only_so_many_steps_run_at_once() -> None:
    inside = most = 0

    async def step(_: str) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001)
        inside -= 1

    async with running(step, concurrency=3) as scheduler:
        for number in range(12):
            scheduler.take(f"job {number}", 0.0)
        await emptied(scheduler)
    assert most == 3


async def test_storm_of_wakes_costs_one_step_a_gap() -> None:
    seen = 0
    looked = asyncio.Event()

    async def step(_: str) -> float | None:
        nonlocal seen
        seen += 1
        looked.set()
        return 60.0

    async with running(step, min_gap_s=60.0) as scheduler:
        scheduler.take("a", 0.0)
        await asyncio.wait_for(looked.wait(), 5)
        for _ in range(20):
            scheduler.wake("a")
            await asyncio.sleep(0)
        await asyncio.sleep(0.005)
    assert seen == 1


async def test_step_that_raises_is_retried_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scheduling, "_AFTER_ERROR_S", (0.002,))
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)
        if job_id == "bad" and seen.count("bad") < 3:
            raise RuntimeError("broke")

    async with running(step) as scheduler:
        scheduler.take("bad", 0.0)
        scheduler.take("good", 0.0)
        await emptied(scheduler)
    assert (seen.count("bad"), seen.count("good")) == (3, 1)
    assert "step failed, retrying: job=bad" in caplog.text


async def test_a_store_that_is_away_is_logged_once_for_all_jobs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(scheduling, "_AFTER_ERROR_S", (0.002,))
    seen: list[str] = []

    async def step(job_id: str) -> None:
        seen.append(job_id)
        if seen.count(job_id) < 3:
            raise StorageError("PostgreSQL cannot be reached", is_away=True)

    async with running(step) as scheduler:
        for number in range(5):
            scheduler.take(f"job{number}", 0.0)
        await emptied(scheduler)
    assert len(seen) == 15
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]
    assert "PostgreSQL cannot be reached" in caplog.text


async def test_stopping_ends_the_steps_that_run() -> None:
    inside, ended = asyncio.Event(), asyncio.Event()

    async def step(_: str) -> None:
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running(step) as scheduler:
        scheduler.take("a", 0.0)
        await inside.wait()
    assert ended.is_set()


async def test_lane_whose_steps_hang_does_not_hold_up_another() -> None:
    seen: list[str] = []

    async def step(job_id: str) -> None:
        if job_id.startswith("hanging"):
            await asyncio.Event().wait()
        seen.append(job_id)

    async with running(step, concurrency=2) as scheduler:
        for number in range(5):
            scheduler.take(f"hanging {number}", 0.0, "slow")
        scheduler.take("a", 0.001, "quick")
        scheduler.take("b", 0.002, "quick")
        async with asyncio.timeout(5):
            while len(seen) < 2:  # noqa: ASYNC110 - a scheduler sends no signal
                await asyncio.sleep(0.001)
        assert len(scheduler) == 5
        assert scheduler._lanes["slow"].running == 2
    assert seen == ["a", "b"]


async def test_jobs_that_wait_for_their_lane_are_stepped_in_order_and_once() -> None:
    seen: list[str] = []
    go = asyncio.Event()

    async def step(job_id: str) -> None:
        await go.wait()
        seen.append(job_id)

    async with running(step, concurrency=1) as scheduler:
        for job_id in ("a", "b", "c"):
            scheduler.take(job_id, 0.0, "one")
        async with asyncio.timeout(5):
            while len(scheduler._lanes["one"].waiting) < 2:  # noqa: ASYNC110 - a lane sends no signal
                await asyncio.sleep(0.001)
        scheduler.wake("b")
        scheduler.take("c", 0.0)
        go.set()
        await emptied(scheduler)
    assert seen == ["a", "b", "c"]


async def test_job_that_is_handed_over_while_its_last_step_runs_stays() -> None:
    inside, free, seen = asyncio.Event(), asyncio.Event(), list[str]()

    async def step(job_id: str) -> None:
        seen.append(job_id)
        inside.set()
        await free.wait()

    async with running(step) as scheduler:
        scheduler.take("a", 0.0)
        await inside.wait()
        scheduler.take("a", 0.0)
        free.set()
        await emptied(scheduler)
    assert seen == ["a", "a"]


async def test_many_callbacks_for_jobs_of_a_busy_lane_break_nothing() -> None:
    """A callback names no provider; the job of it keeps its lane, and is stepped once at a time."""
    at_once, most = 0, 0
    seen: list[str] = []

    async def step(job_id: str) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1
        seen.append(job_id)

    ids = [f"job {number}" for number in range(200)]
    async with running(step, concurrency=4) as scheduler:
        for job_id in ids:
            scheduler.take(job_id, 0.0, "one")
        await asyncio.sleep(0.002)
        for job_id in ids:
            scheduler.wake(job_id)
            scheduler.take(job_id, 0.0, "one")
        await emptied(scheduler)
        assert all(lane.running == 0 and not lane.waiting for lane in scheduler._lanes.values())
    assert set(seen) == set(ids)
    assert most == 4


async def test_step_with_a_stray_cancellation_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "_AFTER_ERROR_S", (0.002,))
    seen = 0

    async def step(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            raise asyncio.CancelledError

    async with running(step) as scheduler:
        scheduler.take("a", 0.0)
        await emptied(scheduler)
    assert (seen, scheduler.failures) == (2, 1)


async def test_scheduler_that_is_started_again_goes_on_with_what_was_due() -> None:
    seen: list[str] = []
    inside = asyncio.Event()

    async def step(job_id: str) -> None:
        if not inside.is_set():
            inside.set()
            await asyncio.Event().wait()
        seen.append(job_id)

    scheduler = Scheduler(step, concurrency=1, min_gap_s=0.001)
    for job_id in ("a", "b"):
        scheduler.take(job_id, 0.0)
    first = asyncio.create_task(scheduler.run())
    await inside.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert len(scheduler) == 2
    again = asyncio.create_task(scheduler.run())
    await emptied(scheduler)
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert sorted(seen) == ["a", "b"]


async def test_worker_steps_what_waits_without_a_task_for_each() -> None:
    tasks = set[object]()

    async def step(_: str) -> None:
        tasks.add(asyncio.current_task())
        await asyncio.sleep(0)

    async with running(step, concurrency=2) as scheduler:
        for number in range(50):
            scheduler.take(f"job {number}", 0.0, "one")
        await emptied(scheduler)
    assert len(tasks) == 2


async def test_steps_that_never_wait_let_others_run() -> None:
    stepped = others = 0

    async def step(_: str) -> None:
        nonlocal stepped
        stepped += 1

    async with running(step, concurrency=1) as scheduler:
        for number in range(200):
            scheduler.take(f"job {number}", 0.0, "one")
        while stepped < 200:
            await asyncio.sleep(0)
            others += 1
    assert others >= 200


async def test_flood_of_due_jobs_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "_MAX_STARTS", 10)
    seen: list[str] = []
    inside = asyncio.Event()

    async def step(job_id: str) -> None:
        seen.append(job_id)
        inside.set()

    scheduler = Scheduler(step, concurrency=4, min_gap_s=0.001)
    for number in range(100):
        scheduler.take(f"job {number:02}", 0.0, "one")
    task = asyncio.create_task(scheduler.run())
    await inside.wait()
    assert scheduler._heap
    await emptied(scheduler)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sorted(seen) == sorted(f"job {number:02}" for number in range(100))


@pytest.mark.parametrize("is_begun", [True, False])
async def test_job_of_a_worker_that_somebody_cancels_is_stepped_again(
    monkeypatch: pytest.MonkeyPatch, *, is_begun: bool
) -> None:
    monkeypatch.setattr(scheduling, "_AFTER_ERROR_S", (0.002,))
    inside, seen = asyncio.Event(), list[str]()

    async def step(job_id: str) -> None:
        seen.append(job_id)
        if len(seen) == 1 and is_begun:
            inside.set()
            await asyncio.Event().wait()

    async with running(step, concurrency=1) as scheduler:
        for job_id in ("a", "b"):
            scheduler.take(job_id, 0.0, "one")
        while not scheduler._workers:  # noqa: ASYNC110 - a scheduler sends no signal
            await asyncio.sleep(0)
        if is_begun:
            await inside.wait()
        next(iter(scheduler._workers)).cancel()
        await emptied(scheduler)
        assert all(lane.running == 0 and not lane.waiting for lane in scheduler._lanes.values())
    assert seen == (["a", "b", "a"] if is_begun else ["b", "a"])


async def test_jobs_due_at_nearly_the_same_time_are_started_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "_TICK_S", 0.05)
    sleeps = 0
    sleep = Scheduler._sleep

    async def counted(self: Scheduler, loop: asyncio.AbstractEventLoop) -> None:
        nonlocal sleeps
        sleeps += 1
        await sleep(self, loop)

    async def step(_: str) -> None:
        pass

    monkeypatch.setattr(Scheduler, "_sleep", counted)
    async with running(step) as scheduler:
        for number in range(20):
            scheduler.take(f"job {number}", 0.001 * number)
        await emptied(scheduler)
    assert sleeps <= 4


async def test_dropped_jobs_are_not_stepped_any_more() -> None:
    seen: list[str] = []
    going_on = asyncio.Event()

    async def step(job_id: str) -> float | None:
        seen.append(job_id)
        await going_on.wait()
        return 0.0

    async with running(step, concurrency=1) as scheduler:
        for job_id in ("runs", "waits", "later"):
            scheduler.take(job_id, 60.0 if job_id == "later" else 0.0)
        while not seen:  # noqa: ASYNC110 - a scheduler sends no signal
            await asyncio.sleep(0.001)
        assert sorted(scheduler.drop(lambda _: True)) == ["later", "runs", "waits"]
        assert "runs" not in scheduler
        going_on.set()
        await emptied(scheduler)
    assert seen == ["runs"]


async def test_a_job_that_was_dropped_and_taken_again_while_its_step_ran_stays() -> None:
    steps: list[float | None] = [0.0, None]
    going_on = asyncio.Event()

    async def step(_: str) -> float | None:
        await going_on.wait()
        return steps.pop(0)

    async with running(step) as scheduler:
        scheduler.take("a", 0.0)
        await asyncio.sleep(0.01)
        scheduler.drop(lambda _: True)
        scheduler.take("a", 0.0)
        assert "a" in scheduler
        going_on.set()
        await emptied(scheduler)
    assert steps == []
