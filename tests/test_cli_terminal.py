"""Output of the command line: control characters are escaped, and every encoding works."""

import ast
import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

import musicgate.cli
from musicgate.cli import cli
from musicgate.cli.terminal import LineFormatter, visible, visible_lines
from musicgate.emulation.tones import AudioFormat, song
from musicgate.model import MusicRequest
from musicgate.store.sqlite import SqliteJobStore
from tests.command_line import Done, invoked
from tests.sample_jobs import job
from tests.test_cli_runs import read_all

#: Clears the screen, sets the title, makes a false link, rings, moves back, reverses text, and forges a line.
HOSTILE = "\x1b[2J\x1b]0;pwn\x07\x1b]8;;https://evil.test\x1b\\x\x9b31m\x9d\x7f\x00\b\r\u202eabc\u2066[red]b[/red]\nError: forged"
EMOJI = "\U0001f3b5"
#: Half an emoji, as it can be in a vendor's JSON.
HALF = "\ud83c"
AUDIO = song(AudioFormat(), 6.0, seed=1)
KEY = "test-key-not-real"
SETTINGS = {"MUSICGATE_NETWORK__ALLOW_PRIVATE_ADDRESSES": "true", "MUSICGATE_FOLLOW__SPEED": "100"}


def assert_harmless(data: bytes, encoding: str = "utf-8") -> None:
    """Assert that there is no control character, bidirectional mark or forged line."""
    text = data.decode(encoding)
    found = re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", text)
    assert found == []
    assert "\nError: forged" not in text


