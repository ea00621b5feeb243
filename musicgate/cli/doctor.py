"""``doctor``: check what a song needs; nothing is spent, changed or locked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from musicgate.cli.options import AS_JSON, CONFIG

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from musicgate.cli.checks import Check


@click.command()
@click.option(
    "--offline",
    is_flag=True,
    help="Check nothing that needs the network: vendors, the clock, audio in a bucket.",
)
@AS_JSON
@CONFIG
def doctor(*, offline: bool, as_json: bool, config: str | None) -> None:
    """Check settings, keys, vendors, clock, store, disk, FFmpeg, port and plugins.

    Exits with 1 if a check fails. Works beside a running server: the store is only read. Vendors get a HEAD
    request without the key, which costs nothing; so whether a key is accepted is not known before the first
    song. No key is printed.
    """
    from musicgate.cli.checks import check_lines, is_well, render_checks
    from musicgate.cli.terminal import print_json, say

    checks = asyncio.run(_checks(config, offline=offline))
    if as_json:
        print_json(render_checks(checks))
    else:
        say("\n".join(check_lines(checks)))
    if not is_well(checks):
        click.get_current_context().exit(1)


async def _checks(config: str | None, *, offline: bool) -> list[Check]:
    from musicgate.cli import checks_here, checks_of_vendors
    from musicgate.cli.configuration import read_settings
    from musicgate.errors import MusicgateError
    from musicgate.hosting import installed_providers, load_plugins
    from musicgate.settings import keep_declared

    host = load_plugins()
    first = [*checks_here.plugins(host), checks_here.ffmpeg()]
    try:
        settings = keep_declared(
            read_settings(config), (plugin.provider for plugin in host.providers.values())
        )
        providers = installed_providers(settings, host)
    except MusicgateError as error:
        return [checks_here.wrong_settings(error), *first]
    found = [checks_here.settings(settings), *first, *checks_of_vendors.keys(providers.values())]
    if not offline:
        found += await checks_of_vendors.reachable(settings, providers.values())
    found += await _guarded("store", checks_here.store(settings))
    found += await _guarded("disk", checks_here.disk(settings))
    found += await _guarded("audio", checks_here.audio(settings, offline=offline))
    found += await _guarded("port", checks_here.port(settings))
    return found


async def _guarded(name: str, check: Awaitable[Check | list[Check]]) -> list[Check]:
    """Await a check. Where the system refuses even to look, that is its result."""
    from musicgate.cli.checks import failed

    try:
        found = await check
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        return [failed(name, f"{where}{exc.strerror or exc}", "run it as the user of the server")]
    return found if isinstance(found, list) else [found]
