"""Migrate a SQLite database to the newest schema; knows numbered SQL files, not the tables.

The files in ``sqlite_migrations`` are the only definition of the schema. ``PRAGMA user_version`` holds the
number of the last one that ran. It is set in the same transaction as the file's statements, so a database is
at one version or at the next, never between two. The caller holds the store's lock: no other musicgate
migrates at the same time.

A file that is released never changes: a change of the schema is a new file with the next number. A file holds
no ``BEGIN``, ``COMMIT`` or ``ROLLBACK`` of its own, and no ``PRAGMA foreign_keys``, which does nothing inside
a transaction.
"""

import logging
import re
import sqlite3
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from musicgate.errors import ConfigError, StorageError
from musicgate.store.sqlite_errors import describe

_log = logging.getLogger(__name__)

_FOLDER: Traversable = files("musicgate.store") / "sqlite_migrations"
_FILE_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")

#: Until November 2026 Alembic ran the migrations and kept its revision in a table. Its revision -> the
#: version of today.
_ALEMBIC_REVISIONS: Final = {"0001": 1, "0002": 2}


def migrations() -> dict[int, Traversable]:
    """The SQL files by their numbers, in order."""
    numbered = [(found[1], file) for file in _FOLDER.iterdir() if (found := _FILE_NAME.fullmatch(file.name))]
    return {int(number): file for number, file in sorted(numbered, key=lambda pair: pair[0])}


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Run the migrations that the database lacks, each in a transaction of its own.

    Args:
        connection: one that begins no transaction by itself (``isolation_level=None``).
        path: names the database in messages.

    Raises:
        ConfigError: a newer musicgate has written the database; it is left alone.
        StorageError: a migration failed; the database is at the version before it.
        sqlite3.Error: the version cannot be read.
    """
    known = migrations()
    version, is_alembic = known_version(connection, path)
    missing = [number for number in known if number > version]
    if missing:
        _log.info("migrating database: path=%s from_version=%d to_version=%d", path, version, missing[-1])
    try:
        if is_alembic:
            _run(connection, "DROP TABLE alembic_version;", version)
        for number in missing:
            _run(connection, known[number].read_text("utf-8"), number)
    except sqlite3.Error as exc:
        raise StorageError(f"the tables of {path} cannot be brought up to date: {describe(exc)}") from exc


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Return if the database is at the newest version.

    Raises:
        ConfigError: it is at another one; it is left alone.
        sqlite3.Error: the version cannot be read.
    """
    version, _ = known_version(connection, path)
    if version < max(migrations()):
        message = f"an earlier version of musicgate uses the database {path}; stop it, or start it anew"
        raise ConfigError(message, key="store.url")


def known_version(connection: sqlite3.Connection, path: Path) -> tuple[int, bool]:
    """The version of the database (0 for a new one), and whether it comes from Alembic's table.

    Raises:
        ConfigError: this software does not know the version.
        sqlite3.Error: it cannot be read.
    """
    version, is_alembic = _found_version(connection, path)
    if not 0 <= version <= max(migrations()):
        raise _unknown_version(str(version), path)
    return version, is_alembic


def _found_version(connection: sqlite3.Connection, path: Path) -> tuple[int, bool]:
    ((version,),) = connection.execute("PRAGMA user_version").fetchall()
    has_table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    if version or not connection.execute(has_table).fetchall():
        return version, False
    revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    if not revisions:
        return 0, True
    if revisions[0][0] not in _ALEMBIC_REVISIONS:
        raise _unknown_version(str(revisions[0][0]), path)
    return _ALEMBIC_REVISIONS[revisions[0][0]], True


def _unknown_version(version: str, path: Path) -> ConfigError:
    return ConfigError(
        f"the database {path.name} is at schema version {version},"
        " which this version of musicgate does not know: use a newer one",
        key="store.url",
    )


def _run(connection: sqlite3.Connection, script: str, version: int) -> None:
    """Run a script and set the version, both or neither."""
    try:
        # The transaction is part of the script: `executescript` commits one that is open already.
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
    except BaseException:
        connection.rollback()
        raise
