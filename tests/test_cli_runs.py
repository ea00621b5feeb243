"""The command line with emulated vendors behind real sockets, and as a process: signals, a terminal."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import attrs
import pytest

from musicgate.assets.audio import AudioKind, sniff
from musicgate.emulation.mount import mounted
from musicgate.emulation.sandbox import sandbox
from musicgate.gateway import Gateway
from musicgate.hosting.discovery import load_plugins
from musicgate.model import Secret
from musicgate.plugin.emulator import Emulator, EmulatorOptions
from musicgate.settings import Account, Settings
from musicgate.web.serve import serve
from tests.command_line import invoked

FAST = {"MUSICGATE_FOLLOW__SPEED": "100"}


@attrs.frozen
class Done:
    """How a process ended."""

    code: int | None
    out: str
    err: str


class Run:
    """One `musicgate` process in a folder, without the environment of this machine.

    For what only a process has: signals, a terminal, an exit status, a main thread.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    @classmethod
    async def start(
        cls,
        folder: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        err: int = asyncio.subprocess.PIPE,
    ) -> "Run":
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "musicgate", *arguments),
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "MUSICGATE_DATA_DIR": str(folder / "data"),
                **(env or {}),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=err,
        )
        return cls(process)

    async def line_with(self, text: str, *, on: str = "stderr") -> str:
        """Wait for a line that contains a text, and return it."""
        stream = self.process.stdout if on == "stdout" else self.process.stderr
        assert stream is not None
        async with asyncio.timeout(20):
            while line := (await stream.readline()).decode():
                self.output += line
                if text in line:
                    return line
        raise AssertionError(f"no line with {text!r} in {self.output!r}")

    async def end(self) -> Done:
        out, err = await asyncio.wait_for(self.process.communicate(), 40)
        return Done(self.process.returncode, out.decode(), self.output + (err or b"").decode())


