"""An account's webhook address and signing secrets; it sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from musicgate.errors import RequestError
from musicgate.model import is_address
from musicgate.webhooks.rules import announce

if TYPE_CHECKING:
    from musicgate.accounts import AccountBook
    from musicgate.model import Delivery, Job, Secret
    from musicgate.webhooks.context import WebhookContext


@attrs.frozen(kw_only=True)
class Target:
    """The webhook settings of an account.

    Attributes:
        url: default address of messages about its jobs; None = none is sent.
        secrets: the newest first; empty = nothing can be signed, so nothing is sent.
        setting: name of the newest secret's setting, for error messages.
    """

    url: str | None
    secrets: tuple[Secret, ...]
    setting: str


def target_of(accounts: AccountBook, account: str) -> Target:
    """The account's own settings; those of ``[webhooks]`` where the server has no accounts.

    An account that rotates its key has two entries for a while; the one with a secret counts.
    """
    entries = accounts.entries_of(account)
    if entries:
        own = next((entry for entry in entries if entry.webhook_secret), entries[0])
        url, secrets = own.webhook_url, (own.webhook_secret, own.webhook_secret_previous)
        place = " in [[accounts]]" if account in accounts.in_settings else ""
        setting = f"webhook_secret of the account {account}{place}"
    else:
        usual = accounts.settings.webhooks
        url, secrets = usual.url, (usual.secret, usual.secret_previous)
        setting = "webhooks.secret"
    known = tuple(secret for secret in secrets if secret is not None)
    return Target(url=url or None, secrets=known, setting=setting)


def check_url(accounts: AccountBook, account: str, url: str) -> None:
    """Return if messages to that address can be signed and sent.

    Raises:
        RequestError: 400; the account has no secret, or the text is no address.
    """
    if not is_address(url):
        raise RequestError("validation_error", "is no http or https address", path=("webhook_url",))
    target = target_of(accounts, account)
    if not target.secrets:
        message = f"there is no secret to sign webhooks with; the operator sets {target.setting}"
        raise RequestError(
            "validation_error", message, reason="webhook_secret_missing", path=("webhook_url",)
        )


def messages_about(context: WebhookContext, before: Job, after: Job) -> tuple[Delivery, ...]:
    """The messages that a change of a job causes: one when it ends and there is an address."""
    if before.state.is_final or not after.state.is_final:
        return ()
    url = after.request.webhook_url or target_of(context.accounts, after.account).url
    return (announce(after, url, context.new_id("msg_")),) if url else ()
