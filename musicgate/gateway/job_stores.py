"""Open the job store that ``store.url`` names: a SQLite file, or a database of PostgreSQL.

Beside `compose`, the only module here that names adapters. No message shows a password of the URL.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from musicgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from musicgate.settings import Settings
    from musicgate.store import JobStore, StoreReport
    from musicgate.store.postgres import PostgresJobStore

#: libpq reads both.
_POSTGRES_SCHEMES: Final = frozenset({"postgresql", "postgres"})


def open_job_store(settings: Settings, *, alone: bool = False) -> AbstractAsyncContextManager[JobStore]:
    """Open the store for this process, and migrate it.

    A SQLite store belongs to one process, one on PostgreSQL to any number of replicas.

    Args:
        alone: no other process may use it meanwhile, on PostgreSQL either.

    Raises:
        ConfigError: another process is in the way, or ``store.url`` names none that can be used.
        StorageError: it cannot be opened.
    """
    # Imported here: opening a store needs sqlite3 or asyncpg, asking for --help does not.
    if is_postgres(settings):
        return _open_postgres(settings, alone=alone)
    from musicgate.store.sqlite import SqliteJobStore

    session_url(settings)
    return SqliteJobStore.open(_path(settings))


def open_job_store_to_read(settings: Settings) -> AbstractAsyncContextManager[JobStore]:
    """Open the store to read it, whether or not another process uses it.

    Raises:
        ConfigError: a musicgate of another version uses it.
        StorageError: it cannot be opened.
    """
    if is_postgres(settings):
        return _postgres(settings).open_to_read(
            settings.store_url,
            has_session=not settings.store.pgbouncer,
            session_url=session_url(settings),
        )
    from musicgate.store.sqlite import SqliteJobStore

    return SqliteJobStore.open_to_read(_path(settings))


async def inspect_job_store(settings: Settings) -> StoreReport:
    """Look at the store without locking, migrating or changing it, whether or not another process uses it.

    Raises:
        ConfigError: ``store.url`` names none that can be used, or it is of a later version.
        StorageError: it cannot be read or reached.
    """
    if is_postgres(settings):
        return await _postgres(settings).inspect(
            settings.store_url,
            has_session=not settings.store.pgbouncer,
            session_url=session_url(settings),
        )
    from musicgate.store.sqlite import SqliteJobStore

    session_url(settings)
    return await SqliteJobStore.inspect(_named_path(settings))


def job_store_file(settings: Settings) -> Path | None:
    """The file of the store, which need not exist; None for one on a server.

    Raises:
        ConfigError: ``store.url`` names no store.
    """
    return None if is_postgres(settings) else _named_path(settings)


def has_job_store(settings: Settings) -> bool:
    """True if the store may have jobs: its file exists, or it is on a server.

    Raises:
        ConfigError: ``store.url`` names no store.
    """
    return is_postgres(settings) or _path(settings).is_file()


def job_store_name(settings: Settings) -> str:
    """The store as messages name it: its file, or its server and database."""
    if not is_postgres(settings):
        return str(_named_path(settings))
    url = urlsplit(settings.store_url)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def is_postgres(settings: Settings) -> bool:
    """True if the store is a database of PostgreSQL."""
    return urlsplit(settings.store_url).scheme in _POSTGRES_SCHEMES


def session_url(settings: Settings) -> str:
    """``store.session_url``, or empty text: `store.url` has sessions, or there are none.

    Raises:
        ConfigError: it is set where it has no meaning.
    """
    url = settings.store.session_url
    if not url:
        return ""
    source = settings.source_of("store.session_url")
    if not (is_postgres(settings) and settings.store.pgbouncer):
        raise ConfigError(
            "is only for PostgreSQL behind a pooler: set store.pgbouncer = true, or remove it",
            key="store.session_url",
            source=source,
        )
    if urlsplit(url).scheme not in _POSTGRES_SCHEMES:
        message = "must have the form postgresql://user:password@host/database"
        raise ConfigError(message, key="store.session_url", source=source)
    return url


async def copy_job_store(
    source: Settings, target: Settings, copied: Callable[[str, int], None]
) -> dict[str, int]:
    """Copy a SQLite store into an empty one on PostgreSQL; no process may use either.

    Args:
        copied: is told the table and the number of rows that were copied since it was told last.

    Returns:
        The number of rows by table.

    Raises:
        ConfigError: one of them is in use or of the wrong kind, there is no source, or the target has rows.
        StorageError: one of them fails; the target is as it was.
    """
    if is_postgres(source) or not is_postgres(target):
        raise ConfigError("a copy goes from sqlite:///... to postgresql://...", key="store.url")
    path = _path(source)
    if not path.is_file():
        raise ConfigError(f"there is no store of jobs at {path}", key="store.url")
    _postgres(target)
    from musicgate.store.copying import copy_into_postgres

    async with open_job_store(source), _open_postgres(target, alone=True) as ready:
        return await copy_into_postgres(path, ready, copied)


def _open_postgres(settings: Settings, *, alone: bool) -> AbstractAsyncContextManager[PostgresJobStore]:
    return _postgres(settings).open(
        settings.store_url,
        has_session=not settings.store.pgbouncer,
        session_url=session_url(settings),
        exclusive=alone,
    )


def _postgres(settings: Settings) -> type[PostgresJobStore]:
    try:
        from musicgate.store.postgres import PostgresJobStore
    except ImportError as exc:
        message = "PostgreSQL needs another library: pip install 'musicgate[postgres]'"
        raise ConfigError(message, key="store.url", source=settings.source_of("store.url")) from exc
    return PostgresJobStore


def _named_path(settings: Settings) -> Path:
    """The SQLite file of ``store.url``."""
    url = urlsplit(settings.store_url)
    if url.scheme != "sqlite" or url.netloc:
        raise ConfigError(
            "must have the form sqlite:///relative.db, sqlite:////absolute.db or"
            " postgresql://user:password@host/database",
            key="store.url",
            source=settings.source,
        )
    return Path(unquote(url.path).removeprefix("/"))


def _path(settings: Settings) -> Path:
    """The SQLite file of ``store.url``. Makes its folder."""
    path = _named_path(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        hint = "" if settings.store.url else "; it is in the data folder, which MUSICGATE_DATA_DIR names"
        message = f"its folder cannot be made: {exc.strerror}{hint}"
        raise ConfigError(message, key="store.url", source=settings.source_of("store.url")) from None
    return path
