"""Pieces of asyncio and the system that every room may use: clocks, ids, blocking calls, large work.

It knows the event loop, and must not know jobs, HTTP or SQL. Start with `clock` (wall time and steady time);
`ids` makes ids, `threads` runs blocking calls to their end, and `large_work` moves long computations off the
event loop.
"""

from musicgate.aio.clock import Clock, SystemClock
from musicgate.aio.ids import new_id, new_token
from musicgate.aio.large_work import offload
from musicgate.aio.threads import run_to_end, wait_to_end
from musicgate.aio.time_limits import TimeLimit, TimeLimits

__all__ = [
    "Clock",
    "SystemClock",
    "TimeLimit",
    "TimeLimits",
    "new_id",
    "new_token",
    "offload",
    "run_to_end",
    "wait_to_end",
]
