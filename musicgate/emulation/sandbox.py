"""The sandbox: all installed vendors emulated on loopback, and settings for a gateway on them.

No vendor's name is known here. Keys, addresses and secrets of real vendors are replaced, so nothing of the
operator's is sent. The store and the kept audio are replaced too: an emulator knows nothing of real jobs and
would answer "not found" to every poll.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from musicgate.emulation.mount import mounted
from musicgate.emulation.switches import check_switches
from musicgate.emulation.vendor import EmulatedVendor
from musicgate.errors import ConfigError, PluginError
from musicgate.hosting import load_plugins
from musicgate.plugin import EmulatorOptions
from musicgate.settings import AssetSettings, StoreSettings, resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from musicgate.hosting import PluginHost, ProviderPlugin
    from musicgate.plugin import Emulator
    from musicgate.settings import Settings

_log = logging.getLogger(__name__)

#: Used as every vendor's key and callback secret.
SANDBOX_KEY = "sandbox-key-not-real"
SANDBOX_SECRET = "sandbox-secret-not-real"  # noqa: S105 - not a real secret
_REPLACED = frozenset({"api_key", "base_url", "webhook_secret"})
#: How much faster than in reality the vendors are: a song that takes a minute is done in a few seconds.
DEFAULT_SPEED = 8.0

_NO_SWITCHES: Mapping[str, str] = MappingProxyType({})


@asynccontextmanager
async def sandbox(
    settings: Settings,
    host: PluginHost | None = None,
    *,
    speed: float = DEFAULT_SPEED,
    switches: Mapping[str, str] = _NO_SWITCHES,
    public_url: str = "",
    data_dir: Path | None = None,
) -> AsyncIterator[Settings]:
    """Emulate every provider that is not switched off, until the block ends.

    Args:
        settings: the operator's; server, accounts, limits and the plugins' own settings stay as they are.
        host: the plugins whose emulators are started; None = the installed ones.
        speed: divides every delay of the vendors, every poll interval and grace period.
        switches: faults by name: ``suno_kie.end`` is for one plugin, ``end`` for every vendor that has it.
        public_url: where the server under test listens, for callbacks; "" = no server listens, the vendors
            are polled.
        data_dir: folder for jobs and audio; None = a temporary one that is removed at the end.

    Yields:
        Settings to open a gateway with.

    Raises:
        ConfigError: a switch names a plugin that is not installed, or is unknown to the vendor that it names,
            or to every vendor.
    """
    host = load_plugins() if host is None else host
    for name in switches:
        if "." in name and name.partition(".")[0] not in host.providers:
            raise ConfigError("no such plugin is installed", key=name, source="switches")
    async with AsyncExitStack() as stack:
        folder = data_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="musicgate-sandbox-"))
        )
        # Settings of the real vendors' keys do not matter here, not even if they are wrong.
        tables = {
            name: {key: value for key, value in table.items() if key not in _REPLACED}
            for name, table in settings.providers.items()
        }
        alone = attrs.evolve(settings, providers=tables, environ={})
        taken: set[str] = set()
        for name, plugin in host.providers.items():
            table = tables.setdefault(name, {})
            if not resolve(alone, plugin.provider).enabled:
                continue
            secret = SANDBOX_SECRET if plugin.provider.webhook_secret_env else None
            options = EmulatorOptions(speed=speed, webhook_secret=secret)
            emulator = _emulator(plugin, options, switches, taken)
            if emulator is None:
                table["enabled"] = False
                continue
            table |= {"api_key": SANDBOX_KEY, "base_url": await stack.enter_async_context(mounted(emulator))}
            if secret is not None:
                table["webhook_secret"] = secret
        for name in switches:
            if "." not in name and name not in taken:
                raise ConfigError(
                    "no emulated vendor has this switch with this value; `musicgate emulate NAME --list` lists them",
                    key=name,
                    source="switches",
                )
        yield attrs.evolve(
            alone,
            data_dir=folder,
            store=StoreSettings(),
            assets=attrs.evolve(settings.assets, url=AssetSettings().url),
            server=attrs.evolve(settings.server, public_url=public_url),
            network=attrs.evolve(settings.network, allow_private_addresses=True, proxy="none"),
            follow=attrs.evolve(settings.follow, speed=speed),
        )


def emulator_of(plugin: ProviderPlugin, options: EmulatorOptions) -> Emulator:
    """Make the emulator of a plugin.

    Raises:
        ConfigError: it has no such switch, or one does not take its value.
        PluginError: it cannot be made.
    """
    plain = plugin.emulator(attrs.evolve(options, switches={}))
    if isinstance(plain, EmulatedVendor):
        check_switches(plain.switch_table(), options.switches)
    return plugin.emulator(options) if options.switches else plain


def _emulator(
    plugin: ProviderPlugin, options: EmulatorOptions, switches: Mapping[str, str], taken: set[str]
) -> Emulator | None:
    """Make a vendor's emulator with the switches that are for it; None where it cannot be made.

    Args:
        taken: gets the names of the switches for all vendors that this one takes; all of them, if it does not
            tell.

    Raises:
        ConfigError: the vendor has no such switch.
    """
    own = {
        name.partition(".")[2]: value
        for name, value in switches.items()
        if name.startswith(f"{plugin.name}.")
    }
    shared = {name: value for name, value in switches.items() if "." not in name}
    try:
        plain = plugin.emulator(options)
    except PluginError as error:
        _log.warning(
            "provider left out of the sandbox, it has no working emulator: plugin=%s error=%s",
            plugin.name,
            error,
        )
        return None
    if isinstance(plain, EmulatedVendor):
        table = plain.switch_table()
        shared = {
            name: value for name, value in shared.items() if name in table and table[name].values.takes(value)
        }
    taken |= set(shared)
    try:
        return emulator_of(plugin, attrs.evolve(options, switches={**shared, **own}))
    except ConfigError as error:
        raise ConfigError(str(error), key=plugin.name, source="switches") from error
    except PluginError as error:
        # An emulator that is not made of `EmulatedVendor` may refuse a switch that is for another vendor.
        if own:
            raise ConfigError(str(error), key=plugin.name, source="switches") from error
        return plain
