"""Suno over kie.ai, as a musicgate plugin: this module is the plugin, its hooks live in the modules beside it."""

from musicgate_suno_kie.declaration import provider
from musicgate_suno_kie.translate import cancel_request, poll_request, translate_request

__all__ = ["HOOK_API", "cancel_request", "poll_request", "provider", "translate_request"]

#: Version of `musicgate.hookspecs` that this plugin was built for.
HOOK_API = 1
