"""Accounts and keys in the SQLite job store; it knows rows, not what they allow."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from musicgate.accounts import Keyring, KeyringChange
from musicgate.store import keyring_rows as rows
from musicgate.store.group_commit import GroupWriter
from musicgate.store.sqlite_reader import SqliteReader

_VERSION: Final = "SELECT version FROM keyring"
_ACCOUNTS: Final = f"SELECT {rows.ACCOUNT_COLUMNS} FROM accounts ORDER BY name"  # noqa: S608 - names above
_KEYS: Final = f"SELECT {rows.KEY_COLUMNS} FROM api_keys ORDER BY id"  # noqa: S608 - names above
_CLAIM_VERSION: Final = "UPDATE keyring SET version = version + 1 WHERE version = ?"
_PUT_ACCOUNT: Final = (
    "INSERT INTO accounts (name, created_at_us, disabled_at_us, doc) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (name) DO UPDATE SET created_at_us = excluded.created_at_us,"
    " disabled_at_us = excluded.disabled_at_us, doc = excluded.doc"
)
_PUT_KEY: Final = (
    "INSERT INTO api_keys (id, account, name, digest, is_admin, created_at_us, expires_at_us, revoked_at_us,"
    " replaced_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET name = excluded.name, expires_at_us = excluded.expires_at_us,"
    " revoked_at_us = excluded.revoked_at_us, replaced_by = excluded.replaced_by"
)
_REMOVE_ACCOUNT: Final = "DELETE FROM accounts WHERE name = ?"
_REMOVE_KEY: Final = "DELETE FROM api_keys WHERE id = ?"
_NOTE_USE: Final = "UPDATE api_keys SET used_at_us = ?1 WHERE id = ?2 AND coalesce(used_at_us, 0) < ?1"


class SqliteKeys:
    """Accounts and keys, beside the jobs."""

    def __init__(self, writer: GroupWriter, reader: SqliteReader) -> None:
        """Share the job store's writer and reader."""
        self._writer = writer
        self._reader = reader

    async def version(self) -> int:
        """The number of changes so far."""
        ((version,),) = await self._reader.by_key(_VERSION)
        return int(version)

    async def load(self) -> Keyring:
        """All accounts and keys."""

        def read(connection: sqlite3.Connection) -> Keyring:
            ((version,),) = connection.execute(_VERSION).fetchall()
            accounts = connection.execute(_ACCOUNTS).fetchall()
            return rows.read_keyring(version, accounts, connection.execute(_KEYS).fetchall())

        return await self._reader.on_thread(read)

    async def change(self, version: int, change: KeyringChange) -> bool:
        """Store a change that was decided on that version."""

        def write(connection: sqlite3.Connection) -> bool:
            if connection.execute(_CLAIM_VERSION, (version,)).rowcount == 0:
                return False
            connection.executemany(_PUT_ACCOUNT, [rows.account_row(entry) for entry in change.accounts])
            connection.executemany(_PUT_KEY, [rows.key_row(key) for key in change.keys])
            connection.executemany(_REMOVE_ACCOUNT, [(name,) for name in change.removed_accounts])
            connection.executemany(_REMOVE_KEY, [(key_id,) for key_id in change.removed_keys])
            return True

        return await self._writer.write(write)

    async def note_uses(self, used_at: Mapping[str, datetime]) -> None:
        """Note when keys were last used."""
        uses = rows.use_rows(used_at)
        await self._writer.write(lambda connection: connection.executemany(_NOTE_USE, uses).close())
