"""One provider's queue for create calls: first come, first served, never more at a time or in a window than its vendor takes; no job, no HTTP.

A call counts from its beginning until ``per_s`` after its *end*. We do not know when the vendor counted it, only that it was between the two;
counted like this, no delay on the way can bring more calls into a vendor's window than it allows.

Everything is in memory. What waits here is stored as *planned*, so a crash loses no place: jobs are taken up again in the order in which they
were made. The calls before a crash are forgotten, however; a vendor that still counts them refuses plainly, and the job waits once more.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from musicgate.limits import CallWindow

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.model import RateWindow
    from musicgate.ports import Clock

#: More wishes than this do not wait for one provider; the next one is refused instead.
MAX_WAITING = 10_000


class Turns:
    """Hands out turns.

    Args:
        parallel: how many calls may run at a time; None = any number.
        window: how many may be made in which time; None = any number.
        speed: divides the window: a vendor that is played faster counts faster as well.
    """

    def __init__(
        self, *, parallel: int | None = None, window: RateWindow | None = None, speed: float = 1.0
    ) -> None:
        """Begin with nobody."""
        self._parallel = math.inf if parallel is None else parallel
        self._window = None if window is None else CallWindow(window.calls, window.per_s / speed)
        self._running = 0
        self._waiting: set[asyncio.Task[object] | None] = set()
        self._resting: set[asyncio.Task[object] | None] = set()
        self._is_closed = False
        self._door = asyncio.Lock()  # fair: who came first goes in first
        self._somebody_left = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Number of calls that wait for their turn."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """True if no more wishes may wait here."""
        return len(self._waiting) >= MAX_WAITING

    def try_enter(self, now: datetime) -> Turn | None:
        """A turn, if nobody is before us and a call may begin now."""
        if self._is_closed or self._waiting or self._wait_s(now) > 0:
            return None
        return self._begin()

    async def rest(self, clock: Clock, pause_s: float) -> None:
        """Wait before one stands in line, since the vendor is busy; `close` ends this as well."""
        resting = asyncio.current_task()
        self._resting.add(resting)
        try:
            await clock.sleep(pause_s)
        finally:
            self._resting.discard(resting)

    async def enter(self, clock: Clock) -> Turn:
        """Wait for a turn; after `close` there is none, and the waiting task is cancelled."""
        waiting = asyncio.current_task()
        if self._is_closed:
            raise asyncio.CancelledError
        self._waiting.add(waiting)
        try:
            async with self._door:
                while (wait_s := self._wait_s(clock.now())) > 0:
                    if math.isinf(wait_s):
                        self._somebody_left.clear()
                        await self._somebody_left.wait()
                    else:
                        await clock.sleep(wait_s)
                return self._begin()
        finally:
            self._waiting.discard(waiting)

    def close(self) -> None:
        """Let nobody in any more. Whoever waits is sent away; its job stays planned, and goes on when the gateway opens again."""
        self._is_closed = True
        for task in self._waiting | self._resting:
            if task is not None:
                task.cancel()

    def leave(self, now: datetime, *, has_called: bool) -> None:
        """Give a turn back. `Turn.leave` calls this once."""
        self._running -= 1
        if has_called and self._window is not None:
            self._window.count(now.timestamp())
        self._somebody_left.set()

    def _begin(self) -> Turn:
        self._running += 1
        return Turn(self)

    def _wait_s(self, now: datetime) -> float:
        """Seconds until a call may begin; infinite = not before one ends."""
        if self._running >= self._parallel:
            return math.inf
        return 0.0 if self._window is None else self._window.wait_s(now.timestamp(), self._running)


class Turn:
    """The right to make one call. It is given back in any case; it counts only if the call was made."""

    def __init__(self, turns: Turns) -> None:
        """`Turns` makes these."""
        self._turns: Turns | None = turns
        self._has_called = False

    def call(self) -> None:
        """Note that the call is being made."""
        self._has_called = True

    def leave(self, now: datetime) -> None:
        """Give the turn back; again does nothing."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.leave(now, has_called=self._has_called)
