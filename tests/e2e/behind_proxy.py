"""Caddy with the Caddyfile of the examples, in front of replicas of musicgate, or of ones that fail."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import attrs

from musicgate.emulation.mount import mounted
from musicgate.hosting.discovery import PluginHost
from musicgate.plugin.emulator import Emulator, EmulatorOptions
from tests.free_port import free_port
from tests.waiting import until

CADDYFILE = Path(__file__).resolve().parents[2] / "examples/container/Caddyfile"
KEY = "test-key-not-real"
_LONGEST_START_S = 40.0
_SPEED = 100.0


@attrs.define
class Program:
    """A process without the environment of this machine."""

    command: Sequence[str]
    environ: Mapping[str, str]
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self._process = await asyncio.create_subprocess_exec(
            *self.command,
            env={**inherited, **self.environ},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, unless it has ended, and return its exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(_LONGEST_START_S):
            return await self._process.wait()


@attrs.frozen
class Replica:
    """A `musicgate serve`."""

    url: str
    program: Program
    _session: aiohttp.ClientSession

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        await self.program.start()
        await until(self._is_ready, _LONGEST_START_S)

    async def _is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@attrs.frozen
class Proxied:
    """Replicas, the vendor behind them, and the proxy in front of them; URLs have no path.

    Attributes:
        session: sends the key of the account; relative URLs go to the proxy.
    """

    url: str
    replicas: Sequence[Replica]
    vendor: Emulator
    session: aiohttp.ClientSession


@asynccontextmanager
async def proxied_replicas(folder: Path, plugins: PluginHost, store_url: str) -> AsyncIterator[Proxied]:
    """Two replicas with an emulated vendor and a folder for their audio, behind the proxy."""
    async with AsyncExitStack() as stack:
        emulator = plugins.providers["suno_kie"].emulator(
            EmulatorOptions(speed=_SPEED, switches={"rate": "off", "song_s": "3"})
        )
        (folder / "musicgate.toml").write_text(f'[[accounts]]\nname = "test"\nkey = "{KEY}"\n')
        environ = {
            "MUSICGATE_CONFIG": str(folder / "musicgate.toml"),
            "MUSICGATE_DATA_DIR": str(folder / "data"),
            "MUSICGATE_STORE__URL": store_url,
            "MUSICGATE_FOLLOW__SPEED": str(_SPEED),
            "MUSICGATE_NETWORK__ALLOW_PRIVATE_ADDRESSES": "true",
            "KIE_API_KEY": KEY,
            "KIE_BASE_URL": await stack.enter_async_context(mounted(emulator)),
        }
        ports = [free_port() for _ in range(2)]
        url = await stack.enter_async_context(caddy(folder, ports))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {KEY}"})
        )
        replicas = []
        for port in ports:
            program = Program((sys.executable, "-m", "musicgate", "serve", "--port", str(port)), environ)
            replicas.append(Replica(f"http://127.0.0.1:{port}", program, session))
        async with asyncio.TaskGroup() as starting:
            for replica in replicas:
                starting.create_task(replica.start())
                stack.push_async_callback(replica.program.stop, signal.SIGKILL)
        yield Proxied(url, replicas, emulator, session)


@asynccontextmanager
async def caddy(folder: Path, ports: Sequence[int]) -> AsyncIterator[str]:
    """The proxy in front of replicas at these ports of loopback; its URL."""
    path = shutil.which("caddy", path=str(Path(sys.executable).parent)) or shutil.which("caddy")
    assert path is not None, "caddy is missing: install the group of dependencies for development"
    port = free_port()
    environ = {
        "SITE_ADDRESS": f":{port}",
        "PROXY_BIND": "127.0.0.1",
        "MUSICGATE_UPSTREAMS": " ".join(f"127.0.0.1:{upstream}" for upstream in ports),
        # Where it would keep certificates.
        "HOME": str(folder),
    }
    program = Program((path, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"), environ)
    await program.start()
    try:
        await until(lambda: _listens(port), _LONGEST_START_S)
        yield f"http://127.0.0.1:{port}"
    finally:
        await program.stop(signal.SIGKILL)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


class FailingReplica:
    """Answers health checks, and closes the connection of the first other requests without an answer.

    Attributes:
        methods: of the requests that arrived, without health checks.
    """

    def __init__(self, failures: int) -> None:
        self.methods: list[str] = []
        self._failures = failures

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; a script of `tests.loopback_vendors.serving`."""
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            await self._answer(head.decode(), reader, writer)
            if writer.is_closing():
                return

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = dict(line.lower().split(": ", 1) for line in head.strip().split("\r\n")[1:])
        await reader.readexactly(int(fields.get("content-length", 0)))
        if head.startswith("GET /readyz "):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        self.methods.append(head.split(maxsplit=1)[0])
        if self._failures:
            self._failures -= 1
            writer.close()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
