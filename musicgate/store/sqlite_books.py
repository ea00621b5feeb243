"""Usage and the audit log in the SQLite job store; knows SQL, and not what a caller may do.

Both are written in the transactions of the jobs that they are about.
"""
# ruff: noqa: S608 - every text is made of constants, and every value is bound

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from musicgate.model import COMPLETED, AuditEntry, UsageQuery
from musicgate.store import books
from musicgate.store.columns import column, microseconds
from musicgate.store.group_commit import GroupWriter
from musicgate.store.sqlite_reader import SqliteReader

ADD_USAGE: Final = (
    f"INSERT INTO usage_by_day ({', '.join((*books.KEYS, *books.SUMS))}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    f" ON CONFLICT ({', '.join(books.KEYS)}) DO UPDATE"
    f" SET {', '.join(f'{name} = {name} + excluded.{name}' for name in books.SUMS)}"
)
ADD_ENTRY: Final = f"INSERT INTO audit_log ({', '.join(books.AUDIT)}) VALUES (?, ?, ?, ?, ?, ?, ?)"
_ENTRIES: Final = (
    f"SELECT number, {', '.join(books.AUDIT)} FROM audit_log WHERE number > ? ORDER BY number LIMIT ?"
)
#: A page of the oldest entries, as far as they are old.
_FORGET: Final = (
    "DELETE FROM audit_log WHERE number IN ("
    "SELECT number FROM (SELECT number, at_us FROM audit_log ORDER BY number LIMIT ?)"
    " WHERE at_us < ? AND number < (SELECT max(number) FROM audit_log))"
)
_ALLOW: Final = "UPDATE audit_sweep SET before_us = ?"
#: Old entries deleted in one write: every other write waits so long at most.
_PAGE: Final = 200


def usage(query: UsageQuery) -> tuple[str, list[str | int | None]]:
    """The statement for the sums, and its values."""
    names = [books.COLUMN_OF[group] for group in query.group_by]
    by = ", ".join(names)
    values: list[str | int | None] = [COMPLETED, books.day_number(query.first), books.day_number(query.last)]
    conditions = ["day BETWEEN ? AND ?"]
    for name, value in (("account", query.account), ("key_id", query.key_id)):
        if value is not None:
            conditions.append(f"{name} = ?")
            values.append(column(value))
    sums = "sum(usd_nanos), sum(unpriced_jobs), sum(audio_ms)"
    statement = (
        f"SELECT {f'{by}, ' if by else ''}sum(jobs), sum(CASE outcome WHEN ? THEN jobs ELSE 0 END), {sums}"
        f" FROM usage_by_day WHERE {' AND '.join(conditions)}"
        f"{f' GROUP BY {by} ORDER BY {by}' if by else ' HAVING count(*) > 0'} LIMIT ?"
    )
    return statement, [*values, query.limit]


class SqliteAuditLog:
    """The audit log, beside the jobs."""

    def __init__(self, writer: GroupWriter, reader: SqliteReader) -> None:
        """Share the job store's writer and reader."""
        self._writer = writer
        self._reader = reader

    async def add(self, *entries: AuditEntry) -> None:
        """Append entries."""
        rows = [books.audit_row(entry) for entry in entries]
        await self._writer.write(lambda connection: connection.executemany(ADD_ENTRY, rows).close())

    async def entries(self, after: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
        """One page of entries with their numbers."""
        return [books.read_entry(row) for row in await self._reader.listed(_ENTRIES, after, limit)]

    async def forget(self, before: datetime) -> int:
        """Delete entries of before then, page by page."""
        before_us, forgotten = microseconds(before), 0

        def forget(connection: sqlite3.Connection) -> int:
            connection.execute(_ALLOW, (before_us,))
            count = connection.execute(_FORGET, (_PAGE, before_us)).rowcount
            connection.execute(_ALLOW, (0,))
            return count

        while True:
            page = await self._writer.write(forget)
            forgotten += page
            if page < _PAGE:
                return forgotten
