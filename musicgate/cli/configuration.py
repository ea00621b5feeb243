"""Reads settings and plugins for a command; the command line's own variables are kept away from the settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from musicgate.hosting import load_plugins
from musicgate.settings import keep_declared, load_settings

if TYPE_CHECKING:
    from musicgate.hosting import PluginHost
    from musicgate.settings import Settings

#: Variables with the prefix of the settings that are options of this command line.
OWN_VARIABLES = frozenset({"MUSICGATE_URL", "MUSICGATE_API_KEY", "MUSICGATE_TRACEBACK"})


def read_settings(config: str | None) -> Settings:
    """Settings from ``--config`` (None = ``musicgate.toml`` where there is one) and the environment.

    Raises:
        ConfigError: a setting is wrong.
    """
    environ = {name: value for name, value in os.environ.items() if name not in OWN_VARIABLES}
    return load_settings(Path(config) if config else None, environ)


def read_all(config: str | None) -> tuple[Settings, PluginHost]:
    """The settings, and every plugin that is installed.

    Raises:
        ConfigError: a setting is wrong.
    """
    settings, host = read_settings(config), load_plugins()
    return keep_declared(settings, (plugin.provider for plugin in host.providers.values())), host
