"""Wall time, steady time and sleep; knows the system's clocks and the event loop's timer."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

#: Runs on while the machine is suspended, and is never set. Not every system has it.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Two clocks, and sleep. All times are aware UTC; times of the two must never be compared."""

    def now(self) -> datetime:
        """Wall time: for dates that people see, signatures, and daily spend. It may jump."""

    def steady(self) -> datetime:
        """Steady time: for deadlines, windows and pauses. It never jumps and may differ from wall time."""

    async def sleep(self, delay_s: float) -> None:
        """Wait; a delay of zero or less only lets other tasks run."""


class SystemClock:
    """The two clocks of this machine: the wall clock, and a steady one that is never set.

    Signatures and the dates that people see need the current wall clock: a machine that booted with a wrong
    time is corrected while it runs. Deadlines, windows and pauses need the steady one: a job must not expire
    because the wall clock was moved by an hour.
    """

    def __init__(self) -> None:
        #: Wall time at second 0 of the steady clock, as it was when this clock was made.
        self._began_s = time.time() - time.clock_gettime(_STEADY)

    def now(self) -> datetime:
        """Wall time, aware UTC."""
        return datetime.now(UTC)

    def steady(self) -> datetime:
        """Steady time: the wall time when this clock was created, plus the time since then."""
        return datetime.fromtimestamp(self._began_s + time.clock_gettime(_STEADY), UTC)

    async def sleep(self, delay_s: float) -> None:
        """Wait; a delay of zero or less only lets other tasks run."""
        await asyncio.sleep(delay_s)
