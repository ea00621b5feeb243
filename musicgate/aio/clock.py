"""The real time; it knows the system's clocks and the event loop's timer."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

#: Goes on while the machine sleeps, and is never set. Not every system has it.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Two clocks, and sleep. Values of the two must never be compared with each other; all are aware UTC."""

    def now(self) -> datetime:
        """Wall time: for dates that people see, for signatures, and for money per day. It may jump."""

    def steady(self) -> datetime:
        """Steady time: for deadlines, windows and pauses. It never jumps, and may differ from wall time."""

    async def sleep(self, delay_s: float) -> None:
        """Wait; a delay of zero or less only lets other tasks run."""


class SystemClock:
    """The two clocks of this machine: the wall clock, and a steady one that nobody sets.

    Signatures and the dates that people see need the wall clock, as it is now: a machine that booted with a wrong time is corrected while
    it runs. Deadlines, windows and pauses need the steady one: a job must not expire because somebody moved the wall clock by an hour.
    """

    def __init__(self) -> None:
        self._started = datetime.now(UTC)
        self._mark_s = time.clock_gettime(_STEADY)

    def now(self) -> datetime:
        """Wall time, aware UTC."""
        return datetime.now(UTC)

    def steady(self) -> datetime:
        """Steady time: the wall time at the start of this process, and how long that is ago."""
        return self._started + timedelta(seconds=time.clock_gettime(_STEADY) - self._mark_s)

    async def sleep(self, delay_s: float) -> None:
        """Wait; a delay of zero or less only lets others run."""
        await asyncio.sleep(delay_s)
