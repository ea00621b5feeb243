"""The examples do what they say, as a reader would run them."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from musicgate.audio import AudioKind, sniff
from musicgate.gateway import Gateway
from musicgate.plugins import load_plugins
from musicgate.settings import Settings
from musicgate.testing.sandbox import sandbox
from musicgate.web.serve import serve

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_every_example_is_run_by_a_test() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_file()) == ["curl.sh", "ten_lines.py"]


def test_ten_lines_make_a_song(tmp_path: Path) -> None:
    run = subprocess.run(  # noqa: S603 - our own example
        [sys.executable, EXAMPLES / "ten_lines.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert len(run.stdout.splitlines()) == 2
    assert sniff((tmp_path / "ten_lines.mp3").read_bytes()) is AudioKind.MP3


def test_the_core_of_ten_lines_is_about_ten_lines() -> None:
    lines = (EXAMPLES / "ten_lines.py").read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("async def main"))
    body = [line for line in lines[start:] if line.strip() and '"""' not in line]
    assert len(body) <= 10


async def test_curl_creates_polls_and_downloads(tmp_path: Path) -> None:
    host = load_plugins()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    async with (
        sandbox(Settings(), host, speed=50.0, public_url=url) as settings,
        Gateway.open(settings, plugins=host) as gateway,
        serve(gateway, "127.0.0.1", port),
    ):
        curl = await asyncio.create_subprocess_exec(
            "sh",
            str(EXAMPLES / "curl.sh"),
            "Slow tango",
            "tango.mp3",
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "MUSICGATE_URL": url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(curl.communicate(), 40)
    lines = out.decode().splitlines()
    assert (curl.returncode, err.decode()) == (0, "")
    assert lines[0].startswith("job music_")
    assert lines[-2:] == ["completed", "tango.mp3"]
    assert sniff((tmp_path / "tango.mp3").read_bytes()) is AudioKind.MP3


pytestmark = pytest.mark.timeout(60)
