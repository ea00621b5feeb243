"""What the command line prints: control characters are shown, not obeyed, and no encoding of a terminal loses a song that was paid."""

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

import attrs
import pytest
from aiohttp import web
from click.testing import CliRunner

import musicgate.cli
from musicgate.cli import cli
from musicgate.cli.terminal import LineFormatter, visible, visible_lines
from musicgate.emulation.tones import AudioFormat, song
from musicgate.model import Job, JobState, MusicRequest
from musicgate.store.sqlite import SqliteJobStore
from tests.test_cli_runs import read_all

#: Clears the screen, sets the window's title, links to elsewhere, rings, goes back, turns the writing around, and forges a line.
HOSTILE = "\x1b[2J\x1b]0;pwn\x07\x1b]8;;https://evil.test\x1b\\x\x9b31m\x9d\x7f\x00\b\r\u202eabc\u2066[red]b[/red]\nError: forged"
EMOJI = "\U0001f3b5"
#: Half an emoji, as JSON of a vendor has it.
HALF = "\ud83c"
AUDIO = song(AudioFormat(), 6.0, seed=1)
KEY = "test-key-not-real"


def assert_harmless(data: bytes, encoding: str = "utf-8") -> None:
    """No control character but the line break, no mark that turns the writing around, and no line that somebody else wrote."""
    text = data.decode(encoding)
    found = re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]", text)
    assert found == []
    assert "\nError: forged" not in text


@attrs.frozen
class Done:
    """How a process ended."""

    code: int | None
    out: bytes
    err: bytes


