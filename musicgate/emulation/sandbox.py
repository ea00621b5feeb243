"""The sandbox: every installed vendor played on loopback, and settings that point the real gateway at them; no vendor's name is known here.

Nothing of the operator's leaves: keys, addresses and secrets of real vendors are replaced, and so are the store and the kept audio. A played
vendor knows nothing of real jobs; it would answer "not found" to every one that it was asked about.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from musicgate import settings as operator
from musicgate.emulation.mount import mounted
from musicgate.errors import ConfigError, PluginError
from musicgate.plugin import EmulatorOptions
from musicgate.settings import AssetSettings, StoreSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from musicgate.hosting import PluginHost, ProviderPlugin
    from musicgate.plugin import Emulator
    from musicgate.settings import Settings

_log = logging.getLogger(__name__)

#: What stands in for a vendor's key and for its callback secret.
SANDBOX_KEY = "sandbox-key-not-real"
SANDBOX_SECRET = "sandbox-secret-not-real"  # noqa: S105 - it says so itself
_REPLACED = frozenset({"api_key", "base_url", "webhook_secret"})
#: How much faster than life the vendors are played: a song of a minute or two is there in a few seconds.
DEFAULT_SPEED = 8.0

_NO_SWITCHES: Mapping[str, str] = MappingProxyType({})


@asynccontextmanager
async def sandbox(
    settings: Settings,
    host: PluginHost,
    *,
    speed: float = DEFAULT_SPEED,
    switches: Mapping[str, str] = _NO_SWITCHES,
    public_url: str = "",
    data_dir: Path | None = None,
) -> AsyncIterator[Settings]:
    """Play every provider that is not switched off, until the block ends.

    Args:
        settings: the operator's; server, accounts, limits and the plugins' own settings stay as they are.
        host: whose emulators are started.
        speed: divides every delay of the vendors, every poll interval and grace period.
        switches: faults by name: ``suno_kie.end`` is for one plugin, ``end`` for every vendor that knows it.
        public_url: where the server under test listens, so that callbacks arrive; "" = nobody listens, the vendors are polled.
        data_dir: folder for jobs and audio; None = a temporary one that vanishes.

    Yields:
        Settings to open a gateway with.

    Raises:
        ConfigError: a switch is for a plugin that is not there, or is none that its vendor knows.
    """
    for name in switches:
        if "." in name and name.partition(".")[0] not in host.providers:
            raise ConfigError("no such plugin is installed", key=name, source="switches")
    async with AsyncExitStack() as stack:
        folder = data_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="musicgate-sandbox-"))
        )
        # What was said of the real vendors' keys does not matter here, not even if it is wrong.
        tables = {
            name: {key: value for key, value in table.items() if key not in _REPLACED}
            for name, table in settings.providers.items()
        }
        alone = attrs.evolve(settings, providers=tables, environ={})
        for name, plugin in host.providers.items():
            table = tables.setdefault(name, {})
            if not operator.resolve(alone, plugin.provider).enabled:
                continue
            secret = SANDBOX_SECRET if plugin.provider.webhook_secret_env else None
            played = _emulator(plugin, EmulatorOptions(speed=speed, webhook_secret=secret), switches)
            if played is None:
                table["enabled"] = False
                continue
            table |= {"api_key": SANDBOX_KEY, "base_url": await stack.enter_async_context(mounted(played))}
            if secret is not None:
                table["webhook_secret"] = secret
        yield attrs.evolve(
            alone,
            data_dir=folder,
            store=StoreSettings(),
            assets=attrs.evolve(settings.assets, url=AssetSettings().url),
            server=attrs.evolve(settings.server, public_url=public_url),
            network=attrs.evolve(settings.network, allow_private_addresses=True, proxy="none"),
            follow=attrs.evolve(settings.follow, speed=speed),
        )


def _emulator(
    plugin: ProviderPlugin, options: EmulatorOptions, switches: Mapping[str, str]
) -> Emulator | None:
    """A vendor with the switches that are for it; None where it cannot be played.

    Raises:
        ConfigError: the vendor does not know a switch that names it.
    """
    own = {
        name.partition(".")[2]: value
        for name, value in switches.items()
        if name.startswith(f"{plugin.name}.")
    }
    shared = {name: value for name, value in switches.items() if "." not in name}
    try:
        return plugin.emulator(attrs.evolve(options, switches={**shared, **own}))
    except (
        PluginError
    ):  # some vendors refuse words that they do not know, and those were perhaps for another one
        try:
            return plugin.emulator(attrs.evolve(options, switches=own))
        except PluginError as error:
            if own:
                raise ConfigError(str(error), key=plugin.name, source="switches") from error
            _log.warning("%s cannot be played and is left out: %s", plugin.name, error)
            return None
