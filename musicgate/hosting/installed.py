"""Combine a plugin with the operator's settings and key into a provider that can be called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from musicgate.codec import SchemaValidator
from musicgate.errors import ConfigError, InvalidRequestError, PluginError
from musicgate.plugin import HttpRequest
from musicgate.settings import resolve
from musicgate.text import Masker, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from musicgate.hosting.discovery import PluginHost
    from musicgate.hosting.provider_plugin import ProviderPlugin
    from musicgate.model import Provider, ProviderSettings, Secret
    from musicgate.settings import Settings

_ANY_URL: Final = "https://vendor.example/"


@attrs.frozen(kw_only=True)
class InstalledProvider:
    """A provider that can be called.

    Attributes:
        plugin: its hooks.
        provider: the declaration, with the operator's priority.
        settings: base URL, webhook secret and the plugin's own settings.
        key: the API key; None = requests can be planned for it, and sent only if it needs no key.
        name: the plugin's name.
        key_header: the header with the key, or none without a key.
        has_usable_key: False if the key cannot be put into a header, because of a line break in it for
            instance.
    """

    plugin: ProviderPlugin
    provider: Provider
    settings: ProviderSettings
    key: Secret | None
    # Fields, since with a cached property each access to any field of the class would be a slow one.
    name: str = attrs.field(init=False)
    key_header: Mapping[str, str] = attrs.field(init=False, repr=False)
    has_usable_key: bool = attrs.field(init=False)
    _masker: Masker = attrs.field(init=False, repr=False, eq=False)
    _whole_masker: Masker = attrs.field(init=False, repr=False, eq=False)

    def masker(self, callback_token: str, *, whole: bool = False) -> Masker:
        """Return a `musicgate.text.Masker` of the provider's secrets and a job's callback token."""
        return (self._whole_masker if whole else self._masker).and_one(callback_token)

    def finds_secret(self, texts: Iterable[str], callback_token: str) -> bool:
        """Return True if a whole secret of the provider, or a job's token, is in one of the texts."""
        return self._whole_masker.finds_any(texts, also=callback_token)

    @property
    def can_be_called(self) -> bool:
        """True if it has a key, or needs none."""
        return self.key is not None or self.provider.key_optional

    def media_headers(self, link: str) -> Mapping[str, str] | None:
        """The headers for a link at the vendor's own address that wants the key; None for any other link."""
        is_own = self.provider.media_needs_key and link.startswith(f"{self.settings.base_url}/")
        return self.key_header if is_own else None

    @name.default
    def _plugin_name(self) -> str:
        return self.provider.plugin

    @key_header.default
    def _header_of_key(self) -> Mapping[str, str]:
        auth = self.provider.auth
        return {auth.header: auth.value(self.key.reveal())} if self.key else {}

    @has_usable_key.default
    def _can_send_key(self) -> bool:
        return HttpRequest(method="GET", url=_ANY_URL, headers=self.key_header).fault() is None

    @_masker.default
    def _masker_of_parts(self) -> Masker:
        return Masker(self._secrets)

    @_whole_masker.default
    def _masker_of_whole(self) -> Masker:
        return Masker(self._secrets, whole=True)

    @property
    def _secrets(self) -> tuple[str, ...]:
        secrets = (self.key, self.settings.webhook_secret)
        return tuple(secret.reveal() for secret in secrets if secret is not None)


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
                else f"no such plugin is installed (there are {names}){did_you_mean(name, host.providers)}"
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
