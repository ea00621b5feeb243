"""Native requests, as a plan and ``upstream_request`` show them, and the answer to a callback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from musicgate.text import MAX_KEPT_CHARS, MAX_KEPT_VALUES, cut_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.plugin import HttpRequest


def render_callback_received() -> dict[str, object]:
    """Acknowledge a callback, in the shape in which Suno's API itself reports success."""
    return {"code": 200, "msg": "success"}


def render_native_request(request: HttpRequest) -> dict[str, object]:
    """Render a native request for a plan, which holds neither a key nor a real callback token."""
    return {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": render_native_body(request, {}),
    }


def render_native_body(request: HttpRequest, mask: Mapping[str, str]) -> object:
    """Render the body as it is sent, as an object if it is JSON.

    Args:
        mask: secret -> text that replaces it.
    """
    text = request.body.decode("utf-8", "replace")
    for secret, shown in mask.items():
        if secret:
            text = text.replace(secret, shown)
    try:
        value: object = json.loads(text)
    except ValueError:
        value = {"text": text}
    return cut_json(value, max_values=MAX_KEPT_VALUES, max_chars=MAX_KEPT_CHARS)
