"""Suno over kie.ai, as a musicgate plugin: this module is the plugin and exports its hooks."""

from musicgate.emulation import Emulator, EmulatorOptions
from musicgate.plugin import hookimpl
from musicgate_suno_kie.declaration import provider
from musicgate_suno_kie.read import parse_callback, parse_response
from musicgate_suno_kie.translate import poll_request, translate_request

__all__ = [
    "HOOK_API",
    "emulator",
    "parse_callback",
    "parse_response",
    "poll_request",
    "provider",
    "translate_request",
]

#: Version of `musicgate.plugin.hooks` that this plugin was built for.
HOOK_API = 1


@hookimpl
def emulator(options: EmulatorOptions) -> Emulator:
    """Make an emulator of kie.ai; imported late, so that real traffic does not load it."""
    from musicgate_suno_kie.emulator_service import SunoEmulator

    return SunoEmulator(options)
