"""Suno over apiin.one, as a musicgate plugin: this module is the plugin and exports its hooks."""

from musicgate_apiin_one.declaration import provider
from musicgate_apiin_one.emulator_server import emulator
from musicgate_apiin_one.read import parse_callback, parse_response, poll_request
from musicgate_apiin_one.translate import translate_request

__all__ = [
    "HOOK_API",
    "emulator",
    "parse_callback",
    "parse_response",
    "poll_request",
    "provider",
    "translate_request",
]

#: The version of the hooks that this plugin was built for.
HOOK_API = 1
