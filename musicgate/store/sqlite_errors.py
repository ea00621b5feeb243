"""Describe SQLite's errors for people, and turn them into `StorageError`; knows result codes."""

import sqlite3
from typing import Final

from musicgate.errors import StorageError

#: SQLite's primary result codes (sqlite.org/rescode.html) -> what went wrong.
_REASONS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_PERM: "access to the database is denied",
    sqlite3.SQLITE_IOERR: "the disk failed",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
    sqlite3.SQLITE_BUSY: "another program keeps the database locked",
    sqlite3.SQLITE_LOCKED: "another program keeps the database locked",
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_CONSTRAINT: "it breaks a rule of the tables",
}
#: Extended result codes that say more.
_EXTENDED_REASONS: Final = {
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "it is already stored",
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "it is already stored",
}


def describe(exc: sqlite3.Error) -> str:
    """Say what went wrong, with SQLite's own message behind it."""
    # Errors of the Python module itself (a closed connection) have no code.
    code: int = getattr(exc, "sqlite_errorcode", 0)
    reason = _EXTENDED_REASONS.get(code) or _REASONS.get(code & 0xFF, "the database refused")
    return f"{reason} ({exc})"


def is_busy(exc: sqlite3.Error) -> bool:
    """True if another connection holds a lock, so that the same statement may succeed later."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def as_caller_sees(exc: BaseException) -> Exception:
    """Turn SQLite's errors into a `StorageError`; any other `Exception` stays as it is."""
    # A StopIteration cannot be the result of an awaitable: it would end the coroutine that awaits it.
    if isinstance(exc, Exception) and not isinstance(exc, sqlite3.Error | StopIteration):
        return exc
    reason = describe(exc) if isinstance(exc, sqlite3.Error) else f"{type(exc).__name__}: {exc}"
    error = StorageError(f"the job store failed: {reason}")
    error.__cause__ = exc
    return error
