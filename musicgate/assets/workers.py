"""Run audio work on a few threads of its own.

FFmpeg decodes and encodes without the interpreter's lock, so the event loop answers meanwhile. A thread
cannot be stopped: a cancelled caller waits until its call has ended (each has a time limit of its own), so
that no file is removed while it is read; a call that has not begun is dropped. Memory is bounded by the
number of threads: some 10 MB each.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from musicgate.aio import wait_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

#: More would take memory and cores from everything else.
MOST_WORKERS: Final = 4


def usual_workers() -> int:
    """As many as there are cores for this process, at most `MOST_WORKERS`."""
    with contextlib.suppress(AttributeError):  # Linux only
        return min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    return min(os.cpu_count() or 1, MOST_WORKERS)


class AudioWorkers:
    """Threads for `measure`, `convert` and pictures.

    Args:
        workers: how many calls run at the same time; the others wait in the order in which they came.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._threads = ThreadPoolExecutor(workers or usual_workers(), thread_name_prefix="audio")

    async def run(
        self, function: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> _Result:
        """Run a blocking call on one of the threads.

        A cancelled caller returns at once if the call has not begun, else when it has ended.

        Raises:
            asyncio.CancelledError: the caller was cancelled, and the result is dropped; or the workers were
                closed before the call began.
            RuntimeError: the workers are closed.
        """
        call = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
        on_thread = self._threads.submit(call)
        return await wait_to_end(asyncio.wrap_future(on_thread), drop=on_thread.cancel)

    def close(self) -> None:
        """Take no more calls, and drop those that have not begun. It does not wait."""
        self._threads.shutdown(wait=False, cancel_futures=True)
