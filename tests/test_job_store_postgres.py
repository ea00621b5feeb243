"""What is particular to the job store on PostgreSQL: its server, lost connections, indexes."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import attrs
import pytest

from musicgate.errors import ConfigError, StorageError
from musicgate.model import AuditEntry, Job, JobQuery, JobState, UsageQuery
from musicgate.store import (
    StoreReport,
    postgres_books,
    postgres_connections,
    postgres_lock,
    postgres_migrate,
    postgres_outbox,
    postgres_references,
)
from musicgate.store import postgres_statements as statements
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.postgres_connections import PostgresConnections
from tests.job_samples import NOW, ended, make_claim, make_event, make_job
from tests.postgres_servers import Postgres, emptied, execute, without_schema
from tests.waiting import until


@pytest.fixture
async def url(postgres: Postgres) -> str:
    """The URL of a database that is empty but for the tables."""
    return await emptied(postgres.url)


@pytest.fixture
async def pg_store(url: str) -> AsyncIterator[PostgresJobStore]:
    async with PostgresJobStore.open(url) as ready:
        yield ready


@pytest.fixture
async def role(postgres: Postgres) -> AsyncIterator[str]:
    """A user of the server without any rights."""
    name = f"musicgate_test_{uuid4().hex}"
    await execute(postgres.url, f"CREATE ROLE {name} LOGIN PASSWORD 'secret-of-role'")
    yield name
    await execute(postgres.url, f"DROP ROLE {name}")


async def opened(url: str, *, exclusive: bool = False) -> None:
    """Open the store, write to it and close it."""
    async with PostgresJobStore.open(url, exclusive=exclusive) as store:
        await store.ping()


def as_role(url: str, role: str) -> str:
    """The same database for another user."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:secret-of-role@{host}"))


# --- opening ---


async def test_a_store_in_use_can_be_read_and_not_written(pg_store: PostgresJobStore, url: str) -> None:
    await pg_store.add(make_job(), [])
    async with PostgresJobStore.open_to_read(url) as reader:
        assert await reader.list_jobs("default", JobQuery()) == [make_job()]
        for write in (reader.add(make_job("m2"), []), reader.ping()):
            with pytest.raises(StorageError, match="for reading only"):
                await write
    await pg_store.ping()


async def test_a_reader_takes_no_lock_that_would_keep_a_server_from_starting(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opened(url)
    monkeypatch.setattr(postgres_lock.StoreLock, "take", None)
    async with PostgresJobStore.open_to_read(url) as reader:
        assert await reader.accounts() == []


async def test_a_store_that_is_free_is_migrated_to_be_read_and_stays_free(postgres: Postgres) -> None:
    url = await without_schema(postgres.url)
    async with PostgresJobStore.open_to_read(url) as reader:
        assert await reader.accounts() == []
        await opened(url, exclusive=True)


async def test_a_store_is_inspected_without_tables_and_while_a_process_is_alone_on_it(
    postgres: Postgres,
) -> None:
    url = await without_schema(postgres.url)
    newest = postgres_migrate.newest_version()
    assert await PostgresJobStore.inspect(url) == StoreReport(version=0, newest_version=newest)
    assert await execute(url, "SELECT to_regnamespace('musicgate') IS NULL") == [(True,)]
    async with PostgresJobStore.open(url, exclusive=True):
        assert await PostgresJobStore.inspect(url) == StoreReport(version=newest, newest_version=newest)


# --- the server ---


async def test_a_server_that_is_too_old_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_migrate, "_OLDEST_SERVER", 990_000)
    with pytest.raises(ConfigError, match=r"store\.url: PostgreSQL 1\d\..* is too old: use 14 or later"):
        await opened(url)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("default_transaction_read_only = on", "is read-only for {0}: ALTER ROLE {0} SET"),
        ("synchronous_commit = off", "ALTER ROLE {0} SET synchronous_commit = on"),
        (
            "default_transaction_isolation = 'repeatable read'",
            "ALTER ROLE {0} SET default_transaction_isolation = 'read committed'",
        ),
        ("application_name = x", "GRANT CREATE ON DATABASE .* TO {0}, or CREATE SCHEMA musicgate"),
    ],
)
async def test_a_role_that_cannot_hold_a_store_is_refused_with_the_mend(
    postgres: Postgres, role: str, setting: str, reason: str
) -> None:
    url = await without_schema(postgres.url)
    await execute(url, f"ALTER ROLE {role} SET {setting}")
    with pytest.raises(ConfigError, match=reason.format(role)) as caught:
        await opened(as_role(url, role))
    assert "secret-of-role" not in str(caught.value)


