"""MiniMax Music, as a musicgate plugin: this module is what the entry point names, and holds the hooks."""

from typing import TYPE_CHECKING

from musicgate.plugin import hookimpl
from musicgate_minimax.declaration import provider
from musicgate_minimax.read import map_status, parse_response
from musicgate_minimax.translate import translate_request

if TYPE_CHECKING:
    from musicgate.emulation import Emulator, EmulatorOptions

HOOK_API = 1

__all__ = ["HOOK_API", "emulator", "map_status", "parse_response", "provider", "translate_request"]


@hookimpl
def emulator(options: "EmulatorOptions") -> "Emulator":
    """A fresh MiniMax, played. It is imported here, so that real work does not pay for it."""
    from musicgate_minimax.emulation import MiniMaxEmulator

    return MiniMaxEmulator(options)
