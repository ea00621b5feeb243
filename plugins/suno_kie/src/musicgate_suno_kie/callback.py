"""Knows the shapes of callbacks and how their signature is checked; what a callback claims is never more than a hint.

Four shapes are read: Suno's own (``data.callbackType``, ``data.task_id``), the market's (``data.taskId``, ``data.state``), one that
looks like a record (``data.status``; reported by one project), and ids at the top. Which of them market tasks send is unknown.

Source: docs.kie.ai/suno-api/generate-music-callbacks, docs.kie.ai/common-api/webhook-verification, early 2026.
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

#: Oldest signature that is taken. ASSUMED: the page states no window. The timestamp need not grow: whether retries get a new one is
#: unknown.
SIGNATURE_WINDOW_S: Final = 300.0

TIMESTAMP_HEADER: Final = "x-webhook-timestamp"
SIGNATURE_HEADER: Final = "x-webhook-signature"


@hookimpl
def parse_callback(
    headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
) -> CallbackClaim:
    """Read and verify a callback.

    With a secret set, a missing, stale or wrong signature is refused. Without one, the URL's token is the only proof. sunoapi.org
    documents no signature, so none is demanded from it.

    Raises:
        ProviderError: class ``protocol``, when the body is not a JSON object.
    """
    secret = None if flavour_of(settings) is Flavour.SUNOAPI else settings.webhook_secret
    timestamp, given = headers.get(TIMESTAMP_HEADER, "").strip(), headers.get(SIGNATURE_HEADER, "").strip()
    refusal = _refusal(timestamp, given, now) if secret else ""
    if refusal:
        return CallbackClaim(verified=False, message=refusal)
    content = HttpResponse(status=200, body=body).json_object()
    data = mapping(content.get("data"))
    # Seen: the key's case varies with the operation.
    native_id = text(first(data, "task_id", "taskId")) or text(first(content, "taskId", "task_id"))
    if secret and not _is_signed(native_id or "", timestamp, given, secret):
        return CallbackClaim(verified=False, message="the signature does not match")
    native_status = text(first(data, "callbackType", "status", "state"))
    return CallbackClaim(native_id=native_id, native_status=native_status, verified=True if secret else None)


def sign(task_id: str, timestamp: str, secret: Secret) -> str:
    """The signature of a callback: it covers the task id and the time, not the body."""
    message = f"{task_id}.{timestamp}".encode("utf-8", "surrogatepass")
    key = secret.reveal().encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode("ascii")


def _refusal(timestamp: str, given: str, now: float) -> str:
    """Why the headers alone are not good enough; empty when they may be."""
    sent_at = integer(timestamp)
    if sent_at is None or not given:
        return "the callback is not signed"
    if abs(now - sent_at) > SIGNATURE_WINDOW_S:
        return "the signature is too old or from the future"
    return ""


def _is_signed(task_id: str, timestamp: str, given: str, secret: Secret) -> bool:
    wanted = sign(task_id, timestamp, secret).encode()
    return hmac.compare_digest(wanted, given.encode("utf-8", "surrogatepass"))
