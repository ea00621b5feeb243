"""Combine a plugin with the operator's settings and key into a provider that can be called."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs

from musicgate.codec import SchemaValidator
from musicgate.errors import ConfigError, InvalidRequestError, PluginError
from musicgate.settings import resolve
from musicgate.text import Masker

if TYPE_CHECKING:
    from musicgate.hosting.discovery import PluginHost
    from musicgate.hosting.provider_plugin import ProviderPlugin
    from musicgate.model import Provider, ProviderSettings, Secret
    from musicgate.settings import Settings


@attrs.frozen(kw_only=True)
class InstalledProvider:
    """A provider that can be called.

    Attributes:
        plugin: its hooks.
        provider: the declaration, with the operator's priority.
        settings: base URL, webhook secret and the plugin's own settings.
        key: the API key; None = requests can be planned for it, not sent.
    """

    plugin: ProviderPlugin
    provider: Provider
    settings: ProviderSettings
    key: Secret | None

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.provider.plugin

    def masker(self, callback_token: str, *, whole: bool = False) -> Masker:
        """Return a `musicgate.text.Masker` of the provider's secrets and a job's callback token."""
        secrets = (self.key, self.settings.webhook_secret)
        revealed = tuple(secret.reveal() for secret in secrets if secret is not None)
        return _masker((*revealed, callback_token), whole)


@functools.lru_cache(maxsize=256)
def _masker(secrets: tuple[str, ...], whole: bool) -> Masker:
    return Masker(secrets, whole=whole)


def installed_providers(settings: Settings, host: PluginHost) -> dict[str, InstalledProvider]:
    """Return every installed provider that is not switched off, with its settings checked.

    Raises:
        ConfigError: a ``[providers.<plugin>]`` table names no installed plugin, or breaks the plugin's
            settings schema.
    """
    for name in settings.providers:
        if name not in host.providers:
            names = ", ".join(sorted(host.providers)) or "none"
            broken = next(
                (record.error for record in host.records if record.name == name and record.error), None
            )
            message = (
                f"this plugin could not be loaded: {broken}"
                if broken
                else f"no such plugin is installed (there are {names})"
            )
            raise ConfigError(message, key=f"providers.{name}", source=settings.source)
    found = {}
    for name, plugin in host.providers.items():
        resolved = resolve(settings, plugin.provider)
        if not resolved.enabled:
            continue
        _check_options(name, plugin.provider.settings_schema, resolved.settings.options, settings.source)
        found[name] = InstalledProvider(
            plugin=plugin,
            provider=resolved.provider,
            settings=resolved.settings,
            key=resolved.key,
        )
    return found


def _check_options(name: str, schema: object, options: object, source: str | None) -> None:
    if not isinstance(schema, dict) or not schema:
        return
    try:
        SchemaValidator(schema).check(options)
    except InvalidRequestError as error:
        violation = error.violations[0]
        key = ".".join([f"providers.{name}", *map(str, violation.path)])
        raise ConfigError(violation.message, key=key, source=source) from None
    except Exception as exc:  # noqa: BLE001 - a plugin's schema may be anything; the error's text may quote an option
        raise PluginError(name, f"its settings schema is not valid ({type(exc).__name__})") from None
