"""Which processes may use a PostgreSQL store at the same time: replicas, one alone, leases, sessions."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from musicgate.errors import ConfigError, StorageError
from musicgate.store import postgres_lock
from musicgate.store.postgres import PostgresJobStore
from tests.job_samples import make_job
from tests.postgres_servers import Postgres, emptied, execute
from tests.waiting import until

IN_USE = "another musicgate uses the database; stop it"
USED_ALONE = "another musicgate uses the database alone"
#: Sessions that hold the store's own locks; the tests of other files have none at the same time.
HOLDERS = "SELECT pid, mode FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"


@pytest.fixture
async def url(postgres: Postgres) -> str:
    """The URL of a database that is empty but for the tables."""
    return await emptied(postgres.url)


@pytest.fixture
async def other_database(postgres: Postgres) -> AsyncIterator[str]:
    """The URL of another database on the same server."""
    name = f"musicgate_test_{uuid4().hex}"
    await execute(postgres.url, f'CREATE DATABASE "{name}"')
    yield urlunsplit(urlsplit(postgres.url)._replace(path=f"/{name}"))
    await execute(postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def opened(url: str, **how: Any) -> None:
    """Open the store, write to it and close it."""
    async with PostgresJobStore.open(url, **how) as store:
        await store.ping()


async def is_refused(store: PostgresJobStore) -> bool:
    """True while the store says that it is not held."""
    try:
        await store.ping()
    except StorageError as error:
        return "does not hold the job store" in str(error) and not error.maybe_stored
    return False


async def is_written(store: PostgresJobStore) -> bool:
    return not await is_refused(store)


# --- replicas, and a process alone ---


async def test_replicas_use_a_store_together(url: str) -> None:
    async with PostgresJobStore.open(url) as one, PostgresJobStore.open(url) as other:
        await one.add(make_job("m1"), [])
        await other.add(make_job("m2"), [])
        assert await other.get("m1") == make_job("m1")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({}, {"exclusive": True}, IN_USE),
        ({"exclusive": True}, {}, USED_ALONE),
        ({"exclusive": True}, {"exclusive": True}, IN_USE),
        ({"has_session": False}, {}, IN_USE),
        ({"has_session": False}, {"has_session": False}, IN_USE),
        ({}, {"has_session": False}, "or set store.session_url, so that several processes"),
    ],
)
async def test_processes_that_cannot_work_beside_each_other_refuse(
    url: str, first: dict[str, Any], second: dict[str, Any], reason: str
) -> None:
    async with PostgresJobStore.open(url, **first):
        with pytest.raises(ConfigError, match=reason) as caught:
            await opened(url, **second)
        assert isinstance(caught.value.__cause__, TimeoutError), "the command line takes another store then"
    await opened(url, **second)


async def test_a_process_of_a_version_before_replicas_and_a_replica_refuse_each_other(url: str) -> None:
    # It takes the same lock for itself: store/postgres_lock.py of schema version 1.
    before = f"SELECT pg_try_advisory_lock({postgres_lock._USE_KEY})"
    session = await asyncpg.connect(url)
    async with PostgresJobStore.open(url):
        assert await session.fetchval(before) is False
    assert await session.fetchval(before) is True
    with pytest.raises(ConfigError, match="or stop the server of an earlier version"):
        await opened(url)
    await session.close()


async def test_a_lost_lock_is_taken_again_and_writes_are_refused_meanwhile(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_lock, "_RETRY_EVERY_S", 0.05)
    async with PostgresJobStore.open(url) as store:
        await store.add(make_job(), [])
        thief = await asyncpg.connect(url)
        ((pid, mode),) = await execute(url, HOLDERS)
        assert mode == "ShareLock"
        await thief.execute(f"SELECT pg_terminate_backend({pid})")
        await thief.execute(f"SELECT pg_advisory_lock({postgres_lock._USE_KEY})")
        await until(lambda: is_refused(store))
        assert await store.get("m1") == make_job()
        await thief.close()
        await until(lambda: is_written(store))
        await store.add(make_job("m2"), [])


async def test_a_replica_that_was_away_while_the_tables_changed_writes_no_more(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with PostgresJobStore.open(url) as store:
        monkeypatch.setattr(postgres_lock, "_RETRY_EVERY_S", 0.05)
        monkeypatch.setattr(postgres_lock, "check_schema", refusing)
        ((pid, _),) = await execute(url, HOLDERS)
        await execute(url, f"SELECT pg_terminate_backend({pid})")
        await until(lambda: is_refused(store))

        async def is_reported() -> bool:
            return "the tables are others" in caplog.text

        await until(is_reported)
        assert await is_refused(store)


async def refusing(_: Any) -> None:
    raise ConfigError("the tables are others", key="store.url")


# --- leases ---


async def test_a_lease_that_was_not_renewed_for_a_minute_is_taken_over(url: str) -> None:
    await opened(url, has_session=False)
    lease = (
        "INSERT INTO musicgate.store_lease VALUES (1, 'crashed', clock_timestamp() - interval '{} seconds')"
    )
    await execute(url, lease.format(50))
    with pytest.raises(ConfigError, match=IN_USE):
        await opened(url, has_session=False)
    await execute(url, "DELETE FROM musicgate.store_lease")
    await execute(url, lease.format(61))
    await opened(url, has_session=False)


async def test_a_lease_that_another_process_took_stops_all_writes(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_lock, "_RENEW_EVERY_S", 0.05)
    async with PostgresJobStore.open(url, has_session=False) as store:
        await store.add(make_job(), [])
        await execute(url, "UPDATE musicgate.store_lease SET owner = 'other', renewed_at = clock_timestamp()")
        await until(lambda: is_refused(store))
        assert await store.get("m1") == make_job()


async def test_a_lease_of_a_stalled_process_ends_when_one_with_a_session_took_over(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_lock, "_RENEW_EVERY_S", 0.05)
    async with PostgresJobStore.open(url, has_session=False) as stalled:
        await stalled.ping()
        await execute(
            url, "UPDATE musicgate.store_lease SET renewed_at = clock_timestamp() - interval '1 hour'"
        )
        monkeypatch.setattr(postgres_lock, "_RETRY_EVERY_S", 0.05)
        session = await asyncpg.connect(url)
        await session.execute(f"SELECT pg_advisory_lock_shared({postgres_lock._USE_KEY})")
        await until(lambda: is_refused(stalled))
        await session.close()
        await until(lambda: is_written(stalled))


# --- a session past the pooler ---


async def test_with_a_session_past_the_pooler_there_can_be_replicas(url: str) -> None:
    how: dict[str, Any] = {"has_session": False, "session_url": url}
    async with PostgresJobStore.open(url, **how) as one, PostgresJobStore.open(url, **how) as other:
        await one.add(make_job(), [])
        assert await other.get("m1") == make_job()
        assert one._connections._has_session is False
        assert [mode for _, mode in await execute(url, HOLDERS)] == ["ShareLock", "ShareLock"]
        assert await execute(url, "SELECT * FROM musicgate.store_lease") == []
        with pytest.raises(ConfigError, match=IN_USE):
            await opened(url, has_session=False)
        async with PostgresJobStore.open_to_read(url, **how) as reader:
            assert await reader.get("m1") == make_job()


async def test_a_session_on_another_database_is_refused(url: str, other_database: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.session_url: names another database than store\.url"):
        await opened(url, has_session=False, session_url=other_database)
    assert await execute(other_database, "SELECT to_regnamespace('musicgate') IS NULL") == [(True,)]


async def test_a_session_of_another_user_is_refused(url: str) -> None:
    role = f"musicgate_test_{uuid4().hex}"
    await execute(url, f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'secret-of-role'")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    session_url = urlunsplit(parts._replace(netloc=f"{role}:secret-of-role@{host}"))
    with pytest.raises(ConfigError, match=r"store\.session_url: names another user") as caught:
        await opened(url, has_session=False, session_url=session_url)
    assert "secret-of-role" not in str(caught.value)
    await execute(url, f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("session_url", "reason"),
    [
        ("postgresql://u:hush@127.0.0.1:9/db", "PostgreSQL cannot be reached"),
        ("postgresql://u:hush@127.0.0.1:none/db", r"store\.session_url: is no URL of PostgreSQL"),
    ],
)
async def test_a_wrong_session_url_is_named_without_its_password(
    url: str, session_url: str, reason: str
) -> None:
    with pytest.raises((ConfigError, StorageError), match=reason) as caught:
        await opened(url, has_session=False, session_url=session_url)
    assert "hush" not in str(caught.value)
