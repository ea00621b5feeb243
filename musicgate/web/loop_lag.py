"""Measure how late the event loop runs what is due: neither plugins nor our own code may block it."""

from __future__ import annotations

import asyncio
import time

from musicgate.metrics import DELAY_BOUNDS_S, Histogram

_EVERY_S = 0.25


class LoopLag:
    """Looks four times a second.

    Attributes:
        histogram: seconds by which the loop was late.
    """

    def __init__(self) -> None:
        self.histogram = Histogram(DELAY_BOUNDS_S)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure the running loop."""
        loop = asyncio.get_running_loop()

        def look(due_s: float) -> None:
            # Not the loop's time: uvloop's stands still while callbacks run.
            now_s = time.monotonic()
            self.histogram.observe(max(0.0, now_s - due_s))
            self._timer = loop.call_later(_EVERY_S, look, now_s + _EVERY_S)

        self._timer = loop.call_later(_EVERY_S, look, time.monotonic() + _EVERY_S)

    def stop(self) -> None:
        """Measure no longer."""
        if self._timer is not None:
            self._timer.cancel()
