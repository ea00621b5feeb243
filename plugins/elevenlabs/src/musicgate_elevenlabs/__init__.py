"""Eleven Music for musicgate: this module is the plugin, its hooks are the functions imported here."""

from __future__ import annotations

from typing import Final

from musicgate_elevenlabs.declaration import provider
from musicgate_elevenlabs.read import map_status, parse_response
from musicgate_elevenlabs.translate import translate_request

__all__ = ["HOOK_API", "map_status", "parse_response", "provider", "translate_request"]

#: Version of the hooks that this plugin was built for.
HOOK_API: Final = 1
