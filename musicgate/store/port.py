"""The ports of every store: `JobStore`, with `Outbox`, `AssetReferences` and `KeyStore`. No SQL."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from musicgate.accounts import Keyring, KeyringChange
    from musicgate.metrics import Commits
    from musicgate.model import (
        AuditEntry,
        Delivery,
        IdempotencyClaim,
        Job,
        JobEvent,
        JobHead,
        JobQuery,
        UsageQuery,
        UsageSum,
    )
    from musicgate.store.ledger import Ledger


@attrs.frozen(kw_only=True)
class PendingMessage:
    """What the courier needs to know of a message to decide when to send it."""

    id: str
    account: str
    #: Scheme, host and port of its address.
    origin: str
    next_try_at: datetime


@attrs.frozen(kw_only=True)
class Backlog:
    """Messages that are still to be sent, or sent again.

    Attributes:
        messages: how many there are.
        oldest_id: the one that was made first; None if there is none.
    """

    messages: int
    oldest_id: str | None = None


@attrs.frozen(kw_only=True)
class StoreReport:
    """What a store is found to be without a lock and without a change.

    Attributes:
        version: of its tables; 0 = there are none yet.
        newest_version: that this software makes and uses.
        write_trouble: why it cannot be written; "" = it can.
    """

    version: int
    newest_version: int
    write_trouble: str = ""


class Outbox(Protocol):
    """Messages to webhooks; a write is durable when the call returns.

    Messages are added by `JobStore.replace` and deleted with their job.
    """

    async def replace(self, old: Delivery, new: Delivery) -> Delivery | None:
        """Store ``new`` in place of ``old`` by compare-and-set, as `JobStore.replace` does.

        Returns:
            The stored message with its new version, or None when the stored version differs or the message is
            gone.
        """

    async def get(self, message_id: str) -> Delivery | None:
        """The message with that id."""

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """The messages about a job, in the order of their ids."""

    async def pending(self, limit: int) -> Sequence[PendingMessage]:
        """Messages that have a time for their next attempt, due or not, the earliest first."""

    async def pending_of(
        self, account: str, limit: int, *, except_origins: Collection[str] = ()
    ) -> Sequence[PendingMessage]:
        """Messages of one account that have a time for their next attempt, the earliest first.

        Args:
            except_origins: skip messages to these servers. When very many are skipped, fewer than ``limit``
                are returned although there are more.
        """

    async def accounts_due(self, now: datetime) -> Sequence[str]:
        """The accounts that have a message due at ``now``, in the order of their names."""

    async def next_due(self, after: datetime) -> datetime | None:
        """The earliest time later than ``after`` at which a message becomes due, or None."""

    async def backlog(self) -> Backlog:
        """The messages that have a time for their next attempt, counted; their ids sort by time."""

    async def disable(self, account: str, url: str, at: datetime) -> None:
        """Send no more messages of the account to that address."""

    async def enable(self, account: str, url: str) -> bool:
        """Send messages of the account to that address again; False if it was not disabled."""

    async def is_disabled(self, account: str, url: str) -> bool:
        """True if messages of the account to that address are disabled."""


class AssetReferences(Protocol):
    """Which jobs use which kept object; a write is durable when the call returns.

    An object's name comes from its content, so several jobs may use the same one. Its bytes are removed when
    no job uses it any more, by `begin_removal`, the removal itself and `end_removal`: a process that is
    killed in between leaves an entry in `unused`. In between no job can claim the object, since its bytes may
    go at any moment; a caller takes another name then.

    Where several processes use the store, a removal belongs to the one that began it, and another one can
    begin it again only after a long time. The first may only have been stalled, and remove the bytes later
    still; so from then on the name cannot be claimed any more.
    """

    async def claim(self, name: str, job_id: str) -> bool:
        """Note that a job uses an object, before its bytes are stored. Claiming again changes nothing.

        Returns:
            False, and nothing is noted, while the object is being removed.

        Raises:
            JobNotFoundError: there is no such job; nothing is noted.
            StorageError: the store is full, read-only or broken.
        """

    async def of_job(self, job_id: str) -> Sequence[str]:
        """Names of the objects that a job uses, in their order."""

    async def release(self, job_id: str, names: Collection[str] = ()) -> Sequence[str]:
        """Forget what a job uses; `unused` names what no job uses any more.

        Args:
            names: objects of the job from before there were references.

        Returns:
            The names that it used, with ``names``.
        """

    async def unused(self, after: str, limit: int) -> Sequence[str]:
        """One page of names of objects that no job uses, until their removal has ended; after that name."""

    async def begin_removal(self, name: str) -> bool:
        """Note that the bytes of an unused object are being removed by this process.

        Returns:
            False if it is not unused any more, or if another process is removing it.
        """

    async def end_removal(self, name: str) -> None:
        """Note that the bytes of an object are removed."""

    async def users(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """One page of names and ids of jobs that use them, in their order, after such a pair."""


class AuditLog(Protocol):
    """Who did what; a write is durable when the call returns. Entries are added, and never changed.

    An entry about a job is better stored with it: see ``audit`` of `JobStore.add`, `JobStore.replace` and
    `JobStore.delete`.
    """

    async def add(self, *entries: AuditEntry) -> None:
        """Append entries, all or none of them.

        Raises:
            StorageError: the store is full, read-only or broken.
        """

    async def entries(self, after: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
        """One page of entries with their numbers, those with a number greater than ``after``, in their order.

        Numbers may have gaps. What is added later has a greater number than all that was ever returned.
        """

    async def forget(self, before: datetime) -> int:
        """Delete entries of before then, the oldest first, and return their number. The newest one stays.

        It ends at the first entry that is not as old, and works in pages: no other write waits for all.
        """


class KeyStore(Protocol):
    """Accounts and keys; a write is durable when the call returns.

    They are few and change seldom, so they are read and decided on as a whole (`musicgate.accounts`).
    """

    async def version(self) -> int:
        """The number of changes so far: what `load` returned holds while this is the same."""

    async def load(self) -> Keyring:
        """All accounts and keys. A row that cannot be read is logged and left out.

        While it is read, others may change something: then it may be newer than its version says.
        """

    async def change(self, version: int, change: KeyringChange) -> bool:
        """Store a change that was decided on that version (compare-and-set), all of it or nothing.

        Returns:
            False if there is a newer version; nothing was stored.
        """

    async def note_uses(self, used_at: Mapping[str, datetime]) -> None:
        """Note when keys were last used, by their ids. That is no change; an earlier time is left out."""


class JobStore(Protocol):
    """Jobs and their events; a write is durable when the call returns.

    Of racing writers one wins: see `replace`. A row that cannot be read does not affect others: `get` raises
    a `StorageError` that names it, and methods that return several values log it and leave it out.
    """

    @property
    def outbox(self) -> Outbox:
        """The messages to webhooks about these jobs."""

    @property
    def asset_references(self) -> AssetReferences:
        """Which of these jobs use which kept object."""

    @property
    def audit_log(self) -> AuditLog:
        """Who did what with these jobs."""

    @property
    def keys(self) -> KeyStore:
        """Accounts and keys."""

    @property
    def commits(self) -> Commits:
        """The commits of this process, in groups as the store makes them."""

    def ledger(self, replica: str, is_dead: Callable[[str], bool]) -> Ledger | None:
        """What limits have used, counted for all replicas; None where only one process can use the store.

        Args:
            replica: the id of this one.
            is_dead: True for another one that was silent for so long that its create calls have ended.
        """

    async def add(
        self,
        job: Job,
        events: Sequence[JobEvent],
        claim: IdempotencyClaim | None = None,
        audit: AuditEntry | None = None,
    ) -> IdempotencyClaim | None:
        """Store a new job together with its claim of an idempotency key and its audit entry: all or none.

        A caller that is cancelled while it waits cannot know whether the job was stored: the write goes on.
        That holds for every write.

        Returns:
            None; or the earlier claim of the same account, route and key, in which case nothing was stored.

        Raises:
            StorageError: the store is full, read-only or broken; nothing was stored.
        """

    async def replace(
        self,
        old: Job,
        new: Job,
        events: Sequence[JobEvent],
        deliveries: Sequence[Delivery] = (),
        *,
        term: int | None = None,
        audit: AuditEntry | None = None,
    ) -> Job | None:
        """Store ``new`` if the stored version is still that of ``old`` (compare-and-set).

        A change by which the job ends is counted in its usage in the same transaction.

        Args:
            deliveries: messages about the change, stored with it: both or neither.
            term: of the job's share, under which the writer follows the job; None = the writer does not
                follow it, or the store is of one process and has no terms.
            audit: noted with the change: both or neither.

        Returns:
            The stored job with its new version, or None when another writer was first, or the share has
            another term.
        """

    async def get(self, job_id: str) -> Job | None:
        """The job with that id, or None."""

    async def find_native(self, account: str, native_id: str) -> Job | None:
        """The newest job of the account with that native id, or None."""

    async def head(self, account: str, job_id: str) -> JobHead | None:
        """What the columns say of the account's job with that id, or of its newest with that native id.

        For answers that need no document; it does not check that there is a readable one.
        """

    async def open_jobs(self, after_id: str, limit: int, share: int | None = None) -> Sequence[Job]:
        """One page of open jobs with an id greater than ``after_id``, in the order of their ids.

        A page of large jobs is shorter than ``limit``; an empty page is the end.

        Args:
            share: of which share (`musicgate.model.share_of`); None = of all.
        """

    async def open_ids(self, share: int) -> Sequence[str]:
        """The ids of the open jobs of a share."""

    async def count_open(self, account: str | None = None) -> int:
        """Number of open jobs, of one account or of all."""

    async def count_open_by_plugin(self) -> Mapping[str, int]:
        """Number of open jobs by the plugin of their last attempt, for operators: it reads each of them."""

    async def list_jobs(self, account: str | None, query: JobQuery) -> Sequence[Job]:
        """The jobs that match a query, of one account or of all, newest first."""

    async def find_claim(self, account: str, route: str, key: str) -> IdempotencyClaim | None:
        """The claim of an idempotency key, as long as it is kept."""

    async def spent_usd_nanos(self, account: str, since: datetime) -> int:
        """Cost of the account's jobs that finished at or after ``since``, in billionths of a dollar."""

    async def usage(self, query: UsageQuery) -> Sequence[UsageSum]:
        """Sums over the jobs that ended, each counted once by `replace`, whether or not it was removed since.

        The time that it takes does not depend on the number of jobs.
        """

    async def delete(self, job_id: str, *, audit: AuditEntry | None = None) -> bool:
        """Delete a job with its events, idempotency key, messages and references to kept objects.

        Args:
            audit: noted with the deletion: both or neither.

        Returns:
            False if there is no such job.
        """

    async def accounts(self) -> Sequence[str]:
        """The accounts that have jobs, in the order of their names."""

    async def finished_jobs(
        self, account: str, after: tuple[datetime, str] | None, before: datetime, limit: int
    ) -> Sequence[tuple[datetime, str]]:
        """End times and ids of the account's jobs that ended before ``before``, the oldest first.

        Args:
            after: the last entry of the previous page.
        """

    async def forget_claims(self, before: datetime) -> int:
        """Delete idempotency keys that were claimed before then, and return their number.

        In pages: however many there are, no other write waits for all of them.
        """

    async def events(
        self, job_id: str, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, JobEvent]]:
        """The job's events with their numbers (1, 2, ...), those with a number greater than ``after``."""

    async def mark(self, name: str) -> str | None:
        """The value that was last set for a mark: how far work has come that goes on after a restart."""

    async def set_mark(self, name: str, value: str) -> None:
        """Set a mark; it replaces the earlier value."""

    async def swap_mark(self, name: str, old: str | None, new: str) -> str:
        """Set a mark unless it has another value than ``old``; None = unless it has a value.

        Returns:
            The value that it has now.
        """

    async def ping(self) -> None:
        """Check that the store can be written.

        Raises:
            StorageError: it cannot.
        """

    async def close(self) -> None:
        """Finish the pending writes and close the store."""
