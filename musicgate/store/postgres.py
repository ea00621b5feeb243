"""The job store on PostgreSQL 14 or later; knows SQL and connections, not what a job means.

Each write is one statement where that is possible, and the two that every job needs, `add` and `replace`, are
written in batches (`batches`). A write is durable when the call returns, as PostgreSQL commits it.

Replicas share a database, and a process that must be alone takes it alone: see `postgres_lock`. All tables
are in a schema of their own, ``musicgate``.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Self, TypeVar

import attrs

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
)
from musicgate.store import (
    books,
    columns,
    postgres_books,
    postgres_keys,
    postgres_outbox,
    postgres_references,
    rows,
)
from musicgate.store import postgres_statements as sql
from musicgate.store.batches import Batches
from musicgate.store.port import StoreReport
from musicgate.store.postgres_connections import PostgresConnections, Transaction, connect
from musicgate.store.postgres_errors import ERRORS, code_of, describe, is_of_one_row
from musicgate.store.postgres_ledger import PostgresLedger
from musicgate.store.postgres_lock import StoreLock, check_session
from musicgate.store.postgres_migrate import check_server, is_current, versions
from musicgate.text import LARGE_DOC_BYTES, MAX_OPEN_PAGE_BYTES

_T = TypeVar("_T")
#: Old idempotency keys deleted in one write.
_CLAIMS_PAGE: Final = 50
#: What PostgreSQL says at a connection that only an operator can mend -> what to do.
_REFUSALS: Final = {
    "28000": "PostgreSQL refuses the user: look at its name and at pg_hba.conf",
    "28P01": "PostgreSQL refuses the user or the password: look at both",
    "3D000": "there is no such database: create it (CREATE DATABASE), or correct its name",
    "42501": "the user lacks a permission: it must own the schema musicgate and its tables",
    "25006": "the database is read-only: name the primary server",
}
#: The same for a pooler that gets what it does not know of a session, by setting.
_NO_SESSION: Final = {
    "store.url": "a pooler is between that lends no sessions: set store.pgbouncer = true",
    "store.session_url": "a pooler is between that lends no sessions: name PostgreSQL itself",
}


class PostgresJobStore:
    """Jobs in one PostgreSQL database. Create it with `open`, on the event loop that uses it."""

    def __init__(self, connections: PostgresConnections) -> None:
        """Use a database that is migrated and held; `open` does both."""
        self._connections = connections
        self.commits = Commits()
        self._adding = Batches(self._add, is_of_one=is_of_one_row, commits=self.commits)
        self._replacing = Batches(self._replace, is_of_one=is_of_one_row, commits=self.commits)
        self._ledgers: list[PostgresLedger] = []
        self.outbox = postgres_outbox.PostgresOutbox(connections)
        self.asset_references = postgres_references.PostgresAssetReferences(connections)
        self.audit_log = postgres_books.PostgresAuditLog(connections)
        self.keys = postgres_keys.PostgresKeys(connections)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, url: str, *, has_session: bool = True, session_url: str = "", exclusive: bool = False
    ) -> AsyncIterator[Self]:
        """Hold the database for this process, migrate it, and close it at the end.

        Args:
            url: as libpq reads it: ``postgresql://user:password@host:5432/database?sslmode=require``.
            has_session: False behind a pooler that lends a connection for each transaction.
            session_url: the same database past that pooler; without it a single process can use it.
            exclusive: no other process may use it meanwhile.

        Raises:
            ConfigError: a process uses it that this one cannot work beside, a newer musicgate has written it,
                it cannot hold a store, or the session is on another one.
            StorageError: it cannot be reached.
        """
        lock = _lock(url, has_session=has_session, session_url=session_url, exclusive=exclusive)
        async with contextlib.AsyncExitStack() as stack:
            with _opening("store.session_url" if session_url else "store.url"):
                connection = await connect(session_url or url, has_session=has_session or bool(session_url))
            with _opening("store.url"):
                try:
                    async with connection.transaction():
                        await check_server(connection, for_writing=True)
                    if session_url:
                        await check_session(connection, url)
                    await lock.take(connection)
                except BaseException:
                    connection.terminate()
                    raise
                await stack.enter_async_context(lock.keep())
                connections = await stack.enter_async_context(
                    PostgresConnections.open(url, has_session=has_session, check=lock.check)
                )
            store = cls(connections)
            stack.push_async_callback(store.close)
            yield store

    @classmethod
    @contextlib.asynccontextmanager
    async def open_to_read(
        cls, url: str, *, has_session: bool = True, session_url: str = ""
    ) -> AsyncIterator[Self]:
        """Open the database without holding it, perhaps beside processes that use it. Every write fails.

        Raises:
            ConfigError: a musicgate of another version uses it, so that its tables are others.
            StorageError: it cannot be reached.
        """
        with _opening("store.url"):
            connection = await connect(session_url or url, has_session=has_session or bool(session_url))
            try:
                lock = _lock(url, has_session=has_session, session_url=session_url, exclusive=False)
                await _prepare_to_read(connection, lock)
            finally:
                connection.terminate()
        async with contextlib.AsyncExitStack() as stack:
            with _opening("store.url"):
                connections = await stack.enter_async_context(
                    PostgresConnections.open(url, has_session=has_session, check=_refuse_writes)
                )
            store = cls(connections)
            stack.push_async_callback(store.close)
            yield store

    @staticmethod
    async def inspect(url: str, *, has_session: bool = True, session_url: str = "") -> StoreReport:
        """Report on the database without holding or changing it, perhaps beside processes that use it.

        Raises:
            ConfigError: it cannot hold a store, or a newer musicgate has written it.
            StorageError: it cannot be reached.
        """
        with _opening("store.session_url" if session_url else "store.url"):
            connection = await connect(session_url or url, has_session=has_session or bool(session_url))
            try:
                async with connection.transaction():
                    await check_server(connection, for_writing=True)
                    version, newest_version = await versions(connection)
            finally:
                connection.terminate()
        return StoreReport(version=version, newest_version=newest_version)

    def ledger(self, replica: str, is_dead: Callable[[str], bool]) -> PostgresLedger:
        """The ledger of a replica."""
        ledger = PostgresLedger(self._connections, replica, is_dead)
        self._ledgers.append(ledger)
        return ledger

    async def add(
        self,
        job: Job,
        events: Sequence[JobEvent],
        claim: IdempotencyClaim | None = None,
        audit: AuditEntry | None = None,
    ) -> IdempotencyClaim | None:
        """Store a new job with its first events, or return the earlier claim of its idempotency key."""
        item = sql.new_job(job, events, claim, audit)
        # An earlier claim may be deleted before it is read. Then the key is free.
        while not await self._adding.write(item):
            if claim is None:
                raise AssertionError(job.id)  # pragma: no cover - a job without a claim is added or refused
            earlier = await self.find_claim(claim.account, claim.route, claim.key)
            if earlier is not None:
                return earlier
        return None

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
        is_stored = await self._replacing.write(sql.replacement(old, stored, events, deliveries, term, audit))
        return stored if is_stored else None

    async def usage(self, query: UsageQuery) -> Sequence[UsageSum]:
        """Sums over the jobs that ended."""
        statement, values = postgres_books.usage(query)
        return [
            books.read_sum(query.group_by, tuple(row))
            for row in await self._connections.read(statement, *values)
        ]

    async def delete(self, job_id: str, *, audit: AuditEntry | None = None) -> bool:
        """Delete a job with its events, its idempotency key, its messages and its use of kept objects."""

        async def remove(transaction: Transaction) -> bool:
            found = bool(await transaction.run(sql.DELETE_JOB, job_id))
            await transaction.run(sql.DELETE_CLAIMS_OF, job_id)
            await transaction.run(postgres_outbox.DELETE_OF_JOB, job_id)
            await postgres_references.release(transaction, job_id)
            if found and audit is not None:
                await transaction.run(postgres_books.ADD_ENTRIES, *postgres_books.entries([audit]))
            return found

        return await self.transaction(remove)

    async def forget_claims(self, before: datetime) -> int:
        """Delete idempotency keys that were claimed before then."""
        deleted = 0
        while True:
            page = await self._connections.write(
                sql.DELETE_OLD_CLAIMS, columns.microseconds(before), _CLAIMS_PAGE
            )
            deleted += len(page)
            if len(page) < _CLAIMS_PAGE:
                return deleted

    async def get(self, job_id: str) -> Job | None:
        """The job with that id."""
        return await _job(await self._connections.read(sql.GET, job_id))

    async def find_native(self, account: str, native_id: str) -> Job | None:
        """The newest job of the account with that native id."""
        return await _job(await self._connections.read(sql.FIND_NATIVE, account, native_id))

    async def head(self, account: str, job_id: str) -> JobHead | None:
        """What the columns say of the account's job with that id, or of its newest with that native id."""
        found = await self._connections.read(sql.HEAD, account, job_id)
        found = found or await self._connections.read(sql.HEAD_OF_NATIVE, account, job_id)
        return columns.read_head(tuple(found[0])) if found else None

    async def open_jobs(self, after_id: str, limit: int, share: int | None = None) -> Sequence[Job]:
        """One page of open jobs, in the order of their ids.

        A damaged row is logged and left out: it must not keep the others from being followed after a restart.
        """
        jobs: list[Job] = []
        last_id = after_id
        while missing := limit - len(jobs):
            values: list[Any] = [MAX_OPEN_PAGE_BYTES, last_id, missing]
            if share is None:
                page = await self._connections.read(sql.OPEN_JOBS, *values)
            else:
                page = await self._connections.read(sql.OPEN_JOBS_OF_SHARE, *values, share)
            jobs += await _readable(page, "open job")
            if not page or (jobs and len(page) < missing):
                break
            last_id = page[-1][0]
        return jobs

    async def open_ids(self, share: int) -> Sequence[str]:
        """The ids of the open jobs of a share."""
        return [job_id for (job_id,) in await self._connections.read(sql.OPEN_IDS, share)]

    async def count_open(self, account: str | None = None) -> int:
        """Number of open jobs, of one account or of all."""
        ((count,),) = (
            await self._connections.read(sql.COUNT_OPEN)
            if account is None
            else await self._connections.read(sql.COUNT_OPEN_OF, account)
        )
        return int(count)

    async def count_open_by_plugin(self) -> Mapping[str, int]:
        """Number of open jobs by the plugin of their last attempt."""
        return dict(map(tuple, await self._connections.read(sql.COUNT_OPEN_BY_PLUGIN)))

    async def list_jobs(self, account: str | None, query: JobQuery) -> Sequence[Job]:
        """The jobs that match a query, newest first. A damaged row is logged and left out."""
        jobs: list[Job] = []
        rest = query
        while missing := query.limit - len(jobs):
            rest = attrs.evolve(rest, limit=missing)
            statement, values = sql.listing(account, rest)
            page = await self._connections.read(statement, *values)
            jobs += await _readable(page, "job")
            if not page or (jobs and len(page) < missing):
                break
            job_id, _, created_at_us = page[-1]
            rest = attrs.evolve(rest, before=(columns.moment(created_at_us), job_id))
        return jobs

    async def find_claim(self, account: str, route: str, key: str) -> IdempotencyClaim | None:
        """The claim of an idempotency key, as long as it is kept."""
        found = await self._connections.read(sql.FIND_CLAIM, account, route, key)
        return columns.read_claim(tuple(found[0])) if found else None

    async def spent_usd_nanos(self, account: str, since: datetime) -> int:
        """Cost of the account's jobs that finished at or after ``since``."""
        ((total,),) = await self._connections.read(sql.SPENT, *sql.spent_since(account, since))
        return int(total)

    async def accounts(self) -> Sequence[str]:
        """The accounts that have jobs."""
        return [account for (account,) in await self._connections.read(sql.ACCOUNTS)]

    async def finished_jobs(
        self, account: str, after: tuple[datetime, str] | None, before: datetime, limit: int
    ) -> Sequence[tuple[datetime, str]]:
        """End times and ids of one page of the account's jobs that ended before then, the oldest first."""
        ended_us, job_id = (columns.microseconds(after[0]), after[1]) if after else (-1, "")
        values = (account, ended_us, job_id, columns.microseconds(before), limit)
        page = await self._connections.read(sql.FINISHED, *values)
        return [(columns.moment(found_us), found) for found_us, found in page]

    async def events(
        self, job_id: str, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, JobEvent]]:
        """The job's events with a number greater than ``after``. A damaged one is logged and left out."""
        found = await self._connections.read(sql.EVENTS, job_id)
        lines = found[0][0] if found else ""
        # Not `splitlines`: JSON escapes only line feeds.
        numbered = itertools.islice(enumerate(lines.split("\n")[:-1], 1), max(0, after), None)
        return list(
            itertools.islice(rows.readable_pairs(numbered, load_event, f"event of job {job_id}"), limit)
        )

    async def mark(self, name: str) -> str | None:
        """The value of a mark, or None."""
        found = await self._connections.read(sql.MARK, name)
        return str(found[0][0]) if found else None

    async def set_mark(self, name: str, value: str) -> None:
        """Set a mark."""
        await self._connections.write(sql.SET_MARK, name, value)

    async def swap_mark(self, name: str, old: str | None, new: str) -> str:
        """Set a mark unless it has another value than ``old``; return the value that it has now."""
        ((value,),) = await self._connections.write(sql.SWAP_MARK, name, old, new)
        return str(value)

    async def ping(self) -> None:
        """Write and commit a row as large as a large job."""
        await self._connections.write(sql.CHECK, sql.CHECK_PADDING)

    async def transaction(self, work: Callable[[Transaction], Awaitable[_T]]) -> _T:
        """Run statements of another module of this room in one transaction.

        Raises:
            StorageError: nothing was stored, or ``maybe_stored``.
        """
        return await self._connections.transaction(work)

    async def close(self) -> None:
        """Finish the pending writes and close the connections. Closing again does nothing."""
        await self._adding.close()
        await self._replacing.close()
        for ledger in self._ledgers:
            await ledger.close()
        await self._connections.close()

    async def _add(self, batch: Sequence[sql.NewJob]) -> list[bool]:
        statement, values = sql.added(batch)
        found = {place for (place,) in await self._connections.write(statement, *values)}
        return [place in found for place in range(len(batch))]

    async def _replace(self, batch: Sequence[sql.Replacement]) -> list[bool]:
        statement, values = sql.replaced(batch)
        found = {place for (place,) in await self._connections.write(statement, *values)}
        return [place in found for place in range(len(batch))]


