"""The subcommands of ``musicgate plugins``; each is imported when it is called."""

from __future__ import annotations

from typing import Final

from musicgate.cli.groups import LazyGroup

#: Message of a command whose optional dependencies are not installed.
NEEDS_TESTING: Final = 'this command needs {library}; install it with:  pip install "musicgate[testing]"'


class PluginGroup(LazyGroup):
    """The commands ``check`` and ``new``."""

    TABLE = {  # noqa: RUF012 - as the base class declares it
        "check": ("plugin_check", "check", "Run the compliance kit on an installed plugin."),
        "new": ("plugin_new", "new", "Create a plugin distribution for a vendor."),
    }
