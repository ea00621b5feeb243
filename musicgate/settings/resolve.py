"""What the operator said of one provider: file, environment and the plugin's own defaults together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from musicgate.errors import ConfigError
from musicgate.model import (
    Provider,
    ProviderSettings,
    RateWindow,
    Secret,
)
from musicgate.settings.convert import by_schema, is_finite
from musicgate.settings.rules import (
    Hidden,
    Switch,
    WebAddress,
    Whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.settings.rules import Rule
    from musicgate.settings.values import Settings

#: A shorter key is a mistake, and cannot be told from other text where it has to be masked.
MIN_KEY_CHARS = 8
#: Keys that every ``[providers.<plugin>]`` table may have, with their rules; the rest is the plugin's own.
_PROVIDER_KEYS: dict[str, Rule] = {
    "api_key": Hidden(is_word=True, min_chars=MIN_KEY_CHARS),
    "base_url": WebAddress(),
    "webhook_secret": Hidden(),
    "priority": Whole(at_least=-1_000_000, at_most=1_000_000),
    "enabled": Switch(),
    "max_parallel_creates": Whole(at_least=1, at_most=100_000),
    "create_window_calls": Whole(at_least=0, at_most=1_000_000),
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
        ConfigError: a value has the wrong type, range or form.
    """
    table = dict(settings.providers.get(provider.plugin, {}))
    common = _common(settings, provider, table)
    declared = provider.settings_schema.get("properties", {})
    properties: Mapping[str, Any] = declared if isinstance(declared, dict) else {}
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    return ResolvedProvider(
        provider=attrs.evolve(
            provider,
            priority=common.get("priority", provider.priority),
            max_parallel_creates=common.get("max_parallel_creates", provider.max_parallel_creates),
            create_window=_window(provider.create_window, common.get("create_window_calls")),
        ),
        settings=ProviderSettings(
            base_url=(common.get("base_url") or provider.base_url).rstrip("/"),
            options={**defaults, **_own(settings, provider.plugin, properties, table)},
            webhook_secret=common.get("webhook_secret"),
        ),
        key=common.get("api_key"),
        enabled=common.get("enabled", True),
    )


def _common(settings: Settings, provider: Provider, table: dict[str, Any]) -> dict[str, Any]:
    """What was said of the keys that every provider has, taken out of its table; the vendor's own variables beat the table."""
    variables = {
        "api_key": provider.key_env,
        "base_url": provider.base_url_env,
        "webhook_secret": provider.webhook_secret_env,
    }
    read = {}
    for name, rule in _PROVIDER_KEYS.items():
        key = f"providers.{provider.plugin}.{name}"
        variable = variables.get(name)
        text = settings.environ.get(variable, "").strip() if variable else ""
        said = table.pop(name, None)
        if text:
            read[name] = rule.read(text, key=key, source=variable)
        elif said is not None:
            read[name] = rule.read(said, key=key, source=settings.source_of(key))
    return read


def _own(
    settings: Settings, plugin: str, properties: Mapping[str, Any], table: Mapping[str, Any]
) -> dict[str, Any]:
    """The plugin's own settings, of the types that their schema names."""
    typed = {}
    for name, value in table.items():
        key = f"providers.{plugin}.{name}"
        if name not in properties:
            raise ConfigError("no such setting of this plugin", key=key, source=settings.source_of(key))
        if not is_finite(value):
            raise ConfigError("must be a finite number", key=key, source=settings.source_of(key))
        typed[name] = by_schema(properties[name], value)
    return typed


def _window(declared: RateWindow | None, calls: int | None) -> RateWindow | None:
    """The declared window with the operator's number of calls; 0 = no window."""
    if declared is None or calls is None:
        return declared
    return attrs.evolve(declared, calls=calls) if calls else None
