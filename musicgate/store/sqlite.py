"""The job store on SQLite, the embedded default; knows SQL and files, not what a job means.

Writes go through one thread that commits them in groups (`group_commit`). Reads by key run on the event loop,
all other reads on a thread (`sqlite_reader`). A write-ahead log keeps readers and the writer from waiting for
each other; ``synchronous=FULL`` makes a job that was answered survive a power cut.

One process per database, because two would both follow every open job. A lock file beside the database
enforces it.
"""

import asyncio
import contextlib
import functools
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import attrs
from filelock import FileLock, Timeout

from musicgate.codec import doc_bytes, load_event, load_job
from musicgate.errors import ConfigError, StorageError
from musicgate.metrics import Commits
from musicgate.model import (
    AuditEntry,
    Delivery,
    IdempotencyClaim,
    Job,
    JobEvent,
    JobHead,
    JobQuery,
    UsageQuery,
    UsageSum,
    changed,
    share_of,
)
from musicgate.store import (
    books,
    columns,
    rows,
    sqlite_books,
    sqlite_inspect,
    sqlite_keys,
    sqlite_outbox,
    sqlite_references,
)
from musicgate.store import sqlite_statements as sql
from musicgate.store.group_commit import GroupWriter
from musicgate.store.port import StoreReport
from musicgate.store.sqlite_errors import describe
from musicgate.store.sqlite_migrate import check_version, migrate
from musicgate.store.sqlite_reader import SqliteReader
from musicgate.text import LARGE_DOC_BYTES, MAX_OPEN_PAGE_BYTES

#: How long a write waits for another program, a backup for instance, that keeps the database locked.
_BUSY_TIMEOUT_S: Final = 5.0
#: Old idempotency keys deleted in one write: every other write waits so long at most.
_CLAIMS_PAGE: Final = 50


