"""Eleven Music, as a musicgate plugin: this module is the plugin and exports its hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import hookimpl
from musicgate_elevenlabs.declaration import provider
from musicgate_elevenlabs.read import parse_response
from musicgate_elevenlabs.translate import translate_request

if TYPE_CHECKING:
    from musicgate.emulation import Emulator, EmulatorOptions

__all__ = ["HOOK_API", "emulator", "parse_response", "provider", "translate_request"]

#: Version of `musicgate.plugin.hooks` that this plugin was built for.
HOOK_API: Final = 1


@hookimpl
def emulator(options: EmulatorOptions) -> Emulator:
    """Make an emulator of Eleven Music; imported late, so that real traffic does not load it."""
    from musicgate_elevenlabs.emulator_service import ElevenLabsEmulator

    return ElevenLabsEmulator(options)
