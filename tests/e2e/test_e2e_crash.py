"""``kill -9``: after a restart every job continues or ends as lost, and no vendor is paid twice.

The server is a process of its own (``python -m musicgate serve``); the emulators run in the test and
survive it. `tests.crash` does the same at random moments.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from musicgate.emulation.mount import mounted
from musicgate.plugin.emulator import EmulatorOptions
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, PLUGINS, RecordingVendor, song
from tests.free_port import free_port

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost

SPEED = 30.0


class ServerProcess:
    """The server's process and a client for it; it may be killed and started again."""

    def __init__(self, folder: Path, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._folder = folder
        self._session = session
        self._process: Process | None = None

    async def start(self) -> None:
        """Start, and wait until the server is ready."""
        with (self._folder / "log.txt").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "musicgate", "serve", "--config", str(self._folder / "gate.toml")),
                stdout=log,
                stderr=log,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(self._folder)},
                cwd=self._folder,
            )
        async with asyncio.timeout(20):
            while not await self._is_ready():
                assert self._process.returncode is None, (self._folder / "log.txt").read_text()
                await asyncio.sleep(0.03)

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of one request."""
        headers["Authorization"] = f"Bearer {ACCOUNT_KEY}"
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, self.url + path, data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    async def create(self, request: dict[str, object], **headers: str) -> str:
        """The id of a new job."""
        status, job = await self.call("POST", JOBS, request, **headers)
        assert status == 200, job
        return str(job["id"])

    async def job(self, music_id: str) -> dict[str, Any]:
        status, job = await self.call("GET", f"{JOBS}/{music_id}")
        assert status == 200, job
        return dict(job)

    async def finish(self, music_id: str) -> dict[str, Any]:
        """Poll until the job is final."""
        async with asyncio.timeout(20):
            while True:
                job = await self.job(music_id)
                if job["status"] in {"completed", "failed"}:
                    return job
                await asyncio.sleep(0.05)

    async def audio(self, job: dict[str, Any]) -> bytes:
        """The first track."""
        async with self._session.get(job["output"][0]["audio_url"]) as answer:
            assert answer.status == 200
            return await answer.read()

    async def _is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def server_process(
    folder: Path, plugins: PluginHost
) -> AsyncIterator[tuple[ServerProcess, dict[str, RecordingVendor]]]:
    """The vendors, and a server that is not started yet."""
    async with AsyncExitStack() as stack:
        url = f"http://127.0.0.1:{free_port()}"
        vendors, tables = {}, []
        for name in PLUGINS:
            switches = {"rate": "off"} if name == "suno_kie" else {}
            emulator = plugins.providers[name].emulator(EmulatorOptions(speed=SPEED, switches=switches))
            vendors[name] = RecordingVendor(emulator)
            origin = await stack.enter_async_context(mounted(vendors[name]))
            tables.append(f'[providers.{name}]\napi_key = "test-key-not-real"\nbase_url = "{origin}"')
        settings = [
            f'[server]\nport = {url.rpartition(":")[2]}\npublic_url = "{url}"\ncreate_wait_s = 0.05',
            f'[store]\nurl = "sqlite:///{folder}/jobs.db"',
            f'[assets]\nurl = "{(folder / "audio").as_uri()}"',
            "[network]\nallow_private_addresses = true",
            f"[follow]\nspeed = {SPEED}",
            f'[[accounts]]\nname = "test"\nkey = "{ACCOUNT_KEY}"',
            *tables,
        ]
        (folder / "gate.toml").write_text("\n".join(settings))
        process = ServerProcess(folder, url, await stack.enter_async_context(aiohttp.ClientSession()))
        stack.push_async_callback(process.kill)
        yield process, vendors


async def test_after_a_kill_every_job_continues_or_is_reported_as_lost(
    tmp_path: Path, plugins: PluginHost
) -> None:
    async with server_process(tmp_path, plugins) as (server, vendors):
        await server.start()
        done = await server.finish(await server.create(song("minimax", "done_s=1 song_s=3")))
        kept = await server.audio(done)
        settling = await server.create(
            song(switches="done_s=3 skip=text,first song_s=3,3 media=503:6 shape=doc")
        )
        polled = [
            await server.create(song(switches="song_s=3,3 callbacks=off")),
            await server.create(song("apiin_one", "song_s=3")),
        ]
        in_flight = [
            await server.create(song("elevenlabs", "done_s=90", title="one")),
            await server.create(song("elevenlabs", "done_s=90", title="two")),
            await server.create(song("minimax", "done_s=90")),
        ]
        planned = await server.create(song("elevenlabs", "done_s=3 song_s=3 concurrent=9"))
        cut_off = {**song(), "prompt": "rain [hold] [emulate song_s=3,3]"}
        held = asyncio.create_task(server.create(cut_off, **{"Idempotency-Key": "held"}))
        await asyncio.sleep(0.3)
        before = {
            music_id: await server.job(music_id) for music_id in (settling, *polled, *in_flight, planned)
        }
        await server.kill()
        with pytest.raises(aiohttp.ClientError):
            await held
        creates = {name: made for name, vendor in vendors.items() if (made := len(vendor.books.creates))}
        assert creates == {"suno_kie": 3, "apiin_one": 1, "elevenlabs": 2, "minimax": 2}
        assert {job["status"] for job in before.values()} == {"in_progress", "queued"}
        assert before[settling]["native_status"] == "SUCCESS"
        assert before[planned]["attempts"][0]["outcome"] == "planned"

        await server.start()
        jobs = {music_id: await server.finish(music_id) for music_id in before}
        for music_id in (settling, *polled, planned):
            assert jobs[music_id]["status"] == "completed", jobs[music_id]
            assert len(await server.audio(jobs[music_id])) > 10_000
        for music_id in in_flight:
            assert jobs[music_id]["status"] == "failed"
            assert jobs[music_id]["error"]["reason"] == "unknown_outcome"
            assert jobs[music_id]["error"]["may_have_cost"] is True
        again = await server.job(done["id"])
        assert again == done
        assert await server.audio(again) == kept
        # The answer to the held call was lost, its song was made: the callback adopts it, its key finds it.
        adopted = await server.finish(await server.create(cut_off, **{"Idempotency-Key": "held"}))
        assert adopted["status"] == "completed"
        assert adopted["nativeResponseId"] == vendors["suno_kie"].books.creates[-1]
        # One create more than before, for the job that had only been planned.
        made_by = {name: len(vendors[name].books.creates) for name in creates}
        assert made_by == {**creates, "elevenlabs": 3}
