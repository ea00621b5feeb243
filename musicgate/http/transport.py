"""Send requests to vendors over aiohttp. It knows HTTP, and nothing of what a response means.

This module answers one question exactly, because money depends on it: *may a byte of the request have left
us?* Until a connection is established (name look-up, connect, TLS) the answer is no, and the gateway may try
another provider. After that, a missing, cut or late response means that the outcome is unknown
(`FailureClass.UNKNOWN_OUTCOME`), and the request is never sent again. Two signs must agree before the answer
is no: the connector has not handed out a connection for the request, and the exception is one that is raised
before a connection. In doubt, the outcome is unknown.

**Kept connections.** A vendor may close a kept connection at the very moment of the next request. For a poll
that does not matter: aiohttp repeats requests with idempotent methods, and only those (RFC 9110 section
9.2.2). A create call that meets such a moment is an unknown outcome like any other connection that breaks: it
is never sent again, although the vendor never saw it. That is a lost song, so the moment must not occur:

* A create call takes a connection only if it was idle for less than `CREATE_IDLE_S`. Servers close idle
  connections after a time that begins when they have sent a response. By our clock it ends at most one round
  trip earlier, so a server's time-out must be longer than our bound and a round trip together. The shortest
  default of a common server is gunicorn's with 2 s; uvicorn, hypercorn, Node, Apache and lighttpd have 5 s,
  Puma 20 s, AWS's load balancers 60 s, nginx 75 s. With 1 s of ours and 2 s of theirs a round trip may take a
  whole second.
* A connection that was closed for another reason (a restart of the server, a limit of requests) is noticed
  before it is taken: aiohttp drops those whose end it has read, and for a create call the socket itself is
  asked, since an end may have arrived that the event loop has not read yet. What is left is an end that is on
  its way to us in just that moment, within one trip from a server that closes connections in use; a new
  connection has the same weakness from its handshake on.

A connection that was never used has no such risk, but costs three round trips and a TLS handshake on both
sides, which at a vendor far away is most of the latency that we add.

**Source** of the times: docs.gunicorn.org/en/stable/settings.html#keepalive, uvicorn.dev/settings (timeout
keep alive), hypercorn.readthedocs.io (keep_alive_timeout), nodejs.org/api/http.html#serverkeepalivetimeout,
httpd.apache.org/docs/2.4/mod/core.html#keepalivetimeout, lighttpd's server.max-keep-alive-idle,
puma.io (persistent_timeout), docs.aws.amazon.com (idle timeout of application load balancers),
nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout; read 28 November 2026.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from musicgate.aio import Clock, SystemClock, TimeLimits
from musicgate.errors import ProviderError
from musicgate.http.client_errors import (
    CLIENT_ERRORS,
    CONNECT_ERRORS,
    MAX_HEADER_BYTES,
    answer_reason,
    connect_reason,
    exact_url,
    host_of,
)
from musicgate.http.connector import Progress, WatchedConnector, watch
from musicgate.http.download import fetch, listen
from musicgate.http.plain_client import LARGE_BODY_BYTES, PlainClient
from musicgate.http.proxies import Proxies
from musicgate.http.untrusted_url_client import UntrustedUrlClient
from musicgate.model import Failure, FailureClass, Timeouts
from musicgate.plugin import HttpResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from multidict import CIMultiDictProxy

    from musicgate.plugin import HttpRequest

#: A create call takes a connection that was idle for less than this, in seconds; see above.
CREATE_IDLE_S: Final = 1.0
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
#: Raised before there is a connection: none at all, none in time, an invalid URL or header. uvloop raises
#: RuntimeError for some.
_BEFORE_CONNECTION: Final = (
    *CONNECT_ERRORS,
    aiohttp.ConnectionTimeoutError,
    aiohttp.NonHttpUrlClientError,
    ValueError,
    RuntimeError,
)
_USER_AGENT: Final = "musicgate"
#: A proxy that answers 407 has forwarded nothing (RFC 9110 section 15.5.8).
_PROXY_WANTS_CREDENTIALS: Final = 407


class AiohttpTransport:
    """Sends API calls to vendors and downloads their media. Use it as an async context manager."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        allow_private_addresses: bool = False,
        stall_timeout_s: float = 20.0,
        downloads: int = 32,
        proxies: Proxies | None = None,
    ) -> None:
        """Keep the settings; ``async with`` opens the sessions.

        Args:
            clock: gives the time at which a response was complete.
            allow_private_addresses: media URLs may lead to loopback and private networks. API calls always
                may: their URLs come from the operator, not from a response.
            stall_timeout_s: a download is aborted when it receives nothing for so long.
            downloads: downloads at a time; each needs a connection and an open file.
            proxies: the proxies for API calls and media.
        """
        self._clock = clock or SystemClock()
        self._stall_timeout_s = stall_timeout_s
        self._downloads = asyncio.Semaphore(downloads)
        self._proxies = proxies or Proxies()
        self._media, self._own_media = (
            UntrustedUrlClient(
                proxies=self._proxies,
                allow_private_addresses=allowed,
                force_close=False,
                lookups=downloads,
                headers={"User-Agent": _USER_AGENT},
            )
            for allowed in (allow_private_addresses, True)
        )
        self._sessions = contextlib.AsyncExitStack()
        self._time_limits = TimeLimits()

    async def __aenter__(self) -> Self:
        """Open the client sessions."""
        # No limit on connections: the caller decides how many calls run at a time, and waiting here would
        # look like a vendor that does not respond.
        self._repeatable = await self._open(WatchedConnector(asks_system=False, limit=0), repeats=True)
        self._creating = await self._open(
            WatchedConnector(asks_system=True, limit=0, keepalive_timeout=CREATE_IDLE_S), repeats=False
        )
        await self._sessions.enter_async_context(self._media)
        await self._sessions.enter_async_context(self._own_media)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._sessions.aclose()

    async def send(
        self, request: HttpRequest, *, timeouts: Timeouts, read_timeout_s: float, max_body_bytes: int
    ) -> HttpResponse:
        """Send one API call and read the whole response; see `musicgate.http.port.Transport.send`."""
        if (fault := request.fault()) is not None:
            raise _not_sent(request.url, fault)
        plain, session = self._repeatable if request.method in _IDEMPOTENT else self._creating
        timeout = _client_timeout(timeouts.connect_s)
        limit = self._time_limits.of(read_timeout_s)
        progress = watch(limit, read_timeout_s)
        try:
            with limit:
                prepared = plain.prepare(request)
                if prepared is None:
                    return await self._send_by_session(session, request, timeout, max_body_bytes, progress)
                connection, message, content = await plain.send(prepared, timeout)
                try:
                    progress.status = message.code
                    body = await _read_whole(content, message.code, max_body_bytes)
                except BaseException:
                    connection.close()
                    raise
        except CLIENT_ERRORS as exc:
            raise _failed(exc, request.url, timeouts.connect_s, progress) from exc
        if connection.protocol is None or connection.protocol.writing_paused:
            connection.close()  # the answer came before the request was out
        else:
            connection.release()
        return self._response(message.code, message.headers, body)

    async def download(
        self,
        url: str,
        sink: Path,
        *,
        max_bytes: int,
        timeout_s: float,
        own_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Download a media URL into a file; see `musicgate.http.port.Transport.download`.

        The time-out starts when the download does, not while it waits for others to finish.

        Raises:
            ProviderError: as documented by the port; ``status`` is set when the vendor's server refused.
            StorageError: the file could not be written.
        """
        async with self._downloads:
            await fetch(
                self._media if own_headers is None else self._own_media,
                url,
                sink,
                max_bytes=max_bytes,
                timeout_s=timeout_s,
                stall_timeout_s=self._stall_timeout_s,
                own_headers=own_headers,
            )

    def listen(
        self, url: str, *, max_bytes: int, own_headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[tuple[str, AsyncIterator[bytes]]]:
        """Open a URL of media that may still grow; see `musicgate.http.port.Transport.listen`.

        Raises:
            ProviderError: as documented by the port.
        """
        return listen(
            self._media if own_headers is None else self._own_media,
            url,
            max_bytes=max_bytes,
            stall_timeout_s=self._stall_timeout_s,
            own_headers=own_headers,
        )

    async def _send_by_session(
        self,
        session: aiohttp.ClientSession,
        request: HttpRequest,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's
        max_body_bytes: int,
        progress: Progress,
    ) -> HttpResponse:
        url = exact_url(request.url)
        proxy = self._proxies.for_url(url)
        body = request.body if len(request.body) < LARGE_BODY_BYTES else io.BytesIO(request.body)
        async with session.request(
            request.method,
            url,
            headers=request.headers,
            data=body or None,
            proxy=proxy,
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            if proxy is not None and response.status == _PROXY_WANTS_CREDENTIALS:
                raise _not_sent(request.url, "the proxy wants other credentials")
            progress.status = response.status
            content = await _read_whole(response.content, response.status, max_body_bytes)
        return self._response(response.status, response.headers, content)

    def _response(self, status: int, headers: CIMultiDictProxy[str], body: bytes) -> HttpResponse:
        return HttpResponse(
            status=status, headers=_joined_headers(headers), body=body, received_at=self._clock.now()
        )

    async def _open(
        self, connector: aiohttp.TCPConnector, *, repeats: bool
    ) -> tuple[PlainClient, aiohttp.ClientSession]:
        """Open the two ways to send over a connector's connections."""
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": _USER_AGENT},
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        await self._sessions.enter_async_context(session)
        plain = PlainClient(connector, proxies=self._proxies, user_agent=_USER_AGENT, repeats=repeats)
        return plain, session


def _not_sent(url: str, reason: str) -> ProviderError:
    message = f"{host_of(url)} was not asked: {reason}"
    return ProviderError(Failure(reason=FailureClass.UNAVAILABLE, message=message))


def _failed(exc: Exception, url: str, connect_s: float, progress: Progress) -> ProviderError:
    """The `ProviderError` of a failed request, which says whether the request may have left."""
    if not progress.is_connected and isinstance(exc, _BEFORE_CONNECTION):
        message = f"{host_of(url)} could not be reached: {connect_reason(exc, connect_s)}"
        return ProviderError(Failure(reason=FailureClass.UNAVAILABLE, message=message))
    is_late = isinstance(exc, TimeoutError)
    reason = f"no whole answer within {progress.limit_s:g} s" if is_late else answer_reason(exc)
    failure = Failure(
        reason=FailureClass.UNKNOWN_OUTCOME,
        message=f"{host_of(url)}: {reason}",
        http_status=504 if is_late else None,
    )
    return ProviderError(failure, status=progress.status, maybe_accepted=True)


@functools.lru_cache(maxsize=64)
def _client_timeout(connect_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect_s)


def _joined_headers(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """The headers by name, as it is spelled; the values of a repeated one are joined."""
    joined = dict(headers.items())
    if len(joined) == len(headers) and _all_differ(tuple(joined)):  # fast path: none is repeated
        return joined
    return {name: ", ".join(headers.getall(name)) for name in headers}


@functools.lru_cache(maxsize=16)
def _all_differ(names: tuple[str, ...]) -> bool:
    """True if no name is there in two spellings. A vendor sends the same names each time."""
    return len(set(map(str.lower, names))) == len(names)


async def _read_whole(content: aiohttp.StreamReader, status: int, max_body_bytes: int) -> bytes:
    """Read the decompressed body, counting its bytes as they arrive: Content-Length may be wrong."""
    body: bytes | bytearray = content.read_nowait() if content.is_eof() else await content.readany()
    while True:
        if len(body) > max_body_bytes:
            message = f"the vendor's answer (HTTP {status}) is larger than {max_body_bytes} bytes"
            failure = Failure(reason=FailureClass.PROTOCOL, message=message)
            raise ProviderError(failure, status=status, maybe_accepted=True)
        if content.at_eof():  # nearly every body comes in one piece
            return bytes(body)
        chunk = await content.readany()
        if not chunk:
            return bytes(body)
        if isinstance(body, bytes):
            body = bytearray(body)
        body += chunk
