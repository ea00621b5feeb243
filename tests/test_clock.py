"""The machine's clock as the gateway sees it."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from musicgate.adapters import clock
from musicgate.adapters.clock import SystemClock


def test_it_tells_the_time() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_it_goes_on_with_the_steady_clock_and_not_with_the_one_that_people_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steady_s = 100.0
    monkeypatch.setattr(time, "clock_gettime", lambda _: steady_s)
    ours = SystemClock()
    started = ours.now()

    set_back = SimpleNamespace(now=lambda _: datetime(2001, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(clock, "datetime", set_back)
    steady_s = 107.5
    assert ours.now() - started == timedelta(seconds=7.5)


async def test_sleeping_lets_others_run() -> None:
    before = time.monotonic()
    await SystemClock().sleep(0.01)
    assert time.monotonic() > before
