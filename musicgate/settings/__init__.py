"""The operator's settings: one TOML file and the environment into frozen values, once, at start; nothing else reads either.

Unknown keys are errors that name the key and where it stands.
"""

from musicgate.settings.load import PREFIX, load_settings
from musicgate.settings.resolve import ResolvedProvider, resolve
from musicgate.settings.values import (
    Account,
    AssetSettings,
    FollowSettings,
    NetworkSettings,
    RetentionSettings,
    ServerSettings,
    Settings,
    StoreSettings,
    WebhookSettings,
)
from musicgate.settings.webhooks import check_webhooks

__all__ = [
    "PREFIX",
    "Account",
    "AssetSettings",
    "FollowSettings",
    "NetworkSettings",
    "ResolvedProvider",
    "RetentionSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "WebhookSettings",
    "check_webhooks",
    "load_settings",
    "resolve",
]
