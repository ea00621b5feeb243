"""The examples work as a reader would run them."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from musicgate.assets.audio import AudioKind, sniff
from musicgate.emulation.sandbox import sandbox
from musicgate.gateway import Gateway
from musicgate.hosting import load_plugins
from musicgate.model import Secret, Timeouts
from musicgate.plugin import HttpRequest
from musicgate.settings import Settings, WebhookSettings
from musicgate.web.serve import serve

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_every_example_is_run_by_a_test() -> None:
    # `test_deployment` reads the files for containers.
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".sh"}) == [
        "curl.sh",
        "ten_lines.py",
        "webhook_receiver.py",
    ]


def test_ten_lines_makes_a_song(tmp_path: Path) -> None:
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


def test_ten_lines_has_ten_lines() -> None:
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


async def test_receiver_handles_a_repeated_webhook_once(tmp_path: Path) -> None:
    secret = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    receiver = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / "webhook_receiver.py"), str(port)),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _listening(port)
        host = load_plugins()
        given = Settings(webhooks=WebhookSettings(url=f"http://127.0.0.1:{port}/", secret=Secret(secret)))
        async with (
            sandbox(given, host, speed=50.0) as settings,
            Gateway.open(settings, plugins=host) as gateway,
        ):
            job = await gateway.generate("Slow tango", model="suno/v4.5plus")
            assert receiver.stdout is not None
            line = (await asyncio.wait_for(receiver.stdout.readline(), 20)).decode().split()
            (entry,) = await gateway.webhooks.log(job)
            await gateway.webhooks.replay(job, entry.id)
            async with asyncio.timeout(20):
                while (entry := (await gateway.webhooks.log(job))[0]).attempts < 2:  # noqa: ASYNC110 - only the log shows it
                    await asyncio.sleep(0.01)
            forged = HttpRequest(method="POST", url=f"http://127.0.0.1:{port}/", body=b"{}")
            refused = await gateway._context.transport.send(
                forged, timeouts=Timeouts(), read_timeout_s=5.0, max_body_bytes=1000
            )
            assert refused.status == 401
    finally:
        receiver.terminate()
        rest, _ = await receiver.communicate()
    assert line[:2] == ["music.completed", job.id]
    assert len(line[2:]) == len(job.tracks) == 2
    assert [tried.http_status for tried in entry.tries] == [204, 204]
    assert rest == b""


async def _listening(port: int) -> None:
    """Wait until a server listens on a port."""
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


pytestmark = pytest.mark.timeout(60)
