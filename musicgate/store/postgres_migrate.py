"""Migrate a PostgreSQL database to the newest schema; knows numbered SQL files, not the tables.

The files in ``postgres_migrations`` are the only definition of the schema, and ``musicgate.schema_version``
holds the number of the last one that ran. All that a database lacks runs in one transaction, behind an
advisory lock: a database is at one version or at another, and of two processes that start one migrates.

A file that is released never changes: a change of the schema is a new file with the next number. Its first
line, ``-- works with: N``, names the oldest schema version whose software goes on working once it has run. A
process holds an advisory lock that says its own version, and a migration that it could not work with refuses
while it is there.
"""

import json
import logging
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.errors import ConfigError

if TYPE_CHECKING:
    import asyncpg

    _Connection = asyncpg.Connection[asyncpg.Record]

_log = logging.getLogger(__name__)

_FOLDER: Traversable = files("musicgate.store") / "postgres_migrations"
_FILE_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")
_WORKS_WITH: Final = re.compile(r"-- works with: (\d+)\n")
_OLDEST_SERVER: Final = 140_000
#: "mgsv": the class of shared advisory locks that say which schema version a process was made for.
_VERSION_CLASS: Final = 0x6D677376
#: A migration of a large table takes as long as it takes, and other processes that start wait for it.
MIGRATION_TIMEOUT_S: Final = 86_400.0
#: A replica that was seen so lately may be there, although its connection is lost just now.
_SEEN_S: Final = 60

_FACTS: Final = """
SELECT current_setting('server_version_num')::int AS server, current_setting('server_version') AS server_name,
    current_setting('server_encoding') AS encoding, current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync, current_setting('default_transaction_isolation') AS isolation,
    pg_is_in_recovery() AS is_standby,
    current_setting('transaction_read_only') AS read_only, current_user::text AS role,
    current_database()::text AS database, to_regnamespace('musicgate') IS NOT NULL AS has_schema,
    has_database_privilege(current_database(), 'CREATE') AS can_create
"""
_HAS_VERSION: Final = "SELECT to_regclass('musicgate.schema_version') IS NOT NULL"
_VERSION: Final = "SELECT row_to_json(found)::text FROM musicgate.schema_version AS found"
_SET_VERSION: Final = "UPDATE musicgate.schema_version SET version = $1, works_with = $2"
_HOLD_VERSION: Final = "SELECT pg_advisory_lock_shared($1, $2)"
_HELD_VERSIONS: Final = """
SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid::bigint = $1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_HAS_REPLICAS: Final = "SELECT to_regclass('musicgate.replicas') IS NOT NULL"
_SEEN_VERSIONS: Final = f"""
SELECT schema_version FROM musicgate.replicas
WHERE seen_at > clock_timestamp() - interval '{_SEEN_S} seconds'
"""  # noqa: S608 - a number
_START: Final = """
CREATE SCHEMA IF NOT EXISTS musicgate;
CREATE TABLE musicgate.schema_version (version int NOT NULL);
INSERT INTO musicgate.schema_version VALUES (0);
"""


@attrs.frozen
class Migration:
    """One step of the schema.

    Attributes:
        works_with: the oldest schema version whose software can use the database afterwards.
    """

    script: str
    works_with: int


@attrs.frozen
class _Schema:
    """What a database says of itself. ``version`` 0: there is nothing yet."""

    version: int
    works_with: int


def migrations() -> dict[int, Migration]:
    """The migrations by their numbers, in order.

    Raises:
        ValueError: a file does not say what it works with.
    """
    numbered = sorted(
        (int(found[1]), file) for file in _FOLDER.iterdir() if (found := _FILE_NAME.fullmatch(file.name))
    )
    return {number: _read(file) for number, file in numbered}


def newest_version() -> int:
    """The schema version that this software was made for."""
    return max(migrations())


def _read(file: Traversable) -> Migration:
    script = file.read_text("utf-8")
    found = _WORKS_WITH.match(script)
    if found is None:
        raise ValueError(f"{file.name}: its first line must be '-- works with: N'")
    return Migration(script, int(found[1]))


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
        ConfigError: a newer musicgate has written the database, or processes of an earlier version are there
            that could not go on; it is left alone.
        asyncpg.PostgresError: a migration failed.
    """
    known = migrations()
    found = await _schema(connection)
    _check(found)
    missing = [number for number in known if number > found.version]
    if not missing:
        return
    works_with = max(known[number].works_with for number in missing)
    if found.version:
        await _check_processes(connection, found.version, missing[-1], works_with)
    else:
        await connection.execute(_START)
    _log.info("migrating database: from_version=%d to_version=%d", found.version, missing[-1])
    for number in missing:
        await connection.execute(known[number].script, timeout=MIGRATION_TIMEOUT_S)
    await connection.execute(_SET_VERSION, missing[-1], max(found.works_with, works_with))


async def check_schema(connection: "_Connection") -> None:
    """Return if this software can use the tables as they are.

    Raises:
        ConfigError: it cannot.
    """
    if not await is_current(connection):
        raise _unfit("the tables are gone: start musicgate anew")


async def versions(connection: "_Connection") -> tuple[int, int]:
    """The schema version of a database (0 = there is nothing yet), and that of this software.

    Raises:
        ConfigError: a newer musicgate has written it in a way that this one does not know.
    """
    found = await _schema(connection)
    _check(found)
    return found.version, newest_version()


async def is_current(connection: "_Connection") -> bool:
    """True if this software can read the tables, False if there are none or earlier ones.

    Raises:
        ConfigError: a newer musicgate has written it in a way that this one does not know.
    """
    found = await _schema(connection)
    _check(found)
    return found.version >= newest_version()


async def hold_version(connection: "_Connection") -> None:
    """Hold a lock, as long as the session lives, that says which schema version this process works with."""
    await connection.fetchval(_HOLD_VERSION, _VERSION_CLASS, newest_version())


async def _schema(connection: "_Connection") -> _Schema:
    if not await connection.fetchval(_HAS_VERSION):
        return _Schema(0, 0)
    found: dict[str, int] = json.loads(await connection.fetchval(_VERSION))
    # Version 1 did not say it, and no other version can use it.
    return _Schema(found["version"], found.get("works_with", found["version"]))


def _check(found: _Schema) -> None:
    if found.version > newest_version() < found.works_with or found.version < 0:
        raise _unfit(
            f"the database is at schema version {found.version}, which this version of musicgate does not know:"
            " use a newer one"
        )


async def _check_processes(connection: "_Connection", version: int, target: int, works_with: int) -> None:
    """Refuse while a process is there whose software does not work with the tables after a migration."""
    rows = list(await connection.fetch(_HELD_VERSIONS, _VERSION_CLASS))
    if await connection.fetchval(_HAS_REPLICAS):
        rows += await connection.fetch(_SEEN_VERSIONS)
    if any(row[0] < works_with for row in rows):
        error = _unfit(
            f"a musicgate of an earlier version uses the database, and could not work with its next tables (schema"
            f" version {version} to {target}): stop all of that version, wait for a minute if one was killed, and"
            " start this one again"
        )
        # As for a store that is in use: it is.
        error.__cause__ = TimeoutError()
        raise error


def _unfit(message: str) -> ConfigError:
    return ConfigError(message, key="store.url")
