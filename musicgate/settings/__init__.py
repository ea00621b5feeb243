"""The operator's settings: one TOML file and the environment into frozen values, once, at start; nothing else reads either.

Unknown keys are errors that name the key and where it stands.
"""

from musicgate.settings.convert import NotTextError, decoded
from musicgate.settings.environment import PROXY_VARIABLES, keep_declared
from musicgate.settings.limits import AccountLimits
from musicgate.settings.load import PREFIX, load_settings
from musicgate.settings.resolve import ResolvedProvider, resolve
from musicgate.settings.rules import Hidden, Number, Rule, WebAddress, Whole, rule_of
from musicgate.settings.secrets import read_secret
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
    "PROXY_VARIABLES",
    "Account",
    "AccountLimits",
    "AssetSettings",
    "FollowSettings",
    "Hidden",
    "NetworkSettings",
    "NotTextError",
    "Number",
    "ResolvedProvider",
    "RetentionSettings",
    "Rule",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "WebAddress",
    "WebhookSettings",
    "Whole",
    "check_webhooks",
    "decoded",
    "keep_declared",
    "load_settings",
    "read_secret",
    "resolve",
    "rule_of",
]
