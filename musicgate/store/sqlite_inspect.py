"""Look at a SQLite store without locking, migrating or changing it."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from musicgate.errors import StorageError
from musicgate.store.port import StoreReport
from musicgate.store.sqlite_errors import describe
from musicgate.store.sqlite_migrate import known_version, migrations

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_TIMEOUT_S: Final = 2.0


def inspect(path: Path) -> StoreReport:
    """Report on a database file, which need not exist, perhaps beside the process that uses it.

    Raises:
        ConfigError: it is of a later version, or not musicgate's.
        StorageError: it cannot be read.
    """
    newest = max(migrations())
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not path.exists():
        return StoreReport(version=0, newest_version=newest, write_trouble=_write_trouble(folder))
    try:
        with contextlib.closing(sqlite3.connect(_uri(path), timeout=_BUSY_TIMEOUT_S, uri=True)) as connection:
            version, _ = known_version(connection, path)
    except sqlite3.Error as exc:
        raise StorageError(f"the job store {path} cannot be read: {describe(exc)}") from exc
    trouble = _open_trouble(path) or _write_trouble(folder)
    return StoreReport(version=version, newest_version=newest, write_trouble=trouble)


def _uri(path: Path) -> str:
    """Without a log no process has written: read the file alone, and leave no log of another owner there."""
    has_log = path.with_name(f"{path.name}-wal").exists()
    return f"file:{quote(str(path.absolute()))}?{'mode=ro' if has_log else 'immutable=1'}"


def _open_trouble(path: Path) -> str:
    try:
        with path.open("r+b"):
            return ""
    except OSError as exc:
        return f"{path}: {exc.strerror or exc}"


def _write_trouble(folder: Path) -> str:
    """Write and remove a file: permissions do not show read-only file systems and quotas."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".musicgate-") as probe:
            probe.write(b"0")
    except OSError as exc:
        return f"{folder}: {exc.strerror or exc}"
    return ""
