"""The machine's clock as the gateway sees it."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from musicgate.aio import clock
from musicgate.aio.clock import SystemClock


def test_it_tells_the_time() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_setting_the_machines_time_moves_the_wall_clock_and_not_the_steady_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steady_s = 100.0
    monkeypatch.setattr(time, "clock_gettime", lambda _: steady_s)
    ours = SystemClock()
    started = ours.steady()

    set_back = SimpleNamespace(now=lambda _: datetime(2001, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(clock, "datetime", set_back)
    steady_s = 107.5
    assert ours.steady() - started == timedelta(seconds=7.5)
    assert ours.now() == datetime(2001, 1, 1, tzinfo=UTC)


async def test_sleeping_lets_others_run() -> None:
    before = time.monotonic()
    await SystemClock().sleep(0.01)
    assert time.monotonic() > before
