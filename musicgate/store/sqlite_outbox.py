"""The outbox of the SQLite job store; knows SQL, and nothing of receivers or signatures.

It writes through the job store's thread, so that a message is stored in the same transaction as the end of
its job.
"""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from musicgate.codec import dump_delivery, load_delivery
from musicgate.model import Delivery, origin
from musicgate.store import rows
from musicgate.store.columns import column, microseconds, moment
from musicgate.store.group_commit import GroupWriter
from musicgate.store.port import Backlog, PendingMessage
from musicgate.store.sqlite_reader import SqliteReader

_ADD: Final = (
    "INSERT INTO webhook_deliveries (id, job_id, account, origin, next_try_at_us, version, doc)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_REPLACE: Final = (
    "UPDATE webhook_deliveries SET next_try_at_us = ?, version = ?, doc = ? WHERE id = ? AND version = ?"
)
_OF_JOB: Final = "SELECT id, doc FROM webhook_deliveries WHERE job_id = ? ORDER BY id"
_GET: Final = "SELECT id, doc FROM webhook_deliveries WHERE id = ?"
_PENDING: Final = (
    "SELECT id, account, origin, next_try_at_us FROM webhook_deliveries WHERE next_try_at_us IS NOT NULL"
    " ORDER BY next_try_at_us, id LIMIT ?"
)
#: At most so many messages of an account are searched for one to a server that is not excepted (about 2 ms).
_SCANNED: Final = 10_000
# The inner limit bounds the scan, which ends earlier when the outer limit is reached.
_PENDING_OF: Final = (
    "SELECT id, account, origin, next_try_at_us FROM"  # noqa: S608 - constants
    " (SELECT id, account, origin, next_try_at_us FROM webhook_deliveries WHERE account = ? AND next_try_at_us IS NOT NULL"
    f" ORDER BY next_try_at_us, id LIMIT {_SCANNED}) WHERE origin NOT IN (%s) LIMIT ?"
)
# One index look-up per account, and one for its earliest message, however many messages there are.
_NEXT_ACCOUNT: Final = (
    "SELECT min(account) FROM webhook_deliveries WHERE next_try_at_us IS NOT NULL AND account > "
)
_ACCOUNTS_DUE: Final = (
    f"WITH RECURSIVE known(account) AS ({_NEXT_ACCOUNT} '' UNION ALL"  # noqa: S608 - constants
    f" SELECT ({_NEXT_ACCOUNT} known.account) FROM known WHERE known.account IS NOT NULL)"
    " SELECT account FROM known WHERE account IS NOT NULL"
    " AND (SELECT min(next_try_at_us) FROM webhook_deliveries"
    " WHERE account = known.account AND next_try_at_us IS NOT NULL) <= ?"
)
_NEXT_DUE: Final = "SELECT min(next_try_at_us) FROM webhook_deliveries WHERE next_try_at_us > ?"
_BACKLOG: Final = "SELECT count(*), min(id) FROM webhook_deliveries WHERE next_try_at_us IS NOT NULL"
_DELETE_OF_JOB: Final = "DELETE FROM webhook_deliveries WHERE job_id = ?"
_DISABLE: Final = "INSERT OR IGNORE INTO disabled_webhooks (account, url, disabled_at_us) VALUES (?, ?, ?)"
_ENABLE: Final = "DELETE FROM disabled_webhooks WHERE account = ? AND url = ?"
_IS_DISABLED: Final = "SELECT 1 FROM disabled_webhooks WHERE account = ? AND url = ?"


