"""``serve`` and ``sandbox``: run the HTTP server of `musicgate.web` until a signal."""

from __future__ import annotations

import asyncio
import gc
import signal
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import click

from musicgate.cli.options import CONFIG, Positive

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

    from musicgate.accounts import AccountBook
    from musicgate.hosting import PluginHost
    from musicgate.settings import Settings

_HOST = click.option(
    "--host", metavar="ADDRESS", help="Address to listen on.  [default: the setting server.host]"
)
_PORT = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port to listen on; 0 = any free one.  [default: the setting server.port]",
)
_STOPPING = (signal.SIGINT, signal.SIGTERM)
#: New objects between two collections, and collections of a generation before the next older one is walked.
_GARBAGE_OBJECTS = 10_000
_GARBAGE_GENERATIONS = (20, 50)
#: They have a line for each request, and for each change of a job's state.
_ACCESS_LOGS = ("musicgate.web.request_log", "musicgate.gateway.counting")
#: Accounts that the greeting names.
_SHOWN_ACCOUNTS = 10
_EXAMPLE_PROMPT = "Warm jazz trio with brushed drums"


@click.command()
@_HOST
@_PORT
@CONFIG
def serve(*, host: str | None, port: int | None, config: str | None) -> None:
    """Run the HTTP server until SIGINT or SIGTERM. Unfinished jobs continue at the next start."""
    from musicgate.cli.configuration import read_all

    settings, plugins = read_all(config)
    log_to_stderr(settings)
    run_on_fast_loop(_serve(_bound_to(settings, host, port), plugins))


@click.command()
@_PORT
@click.option(
    "--speed",
    type=Positive(),
    metavar="FACTOR",
    help="Speed of the emulated vendors; 1 = as slow as real ones.  [default: 8]",
)
@click.option(
    "--switch",
    "switches",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fault as NAME or PLUGIN.NAME, e.g. create=429:2 or suno_kie.stuck=1; may be repeated.",
)
@click.option(
    "--data",
    "data_dir",
    metavar="FOLDER",
    help="Folder for jobs and audio.  [default: a temporary folder]",
)
@click.option("--open", "opens_console", is_flag=True, help="Open the console in the browser.")
@CONFIG
def sandbox(
    *,
    port: int | None,
    speed: float | None,
    switches: tuple[str, ...],
    data_dir: str | None,
    opens_console: bool,
    config: str | None,
) -> None:
    """Run the HTTP server with emulated vendors: no account, no cost.

    Prints the address of the console, and curl commands to start with.
    """
    from pathlib import Path

    from musicgate.cli.configuration import read_all

    settings, plugins = read_all(config)
    log_to_stderr(settings)
    folder = Path(data_dir) if data_dir else None
    given = read_switches(switches)
    run_on_fast_loop(
        _serve_sandbox(
            settings,
            plugins,
            port=port,
            speed=speed,
            switches=given,
            data_dir=folder,
            opens_console=opens_console,
        )
    )


def run_on_fast_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on uvloop, or on asyncio's own event loop where uvloop does not run, as on Windows."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


async def _serve_sandbox(
    settings: Settings,
    plugins: PluginHost,
    *,
    port: int | None,
    speed: float | None,
    switches: dict[str, str],
    data_dir: Path | None,
    opens_console: bool,
) -> None:
    from musicgate.emulation.sandbox import DEFAULT_SPEED, SANDBOX_KEY
    from musicgate.emulation.sandbox import sandbox as emulated

    local = _bound_to(settings, "127.0.0.1", port)
    if local.server.port == 0:
        local = _bound_to(local, None, _free_port())
    # The emulators need the address for their callbacks before the server listens.
    url = f"http://127.0.0.1:{local.server.port}"
    chosen = speed or DEFAULT_SPEED
    async with emulated(
        local, plugins, speed=chosen, switches=switches, public_url=url, data_dir=data_dir
    ) as ready:
        lines = [
            f"  {name}  {table['base_url']}"
            for name, table in sorted(ready.providers.items())
            if "base_url" in table
        ]
        if lines:
            lines.insert(0, f"each vendor alone, with the key {SANDBOX_KEY}:")
        lines += curl_lines(url, example_models(plugins), has_accounts=bool(ready.accounts))
        lines.insert(0, f"vendors emulated at {chosen:g}x speed; nothing is paid")
        await _serve(ready, plugins, *lines, opens_console=opens_console)