async def musicgate(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Done:
    """Run a command to its end, in this process."""
    done = await invoked(folder, *arguments, env=env)
    return Done(done.code, done.out.decode(), done.err.decode())


@asynccontextmanager
async def vendor(
    plugin: str, *, speed: float = 40.0, **switches: str
) -> AsyncIterator[tuple[Emulator, dict[str, str]]]:
    """An emulated vendor that outlives the processes that call it, and the environment that points at it."""
    hooks = load_plugins().providers[plugin]
    emulator = hooks.emulator(EmulatorOptions(speed=speed, switches=switches))
    async with mounted(emulator) as origin:
        yield (
            emulator,
            {
                hooks.provider.key_env: "test-key-not-real",
                hooks.provider.base_url_env: origin,
                "MUSICGATE_NETWORK__ALLOW_PRIVATE_ADDRESSES": "true",
                "MUSICGATE_FOLLOW__SPEED": "40",
            },
        )


@asynccontextmanager
async def server(account: Account | None = None, *, speed: float = 50.0) -> AsyncIterator[str]:
    """The URL of a server with emulated vendors."""
    host = load_plugins()
    given = attrs.evolve(Settings(), accounts=(account,) if account else ())
    async with (
        sandbox(given, host, speed=speed) as settings,
        Gateway.open(settings, plugins=host) as gateway,
        serve(gateway, "127.0.0.1", 0) as (address, port),
    ):
        yield f"http://{address}:{port}"


def songs(folder: Path) -> list[str]:
    paths = [path for path in folder.iterdir() if path.is_file()]
    assert all(sniff(path.read_bytes()) is AudioKind.MP3 for path in paths)
    return sorted(path.name for path in paths)


def jobs_of(done: Done) -> list[tuple[str, str]]:
    return [(job["id"], job["status"]) for job in json.loads(done.out)["data"]]


# --- in this process ---


async def test_generate_in_the_sandbox_needs_no_account(tmp_path: Path) -> None:
    arguments = ("generate", "Warm jazz trio", "--sandbox", "-o", "jazz.mp3", "--seed", "7")
    done = await (await Run.start(tmp_path, *arguments, env=FAST)).end()
    assert (done.code, songs(tmp_path)) == (0, ["jazz-2.mp3", "jazz.mp3"])
    lines = done.out.splitlines()
    assert re.fullmatch(r"jazz\.mp3  0:\d\d  \d+\.\d [kM]B", lines[0])
    assert re.fullmatch(r"jazz-2\.mp3  0:\d\d  \d+\.\d [kM]B", lines[1])
    assert lines[2:] == ["suno_kie, V4_5PLUS: nothing was paid (the vendor would charge $0.06)"]
    assert "warning: seed: " in done.err
    assert done.err.splitlines()[-1] == "done"
    assert not (tmp_path / "data").exists()


async def test_generate_prints_json(tmp_path: Path) -> None:
    done = await musicgate(
        tmp_path, "generate", "Hello", "-m", "elevenlabs/music_v1", "--sandbox", "--json", env=FAST
    )
    answer = json.loads(done.out)
    assert (done.code, answer["status"], answer["files"]) == (0, "completed", ["song.mp3"])
    assert answer["usage"]["output_audio_count"] == 1


async def test_a_request_that_the_vendor_refuses_exits_with_1(tmp_path: Path) -> None:
    arguments = ("generate", "Hello [emulate end=SENSITIVE_WORD_ERROR]", "--sandbox")
    done = await musicgate(tmp_path, *arguments, env=FAST)
    assert (done.code, done.out, songs(tmp_path)) == (1, "", [])
    assert "Error: suno_kie failed: " in done.err
    assert "(moderation" in done.err
    as_json = await musicgate(tmp_path, *arguments, "--json", env=FAST)
    answer = json.loads(as_json.out)
    assert (as_json.code, answer["error"]["reason"], answer["files"]) == (1, "moderation", [])


async def test_audio_that_is_not_archived_is_fetched_from_the_vendor(tmp_path: Path) -> None:
    done = await musicgate(
        tmp_path, "generate", "Hello", "--sandbox", env={**FAST, "MUSICGATE_ASSETS__ARCHIVE": "false"}
    )
    assert (done.code, songs(tmp_path)) == (0, ["song-2.mp3", "song.mp3"])


async def test_an_interrupted_job_continues_and_is_paid_once(tmp_path: Path) -> None:
    async with vendor("suno_kie", speed=15.0) as (emulator, env):
        run = await Run.start(tmp_path, "generate", "Hello", env=env)
        await run.line_with("making music at suno_kie")
        beside = await musicgate(tmp_path, "jobs", "--json", env=env)
        assert [state for _, state in jobs_of(beside)] == ["in_progress"]
        run.process.send_signal(signal.SIGINT)
        done = await run.end()
        assert (done.code, songs(tmp_path)) == (130, [])
        hint = re.search(
            r"interrupted: job (\S+) continues at suno_kie; fetch it with: musicgate fetch (\S+)\n", done.err
        )
        assert hint is not None
        assert "Traceback" not in done.err
        job_id = hint[1]
        (listed,) = jobs_of(await musicgate(tmp_path, "jobs", "--json", env=env))
        assert (listed[0], hint[2]) == (job_id, job_id)
        assert listed[1] in {"queued", "in_progress"}
        fetched = await musicgate(tmp_path, "fetch", hint[2], "-o", "late", env=env)
        assert (fetched.code, songs(tmp_path)) == (0, ["late-2.mp3", "late.mp3"])
        assert jobs_of(await musicgate(tmp_path, "jobs", "--json", env=env)) == [(job_id, "completed")]
        assert len(emulator.books.creates) == 1
    # From the local copy: the vendor has stopped.
    again = await musicgate(tmp_path, "fetch", job_id, "-o", "late", "--force", env=env)
    assert (again.code, songs(tmp_path)) == (0, ["late-2.mp3", "late.mp3"])


async def test_an_interrupted_call_to_a_blocking_vendor_may_have_been_paid(tmp_path: Path) -> None:
    async with vendor("elevenlabs", speed=0.5) as (emulator, env):
        run = await Run.start(tmp_path, "generate", "Hello", "-m", "elevenlabs/music_v1", env=env)
        await run.line_with("making music at elevenlabs")
        async with asyncio.timeout(10):
            while not emulator.books.calls:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
        run.process.send_signal(signal.SIGINT)
        done = await run.end()
        assert done.code == 130
        assert "it is not known whether a song is made and billed" in done.err
        ((job_id, _),) = jobs_of(await musicgate(tmp_path, "jobs", "--json", env=env))
        fetched = await musicgate(tmp_path, "fetch", job_id, env=env)
        assert fetched.code == 1
        assert "it may have been billed nevertheless" in fetched.err
        assert sum(emulator.books.calls.values()) == 1


async def test_a_job_that_is_not_finished_in_time_continues(tmp_path: Path) -> None:
    async with vendor("suno_kie", speed=15.0) as (emulator, env):
        done = await musicgate(tmp_path, "generate", "Hello", "--timeout", "0.7", env=env)
        assert done.code == 4
        hint = re.search(
            r"Error: not finished after 0\.7 s: job (\S+) continues at suno_kie; fetch it with", done.err
        )
        assert hint is not None
        other = await musicgate(tmp_path, "generate", "Other", "-o", "other", env=env)
        assert other.code == 0
        assert "1 unfinished job of an earlier run continues meanwhile; see: musicgate jobs" in other.err
        assert (await musicgate(tmp_path, "fetch", hint[1], env=env)).code == 0
        assert len(emulator.books.creates) == 2


async def test_two_runs_at_a_time_use_a_store_each(tmp_path: Path) -> None:
    async with vendor("suno_kie", speed=15.0) as (emulator, env):
        arguments = ("generate", "Hello", "-o", "song.mp3")
        first, second = [await Run.start(tmp_path, *arguments, env=env) for _ in range(2)]
        ends = [await first.end(), await second.end()]
        assert [done.code for done in ends] == [0, 0]
        assert songs(tmp_path) == ["song-2.mp3", "song-3.mp3", "song-4.mp3", "song.mp3"]
        assert len(jobs_of(await musicgate(tmp_path, "jobs", "--json", env=env))) == 2
        assert len(emulator.books.creates) == 2
    assert sorted(path.name for path in (tmp_path / "data").glob("*.db")) == ["cli-2.db", "musicgate.db"]


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")
async def test_a_terminal_shows_a_progress_bar(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    run = await Run.start(
        tmp_path, "generate", "Hello", "--sandbox", env={**FAST, "TERM": "xterm"}, err=theirs
    )
    os.close(theirs)
    reading = asyncio.create_task(asyncio.to_thread(read_all, ours))
    done = await run.end()
    shown = await reading
    assert (done.code, songs(tmp_path)) == (0, ["song-2.mp3", "song.mp3"])
    assert "━" in shown
    assert "making music at suno_kie" in shown
    assert "\x1b[?25h" in shown  # the cursor is back


def read_all(descriptor: int) -> str:
    """Everything that is written to a terminal until it is closed."""
    pieces = []
    try:
        while piece := os.read(descriptor, 65_536):
            pieces.append(piece)
    except OSError:  # Linux raises EIO when the other side is closed
        pass
    os.close(descriptor)
    return b"".join(pieces).decode(errors="replace")


# --- through a server ---


async def test_generate_and_fetch_through_a_server(tmp_path: Path) -> None:
    account = Account(name="ann", key=Secret("test-key-not-real"))
    async with server(account) as url:
        env = {"MUSICGATE_URL": url, "MUSICGATE_API_KEY": "test-key-not-real"}
        done = await musicgate(tmp_path, "generate", "Hello", "--title", "Tango", "-o", "tango.wav", env=env)
        assert (done.code, songs(tmp_path)) == (0, ["tango-2.mp3", "tango.mp3"])
        assert done.out.splitlines()[-1] == "suno_kie, V4_5PLUS: $0.06"
        assert "note: the audio is mp3, not wav" in done.err
        made = await musicgate(tmp_path, "generate", "Hello", "-m", "elevenlabs/music_v1", "--json", env=env)
        answer = json.loads(made.out)
        assert (made.code, answer["files"]) == (0, ["song.mp3"])
        again = await musicgate(tmp_path, "fetch", answer["id"], "-o", "again", "--url", url, env=env)
        assert (again.code, (tmp_path / "again.mp3").read_bytes()) == (
            0,
            (tmp_path / "song.mp3").read_bytes(),
        )
        refused = await musicgate(tmp_path, "fetch", answer["id"], "--key", "wrong-key-not-real", env=env)
        assert (refused.code, "look at --key or MUSICGATE_API_KEY" in refused.err) == (3, True)
    assert not (tmp_path / "data").exists()


async def test_a_refusal_of_a_server_is_reported(tmp_path: Path) -> None:
    async with server() as url:
        cases = {
            ("generate", "x", "--duration", "0", "-O", "suno.styleWeight=2"): (
                2, "Error: the request is not valid:\n  duration: must be greater than 0\n  suno.styleWeight: must be at most 1\n",
            ),
            ("generate", "x", "-m", "no/model"): (2, "no provider offers no/model"),
            ("generate", "x", "--seed", "1", "--strict"): (2, "seed"),
            ("fetch", "music_unknown"): (2, "music_unknown"),
            ("generate", "x [emulate end=SENSITIVE_WORD_ERROR]"): (1, "suno_kie failed: "),
        }  # fmt: skip
        for arguments, (code, sentence) in cases.items():
            done = await musicgate(tmp_path, *arguments, "--url", url)
            assert (done.code, sentence in done.err, "Traceback" in done.err) == (code, True, False), done.err


async def test_a_server_that_cannot_be_reached(tmp_path: Path) -> None:
    done = await musicgate(tmp_path, "generate", "x", "--url", "http://127.0.0.1:1")
    assert (done.code, "127.0.0.1:1 cannot be reached: connection refused; look at --url" in done.err) == (
        1,
        True,
    )


async def test_waiting_for_a_server_can_be_interrupted_and_continued(tmp_path: Path) -> None:
    async with server(speed=10.0) as url:
        run = await Run.start(tmp_path, "generate", "Hello", "--url", url)
        await run.line_with("making music at suno_kie")
        run.process.send_signal(signal.SIGINT)
        done = await run.end()
        hint = re.search(
            r"interrupted: job \S+ continues there; fetch it with: musicgate (fetch \S+ --url \S+)\n",
            done.err,
        )
        assert (done.code, hint is not None) == (130, True)
        assert hint is not None
        late = await musicgate(tmp_path, *hint[1].split(), "--timeout", "0.1")
        assert (late.code, "not finished after 0.1 s" in late.err) == (4, True)
        fetched = await musicgate(tmp_path, *hint[1].split())
        assert (fetched.code, songs(tmp_path)) == (0, ["song-2.mp3", "song.mp3"])


# --- servers ---


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_serve_prints_its_address_and_stops_cleanly(tmp_path: Path, name: str) -> None:
    run = await Run.start(tmp_path, "serve", "--port", "0")
    line = await run.line_with("musicgate listens on ", on="stdout")
    assert (
        await run.line_with("account", on="stdout")
        == "no account is configured: only this machine may call\n"
    )
    assert (
        await run.line_with("providers", on="stdout")
        == "providers: acestep, apiin_one, elevenlabs, fal, minimax, suno_kie\n"
    )
    async with aiohttp.ClientSession() as session, session.get(f"{line.split()[-1]}/livez") as response:
        assert response.status == 200
    run.process.send_signal(getattr(signal, name))
    done = await run.end()
    assert (done.code, "Traceback" in done.err) == (0, False)
    assert (tmp_path / "data" / "musicgate.db").is_file()


async def test_serve_names_its_accounts_and_a_port_that_is_in_use(tmp_path: Path) -> None:
    async with server() as url:
        port = url.rpartition(":")[2]
        done = await (await Run.start(tmp_path, "serve", "--port", port)).end()
    assert (done.code, f"server.port: cannot listen on 127.0.0.1:{port}" in done.err) == (3, True)
    (tmp_path / "musicgate.toml").write_text('[[accounts]]\nname = "ann"\nkey = "test-key-not-real"\n')
    run = await Run.start(tmp_path, "serve", "--port", "0")
    assert await run.line_with("account", on="stdout") == "accounts: ann\n"
    run.process.terminate()
    done = await run.end()
    assert "test-key-not-real" not in done.out + done.err


async def test_sandbox_prints_curl_commands_that_work(tmp_path: Path) -> None:
    opened = tmp_path / "opened.txt"
    browser = tmp_path / "browser.sh"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    arguments = ("sandbox", "--port", "0", "--speed", "50", "--data", "kept", "--open")
    run = await Run.start(tmp_path, *arguments, env={"BROWSER": f"{browser} %s"})
    url = (await run.line_with("musicgate listens on ", on="stdout")).split()[-1]
    assert await run.line_with("console: ", on="stdout") == f"console: {url}/console\n"
    await run.line_with("vendors emulated at 50x speed; nothing is paid", on="stdout")
    line = await run.line_with("curl -s ", on="stdout")
    body = re.search(r"-d '(.*)'", line)
    assert body is not None
    assert url in line
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/music/generate", data=body[1]) as response,
    ):
        made = await response.json(content_type=None)
    done = await musicgate(tmp_path, "fetch", made["id"], "--url", url)
    assert (done.code, (tmp_path / "song.mp3").is_file()) == (0, True)
    run.process.send_signal(signal.SIGINT)
    assert (await run.end()).code == 0
    assert (tmp_path / "kept" / "musicgate.db").is_file()
    assert opened.read_text() == f"{url}/console"


async def test_a_cancelled_job_is_listed_as_failed(tmp_path: Path) -> None:
    async with vendor("suno_kie", speed=15.0) as (emulator, env):
        late = await musicgate(
            tmp_path, "generate", "Hello [emulate song_s=900]", "--timeout", "0.7", env=env
        )
        assert late.code == 4
        ((job_id, _),) = jobs_of(await musicgate(tmp_path, "jobs", "--json", env=env))
        done = await musicgate(tmp_path, "cancel", job_id, env=env)
        said = "cancelled here; the vendor could not be asked to stop, so it may finish the song and bill it"
        assert (done.code, done.out, done.err) == (0, f"{job_id}: {said}\n", "")
        assert jobs_of(await musicgate(tmp_path, "jobs", "--json", env=env)) == [(job_id, "failed")]
        again = await musicgate(tmp_path, "cancel", job_id, "--json", env=env)
        assert json.loads(again.out)["error"]["may_have_cost"] is True
        assert len(emulator.books.creates) == 1
    unknown = await musicgate(tmp_path, "cancel", "music_unknown", env=env)
    assert (unknown.code, unknown.out) == (2, "")


async def test_a_finished_job_cannot_be_cancelled(tmp_path: Path) -> None:
    async with vendor("suno_kie", speed=100.0) as (_, env):
        assert (await musicgate(tmp_path, "generate", "Hello", env=env)).code == 0
        ((job_id, state),) = jobs_of(await musicgate(tmp_path, "jobs", "--json", env=env))
        assert state == "completed"
        done = await musicgate(tmp_path, "cancel", job_id, env=env)
    assert (done.code, done.out) == (2, "")
    assert f"job {job_id} is finished; it cannot be cancelled any more" in done.err
