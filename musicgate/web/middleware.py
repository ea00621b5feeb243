"""What surrounds every request: an id, CORS, and the promise that each error is JSON in the one envelope."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web
from ulid import ULID

from musicgate.errors import MusicgateError, RequestError
from musicgate.web.errors import envelope, error_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)
GENERATION_ID = web.RequestKey("generation_id", str)
#: What a handler wants every answer to its request to carry, an error as well.
EXTRA_HEADERS = web.RequestKey("extra_headers", dict[str, str])

#: What every answer says to browsers.
# Source: the reference gateway's CORS answer, and the headers that its public SDKs send, August 2026.
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, x-title, http-referer, x-gateway-debug, X-AIStats-Strictness, X-Phaseo-Client, "
        "X-Phaseo-Client-Version, X-App-Id, X-App-Name, Idempotency-Key, Prefer, Last-Event-ID, traceparent"
    ),
    "Access-Control-Expose-Headers": (
        "ETag, Retry-After, Location, X-Gateway-Error-Attribution, Idempotency-Replayed, Preference-Applied, "
        "RateLimit, RateLimit-Policy"
    ),
    "Access-Control-Max-Age": "86400",
}
#: What a client needs of aiohttp's own errors.
_KEPT_HEADERS = ("Allow", "Content-Range")
#: HTTP statuses that aiohttp itself answers with, in the contract's codes.
_CODES = {404: "not_found", 405: "not_supported", 413: "payload_too_large"}


@web.middleware
async def surround(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Give the request an id, answer preflights, turn every exception into the envelope."""
    generation_id = f"G-{ULID()}"
    request[GENERATION_ID] = generation_id
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=CORS)
    try:
        response = await handler(request)
    except web.HTTPException as exc:
        if exc.status < 400:
            exc.headers.update(CORS)  # a browser wants to see them on a redirect as well
            raise
        response = _plain_http(generation_id, request, exc)
    except MusicgateError as exc:
        if not isinstance(exc, RequestError):
            _log.warning("%s %s: %s", request.method, request.path, exc)
        response = error_response(generation_id, exc)
    except Exception:  # noqa: BLE001 - the outermost net: no caller ever gets a stack or a non-JSON 500
        _log.exception("%s %s failed", request.method, request.path)
        response = envelope(generation_id, "gateway_error", "the gateway failed")
    if not response.prepared:
        response.headers.update({**CORS, **request.get(EXTRA_HEADERS, {})})
    return response


def _plain_http(generation_id: str, request: web.Request, exc: web.HTTPException) -> web.Response:
    sentences = {
        404: f"there is nothing at {request.path}",
        405: f"{request.path} does not take {request.method}",
        413: "the body is too large (server.max_body_bytes)",
        416: "there are no such bytes",
    }
    code = _CODES.get(exc.status, "gateway_error" if exc.status >= 500 else "validation_error")
    response = envelope(generation_id, code, sentences.get(exc.status, exc.reason), status=exc.status)
    response.headers.update({name: exc.headers[name] for name in _KEPT_HEADERS if name in exc.headers})
    return response
