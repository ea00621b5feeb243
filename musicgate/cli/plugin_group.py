"""The subcommands of ``musicgate plugins``; each is imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

_PACKAGE = "musicgate.cli"
#: Command -> module, which holds the command under its own name.
_MODULES = {"check": "plugin_check", "new": "plugin_new"}
#: Message of a command whose optional dependencies are not installed.
NEEDS_TESTING = 'this command needs {library}; install it with:  pip install "musicgate[testing]"'


class PluginGroup(click.Group):
    """The commands ``check`` and ``new``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List all names."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in _MODULES:
            return None
        command: click.Command = getattr(import_module(f"{_PACKAGE}.{_MODULES[cmd_name]}"), cmd_name)
        return command
