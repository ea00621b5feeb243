"""A provider's create queue where there are replicas: the ledger counts the calls of all of them.

Within a replica it is first come, first served; between replicas the one that asks when a place is free. Only
the first of those that wait here asks, when the ledger says that there will be a place. Where a call of
another replica must end first, it asks again after a pause.

A replica that is silent for long is taken for dead, and its calls for ended. It may only have been stopped.
So a slot that is not fresh any more is confirmed by the ledger before the call is made, and a replica takes
none before the others can see that it is alive.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from typing import TYPE_CHECKING

from musicgate.engine.create_queue import CreateQueue, Slot
from musicgate.errors import GatewayClosedError, StorageError
from musicgate.store import SlotRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.aio import Clock
    from musicgate.model import RateWindow
    from musicgate.store import Ledger

_log = logging.getLogger(__name__)
#: Seconds between two questions while calls of other replicas run: twice as long each time.
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
#: Seconds until the ledger is asked again that gave no answer.
_RETRY_S = 1.0


class SharedCreateQueue(CreateQueue):
    """Hands out slots that the ledger counts.

    Args:
        plugin: whose slots; the ledger's name for the provider.
        replica: the id of this one.
        is_seen: True if the others can see that it is alive.
        fresh_s: seconds for which a slot is certainly held; well below the time after which a replica that
            is silent is taken for dead.
    """

    def __init__(
        self,
        clock: Clock,
        ledger: Ledger,
        *,
        plugin: str,
        replica: str,
        is_seen: Callable[[], bool],
        fresh_s: float,
        parallel: int | None = None,
        window: RateWindow | None = None,
        speed: float = 1.0,
    ) -> None:
        super().__init__(clock)
        self._ledger = ledger
        self._plugin = plugin
        self._replica = replica
        self._is_seen = is_seen
        self._fresh_s = fresh_s
        self._parallel_calls = parallel
        self._window_calls = None if window is None else window.calls
        self._window_s = None if window is None else window.per_s / speed
        self._numbers = itertools.count(1)
        self._has_failed = False
        self._pause_s = _FIRST_PAUSE_S

    def try_slot(self) -> Slot | None:
        """None: the ledger has to be asked, by `wanted` or `slot`."""
        return None

    def wanted(self) -> SlotRequest | None:
        """What to ask the ledger for together with something else; None while others wait here."""
        if self._closed.is_set() or self._waiting or not self._is_seen():
            return None
        return self._request()

    def begin(self, slot_id: str, asked_s: float) -> Slot:
        """A slot that the ledger gave, which it was asked for at that steady second."""
        self._running += 1
        return _SharedSlot(self, slot_id, asked_s)

    def now_s(self) -> float:
        """Seconds of the steady clock."""
        return self._now_s()

    async def _take(self) -> Slot | float:
        """A slot, or the seconds until the ledger is to be asked again."""
        asked_s = self._now_s()
        slot_id, wait_s = await self._ask(self._request())
        if slot_id is None:
            return wait_s
        slot = self.begin(slot_id, asked_s)
        if self._closed.is_set():
            slot.release()
            raise GatewayClosedError
        return slot

    async def _wait_for_end(self) -> None:
        """Wait until a call ends here, or perhaps at another replica."""
        try:
            async with asyncio.timeout(self._pause_s):
                await self._released.wait()
        except TimeoutError:
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    async def _ask(self, request: SlotRequest) -> tuple[str | None, float]:
        """The id of a slot; or None and the seconds until the next question, infinite = until a call ends."""
        if not self._is_seen():
            return None, _FIRST_PAUSE_S
        try:
            answer = await self._ledger.ask(None, request)
        except StorageError as error:
            if not self._has_failed:
                _log.warning("no slot, the store is asked again: plugin=%s error=%s", self._plugin, error)
            self._has_failed = True
            return None, _RETRY_S
        self._has_failed = False
        if not math.isinf(answer.slot_wait_s):
            self._pause_s = _FIRST_PAUSE_S
        return answer.slot, answer.slot_wait_s

    def is_fresh(self, taken_s: float) -> bool:
        """True if a slot is certainly held that was taken at that steady second."""
        return self._now_s() - taken_s <= self._fresh_s

    async def confirm(self, slot_id: str, taken_s: float) -> tuple[str, float]:
        """Confirm a slot, or take another one for it; its id, and the steady second at which it was held.

        Raises:
            GatewayClosedError: the gateway closes, and it is held no longer.
        """
        while not self.is_fresh(taken_s):
            asked_s = self._now_s()
            confirmed, wait_s = await self._ask(self._request(slot_id))
            if confirmed is None:
                await self.pause(min(wait_s, _LONGEST_PAUSE_S))
            else:
                slot_id, taken_s = confirmed, asked_s
        return slot_id, taken_s

    def ended(self, slot_id: str, *, has_called: bool) -> None:
        """Tell the ledger that a slot is not used any more."""
        self._ledger.end_slot(slot_id, has_called=has_called)

    def _request(self, held: str | None = None) -> SlotRequest:
        return SlotRequest(
            plugin=self._plugin,
            id=f"{self._replica}/{self._plugin}/{next(self._numbers)}",
            held=held,
            parallel=self._parallel_calls,
            calls=self._window_calls,
            per_s=self._window_s,
        )


class _SharedSlot(Slot):
    """A slot that the ledger counts until it is released."""

    __slots__ = ("_id", "_shared", "_taken_s")

    def __init__(self, queue: SharedCreateQueue, slot_id: str, taken_s: float) -> None:
        super().__init__(queue)
        self._shared = queue
        self._id = slot_id
        self._taken_s = taken_s

    @property
    def is_fresh(self) -> bool:
        """True for a moment after it was taken or confirmed."""
        return self._shared.is_fresh(self._taken_s)

    async def confirm(self) -> None:
        """Make sure that the slot is still held; it may have to wait for another place."""
        self._id, self._taken_s = await self._shared.confirm(self._id, self._taken_s)

    def release(self) -> None:
        """Give the slot back; a second time does nothing."""
        if self._queue is not None:
            self._shared.ended(self._id, has_called=self._has_called)
        super().release()