async def test_a_role_without_rights_on_the_tables_is_refused(url: str, role: str) -> None:
    await opened(url)
    with pytest.raises(ConfigError, match="must own the schema musicgate and its tables") as caught:
        await opened(as_role(url, role))
    assert "secret-of-role" not in str(caught.value)


async def test_a_database_that_does_not_exist_is_a_setting_to_correct(url: str) -> None:
    wrong = urlunsplit(urlsplit(url)._replace(path="/no_such_database"))
    with pytest.raises(ConfigError, match="there is no such database: create it"):
        await opened(wrong)


@pytest.mark.parametrize(
    ("wrong", "error", "reason"),
    [
        (
            "postgresql://u:hush@127.0.0.1:9/db",
            StorageError,
            "cannot be opened: PostgreSQL cannot be reached",
        ),
        ("postgresql://u:hush@127.0.0.1:none/db", ConfigError, "is no URL of PostgreSQL"),
        ("postgresql://u:hush@127.0.0.1:9/db?sslmode=odd", ConfigError, "is no URL of PostgreSQL"),
    ],
)
async def test_a_wrong_url_is_an_error_without_the_password(
    wrong: str, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason) as caught:
        await opened(wrong)
    assert "hush" not in str(caught.value)


# --- writes ---


async def test_writes_that_come_at_once_are_one_statement(
    pg_store: PostgresJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = pg_store._connections.write

    async def counted(statement: str, *values: Any) -> Any:
        written.append(statement)
        return await write(statement, *values)

    monkeypatch.setattr(pg_store._connections, "write", counted)
    await asyncio.gather(*(pg_store.add(make_job(f"m{number}"), []) for number in range(100)))
    assert written == [statements.ADD_JOBS]


@pytest.mark.parametrize("odd", ["\ud800", "a\x00b", "\x00\ud800 ü", "n" * 5_000 + "\U0001f3b5" * 5_000])
async def test_odd_texts_are_stored_in_every_column(pg_store: PostgresJobStore, odd: str) -> None:
    job = make_job(odd[:300], account=odd[:100], native_id=odd)
    claim = attrs.evolve(make_claim(job.id, account=odd[:100], key=odd[:100]), fingerprint=odd)
    event = make_event(odd)
    assert await pg_store.add(job, [event], claim) is None
    assert await pg_store.get(job.id) == job
    assert await pg_store.find_native(odd[:100], odd) == job
    assert await pg_store.events(job.id) == [(1, event)]
    assert await pg_store.find_claim(odd[:100], claim.route, odd[:100]) is not None
    assert await pg_store.add(make_job("m2"), [], claim) is not None
    await pg_store.outbox.disable("default", odd, NOW)
    await pg_store.outbox.disable("default", odd, NOW)
    assert await pg_store.outbox.is_disabled("default", odd)
    assert await pg_store.outbox.enable("default", odd)
    assert await pg_store.delete(job.id)


async def test_the_spend_by_day_is_that_of_the_jobs_themselves(pg_store: PostgresJobStore, url: str) -> None:
    jobs: list[Job] = []
    for number in range(12):
        job = make_job(f"m{number:02}", account="ab"[number % 2])
        await pg_store.add(job, [])
        end = ended(job, at_s=number * 20_000.0, price_usd_nanos=None if number == 5 else 10**number)
        stored = await pg_store.replace(job, end, [])
        assert stored is not None
        jobs.append(stored)
    dearer = ended(jobs[3], at_s=7 * 86_400, price_usd_nanos=5)
    assert await pg_store.replace(jobs[3], attrs.evolve(dearer, version=1), []) is not None
    await pg_store.delete("m04")
    await pg_store.add(ended(make_job("m99", account="a"), price_usd_nanos=3), [])
    of_jobs = (
        "SELECT account, finished_at_us / 86400000000, count(*), sum(price_usd_nanos)::bigint"
        " FROM musicgate.jobs WHERE price_usd_nanos IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2"
    )
    kept = "SELECT account, day, jobs, usd_nanos FROM musicgate.spent_by_day ORDER BY 1, 2"
    assert await execute(url, kept) == await execute(url, of_jobs)
    since = NOW + timedelta(seconds=50_000)
    known = [await pg_store.get(f"m{number:02}") for number in range(0, 12, 2)]
    found = [job for job in known if job and job.completed_at and job.completed_at >= since]
    assert await pg_store.spent_usd_nanos("a", since) == sum(
        (job.usage.total_usd_nanos or 0) for job in found if job.usage
    )


async def test_a_deadlock_is_repeated(pg_store: PostgresJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [asyncpg.DeadlockDetectedError("deadlock detected"), asyncpg.SerializationError("again")]
    fetch = pg_store._connections._fetch

    async def failing(connection: Any, statement: str, values: tuple[Any, ...]) -> Any:
        if failures:
            raise failures.pop()
        return await fetch(connection, statement, values)

    monkeypatch.setattr(pg_store._connections, "_fetch", failing)
    await pg_store.add(make_job(), [])
    assert failures == []
    assert await pg_store.get("m1") == make_job()


# --- lost connections ---


async def test_a_write_whose_answer_was_lost_may_be_stored_and_a_read_is_repeated(
    pg_store: PostgresJobStore, url: str
) -> None:
    await pg_store.add(make_job(), [])
    blocker = await asyncpg.connect(url)
    transaction = blocker.transaction()
    await transaction.start()
    await blocker.execute("LOCK TABLE musicgate.jobs IN ACCESS EXCLUSIVE MODE")
    write = asyncio.create_task(pg_store.replace(make_job(), make_job(), []))
    read = asyncio.create_task(pg_store.get("m1"))
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    async def both_wait() -> bool:
        return len(await execute(url, waiting)) == 2

    await until(both_wait)
    for (pid,) in await execute(url, waiting):
        await execute(url, f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(StorageError) as caught:
        await write
    assert caught.value.maybe_stored
    await transaction.rollback()
    await blocker.close()
    assert await read == make_job()


async def test_a_connection_that_postgresql_has_just_ended_counts_as_lost(
    pg_store: PostgresJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pg_store.add(make_job(), [])
    fetch, failures = PostgresConnections._fetch, [1, 1]

    async def ended_once(self: Any, connection: Any, statement: str, values: Any) -> Any:
        if failures:
            failures.pop()
            raise asyncpg.InternalClientError(
                "cannot switch to state 12; another operation (2) is in progress"
            )
        return await fetch(self, connection, statement, values)

    monkeypatch.setattr(PostgresConnections, "_fetch", ended_once)
    with pytest.raises(StorageError, match="connection to PostgreSQL was lost") as caught:
        await pg_store.replace(make_job(), make_job(), [])
    assert caught.value.maybe_stored
    assert await pg_store.get("m1") == make_job()


async def test_everything_goes_on_when_postgresql_was_restarted(postgres: Postgres, url: str) -> None:
    if postgres.server is None:
        pytest.skip("the named PostgreSQL is not ours to stop")
    async with PostgresJobStore.open(url) as store:
        for number, at_once in enumerate((False, True)):
            await store.add(make_job(f"before{number}"), [])
            await asyncio.to_thread(postgres.stop, at_once=at_once)
            try:
                for refused in (store.add(make_job("meanwhile"), []), store.ping(), store.get("before0")):
                    with pytest.raises(StorageError):
                        await refused
                for later in (store.add(make_job("meanwhile"), []), store.get("before0")):
                    with pytest.raises(StorageError) as caught:
                        await later
                    assert (caught.value.is_away, caught.value.maybe_stored) == (True, False)
            finally:
                await asyncio.to_thread(postgres.start)

            async def is_written() -> bool:
                try:
                    await store.ping()
                except StorageError:
                    return False
                return True

            await until(is_written)
            assert await store.get(f"before{number}") is not None
            assert await store.get("meanwhile") is None
            with pytest.raises(ConfigError, match="another musicgate uses the database"):
                await opened(url, exclusive=True)


_ADD_UNTIL_KILLED = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from job_samples import make_event, make_job
from musicgate.store.postgres import PostgresJobStore

async def main():
    async with PostgresJobStore.open(sys.argv[1]) as store:
        async def add(number):
            await store.add(make_job(f"m{number}"), [make_event()])
            print(f"m{number}", flush=True)
        for start in range(0, 10**6, 20):
            await asyncio.gather(*(add(start + number) for number in range(20)))

asyncio.run(main())
"""


async def test_every_acknowledged_job_survives_a_kill_and_the_store_is_free_at_once(url: str) -> None:
    arguments = [sys.executable, "-c", _ADD_UNTIL_KILLED, url, str(Path(__file__).parent)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220, S603 - our own
        assert process.stdout is not None
        answered = [process.stdout.readline().strip() for _ in range(100)]
        process.kill()
        answered += process.stdout.read().split("\n")[:-1]

    async def is_free() -> bool:
        try:
            await opened(url, exclusive=True)
        except ConfigError:
            return False
        return True

    await until(is_free)
    async with PostgresJobStore.open(url) as store:
        for job_id in answered:
            assert await store.get(job_id) == make_job(job_id)


# --- behind a pooler ---


async def test_without_sessions_every_statement_is_in_a_transaction_and_none_is_prepared(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, outside = asyncpg.Connection.fetch, []

    async def watched(connection: Any, statement: str, *values: Any) -> Any:
        if not connection.is_in_transaction():
            outside.append(statement)
        return await fetch(connection, statement, *values)

    monkeypatch.setattr(postgres_connections._QuickConnection, "fetch", watched)
    async with PostgresJobStore.open(url, has_session=False) as store:
        await store.add(make_job(), [make_event()], make_claim())
        await store.replace(make_job(), attrs.evolve(make_job(), state=JobState.IN_PROGRESS), [])
        await store.asset_references.claim("aa/a.mp3", "m1")
        assert len(await store.list_jobs(None, JobQuery())) == 1
        assert outside == []
        async with store._connections._pool.acquire() as connection:
            prepared = await connection.fetch("SELECT name FROM pg_prepared_statements WHERE name <> ''")
        assert prepared == []
        locks = (
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database"
        )
        assert await execute(url, f"{locks} WHERE datname = current_database())") == []


# --- the audit log ---

_ENTRY = AuditEntry(NOW, "first", "default", "k1")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE musicgate.audit_log SET action = 'x'",
        "DELETE FROM musicgate.audit_log",
        "TRUNCATE musicgate.audit_log",
    ],
)
async def test_audit_log_is_append_only(pg_store: PostgresJobStore, url: str, statement: str) -> None:
    await pg_store.audit_log.add(_ENTRY)
    await pg_store.audit_log.forget(NOW)
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await execute(url, statement)
    assert [found for _, found in await pg_store.audit_log.entries(0, 9)] == [_ENTRY]


async def test_no_entry_is_shown_before_one_with_a_smaller_number(
    pg_store: PostgresJobStore, url: str
) -> None:
    slow = await asyncpg.connect(url)
    async with slow.transaction():
        await slow.execute(postgres_books.ADD_ENTRIES, *postgres_books.entries([_ENTRY]))
        await pg_store.audit_log.add(_ENTRY._replace(action="second"))
        reading = asyncio.create_task(pg_store.audit_log.entries(0, 9))
        await asyncio.wait({reading}, timeout=0.3)
    assert [entry.action for _, entry in await reading] == ["first", "second"]
    await slow.close()


# --- no query grows with finished jobs ---

#: Many finished jobs, few open ones, and what belongs to them.
_MANY = """
INSERT INTO musicgate.jobs SELECT 'm' || n, 'a' || n % 5, 'completed', 'p', 'n' || n, 'suno/v' || n % 3, n, n, n, 1, 2,
    '{}', '', n % 64 FROM generate_series(1, 8000) AS n;
INSERT INTO musicgate.jobs SELECT 'o' || n, 'a' || n % 5, 'queued', 'p', NULL, 'suno/v4', n, n, NULL, NULL, 2, '{}', '',
    n % 64 FROM generate_series(1, 50) AS n;
INSERT INTO musicgate.idempotency_keys SELECT 'a' || n % 5, 'r', 'k' || n, 'f', 'm' || n, n
    FROM generate_series(1, 8000) AS n;
INSERT INTO musicgate.webhook_deliveries SELECT 'd' || n, 'm' || n, 'a' || n % 5, 'https://h',
    CASE WHEN n % 4 = 0 THEN n END, 1, '{}' FROM generate_series(1, 8000) AS n;
INSERT INTO musicgate.asset_references SELECT 'f' || n, 'm' || n FROM generate_series(1, 8000) AS n;
INSERT INTO musicgate.unused_assets SELECT 'f' || n FROM generate_series(1, 8000) AS n;
INSERT INTO musicgate.disabled_webhooks SELECT 'a' || n % 5, 'u' || n, 1 FROM generate_series(1, 8000) AS n;
INSERT INTO musicgate.usage_by_day SELECT 'a' || n % 5, 14000 + n, 'k', 's', 'p', 'm', 'completed', 1, 1, 1, 1
    FROM generate_series(1, 8000) AS n;
INSERT INTO musicgate.audit_log (at_us, action, account, key_id, job_id, request_id, subject)
    SELECT n, 'a', 'a1', 'k', 'm', 'r', '' FROM generate_series(1, 8000) AS n;
ANALYZE;
"""
_WEEK = UsageQuery(first=NOW.date() - timedelta(days=6), last=NOW.date())
#: Statement, values, and the indexes that it may read.
QUERIES: tuple[tuple[str, Sequence[Any], set[str]], ...] = (
    (statements.OPEN_JOBS, (100, "", 10), {"jobs_open"}),
    (statements.OPEN_JOBS_OF_SHARE, (100, "", 10, 7), {"jobs_open"}),
    (statements.OPEN_IDS, (7,), {"jobs_open"}),
    (statements.COUNT_OPEN, (), {"jobs_open"}),
    (statements.COUNT_OPEN_BY_PLUGIN, (), {"jobs_open"}),
    (statements.COUNT_OPEN_OF, ("a1",), {"jobs_of_state"}),
    (statements.FIND_NATIVE, ("a1", "n1"), {"jobs_native"}),
    (statements.HEAD, ("a1", "m1"), {"jobs_pkey"}),
    (statements.HEAD_OF_NATIVE, ("a1", "n1"), {"jobs_native"}),
    (statements.GET, ("m1",), {"jobs_pkey"}),
    (statements.EVENTS, ("m1",), {"jobs_pkey"}),
    (statements.SPENT, ("a1", 7990, 1), {"jobs_ended", "spent_by_day_pkey"}),
    (statements.FINISHED, ("a1", 1, "a", 9000, 10), {"jobs_ended"}),
    (statements.FIND_CLAIM, ("a1", "r", "k1"), {"idempotency_keys_pkey"}),
    (statements.DELETE_OLD_CLAIMS, (7000, 9), {"idempotency_keys_old"}),
    (statements.DELETE_CLAIMS_OF, ("m1",), {"idempotency_keys_of"}),
    (statements.DELETE_JOB, ("m1",), {"jobs_pkey"}),
    (*postgres_books.usage(_WEEK), {"usage_of_day"}),
    (*postgres_books.usage(attrs.evolve(_WEEK, account="a1")), {"usage_by_day_pkey"}),
    (postgres_books.ENTRIES, (3, 9, 5), {"audit_log_pkey"}),
    (postgres_outbox.PENDING, (5,), {"webhook_deliveries_due"}),
    (postgres_outbox.PENDING_OF, ("a1", 5, ["b"]), {"webhook_deliveries_due_of"}),
    (postgres_outbox.ACCOUNTS_DUE, (5,), {"webhook_deliveries_due_of"}),
    (postgres_outbox.NEXT_DUE, (5,), {"webhook_deliveries_due"}),
    (postgres_outbox.OF_JOB, ("m1",), {"webhook_deliveries_of"}),
    (postgres_outbox.IS_DISABLED, ("a1", "u1"), {"disabled_webhooks_of"}),
    (postgres_references.OF_JOB, ("m1",), {"asset_references_of_job"}),
    (postgres_references.UNUSED, ("f1", 5), {"unused_assets_pkey"}),
    (postgres_references.USERS, ("f1", "m1", 5), {"asset_references_pkey"}),
    (
        statements.REPLACE_JOBS,
        statements.replaced([statements.replacement(make_job(), make_job(), [], term=1)])[1],
        {"jobs_pkey", "shares_pkey"},
    ),
)


async def test_no_query_reads_more_rows_when_there_are_more_finished_jobs(
    pg_store: PostgresJobStore, url: str
) -> None:
    await execute(url, _MANY)
    lists = [
        (*statements.listing(account, query), {"jobs_of_state", "jobs_listed"})
        for account in ("a1", None)
        for states in ((), (JobState.FAILED, JobState.COMPLETED))
        for model in (None, "suno/v1")
        for before in (None, (NOW, "m1"))
        for query in [JobQuery(states=states, model=model, before=before, limit=10, max_bytes=100)]
    ]
    connection = await asyncpg.connect(url)
    # Tables that are small here are large elsewhere.
    await connection.execute("SET enable_seqscan = off")
    for sql, values, indexes in [
        *QUERIES,
        *lists,
        (statements.ACCOUNTS, (), {"jobs_listed", "jobs_of_state"}),
    ]:
        async with connection.transaction():
            ((text,),) = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *values)
            nodes = list(_nodes(json.loads(text)[0]["Plan"]))
        assert {node["Index Name"] for node in nodes if "Index Name" in node} <= indexes, sql
        read = [node for node in nodes if "Relation Name" in node and "Actual Rows" in node]
        rows = [
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            for node in read
        ]
        assert max(rows, default=0) <= 200, (sql, rows)
    await connection.close()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