async def musicgate_in(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, err: int | None = None
) -> Done:
    """Run the command line as a process, without the environment of this machine."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "musicgate", *arguments),
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "MUSICGATE_DATA_DIR": str(folder / "data"),
            **SETTINGS,
            **(env or {}),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if err is None else err,
    )
    out, err_bytes = await asyncio.wait_for(process.communicate(), 40)
    return Done(process.returncode, out, err_bytes or b"")


@asynccontextmanager
async def answering(*answers: tuple[str, str, object]) -> AsyncIterator[str]:
    """A server on loopback with an answer per method and path; ORIGIN in JSON is replaced by its address."""

    async def take(request: web.BaseRequest) -> web.StreamResponse:
        for method, path, answer in answers:
            if request.method == method and request.path.startswith(path):
                if isinstance(answer, bytes):
                    return web.Response(body=answer)
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                text = json.dumps(body).replace("ORIGIN", origin)
                return web.Response(status=status, body=text.encode(), content_type="application/json")
        return web.Response(status=404, body=b"{}", content_type="application/json")

    runner = web.ServerRunner(web.Server(take), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield origin
    finally:
        await runner.cleanup()


def kie(record: dict[str, Any]) -> tuple[tuple[str, str, object], ...]:
    """A vendor that accepts every job and returns this record for it."""
    task = {"taskId": "5c79be8e5c79be8e5c79be8e5c79be8e"}
    return (
        ("POST", "/api/v1/generate", {"code": 200, "msg": "success", "data": task}),
        ("GET", "/api/v1/generate/record-info", {"code": 200, "msg": "success", "data": {**task, **record}}),
        ("GET", "/a.mp3", AUDIO),
    )


def made(title: str) -> dict[str, Any]:
    """A record of a song with a title."""
    track = {
        "id": "a1",
        "audioUrl": "ORIGIN/a.mp3",
        "title": title,
        "tags": title,
        "prompt": title,
        "duration": 6,
    }
    return {"status": "SUCCESS", "response": {"sunoData": [track]}}


GENERATE = ("generate", "Hello", "--only", "suno_kie", "-m", "suno/v5")


@asynccontextmanager
async def vendor_of(record: dict[str, Any]) -> AsyncIterator[dict[str, str]]:
    """The environment that points at a vendor with this record."""
    async with answering(*kie(record)) as origin:
        yield {**SETTINGS, "KIE_API_KEY": KEY, "KIE_BASE_URL": origin}


# --- one module prints ---


def test_only_one_module_prints() -> None:
    folder = Path(musicgate.cli.__file__).parent
    printing = {"print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write", "json.dump"}
    found = [
        f"{path.name}:{ast.unparse(node.func)}"
        for path in sorted(folder.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in printing
    ]
    assert found == ["terminal.py:click.echo"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \xe9 \u65e5 \U0001f468\u200d\U0001f469", "plain \xe9 \u65e5 \U0001f468\u200d\U0001f469"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x9b\x7f\x00", "\\x1b[2J\\x9b\\x7f\\x00"),
        ("\u202eabc\u2069\u2028", "\\u202eabc\\u2069\\u2028"),
        (f"half {HALF}", "half \ufffd"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(visible(text)) == shown
    assert visible_lines(f"{text}\n") == shown.replace("\\n", "\n") + "\n"


def test_a_log_record_is_one_line_and_a_traceback_keeps_its_lines() -> None:
    formatter = LineFormatter("%(levelname)s %(message)s")
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int(HOSTILE)
    trouble = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("x", 40, "x", 1, "vendor sent %s", (HOSTILE,), trouble)
    text = formatter.format(record)
    assert_harmless(text.partition("\nTraceback")[0].encode())
    assert len(re.findall(r"^ERROR vendor sent ", text, re.MULTILINE)) == 1
    assert "\x1b" not in text


async def test_tracebacks_and_log_lines_are_escaped_too(tmp_path: Path) -> None:
    (tmp_path / "musicgate.toml").write_text(f"{json.dumps(HOSTILE)} = 1\n")
    done = await musicgate_in(tmp_path, "--debug", "providers")
    assert (done.code, b"Traceback" in done.err, b"no such section" in done.err) == (1, True, True)
    assert_harmless(done.err)
    (tmp_path / "run.py").write_text(
        "import logging, sys\nfrom musicgate.cli import main\nfrom musicgate.cli.terminal import guard\n"
        f"guard()\nlogging.getLogger('x').error('text %s', {HOSTILE!r})\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "run.py"),
        cwd=tmp_path,
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert err.startswith(b"text \\x1b[2J")
    assert_harmless(err)


# --- of a vendor ---


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_hostile_title_of_a_vendor(tmp_path: Path, as_json: bool) -> None:
    arguments = ["--json"] if as_json else []
    async with vendor_of(made(HOSTILE)) as env:
        done = await invoked(tmp_path, *GENERATE, *arguments, env=env)
    assert (done.code, (tmp_path / "song.mp3").is_file()) == (0, True)
    assert_harmless(done.out)
    assert_harmless(done.err)
    if as_json:
        assert json.loads(done.out)["output"][0]["title"].startswith("\x1b[2J")


@pytest.mark.parametrize("options", [[], ["--debug"]])
async def test_a_hostile_refusal_of_a_vendor(tmp_path: Path, options: list[str]) -> None:
    record = {"status": "GENERATE_AUDIO_FAILED", "errorCode": 400, "errorMessage": HOSTILE}
    # With --debug the interpreter prints the traceback, so that needs a process.
    run = musicgate_in if options else invoked
    async with vendor_of(record) as env:
        done = await run(tmp_path, *options, *GENERATE, env=env)
        again = await invoked(tmp_path, "jobs", env=env)
    assert (done.code, b"suno_kie failed" in done.err) == (1, True)
    assert_harmless(done.err)
    assert_harmless(again.out)


async def test_a_hostile_status_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    pending = {"status": HOSTILE, "response": made(HOSTILE)["response"]}
    async with vendor_of(pending) as vendor:
        env = {**vendor, "TERM": "xterm", "COLUMNS": "200"}
        reading = asyncio.create_task(asyncio.to_thread(read_all, ours))
        command = (*GENERATE, "--timeout", "2")
        run = asyncio.create_task(musicgate_in(tmp_path, *command, env=env, err=theirs))
        await asyncio.sleep(0.5)
        os.close(theirs)
        done = await run
    shown = await reading
    assert done.code == 4
    # Remove what rich itself writes: colours, cursor movements and carriage returns.
    own = re.sub(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[A-K]|2K)|\r", "", shown)
    assert_harmless(own.encode())
    assert "\x1b[2J" not in shown
    assert "[red]b[/red]" in shown


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("title", [f"song {EMOJI}", f"song {HALF}"])
async def test_no_title_makes_a_paid_run_fail(tmp_path: Path, encoding: str, title: str) -> None:
    async with vendor_of(made(title)) as env:
        done = await invoked(tmp_path, *GENERATE, "--json", encoding=encoding, env=env)
        plain = await invoked(tmp_path, *GENERATE, "-o", f"{EMOJI}.mp3", encoding=encoding, env=env)
    answer = json.loads(done.out.decode(encoding))
    assert (done.code, len(answer["files"])) == (0, 1)
    assert (tmp_path / "song.mp3").read_bytes() == AUDIO
    if title.endswith(EMOJI):
        assert answer["output"][0]["title"] == title
    assert (plain.code, (tmp_path / f"{EMOJI}.mp3").is_file()) == (0, True)
    shown = EMOJI if encoding == "utf-8" else "?"
    assert plain.out.decode(encoding).startswith(f"{shown}.mp3  0:06")
    listed = await invoked(tmp_path, "jobs", "--json", encoding=encoding)
    assert (listed.code, len(json.loads(listed.out.decode(encoding))["data"])) == (0, 2)


async def test_a_process_writes_in_the_encoding_of_its_streams(tmp_path: Path) -> None:
    async with vendor_of(made(f"song {EMOJI}")) as vendor:
        env = {**vendor, "PYTHONIOENCODING": "ascii"}
        plain = await musicgate_in(tmp_path, *GENERATE, "-o", f"{EMOJI}.mp3", env=env)
    assert (plain.code, (tmp_path / f"{EMOJI}.mp3").is_file()) == (0, True)
    assert plain.out.startswith(b"?.mp3  0:06")
    listed = await musicgate_in(tmp_path, "jobs", "--json", env={"PYTHONIOENCODING": "ascii"})
    (listed_job,) = json.loads(listed.out.decode("ascii"))["data"]
    assert listed_job["output"][0]["title"] == f"song {EMOJI}"


# --- of a server ---


def answer_of(**more: object) -> dict[str, Any]:
    job = {
        "id": f"music_{HOSTILE}",
        "object": "music",
        "created_at": "2026-11-20T10:38:43.744Z",
        "status": "completed",
        "provider_plugin": HOSTILE,
        "model": HOSTILE,
        "native_status": HOSTILE,
    }
    warning = {"path": [HOSTILE], "message": HOSTILE, "code": "not_applied"}
    return {**job, "warnings": [warning], "output": [], **more}  # fmt: skip


def track_of(**more: object) -> dict[str, Any]:
    return {"index": 0, "title": HOSTILE + EMOJI + HALF, "audio_url": "ORIGIN/a.mp3", "duration": 6.0, **more}


ENVELOPE = {"generation_id": HOSTILE, "request_id": HOSTILE}
SERVED = {
    "done": answer_of(output=[track_of()]),
    "in progress": answer_of(status="in_progress", output=[track_of()]),
    "no audio": answer_of(output=[track_of(audio_url=None, error={"message": HOSTILE})]),
    "failed": answer_of(status="failed", error={"message": HOSTILE, "reason": HOSTILE, "native_code": HOSTILE, "suggestion": {"prompt": HOSTILE}, "may_have_cost": True}),
    "refused": (400, {**ENVELOPE, "error": "validation_error", "description": HOSTILE, "reason": HOSTILE}),
    "refused by field": (400, {**ENVELOPE, "error": "validation_error", "details": [{"path": [HOSTILE, 0], "message": HOSTILE}, 7]}),
    "lost": (502, {**ENVELOPE, "error": "upstream_error", "description": HOSTILE, "music_id": HOSTILE}),
    "key": (401, {**ENVELOPE, "error": "unauthorised", "description": f"no such key {KEY} {HOSTILE}"}),
    "no envelope": (400, {"error": HOSTILE, "description": HOSTILE}),
    "a string": HOSTILE,
    "tracks of a wrong type": answer_of(output=[7, HOSTILE]),
    "a track without an index": answer_of(output=[track_of(index="../../escaped")]),
    "a malformed link": answer_of(output=[track_of(audio_url="http://[::1/\x1b")]),
    "a link to a file": answer_of(output=[track_of(audio_url="file:///etc/passwd")]),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("served", SERVED)
async def test_a_hostile_server(
    tmp_path: Path, served: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    routes = (("GET", "/a.mp3", AUDIO), ("POST", "/", SERVED[served]), ("GET", "/", SERVED[served]))
    async with answering(*routes) as origin:
        env = {**SETTINGS, "MUSICGATE_URL": origin, "MUSICGATE_API_KEY": f"{KEY}\n"}
        for arguments in (
            ["generate", "Hello", "--timeout", "1"],
            ["fetch", "music_1", "--timeout", "1", "--json"],
            ["cancel", "music_1"],
            ["cancel", "music_1", "--json"],
        ):
            done = await invoked(tmp_path, *arguments, encoding=encoding, env=env)
            assert_harmless(done.out, encoding)
            assert_harmless(done.err, encoding)
            assert KEY.encode() not in done.out + done.err
            assert b"Traceback" not in done.err
            assert b"internal error" not in done.err
            if done.code == 0 and "--json" in arguments:
                assert json.loads(done.out.decode(encoding))["provider_plugin"] == HOSTILE
    outside = {path.name for path in tmp_path.parent.iterdir()} - {tmp_path.name}
    assert not any("escaped" in name for name in outside)


@pytest.mark.parametrize(
    ("env", "code", "message"),
    [
        ({"MUSICGATE_API_KEY": "one\ntwo-not-real"}, 3, b"--key (MUSICGATE_API_KEY): must have no control"),
        ({"MUSICGATE_API_KEY": "k\xe9y-\u65e5-not-real"}, 3, b"--key (MUSICGATE_API_KEY): must have only"),
        ({"MUSICGATE_URL": "http://ann:pass-not-real@127.0.0.1:1"}, 2, b"--url: must have no user name"),
        (
            {"MUSICGATE_URL": "http://127.0.0.1:99999/pass-not-real"},
            2,
            b"--url: must be an http or https address",
        ),
        ({"MUSICGATE_URL": " "}, 2, b"--url: must be an http or https address"),
    ],
)
async def test_a_malformed_key_or_address_is_reported_and_not_shown(
    tmp_path: Path, env: dict[str, str], code: int, message: bytes
) -> None:
    done = await invoked(tmp_path, "generate", "x", env={"MUSICGATE_URL": "http://127.0.0.1:1", **env})
    assert (done.code, message in done.err) == (code, True)
    assert b"not-real" not in done.err


async def test_an_answer_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with answering(("POST", "/", b"[" * 17_000_000)) as origin:
        done = await invoked(tmp_path, "generate", "x", "--url", origin)
    assert (done.code, b"an answer that is too large" in done.err) == (1, True)
    async with answering(("POST", "/", b"[" * 100_000)) as origin:
        done = await invoked(tmp_path, "generate", "x", "--url", origin)
    assert (done.code, b"without JSON" in done.err) == (1, True)


# --- on this machine ---


async def leave_job(folder: Path) -> None:
    hostile = job(
        id=f"music_{HOSTILE}",
        request=MusicRequest(model=HOSTILE, prompt=HOSTILE),
        deadline_at=datetime.now(UTC) + timedelta(hours=1),
        attempts=(),
    )
    async with SqliteJobStore.open(folder / "musicgate.db") as store:
        await store.add(hostile, [])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
async def test_hostile_text_in_arguments_and_stored_jobs(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    await leave_job(tmp_path / "data")
    env = {**SETTINGS, "KIE_API_KEY": KEY}
    text = HOSTILE + EMOJI
    for arguments in (
        ["jobs"],
        ["plan", text, "--seed", "7"],
        ["plan", "x", "-m", text],
        ["plan", "x", "-O", f"{text}=1"],
        ["fetch", text],
        ["cancel", text],
        [text],
        [f"--{text}"],
        ["providers"],
        ["models"],
        ["plugins"],
        ["schema", text],
    ):
        done = await invoked(tmp_path, *arguments, encoding=encoding, env=env)
        assert_harmless(done.out, encoding)
        assert_harmless(done.err, encoding)
    for arguments in (
        ["jobs", "--json"],
        ["plan", text, "--json"],
        ["models", "--json"],
        ["schema", "request"],
    ):
        done = await invoked(tmp_path, *arguments, encoding=encoding, env=env)
        assert_harmless(done.out, encoding)
        json.loads(done.out.decode(encoding))


def test_a_request_file_with_hostile_names(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps({"model": "suno/v5", "prompt": 7, HOSTILE: 1, "suno": {HOSTILE: 1}}))
    for arguments in (
        ["validate", str(file)],
        ["validate", str(file), "--strict"],
        ["plan", "--request", str(file)],
    ):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code in {2, 3}
        assert_harmless(done.output_bytes)
    done = CliRunner().invoke(cli, ["validate", str(file), "--json"])
    assert_harmless(done.stdout_bytes)


def test_a_plugin_with_a_hostile_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from musicgate import hosting
    from musicgate.hosting import discovery

    class Hostile:
        """Has a version that is not a number."""

        HOOK_API = HOSTILE

    load = discovery.load_plugins
    monkeypatch.setattr(hosting, "load_plugins", lambda: load({"hostile": Hostile()}))
    for arguments in (["plugins"], ["plugins", "--json"]):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 1
        assert_harmless(done.output_bytes)
