"""What every request gets: an id, headers for browsers, and errors as JSON in the one envelope.

`outer_handler` wraps the whole application, since aiohttp answers some requests before any middleware sees
them. `request_middleware` runs inside, where the route is known.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion10, HttpVersion11, web
from multidict import CIMultiDict

from musicgate.errors import MusicgateError, RequestError
from musicgate.web.body import AWAITS_CONTINUE
from musicgate.web.connection import BASE_HEADERS, Connection, new_id
from musicgate.web.errors import envelope_response, error_response
from musicgate.web.host_header import read_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from musicgate.web.capacity import Capacity

_log = logging.getLogger(__name__)
GENERATION_ID = web.RequestKey("generation_id", str)
#: Headers that a handler adds to the answer of its request, also to an error.
EXTRA_HEADERS = web.RequestKey("extra_headers", dict[str, str])
#: Capacity that this request holds, with the name that it is counted under; released when it is answered.
HELD_CAPACITY = web.RequestKey("held", list["tuple[Capacity, str]"])

#: Headers of every answer for browsers.
# Source: the reference gateway's CORS answer, and the headers that its public SDKs send, August 2026.
CORS: Final = {
    **BASE_HEADERS,
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Content-Encoding, x-title, http-referer, x-gateway-debug, "
        "X-AIStats-Strictness, X-Phaseo-Client, X-Phaseo-Client-Version, X-App-Id, X-App-Name, "
        "Idempotency-Key, Prefer, Last-Event-ID, traceparent, "
        "If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range, Range"
    ),
    "Access-Control-Expose-Headers": (
        "ETag, Retry-After, Location, X-Gateway-Error-Attribution, Idempotency-Replayed, Preference-Applied, "
        "RateLimit, RateLimit-Policy, Allow, Accept-Ranges, Content-Range, Content-Disposition, Last-Modified"
    ),
    "Access-Control-Max-Age": "86400",
}
#: Headers of aiohttp's own errors that the client needs.
_KEPT_HEADERS: Final = ("Allow", "Accept-Encoding", "Content-Range")
#: Error codes of the contract for the statuses that aiohttp itself answers with.
_CODES: Final = {404: "not_found", 405: "not_supported", 413: "payload_too_large"}
_MAX_SHOWN_CHARS: Final = 200


def outer_handler(
    handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Wrap the application: mark the connection as busy, and check what comes before any route."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, Connection):
            return await handle(request)
        connection.begin(request)
        try:
            return await handle(_checked(request))
        except web.HTTPException as exc:
            response = _plain_http(new_id(), request, exc)
        except RequestError as exc:
            response = error_response(new_id(), exc)
        except Exception:  # noqa: BLE001 - what aiohttp does before the middleware may fail as well
            _log.exception("request failed before its route was known")
            response = envelope_response(new_id(), "gateway_error", "the gateway failed")
        finally:
            connection.end()
        response.force_close()  # after a malformed request, the next bytes may not be a request at all
        return _finished(request, response)

    return answer


def _checked(request: web.BaseRequest) -> web.BaseRequest:
    """Return the request as the application may see it.

    Raises:
        RequestError: 400, an invalid ``Host`` (RFC 9110 7.2); 501 or 505, not supported by this server.
        HTTPExpectationFailed: an expectation other than 100-continue (RFC 9110 10.1.1).
    """
    hosts = request.headers.getall("Host", [])
    if len(hosts) > 1 or any(read_host(host) is None for host in hosts):
        raise RequestError("validation_error", "the Host header is not a host", reason="invalid_host")
    if request.version < HttpVersion10:
        raise RequestError("not_supported", "only HTTP/1.1 and HTTP/1.0 are spoken here", http_status=505)
    coding = request.headers.get("Transfer-Encoding")
    if coding is not None and coding.strip().lower() != "chunked":
        # The parser accepts "gzip, chunked" and decodes only the chunks (RFC 9112 6.1).
        raise RequestError("not_supported", "the only transfer coding is chunked", http_status=501)
    expected = request.headers.get("Expect")
    if expected is None:
        return request
    if expected.strip().lower() != "100-continue":
        raise web.HTTPExpectationFailed
    # aiohttp would ask for the body before the key is checked.
    headers = CIMultiDict(request.headers)
    headers.popall("Expect")
    inner = request.clone(headers=headers)
    inner[AWAITS_CONTINUE] = request.version >= HttpVersion11
    return inner


@web.middleware
async def request_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Give the request an id, answer OPTIONS, and render every exception as the envelope."""
    generation_id = new_id()
    request[GENERATION_ID] = generation_id
    try:
        response = await _answer(request, handler, generation_id)
    finally:
        for capacity, account in request.get(HELD_CAPACITY, ()):
            capacity.release(account)
    return _finished(request, response, request.get(EXTRA_HEADERS))


async def _answer(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], generation_id: str
) -> web.StreamResponse:
    if request.method == "OPTIONS":
        return web.Response(status=204, headers={"Allow": ", ".join(_methods(request))})
    try:
        return await handler(request)
    except web.HTTPException as exc:
        if isinstance(exc, web.HTTPMethodNotAllowed):
            exc.headers["Allow"] = ", ".join(_methods(request))
        return _plain_http(generation_id, request, exc)
    except MusicgateError as exc:
        if not isinstance(exc, RequestError):
            _log.warning("request failed method=%s route=%s error=%s", request.method, _route(request), exc)
        return error_response(generation_id, exc)
    except Exception:  # noqa: BLE001 - no caller ever gets a traceback, or a 500 that is not JSON
        _log.exception("request failed method=%s route=%s", request.method, _route(request))
        return envelope_response(generation_id, "gateway_error", "the gateway failed")


def _finished(
    request: web.BaseRequest, response: web.StreamResponse, more: dict[str, str] | None = None
) -> web.StreamResponse:
    """Add the headers that every answer has."""
    if response.prepared:
        return response
    if "Content-Security-Policy" not in response.headers:  # else it has all of them, with its own policy
        response.headers.update(CORS)
    response.headers.update(more or {})
    if response.status >= 400 and not request.content.is_eof():
        response.force_close()  # the rest of the body stays unread
    return response


def _methods(request: web.Request) -> list[str]:
    """List the methods of the request's path; an unknown path has OPTIONS only."""
    found = {
        route.method
        for resource in request.app.router.resources()
        if resource.get_info().get("path") == request.path or _matches(resource, request)
        for route in resource
    }
    return [*sorted(found), "OPTIONS"]


def _matches(resource: web.AbstractResource, request: web.Request) -> bool:
    pattern = resource.get_info().get("pattern")
    return pattern is not None and pattern.fullmatch(request.rel_url.raw_path) is not None


def _route(request: web.Request) -> str:
    """Return the template of the route: the real path may hold a callback token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def _plain_http(generation_id: str, request: web.BaseRequest, exc: web.HTTPException) -> web.Response:
    path = request.path[:_MAX_SHOWN_CHARS]
    descriptions = {
        404: f"there is nothing at {path}",
        405: f"{path} does not take {request.method}",
        413: "the body is too large (server.max_body_bytes)",
        416: "there are no such bytes",
        417: "the only expectation that is known here is 100-continue",
    }
    code = _CODES.get(exc.status, "gateway_error" if exc.status >= 500 else "validation_error")
    response = envelope_response(
        generation_id, code, descriptions.get(exc.status, exc.reason), status=exc.status
    )
    response.headers.update({name: exc.headers[name] for name in _KEPT_HEADERS if name in exc.headers})
    return response
