"""The real time; it knows the system's clock and the event loop's timer."""

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Aware UTC time."""
        return datetime.now(UTC)

    async def sleep(self, delay_s: float) -> None:
        """Wait; a delay of zero or less only lets others run."""
        await asyncio.sleep(delay_s)
