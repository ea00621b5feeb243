"""``musicgate assets export`` and ``import``: songs leave custody, and come into it."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from click.testing import CliRunner

from musicgate import jobs
from musicgate.cli import cli
from musicgate.cli.custody import verify_all
from musicgate.cli.export import export_all
from musicgate.cli.imports import import_all, restore
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import ConfigError, JobNotFoundError, NotAudioError, RequestError
from musicgate.gateway import Gateway
from musicgate.hosting.discovery import load_plugins
from musicgate.model import Failure, FailureClass, Job, JobState, Track
from musicgate.settings import load_settings
from musicgate.store.sqlite import SqliteJobStore
from tests.job_samples import make_job
from tests.kept_songs import KeptSongs, kept_songs, lines_of
from tests.loopback_vendors import Serve

MP3 = song(AudioFormat(container=Container.MP3), 1.5, seed=77)


@pytest.fixture
async def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptSongs:
    return await kept_songs(tmp_path, monkeypatch)


async def exported(
    folder: Path, *, since: datetime | None = None, account: str | None = None, originals: bool = False
) -> tuple[bool, list[str]]:
    is_well = await export_all(None, folder, since=since, account=account, originals=originals, as_json=False)
    return is_well, names_in(folder)


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


async def changed(songs: KeptSongs, number: int, **changes: Any) -> Job:
    async with songs.opened() as (store, _):
        old = songs.jobs[number]
        songs.jobs[number] = await store.replace(old, attrs.evolve(old, **changes), [])
    return songs.jobs[number]


async def test_songs_are_exported_under_readable_names_with_an_index(
    songs: KeptSongs, tmp_path: Path
) -> None:
    job = songs.jobs[0]
    named = attrs.evolve(job.tracks[0], title="AC/DC: \u201eNacht\u201c\n../..")
    await changed(songs, 0, tracks=(named,))
    day = job.created_at.date().isoformat()
    is_well, files = await exported(tmp_path / "out")
    assert is_well
    assert files == [
        "index.jsonl",
        f"local/{day} AC DC Nacht music_0-1.wav",
        f"local/{day} Song 1 music_1-1.wav",
        f"local/{day} Song 2 music_2-1.wav",
    ]
    entries = list(lines_of((tmp_path / "out" / "index.jsonl").read_text()))
    assert [(entry["job"], entry["file"]) for entry in entries] == [
        (f"music_{number}", files[number + 1]) for number in (2, 1, 0)
    ]
    assert (tmp_path / "out" / files[3]).read_bytes() == songs.path(2).read_bytes()
    assert (entries[0]["account"], entries[0]["prompt"], entries[0]["provider"]) == ("local", "p", "suno")
    assert entries[0]["sha256"] == songs.jobs[2].tracks[0].asset.sha256  # type: ignore[union-attr]


async def test_an_export_that_was_cut_writes_the_rest(
    songs: KeptSongs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, files = await exported(tmp_path / "out")
    (tmp_path / "out" / files[1]).unlink()
    (tmp_path / "out" / files[2]).write_bytes(b"half")
    (tmp_path / "out" / "local" / ".musicgate-12.part").touch()
    (tmp_path / "out" / "index.jsonl").unlink()
    assert await exported(tmp_path / "out") == (True, files)
    assert "2 files written" in capsys.readouterr().out
    assert len(list(lines_of((tmp_path / "out" / "index.jsonl").read_text()))) == 3


async def test_only_songs_of_an_account_and_a_time_are_exported(songs: KeptSongs, tmp_path: Path) -> None:
    await songs.add(1, account="studio", days_ago=10)
    await songs.add(1, account="studio", days_ago=2)
    since = datetime.now(UTC) - timedelta(days=5)
    _, files = await exported(tmp_path / "a", since=since, account="studio")
    assert [name.split()[-1] for name in files if name != "index.jsonl"] == ["music_4-1.wav"]
    _, files = await exported(tmp_path / "b", since=since)
    assert len(files) == 5


async def test_originals_and_bytes_that_do_not_play_are_exported(songs: KeptSongs, tmp_path: Path) -> None:
    async with songs.opened() as (_, keeper):
        mp3 = await keeper.finish(songs.jobs[0].tracks[0].asset, "mp3", None, "music_0", 0)
        rejected = await keeper.keep_rejected_bytes(b"\x00noise" * 99, "music_1", 0)
    original = songs.jobs[0].tracks[0].asset
    await changed(songs, 0, tracks=(Track(index=0, title="A", asset=mp3, original=original),))
    await changed(
        songs,
        1,
        tracks=(Track(index=0, title="B", rejected=rejected, failure_message="does not play"),),
        state=JobState.FAILED,
    )
    assert endings((await exported(tmp_path / "a"))[1]) == [
        "0-1.mp3",
        "1-1 (does not play).bin",
        "2-1.wav",
    ]
    _, files = await exported(tmp_path / "a", originals=True)
    assert endings(files) == ["0-1 (original).wav", "0-1.mp3", "1-1 (does not play).bin", "2-1.wav"]
    entry = next(
        entry for entry in lines_of((tmp_path / "a/index.jsonl").read_text()) if entry["job"] == "music_1"
    )
    assert (entry["rejected_file"], entry["error"]) == (files[3], "does not play")


def endings(files: list[str]) -> list[str]:
    return [name.partition(" music_")[2] for name in files if name != "index.jsonl"]


async def test_audio_that_was_removed_for_its_age_is_not_missed(songs: KeptSongs, tmp_path: Path) -> None:
    async with songs.opened() as (_, keeper):
        await keeper.release("music_0")
    is_well, files = await exported(tmp_path / "out")
    assert (is_well, endings(files)) == (True, ["1-1.wav", "2-1.wav"])


async def test_damage_is_not_exported(songs: KeptSongs, tmp_path: Path) -> None:
    songs.path(0).write_bytes(b"\xff" * songs.path(0).stat().st_size)
    songs.path(1).unlink()
    is_well, files = await exported(tmp_path / "out")
    assert (is_well, len(files)) == (False, 2)


async def test_another_file_named_like_the_index_is_not_replaced(songs: KeptSongs, tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text("[1]\n")
    with pytest.raises(click.UsageError, match="is not an index of musicgate"):
        await exported(tmp_path)
    assert (tmp_path / "index.jsonl").read_text() == "[1]\n"


# --- import ---


async def failed_job(songs: KeptSongs, account: str = "studio") -> Job:
    made = make_job("music_lost", account=account, state=JobState.IN_PROGRESS)
    failure = Failure(reason=FailureClass.GATEWAY, message="the vendor's links are left", may_have_cost=True)
    track = Track(index=0, title="Lost", audio_url="https://vendor.test/x.mp3", failure_message="gone")
    failed = attrs.evolve(
        made, state=JobState.FAILED, failure=failure, completed_at=made.created_at, tracks=(track,)
    )
    async with SqliteJobStore.open(songs.database) as store:
        await store.add(made, [])
        stored = await store.replace(made, failed, [])
    assert stored is not None
    return stored


async def test_a_job_whose_link_died_is_completed_with_the_operators_file(
    songs: KeptSongs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await failed_job(songs)
    (tmp_path / "found.mp3").write_bytes(MP3)
    await restore(None, "found.mp3", job_id="music_lost", track=1, as_json=False)
    assert "music_lost: track 1 has its audio, and the job is completed" in capsys.readouterr().out
    async with Gateway.open(load_settings(), plugins=load_plugins()) as gateway:
        job = await gateway.find("music_lost", account="studio")
        assert (job.state, job.failure, job.tracks[0].failure_message) == (JobState.COMPLETED, None, None)
        assert job.completed_at is not None
        assert datetime.now(UTC) - job.completed_at < timedelta(minutes=1)
        assert job.usage is not None
        assert job.usage.output_audio_seconds == pytest.approx(1.5, abs=0.1)
        path = gateway.audio_path(job)
        assert path is not None
        assert path.read_bytes() == MP3
    assert (tmp_path / "found.mp3").read_bytes() == MP3
    assert await verify_all(None, repair_from=None, remove_orphans=False, as_json=False)
    with pytest.raises(RequestError, match="track 1 of job music_lost has its audio"):
        await restore(None, "found.mp3", job_id="music_lost", track=1, as_json=False)


async def test_what_cannot_be_restored_is_refused_with_the_reason(songs: KeptSongs, tmp_path: Path) -> None:
    lost = await failed_job(songs)
    (tmp_path / "page.mp3").write_bytes(b"<html>gone</html>")
    with pytest.raises(NotAudioError):
        await restore(None, "page.mp3", job_id="music_lost", track=1, as_json=False)
    with pytest.raises(RequestError, match="has 1 tracks"):
        await restore(None, "page.mp3", job_id="music_lost", track=3, as_json=False)
    with pytest.raises(JobNotFoundError):
        await restore(None, "page.mp3", job_id="music_none", track=1, as_json=False)
    async with SqliteJobStore.open(songs.database) as store:
        assert await store.get("music_lost") == lost
        await store.add(make_job("music_open"), [])
        with pytest.raises(ConfigError, match="another musicgate uses"):
            await restore(None, "page.mp3", job_id="music_lost", track=1, as_json=False)
    with pytest.raises(RequestError, match="is not finished"):
        await restore(None, "page.mp3", job_id="music_open", track=1, as_json=False)


async def test_a_link_becomes_a_finished_job(
    songs: KeptSongs, serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(MP3), MP3))
        await writer.drain()

    link = f"http://127.0.0.1:{await serve(give)}/a/Far%20away.mp3?x=1"
    assert not await import_all(None, (link,), account="local", title=None, model="import", as_json=False)
    assert "not imported" in capsys.readouterr().err  # a private address
    monkeypatch.setenv("MUSICGATE_NETWORK__ALLOW_PRIVATE_ADDRESSES", "true")
    assert await import_all(None, (link,), account="local", title=None, model="import", as_json=True)
    (made,) = json.loads(capsys.readouterr().out)["data"]
    assert made["output"][0]["title"] == "Far away"


async def test_files_become_finished_jobs(
    songs: KeptSongs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "My Song.mp3").write_bytes(MP3)
    (tmp_path / "notes.txt").write_text("no song")
    is_well = await import_all(
        None, ("My Song.mp3", "notes.txt"), account="studio", title=None, model="suno/v3", as_json=True
    )
    answer = json.loads(capsys.readouterr().out)
    assert not is_well
    assert [item["source"] for item in answer["failed"]] == ["notes.txt"]
    (made,) = answer["data"]
    assert (made["status"], made["provider"], made["public_model"]) == ("completed", "import", "suno/v3")
    assert (made["output"][0]["title"], made["output"][0]["audio"]["format"]) == ("My Song", "mp3")
    # Again: the same job, but for another account.
    for account, is_same in (("studio", True), ("other", False)):
        assert await import_all(None, ("My Song.mp3",), account=account, title=None, model="x", as_json=True)
        assert (json.loads(capsys.readouterr().out)["data"][0]["id"] == made["id"]) is is_same
    async with Gateway.open(load_settings(), plugins=load_plugins()) as gateway:
        job = await gateway.find(made["id"], account="studio")
        path = gateway.audio_path(job)
        assert path is not None
        assert path.read_bytes() == MP3
    assert await verify_all(None, repair_from=None, remove_orphans=False, as_json=True)
    assert json.loads(capsys.readouterr().out)["checked"] == 4
    async with SqliteJobStore.open_to_read(songs.database) as store:
        assert await store.count_open() == 0


# --- jobs ---


async def test_jobs_are_listed_by_account_with_the_end_of_their_audio(
    songs: KeptSongs, tmp_path: Path
) -> None:
    await songs.add(1, account="studio", days_ago=2)
    (tmp_path / "musicgate.toml").write_text(
        '[retention]\naudio_days = 30\n[[accounts]]\nname = "studio"\nkey = "key-not-real"\naudio_days = 1.0\n'
    )
    run = CliRunner()
    async with SqliteJobStore.open(songs.database):  # beside a server
        own, both, none = await _invoked(
            run, ["jobs"], ["jobs", "--all-accounts"], ["jobs", "--account", "x"]
        )
    assert "music_0" in own.stdout
    assert "music_3" not in own.stdout
    until = (songs.jobs[0].created_at + timedelta(days=30)).date().isoformat()
    assert own.stdout.count(until) == 3
    assert "jobs of other accounts (studio) are not shown; add --all-accounts" in own.stderr
    (row,) = [line.split() for line in both.stdout.splitlines() if "music_3" in line]
    assert (row[0], row[-1]) == ("studio", "removed")
    assert (none.stdout, none.stderr) == ("", "no jobs here yet\n")


async def _invoked(run: CliRunner, *commands: list[str]) -> list[Any]:
    return [await asyncio.to_thread(run.invoke, cli, command) for command in commands]


async def test_a_file_larger_than_the_setting_is_not_imported(
    songs: KeptSongs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp3").write_bytes(MP3)
    for max_bytes, is_well in ((len(MP3) - 1, False), (len(MP3), True)):
        monkeypatch.setenv("MUSICGATE_ASSETS__MAX_BYTES", str(max_bytes))
        assert is_well is await import_all(
            None, ("a.mp3",), account="local", title=None, model="x", as_json=False
        )
    assert f"a.mp3 is larger than assets.max_bytes = {len(MP3) - 1}" in capsys.readouterr().err


async def test_an_import_that_was_killed_ends_at_the_next_start(
    songs: KeptSongs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICGATE_FOLLOW__SPEED", "1000")
    now = datetime.now(UTC)
    begun = jobs.import_job(
        *("music_x", "G-1", "token-not-real"), account="local", title="A", model="x", now=now, steady=now
    )
    async with SqliteJobStore.open(songs.database) as store:
        await store.add(begun, [])
    async with Gateway.open(load_settings(), plugins=load_plugins()) as gateway:
        job = await gateway.wait("music_x", 10.0)
    assert (job.state, job.attempt) == (JobState.FAILED, begun.attempt)