async def _job(found: Sequence[Any]) -> Job | None:
    if not found:
        return None
    job_id, doc = found[0]
    if doc_bytes(doc) < LARGE_DOC_BYTES:
        return rows.loaded(job_id, doc, load_job, "job")
    # Only rows that an older version wrote are so large that decoding them would block the event loop.
    return await asyncio.to_thread(rows.loaded, job_id, doc, load_job, "job")


async def _readable(page: Sequence[Any], what: str) -> list[Job]:
    return await asyncio.to_thread(lambda: list(rows.readable(page, load_job, what)))


def _lock(url: str, *, has_session: bool, session_url: str, exclusive: bool) -> StoreLock:
    return StoreLock(session_url or url, has_session=has_session or bool(session_url), exclusive=exclusive)


async def _prepare_to_read(connection: Any, lock: StoreLock) -> None:
    """Migrate the database where that is needed and no process is in the way; it is not held at the end."""
    async with connection.transaction():
        await check_server(connection, for_writing=False)
        if await is_current(connection):
            return
    try:
        await lock.take(connection)
    except ConfigError as error:
        if not isinstance(error.__cause__, TimeoutError):
            raise
        raise ConfigError(
            "an earlier version of musicgate uses the database; stop it, or start it anew", key="store.url"
        ) from error
    await lock.release()


def _refuse_writes() -> None:
    raise StorageError("the job store is open for reading only")


@contextlib.contextmanager
def _opening(key: str) -> Iterator[None]:
    """Turn what PostgreSQL says while a store is opened into our errors; no URL is shown.

    Args:
        key: the setting that names it.
    """
    try:
        yield
    except ValueError as exc:  # of asyncpg, for a URL that it cannot read; its message may quote the URL
        raise ConfigError("is no URL of PostgreSQL", key=key) from exc
    except ERRORS as exc:
        code = code_of(exc)
        refusal = _NO_SESSION[key] if code == "08P01" else _REFUSALS.get(code)
        if refusal is not None:
            raise ConfigError(f"{refusal} ({exc})", key=key) from exc
        raise StorageError(f"the job store cannot be opened: {describe(exc)}") from exc
