"""Run blocking calls on threads; a cancelled caller waits until the thread has finished."""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


async def run_to_end(
    function: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Result:
    """Run a call on a thread, and return only when the thread has finished, also on cancellation.

    A thread cannot be stopped. `asyncio.to_thread` leaves a cancelled call running: its caller then closes a
    descriptor that the thread is about to use, the number is reused for the next file that is opened, and the
    thread writes into that one (sqlite.org/howtocorrupt.html, section 2.1).

    Raises:
        asyncio.CancelledError: the caller was cancelled meanwhile; the thread has finished.
    """
    context = contextvars.copy_context()
    call = functools.partial(context.run, function, *args, **kwargs)
    return await wait_to_end(asyncio.get_running_loop().run_in_executor(None, call))


async def wait_to_end(
    running: asyncio.Future[_Result], *, drop: Callable[[], bool] = lambda: False
) -> _Result:
    """Wait for a call on a thread until the thread has finished, also on cancellation.

    Args:
        running: the call.
        drop: drops a call that has not begun, and answers whether it did: then a cancelled caller need not
            wait.

    Raises:
        asyncio.CancelledError: the caller was cancelled meanwhile; the thread has finished.
    """
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            if drop():
                raise
            cancelled = cancelled or error
    if cancelled is None:
        return running.result()
    if not running.cancelled():
        running.exception()  # retrieved, so that asyncio does not log it: the cancellation wins
    raise cancelled
