"""``serve`` and ``sandbox``: run the HTTP server until a signal, and say where it is; the server itself stands in `musicgate.web`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import click

from musicgate.cli.request_fields import Positive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from musicgate.hosting import PluginHost
    from musicgate.settings import Account, Settings

_HOST = click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: server.host]")
_PORT = click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 = any free one.  [default: server.port]"
)
_CONFIG = click.option(
    "--config", metavar="FILE", help="Settings file.  [default: musicgate.toml, if there is one]"
)
_STOPPING = (signal.SIGINT, signal.SIGTERM)
_EXAMPLE_PROMPT = "Warm jazz trio with brushed drums"


@click.command()
@_HOST
@_PORT
@_CONFIG
def serve(*, host: str | None, port: int | None, config: str | None) -> None:
    """Run the HTTP server. SIGINT and SIGTERM stop it; unfinished jobs go on when it starts again."""
    from musicgate.cli.configuration import read_all

    settings, plugins = read_all(config)
    _log_to_stderr()
    asyncio.run(_serve(_bound_to(settings, host, port), plugins))


@click.command()
@_PORT
@click.option(
    "--speed",
    type=Positive(),
    help="How much faster than life the vendors are played.  [default: 8]",
)
@click.option(
    "--switch",
    "switches",
    multiple=True,
    metavar="NAME=VALUE",
    help="A fault, e.g. suno_kie.end=SENSITIVE_WORD_ERROR, or without the plugin for all; may be repeated.",
)
@click.option(
    "--data",
    "data_dir",
    metavar="FOLDER",
    help="Keep jobs and audio here.  [default: a folder that vanishes]",
)
@_CONFIG
def sandbox(
    *,
    port: int | None,
    speed: float | None,
    switches: tuple[str, ...],
    data_dir: str | None,
    config: str | None,
) -> None:
    """Run the HTTP server with every vendor played on this machine: no account, no cost. Prints curl lines to begin with."""
    from pathlib import Path

    from musicgate.cli.configuration import read_all

    settings, plugins = read_all(config)
    _log_to_stderr()
    folder = Path(data_dir) if data_dir else None
    play = _play(settings, plugins, port=port, speed=speed, switches=read_switches(switches), data_dir=folder)
    asyncio.run(play)


async def _play(
    settings: Settings,
    plugins: PluginHost,
    *,
    port: int | None,
    speed: float | None,
    switches: dict[str, str],
    data_dir: Path | None,
) -> None:
    from musicgate.emulation.sandbox import DEFAULT_SPEED
    from musicgate.emulation.sandbox import sandbox as playing

    local = _bound_to(settings, "127.0.0.1", port)
    if local.server.port == 0:
        local = _bound_to(local, None, _free_port())
    # The vendors must know beforehand where to call.
    url = f"http://127.0.0.1:{local.server.port}"
    chosen = speed or DEFAULT_SPEED
    async with playing(
        local, plugins, speed=chosen, switches=switches, public_url=url, data_dir=data_dir
    ) as ready:
        lines = curl_lines(url, example_models(plugins), has_accounts=bool(ready.accounts))
        await _serve(
            ready, plugins, f"vendors played at {chosen:g} times the speed of life; nothing is paid", *lines
        )


async def _serve(settings: Settings, plugins: PluginHost, *more: str) -> None:
    """Serve until a signal comes."""
    from musicgate import web
    from musicgate.cli.terminal import say
    from musicgate.gateway import Gateway
    from musicgate.web import raise_open_file_limit

    raise_open_file_limit()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in _STOPPING:
        with suppress(NotImplementedError):  # Windows knows Ctrl-C only, and that as an exception
            loop.add_signal_handler(name, stop.set)
    try:
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(Gateway.open(settings, plugins=plugins))
            bound = await stack.enter_async_context(
                web.serve(gateway, settings.server.host, settings.server.port)
            )
            say("\n".join([*greeting(bound, settings.accounts, plugins, gateway.open_jobs), *more]))
            await stop.wait()
            say("stopping", err=True)
    finally:
        for name in _STOPPING:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(name)


def greeting(
    bound: tuple[str, int], accounts: Sequence[Account], plugins: PluginHost, open_jobs: int
) -> list[str]:
    """What a person who starts a server wants to know."""
    from musicgate.cli.terminal import visible

    host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    names = ", ".join(visible(account.name) for account in accounts)
    lines = [
        f"musicgate listens on http://{host}:{bound[1]}",
        f"accounts: {names}" if names else "no account is configured: only this machine may call",
        f"providers: {', '.join(sorted(plugins.providers)) or 'none'}",
    ]
    lines += [
        f"plugin {record.name} is left out: {visible(record.error)}"
        for record in plugins.records
        if record.error
    ]
    if open_jobs:
        lines.append(f"unfinished jobs taken up: {open_jobs}")
    return lines


def example_models(plugins: PluginHost) -> list[str]:
    """One model of every provider family; the command line's own default where it is among them."""
    from musicgate.cli.request_fields import DEFAULT_MODEL

    models: dict[str, str] = {}
    for plugin in plugins.providers.values():
        offered = [offer.model for offer in plugin.provider.offers]
        chosen = DEFAULT_MODEL if DEFAULT_MODEL in offered else offered[0]
        if models.get(plugin.provider.name) != DEFAULT_MODEL:
            models[plugin.provider.name] = chosen
    return sorted(models.values(), key=lambda model: (model != DEFAULT_MODEL, model))


def curl_lines(url: str, models: Sequence[str], *, has_accounts: bool) -> list[str]:
    """Lines that can be pasted into a shell: create with each vendor, poll, download."""
    import json

    key = ' -H "Authorization: Bearer $MUSICGATE_API_KEY"' if has_accounts else ""
    lines = ["", "create:"]
    for model in models:
        body = json.dumps({"model": model, "prompt": _EXAMPLE_PROMPT})
        lines.append(
            f"  curl -s {url}/v1/music/generate{key} -H 'Content-Type: application/json' -d '{body}'"
        )
    lines += [
        "then, with the id of the answer:",
        f"  curl -s {url}/v1/music/generate/MUSIC_ID{key}",
        f"  curl -s {url}/v1/music/generate/MUSIC_ID/audio/0{key} -o song.mp3",
        "",
        "Ctrl-C stops it.",
    ]
    return lines


def read_switches(words: Sequence[str]) -> dict[str, str]:
    """``name=value`` pairs; a name alone means ``1``.

    Raises:
        click.UsageError: a switch has no name.
    """
    switches = {}
    for word in words:
        name, _, value = word.partition("=")
        if not name.strip():
            raise click.UsageError(f"--switch {word}: the form is NAME=VALUE.")
        switches[name.strip()] = value or "1"
    return switches


def _bound_to(settings: Settings, host: str | None, port: int | None) -> Settings:
    import attrs

    server = settings.server
    chosen = attrs.evolve(server, host=host or server.host, port=server.port if port is None else port)
    return attrs.evolve(settings, server=chosen)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _log_to_stderr() -> None:
    import logging

    from musicgate.cli.terminal import LineFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("musicgate").setLevel(logging.INFO)
