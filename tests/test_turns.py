import asyncio
from datetime import timedelta

import pytest

from musicgate.gateway.turns import Turn, Turns
from musicgate.model import RateWindow
from tests.fake_vendor import START, HandClock

TWO_IN_TEN = RateWindow(calls=2, per_s=10.0)


async def let_others_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def enter(turns: Turns) -> Turn:
    turn = turns.try_enter(START)
    assert turn is not None
    return turn


async def test_without_limits_nobody_waits() -> None:
    turns = Turns()
    assert None not in [turns.try_enter(START) for _ in range(100)]


async def test_calls_at_a_time() -> None:
    turns, clock = Turns(parallel=2), HandClock()
    first, _ = enter(turns), enter(turns)
    assert turns.try_enter(START) is None
    third = asyncio.create_task(turns.enter(clock))
    await let_others_run()
    assert (third.done(), turns.waiting) == (False, 1)
    first.leave(START)
    await third
    assert turns.waiting == 0
    assert turns.try_enter(START) is None


async def test_first_come_first_served() -> None:
    turns, clock, served = Turns(parallel=1), HandClock(), list[int]()
    first = enter(turns)

    async def call(number: int) -> None:
        turn = await turns.enter(clock)
        served.append(number)
        turn.leave(clock.now())

    calls = [asyncio.create_task(call(number)) for number in range(5)]
    await let_others_run()
    first.leave(START)
    # A turn is free, but somebody else is before us.
    assert turns.try_enter(START) is None
    await asyncio.gather(*calls)
    assert served == [0, 1, 2, 3, 4]


async def test_a_call_counts_until_the_window_after_its_end() -> None:
    turns, clock = Turns(window=TWO_IN_TEN), HandClock()
    turn = enter(turns)
    turn.call()
    clock.pass_s(3)
    turn.leave(clock.now())
    other = turns.try_enter(clock.now())
    assert other is not None
    other.call()
    other.leave(clock.now())
    clock.pass_s(7.5)  # 10.5 s after the first call began, 7.5 s after it ended
    assert turns.try_enter(clock.now()) is None
    await turns.enter(clock)
    assert clock.now() == START + timedelta(seconds=13)


async def test_running_calls_fill_the_window() -> None:
    turns, clock = Turns(window=TWO_IN_TEN), HandClock()
    first, _ = enter(turns), enter(turns)
    third = asyncio.create_task(turns.enter(clock))
    await let_others_run()
    assert not third.done()
    first.call()
    first.leave(clock.now())
    await third
    assert clock.now() == START + timedelta(seconds=10)


async def test_a_turn_that_was_not_used_does_not_count() -> None:
    turns = Turns(window=TWO_IN_TEN)
    for _ in range(5):
        turn = enter(turns)
        turn.leave(START)
        turn.leave(START)
    enter(turns)
    enter(turns)
    assert turns.try_enter(START) is None


async def test_who_gives_up_waiting_blocks_nobody() -> None:
    turns, clock = Turns(parallel=1), HandClock()
    first = enter(turns)
    head, second = (asyncio.create_task(turns.enter(clock)) for _ in range(2))
    await let_others_run()
    head.cancel()
    await let_others_run()
    assert turns.waiting == 1
    first.leave(START)
    await second


async def test_speed_divides_the_window() -> None:
    turns, clock = Turns(window=TWO_IN_TEN, speed=100.0), HandClock()
    for _ in range(2):
        turn = enter(turns)
        turn.call()
        turn.leave(START)
    await turns.enter(clock)
    assert clock.now() == START + timedelta(seconds=0.1)


async def test_a_queue_is_full_some_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicgate.gateway.turns.MAX_WAITING", 2)
    turns, clock = Turns(parallel=1), HandClock()
    enter(turns)
    waiting = []
    for is_full in (False, False, True):
        assert turns.is_full is is_full
        waiting.append(asyncio.create_task(turns.enter(clock)))
        await let_others_run()
    for task in waiting:
        task.cancel()
