"""Waits for what has no event: another thread, process or server makes it true."""

import asyncio
import inspect
from collections.abc import Callable


async def until(holds: Callable[[], object], timeout_s: float = 20.0, pause_s: float = 0.005) -> None:
    """Wait until something holds. What it returns is awaited if it can be."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = holds()
            if await answer if inspect.isawaitable(answer) else answer:
                return
            await asyncio.sleep(pause_s)
