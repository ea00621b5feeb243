"""``musicgate assets``: damage is found and repaired, and a move that is killed loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from musicgate.assets import ObjectStore
from musicgate.assets.folder import FolderObjects
from musicgate.assets.measure import measure
from musicgate.cli.custody import move_all, verify_all
from musicgate.errors import ConfigError, StorageError
from musicgate.store.sqlite import SqliteJobStore
from tests.free_port import free_port
from tests.kept_songs import KeptSongs, kept_songs
from tests.s3_servers import BUCKET, KEY, SECRET, S3Server

HOUR_S = 3600


@pytest.fixture
async def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptSongs:
    return await kept_songs(tmp_path, monkeypatch)


async def verified(
    capsys: pytest.CaptureFixture[str], *, repair_from: str | None = None, remove_orphans: bool = False
) -> tuple[bool, dict[str, Any]]:
    capsys.readouterr()
    is_well = await verify_all(None, repair_from=repair_from, remove_orphans=remove_orphans, as_json=True)
    return is_well, json.loads(capsys.readouterr().out)


async def moved(
    capsys: pytest.CaptureFixture[str],
    target: str | None = None,
    source: str | None = None,
    *,
    delete_source: bool = False,
) -> tuple[bool, dict[str, Any]]:
    capsys.readouterr()
    is_well = await move_all(
        None, target_url=target, source_url=source, delete_source=delete_source, as_json=True
    )
    return is_well, json.loads(capsys.readouterr().out)


async def test_whole_songs_are_well(songs: KeptSongs, capsys: pytest.CaptureFixture[str]) -> None:
    is_well, answer = await verified(capsys)
    assert is_well
    assert answer == {"object": "asset_check", "ok": True, "checked": 3, "counts": {}, "problems": []}


async def test_missing_and_damaged_songs_are_reported_with_their_jobs(
    songs: KeptSongs, capsys: pytest.CaptureFixture[str]
) -> None:
    songs.path(0).unlink()
    content = songs.path(1).read_bytes()
    songs.path(1).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    is_well, answer = await verified(capsys)
    assert not is_well
    found = {item["problem"]: item["jobs"] for item in answer["problems"]}
    assert found == {"missing": ["music_0"], "corrupt": ["music_1"]}
    assert (answer["ok"], answer["checked"]) == (False, 3)
    assert not await verify_all(None, repair_from=None, remove_orphans=False, as_json=False)
    out = capsys.readouterr().out
    assert "corrupt: " in out
    assert "(job music_1)" in out
    assert "3 objects checked: 1 corrupt, 1 missing" in out


async def test_damage_is_repaired_from_a_second_store(
    songs: KeptSongs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await moved(capsys, str(tmp_path / "backup")))[0]
    content = songs.path(0).read_bytes()
    songs.path(0).write_bytes(b"damaged")
    is_well, answer = await verified(capsys, repair_from=str(tmp_path / "backup"))
    assert is_well
    assert [(item["problem"], item["done"]) for item in answer["problems"]] == [("corrupt", "repaired")]
    assert songs.path(0).read_bytes() == content
    with pytest.raises(click.UsageError, match=r"--repair-from: there is no folder .*nowhere"):
        await verified(capsys, repair_from=str(tmp_path / "nowhere"))


async def test_what_is_not_referred_to_any_more_is_not_missed(
    songs: KeptSongs, capsys: pytest.CaptureFixture[str]
) -> None:
    """The audio of an old job is removed; the job's document still names it."""
    async with songs.opened() as (_, keeper):
        await keeper.release("music_0")
    assert not songs.path(0).exists()
    is_well, answer = await verified(capsys)
    assert (is_well, answer["checked"], answer["problems"]) == (True, 2, [])


