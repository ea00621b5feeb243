"""What the settings of webhooks must hold together, however they came about: from a file or from a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from musicgate.errors import ConfigError
from musicgate.model import Secret, is_address
from musicgate.settings.rules import Hidden
from musicgate.settings.secrets import read_secret

if TYPE_CHECKING:
    from musicgate.settings.values import Settings


@attrs.frozen(kw_only=True)
class SigningSecret(Hidden):
    """The secret of a webhook's signature. Its form is checked where it is read, and by `check_webhooks` where code made it."""

    def read(self, value: object, *, key: str, source: str | None = None) -> Any:
        """A secret of the form ``whsec_...``; None for an empty text."""
        secret = super().read(value, key=key, source=source)
        return read_secret(secret.reveal(), key=key, source=source) if isinstance(secret, Secret) else None


def check_webhooks(settings: Settings) -> None:
    """Return if every address that is told about jobs is one and can be signed for.

    Raises:
        ConfigError: it names the setting, and never shows a secret.
    """
    own = settings.webhooks
    if settings.accounts and (own.url or own.secret):
        message = (
            "is for a server without accounts; set webhook_url and webhook_secret of each of [[accounts]]"
        )
        raise ConfigError(message, key="webhooks", source=settings.source)
    targets = [("webhooks.", own.url, own.secret, own.secret_previous)]
    for index, account in enumerate(settings.accounts):
        secrets = (account.webhook_secret, account.webhook_secret_previous)
        targets.append((f"accounts[{index}].webhook_", account.webhook_url, *secrets))
    for prefix, url, secret, previous in targets:
        if url and not is_address(url):
            key = f"{prefix}url"
            raise ConfigError("must be an http or https address", key=key, source=settings.source_of(key))
        if secret is None and (url or previous):
            message = f"is missing; {prefix}{'url' if url else 'secret_previous'} needs it"
            raise ConfigError(message, key=f"{prefix}secret", source=settings.source)
        for name, text in (("secret", secret), ("secret_previous", previous)):
            if text is not None:
                read_secret(
                    text.reveal(), key=f"{prefix}{name}", source=settings.source_of(f"{prefix}{name}")
                )
