"""MiniMax Music, as a musicgate plugin: this module is what the entry point names, and holds the hooks."""

from musicgate_minimax.declaration import provider
from musicgate_minimax.translate import translate_request

HOOK_API = 1

__all__ = ["HOOK_API", "provider", "translate_request"]
