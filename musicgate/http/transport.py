"""Send requests to vendors over aiohttp. It knows HTTP, and nothing of what a response means.

This module answers one question exactly, because money depends on it: *may a byte of the request have left
us?* Until a connection is established (name look-up, connect, TLS) the answer is no, and the gateway may try
another provider. After that, a missing, cut or late response means that the outcome is unknown
(`FailureClass.UNKNOWN_OUTCOME`), and the request is never sent again. Two signs must agree before the answer
is no: aiohttp has not reported a connection for the request, and the exception is one that is raised before a
connection. In doubt, the outcome is unknown.

A request that creates something gets a new connection. A kept-alive one may be closed by the vendor at the
very moment of the next request. That would look like an unknown outcome although the vendor never saw the
request, and aiohttp itself repeats only requests with idempotent methods (RFC 9110 section 9.2.2). Compared
with the price of a song, a TLS handshake costs nothing.
"""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Final, Self

import aiohttp
import attrs

from musicgate.aio import Clock, SystemClock
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
from musicgate.http.download import fetch
from musicgate.http.proxies import Proxies
from musicgate.http.untrusted_url_client import UntrustedUrlClient
from musicgate.model import Failure, FailureClass, Timeouts
from musicgate.plugin import HttpRequest, HttpResponse

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
#: Larger bodies are sent as a stream: aiohttp warns about them otherwise, since one write of that size blocks
#: the loop.
_LARGE_BODY_BYTES: Final = 1 << 19
_USER_AGENT: Final = "musicgate"
#: A proxy that answers 407 has forwarded nothing (RFC 9110 section 15.5.8).
_PROXY_WANTS_CREDENTIALS: Final = 407


@attrs.define
class _Progress:
    """How far one request has come. Its ``deadline`` starts when the connection is established."""

    deadline: asyncio.Timeout
    limit_s: float
    is_connected: bool = False
    status: int | None = None

    def connected(self) -> None:
        if not self.is_connected:
            self.is_connected = True
            self.deadline.reschedule(asyncio.get_running_loop().time() + self.limit_s)


async def _on_connected(_session: object, context: SimpleNamespace, _params: object) -> None:
    progress: _Progress = context.trace_request_ctx
    progress.connected()


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
        self._media = UntrustedUrlClient(
            proxies=self._proxies,
            allow_private_addresses=allow_private_addresses,
            force_close=False,
            lookups=downloads,
            headers={"User-Agent": _USER_AGENT},
        )
        self._sessions = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the client sessions."""
        # No limit on connections: the caller decides how many calls run at a time, and waiting here would
        # look like a vendor that does not respond.
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(_on_connected)
        tracing.on_connection_reuseconn.append(_on_connected)
        self._keep_alive = await self._open(aiohttp.TCPConnector(limit=0), tracing)
        self._new_each = await self._open(aiohttp.TCPConnector(limit=0, force_close=True), tracing)
        await self._sessions.enter_async_context(self._media)
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
        session = self._keep_alive if request.method in _IDEMPOTENT else self._new_each
        async with _watched(request.url, timeouts.connect_s, read_timeout_s) as progress:
            url = exact_url(request.url)
            proxy = self._proxies.for_url(url)
            body = request.body if len(request.body) < _LARGE_BODY_BYTES else io.BytesIO(request.body)
            async with session.request(
                request.method,
                url,
                headers=request.headers,
                data=body or None,
                proxy=proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=timeouts.connect_s),
                trace_request_ctx=progress,
            ) as response:
                if proxy is not None and response.status == _PROXY_WANTS_CREDENTIALS:
                    raise _not_sent(request.url, "the proxy wants other credentials")
                progress.status = response.status
                content = await _read_whole(response, max_body_bytes)
        return HttpResponse(
            status=response.status,
            headers={name: ", ".join(response.headers.getall(name)) for name in response.headers},
            body=content,
            received_at=self._clock.now(),
        )

    async def download(self, url: str, sink: Path, *, max_bytes: int, timeout_s: float) -> None:
        """Download a media URL into a file; see `musicgate.http.port.Transport.download`.

        The time-out starts when the download does, not while it waits for others to finish.

        Raises:
            ProviderError: as documented by the port; ``status`` is set when the vendor's server refused.
            StorageError: the file could not be written.
        """
        async with self._downloads:
            await fetch(
                self._media,
                url,
                sink,
                max_bytes=max_bytes,
                timeout_s=timeout_s,
                stall_timeout_s=self._stall_timeout_s,
            )

    async def _open(
        self, connector: aiohttp.TCPConnector, *tracing: aiohttp.TraceConfig
    ) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": _USER_AGENT},
            trace_configs=list(tracing),
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        return await self._sessions.enter_async_context(session)


def _not_sent(url: str, reason: str) -> ProviderError:
    message = f"{host_of(url)} was not asked: {reason}"
    return ProviderError(Failure(reason=FailureClass.UNAVAILABLE, message=message))


@contextlib.asynccontextmanager
async def _watched(url: str, connect_s: float, read_s: float) -> AsyncIterator[_Progress]:
    """Turn errors inside into a `ProviderError` that says whether the request may have left."""
    deadline = asyncio.timeout(None)
    progress = _Progress(deadline=deadline, limit_s=read_s)
    try:
        async with deadline:
            yield progress
    except CLIENT_ERRORS as exc:
        if not progress.is_connected and isinstance(exc, _BEFORE_CONNECTION):
            message = f"{host_of(url)} could not be reached: {connect_reason(exc, connect_s)}"
            raise ProviderError(Failure(reason=FailureClass.UNAVAILABLE, message=message)) from exc
        is_late = isinstance(exc, TimeoutError)
        reason = f"no whole answer within {read_s:g} s" if is_late else answer_reason(exc)
        failure = Failure(
            reason=FailureClass.UNKNOWN_OUTCOME,
            message=f"{host_of(url)}: {reason}",
            http_status=504 if is_late else None,
        )
        raise ProviderError(failure, status=progress.status, maybe_accepted=True) from exc


async def _read_whole(response: aiohttp.ClientResponse, max_body_bytes: int) -> bytes:
    """Read the decompressed body, counting its bytes as they arrive: Content-Length may be wrong."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > max_body_bytes:
            message = f"the vendor's answer (HTTP {response.status}) is larger than {max_body_bytes} bytes"
            failure = Failure(reason=FailureClass.PROTOCOL, message=message)
            raise ProviderError(failure, status=response.status, maybe_accepted=True)
    return bytes(content)
