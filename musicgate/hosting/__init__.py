"""Find, isolate, verify and call plugins: the only importer of pluggy beside `musicgate.plugin`.

It knows hooks, and must not know jobs in flight, stores or HTTP. Start with `provider_plugin`.
"""

from musicgate.hosting.discovery import (
    ENTRY_POINT_GROUP,
    PluginHost,
    PluginRecord,
    load_plugins,
)
from musicgate.hosting.installed import InstalledProvider, installed_providers
from musicgate.hosting.provider_plugin import ProviderPlugin

__all__ = [
    "ENTRY_POINT_GROUP",
    "InstalledProvider",
    "PluginHost",
    "PluginRecord",
    "ProviderPlugin",
    "installed_providers",
    "load_plugins",
]
