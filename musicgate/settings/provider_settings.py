"""Combines file, environment and the plugin's declaration into the settings of one provider."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from musicgate.errors import ConfigError
from musicgate.model import Provider, ProviderSettings, RateWindow, Secret
from musicgate.settings.rules import Number, Switch, Whole, rule_of
from musicgate.settings.values import ProviderTable
from musicgate.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.settings.rules import Rule
    from musicgate.settings.values import Settings

_BY_SCHEMA_TYPE: Mapping[object, Rule] = {"integer": Whole(), "number": Number(), "boolean": Switch()}


@attrs.frozen(kw_only=True)
class ResolvedProvider:
    """Settings of one provider, complete. ``key`` is None if none is set."""

    provider: Provider
    settings: ProviderSettings
    key: Secret | None
    enabled: bool


def resolve(settings: Settings, provider: Provider) -> ResolvedProvider:
    """Combine a provider's settings. The plugin's own options are not checked against its schema here.

    Raises:
        ConfigError: A value has the wrong type, range or form, or a key is unknown.
    """
    common, own = _split(settings, provider)
    return ResolvedProvider(
        provider=attrs.evolve(
            provider,
            priority=provider.priority if common.priority is None else common.priority,
            # 0 is not allowed: `or` falls back for None only.
            max_parallel_creates=common.max_parallel_creates or provider.max_parallel_creates,
            create_window=_window(provider.create_window, common.create_window_calls),
        ),
        settings=ProviderSettings(
            base_url=(common.base_url or provider.base_url).rstrip("/"),
            options=own,
            webhook_secret=common.webhook_secret,
        ),
        key=common.api_key,
        enabled=common.enabled,
    )


def _split(settings: Settings, provider: Provider) -> tuple[ProviderTable, dict[str, Any]]:
    """The common settings of a provider, and the plugin's own. Vendor variables override the table."""
    fields = attrs.fields_dict(ProviderTable)
    given: dict[str, tuple[Any, str | None]] = {
        name: (value, settings.source_of(f"providers.{provider.plugin}.{name}"))
        for name, value in settings.providers.get(provider.plugin, {}).items()
    }
    variables = {
        "api_key": provider.key_env,
        "base_url": provider.base_url_env,
        "webhook_secret": provider.webhook_secret_env,
    }
    for name, variable in variables.items():
        text = settings.environ.get(variable, "").strip() if variable else ""
        if text:
            given[name] = (text, variable)
    properties: Any = provider.settings_schema.get("properties", {})
    properties = properties if isinstance(properties, dict) else {}
    common = {}
    own = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    for name, (value, source) in given.items():
        key = f"providers.{provider.plugin}.{name}"
        if name in fields:
            common[name] = rule_of(fields[name]).read(value, key=key, source=source)
        elif name not in properties:
            suggestion = did_you_mean(name, [*fields, *properties])
            raise ConfigError(f"no such setting of this plugin{suggestion}", key=key, source=source)
        elif not _is_finite(value):
            raise ConfigError("must be a finite number", key=key, source=source)
        else:
            own[name] = _typed(properties[name], value)
    return ProviderTable(**common), own


def _typed(schema: Mapping[str, Any], value: object) -> object:
    """Convert text to the type in the plugin's schema; what cannot be converted is left to the schema."""
    text = value.strip() if isinstance(value, str) else value
    rule = _BY_SCHEMA_TYPE.get(schema["type"]) if isinstance(schema.get("type"), str) else None
    try:
        return rule.read(text, key="") if rule and isinstance(text, str) else text
    except ConfigError:
        return text


def _is_finite(value: object) -> bool:
    """False if a value contains NaN or infinity, which JSON Schema accepts although JSON has neither."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(_is_finite(item) for item in value.values())
    return all(_is_finite(item) for item in value) if isinstance(value, list) else True


def _window(declared: RateWindow | None, calls: int | None) -> RateWindow | None:
    """The declared window with the operator's number of calls; 0 = no window."""
    if declared is None or calls is None:
        return declared
    return attrs.evolve(declared, calls=calls) if calls else None
