"""Migrate a PostgreSQL database to the newest schema; knows numbered SQL files, not the tables.

The files in ``postgres_migrations`` are the only definition of the schema, and ``musicgate.schema_version``
holds the number of the last one that ran. All that a database lacks runs in one transaction, behind an
advisory lock: a database is at one version or at another, and of two processes that start one migrates.

A file that is released never changes: a change of the schema is a new file with the next number.
"""

import logging
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, Final

from musicgate.errors import ConfigError

if TYPE_CHECKING:
    import asyncpg

    _Connection = asyncpg.Connection[asyncpg.Record]

_log = logging.getLogger(__name__)

_FOLDER: Traversable = files("musicgate.store") / "postgres_migrations"
_FILE_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")
_OLDEST_SERVER: Final = 140_000

_FACTS: Final = """
SELECT current_setting('server_version_num')::int AS server, current_setting('server_version') AS server_name,
    current_setting('server_encoding') AS encoding, current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync, current_setting('default_transaction_isolation') AS isolation, pg_is_in_recovery() AS is_standby,
    current_setting('transaction_read_only') AS read_only, current_user::text AS role,
    current_database()::text AS database, to_regnamespace('musicgate') IS NOT NULL AS has_schema,
    has_database_privilege(current_database(), 'CREATE') AS can_create
"""
_HAS_VERSION: Final = "SELECT to_regclass('musicgate.schema_version') IS NOT NULL"
_VERSION: Final = "SELECT version FROM musicgate.schema_version"
_START: Final = """
CREATE SCHEMA IF NOT EXISTS musicgate;
CREATE TABLE musicgate.schema_version (version int NOT NULL);
INSERT INTO musicgate.schema_version VALUES (0);
"""


def migrations() -> dict[int, Traversable]:
    """The SQL files by their numbers, in order."""
    numbered = [(found[1], file) for file in _FOLDER.iterdir() if (found := _FILE_NAME.fullmatch(file.name))]
    return {int(number): file for number, file in sorted(numbered, key=lambda pair: pair[0])}


async def check_server(connection: "_Connection", *, for_writing: bool) -> None:
    """Return if this server and this user of it can hold a store.

    Raises:
        ConfigError: they cannot; it says what to do.
    """
    facts: Any = await connection.fetchrow(_FACTS)
    if facts["server"] < _OLDEST_SERVER:
        raise _unfit(f"PostgreSQL {facts['server_name']} is too old: use 14 or later")
    if facts["encoding"] != "UTF8":
        raise _unfit(
            f"the database {facts['database']} has the encoding {facts['encoding']}: create one with"
            " ENCODING 'UTF8'"
        )
    if not for_writing:
        return
    if facts["is_standby"]:
        raise _unfit("this PostgreSQL is a standby and read-only: name the primary server")
    if facts["read_only"] == "on":
        raise _unfit(
            f"the database {facts['database']} is read-only for {facts['role']}: ALTER ROLE {facts['role']}"
            " SET default_transaction_read_only = off, or look whether the database has it set"
        )
    if facts["synchronous_commit"] == "off":
        raise _unfit(
            "synchronous_commit is off, so that a crash would lose jobs that were answered: ALTER ROLE"
            f" {facts['role']} SET synchronous_commit = on"
        )
    if facts["isolation"] != "read committed":
        raise _unfit(
            f"default_transaction_isolation is {facts['isolation']}: ALTER ROLE {facts['role']}"
            " SET default_transaction_isolation = 'read committed'"
        )
    if facts["fsync"] == "off":
        _log.warning("PostgreSQL runs with fsync = off: a power cut may lose jobs that were answered")
    if not facts["has_schema"] and not facts["can_create"]:
        raise _unfit(
            f"the user {facts['role']} may not create a schema in {facts['database']}: GRANT CREATE ON DATABASE"
            f" {facts['database']} TO {facts['role']}, or CREATE SCHEMA musicgate AUTHORIZATION {facts['role']}"
        )


async def migrate(connection: "_Connection") -> None:
    """Run the migrations that the database lacks, inside the transaction that is open.

    Raises:
        ConfigError: a newer musicgate has written the database; it is left alone.
        asyncpg.PostgresError: a migration failed.
    """
    known = migrations()
    version = await _version(connection)
    if version is None:
        await connection.execute(_START)
        version = 0
    if not 0 <= version <= max(known):
        raise _unknown_version(version)
    missing = [number for number in known if number > version]
    if not missing:
        return
    _log.info("migrating database: from_version=%d to_version=%d", version, missing[-1])
    for number in missing:
        await connection.execute(known[number].read_text("utf-8"))
    await connection.execute(f"UPDATE musicgate.schema_version SET version = {missing[-1]}")  # noqa: S608 - a number


async def is_current(connection: "_Connection") -> bool:
    """True if the database is at the newest version, False if it is at none or at an earlier one.

    Raises:
        ConfigError: a newer musicgate has written it.
    """
    version = await _version(connection)
    if version is not None and version > max(migrations()):
        raise _unknown_version(version)
    return version == max(migrations())


async def _version(connection: "_Connection") -> int | None:
    if not await connection.fetchval(_HAS_VERSION):
        return None
    return int(await connection.fetchval(_VERSION))


def _unknown_version(version: int) -> ConfigError:
    return _unfit(
        f"the database is at schema version {version}, which this version of musicgate does not know:"
        " use a newer one"
    )


def _unfit(message: str) -> ConfigError:
    return ConfigError(message, key="store.url")
