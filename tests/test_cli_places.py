"""Files of the command line: long names, read-only folders, users without a home."""

import asyncio
import codecs
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from musicgate.assets.audio import AudioKind, extension
from musicgate.cli.files import find_target, write
from musicgate.cli.request_fields import build_body
from musicgate.emulation.tones import AudioFormat, song
from tests.command_line import Done

#: A user id without an account.
UNKNOWN_USER = "54321"
LONGEST_ENDING = max(len(extension(kind)) for kind in AudioKind)
#: Bytes of a file name on the file systems of Linux and macOS.
NAME_MAX = 255
ROOM = len("-999") + LONGEST_ENDING


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "kept"
    path.write_bytes(song(AudioFormat(), 6.0, seed=1))
    return path


# --- names ---


@pytest.mark.parametrize("letter", ["a", "\xe9", "\U0001f3b5"])
@pytest.mark.parametrize("size", [1, 100, 240, 245, 246, 247, 248, 250, 251, 255, 256, 300, 5000])
@pytest.mark.parametrize("ending", ["", ".mp3"])
def test_a_name_that_does_not_fit_is_refused_before_anything_is_paid(
    tmp_path: Path, audio: Path, letter: str, size: int, ending: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    stem = letter * (size // len(letter.encode())) or letter
    fits = len(stem.encode()) + ROOM <= NAME_MAX
    try:
        target = find_target(f"{folder}/{stem}{ending}", force=False)
    except click.UsageError as error:
        assert not fits
        assert "too long" in error.message
        assert list(folder.iterdir()) == []
        return
    assert fits
    names = [write(audio, target, position).name for position in (0, 1, 1, 998)]
    assert names == [f"{stem}.mp3", f"{stem}-2.mp3", f"{stem}-3.mp3", f"{stem}-999.mp3"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


async def test_a_name_that_is_too_long_calls_no_vendor(tmp_path: Path) -> None:
    command = ("generate", "x", "--sandbox", "-o", "a" * 250 + ".mp3")
    done = await musicgate(tmp_path, *command, env={"MUSICGATE_DATA_DIR": str(tmp_path / "data")})
    assert (done.code, b"the name is too long for this folder: 250 bytes" in done.err) == (2, True)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - a moment


async def test_the_longest_name_fits_both_tracks(tmp_path: Path) -> None:
    stem = "a" * (NAME_MAX - ROOM)
    env = {"MUSICGATE_DATA_DIR": str(tmp_path / "data"), "MUSICGATE_FOLLOW__SPEED": "100"}
    done = await musicgate(tmp_path, "generate", "x", "--sandbox", "-o", f"{stem}.mp3", env=env)
    found = sorted(name for name in os.listdir(tmp_path) if name != "data")  # noqa: PTH208 - a moment
    assert (done.code, found) == (0, [f"{stem}-2.mp3", f"{stem}.mp3"])


def test_a_name_that_a_folder_has_is_skipped(tmp_path: Path, audio: Path) -> None:
    folder = tmp_path / "out"
    (folder / "song.mp3").mkdir(parents=True)
    for force in (False, True):
        target = find_target(f"{folder}/song", force=force)
        assert write(audio, target, 0).name == "song-2.mp3"
        (folder / "song-2.mp3").unlink()
    assert find_target(str(folder), force=False).folder == folder


@pytest.mark.parametrize(
    "output", ["gone/song.mp3", "kept/song.mp3", f"{'d' * 300}/song.mp3", f"{'x/' * 3000}s"]
)
def test_a_missing_folder_is_refused(tmp_path: Path, audio: Path, output: str) -> None:
    with pytest.raises(click.UsageError, match="there is no folder"):
        find_target(f"{tmp_path}/{output}", force=False)


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(click.UsageError, match="the folder /proc cannot be written"):
        find_target("/proc/song.mp3", force=False)


def test_the_check_of_the_folder_leaves_no_file_and_changes_none(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"mine")
    find_target(f"{tmp_path}/song.mp3", force=True)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("song.mp3", b"mine")]


# --- byte order marks ---


def body_of(**given: Any) -> dict[str, Any]:
    names = ("prompt", "model", "lyrics", "style", "title", "negative_style", "instrumental", "vocal_gender")
    missing = dict.fromkeys((*names, "seed", "duration", "format", "request_file"))
    return build_body({**missing, "only": (), "options": (), **given})


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    lyrics, request = tmp_path / "lyrics.txt", tmp_path / "r.json"
    lyrics.write_bytes(codecs.BOM_UTF8 + "l\xe0 la\n".encode())
    request.write_bytes(codecs.BOM_UTF8 + b'{"prompt": "rain"}')
    body = body_of(lyrics=f"@{lyrics}", request_file=str(request))
    assert (body["lyrics"], body["prompt"]) == ("l\xe0 la\n", "rain")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_other_encodings_are_refused_by_name(tmp_path: Path, encoding: str) -> None:
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    file = tmp_path / "x"
    file.write_bytes(mark + '{"prompt": "rain"}'.encode(encoding))
    for given in ({"lyrics": f"@{file}"}, {"request_file": str(file)}):
        with pytest.raises(click.UsageError, match=r"UTF-(16|32) text; save it as UTF-8"):
            body_of(**given)


async def test_a_request_on_standard_input_is_utf_8_whatever_the_terminal_is(tmp_path: Path) -> None:
    data = codecs.BOM_UTF8 + '{"model": "suno/v5", "prompt": "l\xe0 \U0001f3b5"}'.encode()
    env = {
        "PYTHONIOENCODING": "cp1252",
        "MUSICGATE_DATA_DIR": str(tmp_path),
        "KIE_API_KEY": "test-key-not-real",
    }
    done = await musicgate(tmp_path, "plan", "--request", "-", "--json", env=env, stdin=data)
    assert done.code == 0
    assert b"l\\u00e0 \\ud83c\\udfb5" in done.out


# --- users without a home ---


async def musicgate(
    folder: Path, *arguments: str, env: dict[str, str], stdin: bytes = b"", prefix: tuple[str, ...] = ()
) -> Done:
    """Run the command line with this environment only; ``prefix`` is a command that changes the user."""
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-m", "musicgate", *arguments),
        cwd=folder,
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), 40)
    return Done(process.returncode, out, err)


