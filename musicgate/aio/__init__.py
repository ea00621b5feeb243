"""The pieces of asyncio that every room may use: two clocks, threads that are waited for, work off the event loop.

It knows the event loop, and must not know jobs, HTTP or SQL. Start with `clock`.
"""

from musicgate.aio.clock import (
    Clock,
    SystemClock,
)
from musicgate.aio.large_work import (
    offload,
)
from musicgate.aio.threads import (
    run_to_end,
)

__all__ = [
    "Clock",
    "SystemClock",
    "offload",
    "run_to_end",
]
