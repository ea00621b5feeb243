"""Reads settings and plugins for a command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from musicgate.hosting import load_plugins
from musicgate.settings import keep_declared, load_settings

if TYPE_CHECKING:
    from musicgate.hosting import PluginHost
    from musicgate.settings import Settings


def read_settings(config: str | None) -> Settings:
    """Read ``--config`` (None = ``musicgate.toml``, if it exists) and the environment.

    Raises:
        ConfigError: A setting is wrong.
    """
    return load_settings(Path(config) if config else None)


def read_all(config: str | None) -> tuple[Settings, PluginHost]:
    """Read the settings and load every installed plugin.

    Raises:
        ConfigError: A setting is wrong.
    """
    settings, host = read_settings(config), load_plugins()
    return keep_declared(settings, (plugin.provider for plugin in host.providers.values())), host
