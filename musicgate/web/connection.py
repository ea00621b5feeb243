"""One client's connection: its idle times, and the error envelope also for what is not HTTP.

aiohttp parses and dispatches. By itself it answers what it cannot parse with plain text, logs the offending
line (which may be an ``Authorization`` header), and waits for ever for headers that do not arrive. Here the
answer is the envelope, nothing of the line is logged or shown, and `musicgate.web.listener` closes
connections that are idle for too long: it reads ``idle_since`` and ``begun_at``.
"""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Final, Protocol

from aiohttp import http_exceptions, web

from musicgate import aio
from musicgate.plugin import write_json
from musicgate.views import render_envelope
from musicgate.web.errors import envelope_response

_log = logging.getLogger(__name__)
#: Longest request line, and longest header field.
MAX_LINE_BYTES: Final = 8190
#: Seconds for which the unread rest of a body is received and discarded, so that the client reads the answer.
_LINGER_S: Final = 2.0
_METHOD: Final = re.compile(rb"[A-Z]{3,20} ")
_VERSION: Final = re.compile(rb"[^\r\n]* HTTP/[0-9]+(\.[0-9]+)?\r?\n")


class ConnectionObserver(Protocol):
    """Is notified when a connection becomes idle, becomes busy or is lost."""

    def became_idle(self, connection: Connection) -> None:
        """The connection was made, or a request on it was answered."""

    def became_busy(self, connection: Connection) -> None:
        """A request on it is being answered."""

    def was_lost(self, connection: Connection) -> None:
        """The connection is closed."""


class Connection(web.RequestHandler):
    """aiohttp's connection, with limits.

    Attributes:
        idle_since: loop time when it was made or its last request was answered.
        begun_at: loop time of the first byte of a request whose headers are not complete, or None.
        has_served: a request was answered on it.
        on_lost: called when the connection is lost while a request is being answered.
    """

    def __init__(self, server: web.Server, observer: ConnectionObserver) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # aiohttp's annotation forgets what its runners pass
            auto_decompress=False,  # see musicgate.web.body: the key is checked before anything is unpacked
            lingering_time=_LINGER_S,
            logger=_log,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
        )
        self._observer = observer
        self._now = loop.time
        self.idle_since = self._now()
        self.begun_at: float | None = None
        self.has_served = False
        self.on_lost: Callable[[], None] | None = None
        self._answered: web.BaseRequest | None = None
        self._head = b""
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Report the new connection as idle."""
        super().connection_made(transport)
        self._observer.became_idle(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Report the connection as lost."""
        self._observer.was_lost(self)
        if self.on_lost is not None:
            self.on_lost()
        super().connection_lost(exc)

    def begin(self, request: web.BaseRequest) -> None:
        """Note that a request is being answered; the connection is busy until `end`."""
        self._answered, self.begun_at, self._head = request, None, b""
        self._observer.became_busy(self)

    def end(self) -> None:
        """Note that the request was answered."""
        self._answered, self.has_served = None, True
        self.idle_since = self._now()
        if self.transport is not None:
            self._observer.became_idle(self)

    def data_received(self, data: bytes) -> None:
        """Parse, and note when the headers of a request begin to arrive."""
        if self._answered is None and data:
            self.begun_at = self.begun_at or self._now()
            self._head += data[: MAX_LINE_BYTES - len(self._head)]
        super().data_received(data)
        if self._answered is not None and self._messages and _is_error(self._messages[-1][0]):
            # The parser gave up in the middle of this body, and the handler would wait for the rest.
            self._answered.content.set_exception(web.RequestPayloadError())

    def pause_reading(self) -> None:
        """Stop reading: the handler is slower than the client."""
        self._is_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on reading. aiohttp calls it twice for each body, and parses nothing once more, in 3 us."""
        if self._is_paused:
            self._is_paused = False
            super().resume_reading(resume_parser)

    def time_out(self) -> None:
        """Close an idle connection, with a 408 if a request had begun."""
        transport = self.transport
        # uvloop raises RuntimeError where asyncio ignores a write after the client has gone.
        if self.begun_at is not None and transport is not None and not transport.is_closing():
            transport.write(raw_envelope(408, "the headers did not arrive in time", "headers_timeout"))
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, or what broke outside of the application."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has already begun")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log_exception(exc_info=exc)
            answer = envelope_response(new_id(), "gateway_error", "the gateway failed", status=status)
        else:
            status, text, reason = self._refusal(exc)
            _log.debug("request refused status=%d error=%s", status, type(exc).__name__)
            code = "not_supported" if status in {501, 505} else "validation_error"
            answer = envelope_response(new_id(), code, text, status=status, reason=reason)
        answer.headers.update({**BASE_HEADERS, "Connection": "close"})
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Log type and place of the error only: its text may quote what the client sent."""
        error = kwargs.get("exc_info")
        frames = traceback.extract_tb(error.__traceback__) if isinstance(error, BaseException) else None
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
        _log.error("connection failed error=%s at=%s", type(error).__name__, where)

    def _refusal(self, exc: BaseException | None) -> tuple[int, str, str]:
        """Return status, description and reason for a request that the parser refused."""
        line, _, rest = self._head.partition(b"\n")
        if isinstance(exc, http_exceptions.LineTooLong):
            if rest or len(line) <= MAX_LINE_BYTES // 2:
                return 431, f"a header field is longer than {MAX_LINE_BYTES} bytes", "header_too_large"
            return 414, f"the request target is longer than {MAX_LINE_BYTES} bytes", "target_too_long"
        text = str(getattr(exc, "message", ""))
        if text.startswith("Too many headers"):
            return 431, "the request has too many header fields", "too_many_headers"
        if isinstance(exc, http_exceptions.BadHttpMethod) and _METHOD.match(line):
            return 501, "this method is not known here", "unknown_method"
        if "Invalid HTTP version" in text and _VERSION.fullmatch(line + b"\n"):
            return 505, "only HTTP/1.1 and HTTP/1.0 are spoken here", "unknown_version"
        return 400, "the request is not HTTP/1.1 (RFC 9112)", "malformed_http"


