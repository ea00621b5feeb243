"""Caddy with the Caddyfile of the examples, in front of `musicgate serve` or of replicas that fail."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import attrs

from musicgate.emulation.mount import mounted
from musicgate.hosting.discovery import PluginHost
from musicgate.plugin.emulator import EmulatorOptions
from tests.free_port import free_port

CADDYFILE = Path(__file__).resolve().parents[2] / "examples/container/Caddyfile"
KEY = "test-key-not-real"
_LONGEST_START_S = 20.0
_SPEED = 100.0


@attrs.frozen
class Proxied:
    """Replicas and the proxy in front of them; each URL has no path.

    Attributes:
        session: sends the key of the account; relative URLs go to the proxy.
    """

    url: str
    replicas: Sequence[str]
    session: aiohttp.ClientSession


@asynccontextmanager
async def proxied_servers(folder: Path, plugins: PluginHost) -> AsyncIterator[Proxied]:
    """A `musicgate serve` on SQLite with an emulated vendor, behind the proxy."""
    async with AsyncExitStack() as stack:
        emulator = plugins.providers["suno_kie"].emulator(
            EmulatorOptions(speed=_SPEED, switches={"rate": "off"})
        )
        vendor = await stack.enter_async_context(mounted(emulator))
        (folder / "musicgate.toml").write_text(f'[[accounts]]\nname = "test"\nkey = "{KEY}"\n')
        environ = {
            "MUSICGATE_CONFIG": str(folder / "musicgate.toml"),
            "MUSICGATE_DATA_DIR": str(folder / "data"),
            "MUSICGATE_FOLLOW__SPEED": str(_SPEED),
            "MUSICGATE_NETWORK__ALLOW_PRIVATE_ADDRESSES": "true",
            "KIE_API_KEY": KEY,
            "KIE_BASE_URL": vendor,
        }
        ports = [free_port()]
        replicas = [f"http://127.0.0.1:{port}" for port in ports]
        for port in ports:
            command = (sys.executable, "-m", "musicgate", "serve", "--port", str(port))
            await stack.enter_async_context(_process(*command, environ=environ))
        url = await stack.enter_async_context(caddy(folder, ports))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {KEY}"})
        )
        for replica in replicas:
            await _answers(session, f"{replica}/readyz")
        yield Proxied(url, replicas, session)


@asynccontextmanager
async def caddy(folder: Path, ports: Sequence[int]) -> AsyncIterator[str]:
    """The proxy in front of replicas at these ports of loopback; its URL."""
    program = shutil.which("caddy", path=str(Path(sys.executable).parent)) or shutil.which("caddy")
    assert program is not None, "caddy is missing: install the group of dependencies for development"
    port = free_port()
    environ = {
        "SITE_ADDRESS": f":{port}",
        "PROXY_BIND": "127.0.0.1",
        "MUSICGATE_UPSTREAMS": " ".join(f"127.0.0.1:{upstream}" for upstream in ports),
        # Where it would keep certificates.
        "HOME": str(folder),
    }
    command = (program, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile")
    async with _process(*command, environ=environ), asyncio.timeout(_LONGEST_START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _process(*command: str, environ: Mapping[str, str]) -> AsyncIterator[None]:
    """A program that is killed at the end. Nothing else of this machine's environment reaches it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={
            **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
            **environ,
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(_LONGEST_START_S):
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)


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
