"""The ports `JobStore` and `Outbox`, which every store implements; no SQL, no library's types."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from musicgate.model import Delivery, IdempotencyClaim, Job, JobEvent, JobQuery


@attrs.frozen(kw_only=True)
class PendingMessage:
    """What a courier must know of a message before it is sent. ``origin`` is `musicgate.webhooks.rules.origin` of its address."""

    id: str
    account: str
    origin: str
    next_try_at: datetime


class Outbox(Protocol):
    """Messages to webhooks, durable when the call returns. They are added by `JobStore.replace`, and deleted with their job."""

    async def replace(self, old: Delivery, new: Delivery) -> Delivery | None:
        """Store ``new`` in place of ``old``, as `JobStore.replace` does; None when somebody else was first or the message is gone."""

    async def get(self, message_id: str) -> Delivery | None:
        """The message with that id."""

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """The messages about a job, in the order of their ids."""

    async def pending(self, limit: int) -> Sequence[PendingMessage]:
        """Messages that have a time for their next try, due or not, the earliest first."""

    async def pending_of(
        self, account: str, limit: int, *, except_origins: Collection[str] = ()
    ) -> Sequence[PendingMessage]:
        """The same, of one account.

        Args:
            except_origins: not those to these servers. So many of them may be passed over that the answer falls short.
        """

    async def accounts_due(self, now: datetime) -> Sequence[str]:
        """The accounts that have a message whose next try is not later than ``now``, in the order of their names."""

    async def next_due(self, after: datetime) -> datetime | None:
        """The earliest time after ``after`` at which a message becomes due; None when there is none."""

    async def disable(self, account: str, url: str, at: datetime) -> None:
        """Note that an account's address wants no more messages."""

    async def enable(self, account: str, url: str) -> bool:
        """Forget that an account's address wants no more messages; False when it was not noted."""

    async def is_disabled(self, account: str, url: str) -> bool:
        """True if that address wants no more messages of the account."""


class JobStore(Protocol):
    """Jobs and their events, durable when the call returns. One writer wins: see `replace`.

    A row that cannot be read costs itself and no other: `get` raises a `StorageError` that names it, and whatever gives several values
    logs it and leaves it out.
    """

    @property
    def outbox(self) -> Outbox:
        """The messages about these jobs."""

    async def add(
        self, job: Job, events: Sequence[JobEvent], claim: IdempotencyClaim | None = None
    ) -> IdempotencyClaim | None:
        """Store a new job, and the use of its idempotency key with it: both or neither.

        A caller that is cancelled while it waits cannot know whether the job was stored: the write goes on. That holds for every write.

        Returns:
            None; or the earlier claim of the same account, route and key, and then nothing was stored.

        Raises:
            StorageError: full, read-only or broken; nothing was stored.
        """

    async def replace(
        self, old: Job, new: Job, events: Sequence[JobEvent], deliveries: Sequence[Delivery] = ()
    ) -> Job | None:
        """Store ``new`` in place of ``old`` if nobody changed it since ``old`` was read (compare-and-set on the version).

        Args:
            deliveries: messages about the change, stored with it: both or neither.

        Returns:
            The stored job with its new version, or None when somebody else was first.
        """

    async def get(self, job_id: str) -> Job | None:
        """The job with that id of ours."""

    async def find_native(self, account: str, native_id: str) -> Job | None:
        """The newest job of the account with that native id."""

    async def open_jobs(self, after_id: str, limit: int) -> Sequence[Job]:
        """Unfinished jobs with an id greater than ``after_id``, in the order of their ids; fewer where they are large, none at the end."""

    async def count_open(self, account: str | None = None) -> int:
        """Number of unfinished jobs, of one account or of all."""

    async def list_jobs(self, account: str | None, query: JobQuery) -> Sequence[Job]:
        """The jobs that a query asks for, of one account or of all, newest first."""

    async def find_claim(self, account: str, route: str, key: str) -> IdempotencyClaim | None:
        """The use of an idempotency key, as long as it is kept."""

    async def spent_usd_nanos(self, account: str, since: datetime) -> int:
        """What the account's jobs that finished since then have cost, in billionths of a dollar."""

    async def delete(self, job_id: str) -> bool:
        """Remove a job with its events, its idempotency key and the messages about it; False when there is none."""

    async def finished_jobs(
        self, after: tuple[datetime, str] | None, before: datetime, limit: int
    ) -> Sequence[tuple[datetime, str]]:
        """When jobs ended, and their ids: those that ended before ``before``, the oldest first, from the place ``after`` on."""

    async def forget_claims(self, before: datetime) -> int:
        """Remove idempotency keys that were used before then; their number."""

    async def events(
        self, job_id: str, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, JobEvent]]:
        """The job's history with its numbers (1, 2, ...), from the one after ``after`` on; at most ``limit`` entries."""

    async def ping(self) -> None:
        """Return if the store can be written.

        Raises:
            StorageError: it cannot.
        """

    async def close(self) -> None:
        """Finish the pending writes and let go."""