class SqliteJobStore:
    """Jobs in one SQLite file. Create it with `open`, on the event loop that uses it."""

    def __init__(self, path: Path, lock: FileLock, *, is_writable: bool = True) -> None:
        """Use a database that is migrated and locked; `open` does both."""
        self._lock = lock
        self._reader = SqliteReader(path, _BUSY_TIMEOUT_S)
        self._writer = GroupWriter(functools.partial(_connect, path, is_writable=is_writable))
        self.outbox = sqlite_outbox.SqliteOutbox(self._writer, self._reader)
        self.asset_references = sqlite_references.SqliteAssetReferences(self._writer, self._reader)
        self.audit_log = sqlite_books.SqliteAuditLog(self._writer, self._reader)
        self.keys = sqlite_keys.SqliteKeys(self._writer, self._reader)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Lock the database for this process, migrate it, and close it at the end.

        Raises:
            ConfigError: another musicgate uses it, or a newer one has written it.
            StorageError: it cannot be opened, created or migrated.
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

    @classmethod
    @contextlib.asynccontextmanager
    async def open_to_read(cls, path: Path) -> AsyncIterator[Self]:
        """Open the database without locking it, perhaps beside the process that uses it. Every write fails.

        Raises:
            ConfigError: a musicgate of another version uses it, so that its tables are others.
            StorageError: it cannot be opened.
        """
        lock = await asyncio.to_thread(_prepare_to_read, path)
        store = cls(path, lock, is_writable=False)
        try:
            yield store
        finally:
            await store.close()

    @staticmethod
    async def inspect(path: Path) -> StoreReport:
        """Report on the database without locking or changing it, perhaps beside the process that uses it.

        Raises:
            ConfigError: it is of a later version, or not musicgate's.
            StorageError: it cannot be read.
        """
        return await asyncio.to_thread(sqlite_inspect.inspect, path)

    @property
    def commits(self) -> Commits:
        """The commits of this process."""
        return self._writer.commits

    def ledger(self, replica: str, is_dead: Callable[[str], bool]) -> None:
        """None: one process uses the file, and counts in memory."""

    async def add(
        self,
        job: Job,
        events: Sequence[JobEvent],
        claim: IdempotencyClaim | None = None,
        audit: AuditEntry | None = None,
    ) -> IdempotencyClaim | None:
        """Store a new job with its first events, or return the earlier claim of its idempotency key."""
        row, end = sql.new_row(job, events), sql.end_of_row(job)
        noted = None if audit is None else books.audit_row(audit)

        def insert(connection: sqlite3.Connection) -> IdempotencyClaim | None:
            if claim is not None:
                earlier = connection.execute(
                    sql.FIND_CLAIM, columns.claim_key(claim.account, claim.route, claim.key)
                ).fetchone()
                if earlier is not None:
                    return columns.read_claim(earlier)
                connection.execute(sql.ADD_CLAIM, columns.claim_row(claim))
            connection.execute(sql.ADD_JOB, row)
            if end is not None:
                connection.execute(sql.END_ADDED_JOB, end)
            if noted is not None:
                connection.execute(sqlite_books.ADD_ENTRY, noted)
            return None

        return await self._writer.write(insert)

    async def replace(
        self,
        old: Job,
        new: Job,
        events: Sequence[JobEvent],
        deliveries: Sequence[Delivery] = (),
        *,
        term: int | None = None,
        audit: AuditEntry | None = None,
    ) -> Job | None:
        """Store ``new`` if the stored version is still that of ``old``; None when it is not."""
        stored = changed(new, version=old.version + 1)
        statement, values = sql.replacement(old, stored, events)
        messages = sqlite_outbox.rows_of(deliveries)
        used = books.usage_row(old, stored)

        def update(connection: sqlite3.Connection) -> Job | None:
            if connection.execute(statement, values).rowcount == 0:
                return None
            if messages:
                sqlite_outbox.insert(connection, messages)
            if used is not None:
                connection.execute(sqlite_books.ADD_USAGE, used)
            if audit is not None:
                connection.execute(sqlite_books.ADD_ENTRY, books.audit_row(audit))
            return stored

        return await self._writer.write(update)

    async def usage(self, query: UsageQuery) -> Sequence[UsageSum]:
        """Sums over the jobs that ended."""
        statement, values = sqlite_books.usage(query)
        found = await self._reader.listed(statement, *values)
        return [books.read_sum(query.group_by, row) for row in found]

    async def delete(self, job_id: str, *, audit: AuditEntry | None = None) -> bool:
        """Delete a job with its events, its idempotency key, its messages and its use of kept objects."""
        key = (columns.column(job_id),)

        def remove(connection: sqlite3.Connection) -> bool:
            found = connection.execute(sql.DELETE_JOB, key).rowcount > 0
            connection.execute(sql.DELETE_EARLIER_EVENTS, key)
            connection.execute(sql.DELETE_CLAIMS_OF, key)
            sqlite_outbox.delete_of_job(connection, job_id)
            sqlite_references.release(connection, job_id)
            if found and audit is not None:
                connection.execute(sqlite_books.ADD_ENTRY, books.audit_row(audit))
            return found

        return await self._writer.write(remove)

    async def forget_claims(self, before: datetime) -> int:
        """Delete idempotency keys that were claimed before then."""
        values = (columns.microseconds(before), _CLAIMS_PAGE)
        deleted = 0
        while True:
            page = await self._writer.write(
                lambda connection: connection.execute(sql.DELETE_OLD_CLAIMS, values).rowcount
            )
            deleted += page
            if page < _CLAIMS_PAGE:
                return deleted

    async def get(self, job_id: str) -> Job | None:
        """The job with that id."""
        return await self._job(await self._reader.by_key(sql.GET, columns.column(job_id)))

    async def find_native(self, account: str, native_id: str) -> Job | None:
        """The newest job of the account with that native id."""
        return await self._job(
            await self._reader.by_key(sql.FIND_NATIVE, columns.column(account), columns.column(native_id))
        )

    async def head(self, account: str, job_id: str) -> JobHead | None:
        """What the columns say of the account's job with that id, or of its newest with that native id."""
        key, owner = columns.column(job_id), columns.column(account)
        found = await self._reader.by_key(sql.HEAD, key, owner)
        found = found or await self._reader.by_key(sql.HEAD_OF_NATIVE, owner, key)
        return columns.read_head(found[0]) if found else None

    async def open_jobs(self, after_id: str, limit: int, share: int | None = None) -> Sequence[Job]:
        """One page of open jobs, in the order of their ids.

        A damaged row is logged and left out: it must not keep the others from being followed after a restart.
        """

        def read(connection: sqlite3.Connection) -> list[Job]:
            jobs: list[Job] = []
            last_id = columns.column(after_id)
            while missing := limit - len(jobs):
                page = _page(connection, sql.OPEN_JOBS, (last_id, missing), MAX_OPEN_PAGE_BYTES)
                found = (row for row in page if share in {None, share_of(row[0])})
                jobs += rows.readable(found, load_job, "open job")
                if not page or (jobs and len(page) < missing):
                    break
                last_id = page[-1][0]
            return jobs

        return await self._reader.on_thread(read)

    async def open_ids(self, share: int) -> Sequence[str]:
        """The ids of the open jobs of a share."""

        def read(connection: sqlite3.Connection) -> list[str]:
            return [job_id for (job_id,) in connection.execute(sql.OPEN_IDS) if share_of(job_id) == share]

        return await self._reader.on_thread(read)

    async def count_open(self, account: str | None = None) -> int:
        """Number of open jobs, of one account or of all."""
        statement, values = (
            (sql.COUNT_OPEN, ()) if account is None else (sql.COUNT_OPEN_OF, (columns.column(account),))
        )
        ((count,),) = await self._reader.on_thread(lambda found: found.execute(statement, values).fetchall())
        return int(count)

    async def count_open_by_plugin(self) -> Mapping[str, int]:
        """Number of open jobs by the plugin of their last attempt."""
        return {plugin: int(count) for plugin, count in await self._reader.listed(sql.COUNT_OPEN_BY_PLUGIN)}

    async def list_jobs(self, account: str | None, query: JobQuery) -> Sequence[Job]:
        """The jobs that match a query, newest first. A damaged row is logged and left out."""

        def read(connection: sqlite3.Connection) -> list[Job]:
            jobs: list[Job] = []
            rest = query
            while missing := query.limit - len(jobs):
                rest = attrs.evolve(rest, limit=missing)
                page = _page(connection, *sql.listing(account, rest), query.max_bytes)
                jobs += rows.readable(page, load_job, "job")
                if not page or (jobs and len(page) < missing):
                    break
                job_id, _, created_at_us = page[-1]
                rest = attrs.evolve(rest, before=(columns.moment(created_at_us), job_id))
            return jobs

        return await self._reader.on_thread(read)

    async def find_claim(self, account: str, route: str, key: str) -> IdempotencyClaim | None:
        """The claim of an idempotency key, as long as it is kept."""
        found = await self._reader.by_key(sql.FIND_CLAIM, *columns.claim_key(account, route, key))
        return columns.read_claim(found[0]) if found else None

    async def spent_usd_nanos(self, account: str, since: datetime) -> int:
        """Cost of the account's jobs that finished at or after ``since``."""
        ((total,),) = await self._reader.by_key(sql.SPENT, *sql.spent_since(account, since))
        return int(total)

    async def accounts(self) -> Sequence[str]:
        """The accounts that have jobs."""
        return [account for (account,) in await self._reader.listed(sql.ACCOUNTS)]

    async def finished_jobs(
        self, account: str, after: tuple[datetime, str] | None, before: datetime, limit: int
    ) -> Sequence[tuple[datetime, str]]:
        """End times and ids of one page of the account's jobs that ended before then, the oldest first."""
        moment, job_id = (columns.microseconds(after[0]), after[1]) if after else (-1, "")
        values = (
            columns.column(account),
            moment,
            columns.column(job_id),
            columns.microseconds(before),
            limit,
        )
        page = await self._reader.on_thread(lambda found: found.execute(sql.FINISHED, values).fetchall())
        return [(columns.moment(ended_us), found) for ended_us, found in page]

    async def events(
        self, job_id: str, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, JobEvent]]:
        """The job's events with a number greater than ``after``. A damaged one is logged and left out."""
        key = columns.column(job_id)

        def read(connection: sqlite3.Connection) -> list[tuple[int, JobEvent]]:
            ((lines, earlier),) = connection.execute(sql.EVENTS, (key,)).fetchall() or [("", 0)]
            found = connection.execute(sql.EARLIER_EVENTS, (key, after)).fetchall() if after < earlier else []
            # Not `splitlines`: JSON escapes only line feeds.
            numbered = enumerate(lines.split("\n")[:-1], earlier + 1)
            found += itertools.islice(numbered, max(0, after - earlier), None)
            pairs = rows.readable_pairs(found, load_event, f"event of job {job_id}")
            return list(itertools.islice(pairs, limit))

        return await self._reader.on_thread(read)

    async def mark(self, name: str) -> str | None:
        """The value of a mark, or None."""
        found = await self._reader.by_key(sql.MARK, name)
        return str(found[0][0]) if found else None

    async def set_mark(self, name: str, value: str) -> None:
        """Set a mark."""
        await self._writer.write(lambda connection: connection.execute(sql.SET_MARK, (name, value)).close())

    async def swap_mark(self, name: str, old: str | None, new: str) -> str:
        """Set a mark unless it has another value than ``old``; return the value that it has now."""

        def swap(connection: sqlite3.Connection) -> str:
            connection.execute(sql.SWAP_MARK, (name, old, new))
            return str(connection.execute(sql.MARK, (name,)).fetchone()[0])

        return await self._writer.write(swap)

    async def ping(self) -> None:
        """Write and commit a row as large as a large job, through the same thread as every job.

        Taking the write lock alone would prove nothing: a full disk only shows when pages are written to the
        log.
        """
        await self._writer.write(lambda connection: connection.execute(sql.CHECK).close())

    async def close(self) -> None:
        """Finish the pending writes and close the database. Closing again does nothing."""
        await self._writer.close()
        await self._reader.close()
        self._lock.release()

    async def _job(self, found: Sequence[tuple[Any, ...]]) -> Job | None:
        if not found:
            return None
        job_id, doc = found[0]
        load = functools.partial(rows.loaded, job_id, doc, load_job, "job")
        # Only rows that an older version wrote are so large that decoding them would block the event loop.
        return load() if doc_bytes(doc) < LARGE_DOC_BYTES else await self._reader.on_thread(lambda _: load())


