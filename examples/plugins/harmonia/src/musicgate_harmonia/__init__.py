"""Harmonia as a musicgate plugin: this module is the plugin, its hooks are in those beside it.

None of these modules may have the name of a hook: importing ``emulator.py`` would replace the hook
`emulator`.
"""

from musicgate.emulation import Emulator, EmulatorOptions
from musicgate.plugin import hookimpl

from musicgate_harmonia.callback import parse_callback
from musicgate_harmonia.declaration import provider
from musicgate_harmonia.read import (
    cancel_request,
    map_status,
    parse_response,
    poll_request,
)
from musicgate_harmonia.translate import translate_request

__all__ = [
    "HOOK_API",
    "cancel_request",
    "emulator",
    "map_status",
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
    """Make an emulator of Harmonia."""
    # Imported here, so that a gateway without the sandbox does not load it.
    from musicgate_harmonia.emulation import HarmoniaEmulator

    return HarmoniaEmulator(options)
