"""A server process that can be killed, and emulators and a webhook receiver that survive it.

Vendors and receiver run in the harness's own process. Every request that reaches them is a moment at which
the server can be killed or disturbed: before the vendor acts, or after it has acted and before its answer
leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import attrs
from aiohttp import web

from musicgate.emulation.mount import mounted
from musicgate.plugin.emulator import EmulatorOptions
from tests.crash.faults import NONSENSE, install_broken_hooks
from tests.free_port import free_port

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost
    from musicgate.plugin.emulator import EmulatedAnswer, EmulatedCallback, Emulator
    from musicgate.plugin.wire import HttpRequest

KEY = "test-key-not-real"
WEBHOOK_SECRET = "whsec_dGVzdC1zZWNyZXQtbm90LXJlYWwtMTIzNA=="
SPEED = 30.0
#: Longer than any song takes here, so that an expired job is a finding.
DEADLINE_S = 45.0
VENDORS = ("suno_kie", "apiin_one", "elevenlabs", "minimax")
#: No rate limits and plenty of credits: they are tested elsewhere, and would slow or end the campaign.
_SWITCHES = {
    "suno_kie": {"rate": "off", "callbacks": "double", "credits": "1000000"},
    "apiin_one": {"credits": "1000000"},
}
_MARK = re.compile(rb"request-(\d+)-")


class Trigger:
    """Kills or disturbs the server when an armed moment comes."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.done = asyncio.Event()
        self._moment: str | None = None
        self._delay_s = 0.0
        self._act: Callable[[], None] = self.kill

    def arm(self, moment: str, delay_s: float, act: Callable[[], None] | None = None) -> None:
        """Act at the next moment of that name, after a delay. ``act``: None = kill."""
        self.done.clear()
        self._moment, self._delay_s, self._act = moment, delay_s, act or self.kill

    def reached(self, moment: str) -> None:
        """Report a moment; act if it is the armed one."""
        if moment == self._moment:
            self._moment = None
            if self._delay_s:
                asyncio.get_running_loop().call_later(self._delay_s, self.act)
            else:
                self.act()

    def act(self) -> None:
        """Act now."""
        self._moment = None
        self._act()
        self.done.set()

    def kill(self) -> None:
        """``kill -9`` now."""
        self._moment = None
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            self.pid = None


class WatchedVendor:
    """An emulator that reports its calls to a trigger and records the request of each task."""

    def __init__(
        self,
        name: str,
        emulator: Emulator,
        trigger: Trigger,
        is_create: Callable[[HttpRequest], bool],
    ) -> None:
        self.name = name
        self.books = emulator.books
        #: Seconds that each poll waits for its answer; 0 = as the emulator says.
        self.hold_polls_s = 0.0
        #: How many of the next answers to creates and polls are nonsense.
        self.nonsense_left = 0
        self.nonsense_sent = 0
        #: Task ids by the number of the request that they were made for.
        self.made_for: defaultdict[int, list[str]] = defaultdict(list)
        self._emulator = emulator
        self._trigger = trigger
        self._is_create = is_create

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        kind = self._kind(request)
        self._trigger.reached(f"{kind} asked")
        before = len(self.books.creates)
        answer = self._emulator.answer(request, now)
        mark = _MARK.search(request.body)
        if mark:
            self.made_for[int(mark[1])] += self.books.creates[before:]
        self._trigger.reached(f"{kind} done")
        if self.nonsense_left and kind != "media":
            self.nonsense_left -= 1
            self.nonsense_sent += 1
            return attrs.evolve(answer, response=NONSENSE[self.nonsense_sent % len(NONSENSE)])
        if self.hold_polls_s and kind == "poll":
            return attrs.evolve(answer, delay_s=self.hold_polls_s)
        return answer

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        due = self._emulator.due_callbacks(now)
        if due:
            self._trigger.reached("callback")
        return due

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        self._emulator.callback_answered(callback_id, status, now)

    def _kind(self, request: HttpRequest) -> str:
        if self._is_create(request):
            return "create"
        return "poll" if "/api/" in request.url else "media"


class Receiver:
    """A webhook receiver that counts how often each message arrives, and for which job."""

    def __init__(self, trigger: Trigger) -> None:
        self.messages: Counter[str] = Counter()
        self.jobs: defaultdict[str, set[str]] = defaultdict(set)
        self.delay_s = 0.0
        self._trigger = trigger

    async def handle(self, request: web.Request) -> web.Response:
        """Receive a message."""
        self._trigger.reached("webhook asked")
        body = json.loads(await request.read())
        message_id = request.headers["webhook-id"]
        self.messages[message_id] += 1
        self.jobs[str(body["data"]["id"])].add(message_id)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self._trigger.reached("webhook done")
        return web.Response(status=204)