class SqliteOutbox:
    """Messages to webhooks, beside the jobs that they are about."""

    def __init__(self, writer: GroupWriter, reader: SqliteReader) -> None:
        """Share the job store's writer and reader."""
        self._writer = writer
        self._reader = reader

    async def replace(self, old: Delivery, new: Delivery) -> Delivery | None:
        """Store ``new`` if the stored version is still that of ``old``; None when it is not."""
        stored = attrs.evolve(new, version=old.version + 1)
        row = (_due(stored), stored.version, dump_delivery(stored), column(old.id), old.version)

        def update(connection: sqlite3.Connection) -> Delivery | None:
            return stored if connection.execute(_REPLACE, row).rowcount else None

        return await self._writer.write(update)

    async def get(self, message_id: str) -> Delivery | None:
        """The message with that id."""
        found = await self._reader.by_key(_GET, column(message_id))
        return rows.loaded(message_id, found[0][1], load_delivery, "message") if found else None

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """The messages about a job, oldest first. A row that cannot be read is logged and left out."""
        found = await self._reader.by_key(_OF_JOB, column(job_id))
        return list(rows.readable(found, load_delivery, "message"))

    async def pending(self, limit: int) -> Sequence[PendingMessage]:
        """Messages that have a time for their next attempt, the earliest first."""
        return [_message(row) for row in await self._reader.listed(_PENDING, limit)]

    async def pending_of(
        self, account: str, limit: int, *, except_origins: Collection[str] = ()
    ) -> Sequence[PendingMessage]:
        """The same for one account, without messages to these servers."""
        # Only question marks get into the text; every value is bound.
        statement = _PENDING_OF % ", ".join("?" * len(except_origins))
        values = (column(account), *map(column, except_origins), limit)
        return [_message(row) for row in await self._reader.listed(statement, *values)]

    async def accounts_due(self, now: datetime) -> Sequence[str]:
        """The accounts that have a message due, in the order of their names."""
        return [account for (account,) in await self._reader.listed(_ACCOUNTS_DUE, microseconds(now))]

    async def next_due(self, after: datetime) -> datetime | None:
        """The earliest time later than ``after`` at which a message becomes due."""
        ((found,),) = await self._reader.listed(_NEXT_DUE, microseconds(after))
        return None if found is None else moment(found)

    async def backlog(self) -> Backlog:
        """The messages that have a time for their next attempt, counted."""
        ((messages, oldest_id),) = await self._reader.listed(_BACKLOG)
        return Backlog(messages=messages, oldest_id=oldest_id)

    async def disable(self, account: str, url: str, at: datetime) -> None:
        """Send no more messages of the account to that address."""
        row = (column(account), column(url), microseconds(at))
        await self._writer.write(lambda connection: connection.execute(_DISABLE, row).close())

    async def enable(self, account: str, url: str) -> bool:
        """Send messages of the account to that address again; False if it was not disabled."""
        row = (column(account), column(url))
        return await self._writer.write(lambda connection: connection.execute(_ENABLE, row).rowcount > 0)

    async def is_disabled(self, account: str, url: str) -> bool:
        """True if messages of the account to that address are disabled."""
        return bool(await self._reader.by_key(_IS_DISABLED, column(account), column(url)))


def rows_of(deliveries: Sequence[Delivery]) -> list[tuple[Any, ...]]:
    """Values for `insert`."""
    return [
        (
            *(column(delivery.id), column(delivery.job_id), column(delivery.account)),
            *(
                column(origin(delivery.url)),
                _due(delivery),
                delivery.version,
                dump_delivery(delivery),
            ),
        )
        for delivery in deliveries
    ]


def insert(connection: sqlite3.Connection, messages: Sequence[tuple[Any, ...]]) -> None:
    """Store new messages in the open transaction."""
    connection.executemany(_ADD, messages)


def delete_of_job(connection: sqlite3.Connection, job_id: str) -> None:
    """Delete the messages about a job in the open transaction."""
    connection.execute(_DELETE_OF_JOB, (column(job_id),))


def _due(delivery: Delivery) -> int | None:
    return None if delivery.next_try_at is None else microseconds(delivery.next_try_at)


def _message(row: tuple[Any, ...]) -> PendingMessage:
    message_id, account, origin, next_try_at_us = row
    return PendingMessage(id=message_id, account=account, origin=origin, next_try_at=moment(next_try_at_us))
