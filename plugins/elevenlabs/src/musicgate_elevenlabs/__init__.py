"""Eleven Music for musicgate: this module is the plugin, its hooks are the functions named here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import hookimpl
from musicgate_elevenlabs.declaration import provider
from musicgate_elevenlabs.read import map_status, parse_response
from musicgate_elevenlabs.translate import translate_request

if TYPE_CHECKING:
    from musicgate.emulation import Emulator, EmulatorOptions

__all__ = ["HOOK_API", "emulator", "map_status", "parse_response", "provider", "translate_request"]

#: Version of the hooks that this plugin was built for.
HOOK_API: Final = 1


@hookimpl
def emulator(options: EmulatorOptions) -> Emulator:
    """A fresh Eleven Music, played. Loaded only here: a gateway that talks to the real vendor never needs it."""
    from musicgate_elevenlabs.emulator_routes import ElevenLabsEmulator

    return ElevenLabsEmulator(options)
