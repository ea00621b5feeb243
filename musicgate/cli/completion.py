"""``completion``: print a script that completes commands, options and names in a shell.

Click makes the script and the answers itself, so no library beside it is needed: shtab and argcomplete read
parsers of argparse, which this command line does not have. A Tab starts musicgate for about as long as
``--help`` does; names of models and providers take a little longer, since the plugins are loaded for them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from musicgate.hosting import ProviderPlugin

SHELLS: Final = ("bash", "zsh", "fish")
#: Where each shell reads the script when it starts.
_HINTS: Final = {
    "bash": 'eval "$(musicgate completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(musicgate completion zsh)"  # in ~/.zshrc, after compinit',
    "fish": "musicgate completion fish | source  # in ~/.config/fish/config.fish",
}


@click.command(epilog="Put into the shell's start file: " + "; ".join(_HINTS.values()))
@click.argument("shell", type=click.Choice(SHELLS))
def completion(*, shell: str) -> None:
    """Print a script that completes musicgate in SHELL: commands, options, models and providers."""
    from click.shell_completion import get_completion_class

    from musicgate.cli import PROGRAM, cli
    from musicgate.cli.terminal import say

    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click has all of `SHELLS`
        raise click.UsageError(f"click cannot complete in {shell}.")
    maker = kind(cli, {}, PROGRAM, f"_{PROGRAM}_COMPLETE".upper())
    # Not `maker.source()`, which runs bash for its version, and prints warnings.
    say(maker.source_template % maker.source_vars())


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Ids of models that begin so."""
    return _beginning(incomplete, lambda plugin: (offer.model for offer in plugin.provider.offers))


def providers(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of providers and plugins that begin so."""
    return _beginning(incomplete, lambda plugin: (plugin.provider.name, plugin.provider.plugin))


def plugins(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of plugins that begin so."""
    return _beginning(incomplete, lambda plugin: (plugin.provider.plugin,))


def schemas(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of published schemas that begin so."""
    import musicgate_schemas

    return [name for name in musicgate_schemas.NAMES if name.startswith(incomplete)]


def _beginning(incomplete: str, names_of: Callable[[ProviderPlugin], Iterable[str]]) -> list[str]:
    with contextlib.suppress(Exception):  # a Tab never prints an error
        from musicgate.hosting import load_plugins

        known = {name for plugin in load_plugins().providers.values() for name in names_of(plugin)}
        return sorted(name for name in known if name.startswith(incomplete))
    return []
