"""The shapes of callbacks and the check of their signature; a callback is a hint, never a verdict.

Four shapes are read: Suno's own (``data.callbackType``, ``data.task_id``), the market's (``data.taskId``,
``data.state``), one that looks like a record (``data.status``; reported by one project), and ids at the top
level. Which of them market tasks send is unknown.

Source: docs.kie.ai/suno-api/generate-music-callbacks, docs.kie.ai/common-api/webhook-verification, early
2026.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from musicgate.plugin import CallbackClaim, HttpResponse, ProviderSettings, Secret, hookimpl
from musicgate.plugin.lenient import (
    first,
    integer,
    mapping,
    text,
)
from musicgate_suno_kie.declaration import Flavour, flavour_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Age at which a signature expires. ASSUMED: the page states no window. Timestamps need not increase: it is
#: unknown whether a retry gets a new one.
SIGNATURE_WINDOW_S: Final = 300.0

TIMESTAMP_HEADER: Final = "x-webhook-timestamp"
SIGNATURE_HEADER: Final = "x-webhook-signature"


@hookimpl
def parse_callback(
    headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
) -> CallbackClaim:
    """Read and verify a callback.

    With a secret set, a missing, stale or wrong signature is refused. Without one, the URL's token is the
    only proof. sunoapi.org documents no signature, so it needs none.

    Raises:
        ProviderError: class ``protocol``, when the body is not a JSON object.
    """
    secret = None if flavour_of(settings) is Flavour.SUNOAPI else settings.webhook_secret
    timestamp, signature = (
        headers.get(TIMESTAMP_HEADER, "").strip(),
        headers.get(SIGNATURE_HEADER, "").strip(),
    )
    refusal = _refusal(timestamp, signature, now) if secret else ""
    if refusal:
        return CallbackClaim(verified=False, message=refusal)
    content = HttpResponse(status=200, body=body).json_object()
    data = mapping(content.get("data"))
    # Seen: the key's case varies with the operation.
    native_id = text(first(data, "task_id", "taskId")) or text(first(content, "taskId", "task_id"))
    if secret and not _is_signed(native_id or "", timestamp, signature, secret):
        return CallbackClaim(verified=False, message="the signature does not match")
    native_status = text(first(data, "callbackType", "status", "state"))
    return CallbackClaim(native_id=native_id, native_status=native_status, verified=True if secret else None)


def sign(task_id: str, timestamp: str, secret: Secret) -> str:
    """Sign a callback; the signature covers the task id and the time, not the body."""
    message = f"{task_id}.{timestamp}".encode("utf-8", "surrogatepass")
    key = secret.reveal().encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode("ascii")


def _refusal(timestamp: str, signature: str, now: float) -> str:
    """Why the headers alone rule the signature out; empty if they do not."""
    sent_at = integer(timestamp)
    if sent_at is None or not signature:
        return "the callback is not signed"
    if abs(now - sent_at) > SIGNATURE_WINDOW_S:
        return "the signature is too old or from the future"
    return ""


def _is_signed(task_id: str, timestamp: str, signature: str, secret: Secret) -> bool:
    expected = sign(task_id, timestamp, secret).encode()
    return hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass"))