def _page(
    connection: sqlite3.Connection,
    statement: str,
    values: Sequence[Any] | Mapping[str, Any],
    max_bytes: int | None,
) -> list[tuple[Any, ...]]:
    # Closed at once: a half-read cursor would keep its snapshot, and the log from being truncated.
    with contextlib.closing(connection.execute(statement, values)) as cursor:
        return list(rows.up_to(cursor, max_bytes))


def _connect(path: Path, *, is_writable: bool = True) -> sqlite3.Connection:
    """Open a connection that begins no transaction by itself (``isolation_level=None``)."""
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    if not is_writable:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _lock_of(path: Path) -> FileLock:
    # Not bound to the thread that acquires it: another one releases it.
    return FileLock(f"{path}.lock", timeout=0, thread_local=False)


def _prepare_to_read(path: Path) -> FileLock:
    """Migrate the database unless another process uses it; the lock is not held at the end.

    A reader must not keep a server from starting for an hour.
    """
    try:
        lock = _prepare(path)
    except ConfigError as error:
        if not isinstance(error.__cause__, Timeout):
            raise
        try:
            with contextlib.closing(_connect(path, is_writable=False)) as connection:
                check_version(connection, path)
        except sqlite3.Error as exc:
            raise StorageError(f"the job store {path} cannot be opened: {describe(exc)}") from exc
        return _lock_of(path)
    lock.release()
    return lock


def _prepare(path: Path) -> FileLock:
    """Lock the database and migrate it; on failure the lock is released."""
    lock = _lock_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        # Only its user may read it: it holds prompts and callback tokens. SQLite gives the log the same mode.
        path.touch(mode=0o600)
    except Timeout as exc:
        message = f"another musicgate uses the database {path}; stop it, or give this one a store of its own"
        raise ConfigError(message, key="store.url") from exc
    except OSError as exc:
        lock.release()
        raise StorageError(f"the job store {path} cannot be opened: {exc.strerror or exc}") from exc
    try:
        _migrate(path)
    except sqlite3.Error as exc:
        lock.release()
        raise StorageError(f"the job store {path} cannot be opened: {describe(exc)}") from exc
    except BaseException:
        lock.release()
        raise
    return lock


def _migrate(path: Path) -> None:
    with contextlib.closing(_connect(path)) as connection:
        (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if journal != "wal":
            message = (
                f"the file system of {path} cannot hold a write-ahead log; put the database on a local disk"
            )
            raise ConfigError(message, key="store.url")
        migrate(connection, path)