async def musicgate_in(
    folder: Path, *words: str, env: Mapping[str, str] | None = None, err: int | None = None
) -> Done:
    """Run the command line in a process of its own, with nothing of the machine's own environment."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "musicgate", *words),
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "MUSICGATE_DATA_DIR": str(folder / "data"),
            "MUSICGATE_NETWORK__ALLOW_PRIVATE_ADDRESSES": "true",
            "MUSICGATE_FOLLOW__SPEED": "100",
            **(env or {}),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if err is None else err,
    )
    out, said = await asyncio.wait_for(process.communicate(), 40)
    return Done(process.returncode, out, said or b"")


async def invoked(folder: Path, *words: str, encoding: str, env: Mapping[str, str]) -> Done:
    """Run the command line in this process, on streams of this encoding."""
    runner = CliRunner(charset=encoding)
    settings = {"MUSICGATE_DATA_DIR": str(folder / "data"), "MUSICGATE_FOLLOW__SPEED": "100", **env}
    done = await asyncio.to_thread(runner.invoke, cli, words, env=settings)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return Done(done.exit_code, done.stdout_bytes, done.stderr_bytes)


@asynccontextmanager
async def answering(*answers: tuple[str, str, object]) -> AsyncIterator[str]:
    """A server on loopback whose answers are chosen by method and path; ORIGIN in JSON is its address."""

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
    """A vendor that takes every job, and says this of it."""
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


async def locally(
    folder: Path, record: dict[str, Any], *words: str, env: Mapping[str, str] | None = None
) -> Done:
    async with answering(*kie(record)) as origin:
        vendor = {"KIE_API_KEY": KEY, "KIE_BASE_URL": origin}
        command = ("generate", "Hello", "--only", "suno_kie", "-m", "suno/v5")
        return await musicgate_in(folder, *command, *words, env={**vendor, **(env or {})})


# ------------------------------------------------------------------------------------------------- one way out


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
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(visible(text)) == shown
    assert visible_lines(f"{text}\n") == shown.replace("\\n", "\n") + "\n"


def test_a_log_record_is_one_line_and_a_traceback_keeps_its_own() -> None:
    formatter = LineFormatter("%(levelname)s %(message)s")
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int(HOSTILE)
    trouble = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("x", 40, "x", 1, "vendor said %s", (HOSTILE,), trouble)
    text = formatter.format(record)
    assert_harmless(text.partition("\nTraceback")[0].encode())
    assert len(re.findall(r"^ERROR vendor said ", text, re.MULTILINE)) == 1
    assert "\x1b" not in text


async def test_tracebacks_and_log_lines_of_a_process_go_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "musicgate.toml").write_text(f"{json.dumps(HOSTILE)} = 1\n")
    done = await musicgate_in(tmp_path, "--debug", "providers")
    assert (done.code, b"Traceback" in done.err, b"no such section" in done.err) == (1, True, True)
    assert_harmless(done.err)
    (tmp_path / "run.py").write_text(
        "import logging, sys\nfrom musicgate.cli import main\nfrom musicgate.cli.terminal import guard\n"
        f"guard()\nlogging.getLogger('x').error('said %s', {HOSTILE!r})\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "run.py"),
        cwd=tmp_path,
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await asyncio.wait_for(process.communicate(), 20)
    assert err.startswith(b"said \\x1b[2J")
    assert_harmless(err)


# ------------------------------------------------------------------------------------------------- of a vendor


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_hostile_title_of_a_vendor(tmp_path: Path, as_json: bool) -> None:
    words = ["--json"] if as_json else []
    done = await locally(tmp_path, made(HOSTILE), *words)
    assert (done.code, (tmp_path / "song.mp3").is_file()) == (0, True)
    assert_harmless(done.out)
    assert_harmless(done.err)
    if as_json:
        assert json.loads(done.out)["output"][0]["title"].startswith("\x1b[2J")


@pytest.mark.parametrize("words", [[], ["--debug"]])
async def test_a_hostile_refusal_of_a_vendor(tmp_path: Path, words: list[str]) -> None:
    record = {"status": "GENERATE_AUDIO_FAILED", "errorCode": 400, "errorMessage": HOSTILE}
    async with answering(*kie(record)) as origin:
        env = {"KIE_API_KEY": KEY, "KIE_BASE_URL": origin}
        done = await musicgate_in(
            tmp_path, *words, "generate", "Hello", "--only", "suno_kie", "-m", "suno/v5", env=env
        )
        again = await musicgate_in(tmp_path, "jobs", env=env)
    assert (done.code, b"suno_kie failed" in done.err) == (1, True)
    assert_harmless(done.err)
    assert_harmless(again.out)


async def test_a_hostile_status_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    pending = {"status": HOSTILE, "response": made(HOSTILE)["response"]}
    async with answering(*kie(pending)) as origin:
        env = {"KIE_API_KEY": KEY, "KIE_BASE_URL": origin, "TERM": "xterm", "COLUMNS": "200"}
        reading = asyncio.create_task(asyncio.to_thread(read_all, ours))
        command = ("generate", "Hello", "--only", "suno_kie", "-m", "suno/v5", "--timeout", "2")
        run = asyncio.create_task(musicgate_in(tmp_path, *command, env=env, err=theirs))
        await asyncio.sleep(0.5)
        os.close(theirs)
        done = await run
    shown = await reading
    assert done.code == 4
    # What rich itself writes: colours, the cursor, and going back over its own line. None of it is the vendor's.
    own = re.sub(r"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[A-K]|2K)|\r", "", shown)
    assert_harmless(own.encode())
    assert "\x1b[2J" not in shown
    assert "[red]b[/red]" in shown


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("title", [f"song {EMOJI}", f"song {HALF}"])
async def test_no_title_ends_a_run_that_was_paid(tmp_path: Path, encoding: str, title: str) -> None:
    env = {"PYTHONIOENCODING": encoding}
    done = await locally(tmp_path, made(title), "--json", env=env)
    answer = json.loads(done.out.decode(encoding))
    assert (done.code, len(answer["files"])) == (0, 1)
    assert (tmp_path / "song.mp3").read_bytes() == AUDIO
    if title.endswith(EMOJI):
        assert answer["output"][0]["title"] == title
    plain = await locally(tmp_path, made(title), "-o", f"{EMOJI}.mp3", env=env)
    assert (plain.code, (tmp_path / f"{EMOJI}.mp3").is_file()) == (0, True)
    shown = EMOJI if encoding == "utf-8" else "?"
    assert plain.out.decode(encoding).startswith(f"{shown}.mp3  0:06")
    listed = await musicgate_in(tmp_path, "jobs", "--json", env=env)
    assert (listed.code, len(json.loads(listed.out.decode(encoding))["data"])) == (0, 2)


# -------------------------------------------------------------------------------------------------- of a server


def answer_of(**more: object) -> dict[str, Any]:
    job = {
        "id": f"music_{HOSTILE}",
        "status": "completed",
        "provider_plugin": HOSTILE,
        "model": HOSTILE,
        "native_status": HOSTILE,
    }
    warning = {"path": [HOSTILE], "message": HOSTILE, "code": "not_applied"}
    return {**job, "warnings": [warning], "output": [], **more}  # fmt: skip


def track_of(**more: object) -> dict[str, Any]:
    return {"index": 0, "title": HOSTILE + EMOJI + HALF, "audio_url": "ORIGIN/a.mp3", "duration": 6.0, **more}


SERVED = {
    "done": answer_of(output=[track_of()]),
    "in progress": answer_of(status="in_progress", output=[track_of()]),
    "no audio": answer_of(output=[track_of(audio_url=None, error={"message": HOSTILE})]),
    "failed": answer_of(status="failed", error={"message": HOSTILE, "reason": HOSTILE, "native_code": HOSTILE, "suggestion": {"prompt": HOSTILE}, "may_have_cost": True}),
    "refused": (400, {"error": "validation_error", "description": HOSTILE, "reason": HOSTILE}),
    "refused by field": (400, {"error": "validation_error", "details": [{"path": [HOSTILE, 0], "message": HOSTILE}, 7]}),
    "lost": (502, {"error": "upstream_error", "description": HOSTILE, "music_id": HOSTILE}),
    "key": (401, {"error": "unauthorised", "description": f"no such key {KEY} {HOSTILE}"}),
    "a string": HOSTILE,
    "tracks that are none": answer_of(output=[7, HOSTILE]),
    "a track of no index": answer_of(output=[track_of(index="../../escaped")]),
    "a link that is none": answer_of(output=[track_of(audio_url="http://[::1/\x1b")]),
    "a link elsewhere": answer_of(output=[track_of(audio_url="file:///etc/passwd")]),
}  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("served", SERVED)
async def test_a_hostile_server(
    tmp_path: Path, served: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    routes = (("GET", "/a.mp3", AUDIO), ("POST", "/", SERVED[served]), ("GET", "/", SERVED[served]))
    async with answering(*routes) as origin:
        env = {"MUSICGATE_URL": origin, "MUSICGATE_API_KEY": f"{KEY}\n"}
        for words in (
            ["generate", "Hello", "--timeout", "1"],
            ["fetch", "music_1", "--timeout", "1", "--json"],
            ["cancel", "music_1"],
            ["cancel", "music_1", "--json"],
        ):
            done = await invoked(tmp_path, *words, encoding=encoding, env=env)
            assert_harmless(done.out, encoding)
            assert_harmless(done.err, encoding)
            assert KEY.encode() not in done.out + done.err
            assert b"Traceback" not in done.err
            assert b"musicgate broke" not in done.err
            if done.code == 0 and "--json" in words:
                assert json.loads(done.out.decode(encoding))["provider_plugin"] == HOSTILE
    outside = {path.name for path in tmp_path.parent.iterdir()} - {tmp_path.name}
    assert not any("escaped" in name for name in outside)


@pytest.mark.parametrize(
    ("env", "code", "words"),
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
async def test_a_key_or_address_that_cannot_be_one_is_named_and_not_shown(
    tmp_path: Path, env: dict[str, str], code: int, words: bytes
) -> None:
    done = await musicgate_in(tmp_path, "generate", "x", env={"MUSICGATE_URL": "http://127.0.0.1:1", **env})
    assert (done.code, words in done.err) == (code, True)
    assert b"not-real" not in done.err


async def test_an_answer_without_an_end_is_given_up(tmp_path: Path) -> None:
    async with answering(("POST", "/", b"[" * 17_000_000)) as origin:
        done = await musicgate_in(tmp_path, "generate", "x", "--url", origin)
    assert (done.code, b"an answer that is too large" in done.err) == (1, True)
    async with answering(("POST", "/", b"[" * 100_000)) as origin:
        done = await musicgate_in(tmp_path, "generate", "x", "--url", origin)
    assert (done.code, b"without JSON" in done.err) == (1, True)


# ------------------------------------------------------------------------------------------- of this machine's lists


async def leave_job(folder: Path) -> None:
    now = datetime.now(UTC)
    job = Job(
        id=f"music_{HOSTILE}",
        account="local",
        generation_id="G-1",
        request=MusicRequest(model=HOSTILE, prompt=HOSTILE),
        state=JobState.QUEUED,
        created_at=now,
        updated_at=now,
        deadline_at=now + timedelta(hours=1),
        callback_token="token",
    )
    async with SqliteJobStore.open(folder / "musicgate.db") as store:
        await store.add(job, [])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
async def test_lists_of_jobs_and_plans(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    await leave_job(tmp_path / "data")
    env = {"KIE_API_KEY": KEY}
    text = HOSTILE + EMOJI
    for words in (
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
        done = await invoked(tmp_path, *words, encoding=encoding, env=env)
        assert_harmless(done.out, encoding)
        assert_harmless(done.err, encoding)
    for words in (["jobs", "--json"], ["plan", text, "--json"], ["models", "--json"], ["schema", "request"]):
        done = await invoked(tmp_path, *words, encoding=encoding, env=env)
        assert_harmless(done.out, encoding)
        json.loads(done.out.decode(encoding))


def test_a_request_file_with_hostile_names(tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps({"model": "suno/v5", "prompt": 7, HOSTILE: 1, "suno": {HOSTILE: 1}}))
    for words in (
        ["validate", str(file)],
        ["validate", str(file), "--strict"],
        ["plan", "--request", str(file)],
    ):
        done = CliRunner().invoke(cli, words)
        assert done.exit_code in {2, 3}
        assert_harmless(done.output_bytes)
    done = CliRunner().invoke(cli, ["validate", str(file), "--json"])
    assert_harmless(done.stdout_bytes)


def test_a_plugin_with_a_hostile_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from musicgate import hosting
    from musicgate.hosting import discovery

    class Hostile:
        """Says more than it should when it is loaded."""

        HOOK_API = HOSTILE

    load = discovery.load_plugins
    monkeypatch.setattr(hosting, "load_plugins", lambda: load({"hostile": Hostile()}))
    for words in (["plugins"], ["plugins", "--json"]):
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 1
        assert_harmless(done.output_bytes)
