"""The real time; it knows the system's clocks and the event loop's timer."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

#: Goes on while the machine sleeps, and is never set. Not every system has it.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The clock of this machine, as it stood when this was made, and how long that is ago.

    Somebody who sets the machine's clock moves no deadline: a job must not expire because of a correction by an hour. The price is that a
    process which was started with a wrong clock keeps it until it is started again.
    """

    def __init__(self) -> None:
        """Look at both clocks once."""
        self._started = datetime.now(UTC)
        self._mark_s = time.clock_gettime(_STEADY)

    def now(self) -> datetime:
        """Aware UTC time."""
        return self._started + timedelta(seconds=time.clock_gettime(_STEADY) - self._mark_s)

    async def sleep(self, delay_s: float) -> None:
        """Wait; a delay of zero or less only lets others run."""
        await asyncio.sleep(delay_s)
