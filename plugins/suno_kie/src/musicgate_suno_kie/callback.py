"""The shapes of callbacks and the check of their signature; a callback is a hint, never a verdict.

Four shapes are read: Suno's own (``data.callbackType``, ``data.task_id``), the market's (``data.taskId``,
``data.state``), one that looks like a record (``data.status``; reported by one project), and ids at the top
level. Which of them market tasks send is unknown.

Source: docs.kie.ai/suno-api/generate-music-callbacks, docs.kie.ai/common-api/webhook-verification, early
2026.
"""

from collections.abc import Mapping
from typing import Final

import musicgate.plugin as mg
from musicgate_suno_kie.declaration import is_sunoapi

#: It covers the task id and the time, not the body. Not in the declaration: sunoapi.org documents none, so
#: the seller decides.
#: ASSUMED: the window; the page states none. Timestamps need not increase: it is unknown whether a retry gets
#: a new one.
SIGNATURE: Final = mg.CallbackSignature(
    header="X-Webhook-Signature",
    signed="{native_id}.{timestamp}",
    encoding=mg.SignatureEncoding.BASE64,
    timestamp_header="X-Webhook-Timestamp",
    window_s=300.0,
)
#: Seen: the key's case varies with the operation.
_TASK_ID: Final = mg.At("data.task_id", "data.taskId", "taskId", "task_id")
_STATUS: Final = mg.At("data.callbackType", "data.status", "data.state")


@mg.hookimpl
def parse_callback(
    headers: Mapping[str, str], body: bytes, settings: mg.ProviderSettings, now: float
) -> mg.CallbackClaim:
    """Read and verify a callback.

    With a secret set, a missing, stale or wrong signature is refused. Without one, the URL's token is the
    only proof.

    Raises:
        ProviderError: class ``protocol``, when the body is not a JSON object.
    """
    secret = None if is_sunoapi(settings) else settings.webhook_secret
    if secret and not headers.get(SIGNATURE.header.lower(), "").strip():
        return mg.CallbackClaim(verified=False, message="the callback is not signed")
    content = mg.HttpResponse(status=200, body=body).json_object()
    native_id = _TASK_ID.read(content, mg.lenient.text)
    if secret:
        fault = SIGNATURE.fault(secret.reveal(), headers, body=body, native_id=native_id, now=now)
        if fault is not None:
            return mg.CallbackClaim(verified=False, message=fault)
    status = _STATUS.read(content, mg.lenient.text)
    return mg.CallbackClaim(native_id=native_id, native_status=status, verified=True if secret else None)
