"""The protocol of what webhooks need of an open gateway; `musicgate.gateway` provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from musicgate.accounts import AccountBook
    from musicgate.aio import Clock
    from musicgate.metrics import Figures
    from musicgate.model import Job
    from musicgate.settings import Settings
    from musicgate.store import JobStore
    from musicgate.text import Masker
    from musicgate.tracing import Tracing
    from musicgate.webhooks.port import WebhookClient


class WebhookContext(Protocol):
    """The ports and settings that webhooks work with."""

    @property
    def settings(self) -> Settings:
        """The operator's settings."""

    @property
    def accounts(self) -> AccountBook:
        """The accounts as they are now."""

    @property
    def store(self) -> JobStore:
        """Jobs, and the outbox."""

    @property
    def clock(self) -> Clock:
        """Wall time for signatures, steady time for pauses."""

    @property
    def webhooks(self) -> WebhookClient:
        """The client that posts to customers."""

    @property
    def new_id(self) -> Callable[[str], str]:
        """Makes a new id; the argument is its prefix."""

    @property
    def outbox_changed(self) -> asyncio.Event:
        """Set when there is something new in the outbox."""

    @property
    def is_on_duty(self) -> bool:
        """True if messages are sent by this replica, as by one of all replicas."""

    @property
    def reread_s(self) -> float | None:
        """Seconds after which the outbox is read again, where other processes may write to it."""

    @property
    def figures(self) -> Figures:
        """What is counted."""

    @property
    def tracing(self) -> Tracing | None:
        """Makes spans; None where tracing is not configured."""

    @property
    def speed(self) -> float:
        """Divides every interval and grace period."""

    def outbox_written(self) -> None:
        """Wake the courier, wherever it runs: there is something new in the outbox."""

    def masker(self, job: Job, *, whole: bool = False) -> Masker | None:
        """The masker of a job's provider, for texts that are shown; None when its plugin is gone."""

    async def count_call(self, account: str) -> None:
        """Count a call against the account's rate limit.

        Raises:
            LimitReachedError: one more would exceed the limit; it was not counted.
            StorageError: it cannot be counted now.
        """
