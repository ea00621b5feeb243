"""Accounts and keys in the PostgreSQL job store; it knows rows, not what they allow."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from musicgate.accounts import Keyring, KeyringChange
from musicgate.store import keyring_rows as rows
from musicgate.store.postgres_connections import PostgresConnections, Transaction

VERSION: Final = "SELECT version FROM musicgate.keyring"
_ACCOUNTS: Final = f"SELECT {rows.ACCOUNT_COLUMNS} FROM musicgate.accounts ORDER BY name"  # noqa: S608 - names
_KEYS: Final = f"SELECT {rows.KEY_COLUMNS} FROM musicgate.api_keys ORDER BY id"  # noqa: S608 - names
_CLAIM_VERSION: Final = (
    "UPDATE musicgate.keyring SET version = version + 1 WHERE version = $1 RETURNING version"
)
_PUT_ACCOUNT: Final = (
    "INSERT INTO musicgate.accounts (name, created_at_us, disabled_at_us, doc) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (name) DO UPDATE SET created_at_us = excluded.created_at_us,"
    " disabled_at_us = excluded.disabled_at_us, doc = excluded.doc"
)
_PUT_KEY: Final = (
    "INSERT INTO musicgate.api_keys (id, account, name, digest, is_admin, created_at_us, expires_at_us,"
    " revoked_at_us, replaced_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    " ON CONFLICT (id) DO UPDATE SET name = excluded.name, expires_at_us = excluded.expires_at_us,"
    " revoked_at_us = excluded.revoked_at_us, replaced_by = excluded.replaced_by"
)
_REMOVE_ACCOUNTS: Final = "DELETE FROM musicgate.accounts WHERE name = ANY($1::text[])"
_REMOVE_KEYS: Final = "DELETE FROM musicgate.api_keys WHERE id = ANY($1::text[])"
# Of several replicas that note the same keys, none waits for another in a circle.
_NOTE_USES: Final = """
WITH uses AS (SELECT at, id FROM unnest($1::bigint[], $2::text[]) AS given (at, id)),
held AS (
    SELECT key.id, at FROM musicgate.api_keys AS key JOIN uses ON uses.id = key.id
    WHERE coalesce(key.used_at_us, 0) < at ORDER BY key.id FOR UPDATE OF key
)
UPDATE musicgate.api_keys AS key SET used_at_us = at FROM held WHERE key.id = held.id
"""


class PostgresKeys:
    """Accounts and keys, beside the jobs."""

    def __init__(self, connections: PostgresConnections) -> None:
        """Share the job store's connections."""
        self._connections = connections

    async def version(self) -> int:
        """The number of changes so far."""
        ((version,),) = await self._connections.read(VERSION)
        return int(version)

    async def load(self) -> Keyring:
        """All accounts and keys."""
        version = await self.version()  # first: what is read after it may be newer, never older
        accounts = await self._connections.read(_ACCOUNTS)
        keys = await self._connections.read(_KEYS)
        return await asyncio.to_thread(rows.read_keyring, version, accounts, keys)

    async def change(self, version: int, change: KeyringChange) -> bool:
        """Store a change that was decided on that version."""

        async def write(transaction: Transaction) -> bool:
            if not await transaction.run(_CLAIM_VERSION, version):
                return False
            for entry in change.accounts:
                await transaction.run(_PUT_ACCOUNT, *rows.account_row(entry))
            for key in change.keys:
                await transaction.run(_PUT_KEY, *rows.key_row(key))
            await transaction.run(_REMOVE_ACCOUNTS, list(change.removed_accounts))
            await transaction.run(_REMOVE_KEYS, list(change.removed_keys))
            return True

        return await self._connections.transaction(write)

    async def note_uses(self, used_at: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        uses = rows.use_rows(used_at)
        await self._connections.write(_NOTE_USES, [at for at, _ in uses], [key_id for _, key_id in uses])
