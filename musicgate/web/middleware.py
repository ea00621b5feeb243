"""What every request gets: an id, headers for browsers, and errors as JSON in the one envelope.

`request_handler` wraps the application. One wrapper is less work for each request than a middleware of
aiohttp, by 6 us.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientConnectionResetError, HttpVersion10, HttpVersion11, hdrs, web
from multidict import CIMultiDict

from musicgate.errors import MusicgateError, RequestError
from musicgate.web.connection import CORS, Connection
from musicgate.web.errors import envelope_response, error_response
from musicgate.web.host_header import read_host
from musicgate.web.job_answer import JobAnswer
from musicgate.web.quick_routes import QuickRoutes
from musicgate.web.request_log import REQUEST_LOG
from musicgate.web.request_state import STATE, RequestState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)
#: Seconds within which a body must arrive.
BODY_TIMEOUT_S = web.AppKey("body_timeout_s", float)
QUICK_ROUTES = web.AppKey("quick_routes", QuickRoutes)
#: As they are appended to an answer in a quarter of the time of ``update``.
_CORS: Final = CIMultiDict(CORS)
#: Headers of aiohttp's own errors that the client needs.
_KEPT_HEADERS: Final = ("Allow", "Accept-Encoding", "Content-Range")
#: Error codes of the contract for the statuses that aiohttp itself answers with.
_CODES: Final = {404: "not_found", 405: "not_supported", 413: "payload_too_large"}
_MAX_SHOWN_CHARS: Final = 200
#: The status of an answer that is never sent, in the log and the figures, as nginx has it.
_CLIENT_LEFT: Final = 499


def request_handler(
    app: web.Application, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """Wrap the whole application, since aiohttp answers some requests before any middleware sees them."""
    body_timeout_s, routes, log = app[BODY_TIMEOUT_S], app[QUICK_ROUTES], app[REQUEST_LOG]

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        if not isinstance(connection, Connection):
            return await handle(request)
        connection.begin(request)
        began_s = time.perf_counter()
        request[STATE] = state = RequestState(body_timeout_s)
        try:
            checked = _checked(request, state)
        except (web.HTTPException, RequestError) as exc:
            response: web.StreamResponse = _refusal(app, request, exc)
            response.force_close()  # after a malformed request, the next bytes may not be a request at all
        else:
            request = checked
            handler: Callable[[Any], Awaitable[web.StreamResponse]] = routes.find(request, state) or handle
            try:  # here, since a coroutine of its own would be resumed with its handler, in 1 us each time
                response = await handler(request) if request.method != "OPTIONS" else _options(app, request)
            except Exception as exc:  # noqa: BLE001 - no caller ever gets a traceback, or a 500 that is not JSON
                response = _failed(app, request, exc)
        finally:
            state.release()
            connection.end()
        finished = _finished(request, response, state)
        route = state.route or _route(request)
        log.note(request.method, route, finished.status, time.perf_counter() - began_s, state)
        return finished

    return answer


def _checked(request: web.BaseRequest, state: RequestState) -> web.BaseRequest:
    """Return the request as the application may see it.

    Raises:
        RequestError: 400, an invalid ``Host`` (RFC 9110 7.2); 501 or 505, not supported by this server.
        HTTPExpectationFailed: an expectation other than 100-continue (RFC 9110 10.1.1).
    """
    headers = request.headers
    hosts = headers.getall(hdrs.HOST, ())
    if len(hosts) > 1 or (hosts and read_host(hosts[0]) is None):
        raise RequestError("validation_error", "the Host header is not a host", reason="invalid_host")
    if request.version < HttpVersion10:
        raise RequestError("not_supported", "only HTTP/1.1 and HTTP/1.0 are spoken here", http_status=505)
    coding = headers.get(hdrs.TRANSFER_ENCODING)
    if coding is not None and coding.strip().lower() != "chunked":
        # The parser accepts "gzip, chunked" and decodes only the chunks (RFC 9112 6.1).
        raise RequestError("not_supported", "the only transfer coding is chunked", http_status=501)
    expected = headers.get(hdrs.EXPECT)
    if expected is None:
        return request
    if expected.strip().lower() != "100-continue":
        raise web.HTTPExpectationFailed
    # aiohttp would ask for the body before the key is checked.
    kept = CIMultiDict(headers)
    kept.popall("Expect")
    state.awaits_continue = request.version >= HttpVersion11
    return request.clone(headers=kept)


def _options(app: web.Application, request: web.BaseRequest) -> web.Response:
    return web.Response(status=204, headers={"Allow": ", ".join(_methods(app, request))})


def _failed(app: web.Application, request: web.BaseRequest, exc: Exception) -> web.StreamResponse:
    """Render an exception of a handler as the envelope."""
    if isinstance(exc, web.HTTPException | RequestError):
        return _refusal(app, request, exc)
    route = _route(request)
    if isinstance(exc, MusicgateError):
        _log.warning("request failed method=%s route=%s error=%s", request.method, route, exc)
        return error_response(request[STATE].generation_id, exc)
    if isinstance(exc, ClientConnectionResetError) and _has_left(request):
        _log.debug("client left before its answer method=%s route=%s", request.method, route)
        return web.Response(status=_CLIENT_LEFT)
    _log.error("request failed method=%s route=%s", request.method, route, exc_info=exc)
    response = envelope_response(request[STATE].generation_id, "gateway_error", "the gateway failed")
    if route is None:
        response.force_close()  # as after a malformed request
    return response


def _has_left(request: web.BaseRequest) -> bool:
    """True if nothing can be sent any more, as to a player that has heard enough."""
    return request.transport is None or request.transport.is_closing()


def _refusal(
    app: web.Application, request: web.BaseRequest, exc: web.HTTPException | RequestError
) -> web.Response:
    if isinstance(exc, RequestError):
        return error_response(request[STATE].generation_id, exc)
    if isinstance(exc, web.HTTPMethodNotAllowed):
        exc.headers["Allow"] = ", ".join(_methods(app, request))
    return _plain_http(request[STATE].generation_id, request, exc)


def _finished(
    request: web.BaseRequest, response: web.StreamResponse, state: RequestState
) -> web.StreamResponse:
    """Add the headers that every answer has."""
    if isinstance(response, JobAnswer):
        if JobAnswer.suits(request):
            response.end_with(state.extra_headers or {})
            return response
        response = response.web_response()
    if response.prepared:
        return response
    if "Content-Security-Policy" not in response.headers:  # else it has all of them, with its own policy
        response.headers.extend(_CORS)
    if state.extra_headers:
        response.headers.update(state.extra_headers)
    if response.status >= 400 and not request.content.is_eof():
        response.force_close()  # the rest of the body stays unread
    return response


def _methods(app: web.Application, request: web.BaseRequest) -> list[str]:
    """List the methods of the request's path; an unknown path has OPTIONS only."""
    found = {
        route.method
        for resource in app.router.resources()
        if resource.get_info().get("path") == request.path or _matches(resource, request)
        for route in resource
    }
    return [*sorted(found), "OPTIONS"]


def _matches(resource: web.AbstractResource, request: web.BaseRequest) -> bool:
    pattern = resource.get_info().get("pattern")
    return pattern is not None and pattern.fullmatch(request.rel_url.raw_path) is not None


def _route(request: web.BaseRequest) -> str | None:
    """Return the template of the route, or None before it is known; the path may hold a callback token."""
    if request[STATE].route is not None:
        return request[STATE].route
    try:
        resource = request.match_info.route.resource if isinstance(request, web.Request) else None
    except (AssertionError, AttributeError):  # aiohttp asserts that it is known
        return None
    return resource.canonical if resource is not None else None


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
