"""The shapes of callbacks and the check of their signature; a callback is a hint, never a verdict.

Four shapes are read: Suno's own (``data.callbackType``, ``data.task_id``), the market's (``data.taskId``,
``data.state``), one that looks like a record (``data.status``; reported by one project), and ids at the top
level. Which of them market tasks send is unknown.

Source: docs.kie.ai/suno-api/generate-music-callbacks, docs.kie.ai/common-api/webhook-verification, early
2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import (
    CallbackClaim,
    CallbackSignature,
    HttpResponse,
    ProviderSettings,
    SignatureEncoding,
    hookimpl,
)
from musicgate.plugin.lenient import first, mapping, text
from musicgate_suno_kie.declaration import is_sunoapi

if TYPE_CHECKING:
    from collections.abc import Mapping

#: It covers the task id and the time, not the body. Not in the declaration: sunoapi.org documents none, so
#: the seller decides.
#: ASSUMED: the window; the page states none. Timestamps need not increase: it is unknown whether a retry gets
#: a new one.
SIGNATURE: Final = CallbackSignature(
    header="X-Webhook-Signature",
    signed="{native_id}.{timestamp}",
    encoding=SignatureEncoding.BASE64,
    timestamp_header="X-Webhook-Timestamp",
    window_s=300.0,
)


@hookimpl
def parse_callback(
    headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
) -> CallbackClaim:
    """Read and verify a callback.

    With a secret set, a missing, stale or wrong signature is refused. Without one, the URL's token is the
    only proof.

    Raises:
        ProviderError: class ``protocol``, when the body is not a JSON object.
    """
    secret = None if is_sunoapi(settings) else settings.webhook_secret
    if secret and not headers.get(SIGNATURE.header.lower(), "").strip():
        return CallbackClaim(verified=False, message="the callback is not signed")
    content = HttpResponse(status=200, body=body).json_object()
    data = mapping(content.get("data"))
    # Seen: the key's case varies with the operation.
    native_id = text(first(data, "task_id", "taskId")) or text(first(content, "taskId", "task_id"))
    if secret:
        fault = SIGNATURE.fault(secret.reveal(), headers, body=body, native_id=native_id, now=now)
        if fault is not None:
            return CallbackClaim(verified=False, message=fault)
    native_status = text(first(data, "callbackType", "status", "state"))
    return CallbackClaim(native_id=native_id, native_status=native_status, verified=True if secret else None)
