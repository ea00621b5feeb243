"""The outbox of the PostgreSQL job store; knows SQL, and nothing of receivers or signatures."""
# ruff: noqa: S608 - every text is made of constants, and every value is bound

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from musicgate.codec import dump_delivery, load_delivery
from musicgate.model import Delivery
from musicgate.store import rows
from musicgate.store.columns import microseconds, moment
from musicgate.store.port import Backlog, PendingMessage
from musicgate.store.postgres_connections import PostgresConnections
from musicgate.store.postgres_statements import due

_TABLE: Final = "musicgate.webhook_deliveries"
_REPLACE: Final = (
    f"UPDATE {_TABLE} SET next_try_at_us = $1, version = $2, doc = $3 WHERE id = $4 AND version = $5"
    " RETURNING id"
)
OF_JOB: Final = f"SELECT id, doc FROM {_TABLE} WHERE job_id = $1 ORDER BY id"
GET: Final = f"SELECT id, doc FROM {_TABLE} WHERE id = $1"
# The condition of its index, to the letter.
PENDING: Final = (
    f"SELECT id, account, origin, next_try_at_us FROM {_TABLE} WHERE next_try_at_us >= 0"
    " ORDER BY next_try_at_us, id LIMIT $1"
)
#: At most so many messages of an account are searched for one to a server that is not excepted.
_SCANNED: Final = 10_000
# The inner limit bounds the scan, which ends earlier when the outer limit is reached.
PENDING_OF: Final = (
    "SELECT id, account, origin, next_try_at_us FROM (SELECT id, account, origin, next_try_at_us"
    f" FROM {_TABLE} WHERE account = $1 AND next_try_at_us IS NOT NULL"
    f" ORDER BY next_try_at_us, id LIMIT {_SCANNED}) AS own"
    " WHERE origin <> ALL($3::text[]) ORDER BY next_try_at_us, id LIMIT $2"
)
# One index look-up per account, and one for its earliest message, however many messages there are.
_NEXT_ACCOUNT: Final = f"SELECT min(account) FROM {_TABLE} WHERE next_try_at_us IS NOT NULL"
ACCOUNTS_DUE: Final = (
    f"WITH RECURSIVE known(account) AS ({_NEXT_ACCOUNT} UNION ALL"
    f" SELECT ({_NEXT_ACCOUNT} AND account > known.account) FROM known WHERE known.account IS NOT NULL)"
    " SELECT account FROM known WHERE account IS NOT NULL"
    f" AND (SELECT min(next_try_at_us) FROM {_TABLE}"
    " WHERE account = known.account AND next_try_at_us IS NOT NULL) <= $1"
)
NEXT_DUE: Final = (
    f"SELECT min(next_try_at_us) FROM {_TABLE} WHERE next_try_at_us > $1 AND next_try_at_us >= 0"
)
# The condition of its index, to the letter.
BACKLOG: Final = f"SELECT count(*), min(id) FROM {_TABLE} WHERE next_try_at_us >= 0"
DELETE_OF_JOB: Final = f"DELETE FROM {_TABLE} WHERE job_id = $1"
_THE_ADDRESS: Final = (
    "FROM musicgate.disabled_webhooks WHERE account = $1 AND url = $2"
    " AND hashtextextended(url, 0) = hashtextextended($2, 0)"
)
IS_DISABLED: Final = f"SELECT 1 {_THE_ADDRESS}"
_DISABLE: Final = (
    "INSERT INTO musicgate.disabled_webhooks (account, url, disabled_at_us)"
    f" SELECT $1::text, $2::text, $3::bigint WHERE NOT EXISTS ({IS_DISABLED})"
)
_ENABLE: Final = f"DELETE {_THE_ADDRESS} RETURNING 1"


class PostgresOutbox:
    """Messages to webhooks, beside the jobs that they are about."""

    def __init__(self, connections: PostgresConnections) -> None:
        """Share the job store's connections."""
        self._connections = connections

    async def replace(self, old: Delivery, new: Delivery) -> Delivery | None:
        """Store ``new`` if the stored version is still that of ``old``; None when it is not."""
        stored = attrs.evolve(new, version=old.version + 1)
        values = (due(stored), stored.version, dump_delivery(stored), old.id, old.version)
        return stored if await self._connections.write(_REPLACE, *values) else None

    async def get(self, message_id: str) -> Delivery | None:
        """The message with that id."""
        found = await self._connections.read(GET, message_id)
        return rows.loaded(message_id, found[0][1], load_delivery, "message") if found else None

    async def of_job(self, job_id: str) -> Sequence[Delivery]:
        """The messages about a job, oldest first. A row that cannot be read is logged and left out."""
        found = await self._connections.read(OF_JOB, job_id)
        return list(rows.readable(found, load_delivery, "message"))

    async def pending(self, limit: int) -> Sequence[PendingMessage]:
        """Messages that have a time for their next attempt, the earliest first."""
        return [_message(row) for row in await self._connections.read(PENDING, limit)]

    async def pending_of(
        self, account: str, limit: int, *, except_origins: Collection[str] = ()
    ) -> Sequence[PendingMessage]:
        """The same for one account, without messages to these servers."""
        found = await self._connections.read(PENDING_OF, account, limit, list(except_origins))
        return [_message(row) for row in found]

    async def accounts_due(self, now: datetime) -> Sequence[str]:
        """The accounts that have a message due, in the order of their names."""
        return [account for (account,) in await self._connections.read(ACCOUNTS_DUE, microseconds(now))]

    async def next_due(self, after: datetime) -> datetime | None:
        """The earliest time later than ``after`` at which a message becomes due."""
        ((found,),) = await self._connections.read(NEXT_DUE, microseconds(after))
        return None if found is None else moment(found)

    async def backlog(self) -> Backlog:
        """The messages that have a time for their next attempt, counted."""
        ((messages, oldest_id),) = await self._connections.read(BACKLOG)
        return Backlog(messages=messages, oldest_id=oldest_id)

    async def disable(self, account: str, url: str, at: datetime) -> None:
        """Send no more messages of the account to that address."""
        await self._connections.write(_DISABLE, account, url, microseconds(at))

    async def enable(self, account: str, url: str) -> bool:
        """Send messages of the account to that address again; False if it was not disabled."""
        return bool(await self._connections.write(_ENABLE, account, url))

    async def is_disabled(self, account: str, url: str) -> bool:
        """True if messages of the account to that address are disabled."""
        return bool(await self._connections.read(IS_DISABLED, account, url))


def _message(row: tuple[Any, ...]) -> PendingMessage:
    message_id, account, origin, next_try_at_us = row
    return PendingMessage(id=message_id, account=account, origin=origin, next_try_at=moment(next_try_at_us))
