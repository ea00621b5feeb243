"""An installation that is killed and disturbed: its servers, and what is around them.

There is one server on SQLite, or any number of them on one PostgreSQL. Vendors, receiver and balancer run in
the harness's own process, and outlive the servers (`outside`).
"""

from __future__ import annotations

import json
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from musicgate.emulation.mount import mounted
from musicgate.plugin.emulator import EmulatorOptions
from tests.crash.balancer import Balancer
from tests.crash.books import Books
from tests.crash.faults import install_broken_hooks
from tests.crash.outside import KEY, Receiver, Trigger, WatchedVendor
from tests.crash.server import Server

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost
    from musicgate.plugin.wire import HttpRequest
    from tests.postgres_servers import Postgres

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


class Harness:
    """Vendors, receiver, and the servers of an installation."""

    def __init__(
        self,
        folder: Path,
        session: aiohttp.ClientSession,
        trigger: Trigger,
        *,
        postgres: Postgres | None = None,
        replicas: int = 1,
    ) -> None:
        self.folder = folder
        self.database = folder / "jobs.db"
        self.postgres = postgres
        self.trigger = trigger
        self.receiver = Receiver(trigger)
        self.vendors: dict[str, WatchedVendor] = {}
        self.session = session
        self.books = Books.of_sqlite(self.database) if postgres is None else Books.of_postgres(postgres.url)
        names = [""] if replicas == 1 else [f"r{number}" for number in range(1, replicas + 1)]
        self.servers = [Server(folder, session, name, _keys(name)) for name in names]
        self.balancer = Balancer(session, lambda: [server for server in self.servers if server.is_up])

    @property
    def server(self) -> Server:
        """The first server, or the only one."""
        return self.servers[0]

    @property
    def process(self) -> Process | None:
        """The process of the only server."""
        return self.server.process

    @property
    def port(self) -> int:
        """The port of the only server."""
        return self.server.port

    @property
    def up_since(self) -> float | None:
        """Steady time since when there was a server at any moment; None while there is none."""
        lives = sorted(
            (
                (life.ready_s, min(life.ended_s, life.asked_s))
                for server in self.servers
                for life in server.lives
            ),
        )
        since, until = None, 0.0
        for ready_s, ended_s in lives:
            if since is None or ready_s > until:
                since = ready_s
            until = max(until, ended_s)
        return since if until > time.monotonic() > (since or 0.0) else None

    async def start(self) -> None:
        """Start every server that does not run, one after another."""
        for server in self.servers:
            if server.pid is None:
                await server.start()

    def kill(self, _: str = "") -> None:
        """``kill -9`` every server."""
        for server in self.servers:
            server.kill()

    async def gone(self) -> None:
        """Wait until every killed process has ended."""
        for server in self.servers:
            if server.pid is None:
                await server.gone()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the servers to stop, one after another; the greatest exit code."""
        return max([await server.stop(number) for server in self.servers])

    async def is_ready(self) -> bool:
        """True if ``/readyz`` answers 200."""
        return await self.readiness() is not None

    async def readiness(self) -> dict[str, object] | None:
        """The answer of ``/readyz`` of the first server; None unless it is 200."""
        return await self.server.readiness()

    async def post(
        self,
        request: dict[str, object],
        key: str | None,
        *,
        server: Server | None = None,
        account: str = "test",
        timeout_s: float = 30.0,
    ) -> tuple[int, dict[str, object]]:
        """Make a create call at a server."""
        headers = {"Authorization": f"Bearer {_key_of(account)}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = f'"{key}"'
        async with self.session.post(
            f"{(server or self.server).url}/v1/music/generate",
            json=request,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
        ) as answer:
            return answer.status, await answer.json()

    async def cancel(self, job_id: str) -> tuple[int, dict[str, object]]:
        """Cancel a job."""
        url = f"{self.server.url}/v1/music/generate/{job_id}/cancel"
        async with self.session.post(url, headers={"Authorization": f"Bearer {KEY}"}) as answer:
            return answer.status, await answer.json()

    async def get(
        self, path: str, *, server: Server | None = None, account: str = "test"
    ) -> tuple[int, bytes]:
        """Make a GET call at a server."""
        async with self.session.get(
            f"{(server or self.server).url}{path}", headers={"Authorization": f"Bearer {_key_of(account)}"}
        ) as answer:
            return answer.status, await answer.read()

    def log_tail(self) -> str:
        """The last lines of the servers' logs."""
        return "\n".join(server.log_tail() for server in self.servers)


