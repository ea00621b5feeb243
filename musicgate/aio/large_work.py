"""Run long computations off the event loop; knows nothing of the work."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

#: One thread only: with each computing thread the event loop waits up to 5 ms longer for the interpreter's
#: lock whenever it has something to do.
_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="musicgate-large")


async def offload(work: Callable[[], _T], *, is_large: bool) -> _T:
    """Run some pure work: at once if it is small, else on a thread, one after another."""
    if not is_large:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)
