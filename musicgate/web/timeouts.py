"""Time limits of requests that wait on purpose. All of them expire when the server shuts down."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web


class RequestTimeouts:
    """The time limits of all requests that are waiting."""

    def __init__(self) -> None:
        self._running: set[asyncio.Timeout] = set()
        self._is_closed = False

    @asynccontextmanager
    async def limit(self, seconds: float | None) -> AsyncIterator[None]:
        """Limit how long the block may wait.

        Args:
            seconds: None = until the server shuts down.

        Raises:
            TimeoutError: the time is over, or the server shuts down.
        """
        async with asyncio.timeout(0.0 if self._is_closed else seconds) as timeout:
            self._running.add(timeout)
            try:
                yield
            finally:
                self._running.discard(timeout)

    async def expire(self, _: web.Application) -> None:
        """Expire every limit, present and future. A shutdown handler of aiohttp."""
        self._is_closed = True
        now = asyncio.get_running_loop().time()
        for timeout in tuple(self._running):
            # One that has just expired cannot be rescheduled, and its waiter is on its way out already.
            if not timeout.expired():
                timeout.reschedule(now)
