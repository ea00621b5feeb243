"""The PostgreSQL store behind a real pgbouncer in transaction mode; skipped where there is none."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncpg
import attrs
import pytest

from musicgate import Gateway, JobState, Settings
from musicgate.emulation.sandbox import sandbox
from musicgate.errors import ConfigError
from musicgate.settings import StoreSettings
from musicgate.store import JobStore
from musicgate.store.postgres import PostgresJobStore
from tests.job_samples import make_job
from tests.pgbouncers import pgbouncer
from tests.postgres_servers import Postgres, emptied, run
from tests.test_store_contract import TestPostgres as _TestPostgres


@pytest.fixture(scope="module")
def pooled(postgres: Postgres) -> Iterator[str]:
    """The URL of the database behind the pooler."""
    with pgbouncer(postgres.url) as url:
        yield url


@pytest.fixture
async def url(postgres: Postgres) -> str:
    """The URL of a database that is empty but for the tables, past the pooler."""
    return await emptied(postgres.url)


class TestBehindPgbouncer(_TestPostgres):
    @pytest.fixture
    def open_store(
        self, postgres: Postgres, pooled: str
    ) -> Callable[[], AbstractAsyncContextManager[JobStore]]:
        run(emptied(postgres.url))
        return lambda: PostgresJobStore.open(pooled, has_session=False, session_url=postgres.url)


async def test_clients_share_few_connections_and_none_of_them_has_a_state(url: str, pooled: str) -> None:
    async with PostgresJobStore.open(pooled, has_session=False) as store:
        await asyncio.gather(*(store.add(make_job(f"m{number}"), []) for number in range(300)))
        await asyncio.gather(*(store.get(f"m{number}") for number in range(300)))
        assert await store.count_open() == 300
    connection = await asyncpg.connect(pooled, statement_cache_size=0)
    async with connection.transaction():
        assert await connection.fetch("SELECT name FROM pg_prepared_statements WHERE name <> ''") == []
        assert await connection.fetch("SELECT 1 FROM musicgate.store_lease") == []
    await connection.close()


async def test_a_pooler_that_the_settings_do_not_know_of_is_named(url: str, pooled: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url: a pooler is between .* set store\.pgbouncer = true"):
        async with PostgresJobStore.open(pooled):
            pass
    with pytest.raises(ConfigError, match=r"store\.session_url: a pooler is between .* name PostgreSQL"):
        async with PostgresJobStore.open(pooled, has_session=False, session_url=pooled):
            pass


async def test_without_a_session_one_process_uses_the_store(url: str, pooled: str) -> None:
    async with PostgresJobStore.open(pooled, has_session=False):
        for session_url in ("", url):
            with pytest.raises(ConfigError, match="another musicgate uses the database"):
                async with PostgresJobStore.open(pooled, has_session=False, session_url=session_url):
                    pass


async def test_two_replicas_behind_a_pooler_make_songs(url: str, pooled: str, tmp_path: Path) -> None:
    store = StoreSettings(url=pooled, pgbouncer=True, session_url=url)
    async with sandbox(Settings(), data_dir=tmp_path) as emulated:
        settings = attrs.evolve(emulated, store=store)
        async with Gateway.open(settings) as one, Gateway.open(settings) as other:
            for gateway, reader in ((one, other), (other, one)):
                job = await gateway.generate("Rain", model="minimax/music-2.6")
                assert job.state is JobState.COMPLETED
                assert await reader.get(job.id) == job