async def _serve(settings: Settings, plugins: PluginHost, *more: str, opens_console: bool = False) -> None:
    """Serve until SIGINT or SIGTERM."""
    from musicgate import web
    from musicgate.assets import load_ffmpeg
    from musicgate.cli.terminal import say, visible
    from musicgate.gateway import Gateway, account_book, check_asset_store
    from musicgate.web import raise_open_file_limit

    raise_open_file_limit()
    load_ffmpeg()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in _STOPPING:
        with suppress(NotImplementedError):  # Windows: only Ctrl-C, as KeyboardInterrupt
            loop.add_signal_handler(name, stop.set)
    try:
        if settings.assets.archive and (trouble := await check_asset_store(settings)):
            say(visible(f"warning: {trouble}; songs stay with their vendors until it works again"), err=True)
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(Gateway.open(settings, plugins=plugins))
            bound = await stack.enter_async_context(
                web.serve(gateway, settings.server.host, settings.server.port)
            )
            _collect_garbage_less()
            book = account_book(gateway)
            say("\n".join([*greeting(bound, book, plugins, gateway.open_jobs), *more]))
            if opens_console:
                await _open_in_browser(console_at(bound))
            await stop.wait()
            say("stopping", err=True)
    finally:
        for name in _STOPPING:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(name)


def _collect_garbage_less() -> None:
    """Have the cycle collector run less often, and leave out what lives as long as the process.

    A create makes about seven hundred objects, which is Python's threshold: so each one paid for a
    collection, and some for a walk over every object of the process, in which nothing else ran. Reference
    counts free nearly everything; the cycles left between two collections are a few megabytes at most.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, *_GARBAGE_GENERATIONS)


def greeting(bound: tuple[str, int], accounts: AccountBook, plugins: PluginHost, open_jobs: int) -> list[str]:
    """The lines that are printed when the server has started."""
    from musicgate.cli.terminal import visible

    host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    names = sorted(accounts.names)
    shown = ", ".join(visible(name) for name in names[:_SHOWN_ACCOUNTS])
    if len(names) > _SHOWN_ACCOUNTS:
        shown += f" and {len(names) - _SHOWN_ACCOUNTS} more"
    if not names:
        shown = "none; server.admin_key makes the first one"
    lines = [
        f"musicgate listens on http://{host}:{bound[1]}",
        "no account is configured: only this machine may call" if accounts.is_open else f"accounts: {shown}",
        f"providers: {', '.join(sorted(plugins.providers)) or 'none'}",
    ]
    lines += [
        f"plugin {record.name} is disabled: {visible(record.error)}"
        for record in plugins.records
        if record.error
    ]
    lines.append(f"console: {console_at(bound)}")
    if open_jobs:
        lines.append(f"unfinished jobs recovered: {open_jobs}")
    return lines


def console_at(bound: tuple[str, int]) -> str:
    """The address of the console, as a browser on this machine reaches it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound[0], bound[0])  # noqa: S104 - nothing is bound here
    return f"http://{f'[{host}]' if ':' in host else host}:{bound[1]}/console"


async def _open_in_browser(url: str) -> None:
    """Open a page; the server goes on where there is no browser."""
    import webbrowser

    from musicgate.cli.terminal import say

    if not await asyncio.to_thread(webbrowser.open, url):
        say(f"no browser was found; open {url}", err=True)


def example_models(plugins: PluginHost) -> list[str]:
    """One model per provider, the default model first if it is offered."""
    from musicgate.cli.request_fields import DEFAULT_MODEL

    models: dict[str, str] = {}
    for plugin in plugins.providers.values():
        offered = [offer.model for offer in plugin.provider.offers]
        chosen = DEFAULT_MODEL if DEFAULT_MODEL in offered else offered[0]
        if models.get(plugin.provider.name) != DEFAULT_MODEL:
            models[plugin.provider.name] = chosen
    return sorted(models.values(), key=lambda model: (model != DEFAULT_MODEL, model))


def curl_lines(url: str, models: Sequence[str], *, has_accounts: bool) -> list[str]:
    """Shell commands to create a job with each model, poll it, and download its audio."""
    import json

    key = ' -H "Authorization: Bearer $MUSICGATE_API_KEY"' if has_accounts else ""
    lines = ["", "create:"]
    for model in models:
        body = json.dumps({"model": model, "prompt": _EXAMPLE_PROMPT})
        lines.append(
            f"  curl -s {url}/v1/music/generate{key} -H 'Content-Type: application/json' -d '{body}'"
        )
    lines += [
        "then, with the id from the answer:",
        f"  curl -s {url}/v1/music/generate/MUSIC_ID{key}",
        f"  curl -s {url}/v1/music/generate/MUSIC_ID/audio/0{key} -o song.mp3",
        "",
        "Press Ctrl-C to stop.",
    ]
    return lines


def read_switches(words: Sequence[str]) -> dict[str, str]:
    """Parse ``name=value`` pairs; a name alone means ``1``.

    Raises:
        click.UsageError: A switch has no name.
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


def log_to_stderr(settings: Settings) -> None:
    """Log to standard error, as the settings say."""
    import logging

    from musicgate.cli.log_format import JsonFormatter
    from musicgate.cli.terminal import LineFormatter

    is_json = settings.server.log_format == "json"
    text = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if is_json else LineFormatter(text))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("musicgate").setLevel(logging.INFO)
    if not settings.server.access_log:
        for name in _ACCESS_LOGS:
            logging.getLogger(name).setLevel(logging.WARNING)
