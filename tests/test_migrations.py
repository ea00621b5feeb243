"""The schema of the SQLite store: new and old databases, and migrations that fail."""

import asyncio
import contextlib
import re
import sqlite3
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from musicgate.errors import ConfigError, StorageError
from musicgate.model import JobState
from musicgate.store import sqlite_migrate
from musicgate.store.sqlite import SqliteJobStore
from tests.old_databases.make_dump import NOW, completed, message, open_job, second_job

#: Databases that an earlier musicgate made, with Alembic. `tests/old_databases/make_dump.py` says how.
DUMPS = Path(__file__).with_name("old_databases")
REVISIONS = ["0001", "0002"]
#: The version that a database has after all migrations.
NEWEST = 7
LATER = f"{NEWEST + 1:04}_later.sql"


def read(path: Path, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def execute(path: Path, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def old_database(path: Path, revision: str) -> Path:
    execute(path, (DUMPS / f"{revision}.sql").read_text("utf-8"))
    return path


async def opened(path: Path) -> Path:
    """Open the store on this file, which migrates it, and close it again."""
    async with SqliteJobStore.open(path) as store:
        await store.ping()
    return path


def schema(path: Path) -> list[tuple[object, ...]]:
    """Everything in ``sqlite_master``, with white space made alike."""
    statement = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    return [
        (*names, sql if sql is None else re.sub(r"\s+", " ", str(sql)).strip())
        for *names, sql in read(path, statement)
    ]


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """The content of every table that both earlier versions have alike."""
    tables = ("jobs", "job_events", "idempotency_keys", "disabled_webhooks")
    return {table: read(path, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}  # noqa: S608


def use_migrations(folder: Path, monkeypatch: pytest.MonkeyPatch, added: Mapping[str, str]) -> None:
    """Make the store read its migrations from a folder that holds these as well."""
    folder.mkdir()
    for file in sqlite_migrate.migrations().values():
        (folder / file.name).write_text(file.read_text("utf-8"), "utf-8")
    for name, script in added.items():
        (folder / name).write_text(script, "utf-8")
    monkeypatch.setattr(sqlite_migrate, "_FOLDER", folder)


def test_migrations_are_numbered_from_one_without_gaps() -> None:
    assert list(sqlite_migrate.migrations()) == [1, 2, 3, 4, 5, 6, 7]
    assert [file.name for file in sqlite_migrate.migrations().values()] == [
        "0001_jobs_and_events.sql",
        "0002_account_of_webhook_deliveries.sql",
        "0003_constant_cost.sql",
        "0004_fewer_pages.sql",
        "0005_asset_references.sql",
        "0006_accounts_and_keys.sql",
        "0007_usage_and_audit.sql",
    ]


def test_no_migration_begins_or_ends_a_transaction_itself() -> None:
    forbidden = re.compile(
        r"^\s*(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|PRAGMA|VACUUM|ATTACH)\b", re.IGNORECASE | re.MULTILINE
    )
    triggers = re.compile(r"^CREATE TRIGGER .*?^BEGIN$.*?^END;$", re.DOTALL | re.MULTILINE)
    scripts = {
        file.name: triggers.sub("", file.read_text("utf-8")) for file in sqlite_migrate.migrations().values()
    }
    assert [name for name, script in scripts.items() if forbidden.search(script)] == []


async def test_a_new_database_is_at_the_newest_version(tmp_path: Path) -> None:
    path = await opened(tmp_path / "store.db")
    assert read(path, "PRAGMA user_version") == [(NEWEST,)]


async def test_an_up_to_date_database_is_opened_without_a_change(tmp_path: Path) -> None:
    path = await opened(tmp_path / "store.db")
    before = read(path, "PRAGMA schema_version")
    await opened(path)
    assert read(path, "PRAGMA schema_version") == before


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_upgraded_alembic_database_has_the_schema_of_a_new_one(
    tmp_path: Path, revision: str
) -> None:
    old = await opened(old_database(tmp_path / "old.db", revision))
    new = await opened(tmp_path / "new.db")
    assert schema(old) == schema(new)
    assert read(old, "PRAGMA user_version") == [(NEWEST,)]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_upgraded_alembic_database_keeps_every_row(tmp_path: Path, revision: str) -> None:
    path = old_database(tmp_path / "store.db", revision)
    before = rows(path)
    assert {table: len(found) for table, found in before.items()} == {
        "jobs": 2,
        "job_events": 3,
        "idempotency_keys": 1,
        "disabled_webhooks": 1,
    }
    await opened(path)
    assert rows(path) == before | {"jobs": [(*row, "") for row in before["jobs"]]}


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_jobs_of_an_alembic_database_are_read_and_followed(tmp_path: Path, revision: str) -> None:
    async with SqliteJobStore.open(old_database(tmp_path / "store.db", revision)) as store:
        assert await store.open_jobs("", 9) == [open_job()]
        done = await store.get("music_done")
        assert done is not None
        assert (done.state, done.version) == (JobState.COMPLETED, 1)
        for since in (NOW, NOW.replace(hour=0, minute=0)):
            assert await store.spent_usd_nanos("bob", since) == 60_000_000
        assert await store.replace(open_job(), completed(open_job()), [], []) is not None
        claim = await store.find_claim("bob", "create", "key-1")
        assert claim is not None
        assert claim.job_id == "music_done"


@pytest.mark.parametrize("revision", REVISIONS)
async def test_messages_of_an_alembic_database_have_the_account_of_their_job(
    tmp_path: Path, revision: str
) -> None:
    async with SqliteJobStore.open(old_database(tmp_path / "store.db", revision)) as store:
        assert await store.outbox.get("msg_1") == message(second_job())
        (found,) = await store.outbox.pending_of("bob", 9)
        assert (found.id, found.origin) == ("msg_1", "https://hooks.test:443")
        assert found.next_try_at == NOW + timedelta(seconds=95)
        assert await store.outbox.is_disabled("bob", "https://gone.test/")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_events_of_an_alembic_database_are_read_and_counted_on(
    tmp_path: Path, revision: str
) -> None:
    async with SqliteJobStore.open(old_database(tmp_path / "store.db", revision)) as store:
        (first,) = await store.events("music_open")
        assert (first[0], first[1].data) == (1, {"from": "queued", "to": "in_progress"})
        assert [number for number, _ in await store.events("music_done")] == [1, 2]
        assert await store.replace(open_job(), completed(open_job()), [first[1]]) is not None
        assert await store.events("music_open") == [first, (2, first[1])]


async def test_an_old_job_that_has_ended_without_a_time_is_not_open(tmp_path: Path) -> None:
    path = old_database(tmp_path / "store.db", "0002")
    execute(path, "UPDATE jobs SET finished_at_us = NULL WHERE id = 'music_done'")
    async with SqliteJobStore.open(path) as store:
        assert await store.open_jobs("", 9) == [open_job()]
        assert await store.count_open() == 1
        assert await store.spent_usd_nanos("bob", NOW.replace(hour=0, minute=0)) == 60_000_000


async def test_a_message_whose_job_is_gone_is_not_migrated(tmp_path: Path) -> None:
    path = old_database(tmp_path / "store.db", "0001")
    execute(path, "DELETE FROM jobs WHERE id = 'music_done'")
    async with SqliteJobStore.open(path) as store:
        assert await store.outbox.get("msg_1") is None


async def test_an_empty_version_table_of_alembic_counts_as_a_new_database(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    execute(path, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    await opened(path)
    assert schema(path) == schema(await opened(tmp_path / "new.db"))


@pytest.mark.parametrize("damage", [f"PRAGMA user_version = {NEWEST + 1}", "PRAGMA user_version = -1"])
async def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = await opened(tmp_path / "store.db")
    execute(path, damage)
    before = (schema(path), read(path, "PRAGMA user_version"))
    with pytest.raises(ConfigError, match="which this version of musicgate does not know: use a newer one"):
        await opened(path)
    assert (schema(path), read(path, "PRAGMA user_version")) == before


async def test_an_unknown_revision_of_alembic_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = old_database(tmp_path / "store.db", "0002")
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match=r"store\.db is at schema version 9999, which this version of"):
        await opened(path)
    assert read(path, "SELECT version_num FROM alembic_version") == [("9999",)]


async def test_a_migration_that_fails_leaves_the_version_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await opened(old_database(tmp_path / "store.db", "0002"))
    expected = schema(path)
    broken = "CREATE TABLE later (id TEXT);\nDELETE FROM jobs;\nCREATE TABLE jobs (id TEXT);"
    with monkeypatch.context() as patched:
        use_migrations(tmp_path / "migrations", patched, {f"{NEWEST + 1:04}_broken.sql": broken})
        with pytest.raises(StorageError, match=r"store\.db cannot be brought up to date: .*already exists"):
            await opened(path)
    assert schema(path) == expected
    assert read(path, "PRAGMA user_version") == [(NEWEST,)]
    async with SqliteJobStore.open(path) as store:
        assert await store.open_jobs("", 9) == [open_job()]


async def test_a_migration_that_failed_runs_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await opened(tmp_path / "store.db")
    use_migrations(tmp_path / "migrations", monkeypatch, {LATER: "CREATE TABLE later (id TEXT); nonsense;"})
    with pytest.raises(StorageError, match="cannot be brought up to date"):
        await opened(path)
    (tmp_path / "migrations" / LATER).write_text("CREATE TABLE later (id TEXT);")
    await opened(path)
    assert read(path, "PRAGMA user_version") == [(NEWEST + 1,)]
    assert read(path, "SELECT count(*) FROM later") == [(0,)]


_MIGRATE_UNTIL_KILLED = """
import os, sqlite3, sys
from pathlib import Path
from musicgate.store.sqlite_migrate import migrate

path, last = Path(sys.argv[1]), sys.argv[2]
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.set_trace_callback(lambda statement: os._exit(9) if last in statement else None)
migrate(connection, path)
"""


@pytest.mark.parametrize(
    "last",
    [
        "DROP TABLE alembic_version",
        "PRAGMA user_version = 1",
        "ALTER TABLE webhook_deliveries",
        "INSERT INTO webhook_deliveries",
        "DROP TABLE webhook_deliveries_earlier",
        "PRAGMA user_version = 2",
        "DROP INDEX jobs_open_of",
        "CREATE INDEX jobs_of_state",
        "PRAGMA user_version = 3",
        "ALTER TABLE jobs ADD COLUMN events",
        "UPDATE jobs SET finished_at_us",
        "CREATE INDEX jobs_open",
        "DROP TRIGGER spent_by_inserted_job",
        "PRAGMA user_version = 4",
        "CREATE TABLE unused_assets",
        "CREATE INDEX jobs_ended",
        "PRAGMA user_version = 5",
        "CREATE TABLE keyring",
        "PRAGMA user_version = 6",
        "COMMIT",
    ],
)
async def test_a_process_that_is_killed_during_a_migration_loses_nothing(tmp_path: Path, last: str) -> None:
    path = old_database(tmp_path / "store.db", "0001")
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _MIGRATE_UNTIL_KILLED, path, last)
    assert await process.wait() == 9
    assert len(read(path, "SELECT * FROM webhook_deliveries")) == 1
    await opened(path)
    assert schema(path) == schema(await opened(tmp_path / "new.db"))
    assert [row[0] for row in read(path, "SELECT account FROM webhook_deliveries")] == ["bob"]


async def test_a_store_that_an_earlier_version_uses_is_not_read(tmp_path: Path) -> None:
    """Its tables are others: a query would fail, or find what no longer means the same."""
    path = tmp_path / "store.db"
    async with SqliteJobStore.open(path):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {max(sqlite_migrate.migrations()) - 1}")
        with pytest.raises(
            ConfigError, match=r"an earlier version of musicgate uses the database .*store\.db"
        ):
            async with SqliteJobStore.open_to_read(path):
                pass