#: Headers of every answer.
# Source: RFC 9110, the Fetch standard (nosniff, CORP), CSP level 3 and Referrer Policy, November 2026.
BASE_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "musicgate",
    "X-Content-Type-Options": "nosniff",
}
#: The same, and those for CORS, for an answer to a request.
# Source: the reference gateway's CORS answer, and the headers that its public SDKs send, August 2026.
CORS: Final = {
    **BASE_HEADERS,
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Content-Encoding, x-title, http-referer, x-gateway-debug, "
        "X-AIStats-Strictness, X-Phaseo-Client, X-Phaseo-Client-Version, X-App-Id, X-App-Name, "
        "Idempotency-Key, Prefer, Last-Event-ID, traceparent, "
        "If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range, Range, "
        "MCP-Protocol-Version, Mcp-Method, Mcp-Name"
    ),
    "Access-Control-Expose-Headers": (
        "ETag, Retry-After, Location, X-Gateway-Error-Attribution, Idempotency-Replayed, Preference-Applied, "
        "RateLimit, RateLimit-Policy, Allow, Accept-Ranges, Content-Range, Content-Disposition, Last-Modified, "
        "X-Gateway-Music-Id, X-Gateway-Cost-Usd, X-Gateway-Tracks, X-Gateway-Warnings"
    ),
    "Access-Control-Max-Age": "86400",
}


@asynccontextmanager
async def while_connected(request: web.BaseRequest) -> AsyncIterator[None]:
    """Stop the block when the client's connection is lost.

    Otherwise a stream or a wait whose client has gone would hold its place until it ends by itself, and
    clients that reconnect would be refused.

    Raises:
        TimeoutError: the connection was lost.
    """
    loop, connection = asyncio.get_running_loop(), request.protocol
    async with asyncio.timeout(None) as timeout:
        if not isinstance(connection, Connection):
            yield
            return
        if connection.transport is None:  # lost before
            timeout.reschedule(loop.time())
        connection.on_lost = lambda: timeout.reschedule(loop.time())
        try:
            yield
        finally:
            connection.on_lost = None


@contextmanager
def write_through(request: web.BaseRequest) -> Iterator[None]:
    """Let writes in the block wait until the client has taken what was written before.

    By default asyncio copies up to 64 kB and one more write for each client that is slower than we are.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        yield
        return
    transport.set_write_buffer_limits(high=0)
    try:
        yield
    finally:
        if not transport.is_closing():  # else uvloop raises RuntimeError
            transport.set_write_buffer_limits()


def new_id() -> str:
    """Make the id of a request."""
    return aio.new_id("G-")


def raw_envelope(status: int, text: str, reason: str, retry_after_s: int | None = None) -> bytes:
    """Make a whole HTTP answer with an error, for a connection without a request."""
    code = "gateway_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "validation_error"
    answer = render_envelope(new_id(), code, text, status=status, reason=reason, retry_after_s=retry_after_s)
    body = write_json(answer.body)
    headers = {
        **answer.headers,
        "Content-Type": "application/json",
        **BASE_HEADERS,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _is_error(message: object) -> bool:
    return not hasattr(message, "method")
