import asyncio
import socket
import time
import weakref

import pytest

from musicgate.aio import TimeLimits, time_limits


async def limited(limits: TimeLimits, limit_s: float, work_s: float) -> str:
    with limits.of(limit_s) as limit:
        limit.start()
        await asyncio.sleep(work_s)
        return "done"


async def test_block_that_ends_in_time_is_left_alone() -> None:
    limits = TimeLimits()
    assert await limited(limits, 0.02, 0.0) == "done"
    await asyncio.sleep(0.04)  # its timer rings all the same


async def test_block_that_lasts_too_long_is_a_time_out_and_its_task_goes_on() -> None:
    with pytest.raises(TimeoutError):
        await limited(TimeLimits(), 0.02, 5.0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_limit_that_was_left_keeps_no_task_in_memory() -> None:
    limits, left = TimeLimits(), []

    async def work() -> None:
        with limits.of(5.0) as limit:
            limit.start()
        left.append(limit)

    task = asyncio.create_task(work())
    found = weakref.ref(task)
    await task
    del task
    await asyncio.sleep(0)
    assert left
    assert found() is None


async def test_each_of_many_limits_ends_in_its_own_time() -> None:
    limits = TimeLimits()
    loop = asyncio.get_running_loop()

    async def one(wait_s: float, work_s: float) -> tuple[float, bool]:
        await asyncio.sleep(wait_s)
        began = loop.time()
        try:
            await limited(limits, 0.05, work_s)
        except TimeoutError:
            return loop.time() - began, True
        return loop.time() - began, False

    waits = [(0.01 * number, 0.0 if number % 2 else 5.0) for number in range(10)]
    for (_, work_s), (lasted_s, is_late) in zip(
        waits, await asyncio.gather(*(one(*wait) for wait in waits)), strict=True
    ):
        assert is_late is (work_s > 0)
        assert not is_late or lasted_s >= 0.05


async def test_time_runs_from_the_start_only() -> None:
    limits = TimeLimits()
    with limits.of(0.01) as limit:
        await asyncio.sleep(0.03)
        limit.start()
    await asyncio.sleep(0.02)


async def test_cancellation_by_another_stays_one() -> None:
    task = asyncio.create_task(limited(TimeLimits(), 5.0, 5.0))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancellation_by_another_wins_over_a_time_out_at_the_same_moment() -> None:
    limits = TimeLimits()
    task = asyncio.create_task(limited(limits, 0.01, 5.0))
    await asyncio.sleep(0)
    (running,) = limits._groups[0.01].running
    running.end()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_error_of_a_block_whose_time_is_over_passes() -> None:
    limits = TimeLimits()

    async def broken() -> None:
        with limits.of(0.01) as limit:
            limit.start()
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                raise ValueError("its own") from None

    with pytest.raises(ValueError, match="its own"):
        await broken()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_limits_of_one_length_share_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), 0
    call_at = loop.call_at

    def counted(*arguments: object) -> object:
        nonlocal timers
        timers += 1
        return call_at(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_at", counted)
    limits = TimeLimits()
    for _ in range(100):
        with limits.of(30.0) as limit:
            limit.start()
    assert timers == 1


async def test_lengths_that_nothing_waits_for_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "_MAX_GROUPS", 3)
    limits = TimeLimits()
    with limits.of(30.0) as limit:
        limit.start()
        for number in range(10):
            limits.of(1.0 + number)
        assert 30.0 in limits._groups
        assert len(limits._groups) <= 3


async def test_wait_ends_with_its_future_or_with_its_time() -> None:
    limits, loop = TimeLimits(), asyncio.get_running_loop()
    soon, never = loop.create_future(), loop.create_future()
    loop.call_later(0.01, soon.set_result, None)
    began = loop.time()
    await limits.wait(soon, 5.0)
    assert loop.time() - began < 1.0
    await limits.wait(never, 0.02)
    assert never.done()
    assert loop.time() - began >= 0.03


async def test_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    limits = TimeLimits()
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(limits.wait(future, 0.02))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not limits._group(0.02).running
    await asyncio.sleep(0.04)  # its timer rings all the same


async def test_answer_that_came_while_the_loop_was_held_up_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "_STALLED_S", 0.05)
    limits = TimeLimits()
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)

    async def read() -> bytes:
        with limits.of(0.02) as limit:
            limit.start()
            return await reader.readexactly(6)

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    there.send(b"answer")
    time.sleep(0.1)  # noqa: ASYNC251 - as a process that is stopped
    assert await task == b"answer"
    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251 - the same, and no answer comes
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(task, 1.0)
    there.close()
    writer.close()
