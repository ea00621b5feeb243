"""Copying a SQLite job store with all that is in it into PostgreSQL."""

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from musicgate.accounts import ApiKey, KeyringChange, ManagedAccount
from musicgate.cli import cli
from musicgate.errors import ConfigError, StorageError
from musicgate.gateway import copy_job_store, open_job_store
from musicgate.model import AuditEntry, Delivery, JobQuery, JobState, UsageQuery, share_of
from musicgate.settings import Account, Settings, StoreSettings
from musicgate.store import JobStore
from musicgate.store.sqlite import SqliteJobStore
from tests.job_samples import NOW, ended, make_claim, make_event, make_job
from tests.old_databases.make_dump import NOW as OLD_NOW
from tests.postgres_servers import Postgres, emptied, execute

ACCOUNT = ManagedAccount(account=Account(name="studio", max_open_jobs=2), created_at=NOW)
API_KEY = ApiKey(id="0123456789abcdef", account="studio", digest=bytes(32), is_admin=True, created_at=NOW)
ODD = "\ud800\x00 ü"


@pytest.fixture
async def target(postgres: Postgres, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, store=StoreSettings(url=await emptied(postgres.url)))


@pytest.fixture
def source(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, store=StoreSettings(url=f"sqlite:///{tmp_path / 'store.db'}"))


async def fill(store: JobStore) -> None:
    """One of everything that a store holds."""
    for number in range(450):
        await store.add(make_job(f"m{number:03}", age_s=number), [make_event(f"{number}")])
    job = make_job("mx", native_id=ODD)
    await store.add(job, [make_event("a")], make_claim("mx"))
    message = Delivery(
        id="msg_1",
        job_id="mx",
        account="default",
        url="https://hooks.test/",
        type="music.completed",
        created_at=NOW,
        next_try_at=NOW,
    )
    assert await store.replace(job, ended(job, price_usd_nanos=7), [make_event("b")], [message])
    await store.audit_log.add(AuditEntry(NOW, "job.created", "default", "k1", "mx"))
    await store.asset_references.claim("aa/a.mp3", "mx")
    await store.asset_references.claim("bb/b.mp3", "m001")
    await store.asset_references.release("m001")
    await store.asset_references.begin_removal("bb/b.mp3")
    await store.outbox.disable("default", f"https://gone.test/{ODD}", NOW)
    await store.set_mark("audio", "9")
    await store.keys.change(0, KeyringChange(accounts=(ACCOUNT,)))
    await store.keys.change(1, KeyringChange(keys=(API_KEY,)))
    await store.keys.note_uses({API_KEY.id: NOW})


async def content(store: JobStore) -> dict[str, Any]:
    """All of that, by the port."""
    return {
        "jobs": await store.list_jobs(None, JobQuery(limit=1000)),
        "open": await store.open_jobs("", 1000),
        "native": await store.find_native("default", ODD),
        "events": [await store.events(job_id) for job_id in ("m001", "mx", "m449")],
        "claim": await store.find_claim("default", "create", "k"),
        "messages": (await store.outbox.pending(9), await store.outbox.get("msg_1")),
        "disabled": await store.outbox.is_disabled("default", f"https://gone.test/{ODD}"),
        "spent": await store.spent_usd_nanos("default", NOW.replace(hour=0, minute=0)),
        "references": await store.asset_references.users(("", ""), 9),
        "unused": await store.asset_references.unused("", 9),
        "removing": await store.asset_references.claim("bb/b.mp3", "m002"),
        "mark": await store.mark("audio"),
        "usage": await store.usage(UsageQuery(first=NOW.date(), last=NOW.date())),
        "audit": await store.audit_log.entries(0, 9),
        "keys": await store.keys.load(),
    }


def ignore(table: str, rows: int) -> None:
    """Count nothing."""


