"""One provider's create queue: first come, first served, within the vendor's rate and concurrency.

A call counts from its beginning until ``per_s`` after its *end*. When the vendor counted it is unknown, only
that it was between the two; so no delay on the way can bring more calls into a vendor's window than it
allows.

Who waits is in memory. A job that waits here is stored as *planned*, so a crash loses no place: jobs are
recovered in the order in which they were made. `CreateQueue` counts calls in memory as well, for the only
process that uses a store, and a crash forgets them. A vendor that still counts them refuses plainly, and the
job waits once more. Where there are replicas, `musicgate.engine.shared_queue` counts.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Self

from musicgate.engine.limits import CallWindow
from musicgate.errors import GatewayClosedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from musicgate.aio import Clock
    from musicgate.model import RateWindow

_log = logging.getLogger(__name__)
#: At most so many jobs wait for one provider; the next one is refused.
MAX_WAITING = 10_000


class CreateQueue:
    """Hands out slots.

    Args:
        clock: its steady time is the window's.
        parallel: how many calls may run at a time; None = any number.
        window: how many may be made in which time; None = any number.
        speed: divides the window: an emulated vendor that runs faster counts faster as well.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        parallel: int | None = None,
        window: RateWindow | None = None,
        speed: float = 1.0,
    ) -> None:
        self._clock = clock
        self._parallel = math.inf if parallel is None else parallel
        self._window = None if window is None else CallWindow(window.calls, window.per_s / speed)
        self._running = 0
        self._waiting = 0
        self._queue = asyncio.Lock()  # fair: first come, first served
        self._released = asyncio.Event()
        self._closed = asyncio.Event()
        self._last_s = 0.0

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a slot."""
        return self._waiting

    @property
    def running(self) -> int:
        """Number of slots that are taken."""
        return self._running

    @property
    def window_left(self) -> int | None:
        """Calls that are left in the window; None where there is none, or where the ledger counts them."""
        return None if self._window is None else self._window.left(self._now_s())

    @property
    def is_full(self) -> bool:
        """True if no more jobs may wait here."""
        return self._waiting >= MAX_WAITING

    def try_slot(self) -> Slot | None:
        """A slot, if no other call waits and one may begin now."""
        if self._closed.is_set() or self._waiting or self._wait_s() > 0:
            return None
        return self._begin()

    async def slot(self, waits: Callable[[], None] = lambda: None) -> Slot:
        """Wait for a slot.

        Args:
            waits: called when it is not free at once.

        Raises:
            GatewayClosedError: the gateway closes.
        """
        if self._waiting:
            waits()
        self._waiting += 1
        try:
            async with self._queue:
                while not self._closed.is_set():
                    self._released.clear()
                    taken = await self._take()
                    if isinstance(taken, Slot):
                        return taken
                    waits()
                    if math.isinf(taken):
                        await self._wait_for_end()
                    else:
                        await self.pause(taken)
        finally:
            self._waiting -= 1
        raise GatewayClosedError

    async def pause(self, pause_s: float) -> None:
        """Back off before joining the queue, since the vendor was busy. Ended early by `close`.

        Raises:
            GatewayClosedError: the gateway closes.
        """
        if pause_s <= 0:
            return
        over = asyncio.ensure_future(self._clock.sleep(pause_s))
        closing = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({over, closing}, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                over.result()
        finally:
            over.cancel()
            closing.cancel()
            await asyncio.gather(over, closing, return_exceptions=True)
        if self._closed.is_set():
            raise GatewayClosedError

    def close(self) -> None:
        """Hand out no more slots. Waiting calls end; their jobs stay planned and go on after a restart."""
        self._closed.set()
        self._released.set()

    def release(self, *, has_called: bool) -> None:
        """Take a slot back. `Slot.release` calls this once; it must not fail, or the slot is lost."""
        self._running -= 1
        self._released.set()
        if has_called and self._window is not None:
            self._window.count(self._now_s())

    async def _take(self) -> Slot | float:
        """A slot, or the seconds until there may be one; infinite = not before a call ends here."""
        wait_s = self._wait_s()
        return self._begin() if wait_s <= 0 else wait_s

    async def _wait_for_end(self) -> None:
        await self._released.wait()

    def _begin(self) -> Slot:
        self._running += 1
        return Slot(self)

    def _wait_s(self) -> float:
        """Seconds until a call may begin; infinite = not before one ends."""
        if self._running >= self._parallel:
            return math.inf
        return 0.0 if self._window is None else self._window.wait_s(self._now_s(), self._running)

    def _now_s(self) -> float:
        try:
            self._last_s = self._clock.steady().timestamp()
        except Exception:  # noqa: BLE001 - a clock that fails once must not cost a slot for ever
            _log.exception("the clock failed")
        return self._last_s


class Slot:
    """The right to make one create call; a context manager that gives it back.

    It counts in the window only if the call was made.
    """

    __slots__ = ("_has_called", "_queue")

    def __init__(self, queue: CreateQueue) -> None:
        self._queue: CreateQueue | None = queue
        self._has_called = False

    @property
    def is_fresh(self) -> bool:
        """True if the slot is certainly held; else it is to be confirmed before the call is made."""
        return True

    async def confirm(self) -> None:
        """Make sure that the slot is still held; it may have to wait for another place.

        Raises:
            GatewayClosedError: the gateway closes, and the slot is held no longer.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def call(self) -> None:
        """Note that the call is being made."""
        self._has_called = True

    def release(self) -> None:
        """Give the slot back; a second time does nothing."""
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.release(has_called=self._has_called)
