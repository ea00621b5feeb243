"""Describe PostgreSQL's errors for people, and turn them into `StorageError`; knows SQLSTATE codes.

A password stands in the URL of a store and in no message: nothing here quotes a URL.
"""

from typing import Final

import asyncpg

from musicgate.errors import StorageError

#: The errors of asyncpg, and of the network: a time-out is an `OSError`. An `InternalClientError` is what
#: asyncpg raises when a connection is used that PostgreSQL has just ended, and whose end it has not read yet.
ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_LOST: Final = (OSError, asyncpg.PostgresConnectionError, asyncpg.InternalClientError)
#: SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html) -> what went wrong.
_REASONS: Final = {
    "23505": "it is already stored",
    "25006": "the database is read-only",
    "42501": "the user of the database lacks a permission",
    "53100": "the disk is full",
    "53200": "PostgreSQL is out of memory",
    "53300": "PostgreSQL has no connection left",
    "57014": "PostgreSQL took too long",
    "57P01": "PostgreSQL is being stopped",
    "57P02": "PostgreSQL is being stopped",
    "57P03": "PostgreSQL is starting or stopping",
}
_CLASSES: Final = {"08": "the connection to PostgreSQL was lost", "23": "it breaks a rule of the tables"}
#: PostgreSQL ended the connection, perhaps after the commit.
_ENDED: Final = frozenset({"57P01", "57P02"})
_AWAY: Final = frozenset({"53300", "57P03"})
#: The values of a row were refused: too long, against a rule, already there.
_OF_ONE_ROW: Final = frozenset({"22", "23", "54"})
#: A group of writes that met another one: nothing of it is stored, and the same writes may succeed.
_REPEATABLE: Final = frozenset({"40001", "40P01"})


def describe(exc: BaseException) -> str:
    """Say what went wrong, with the library's own message behind it."""
    if isinstance(exc, TimeoutError):
        return "PostgreSQL gave no answer in time"
    if isinstance(exc, OSError):
        return f"PostgreSQL cannot be reached ({exc.strerror or exc})"
    if isinstance(exc, asyncpg.InternalClientError):
        return f"the connection to PostgreSQL was lost ({exc})"
    code = code_of(exc)
    reason = _REASONS.get(code) or _CLASSES.get(code[:2], "the database refused")
    return f"{reason} ({exc})"


def code_of(exc: BaseException) -> str:
    """The SQLSTATE of an error, or empty text."""
    return str(getattr(exc, "sqlstate", None) or "")


def is_lost(exc: BaseException) -> bool:
    """True if the answer of a statement that was sent did not come, so that it may have happened."""
    return isinstance(exc, _LOST) or code_of(exc) in _ENDED


def is_away(exc: BaseException) -> bool:
    """True if PostgreSQL cannot be reached or has no connection left, which may be over soon."""
    return is_lost(exc) or isinstance(exc, asyncpg.InterfaceError) or code_of(exc) in _AWAY


def is_repeatable(exc: BaseException) -> bool:
    """True if nothing of a write happened, and the same write may succeed."""
    return code_of(exc) in _REPEATABLE


def is_of_one_row(exc: Exception) -> bool:
    """True if a `StorageError` of `storage_error` is about the values of one row."""
    return exc.__cause__ is not None and code_of(exc.__cause__)[:2] in _OF_ONE_ROW


def storage_error(exc: Exception, *, was_sent: bool) -> StorageError:
    """What the caller of a store sees of an error of PostgreSQL or of the network.

    Args:
        was_sent: the error is that of a write, not of getting a connection for it.
    """
    message = f"the job store failed: {describe(exc)}"
    return StorageError(message, maybe_stored=was_sent and is_lost(exc), is_away=is_away(exc))
