"""How long requests may wait on purpose: each up to its own limit, and none beyond the moment when the server stops."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web


class Patience:
    """The limits of everything that waits now."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._limits: set[asyncio.Timeout] = set()
        self._is_over = False

    @asynccontextmanager
    async def limit(self, seconds: float | None) -> AsyncIterator[None]:
        """Wait inside this block.

        Raises:
            TimeoutError: so many seconds are over, or the server stops.
        """
        async with asyncio.timeout(0.0 if self._is_over else seconds) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    async def end(self, _: web.Application) -> None:
        """The server stops: who waits is answered now with what there is."""
        self._is_over = True
        now = asyncio.get_running_loop().time()
        for limit in tuple(self._limits):
            if limit.expired():
                continue  # its waiter is on its way out already; such a limit cannot be moved any more
            limit.reschedule(now)
