"""HTTP answers of the emulated kie.ai, unreadable ones included; no tasks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from musicgate.emulation import EmulatedAnswer
from musicgate.plugin import HttpResponse, JsonObject, JsonValue

if TYPE_CHECKING:
    from collections.abc import Iterator

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def texts_in(value: JsonValue) -> Iterator[str]:
    """Every text in a request, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_in(item)


def json_response(status: int, body: JsonObject) -> HttpResponse:
    """Make a JSON answer."""
    content = json.dumps(body).encode()
    headers = {"Content-Type": "application/json;charset=UTF-8", "Content-Length": str(len(content))}
    return HttpResponse(status=status, headers=headers, body=content)


def noise(fault: str) -> EmulatedAnswer:
    """Make the answer of a fault: HTML, an empty body, truncated JSON or a dropped connection."""
    if fault in {"html", "http-500"}:
        status = 502 if fault == "html" else 500
        headers = {"Content-Type": "text/html", "Content-Length": str(len(_HTML))}
        return EmulatedAnswer(response=HttpResponse(status=status, headers=headers, body=_HTML))
    body = b'{"code":200,"msg":"succ' if fault == "malformed" else b""
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return EmulatedAnswer(response=HttpResponse(status=200, headers=headers, body=body), drop=fault == "drop")
