"""Usage and the audit log in the PostgreSQL job store; knows SQL, and not what a caller may do.

Both are written in the statements of the jobs that they are about: see `postgres_statements`.
"""
# ruff: noqa: S608 - every text is made of constants, and every value is bound

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from musicgate.model import COMPLETED, AuditEntry, UsageQuery
from musicgate.store import books
from musicgate.store.columns import microseconds
from musicgate.store.postgres_connections import PostgresConnections

_COLUMNS: Final = ", ".join(books.AUDIT)
ADD_ENTRIES: Final = (
    f"INSERT INTO musicgate.audit_log ({_COLUMNS}) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[],"
    " $4::text[], $5::text[], $6::text[], $7::text[])"
)
#: The last number that was given out. The writers that got it, or an earlier one, have ended: see
#: `hold_audit_log`.
_UP_TO: Final = "SELECT known.last_value FROM musicgate.audit_log_number_seq AS known, pg_advisory_xact_lock(1835491692, 0)"
ENTRIES: Final = (
    f"SELECT number, {_COLUMNS} FROM musicgate.audit_log WHERE number > $1 AND number <= $2"
    " ORDER BY number LIMIT $3"
)
_FORGET: Final = "SELECT musicgate.sweep_audit_log($1, $2)"
#: Old entries deleted in one write.
_PAGE: Final = 1000


def usage(query: UsageQuery) -> tuple[str, list[Any]]:
    """The statement for the sums, and its values."""
    by = ", ".join(books.COLUMN_OF[group] for group in query.group_by)
    values: list[Any] = [COMPLETED, query.limit, books.day_number(query.first), books.day_number(query.last)]
    conditions = ["day BETWEEN $3 AND $4"]
    for name, value in (("account", query.account), ("key_id", query.key_id)):
        if value is not None:
            values.append(value)
            conditions.append(f"{name} = ${len(values)}")
    sums = "sum(usd_nanos)::bigint, sum(unpriced_jobs)::bigint, sum(audio_ms)::bigint"
    statement = (
        f"SELECT {f'{by}, ' if by else ''}sum(jobs)::bigint,"
        f" coalesce(sum(jobs) FILTER (WHERE outcome = $1), 0)::bigint, {sums}"
        f" FROM musicgate.usage_by_day WHERE {' AND '.join(conditions)}"
        f"{f' GROUP BY {by} ORDER BY {by}' if by else ' HAVING count(*) > 0'} LIMIT $2"
    )
    return statement, values


def entries(noted: Iterable[AuditEntry]) -> list[list[Any]]:
    """Values for `ADD_ENTRIES`."""
    return [list(column) for column in zip(*map(books.audit_row, noted), strict=True)]


class PostgresAuditLog:
    """The audit log, beside the jobs."""

    def __init__(self, connections: PostgresConnections) -> None:
        """Share the job store's connections."""
        self._connections = connections

    async def add(self, *noted: AuditEntry) -> None:
        """Append entries."""
        if noted:
            await self._connections.write(ADD_ENTRIES, *entries(noted))

    async def entries(self, after: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
        """One page of entries with their numbers."""
        ((up_to,),) = await self._connections.read(_UP_TO)
        found = await self._connections.read(ENTRIES, after, up_to, limit)
        return [books.read_entry(tuple(row)) for row in found]

    async def forget(self, before: datetime) -> int:
        """Delete entries of before then, page by page."""
        forgotten: int = 0
        while True:
            ((page,),) = await self._connections.write(_FORGET, microseconds(before), _PAGE)
            forgotten += int(page)
            if page < _PAGE:
                return forgotten
