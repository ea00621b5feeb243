"""The job store that ``store.url`` names, for gateways and the command line."""

import sys
from pathlib import Path

import pytest

from musicgate.cli import stores
from musicgate.errors import ConfigError, StorageError
from musicgate.gateway import (
    Gateway,
    has_job_store,
    job_store_name,
    open_importer,
    open_job_store,
    open_job_store_to_read,
)
from musicgate.hosting import load_plugins
from musicgate.settings import Settings, StoreSettings
from musicgate.store.postgres import PostgresJobStore
from tests.job_samples import make_event, make_job
from tests.postgres_servers import Postgres, emptied


def settings_for(url: str, folder: Path, *, pgbouncer: bool = False, session_url: str = "") -> Settings:
    return Settings(
        data_dir=folder, store=StoreSettings(url=url, pgbouncer=pgbouncer, session_url=session_url)
    )


@pytest.mark.parametrize("pgbouncer", [False, True])
async def test_a_url_of_postgresql_opens_a_store_there(
    postgres: Postgres, tmp_path: Path, *, pgbouncer: bool
) -> None:
    settings = settings_for(await emptied(postgres.url), tmp_path, pgbouncer=pgbouncer)
    async with open_job_store(settings) as store:
        assert isinstance(store, PostgresJobStore)
        assert store._connections._has_session is not pgbouncer
        await store.add(make_job(), [make_event()])
        async with open_job_store_to_read(settings) as reader:
            assert await reader.get("m1") == make_job()
            assert await reader.events("m1") == [(1, make_event())]


@pytest.mark.parametrize(
    ("url", "pgbouncer", "session_url", "reason"),
    [
        ("", True, "postgresql://h/d", r"store\.session_url: is only for PostgreSQL behind a pooler"),
        ("postgresql://h/d", False, "postgresql://h/d", "behind a pooler: set store.pgbouncer = true"),
        ("postgresql://h/d", True, "sqlite:///hush.db", r"store\.session_url: must have the form postgres"),
    ],
)
def test_a_session_url_without_a_meaning_is_refused(
    tmp_path: Path, url: str, session_url: str, reason: str, *, pgbouncer: bool
) -> None:
    settings = settings_for(url, tmp_path, pgbouncer=pgbouncer, session_url=session_url)
    with pytest.raises(ConfigError, match=reason) as caught:
        open_job_store(settings)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(settings)


async def test_commands_and_replicas_refuse_each_other(postgres: Postgres, tmp_path: Path) -> None:
    settings = settings_for(await emptied(postgres.url), tmp_path)
    async with open_job_store(settings), open_job_store(settings):
        for alone in (
            stores.open_alone(settings),
            open_importer(settings),
            Gateway.open(settings, plugins=load_plugins({}), alone=True),
        ):
            with pytest.raises(ConfigError, match="another musicgate uses the database; stop it"):
                async with alone:
                    pass
    async with open_importer(settings):
        with pytest.raises(ConfigError, match="uses the database alone: wait for the end of the command"):
            async with open_job_store(settings):
                pass


async def test_the_command_line_lists_the_jobs_of_a_server_beside_it(
    postgres: Postgres, tmp_path: Path
) -> None:
    settings = settings_for(await emptied(postgres.url), tmp_path)
    assert not await stores.is_used(settings)
    async with open_job_store(settings) as store:
        await store.add(make_job(), [])
        assert await stores.is_used(settings)
        assert [job.id for job in await stores.list_jobs(settings, 5)] == ["m1"]
        assert await stores.accounts(settings) == {"default"}


def test_a_store_is_named_without_its_password(tmp_path: Path) -> None:
    settings = settings_for("postgresql://alice:hush@db.example:5433/music?sslmode=require", tmp_path)
    assert job_store_name(settings) == "postgresql://db.example:5433/music"
    assert has_job_store(settings)
    assert "hush" not in repr(settings)


async def test_a_server_that_is_away_is_an_error_without_the_password(tmp_path: Path) -> None:
    settings = settings_for("postgresql://alice:hush@127.0.0.1:9/music", tmp_path)
    with pytest.raises(StorageError, match="PostgreSQL cannot be reached") as caught:
        await stores.list_jobs(settings, 5)
    assert "hush" not in str(caught.value)


def test_without_the_extra_the_settings_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "musicgate.store.postgres", None)
    with pytest.raises(ConfigError, match=r"store\.url: .*pip install 'musicgate\[postgres\]'"):
        open_job_store(settings_for("postgres://db.example/music", tmp_path))


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://host/store.db", "store.db"])
def test_another_kind_of_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must have the form sqlite:"):
        open_job_store(settings_for(url, tmp_path))


def test_a_store_in_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="its folder cannot be made"):
        open_job_store(settings_for(f"sqlite:///{tmp_path}/file/store.db", tmp_path))
