"""Work that grows with what others send us, off the event loop where it is large; it knows nothing of the work."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

#: One thread only: each thread that computes makes the event loop wait 5 ms for the interpreter's lock, whenever it wants to go on.
_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="musicgate-large")


async def offload(work: Callable[[], _T], *, is_large: bool) -> _T:
    """Do some pure work: at once where it is small, else on a thread, one after another."""
    if not is_large:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)
