"""``musicgate mcp``: the tools for agents on standard input and output, as desktop clients start them."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import click

from musicgate.cli.options import CONFIG, KEY, URL

if TYPE_CHECKING:
    from pathlib import Path

    from musicgate.mcp import MusicApi
    from musicgate.model import Job, Track

_STOPPING = (signal.SIGINT, signal.SIGTERM)
#: How long a server that does not answer is asked again. A tool may make two calls, and clients of agents
#: begin to give up at about a minute.
_RETRY_S = 20.0


@click.command()
@URL
@KEY
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    help="Folder that fetched audio is written to.  [default: it is not; the agent gets a link]",
)
@click.option(
    "--sandbox", "in_sandbox", is_flag=True, help="Use emulated vendors on this machine: no account, no cost."
)
@CONFIG
def mcp(
    *, url: str | None, key: str | None, output: str | None, in_sandbox: bool, config: str | None
) -> None:
    """Serve an agent by the Model Context Protocol, on standard input and output.

    Agents start this command themselves. Without --url, this process calls the vendors, with keys from the
    environment or musicgate.toml. It ends with its client; jobs continue at their vendors, and the next start
    finds them. A server speaks the protocol itself, at /mcp.
    """
    if in_sandbox and url:
        raise click.UsageError("--sandbox cannot be used with --url: emulated vendors run in this process.")
    asyncio.run(_serve(url, key, _folder(output), config, in_sandbox=in_sandbox))


def _folder(output: str | None) -> Path | None:
    """The folder of ``--output``.

    Raises:
        click.UsageError: it does not exist.
    """
    from pathlib import Path

    if output is None:
        return None
    folder = Path(output)
    if not folder.is_dir():
        raise click.UsageError(f"--output {output}: there is no such folder.")
    return folder


async def _serve(
    url: str | None, key: str | None, folder: Path | None, config: str | None, *, in_sandbox: bool
) -> None:
    from musicgate.mcp import load_sdk

    sdk = load_sdk()
    stop = asyncio.Event()
    for name in _STOPPING:
        with suppress(NotImplementedError):  # Windows: the process ends at once
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with AsyncExitStack() as stack:
        api = await _remote(stack, url, key) if url else await _local(stack, config, in_sandbox=in_sandbox)
        serving = asyncio.create_task(sdk.serve_stdio(api, folder))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (serving, stopping):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        # What leaves the stack now waits for calls to vendors that are in flight (server.drain_s).


async def _remote(stack: AsyncExitStack, url: str, key: str | None) -> MusicApi:
    """The API of a server.

    Raises:
        click.ClickException: the address or the key is malformed; neither is shown.
    """
    from musicgate.cli.remote import connected
    from musicgate.client import AgentClient
    from musicgate.mcp import RemoteMusic

    client = await stack.enter_async_context(connected(AgentClient, url, key, _RETRY_S))
    return RemoteMusic(client)


async def _local(stack: AsyncExitStack, config: str | None, *, in_sandbox: bool) -> MusicApi:
    """The API of a gateway in this process."""
    from musicgate.cli import stores
    from musicgate.cli.configuration import read_all
    from musicgate.cli.serve import log_to_stderr
    from musicgate.emulation.sandbox import DEFAULT_SPEED, sandbox
    from musicgate.gateway import LOCAL_ACCOUNT
    from musicgate.settings import Account
    from musicgate.web import LocalMusic

    settings, host = read_all(config)
    log_to_stderr(settings)
    if in_sandbox:
        speed = max(DEFAULT_SPEED, settings.follow.speed)
        settings = await stack.enter_async_context(sandbox(settings, host, speed=speed))
    gateway = await stores.open_free(stack, settings, host, is_lasting=True)

    def link(job: Job, track: Track, what: str) -> str | None:
        path = gateway.audio_path(job, track.index) if what == "audio" else None
        return path.absolute().as_uri() if path else None

    return LocalMusic(gateway, Account(name=LOCAL_ACCOUNT), link)
