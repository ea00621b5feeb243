"""MiniMax Music, as a musicgate plugin: this module is the plugin and exports its hooks."""

from typing import TYPE_CHECKING

from musicgate.plugin import hookimpl
from musicgate_minimax.declaration import provider
from musicgate_minimax.read import parse_response
from musicgate_minimax.translate import translate_request

if TYPE_CHECKING:
    from musicgate.emulation import Emulator, EmulatorOptions

__all__ = ["HOOK_API", "emulator", "parse_response", "provider", "translate_request"]

#: Version of `musicgate.plugin.hooks` that this plugin was built for.
HOOK_API = 1


@hookimpl
def emulator(options: "EmulatorOptions") -> "Emulator":
    """Make an emulator of MiniMax; imported late, so that real traffic does not load it."""
    from musicgate_minimax.emulator_service import MiniMaxEmulator

    return MiniMaxEmulator(options)
