"""``emulate``: serve one emulated vendor, for people who test their own client of it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from musicgate.cli import completion
from musicgate.cli.options import Positive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.hosting import ProviderPlugin
    from musicgate.plugin import Emulator, EmulatorOptions

_EPILOG = (
    "A switch is a fault or a shape: create=429:2 refuses two create calls, poll=html:ever breaks every poll, "
    "media=cut cuts one download, stuck=1 lets no song end. One song gets its own by a marker in any text of "
    "its request: [emulate create=drop]. --list shows every route and switch of a vendor."
)
_STOPPING = (signal.SIGINT, signal.SIGTERM)


@click.command(epilog=_EPILOG)
@click.argument("name", shell_complete=completion.plugins)
@click.option(
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    help="Address to listen on, such as 0.0.0.0 in a container.  [default: 127.0.0.1]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Port to listen on; 0 = any free one.  [default: 0]",
)
@click.option(
    "--key",
    metavar="KEY",
    help="The only API key that is valid.  [default: every key but those that begin with bad]",
)
@click.option(
    "--secret",
    metavar="SECRET",
    help="Secret that callbacks are signed with, if this vendor signs.  [default: not signed]",
)
@click.option(
    "--speed",
    type=Positive(),
    default=1.0,
    metavar="FACTOR",
    help="How much faster than the vendor; 8 = a song of a minute takes 8 seconds.  [default: 1]",
)
@click.option(
    "--seed", type=int, default=0, metavar="NUMBER", help="Chooses ids, lengths and sounds.  [default: 0]"
)
@click.option(
    "--switch",
    "switches",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fault or shape, e.g. create=429:2; may be repeated.",
)
@click.option("--list", "only_list", is_flag=True, help="Print routes and switches, and serve nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; only with --list.")
def emulate(
    *,
    name: str,
    host: str,
    port: int,
    key: str | None,
    secret: str | None,
    speed: float,
    seed: int,
    switches: tuple[str, ...],
    only_list: bool,
    as_json: bool,
) -> None:
    """Serve the emulated vendor of the plugin NAME: no account, no cost, no gateway.

    Point a client of the vendor at the printed address. `musicgate providers` lists the names.
    """
    from musicgate.cli.serve import read_switches
    from musicgate.cli.terminal import print_json, say
    from musicgate.emulation import EmulatedVendor
    from musicgate.emulation.sandbox import emulator_of
    from musicgate.plugin import EmulatorOptions

    plugin = _plugin(name)
    options = EmulatorOptions(
        seed=seed, speed=speed, switches=read_switches(switches), webhook_secret=secret, key=key
    )
    emulator = emulator_of(plugin, options)
    if key is not None and not isinstance(emulator, EmulatedVendor):
        raise click.UsageError(f"the emulator of {name} takes every key; --key is not for it")
    if as_json and not only_list:
        raise click.UsageError("--json is for --list: a server prints no result.")
    if as_json:
        print_json(_described(name, emulator))
        return
    if only_list:
        say("\n".join(description(emulator)))
        return
    asyncio.run(_serve(plugin, emulator, options, host, port))


def _plugin(name: str) -> ProviderPlugin:
    from musicgate.hosting import load_plugins
    from musicgate.text import did_you_mean

    host = load_plugins()
    for record in host.records:
        if record.name == name and record.error:
            raise click.UsageError(f"the plugin {name} is disabled: {record.error}")
    if name not in host.providers:
        known = ", ".join(sorted(host.providers)) or "none"
        hint = did_you_mean(name, host.providers) or f"; there are: {known}"
        raise click.UsageError(f"no provider plugin {name!r} is installed{hint}")
    return host.providers[name]


async def _serve(
    plugin: ProviderPlugin, emulator: Emulator, options: EmulatorOptions, host: str, port: int
) -> None:
    """Serve until SIGINT or SIGTERM."""
    from musicgate.cli.terminal import say
    from musicgate.emulation.mount import mounted

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _STOPPING:
        with suppress(NotImplementedError):  # Windows: only Ctrl-C, as KeyboardInterrupt
            loop.add_signal_handler(number, stop.set)
    async with mounted(emulator, host=host, port=port) as origin:
        say(
            "\n".join(
                [*greeting(plugin, origin, options), *description(emulator), "", "Press Ctrl-C to stop."]
            )
        )
        await stop.wait()


def greeting(plugin: ProviderPlugin, origin: str, options: EmulatorOptions) -> Sequence[str]:
    """Say where the vendor is, and with which key it is called."""
    auth = plugin.provider.auth
    key = options.key or "any-key"
    return (
        f"{plugin.provider.label} emulated at {origin}, at {options.speed:g}x speed; nothing is paid",
        f"key: {auth.header}: {auth.value(key)}",
    )


def description(emulator: Emulator) -> Sequence[str]:
    """Every route and switch of an emulator that tells them."""
    from musicgate.emulation import EmulatedVendor

    if not isinstance(emulator, EmulatedVendor):
        return ("its routes and switches are described in the README of its plugin",)
    lines = ["", "routes:", *(f"  {name}" for name in emulator.route_names()), "", "switches:"]
    for switch in emulator.switch_table().values():
        now = emulator.options.switches.get(switch.name)
        lines.append(f"  {switch.name}{'' if now is None else f'={now}'}: {switch.meaning}")
        lines.append(f"      {switch.values.shown}")
        lines += [f"      {word}: {meaning}" for word, meaning in switch.values.meanings.items()]
    return lines


def _described(name: str, emulator: Emulator) -> dict[str, object]:
    """The same as JSON; empty lists for an emulator that does not tell them."""
    from musicgate.emulation import EmulatedVendor

    routes: Sequence[str] = ()
    switches: list[dict[str, object]] = []
    if isinstance(emulator, EmulatedVendor):
        routes = emulator.route_names()
        switches = [
            {
                "name": switch.name,
                "value": emulator.options.switches.get(switch.name),
                "meaning": switch.meaning,
                "values": switch.values.shown,
                "words": dict(switch.values.meanings),
            }
            for switch in emulator.switch_table().values()
        ]
    return {"object": "emulator", "provider_plugin": name, "routes": list(routes), "switches": switches}