async def test_a_job_that_is_deleted_during_the_check_is_not_missed(
    songs: KeptSongs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a server beside it: its object is looked for when its job has gone."""
    size = FolderObjects.size
    gone = False

    async def delete_first(store: FolderObjects, name: str) -> int | None:
        nonlocal gone
        if not gone:
            gone = True
            (owner,) = (job.id for job in songs.jobs if (asset := job.tracks[0].asset) and asset.name == name)
            async with songs.opened() as (_, keeper):
                await keeper.delete_job(owner)
        return await size(store, name)

    monkeypatch.setattr(FolderObjects, "size", delete_first)
    is_well, answer = await verified(capsys)
    assert gone
    assert (is_well, answer["problems"]) == (True, [])


async def test_a_conversion_that_is_gone_is_no_problem_since_it_is_made_again(
    songs: KeptSongs, capsys: pytest.CaptureFixture[str]
) -> None:
    async with songs.opened() as (_, keeper):
        made = await keeper.rendition(songs.jobs[0].tracks[0], "flac", "music_0")
    assert made is not None
    (songs.audio / made.name).unlink()
    is_well, answer = await verified(capsys)
    assert (is_well, answer["problems"]) == (True, [])


def orphan(songs: KeptSongs, *, age_s: float) -> Path:
    path = songs.audio / "ab" / f"ab{os.urandom(31).hex()}.mp3"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"of no job")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


async def test_old_orphans_are_reported_and_removed_only_on_request(
    songs: KeptSongs, capsys: pytest.CaptureFixture[str]
) -> None:
    old, young = orphan(songs, age_s=2 * HOUR_S), orphan(songs, age_s=0.9 * HOUR_S)
    foreign = songs.audio / "reports" / "2026.txt"
    foreign.parent.mkdir()
    foreign.write_bytes(b"of another program")
    os.utime(foreign, (1, 1))
    os.utime(songs.path(0), (1, 1))
    is_well, answer = await verified(capsys)
    names = [item["name"] for item in answer["problems"]]
    assert (is_well, names, old.exists()) == (True, [f"ab/{old.name}"], True)
    is_well, answer = await verified(capsys, remove_orphans=True)
    assert (is_well, answer["counts"]) == (True, {"removed": 1})
    assert [path.exists() for path in (old, young, foreign, songs.path(0))] == [False, True, True, True]


async def test_a_store_of_jobs_without_its_songs_does_not_make_all_of_them_orphans(
    songs: KeptSongs, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when the data folder is another one, and the asset store that of the server."""
    for number in range(3):
        os.utime(songs.path(number), (1, 1))
    songs.database.rename(songs.folder / "other.db")
    async with SqliteJobStore.open(songs.database):
        pass
    with pytest.raises(click.ClickException, match=r"no orphan was removed: there are 3, .* add --force"):
        await verified(capsys, remove_orphans=True)
    assert all(songs.path(number).exists() for number in range(3))
    assert await verify_all(None, repair_from=None, remove_orphans=True, force=True, as_json=False)
    assert not any(songs.path(number).exists() for number in range(3))


async def test_a_check_works_beside_a_server_that_uses_the_store(
    songs: KeptSongs, capsys: pytest.CaptureFixture[str]
) -> None:
    old = orphan(songs, age_s=2 * HOUR_S)
    async with SqliteJobStore.open(songs.database):
        assert (await verified(capsys))[0]
        with pytest.raises(ConfigError, match="another musicgate uses the database"):
            await verified(capsys, remove_orphans=True)
        with pytest.raises(ConfigError, match="another musicgate uses the database"):
            await moved(capsys, str(songs.folder / "there"), delete_source=True)
    assert old.exists()


async def test_a_server_can_start_while_a_check_runs(songs: KeptSongs) -> None:
    async with SqliteJobStore.open_to_read(songs.database) as reading, SqliteJobStore.open(songs.database):
        assert await reading.get("music_0") == songs.jobs[0]
        with pytest.raises(StorageError):
            await reading.delete("music_0")
        assert await reading.get("music_0") == songs.jobs[0]


async def test_a_move_says_what_to_change_and_keeps_the_source(
    songs: KeptSongs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = (tmp_path / "there").as_uri()
    assert await move_all(None, target_url=target, source_url=None, delete_source=False, as_json=False)
    out = capsys.readouterr().out
    assert f"3 objects are in {target}: 3 copied now, each read there again" in out
    assert f'set in musicgate.toml:\n  [assets]\n  url = "{target}"\nthen start the server\n' in out
    assert all(songs.path(number).is_file() for number in range(3))
    (tmp_path / "musicgate.toml").write_text(f'[assets]\nurl = "{target}"\n')
    songs.path(0).unlink()
    assert (await verified(capsys))[0]


async def test_a_move_beside_a_server_says_to_stop_it_and_run_again(
    songs: KeptSongs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with SqliteJobStore.open(songs.database):
        target = str(tmp_path / "there")
        assert await move_all(None, target_url=target, source_url=None, delete_source=False, as_json=False)
    assert "stop the server, run this command again" in capsys.readouterr().out


async def test_the_source_is_emptied_only_after_a_whole_pass(
    songs: KeptSongs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = songs.path(0).read_bytes()
    songs.path(0).write_bytes(b"damaged")
    is_well, answer = await moved(capsys, str(tmp_path / "there"), delete_source=True)
    assert (is_well, answer["moved"], answer["deleted"]) == (False, 2, 0)
    songs.path(0).write_bytes(kept)
    foreign = orphan(songs, age_s=2 * HOUR_S)
    is_well, answer = await moved(capsys, str(tmp_path / "there"), delete_source=True)
    assert (is_well, answer["moved"], answer["copied"], answer["deleted"]) == (True, 3, 1, 3)
    assert [path for path in songs.audio.rglob("*.*") if path.is_file()] == [foreign]
    # Killed after a part was deleted: the rest goes at the next run.
    is_well, answer = await moved(capsys, str(tmp_path / "there"), delete_source=True)
    assert (is_well, answer["moved"], answer["copied"]) == (True, 3, 0)


async def test_a_move_onto_itself_is_refused(songs: KeptSongs, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.UsageError, match="is the store that the objects are in"):
        await moved(capsys, str(songs.audio))


def s3_variables(server: S3Server) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
        "AWS_ALLOW_HTTP": "true",
    }


async def served(folder: Path, server: S3Server, url: str, **variables: str) -> tuple[int | None, str]:
    """Start ``musicgate serve`` and stop it once it listens; its exit code and what it said on errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "musicgate", "serve", "--port", "0"),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "MUSICGATE_DATA_DIR": str(folder / "data"),
            "MUSICGATE_ASSETS__URL": url,
            **s3_variables(server),
            **variables,
        },
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    if b"listens on" in await process.stdout.readline():
        process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    return process.returncode, err.decode()


async def test_a_server_does_not_start_with_a_bucket_that_is_not_there(
    tmp_path: Path, moto: S3Server
) -> None:
    code, err = await served(tmp_path, moto, "s3://nowhere")
    assert code == 3
    assert "Error: assets.url in MUSICGATE_ASSETS__URL: cannot write, read and delete an object:" in err
    assert "s3://nowhere answered 404 NoSuchBucket" in err


async def test_a_server_starts_without_its_asset_store_and_warns(tmp_path: Path, moto: S3Server) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    code, err = await served(tmp_path, moto, f"s3://{BUCKET}", AWS_ENDPOINT_URL=away)
    assert code == 0
    assert f"s3://{BUCKET} cannot be reached; songs stay with their vendors until it works again" in err


async def stored(store: ObjectStore) -> int:
    return len([found.name async for found in store.objects()])


async def run_and_kill(
    arguments: list[str], env: dict[str, str], source: ObjectStore, target: ObjectStore, kill_at: int | None
) -> int:
    """Run ``musicgate assets``; kill it once so many objects were copied, and then deleted."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "musicgate", "assets", *arguments),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **env},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    ending, at_first = asyncio.create_task(process.wait()), await stored(source)
    while kill_at is not None and not ending.done():
        if await stored(target) + at_first - await stored(source) >= kill_at:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            break
        await asyncio.sleep(0.002)
    return await ending


async def test_a_move_to_s3_and_back_that_is_killed_anywhere_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moto: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = await kept_songs(tmp_path, monkeypatch, count=10)
    prefix = os.urandom(4).hex()
    url, there, here = f"s3://{BUCKET}/{prefix}", moto.open(prefix), FolderObjects(songs.audio)
    for name, value in s3_variables(moto).items():
        monkeypatch.setenv(name, value)
    env = {**s3_variables(moto), "MUSICGATE_DATA_DIR": str(songs.folder)}
    ends: list[int] = []
    for arguments, source, target in (
        (["move", url, "--delete-source"], here, there),
        (["move", "--from", url, "--delete-source"], there, here),
    ):
        # While it copies, while it deletes, and to the end.
        kills = (random.randint(1, 9), random.randint(10, 19), None)  # noqa: S311 - no secret
        ends += [await run_and_kill(arguments, env, source, target, kill_at) for kill_at in kills]
        monkeypatch.setenv("MUSICGATE_ASSETS__URL", url if target is there else songs.audio.as_uri())
        is_well, answer = await verified(capsys)
        assert (is_well, answer["checked"], answer["problems"]) == (True, 10, [])
        assert (await stored(source), await stored(target)) == (0, 10)
    assert -signal.SIGKILL in ends
    assert ends[2] == ends[5] == 0
    for number, job in enumerate(songs.jobs):
        asset = job.tracks[0].asset
        assert asset is not None
        assert measure(songs.path(number)).sha256 == asset.sha256
