"""The system clock: wall time, steady time and sleep."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from musicgate.aio import clock
from musicgate.aio.clock import SystemClock


def test_now_is_the_current_time() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_setting_the_system_time_moves_wall_time_but_not_steady_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steady_s = 100.0
    monkeypatch.setattr(time, "clock_gettime", lambda _: steady_s)
    system = SystemClock()
    started = system.steady()

    set_back = SimpleNamespace(
        now=lambda _: datetime(2001, 1, 1, tzinfo=UTC), fromtimestamp=datetime.fromtimestamp
    )
    monkeypatch.setattr(clock, "datetime", set_back)
    steady_s = 107.5
    assert system.steady() - started == timedelta(seconds=7.5)
    assert system.now() == datetime(2001, 1, 1, tzinfo=UTC)


async def test_sleep_waits() -> None:
    before = time.monotonic()
    await SystemClock().sleep(0.02)
    assert time.monotonic() - before >= 0.01
