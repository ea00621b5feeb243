"""The outbox of the SQLite job store; it knows SQL, and nothing of receivers or signatures.

It writes through the job store's thread, so that a message is stored in the same transaction as the end of its job.
"""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from musicgate import delivery as rules
from musicgate.adapters import rows
from musicgate.adapters.group_commit import GroupWriter
from musicgate.adapters.sqlite_reader import SqliteReader
from musicgate.adapters.sqlite_statements import column, microseconds
from musicgate.codec import dump_delivery, load_delivery
from musicgate.model import Delivery

_ADD: Final = "INSERT INTO webhook_deliveries (id, job_id, origin, next_try_at_us, version, doc) VALUES (?, ?, ?, ?, ?, ?)"
_REPLACE: Final = (
    "UPDATE webhook_deliveries SET next_try_at_us = ?, version = ?, doc = ? WHERE id = ? AND version = ?"
)
_OF_JOB: Final = "SELECT id, doc FROM webhook_deliveries WHERE job_id = ? ORDER BY id"
_GET: Final = "SELECT id, doc FROM webhook_deliveries WHERE id = ?"
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
        return rows.loaded(message_id, found[0][1], load_delivery, "the message") if found else None

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """The messages about a job, oldest first. A row that cannot be read is logged and left out."""
        found = await self._reader.by_key(_OF_JOB, column(job_id))
        return list(rows.readable(found, load_delivery, "the message"))

    async def pending(
        self, limit: int, *, except_ids: Collection[str] = (), except_origins: Collection[str] = ()
    ) -> Sequence[Delivery]:
        """Messages that are to be sent, those that are due first come first. A row that cannot be read is logged and left out."""
        # Only question marks get into the text; every value is bound.
        statement = (
            "SELECT id, doc FROM webhook_deliveries WHERE next_try_at_us IS NOT NULL"  # noqa: S608
            f" AND id NOT IN ({_marks(except_ids)}) AND origin NOT IN ({_marks(except_origins)})"
            " ORDER BY next_try_at_us, id LIMIT ? OFFSET ?"
        )
        excepted = (*map(column, except_ids), *map(column, except_origins))

        def read(connection: sqlite3.Connection) -> list[Delivery]:
            found: list[Delivery] = []
            seen = 0
            while missing := limit - len(found):
                page = connection.execute(statement, (*excepted, missing, seen)).fetchall()
                found += rows.readable(page, load_delivery, "the message")
                if len(page) < missing:
                    break
                seen += len(page)
            return found

        return await self._reader.on_thread(read)

    async def disable(self, account: str, url: str, at: datetime) -> None:
        """Note that an account's address wants no more messages."""
        row = (column(account), column(url), microseconds(at))
        await self._writer.write(lambda connection: connection.execute(_DISABLE, row).close())

    async def enable(self, account: str, url: str) -> bool:
        """Forget that an account's address wants no more messages; False when it was not noted."""
        row = (column(account), column(url))
        return await self._writer.write(lambda connection: connection.execute(_ENABLE, row).rowcount > 0)

    async def is_disabled(self, account: str, url: str) -> bool:
        """True if that address wants no more messages of the account."""
        return bool(await self._reader.by_key(_IS_DISABLED, column(account), column(url)))


def rows_of(deliveries: Sequence[Delivery]) -> list[tuple[Any, ...]]:
    """Values for `insert`."""
    return [
        (
            *(column(delivery.id), column(delivery.job_id), column(rules.origin(delivery.url))),
            *(_due(delivery), delivery.version, dump_delivery(delivery)),
        )
        for delivery in deliveries
    ]


def insert(connection: sqlite3.Connection, messages: Sequence[tuple[Any, ...]]) -> None:
    """Store new messages, in the transaction that is open."""
    connection.executemany(_ADD, messages)


def delete_of_job(connection: sqlite3.Connection, job_id: str) -> None:
    """Remove the messages about a job, in the transaction that is open."""
    connection.execute(_DELETE_OF_JOB, (column(job_id),))


def _due(delivery: Delivery) -> int | None:
    return None if delivery.next_try_at is None else microseconds(delivery.next_try_at)


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))
