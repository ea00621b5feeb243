"""``musicgate play``: which player gets which bytes, and that no vendor's text or link reaches one."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import click
import pytest
from aiohttp import web
from click.testing import CliRunner

from musicgate.assets.audio import AudioKind, sniff
from musicgate.cli import FailedError, RefusedError, cli
from musicgate.cli.configuration import read_all
from musicgate.cli.files import find_target
from musicgate.cli.local import generate_locally
from musicgate.cli.play_local import play_locally
from musicgate.cli.play_remote import play_remotely
from musicgate.cli.playback import Playback, audio_file
from musicgate.cli.players import PLAYERS, find_player, play_file, play_stream
from musicgate.cli.run import Order
from musicgate.emulation.tones import AudioFormat, song
from musicgate.errors import JobNotFoundError, StorageError
from musicgate.gateway import Gateway
from musicgate.store.sqlite import SqliteJobStore
from tests.test_cli_runs import vendor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="players are shell scripts here")

KEY = "test-key-not-real"
SONG = song(AudioFormat(), 6.0, seed=1)
FFPLAY, MPV, PAPLAY = (
    next(one for one in PLAYERS if one.program == name) for name in ("ffplay", "mpv", "paplay")
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a song, and a ``bin`` that is all of PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "song.mp3").write_bytes(SONG)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MUSICGATE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def install(folder: Path, *programs: str, code: int = 0, reads: bool = True) -> None:
    """Players that write down their arguments and what they read."""
    for program in programs:
        path = folder / "bin" / program
        log, read = shlex.quote(str(folder / "arguments")), shlex.quote(str(folder / "read"))
        reading = f"/bin/cat > {read}\n" if reads else ""
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" > {log}\n{reading}exit {code}\n')
        path.chmod(0o755)


def arguments(folder: Path) -> list[str]:
    program, *rest = (folder / "arguments").read_text().splitlines()
    return [Path(program).name, *rest]


def content(path: str) -> bytes:
    return Path(path).read_bytes()


async def pieces(*parts: bytes, error: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(0)
        yield part
    if error is not None:
        raise error


# --- players ---


def test_first_installed_player_of_the_system_is_taken(folder: Path) -> None:
    assert find_player(None) is None
    install(folder, "xdg-open", "aplay", "afplay", "open")
    assert [find_player(None, system)[0].program for system in ("linux", "darwin")] == ["aplay", "afplay"]  # type: ignore[index]  # found
    install(folder, "mpv", "ffplay")
    assert find_player(None) == (FFPLAY, str(folder / "bin" / "ffplay"))
    assert find_player("mpv") == (MPV, str(folder / "bin" / "mpv"))
    assert find_player("paplay") is None


async def test_player_gets_an_absolute_path_and_no_more(folder: Path) -> None:
    install(folder, "ffplay", "mpv")
    hostile = Path("-vf $(touch x);.mp3")
    for player in (FFPLAY, MPV):
        await play_file(player, str(folder / "bin" / player.program), hostile)
        assert arguments(folder) == [player.program, *player.options, f"{folder}/{hostile}"]
    assert not (folder / "x").exists()


async def test_player_gets_a_stream_on_standard_input(folder: Path) -> None:
    install(folder, "ffplay")
    program = str(folder / "bin" / "ffplay")
    await play_stream(FFPLAY, program, pieces(b"ab", b"c" * 100_000))
    assert (folder / "read").read_bytes() == b"ab" + b"c" * 100_000
    assert arguments(folder)[-2:] == ["-i", "pipe:0"]


async def test_stream_that_breaks_off_is_played_and_then_told(folder: Path) -> None:
    install(folder, "ffplay")
    with pytest.raises(StorageError, match="gone"):
        await play_stream(FFPLAY, str(folder / "bin" / "ffplay"), pieces(b"ab", error=StorageError("gone")))
    assert (folder / "read").read_bytes() == b"ab"


async def test_player_that_ends_early_ends_the_stream(folder: Path) -> None:
    install(folder, "ffplay", reads=False)
    program = str(folder / "bin" / "ffplay")
    await play_stream(FFPLAY, program, pieces(*[b"c" * 100_000] * 50))
    install(folder, "ffplay", reads=False, code=3)
    with pytest.raises(FailedError, match="ffplay ended with code 3"):
        await play_stream(FFPLAY, program, pieces(*[b"c" * 100_000] * 50))
    with pytest.raises(FailedError, match="cannot be started"):
        await play_stream(FFPLAY, str(folder / "bin" / "none"), pieces(b""))


async def test_interrupted_player_is_ended(folder: Path) -> None:
    path = folder / "bin" / "ffplay"
    path.write_text(f"#!/bin/sh\necho $$ > {shlex.quote(str(folder / 'pid'))}\nexec /bin/sleep 50\n")
    path.chmod(0o755)
    playing = asyncio.create_task(play_file(FFPLAY, str(path), folder / "song.mp3"))
    async with asyncio.timeout(20):
        while not (folder / "pid").exists() or not (folder / "pid").read_text():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


async def test_audio_is_converted_for_a_player_of_wav_only(folder: Path) -> None:
    kept = folder / "kept.wav"
    path = folder / "bin" / "paplay"
    path.write_text(f'#!/bin/sh\n/bin/cp "$1" {shlex.quote(str(kept))}\n')
    path.chmod(0o755)
    await Playback(PAPLAY, str(path), None).file(folder / "song.mp3")
    assert sniff(kept.read_bytes()[:4096]) is AudioKind.WAV


async def test_program_that_opens_a_temporary_file_later_finds_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    install(folder, "xdg-open")
    opener, program = find_player("xdg-open", "linux") or (PAPLAY, "")
    source = folder / "download"
    source.write_bytes(SONG)
    await Playback(opener, program, None).file(source, is_temporary=True)
    source.unlink()
    kept = arguments(folder)[-1]
    assert (kept.endswith("/song.mp3"), content(kept)) == (True, SONG)
    await Playback(opener, program, None).file(folder / "song.mp3")
    assert arguments(folder)[-1] == str(folder / "song.mp3")


# --- the command ---


def play(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli, ["play", *words])
    return done.exit_code, done.stdout, done.stderr


def test_file_is_played(folder: Path) -> None:
    install(folder, "ffplay")
    assert play("song.mp3") == (0, "", "playing song.mp3 with ffplay\n")
    assert arguments(folder)[-1] == str(folder / "song.mp3")
    code, out, _ = play("song.mp3", "--json")
    expected = {
        "object": "playback",
        "file": "song.mp3",
        "player": "ffplay",
        "streamed": False,
        "saved": None,
    }
    assert (code, json.loads(out)) == (0, expected)


def test_without_a_player_it_is_said_how_to_save(folder: Path) -> None:
    code, _, err = play("song.mp3")
    assert code == 1
    assert "no player is installed; install ffplay (FFmpeg) or mpv" in err
    assert "or write it to a file: musicgate play song.mp3 --save song.mp3" in err
    assert play("song.mp3", "--player", "mpv")[2].startswith("Error: mpv is not installed; ")
    assert play("song.mp3", "--save", "copy.mp3") == (0, "copy.mp3\n", "")
    assert (folder / "copy.mp3").read_bytes() == SONG


def test_what_is_no_audio_reaches_no_player(folder: Path) -> None:
    install(folder, "ffplay")
    (folder / "list.mp3").write_text("ffconcat version 1.0\nfile /etc/passwd\n")
    assert play("list.mp3") == (1, "", "Error: list.mp3 is not audio\n")
    assert not (folder / "arguments").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.mp3", "there is no audio file no.mp3"),
        ("a/b", "there is no audio file"),
        ("x" * 5000, "too long"),
    ],
)
def test_path_without_a_file_is_a_usage_error(folder: Path, name: str, message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        audio_file(name)
    assert audio_file("music_01K") is None


# --- jobs of this machine ---

BODY = {"prompt": "Hello", "model": "suno/v5", "provider": {"only": ["suno_kie"]}}


async def test_song_is_streamed_while_it_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(folder, "ffplay")
    async with vendor("suno_kie", speed=100.0, stuck="TEXT_SUCCESS") as (_, env):
        use(env, monkeypatch)
        settings, host = read_all(None)
        async with Gateway.open(settings, plugins=host, alone=True) as gateway:
            job = await gateway.submit(gateway.read(BODY), wait_s=20.0)
        live = Playback(FFPLAY, str(folder / "bin" / "ffplay"), None)
        await play_locally(job.id, 0, live, config=None)
    assert live.was_streamed
    assert sniff((folder / "read").read_bytes()[:4096]) is AudioKind.MP3
    assert "http" not in " ".join(arguments(folder))
    shown = capsys.readouterr().err
    assert "with ffplay, while it is made" in shown
    assert f"the job continues; fetch it with: musicgate fetch {job.id}" in shown


async def test_kept_song_is_played_and_saved_while_a_server_uses_the_store(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(folder, "ffplay")
    async with vendor("suno_kie", speed=100.0) as (_, env):
        use(env, monkeypatch)
        order = Order(target=find_target("made", force=False), as_json=True)
        await generate_locally(BODY, order, config=None, strict=False, in_sandbox=False)
        job_id = json.loads(capsys.readouterr().out)["id"]
    async with SqliteJobStore.open(folder / "data" / "musicgate.db"):  # as a server holds it
        kept = Playback(FFPLAY, str(folder / "bin" / "ffplay"), None)
        await play_locally(job_id, 1, kept, config=None)
        saved = Playback(None, "", find_target("second.mp3", force=False))
        await play_locally(job_id, 1, saved, config=None)
        with pytest.raises(FailedError, match="has no track 3; it has 2"):
            await play_locally(job_id, 2, kept, config=None)
        with pytest.raises(JobNotFoundError):
            await play_locally("music_unknown", 0, kept, config=None)
    assert not kept.was_streamed
    assert Path(arguments(folder)[-1]).is_relative_to(folder / "data" / "audio")
    assert (folder / "second.mp3").read_bytes() == (folder / "made-2.mp3").read_bytes()
    assert 'playing "Midnight Blue" (0:' in capsys.readouterr().err


# --- jobs of a server ---


async def test_song_of_a_server_is_streamed_and_played_with_the_key_for_that_server_only(
    folder: Path,
) -> None:
    install(folder, "ffplay")
    ready = dict[str, object](id="music_1", status="completed", output=[{"index": 0, "title": "Blue\x1b"}])
    pending = {**ready, "status": "in_progress"}
    keys = []

    async def answer(request: web.BaseRequest) -> web.Response:
        keys.append((request.path, request.headers.get("Authorization")))
        if request.path.endswith(("/s", "/a")):
            return web.Response(body=SONG)
        if request.path.endswith("/music_1"):
            return web.json_response(ready)
        if request.path.endswith("/music_2"):
            return web.json_response(pending)
        return web.json_response({"description": f"no such job for {KEY}"}, status=404)

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    for _ in range(2):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    own, other = (f"http://127.0.0.1:{address[1]}" for address in runner.addresses)
    ready["output"] = [{"index": 0, "title": "Blue\x1b", "audio_url": f"{other}/a"}]
    pending["output"] = [{"index": 0, "title": "Blue\x1b", "stream_audio_url": "/s"}]
    try:
        kept = Playback(FFPLAY, str(folder / "bin" / "ffplay"), None)
        await play_remotely(own, KEY, "music_1", 0, kept)
        assert (kept.was_streamed, arguments(folder)[-2]) == (False, "-i")
        live = Playback(FFPLAY, str(folder / "bin" / "ffplay"), None)
        await play_remotely(own, KEY, "music_2", 0, live)
        assert (live.was_streamed, (folder / "read").read_bytes()) == (True, SONG)
        saved = Playback(None, "", find_target("saved.mp3", force=False))
        await play_remotely(own, KEY, "music_1", 0, saved)
        assert (folder / "saved.mp3").read_bytes() == SONG
        with pytest.raises(FailedError, match="has no track 2 with audio"):
            await play_remotely(own, KEY, "music_1", 1, kept)
        with pytest.raises(RefusedError, match=r"no such job for \*\*\*"):
            await play_remotely(own, KEY, "music_3", 0, kept)
    finally:
        await runner.cleanup()
    assert {path: key for path, key in keys if path in {"/a", "/s"}} == {"/a": None, "/s": f"Bearer {KEY}"}
    with pytest.raises(FailedError, match="does not answer as a musicgate server"):
        await play_remotely(own, KEY, "music_1", 0, kept)


def use(env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process at a vendor."""
    for name, value in {**env, "MUSICGATE_FOLLOW__SPEED": "100"}.items():
        monkeypatch.setenv(name, value)
