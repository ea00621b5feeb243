"""What the operator said of one provider: file, environment and the plugin's own defaults together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from musicgate.errors import ConfigError
from musicgate.model import Provider, ProviderSettings, RateWindow, Secret
from musicgate.settings.convert import by_schema, typed_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.settings.values import Settings

#: Keys that every ``[providers.<plugin>]`` table may have; the rest is the plugin's own.
_PROVIDER_KEYS = {
    "api_key": str,
    "base_url": str,
    "webhook_secret": str,
    "priority": int,
    "enabled": bool,
    "max_parallel_creates": int,
    "create_window_calls": int,
}


@attrs.frozen(kw_only=True)
class ResolvedProvider:
    """What the operator said of one provider, complete. ``key`` is None where none is set."""

    provider: Provider
    settings: ProviderSettings
    key: Secret | None
    enabled: bool


def resolve(settings: Settings, provider: Provider) -> ResolvedProvider:
    """What the operator said of a provider: file, environment and defaults together. The plugin's options are not validated here.

    Raises:
        ConfigError: a value has the wrong type.
    """
    where = f"providers.{provider.plugin}"
    table = dict(settings.providers.get(provider.plugin, {}))
    common: dict[str, Any] = {}
    for name, kind in _PROVIDER_KEYS.items():
        if name in table:
            common[name] = typed_value(kind, table.pop(name), f"{where}.{name}", settings.source)
    environ = settings.environ
    key = environ.get(provider.key_env) or common.get("api_key")
    secret = (
        environ.get(provider.webhook_secret_env) if provider.webhook_secret_env else None
    ) or common.get("webhook_secret")
    base_url: str = environ.get(provider.base_url_env) or common.get("base_url") or provider.base_url
    if not base_url.startswith(("http://", "https://")):
        raise ConfigError(
            "must begin with http:// or https://", key=f"{where}.base_url", source=settings.source
        )
    if common.get("max_parallel_creates", 1) < 1:
        raise ConfigError("must be at least 1", key=f"{where}.max_parallel_creates", source=settings.source)
    if common.get("create_window_calls", 0) < 0:
        raise ConfigError("must not be negative", key=f"{where}.create_window_calls", source=settings.source)
    declared = provider.settings_schema.get("properties", {})
    properties: Mapping[str, Any] = declared if isinstance(declared, dict) else {}
    for name in table:
        if name not in properties:
            raise ConfigError("no such setting of this plugin", key=f"{where}.{name}", source=settings.source)
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    typed = {name: by_schema(properties[name], value) for name, value in table.items()}
    return ResolvedProvider(
        provider=attrs.evolve(
            provider,
            priority=common.get("priority", provider.priority),
            max_parallel_creates=common.get("max_parallel_creates", provider.max_parallel_creates),
            create_window=_window(provider.create_window, common.get("create_window_calls")),
        ),
        settings=ProviderSettings(
            base_url=base_url.rstrip("/"),
            options={**defaults, **typed},
            webhook_secret=Secret(secret) if secret else None,
        ),
        key=Secret(key.strip()) if key and key.strip() else None,
        enabled=common.get("enabled", True),
    )


def _window(declared: RateWindow | None, calls: int | None) -> RateWindow | None:
    """The declared window with the operator's number of calls; 0 = no window."""
    if declared is None or calls is None:
        return declared
    return attrs.evolve(declared, calls=calls) if calls else None
