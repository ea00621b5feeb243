"""Copy a SQLite job store into an empty PostgreSQL one; knows both schemas, and no job's state.

Every table of the one has its like in the other, so nothing is decoded, and a damaged row stays what it was.
All of it is one transaction: a copy that is stopped leaves nothing, and is begun again.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from musicgate.errors import ConfigError, StorageError
from musicgate.model import share_of
from musicgate.store import books
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.postgres_connections import Transaction
from musicgate.store.sqlite_errors import describe

#: Rows that are in memory at a time, and the bytes of one COPY.
_ROWS: Final = 200
#: The numbers of the copied entries are not given out again.
_GO_ON_AFTER: Final = "SELECT setval('musicgate.audit_log_number_seq', max(number)) FROM musicgate.audit_log"
#: The events from before they were in the rows of their jobs, one a line.
_EARLIER_EVENTS: Final = (
    "(SELECT coalesce(group_concat(doc || char(10), ''), '') FROM"
    " (SELECT doc FROM job_events WHERE job_id = jobs.id ORDER BY number))"
)
#: Table -> its columns. What jobs cost by day is kept by triggers; who holds a store is its own.
_TABLES: Final = {
    "jobs": (
        *("id", "account", "state", "plugin", "native_id", "model", "created_at_us", "updated_at_us"),
        *("finished_at_us", "price_usd_nanos", "version", "doc", "events"),
    ),
    "idempotency_keys": ("account", "route", "key", "fingerprint", "job_id", "created_at_us"),
    "webhook_deliveries": ("id", "job_id", "account", "origin", "next_try_at_us", "version", "doc"),
    "disabled_webhooks": ("account", "url", "disabled_at_us"),
    "marks": ("name", "value"),
    "asset_references": ("name", "job_id"),
    "unused_assets": ("name", "is_being_removed"),
    "usage_by_day": (*books.KEYS, *books.SUMS),
    "audit_log": ("number", *books.AUDIT),
    "accounts": ("name", "created_at_us", "disabled_at_us", "doc"),
    "api_keys": (
        *("id", "account", "name", "digest", "is_admin", "created_at_us", "expires_at_us", "revoked_at_us"),
        *("replaced_by", "used_at_us"),
    ),
}
#: A store in which a key was made stays closed to callers without one.
_KEYRING_VERSION: Final = "SELECT version FROM keyring"
_SET_KEYRING_VERSION: Final = "UPDATE musicgate.keyring SET version = $1"
#: Columns that SQLite has not.
_ADDED: Final = {"jobs": ("share",)}
#: Columns that are not read as they are.
_READ_AS: Final = {"jobs.events": f"{_EARLIER_EVENTS} || events"}


async def copy_into_postgres(
    source: Path, target: PostgresJobStore, copied: Callable[[str, int], None]
) -> dict[str, int]:
    """Copy every row of a store that no process uses; the source is only read.

    Args:
        copied: is told the table and the number of rows that were copied since it was told last.

    Returns:
        The number of rows by table.

    Raises:
        ConfigError: the target is not empty.
        StorageError: one of the stores fails; the target is as it was.
    """

    async def work(transaction: Transaction) -> dict[str, int]:
        for table in _TABLES:
            if await transaction.run(f"SELECT 1 FROM musicgate.{table} LIMIT 1"):  # noqa: S608 - a name above
                raise ConfigError(
                    f"the target is not empty: there are rows in its table {table}; copy into a new database",
                    key="store.url",
                )
        counts: dict[str, int] = {}
        for table, columns in _TABLES.items():
            counts[table] = 0
            names = ", ".join(_READ_AS.get(f"{table}.{column}", f'"{column}"') for column in columns)
            cursor = connection.execute(f"SELECT {names} FROM {table}")  # noqa: S608 - names above
            while page := await asyncio.to_thread(cursor.fetchmany, _ROWS):
                rows = [_row(table, row) for row in page]
                await transaction.copy(table, (*columns, *_ADDED.get(table, ())), rows)
                counts[table] += len(rows)
                copied(table, len(rows))
        if counts["audit_log"]:
            await transaction.run(_GO_ON_AFTER)
        ((version,),) = connection.execute(_KEYRING_VERSION).fetchall()
        await transaction.run(_SET_KEYRING_VERSION, version)
        return counts

    try:
        with closing(sqlite3.connect(source, check_same_thread=False)) as connection:
            connection.execute("PRAGMA query_only = ON")
            return await target.transaction(work)
    except sqlite3.Error as exc:
        raise StorageError(f"the job store {source} cannot be read: {describe(exc)}") from exc


def _row(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    if table == "jobs":
        return (*row, share_of(row[0]))
    if table == "api_keys":
        return (*row[:4], bool(row[4]), *row[5:])
    return (row[0], bool(row[1])) if table == "unused_assets" else row
