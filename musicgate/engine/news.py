"""What replicas tell each other about jobs, by the port `News`: nothing to tell in one process.

News only saves time. They may be late, double or lost, and everything goes on without them: who follows a job
polls it anyway, and who waits for one reads it again every `News.reread_s` seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class News(Protocol):
    """Tells other replicas what happened here. Telling never waits and never fails."""

    @property
    def reread_s(self) -> float | None:
        """How often who waits for a change reads again; None where nothing changes elsewhere."""

    def changed(self, job_id: str) -> None:
        """A job was stored or deleted here."""

    def due(self, job_id: str) -> None:
        """An open job of another replica's share is to be followed, and polled now."""

    def outbox(self) -> None:
        """There is something new in the outbox."""

    def keys(self) -> None:
        """Accounts or keys were changed here."""

    async def start(
        self,
        changed: Callable[[str], None],
        due: Callable[[str], None],
        outbox: Callable[[], None],
        missed: Callable[[], None],
        keys: Callable[[], None],
    ) -> None:
        """Begin to hear what the others tell, by the callables of the same names.

        Args:
            missed: called when news may have been lost.
        """

    async def close(self) -> None:
        """Tell what is left to tell, and hear no more."""


class NoNews:
    """There is no other process, or no way to hear of it."""

    def __init__(self, reread_s: float | None = None) -> None:
        """Tell and hear nothing.

        Args:
            reread_s: None where there is no other process.
        """
        self.reread_s = reread_s

    def changed(self, job_id: str) -> None:
        """Tell nothing."""

    def due(self, job_id: str) -> None:
        """Tell nothing."""

    def outbox(self) -> None:
        """Tell nothing."""

    def keys(self) -> None:
        """Tell nothing."""

    async def start(
        self,
        changed: Callable[[str], None],
        due: Callable[[str], None],
        outbox: Callable[[], None],
        missed: Callable[[], None],
        keys: Callable[[], None],
    ) -> None:
        """Hear nothing."""

    async def close(self) -> None:
        """Nothing is left."""
