"""Checks webhook settings across fields: every address needs a signing secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.errors import ConfigError
from musicgate.model import is_address
from musicgate.settings.secrets import read_secret

if TYPE_CHECKING:
    from musicgate.settings.values import Settings


def check_webhooks(settings: Settings) -> None:
    """Check that every webhook address is valid and has a signing secret.

    Raises:
        ConfigError: Names the setting; never shows a secret.
    """
    server = settings.webhooks
    if settings.accounts and (server.url or server.secret):
        message = (
            "is for a server without accounts; set webhook_url and webhook_secret of each of [[accounts]]"
        )
        raise ConfigError(message, key="webhooks", source=settings.source)
    targets = [("webhooks.", server.url, server.secret, server.secret_previous)]
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
        for name, value in (("secret", secret), ("secret_previous", previous)):
            if value is not None:
                key = f"{prefix}{name}"
                read_secret(value.reveal(), key=key, source=settings.source_of(key))
