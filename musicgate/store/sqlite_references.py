"""Which jobs use which kept object, in the SQLite job store; it knows names, and no bytes.

It writes through the job store's thread, so that the references of a job end in the same transaction as the
job.
"""

import sqlite3
from collections.abc import Collection, Sequence
from typing import Final

from musicgate.errors import JobNotFoundError
from musicgate.store.columns import column
from musicgate.store.group_commit import GroupWriter
from musicgate.store.sqlite_reader import SqliteReader

_IS_BEING_REMOVED: Final = "SELECT 1 FROM unused_assets WHERE name = ? AND is_being_removed"
_CLAIM: Final = (
    "INSERT INTO asset_references (name, job_id) SELECT ?1, id FROM jobs WHERE id = ?2"
    " ON CONFLICT (name, job_id) DO UPDATE SET name = excluded.name"
)
_IS_USED_AGAIN: Final = "DELETE FROM unused_assets WHERE name = ?"
_OF_JOB: Final = "SELECT name FROM asset_references WHERE job_id = ? ORDER BY name"
_FORGET: Final = "DELETE FROM asset_references WHERE job_id = ?"
_NOTE_UNUSED: Final = (
    "INSERT OR IGNORE INTO unused_assets (name)"
    " SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM asset_references WHERE name = ?1)"
)
_UNUSED: Final = "SELECT name FROM unused_assets WHERE name > ? ORDER BY name LIMIT ?"
_BEGIN_REMOVAL: Final = "UPDATE unused_assets SET is_being_removed = 1 WHERE name = ?"
_USERS: Final = (
    "SELECT name, job_id FROM asset_references WHERE (name, job_id) > (?, ?) ORDER BY name, job_id LIMIT ?"
)


class SqliteAssetReferences:
    """References of jobs to kept objects, beside the jobs."""

    def __init__(self, writer: GroupWriter, reader: SqliteReader) -> None:
        """Share the job store's writer and reader."""
        self._writer = writer
        self._reader = reader

    async def claim(self, name: str, job_id: str) -> bool:
        """Note that a job uses an object; False while the object is being removed."""
        key = (column(name), column(job_id))

        def claim(connection: sqlite3.Connection) -> bool:
            if connection.execute(_IS_BEING_REMOVED, key[:1]).fetchone():
                return False
            if connection.execute(_CLAIM, key).rowcount == 0:
                raise JobNotFoundError(job_id)
            connection.execute(_IS_USED_AGAIN, key[:1])
            return True

        return await self._writer.write(claim)

    async def of_job(self, job_id: str) -> Sequence[str]:
        """The objects that a job uses, in the order of their names."""
        return [name for (name,) in await self._reader.by_key(_OF_JOB, column(job_id))]

    async def release(self, job_id: str, names: Collection[str] = ()) -> Sequence[str]:
        """Forget what a job uses; what no job uses any more is noted as unused."""
        return await self._writer.write(lambda connection: release(connection, job_id, names))

    async def unused(self, after: str, limit: int) -> Sequence[str]:
        """One page of names of objects that no job uses, and whose bytes are not known to be removed."""
        return [name for (name,) in await self._reader.by_key(_UNUSED, column(after), limit)]

    async def begin_removal(self, name: str) -> bool:
        """Note that the bytes are being removed; False if a job uses the object again."""
        key = (column(name),)
        return await self._writer.write(
            lambda connection: connection.execute(_BEGIN_REMOVAL, key).rowcount > 0
        )

    async def end_removal(self, name: str) -> None:
        """Note that the bytes are removed."""
        key = (column(name),)
        await self._writer.write(lambda connection: connection.execute(_IS_USED_AGAIN, key).close())

    async def users(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """One page of names and the ids of jobs that use them, in their order."""
        return [(name, job_id) for name, job_id in await self._reader.listed(_USERS, *after, limit)]


def release(connection: sqlite3.Connection, job_id: str, names: Collection[str] = ()) -> list[str]:
    """Forget what a job uses, inside a transaction. Returns the names that it used, and ``names``."""
    key = (column(job_id),)
    used = [name for (name,) in connection.execute(_OF_JOB, key)]
    connection.execute(_FORGET, key)
    released = sorted({*used, *map(column, names)})
    connection.executemany(_NOTE_UNUSED, [(name,) for name in released])
    return released
