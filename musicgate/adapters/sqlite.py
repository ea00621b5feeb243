"""The job store on SQLite, the embedded default; it knows SQL and files, and nothing of what a job means.

Writes go through one thread that commits them in groups (`musicgate.adapters.group_commit`); reads by key run where they are
asked for, on a connection of their own: ten microseconds are less than a hop to a thread. Write-ahead log, so that readers and
the writer do not wait for each other; ``synchronous=FULL``, so that a job that was answered survives a power cut.

One process per database: another one would not know whose turn it is to follow a job. A lock file beside it sees to that.
"""

import asyncio
import contextlib
import functools
import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import attrs
from filelock import FileLock, Timeout

from musicgate.adapters import migrate
from musicgate.adapters.group_commit import GroupWriter, explained, reason
from musicgate.codec import dump_event, dump_job, load_event, load_job
from musicgate.errors import ConfigError, StorageError
from musicgate.model import Job, JobEvent

_logger = logging.getLogger(__name__)

#: How long another program, a backup for instance, may hold the database before a write gives up.
_BUSY_TIMEOUT_S: Final = 5.0

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ADD_JOB: Final = (
    "INSERT INTO jobs (id, account, state, plugin, native_id, created_at_us, updated_at_us, version, doc)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_REPLACE_JOB: Final = (
    "UPDATE jobs SET state = ?, plugin = ?, native_id = ?, updated_at_us = ?, version = ?, doc = ?"
    " WHERE id = ? AND version = ?"
)
_ADD_EVENT: Final = (
    "INSERT INTO job_events (job_id, number, doc) VALUES"
    " (?1, (SELECT coalesce(max(number), 0) + 1 FROM job_events WHERE job_id = ?1), ?2)"
)
_GET: Final = "SELECT doc FROM jobs WHERE id = ?"
_FIND_NATIVE: Final = (
    "SELECT doc FROM jobs WHERE account = ? AND native_id = ? ORDER BY created_at_us DESC, id DESC LIMIT 1"
)
# The words of the partial index `jobs_open`, to the letter: otherwise SQLite does not use it.
_OPEN_JOBS: Final = (
    "SELECT id, doc FROM jobs WHERE state IN ('queued', 'in_progress') AND id > ? ORDER BY id LIMIT ?"
)
_COUNT_OPEN: Final = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'in_progress')"
_EVENTS: Final = "SELECT number, doc FROM job_events WHERE job_id = ? AND number > ? ORDER BY number"
# As large as a large job, so that a disk with room for a page or two does not pass.
_CHECK: Final = "REPLACE INTO store_check (id, padding) VALUES (1, zeroblob(16384))"


class SqliteJobStore:
    """Jobs in one SQLite file. Open it with `open`, from the event loop that uses it."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        """Use a database that is ready and whose lock is held; `open` sees to both."""
        self._lock = lock
        self._reader = _connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._writer = GroupWriter(functools.partial(_connect, path))

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Take the database for this process, bring its tables up to date, and close it at the end.

        Raises:
            ConfigError: another musicgate uses it, or a newer one has written it.
            StorageError: it cannot be opened or created.
        """
        lock = await asyncio.to_thread(_prepare, path)
        try:
            store = cls(path, lock)
            try:
                yield store
            finally:
                await store.close()
        finally:
            lock.release()

    async def add(self, job: Job, events: Sequence[JobEvent]) -> None:
        """Store a new job with its first events."""
        row = (
            *(job.id, job.account, job.state, job.plugin, _column(job.native_id)),
            *(_microseconds(job.created_at), _microseconds(job.updated_at), job.version, dump_job(job)),
        )
        docs = [dump_event(event) for event in events]

        def insert(connection: sqlite3.Connection) -> None:
            connection.execute(_ADD_JOB, row)
            connection.executemany(_ADD_EVENT, [(job.id, doc) for doc in docs])

        await self._writer.write(insert)

    async def replace(self, old: Job, new: Job, events: Sequence[JobEvent]) -> Job | None:
        """Store ``new`` if the stored version is still that of ``old``; None when it is not."""
        stored = attrs.evolve(new, version=old.version + 1)
        row = (
            *(stored.state, stored.plugin, _column(stored.native_id), _microseconds(stored.updated_at)),
            *(stored.version, dump_job(stored), old.id, old.version),
        )
        docs = [dump_event(event) for event in events]

        def update(connection: sqlite3.Connection) -> Job | None:
            if connection.execute(_REPLACE_JOB, row).rowcount == 0:
                return None
            connection.executemany(_ADD_EVENT, [(old.id, doc) for doc in docs])
            return stored

        return await self._writer.write(update)

    async def get(self, job_id: str) -> Job | None:
        """The job with that id."""
        return next(map(_job, self._read(_GET, _column(job_id))), None)

    async def find_native(self, account: str, native_id: str) -> Job | None:
        """The newest job of the account with that native id."""
        return next(map(_job, self._read(_FIND_NATIVE, _column(account), _column(native_id))), None)

    async def open_jobs(self, after_id: str, limit: int) -> Sequence[Job]:
        """One page of unfinished jobs, in the order of their ids. A row that cannot be read is logged and left out.

        One damaged row must not keep all the others from being followed after a restart.
        """
        jobs: list[Job] = []
        last_id = _column(after_id)
        while rows := self._read(_OPEN_JOBS, last_id, limit - len(jobs)):
            for job_id, doc in rows:
                last_id = job_id
                try:
                    jobs.append(load_job(doc))
                except StorageError:
                    _logger.exception("the open job %s is left alone", job_id)
        return jobs

    async def count_open(self) -> int:
        """Number of unfinished jobs."""
        (row,) = self._read(_COUNT_OPEN)
        return int(row[0])

    async def events(self, job_id: str, after: int = 0) -> Sequence[tuple[int, JobEvent]]:
        """The job's history from the event after number ``after`` on."""
        return [(number, load_event(doc)) for number, doc in self._read(_EVENTS, _column(job_id), after)]

    async def ping(self) -> None:
        """Write and commit a row as large as a large job, through the same thread as every job.

        Asking for the write lock would prove nothing: a full disk only shows when pages reach the log.
        """
        await self._writer.write(lambda connection: connection.execute(_CHECK).close())

    async def close(self) -> None:
        """Finish the pending writes and let the database go. Closing again does nothing."""
        await self._writer.close()
        self._reader.close()
        self._lock.release()

    def _read(self, sql: str, *values: str | int | None) -> list[tuple[Any, ...]]:
        # All rows at once: a half-read cursor would keep its snapshot, and the log could not be cut back.
        try:
            return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as exc:
            raise explained(exc) from exc


