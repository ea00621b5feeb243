"""Which jobs use which kept object, in the PostgreSQL job store; it knows names, and no bytes.

Whether an object is used is decided behind a lock on its name, which a transaction holds to its end. It is
taken in a statement of its own: the next one sees what those before it have done. Who locks a job and names
locks the job first, and the names in their order, so that no two wait for each other.

Any replica may remove bytes, and one that was stalled between `begin_removal` and the removal itself may wake
up at any later time. So a removal belongs to the process that began it. Another one takes it over after ten
minutes, and from then on the name is retired: no job gets it again, and late removals hit nothing. Its row
stays.
"""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import uuid4

from musicgate.errors import JobNotFoundError
from musicgate.store.postgres_connections import PostgresConnections, Transaction

#: "musi": these locks have two numbers, and are no others' of the same database.
_LOCK: Final = "SELECT pg_advisory_xact_lock(1836413801, hashtext(name)) FROM unnest($1::text[]) AS name"
# Not deleted before the claim is there.
_HOLD_JOB: Final = "SELECT 1 FROM musicgate.jobs WHERE id = $1 FOR KEY SHARE"
_IS_BEING_REMOVED: Final = "SELECT 1 FROM musicgate.unused_assets WHERE name = $1 AND is_being_removed"
_CLAIM: Final = "INSERT INTO musicgate.asset_references (name, job_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_IS_USED_AGAIN: Final = "DELETE FROM musicgate.unused_assets WHERE name = $1"
OF_JOB: Final = "SELECT name FROM musicgate.asset_references WHERE job_id = $1 ORDER BY name"
_FORGET: Final = "DELETE FROM musicgate.asset_references WHERE job_id = $1 AND name = ANY($2::text[])"
_NOTE_UNUSED: Final = (
    "INSERT INTO musicgate.unused_assets (name) SELECT name FROM unnest($1::text[]) AS released(name)"
    " WHERE NOT EXISTS (SELECT 1 FROM musicgate.asset_references AS used WHERE used.name = released.name)"
    " ON CONFLICT DO NOTHING"
)
UNUSED: Final = (
    "SELECT name FROM musicgate.unused_assets WHERE name > $1 AND NOT is_removed ORDER BY name LIMIT $2"
)
#: Longer than any removal takes: a removal that is taken over retires a name.
TAKE_OVER_MINUTES: Final = 10
# A removal without a remover is of a version that had one process: it has ended.
_BEGIN_REMOVAL: Final = f"""
UPDATE musicgate.unused_assets SET is_being_removed = true, remover = $2, began_at = clock_timestamp(),
    is_retired = is_retired OR (is_being_removed AND remover IS NOT NULL AND remover <> $2)
WHERE name = $1 AND NOT is_removed AND (
    NOT is_being_removed OR remover IS NULL OR remover = $2
    OR began_at < clock_timestamp() - interval '{TAKE_OVER_MINUTES} minutes'
)
RETURNING 1
"""  # noqa: S608 - a number
_RETIRE: Final = (
    "UPDATE musicgate.unused_assets SET is_removed = true WHERE name = $1 AND remover = $2 AND is_retired"
)
_END_REMOVAL: Final = (
    "DELETE FROM musicgate.unused_assets WHERE name = $1 AND remover = $2 AND NOT is_retired"
)
USERS: Final = (
    "SELECT name, job_id FROM musicgate.asset_references WHERE (name, job_id) > ($1, $2)"
    " ORDER BY name, job_id LIMIT $3"
)


class PostgresAssetReferences:
    """References of jobs to kept objects, beside the jobs."""

    def __init__(self, connections: PostgresConnections) -> None:
        """Share the job store's connections."""
        self._connections = connections
        self._remover = uuid4().hex

    async def claim(self, name: str, job_id: str) -> bool:
        """Note that a job uses an object; False while the object is being removed."""

        async def claim(transaction: Transaction) -> bool:
            has_job = bool(await transaction.run(_HOLD_JOB, job_id))
            await transaction.run(_LOCK, [name])
            if await transaction.run(_IS_BEING_REMOVED, name):
                return False
            if not has_job:
                raise JobNotFoundError(job_id)
            await transaction.run(_CLAIM, name, job_id)
            await transaction.run(_IS_USED_AGAIN, name)
            return True

        return await self._connections.transaction(claim)

    async def of_job(self, job_id: str) -> Sequence[str]:
        """The objects that a job uses, in the order of their names."""
        return [name for (name,) in await self._connections.read(OF_JOB, job_id)]

    async def release(self, job_id: str, names: Collection[str] = ()) -> Sequence[str]:
        """Forget what a job uses; what no job uses any more is noted as unused."""
        return await self._connections.transaction(lambda transaction: release(transaction, job_id, names))

    async def unused(self, after: str, limit: int) -> Sequence[str]:
        """One page of names of objects that no job uses, and whose bytes are not known to be removed."""
        return [name for (name,) in await self._connections.read(UNUSED, after, limit)]

    async def begin_removal(self, name: str) -> bool:
        """Note that the bytes are being removed; False if a job uses them, or another process does that."""

        async def begin(transaction: Transaction) -> bool:
            await transaction.run(_LOCK, [name])
            return bool(await transaction.run(_BEGIN_REMOVAL, name, self._remover))

        return await self._connections.transaction(begin)

    async def end_removal(self, name: str) -> None:
        """Note that the bytes are removed; nothing, if another process has taken the removal over."""

        async def end(transaction: Transaction) -> None:
            await transaction.run(_LOCK, [name])
            await transaction.run(_RETIRE, name, self._remover)
            await transaction.run(_END_REMOVAL, name, self._remover)

        await self._connections.transaction(end)

    async def users(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """One page of names and the ids of jobs that use them, in their order."""
        return [(name, job_id) for name, job_id in await self._connections.read(USERS, *after, limit)]


async def release(transaction: Transaction, job_id: str, names: Collection[str] = ()) -> list[str]:
    """Forget what a job uses, inside a transaction. Returns the names that it used, and ``names``."""
    used = [name for (name,) in await transaction.run(OF_JOB, job_id)]
    released = sorted({*used, *names})
    await transaction.run(_LOCK, released)
    await transaction.run(_FORGET, job_id, released)
    await transaction.run(_NOTE_UNUSED, released)
    return released