class Harness:
    """Vendors, receiver, and the server's process."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession, trigger: Trigger) -> None:
        self.folder = folder
        self.database = folder / "jobs.db"
        self.trigger = trigger
        self.receiver = Receiver(trigger)
        self.vendors: dict[str, WatchedVendor] = {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.session = session
        self.process: Process | None = None
        #: Steady time at which the running server became ready; None while there is none.
        self.up_since: float | None = None

    async def start(self) -> None:
        """Start the server, and wait until it is ready."""
        with (self.folder / "log.txt").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "musicgate", "serve", "--config", str(self.folder / "gate.toml")),
                stdout=log,
                stderr=log,
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "HOME": str(self.folder),
                    "PYTHONPATH": self._path(),
                },
                cwd=self.folder,
            )
        self.trigger.pid = self.process.pid
        async with asyncio.timeout(45):
            while not await self.is_ready():
                if self.process.returncode is not None:
                    message = f"the server ended by itself ({self.process.returncode}): {self.log_tail()}"
                    raise AssertionError(message)
                await asyncio.sleep(0.02)
        self.up_since = time.monotonic()

    def _path(self) -> str:
        """``PYTHONPATH`` of the server: the plugin that breaks hooks, and this tree."""
        own = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
        return os.pathsep.join([str(self.folder / "site"), *own])

    async def gone(self) -> None:
        """Wait until the killed process has ended."""
        self.up_since = None
        if self.process is not None:
            await self.process.wait()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the server to stop; its exit code."""
        assert self.process is not None
        self.trigger.pid = self.up_since = None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    async def is_ready(self) -> bool:
        """True if ``/readyz`` answers 200."""
        return await self.readiness() is not None

    async def readiness(self) -> dict[str, object] | None:
        """The answer of ``/readyz``; None unless it is 200."""
        try:
            async with self.session.get(f"{self.url}/readyz") as answer:
                return dict(await answer.json()) if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def post(self, request: dict[str, object], key: str | None) -> tuple[int, dict[str, object]]:
        """Make a create call."""
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = f'"{key}"'
        async with self.session.post(
            f"{self.url}/v1/music/generate", json=request, headers=headers
        ) as answer:
            return answer.status, await answer.json()

    async def cancel(self, job_id: str) -> tuple[int, dict[str, object]]:
        """Cancel a job."""
        headers = {"Authorization": f"Bearer {KEY}"}
        url = f"{self.url}/v1/music/generate/{job_id}/cancel"
        async with self.session.post(url, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> tuple[int, bytes]:
        """Make a GET call."""
        async with self.session.get(
            f"{self.url}{path}", headers={"Authorization": f"Bearer {KEY}"}
        ) as answer:
            return answer.status, await answer.read()

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        return "\n".join((self.folder / "log.txt").read_text("utf-8", "replace").splitlines()[-20:])


def _is_create(name: str) -> Callable[[HttpRequest], bool]:
    path = {
        "suno_kie": "/api/v1/generate",
        "apiin_one": "/api/v1/audio/music",
        "elevenlabs": "/v1/music",
        "minimax": "/v1/music_generation",
    }[name]
    return lambda request: request.method == "POST" and path in request.url


@asynccontextmanager
async def make_harness(
    folder: Path, plugins: PluginHost, *, speed: float = SPEED, **server: object
) -> AsyncIterator[Harness]:
    """A harness whose server is not started yet; a server that runs at the end is killed.

    Args:
        speed: of the gateway; emulators always run at `SPEED`.
        server: settings of the section of that name.
    """
    trigger = Trigger()
    async with AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=30)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        harness = Harness(folder, session, trigger)
        tables = []
        for name in VENDORS:
            options = EmulatorOptions(speed=SPEED, switches=_SWITCHES.get(name, {}))
            emulator = plugins.providers[name].emulator(options)
            harness.vendors[name] = WatchedVendor(name, emulator, trigger, _is_create(name))
            origin = await stack.enter_async_context(mounted(harness.vendors[name]))
            tables.append(f'[providers.{name}]\napi_key = "{KEY}"\nbase_url = "{origin}"')
        receiver = web.Application()
        receiver.router.add_post("/hook", harness.receiver.handle)
        runner = web.AppRunner(receiver, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        settings = {"port": harness.port, "public_url": harness.url, "create_wait_s": 0.2, **server}
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
        (folder / "gate.toml").write_text(
            "\n".join(
                [
                    f"[server]\n{lines}",
                    f'[store]\nurl = "sqlite:///{harness.database}"',
                    f'[assets]\nurl = "{(folder / "audio").as_uri()}"',
                    "[network]\nallow_private_addresses = true",
                    f"[follow]\nspeed = {speed}\ndeadline_s = {DEADLINE_S}",
                    f'[[accounts]]\nname = "test"\nkey = "{KEY}"\nwebhook_url = "{hook}"\nwebhook_secret = "{WEBHOOK_SECRET}"',
                    *tables,
                ]
            ),
            "utf-8",
        )
        install_broken_hooks(folder / "site")
        stack.callback(trigger.kill)
        yield harness
