"""The operator's settings: one TOML file and the environment, read once at start into frozen values.

Start with `values`, which has every setting as a field. `rules` knows types and ranges, `load` reads the file
and the environment, `resolve` adds what a plugin declares. No error message shows a value.
"""

from musicgate.settings.audit import AuditSettings
from musicgate.settings.decode import NotTextError, decoded
from musicgate.settings.environment import PROXY_VARIABLES, keep_declared
from musicgate.settings.limits import AccountLimits, RetentionSettings
from musicgate.settings.load import OTHER_VARIABLES, load_settings, variable_of
from musicgate.settings.provider_settings import resolve
from musicgate.settings.rules import Hidden, Moment, WebAddress, doc_of, rule_of
from musicgate.settings.secrets import read_secret
from musicgate.settings.values import (
    SECTIONS,
    Account,
    AssetSettings,
    FollowSettings,
    NetworkSettings,
    ProviderTable,
    ServerSettings,
    Settings,
    StoreSettings,
    WebhookSettings,
)
from musicgate.settings.webhooks import check_webhooks

__all__ = [
    "OTHER_VARIABLES",
    "PROXY_VARIABLES",
    "SECTIONS",
    "Account",
    "AccountLimits",
    "AssetSettings",
    "AuditSettings",
    "FollowSettings",
    "Hidden",
    "Moment",
    "NetworkSettings",
    "NotTextError",
    "ProviderTable",
    "RetentionSettings",
    "ServerSettings",
    "Settings",
    "StoreSettings",
    "WebAddress",
    "WebhookSettings",
    "check_webhooks",
    "decoded",
    "doc_of",
    "keep_declared",
    "load_settings",
    "read_secret",
    "resolve",
    "rule_of",
    "variable_of",
]
