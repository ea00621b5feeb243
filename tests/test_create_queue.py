"""The create queue: concurrency, window and order of calls, and no slot is ever lost."""

import asyncio
from datetime import timedelta

import pytest

from musicgate.engine.create_queue import CreateQueue, Slot
from musicgate.errors import GatewayClosedError
from musicgate.model import RateWindow
from tests.fake_vendor import START, HandClock

TWO_IN_TEN = RateWindow(calls=2, per_s=10.0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def let_others_run() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def taken(queue: CreateQueue) -> Slot:
    slot = queue.try_slot()
    assert slot is not None
    return slot


async def test_without_limits_no_call_waits(clock: HandClock) -> None:
    queue = CreateQueue(clock)
    assert None not in [queue.try_slot() for _ in range(100)]


async def test_only_so_many_calls_run_at_a_time(clock: HandClock) -> None:
    queue = CreateQueue(clock, parallel=2)
    first, _ = taken(queue), taken(queue)
    assert queue.try_slot() is None
    third = asyncio.create_task(queue.slot())
    await let_others_run()
    assert (third.done(), queue.waiting) == (False, 1)
    first.release()
    await third
    assert queue.waiting == 0
    assert queue.try_slot() is None


async def test_first_come_first_served(clock: HandClock) -> None:
    queue, served = CreateQueue(clock, parallel=1), list[int]()
    first = taken(queue)

    async def call(number: int) -> None:
        with await queue.slot():
            served.append(number)

    calls = [asyncio.create_task(call(number)) for number in range(5)]
    await let_others_run()
    first.release()
    # A slot is free, but others came first.
    assert queue.try_slot() is None
    await asyncio.gather(*calls)
    assert served == [0, 1, 2, 3, 4]


async def test_a_call_counts_until_the_window_after_its_end(clock: HandClock) -> None:
    queue = CreateQueue(clock, window=TWO_IN_TEN)
    slot = taken(queue)
    slot.call()
    clock.pass_s(3)
    slot.release()
    other = taken(queue)
    other.call()
    other.release()
    clock.pass_s(7.5)  # 10.5 s after the first call began, 7.5 s after it ended
    assert queue.try_slot() is None
    await queue.slot()
    assert clock.steady() == START + timedelta(seconds=13)


async def test_running_calls_fill_the_window(clock: HandClock) -> None:
    queue = CreateQueue(clock, window=TWO_IN_TEN)
    first, _ = taken(queue), taken(queue)
    third = asyncio.create_task(queue.slot())
    await let_others_run()
    assert not third.done()
    first.call()
    first.release()
    await third
    assert clock.steady() == START + timedelta(seconds=10)


async def test_a_slot_that_was_not_used_does_not_count(clock: HandClock) -> None:
    queue = CreateQueue(clock, window=TWO_IN_TEN)
    for _ in range(5):
        with taken(queue) as slot:
            slot.release()  # a second time, at the end of the block, it does nothing
    assert queue.running == 0
    taken(queue)
    taken(queue)
    assert queue.try_slot() is None


async def test_a_call_that_stops_waiting_blocks_no_other(clock: HandClock) -> None:
    queue = CreateQueue(clock, parallel=1)
    first = taken(queue)
    head, second = (asyncio.create_task(queue.slot()) for _ in range(2))
    await let_others_run()
    head.cancel()
    await let_others_run()
    assert queue.waiting == 1
    first.release()
    await second


async def test_a_call_that_gives_up_just_when_a_slot_is_free_leaves_it_free(clock: HandClock) -> None:
    queue = CreateQueue(clock, parallel=1)
    first = taken(queue)
    waiting = asyncio.create_task(queue.slot())
    await let_others_run()
    first.release()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (queue.running, queue.waiting) == (0, 0)


async def test_closing_ends_every_wait_and_cancels_no_task(clock: HandClock) -> None:
    asleep = asyncio.Event()

    async def sleep(delay_s: float) -> None:
        await asleep.wait()

    clock.sleep = sleep  # type: ignore[method-assign]  # the clock does not move
    narrow, windowed = CreateQueue(clock, parallel=1), CreateQueue(clock, window=TWO_IN_TEN)
    taken(narrow)
    for _ in range(2):
        with taken(windowed) as slot:
            slot.call()
    waiting = [
        asyncio.create_task(work)
        for work in (narrow.slot(), narrow.slot(), windowed.slot(), windowed.slot(), windowed.pause(60))
    ]
    await let_others_run()
    narrow.close()
    windowed.close()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [GatewayClosedError] * 5
    with pytest.raises(GatewayClosedError):
        await narrow.slot()


async def test_a_clock_that_fails_costs_no_slot(clock: HandClock, caplog: pytest.LogCaptureFixture) -> None:
    queue = CreateQueue(clock, parallel=1, window=TWO_IN_TEN)
    slot = taken(queue)
    slot.call()

    def fail() -> None:
        raise OSError

    clock.steady = fail  # type: ignore[assignment,method-assign]
    slot.release()
    assert queue.running == 0
    assert "the clock failed" in caplog.text


async def test_speed_divides_the_window(clock: HandClock) -> None:
    queue = CreateQueue(clock, window=TWO_IN_TEN, speed=100.0)
    for _ in range(2):
        with taken(queue) as slot:
            slot.call()
    await queue.slot()
    assert clock.steady() == START + timedelta(seconds=0.1)


async def test_a_full_queue_is_full(clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicgate.engine.create_queue.MAX_WAITING", 2)
    queue = CreateQueue(clock, parallel=1)
    taken(queue)
    waiting = []
    for is_full in (False, False, True):
        assert queue.is_full is is_full
        waiting.append(asyncio.create_task(queue.slot()))
        await let_others_run()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
