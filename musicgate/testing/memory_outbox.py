"""An outbox in memory that passes the contract suite of the real ones."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import attrs

from musicgate import store
from musicgate.codec import dump_delivery, load_delivery
from musicgate.errors import StorageError
from musicgate.model import Delivery, origin
from musicgate.store import Backlog, PendingMessage


class MemoryOutbox:
    """Messages in a dictionary, for one test."""

    def __init__(self, check: Callable[[], None]) -> None:
        """Make an empty outbox. ``check`` raises when the store cannot be written."""
        self._check = check
        self._docs: dict[str, str] = {}
        self._disabled: set[tuple[str, str]] = set()

    async def replace(self, old: Delivery, new: Delivery) -> Delivery | None:
        """Store ``new`` if the stored version is still that of ``old``; None when it is not."""
        self._check()
        current = await self.get(old.id)
        if current is None or current.version != old.version:
            return None
        stored = attrs.evolve(new, version=old.version + 1)
        self._docs[stored.id] = dump_delivery(stored)
        return stored

    async def get(self, message_id: str) -> Delivery | None:
        """Return the message with that id."""
        doc = self._docs.get(message_id)
        return None if doc is None else store.loaded(message_id, doc, load_delivery, "message")

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """Return the messages about a job, oldest first."""
        return sorted(
            (delivery for delivery in self._all() if delivery.job_id == job_id), key=lambda found: found.id
        )

    async def pending(self, limit: int) -> Sequence[PendingMessage]:
        """Return the messages that are still to be sent, the earliest due first."""
        return self._pending()[:limit]

    async def pending_of(
        self, account: str, limit: int, *, except_origins: Collection[str] = ()
    ) -> Sequence[PendingMessage]:
        """Return the same for one account, without messages to these origins."""
        own = [found for found in self._pending() if found.account == account]
        return [found for found in own if found.origin not in except_origins][:limit]

    async def accounts_due(self, now: datetime) -> Sequence[str]:
        """Return the accounts that have a due message, sorted by name."""
        return sorted({found.account for found in self._pending() if found.next_try_at <= now})

    async def next_due(self, after: datetime) -> datetime | None:
        """Return the earliest time after ``after`` at which a message becomes due."""
        return next((found.next_try_at for found in self._pending() if found.next_try_at > after), None)

    async def backlog(self) -> Backlog:
        """Count the messages that are still to be sent."""
        ids = [found.id for found in self._pending()]
        return Backlog(messages=len(ids), oldest_id=min(ids, default=None))

    async def disable(self, account: str, url: str, at: datetime) -> None:
        """Send no more messages to an account's address."""
        self._check()
        self._disabled.add((account, url))

    async def enable(self, account: str, url: str) -> bool:
        """Send messages to an account's address again; False when it was not disabled."""
        self._check()
        found = (account, url) in self._disabled
        self._disabled.discard((account, url))
        return found

    async def is_disabled(self, account: str, url: str) -> bool:
        """True if the address is disabled."""
        return (account, url) in self._disabled

    def insert(self, deliveries: Sequence[Delivery]) -> None:
        """Store new messages; the store calls it together with the change of their job."""
        taken = [delivery.id for delivery in deliveries if delivery.id in self._docs]
        if taken:
            raise StorageError(f"the job store failed: it is already stored (message {taken[0]})")
        self._docs.update({delivery.id: dump_delivery(delivery) for delivery in deliveries})

    def delete_of_job(self, job_id: str) -> None:
        """Remove the messages about a job."""
        for message_id in [found.id for found in self._all() if found.job_id == job_id]:
            del self._docs[message_id]

    def _pending(self) -> list[PendingMessage]:
        waiting = [
            PendingMessage(
                id=delivery.id,
                account=delivery.account,
                origin=origin(delivery.url),
                next_try_at=delivery.next_try_at,
            )
            for delivery in self._all()
            if delivery.next_try_at is not None
        ]
        return sorted(waiting, key=lambda found: (found.next_try_at, found.id))

    def _all(self) -> list[Delivery]:
        return list(store.readable(self._docs.items(), load_delivery, "message"))
