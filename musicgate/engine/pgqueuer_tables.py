"""Install pgqueuer's tables beside ours, and put the 64 shares into them; knows no owner.

They hold nothing that is not made again: which replica holds which share. So tables of another version of
pgqueuer are replaced when no other replica lives, and refused while one does.
"""
# ruff: noqa: S608 - every text is made of names in this package, and every value is bound

import logging
from typing import TYPE_CHECKING, Final

from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.errors import SchemaDriftError
from pgqueuer.queries import Queries

from musicgate.engine.pgqueuer_queries import SETTINGS, plain_queries
from musicgate.errors import ConfigError
from musicgate.model import SHARES

if TYPE_CHECKING:
    import asyncpg

    _Connection = asyncpg.Connection[asyncpg.Record]

_log = logging.getLogger(__name__)

#: The name of pgqueuer's task that holds a share. Its payload is the number of the share.
ENTRYPOINT: Final = "share"
_OF_SHARES: Final = "WHERE entrypoint = 'share' AND status IN ('queued', 'picked')"
_MISSING: Final = (
    f"SELECT {SHARES} > count(*) AS are_missing FROM {SETTINGS.qualified.queue_table} {_OF_SHARES}"
)
_CLEAN: Final = (
    f"DELETE FROM {SETTINGS.qualified.queue_table_log} WHERE aggregated AND created < now() - interval '1 day'",
    f"DELETE FROM {SETTINGS.qualified.statistics_table} WHERE created < now() - interval '30 days'",
)


async def install(connection: "_Connection", *, is_alone: bool) -> None:
    """Make the tables where they are missing, in an open transaction that holds the lock of migrations.

    Raises:
        ConfigError: they are those of another pgqueuer, and another replica lives.
        asyncpg.PostgresError: they could not be made.
    """
    queries = plain_queries(AsyncpgDriver(connection))
    if not await queries.schema_is_installed():
        _log.info("making the tables of pgqueuer")
        await queries.install(create_schema=False)
        return
    if await _are_current(queries):
        return
    if not is_alone:
        raise ConfigError(
            "another version of pgqueuer made its tables in the database, and another replica uses them: install"
            " the version of pgqueuer that it has, or stop all replicas and start them anew",
            key="store.url",
        )
    _log.warning("making the tables of pgqueuer anew: another version had made them")
    await queries.uninstall()
    await queries.install(create_schema=False)


async def _are_current(queries: Queries) -> bool:
    try:
        return not (await queries.plan_upgrade()).statements
    except SchemaDriftError:
        return False


async def seed(queries: Queries) -> None:
    """Add the shares that have no row."""
    (row,) = await queries.driver.fetch(_MISSING)
    if row["are_missing"]:
        shares = range(SHARES)
        await queries.enqueue(
            [ENTRYPOINT] * SHARES,
            [str(share).encode() for share in shares],
            [0] * SHARES,
            dedupe_key=[f"share-{share}" for share in shares],
            on_conflict="skip",
        )


async def clean(queries: Queries) -> None:
    """Delete old rows of the log, two for each share that changed hands, and of the statistics made of it."""
    await queries.aggregate_logs()
    for statement in _CLEAN:
        await queries.driver.execute(statement)
