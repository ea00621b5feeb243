"""Read and verify Harmonia's hook; a claim is a hint to poll, never a fact.

``Harmonia-Signature: at=<ISO time>; sig=<base64>`` covers the time and the digest of the body.
Source: VENDOR.md, 2026-11-20.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from musicgate.plugin import CallbackClaim, HttpResponse, ProviderSettings, Secret, hookimpl
from musicgate.plugin.lenient import mapping, moment, text

SIGNATURE_HEADER: Final = "harmonia-signature"
#: Oldest signature that is accepted, in seconds.
SIGNATURE_WINDOW_S: Final = 300.0


@hookimpl
def parse_callback(
    headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
) -> CallbackClaim:
    """Read and verify a callback. Without a secret the URL's token is the only proof.

    Raises:
        ProviderError: class ``protocol``, when the body is not a JSON object.
    """
    secret = settings.webhook_secret
    refusal = _refusal(headers.get(SIGNATURE_HEADER, ""), body, secret, now) if secret else None
    if refusal:
        return CallbackClaim(verified=False, message=refusal)
    performance = mapping(HttpResponse(status=200, body=body).json_object().get("performance"))
    return CallbackClaim(
        native_id=text(performance.get("ref")),
        native_status=text(performance.get("state")),
        verified=True if secret else None,
    )


def sign(body: bytes, at: str, secret: Secret) -> str:
    """Compute the signature of a callback."""
    message = f"{at}\n{hashlib.sha256(body).hexdigest()}".encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.new(secret.reveal().encode(), message, hashlib.sha256).digest()).decode()


def _refusal(header: str, body: bytes, secret: Secret, now: float) -> str | None:
    """Say why a callback is refused; None for a good one."""
    parts = dict(part.strip().partition("=")[::2] for part in header.split(";"))
    at, given = parts.get("at", ""), parts.get("sig", "")
    sent_at = moment(at)
    if sent_at is None or not given:
        return "the callback is not signed"
    if abs(now - sent_at.timestamp()) > SIGNATURE_WINDOW_S:
        return "the signature is too old or from the future"
    wanted = sign(body, at, secret)
    if not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "surrogatepass")):
        return "the signature does not match"
    return None
