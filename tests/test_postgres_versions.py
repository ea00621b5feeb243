"""Migrations of the PostgreSQL store, and two versions of musicgate on one database."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from musicgate.errors import ConfigError, StorageError
from musicgate.store import postgres_connections, postgres_migrate
from musicgate.store.postgres import PostgresJobStore
from tests.job_samples import make_job
from tests.postgres_servers import Postgres, emptied, execute, run, without_schema

NEWEST = postgres_migrate.newest_version()
#: The oldest schema version whose software works with the newest one.
OLDEST = postgres_migrate.migrations()[NEWEST].works_with
IN_THE_WAY = "an earlier version uses the database, and could not work with its next tables"
NOT_KNOWN = "which this version of musicgate does not know: use a newer one"
VERSION = "SELECT version, works_with FROM musicgate.schema_version"
#: Makes a context in which this software is that of the next version. Its migration works with that version.
NextVersion = Callable[[int], AbstractContextManager[None]]


@pytest.fixture
async def url(postgres: Postgres) -> str:
    """The URL of a database that is empty but for the tables."""
    url = await emptied(postgres.url)
    await opened(url)
    return url


@pytest.fixture
def next_version(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NextVersion]:
    @contextlib.contextmanager
    def upgraded(works_with: int) -> Iterator[None]:
        script = f"-- works with: {works_with}\nCREATE TABLE musicgate.later (id int);\n"
        with monkeypatch.context() as patched:
            patched.setattr(postgres_migrate, "_FOLDER", with_another(tmp_path, script))
            yield

    yield upgraded
    run(without_schema(postgres.url))


def with_another(folder: Path, script: str) -> Path:
    """Copy the migrations into a folder, with another one at the end."""
    for file in postgres_migrate._FOLDER.iterdir():
        if file.name.endswith(".sql"):
            (folder / file.name).write_text(file.read_text("utf-8"), "utf-8")
    (folder / f"{NEWEST + 1:04}_later.sql").write_text(script, "utf-8")
    return folder


async def opened(url: str) -> None:
    """Open the store, write to it and close it."""
    async with PostgresJobStore.open(url) as store:
        await store.ping()


# --- migrations ---


def test_every_migration_says_what_works_with_it_and_none_takes_it_back() -> None:
    known = [(number, migration.works_with) for number, migration in postgres_migrate.migrations().items()]
    assert known[:2] == [(1, 1), (2, 2)]
    assert [number for number, _ in known] == list(range(1, NEWEST + 1))
    assert [oldest for _, oldest in known] == sorted(oldest for _, oldest in known)
    assert all(oldest <= number for number, oldest in known)


def test_a_migration_without_that_line_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_migrate, "_FOLDER", with_another(tmp_path, "CREATE TABLE x (id int);\n"))
    with pytest.raises(ValueError, match="its first line must be '-- works with: N'"):
        postgres_migrate.migrations()


async def test_a_migration_that_fails_leaves_nothing(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await without_schema(postgres.url)
    script = f"-- works with: {OLDEST}\nCREATE TABLE musicgate.later (id text); nonsense;"
    with monkeypatch.context() as patched:
        patched.setattr(postgres_migrate, "_FOLDER", with_another(tmp_path, script))
        with pytest.raises(StorageError, match=r"cannot be opened: .*nonsense"):
            await opened(url)
    assert await execute(url, "SELECT to_regnamespace('musicgate') IS NULL") == [(True,)]
    await opened(url)


async def test_a_long_migration_ends_and_who_starts_meanwhile_waits_for_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"-- works with: {OLDEST}\nSELECT pg_sleep(0.6); CREATE TABLE musicgate.later (id int);\n"
    monkeypatch.setattr(postgres_migrate, "_FOLDER", with_another(tmp_path, script))
    monkeypatch.setattr(postgres_connections, "_STATEMENT_TIMEOUT_S", 0.3)
    await asyncio.gather(opened(url), opened(url))
    assert await execute(url, VERSION) == [(NEWEST + 1, OLDEST)]
    await without_schema(url)


async def test_replicas_that_start_at_once_migrate_once(postgres: Postgres) -> None:
    url = await without_schema(postgres.url)
    await asyncio.gather(*(opened(url) for _ in range(4)))
    assert await execute(url, VERSION) == [(NEWEST, OLDEST)]


async def test_a_database_of_the_version_before_replicas_is_migrated_with_its_jobs(
    postgres: Postgres,
) -> None:
    url = await without_schema(postgres.url)
    first = postgres_migrate.migrations()[1].script
    await execute(url, postgres_migrate._START + first)
    await execute(
        url,
        "UPDATE musicgate.schema_version SET version = 1;"
        "INSERT INTO musicgate.jobs SELECT 'm' || n, 'a', 'queued', NULL, NULL, 'm', 1, 1, NULL, NULL, 0, '{}', ''"
        " FROM generate_series(1, 3) AS n;",
    )
    await opened(url)
    # hashlib.md5(b"m1").digest()[0] % 64, and so on.
    assert await execute(url, "SELECT id, share FROM musicgate.jobs ORDER BY id") == [
        *(("m1", 46), ("m2", 42), ("m3", 22)),
    ]
    assert await execute(url, VERSION) == [(NEWEST, OLDEST)]
    await without_schema(url)


# --- two versions ---


async def test_a_compatible_migration_runs_while_replicas_of_the_version_before_work(
    url: str, next_version: NextVersion
) -> None:
    async with PostgresJobStore.open(url) as earlier:
        with next_version(NEWEST):
            async with PostgresJobStore.open(url) as later:
                await later.add(make_job(), [])
        assert await execute(url, VERSION) == [(NEWEST + 1, NEWEST)]
        assert await earlier.get("m1") == make_job()
        await earlier.ping()
    await opened(url)
    async with PostgresJobStore.open_to_read(url) as reader:
        assert await reader.get("m1") == make_job()
    assert await execute(url, VERSION) == [(NEWEST + 1, NEWEST)]


async def test_an_incompatible_migration_waits_for_the_end_of_the_version_before(
    url: str, next_version: NextVersion
) -> None:
    async with PostgresJobStore.open(url) as earlier:
        with next_version(NEWEST + 1):
            with pytest.raises(ConfigError, match=IN_THE_WAY):
                await opened(url)
            with pytest.raises(ConfigError, match="an earlier version of musicgate uses the database"):
                async with PostgresJobStore.open_to_read(url):
                    pass
        await earlier.ping()
        assert await execute(url, VERSION) == [(NEWEST, OLDEST)]
    with next_version(NEWEST + 1):
        await opened(url)
    assert await execute(url, VERSION) == [(NEWEST + 1, NEWEST + 1)]
    for opening in (PostgresJobStore.open(url), PostgresJobStore.open_to_read(url)):
        with pytest.raises(ConfigError, match=NOT_KNOWN):
            async with opening:
                pass
    assert await execute(url, VERSION) == [(NEWEST + 1, NEWEST + 1)]


@pytest.mark.parametrize(
    ("version", "seen_s", "is_refused"), [(NEWEST, 50, True), (NEWEST, 61, False), (NEWEST + 1, 0, False)]
)
async def test_a_replica_that_was_seen_lately_holds_up_what_it_could_not_work_with(
    url: str, next_version: NextVersion, version: int, seen_s: int, *, is_refused: bool
) -> None:
    row = f"('r', 'h', '1', {version}, now(), now() - interval '{seen_s} seconds')"
    await execute(url, f"INSERT INTO musicgate.replicas VALUES {row};")  # noqa: S608 - numbers
    with next_version(NEWEST + 1):
        if is_refused:
            with pytest.raises(ConfigError, match=IN_THE_WAY):
                await opened(url)
        else:
            await opened(url)