def _job(row: tuple[Any, ...]) -> Job:
    return load_job(row[0])


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _column(text: str | None) -> str | None:
    """Text that SQLite takes: ids come from vendors and from URLs, and may hold a lone surrogate."""
    return text if text is None else text.encode("utf-8", "backslashreplace").decode()


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that begins no transaction by itself (``isolation_level=None``)."""
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _prepare(path: Path) -> FileLock:
    """Lock the database and bring its tables up to date; on failure the lock is let go."""
    # Not bound to the thread that takes it: it is released from another one.
    lock = FileLock(f"{path}.lock", timeout=0, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        # Prompts and callback tokens are nobody else's business. The log and its index inherit the mode.
        path.touch(mode=0o600)
    except Timeout as exc:
        message = f"another musicgate uses the database {path}; stop it, or give this one a store of its own"
        raise ConfigError(message, key="store.url") from exc
    except OSError as exc:
        lock.release()
        raise StorageError(f"the job store {path} cannot be opened: {exc.strerror or exc}") from exc
    try:
        _bring_up_to_date(path)
    except sqlite3.Error as exc:
        lock.release()
        raise StorageError(f"the job store {path} cannot be opened: {reason(exc)}") from exc
    except BaseException:
        lock.release()
        raise
    return lock


def _bring_up_to_date(path: Path) -> None:
    with contextlib.closing(_connect(path)) as connection:
        (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if journal != "wal":
            message = (
                f"the file system of {path} cannot hold a write-ahead log; put the database on a local disk"
            )
            raise ConfigError(message, key="store.url")
        found = _revision(connection)
    if found != migrate.HEAD:
        _migrate(path, found)


def _revision(connection: sqlite3.Connection) -> str | None:
    """The revision that the database says it is at, or None for a new one."""
    has_table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    if not connection.execute(has_table).fetchall():
        return None
    rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(rows[0][0]) if rows else None


def _migrate(path: Path, found: str | None) -> None:
    """Run the missing migrations in one transaction, so that a crash between two tables leaves none."""
    import sqlalchemy as sa

    engine = sa.create_engine("sqlite://", creator=lambda: _connect(path), poolclass=sa.pool.NullPool)
    # The driver would commit before every CREATE TABLE; so it is told to begin nothing, and we begin ourselves.
    # Source: docs.sqlalchemy.org, "SQLite: Serializable isolation / Savepoints / Transactional DDL".
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            migrate.upgrade(connection, found, path.name)
    except sa.exc.DBAPIError as exc:
        cause = reason(exc.orig) if isinstance(exc.orig, sqlite3.Error) else str(exc.orig)
        raise StorageError(f"the tables of {path} cannot be brought up to date: {cause}") from exc
    finally:
        engine.dispose()
