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
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import attrs
from filelock import FileLock, Timeout

from musicgate.adapters import migrate, sqlite_outbox
from musicgate.adapters import sqlite_statements as sql
from musicgate.adapters.group_commit import GroupWriter, explained, reason
from musicgate.codec import dump_event, load_event, load_job
from musicgate.errors import ConfigError, StorageError
from musicgate.model import Delivery, IdempotencyClaim, Job, JobEvent, JobQuery

_logger = logging.getLogger(__name__)

#: How long another program, a backup for instance, may hold the database before a write gives up.
_BUSY_TIMEOUT_S: Final = 5.0


class SqliteJobStore:
    """Jobs in one SQLite file. Open it with `open`, from the event loop that uses it."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        """Use a database that is ready and whose lock is held; `open` sees to both."""
        self._lock = lock
        self._reader = _connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._writer = GroupWriter(functools.partial(_connect, path))
        self.outbox = sqlite_outbox.SqliteOutbox(self._writer, self._read)

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

    async def add(
        self, job: Job, events: Sequence[JobEvent], claim: IdempotencyClaim | None = None
    ) -> IdempotencyClaim | None:
        """Store a new job with its first events, unless its idempotency key has been used: then return that earlier use."""
        row = sql.new_row(job)
        docs = [dump_event(event) for event in events]

        def insert(connection: sqlite3.Connection) -> IdempotencyClaim | None:
            if claim is not None:
                earlier = connection.execute(
                    sql.FIND_CLAIM, sql.claim_key(claim.account, claim.route, claim.key)
                ).fetchone()
                if earlier is not None:
                    return sql.read_claim(earlier)
                connection.execute(sql.ADD_CLAIM, sql.claim_row(claim))
            connection.execute(sql.ADD_JOB, row)
            connection.executemany(sql.ADD_EVENT, [(job.id, doc) for doc in docs])
            return None

        return await self._writer.write(insert)

    async def replace(
        self, old: Job, new: Job, events: Sequence[JobEvent], deliveries: Sequence[Delivery] = ()
    ) -> Job | None:
        """Store ``new`` if the stored version is still that of ``old``; None when it is not."""
        stored = attrs.evolve(new, version=old.version + 1)
        row = sql.changed_row(stored, old.version)
        docs = [dump_event(event) for event in events]
        messages = sqlite_outbox.rows_of(deliveries)

        def update(connection: sqlite3.Connection) -> Job | None:
            if connection.execute(sql.REPLACE_JOB, row).rowcount == 0:
                return None
            connection.executemany(sql.ADD_EVENT, [(old.id, doc) for doc in docs])
            sqlite_outbox.insert(connection, messages)
            return stored

        return await self._writer.write(update)

    async def delete(self, job_id: str) -> bool:
        """Remove a job with its events, its idempotency key and the messages about it."""
        wanted = (sql.column(job_id),)

        def remove(connection: sqlite3.Connection) -> bool:
            found = connection.execute(sql.DELETE_JOB, wanted).rowcount > 0
            connection.execute(sql.DELETE_EVENTS, wanted)
            connection.execute(sql.DELETE_CLAIMS_OF, wanted)
            sqlite_outbox.delete_of_job(connection, job_id)
            return found

        return await self._writer.write(remove)

    async def forget_claims(self, before: datetime) -> int:
        """Remove idempotency keys that were used before then."""
        moment = (sql.microseconds(before),)
        return await self._writer.write(
            lambda connection: connection.execute(sql.DELETE_OLD_CLAIMS, moment).rowcount
        )

    async def get(self, job_id: str) -> Job | None:
        """The job with that id."""
        return next(map(_job, self._read(sql.GET, sql.column(job_id))), None)

    async def find_native(self, account: str, native_id: str) -> Job | None:
        """The newest job of the account with that native id."""
        return next(map(_job, self._read(sql.FIND_NATIVE, sql.column(account), sql.column(native_id))), None)

    async def open_jobs(self, after_id: str, limit: int) -> Sequence[Job]:
        """One page of unfinished jobs, in the order of their ids. A row that cannot be read is logged and left out.

        One damaged row must not keep all the others from being followed after a restart.
        """
        jobs: list[Job] = []
        last_id = sql.column(after_id)
        while rows := self._read(sql.OPEN_JOBS, last_id, limit - len(jobs)):
            for job_id, doc in rows:
                last_id = job_id
                try:
                    jobs.append(load_job(doc))
                except StorageError:
                    _logger.exception("the open job %s is left alone", job_id)
        return jobs

    async def count_open(self, account: str | None = None) -> int:
        """Number of unfinished jobs, of one account or of all."""
        rows = (
            self._read(sql.COUNT_OPEN)
            if account is None
            else self._read(sql.COUNT_OPEN_OF, sql.column(account))
        )
        return int(rows[0][0])

    async def list_jobs(self, account: str | None, query: JobQuery) -> Sequence[Job]:
        """The jobs that a query asks for, of one account or of all, newest first."""
        statement, values = sql.listing(account, query)
        return [_job(row) for row in self._read(statement, *values)]

    async def find_claim(self, account: str, route: str, key: str) -> IdempotencyClaim | None:
        """The use of an idempotency key, as long as it is kept."""
        rows = self._read(sql.FIND_CLAIM, *sql.claim_key(account, route, key))
        return sql.read_claim(rows[0]) if rows else None

    async def spent_usd_nanos(self, account: str, since: datetime) -> int:
        """What the account's jobs that finished since then have cost."""
        ((total,),) = self._read(sql.SPENT, sql.column(account), sql.microseconds(since))
        return int(total)

    async def finished_jobs(
        self, after: tuple[datetime, str] | None, before: datetime, limit: int
    ) -> Sequence[tuple[datetime, str]]:
        """When jobs ended, and their ids: a page of those that ended before then, the oldest first."""
        moment, job_id = (sql.microseconds(after[0]), after[1]) if after else (-1, "")
        rows = self._read(sql.FINISHED, moment, sql.column(job_id), sql.microseconds(before), limit)
        return [(sql.moment(ended_us), found) for ended_us, found in rows]

    async def events(
        self, job_id: str, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, JobEvent]]:
        """The job's history from the event after number ``after`` on; at most ``limit`` entries."""
        rows = self._read(sql.EVENTS, sql.column(job_id), after, -1 if limit is None else limit)
        return [(number, load_event(doc)) for number, doc in rows]

    async def ping(self) -> None:
        """Write and commit a row as large as a large job, through the same thread as every job.

        Asking for the write lock would prove nothing: a full disk only shows when pages reach the log.
        """
        await self._writer.write(lambda connection: connection.execute(sql.CHECK).close())

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
