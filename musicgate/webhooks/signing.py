"""Sign and verify webhooks by Standard Webhooks; the only importer of ``standardwebhooks``.

Both sides are here: the gateway signs its messages, and a customer checks them with `verify_webhook`.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md 1.0.0, read 2026-11-20.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from standardwebhooks import Webhook, WebhookVerificationError

from musicgate.errors import RequestError, UnauthorisedError
from musicgate.settings import read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from musicgate.model import Secret


def sign(secrets: Sequence[Secret], message_id: str, at: datetime, body: str) -> dict[str, str]:
    """The three headers of a message; two secrets make two signatures, so that a receiver can rotate.

    Args:
        secrets: the newest first.
        message_id: the same for every try.
        at: when this try is made, aware.
        body: exactly what is sent.
    """
    signatures = [Webhook(secret.reveal()).sign(message_id, at, body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def verify_webhook(headers: Mapping[str, str], body: bytes | str, secret: str) -> dict[str, Any]:
    """Check the signature of a received webhook and read it; for applications that receive webhooks.

    Messages come at least once: skip those whose ``webhook-id`` header you have seen. In an aiohttp handler::

        message = musicgate.verify_webhook(request.headers, await request.read(), secret)

    Args:
        headers: as received, in upper or lower case.
        body: as received, byte for byte; JSON that was parsed and written again has another signature.
        secret: ``whsec_...``, the account's ``webhook_secret``.

    Returns:
        ``type``, ``timestamp`` and ``data``: the job, as ``GET /v1/music/generate/{id}`` shows it.

    Raises:
        UnauthorisedError: a header is missing, the signature does not match, or it is over five minutes old.
        RequestError: the signature matches, but the body is no JSON object.
        ConfigError: the secret has the wrong form.
    """
    webhook = Webhook(read_secret(secret, key="secret").reveal())
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except WebhookVerificationError as exc:
        raise UnauthorisedError("invalid_webhook_signature", f"not a webhook of ours: {exc}") from exc
    except ValueError as exc:  # the library does not catch what malformed headers and bodies raise
        message = "not a webhook of ours: the signature cannot be read"
        raise UnauthorisedError("invalid_webhook_signature", message) from exc
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise RequestError("invalid_json", "the webhook's body is not JSON") from exc
    if not isinstance(message, dict):
        raise RequestError("invalid_json", "the webhook's body is no JSON object")
    return message
