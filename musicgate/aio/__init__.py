"""Pieces of asyncio that every room may use: clocks, blocking calls, work off the event loop.

It knows the event loop, and must not know jobs, HTTP or SQL. Start with `clock` (wall time and steady time);
`threads` runs blocking calls to their end, and `large_work` moves long computations off the event loop.
"""

from musicgate.aio.clock import Clock, SystemClock
from musicgate.aio.large_work import offload
from musicgate.aio.threads import run_to_end
from musicgate.aio.time_limits import TimeLimit, TimeLimits

__all__ = [
    "Clock",
    "SystemClock",
    "TimeLimit",
    "TimeLimits",
    "offload",
    "run_to_end",
]