async def test_a_copy_holds_everything(source: Settings, target: Settings) -> None:
    async with open_job_store(source) as store:
        await fill(store)
        expected = await content(store)
    told: dict[str, int] = {}
    counts = await copy_job_store(
        source, target, lambda table, rows: told.update({table: told.get(table, 0) + rows})
    )
    assert counts == {
        "jobs": 451,
        "idempotency_keys": 1,
        "webhook_deliveries": 1,
        "disabled_webhooks": 1,
        "marks": 1,
        "asset_references": 1,
        "unused_assets": 1,
        "usage_by_day": 1,
        "audit_log": 1,
        "accounts": 1,
        "api_keys": 1,
    }
    assert told == counts
    shares = await execute(target.store_url, "SELECT id, share FROM musicgate.jobs")
    assert [share for _, share in shares] == [share_of(job_id) for job_id, _ in shares]
    async with open_job_store(target) as store:
        assert await content(store) == expected
        job = await store.get("m003")
        assert job is not None
        assert await store.replace(job, attrs.evolve(job, state=JobState.FAILED), [make_event("end")])
        assert [number for number, _ in await store.events("m003")] == [1, 2]
        await store.audit_log.add(AuditEntry(NOW, "later", "default", ""))
        assert [entry.action for _, entry in await store.audit_log.entries(1, 9)] == ["later"]


async def test_a_store_of_an_older_version_is_copied_with_its_earlier_events(
    source: Settings, target: Settings, tmp_path: Path
) -> None:
    dump = Path(__file__).with_name("old_databases") / "0002.sql"
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.executescript(dump.read_text("utf-8"))
    async with open_job_store(source) as store:
        expected = [await store.events("music_done"), await store.list_jobs(None, JobQuery())]
        assert len(expected[0]) == 2
    await copy_job_store(source, target, ignore)
    async with open_job_store(target) as store:
        assert [await store.events("music_done"), await store.list_jobs(None, JobQuery())] == expected
        assert await store.spent_usd_nanos("bob", OLD_NOW.replace(hour=0, minute=0)) == 60_000_000


async def test_a_copy_that_is_broken_off_leaves_nothing_and_can_be_run_again(
    source: Settings, target: Settings
) -> None:
    async with open_job_store(source) as store:
        await fill(store)

    def stop(table: str, rows: int) -> None:
        if table == "marks":
            raise StorageError("stopped")

    with pytest.raises(StorageError, match="stopped"):
        await copy_job_store(source, target, stop)
    assert await execute(target.store_url, "SELECT count(*) FROM musicgate.jobs") == [(0,)]
    assert (await copy_job_store(source, target, ignore))["jobs"] == 451


async def test_a_target_that_is_not_empty_is_refused_and_left_alone(
    source: Settings, target: Settings
) -> None:
    async with open_job_store(source) as store:
        await store.add(make_job(), [])
    async with open_job_store(target) as store:
        await store.set_mark("audio", "1")
    with pytest.raises(ConfigError, match="the target is not empty: there are rows in its table marks"):
        await copy_job_store(source, target, ignore)
    assert await execute(target.store_url, "SELECT count(*) FROM musicgate.jobs") == [(0,)]


async def test_stores_in_use_are_refused(source: Settings, target: Settings) -> None:
    async with open_job_store(source):
        with pytest.raises(ConfigError, match="another musicgate uses the database"):
            await copy_job_store(source, target, ignore)
    async with open_job_store(target):
        with pytest.raises(ConfigError, match="another musicgate uses the database"):
            await copy_job_store(source, target, ignore)


async def test_only_a_copy_from_sqlite_to_postgresql_is_made(source: Settings, target: Settings) -> None:
    for one, other in ((target, source), (source, source), (target, target)):
        with pytest.raises(ConfigError, match="a copy goes from sqlite"):
            await copy_job_store(one, other, ignore)
    with pytest.raises(ConfigError, match="there is no store of jobs at"):
        await copy_job_store(source, target, ignore)


def test_the_command_copies_and_says_what_to_do_next(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def prepare() -> None:
        await emptied(postgres.url)
        async with SqliteJobStore.open(tmp_path / "old.db") as store:
            await store.add(make_job(), [make_event()])

    asyncio.run(prepare())
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(tmp_path))
    arguments = ["store", "copy", f"sqlite:///{tmp_path / 'old.db'}", postgres.url]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    assert "1 jobs" in result.stdout
    assert "do not start a server on the source again" in result.stdout
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert result.exit_code == 3
    assert "the target is not empty" in result.output
    asyncio.run(emptied(postgres.url))
    monkeypatch.setenv("MUSICGATE_STORE__URL", postgres.url)
    result = CliRunner().invoke(cli, [*arguments[:3], "--json"])
    assert json.loads(result.stdout)["rows"]["jobs"] == 1
