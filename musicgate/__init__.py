"""The public API: what a plugin, an embedding application and a test import, and nothing else.

Names are loaded when they are first used, so that ``import musicgate`` costs nothing that is not needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musicgate.errors import (
        ConfigError,
        InvalidRequestError,
        JobNotFoundError,
        MusicgateError,
        PluginError,
        ProviderError,
        RequestError,
        StorageError,
        UnauthorisedError,
        UnsupportedOptionError,
    )
    from musicgate.gateway import Gateway
    from musicgate.hosting import load_plugins
    from musicgate.model import (
        Failure,
        FailureClass,
        Job,
        JobState,
        JobUpdate,
        MusicRequest,
        NativeTrack,
        Offer,
        OptionWarning,
        Provider,
        Track,
        WarningCode,
    )
    from musicgate.plugin import (
        HOOK_API,
        CallbackClaim,
        HttpRequest,
        HttpResponse,
        Revision,
        Step,
        Translation,
        hookimpl,
    )
    from musicgate.settings import Settings
    from musicgate.webhooks import verify_webhook

_HOMES = {
    "musicgate.errors": (
        "ConfigError",
        "InvalidRequestError",
        "JobNotFoundError",
        "MusicgateError",
        "PluginError",
        "ProviderError",
        "RequestError",
        "StorageError",
        "UnauthorisedError",
        "UnsupportedOptionError",
    ),
    "musicgate.gateway": ("Gateway",),
    "musicgate.hosting": ("load_plugins",),
    "musicgate.plugin.hooks": ("HOOK_API", "CallbackClaim", "Revision", "Step", "Translation", "hookimpl"),
    "musicgate.model": (
        "Failure",
        "FailureClass",
        "Job",
        "JobState",
        "JobUpdate",
        "MusicRequest",
        "NativeTrack",
        "Offer",
        "OptionWarning",
        "Provider",
        "Track",
        "WarningCode",
    ),
    "musicgate.settings": ("Settings",),
    "musicgate.webhooks.signing": ("verify_webhook",),
    "musicgate.plugin.wire": ("HttpRequest", "HttpResponse"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "HOOK_API",
    "CallbackClaim",
    "ConfigError",
    "Failure",
    "FailureClass",
    "Gateway",
    "HttpRequest",
    "HttpResponse",
    "InvalidRequestError",
    "Job",
    "JobNotFoundError",
    "JobState",
    "JobUpdate",
    "MusicRequest",
    "MusicgateError",
    "NativeTrack",
    "Offer",
    "OptionWarning",
    "PluginError",
    "Provider",
    "ProviderError",
    "RequestError",
    "Revision",
    "Settings",
    "Step",
    "StorageError",
    "Track",
    "Translation",
    "UnauthorisedError",
    "UnsupportedOptionError",
    "WarningCode",
    "hookimpl",
    "load_plugins",
    "verify_webhook",
]


def __getattr__(name: str) -> object:
    """Load a public name from its home on first use."""
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module 'musicgate' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
