"""Time-outs that share their timers; knows the event loop, and nothing of the work.

`asyncio.timeout` makes a timer of the event loop and cancels it again, which costs 13 us on uvloop: a sixth
of a whole request. Nearly all time-outs of a gateway have one of a few lengths, and nearly none is reached.
Those of one length end in the order in which they began, so one timer, for the oldest of them, is enough.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


#: A timer that rings so late was held up: the process was stopped, or its loop blocked.
_STALLED_S = 1.0
#: Lengths that nothing waits for any more are forgotten beyond so many.
_MAX_GROUPS = 256


class TimeLimits:
    """Makes time limits for the tasks of one event loop. There should be few different lengths."""

    def __init__(self) -> None:
        self._groups: dict[float, _Group] = {}

    def of(self, limit_s: float) -> TimeLimit:
        """Make a time limit of so many seconds; use it as a context manager, and `TimeLimit.start` it."""
        return TimeLimit(self._group(limit_s))

    async def wait(self, future: asyncio.Future[None], limit_s: float) -> None:
        """Wait until a future is done; when the time is over, it is done, too."""
        group, waiter = self._group(limit_s), _Waiter(future)
        group.start(waiter)
        try:
            await future
        finally:
            group.running.pop(waiter, None)

    def _group(self, limit_s: float) -> _Group:
        group = self._groups.get(limit_s)
        if group is None:
            if len(self._groups) >= _MAX_GROUPS:
                self._groups = {length: one for length, one in self._groups.items() if one.running}
            group = self._groups[limit_s] = _Group(limit_s)
        return group


class _Waiter:
    """A future that is done at the end of its time at the latest."""

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[None]) -> None:
        self._future = future

    def end(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class TimeLimit:
    """Cancels the block inside it some seconds after `start`, and turns that into a `TimeoutError`.

    The rules are those of `asyncio.timeout`: another cancellation stays one.
    """

    __slots__ = ("_cancelling", "_group", "_is_over", "_task")

    def __init__(self, group: _Group) -> None:
        self._group = group
        self._is_over = False

    def __enter__(self) -> Self:
        """Enter the block, in the task that is to be cancelled."""
        task = asyncio.current_task(self._group.loop)
        if task is None:
            raise RuntimeError("a time limit needs a task")
        self._task = task
        self._cancelling = task.cancelling()
        return self

    def start(self) -> None:
        """Let the time run from now on."""
        self._group.start(self)

    def end(self) -> None:
        """Cancel the block: its time is over."""
        self._is_over = True
        self._task.cancel()

    @property
    def is_over(self) -> bool:
        """True if the block was cancelled because its time was over."""
        return self._is_over

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the block.

        Raises:
            TimeoutError: the block was cancelled because its time was over.
        """
        self._group.running.pop(self, None)
        is_ours = self._is_over and self._task.uncancel() <= self._cancelling
        # The task's context may lead to this limit (see `musicgate.http.connector`). In a cycle, only the
        # collector would free them: the task of each create call was in one.
        del self._task
        if is_ours and kind is asyncio.CancelledError:
            raise TimeoutError from error


class _Group:
    """The running time limits of one length, the oldest first."""

    __slots__ = ("_has_timer", "_has_waited", "_limit_s", "_rings_s", "loop", "running")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._has_timer = False
        self._rings_s = 0.0
        #: The timer rang late, and was set once more.
        self._has_waited = False
        # Kept, since asyncio asks the system for the process id each time that it is asked for the loop.
        self.loop = asyncio.get_running_loop()
        #: When each of them ends, in loop time.
        self.running: dict[TimeLimit | _Waiter, float] = {}

    def start(self, limit: TimeLimit | _Waiter) -> None:
        self.running[limit] = ends_s = self.loop.time() + self._limit_s
        if not self._has_timer:
            self._set_timer(ends_s)

    def _set_timer(self, rings_s: float) -> None:
        self._has_timer = True
        self._rings_s = rings_s
        self.loop.call_at(rings_s, self._end_due)

    def _end_due(self) -> None:
        """End those whose time is over. The timer may be that of one that was left long ago."""
        self._has_timer = False
        now = self.loop.time()
        if now - self._rings_s > _STALLED_S and not self._has_waited:
            # What arrived meanwhile is read after the timers, and may be a vendor's answer to a paid call.
            self._has_waited = True
            self._set_timer(now + _STALLED_S)
            return
        self._has_waited = False
        over = []
        for limit, ends_s in self.running.items():
            if ends_s > now:
                self._set_timer(ends_s)
                break
            over.append(limit)
        for limit in over:
            del self.running[limit]
            limit.end()