def _key_of(account: str) -> str:
    """An account's key."""
    return KEY if account == "test" else f"{KEY}-{account}"


def _keys(server: str) -> dict[str, str]:
    """The variables with a server's key at every vendor."""
    key = f"{KEY}-{server}" if server else KEY
    return {f"MUSICGATE_PROVIDERS__{name.upper()}__API_KEY": key for name in VENDORS}


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
    folder: Path,
    plugins: PluginHost,
    *,
    speed: float = SPEED,
    postgres: Postgres | None = None,
    replicas: int = 1,
    accounts: Mapping[str, Mapping[str, object]] | None = None,
    providers: Mapping[str, Mapping[str, object]] | None = None,
    store: Mapping[str, object] | None = None,
    **server: object,
) -> AsyncIterator[Harness]:
    """A harness whose servers are not started yet; those that run at the end are killed.

    Args:
        speed: of the gateway; emulators always run at `SPEED`.
        postgres: the database; None = a SQLite file.
        replicas: how many servers there are.
        accounts: names and settings of accounts beside ``test``.
        providers: more settings of providers.
        store: more settings of the store.
        server: settings of the section of that name.
    """
    trigger = Trigger()
    async with AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=30)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        harness = Harness(folder, session, trigger, postgres=postgres, replicas=replicas)
        tables: list[str] = []
        for name in VENDORS:
            options = EmulatorOptions(speed=SPEED, switches=_SWITCHES.get(name, {}))
            emulator = plugins.providers[name].emulator(options)
            harness.vendors[name] = WatchedVendor(name, emulator, trigger, _is_create(name))
            origin = await stack.enter_async_context(mounted(harness.vendors[name]))
            tables += _table(f"[providers.{name}]", {"base_url": origin, **(providers or {}).get(name, {})})
        hook = await _serve(stack, "/hook", harness.receiver.handle)
        public_url = harness.server.url
        if replicas > 1:
            public_url = await _serve(stack, "", harness.balancer.handle)
        account = {"webhook_url": hook, "webhook_secret": WEBHOOK_SECRET}
        url = f"sqlite:///{harness.database}" if postgres is None else postgres.url
        lines = [
            *_table("[server]", {"public_url": public_url, "create_wait_s": 0.2, **server}),
            *_table("[store]", {"url": url, **(store or {})}),
            *_table("[assets]", {"url": (folder / "audio").as_uri()}),
            *_table("[network]", {"allow_private_addresses": True}),
            *_table("[follow]", {"speed": speed, "deadline_s": DEADLINE_S}),
        ]
        for name, settings in {"test": {}, **(accounts or {})}.items():
            lines += _table("[[accounts]]", {"name": name, "key": _key_of(name), **account, **settings})
        (folder / "gate.toml").write_text("\n".join([*lines, *tables]), "utf-8")
        install_broken_hooks(folder / "site")
        stack.callback(harness.kill)
        yield harness


def _table(title: str, settings: Mapping[str, object]) -> list[str]:
    """A table of TOML; its values look as in JSON."""
    return [title, *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]


async def _serve(
    stack: AsyncExitStack, path: str, handle: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> str:
    """Serve a path, or with an empty one all of them, until the stack ends; its address."""
    app = web.Application()
    app.router.add_route("*", path or "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}{path}"