#: Runs each command of a JSON array in a forked process of its own: all that is slow is loaded once.
_SCRIPT = """
import json, os, sys
from click.testing import CliRunner
from musicgate.cli import PROGRAM, cli
import musicgate.cli.local, musicgate.cli.serve  # the slowest to load

for arguments in json.loads(sys.argv[1]):
    sys.stdout.flush()
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    done = CliRunner().invoke(cli, arguments, prog_name=PROGRAM)
    print(json.dumps([done.exit_code, done.stdout, done.stderr]), flush=True)
    os._exit(0)
"""


async def each_of(
    commands: list[list[str]], folder: Path, *, env: dict[str, str], prefix: tuple[str, ...]
) -> AsyncIterator[tuple[list[str], Done]]:
    """Run commands one after the other with this environment only, as another user."""
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-c", _SCRIPT, json.dumps(commands)),
        cwd=folder,
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), **env},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 40)
    for command, line in zip(commands, out.splitlines(), strict=True):
        code, shown, err = json.loads(line)
        yield command, Done(code, shown.encode(), err.encode())


@pytest.fixture(scope="session")
def as_unknown_user() -> tuple[str, ...]:
    """Command prefix that runs as a user without an account."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("only root can become a user that does not exist")
    prefix = (setpriv, "--reuid", UNKNOWN_USER, "--regid", UNKNOWN_USER, "--clear-groups")
    tried = subprocess.run(  # noqa: S603 - our own interpreter
        [*prefix, sys.executable, "-c", "import musicgate, os; assert os.geteuid()"],
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        check=False,
    )
    if tried.returncode != 0:
        pytest.skip("another user cannot reach this interpreter")
    return prefix


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may write."""
    with tempfile.TemporaryDirectory(prefix="musicgate-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


NEEDS_FOLDER = [
    ["jobs"],
    ["serve", "--port", "0"],
    ["fetch", "music_1"],
    ["cancel", "music_1"],
    ["generate", "x"],
]
NEEDS_NONE = [
    ["providers"],
    ["models"],
    ["plugins"],
    ["version"],
    ["schema", "request"],
    ["plan", "x"],
    ["generate", "x", "--sandbox"],
]


async def test_a_user_without_a_home_must_set_the_data_folder(
    shared: Path, as_unknown_user: tuple[str, ...]
) -> None:
    env = {"KIE_API_KEY": "test-key-not-real"}
    async for command, done in each_of(NEEDS_FOLDER, shared, env=env, prefix=as_unknown_user):
        assert (command, done.code, b"MUSICGATE_DATA_DIR: is not set" in done.err) == (command, 3, True)
        assert b"internal error" not in done.err


async def test_a_home_that_cannot_be_written_names_the_same_variable(
    shared: Path, as_unknown_user: tuple[str, ...]
) -> None:
    env = {"KIE_API_KEY": "test-key-not-real", "HOME": "/"}
    async for command, done in each_of(NEEDS_FOLDER, shared, env=env, prefix=as_unknown_user):
        assert (command, done.code, b"MUSICGATE_DATA_DIR" in done.err) == (command, 3, True)
        assert b"Permission denied" in done.err


async def test_commands_that_store_nothing_need_no_home(
    shared: Path, as_unknown_user: tuple[str, ...]
) -> None:
    env = {"KIE_API_KEY": "test-key-not-real", "MUSICGATE_FOLLOW__SPEED": "100"}
    async for command, done in each_of(NEEDS_NONE, shared, env=env, prefix=as_unknown_user):
        assert (command, done.code, done.out != b"") == (command, 0, True), done.err


async def test_with_a_data_folder_no_home_is_needed(shared: Path, as_unknown_user: tuple[str, ...]) -> None:
    env = {"MUSICGATE_DATA_DIR": str(shared / "data"), "MUSICGATE_FOLLOW__SPEED": "100"}
    listed = await musicgate(shared, "jobs", env=env, prefix=as_unknown_user)
    assert (listed.code, b"no jobs here yet" in listed.err) == (0, True)
    made = await musicgate(shared, "generate", "x", "--sandbox", env=env, prefix=as_unknown_user)
    assert made.code == 0
    urls = {
        "MUSICGATE_STORE__URL": f"sqlite:///{shared}/jobs.db",
        "MUSICGATE_ASSETS__URL": f"file://{shared}/audio",
    }
    listed = await musicgate(shared, "jobs", env=urls, prefix=as_unknown_user)
    assert (listed.code, b"no jobs here yet" in listed.err) == (0, True)


async def test_a_server_runs_without_a_home(shared: Path, as_unknown_user: tuple[str, ...]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(*as_unknown_user, sys.executable, "-m", "musicgate", "serve", "--port", "0"),
        cwd=shared,
        env={"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "MUSICGATE_DATA_DIR": str(shared / "data")},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    process.terminate()
    await asyncio.wait_for(process.communicate(), 20)
    assert (line.startswith(b"musicgate listens on http://127.0.0.1:"), process.returncode) == (True, 0)
