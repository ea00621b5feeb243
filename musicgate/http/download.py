"""Download a media URL, into a file or piece by piece. It knows nothing of audio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO, Final

import aiohttp

from musicgate.aio import run_to_end
from musicgate.errors import ProviderError, StorageError
from musicgate.http.client_errors import (
    CLIENT_ERRORS,
    CONNECT_ERRORS,
    answer_reason,
    connect_reason,
    exact_url,
)
from musicgate.http.untrusted_url_client import UntrustedUrlClient
from musicgate.model import Failure, FailureClass

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
#: Size of each write to the disk, on a thread.
_PIECE_BYTES: Final = 1 << 20


async def fetch(
    client: UntrustedUrlClient,
    link: str,
    sink: Path,
    *,
    max_bytes: int,
    timeout_s: float,
    stall_timeout_s: float,
    own_headers: Mapping[str, str] | None = None,
) -> None:
    """Download a URL into a file, which is overwritten.

    Args:
        own_headers: for this URL alone, so that no redirect is followed; None = an ordinary link.

    Raises:
        ProviderError: class ``upstream_failed``; ``status`` is set when the server refused, ``is_final`` when
            the media is too large.
        StorageError: the file could not be written.
    """
    try:
        async with (
            asyncio.timeout(timeout_s),
            _opened(client, link, stall_timeout_s, own_headers) as response,
        ):
            # Opened here and not on a thread: a cancelled caller could not close a file that a thread opens.
            with _open_sink(sink) as file:
                await _save(response, file, max_bytes)
    except CLIENT_ERRORS as exc:
        raise _download_error(_download_reason(exc, timeout_s, stall_timeout_s)) from exc


@contextlib.asynccontextmanager
async def listen(
    client: UntrustedUrlClient,
    link: str,
    *,
    max_bytes: int,
    stall_timeout_s: float,
    own_headers: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """Open a URL of media that may still grow; give its ``Content-Type`` and its bytes as they come.

    Args:
        own_headers: as of `fetch`.

    Raises:
        ProviderError: as of `fetch`, also while the bytes are read.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            opened = _opened(client, link, stall_timeout_s, own_headers)
            response = await stack.enter_async_context(opened)
        except CLIENT_ERRORS as exc:
            raise _download_error(_download_reason(exc, stall_timeout_s, stall_timeout_s)) from exc
        yield response.content_type, _pieces(response, max_bytes, stall_timeout_s)


async def _pieces(
    response: aiohttp.ClientResponse, max_bytes: int, stall_timeout_s: float
) -> AsyncIterator[bytes]:
    size_bytes, pieces = 0, response.content.iter_any()
    while True:
        try:
            piece = await anext(pieces, b"")
        except CLIENT_ERRORS as exc:
            raise _download_error(_download_reason(exc, stall_timeout_s, stall_timeout_s)) from exc
        if not piece:
            return
        size_bytes += len(piece)
        if size_bytes > max_bytes:
            raise _download_error(f"it is larger than {max_bytes} bytes", is_final=True)
        yield piece


@contextlib.asynccontextmanager
async def _opened(
    client: UntrustedUrlClient,
    link: str,
    stall_timeout_s: float,
    own_headers: Mapping[str, str] | None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Follow redirects to the media, each as a request of its own whose address is checked.

    Gives the response with the media, before its body is read.
    """
    url = exact_url(link)
    for _ in range(_MOST_REDIRECTS + 1):
        if url.scheme not in {"http", "https"}:
            raise _download_error("it does not lead to a web address")
        async with client.request(
            "GET",
            url,
            # Uncompressed, so that Content-Length is the size of the file.
            headers={**(own_headers or {}), "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, connect=stall_timeout_s, sock_read=stall_timeout_s),
        ) as response:
            target = response.headers.get("Location")
            if response.status in _REDIRECTS and target and own_headers is None:
                url = url.join(exact_url(target))
                continue
            if response.status != 200:
                raise _download_error(f"the answer is HTTP {response.status}", status=response.status)
            yield response
            return
    raise _download_error(f"it was redirected more than {_MOST_REDIRECTS} times")


async def _save(response: aiohttp.ClientResponse, file: IO[bytes], max_bytes: int) -> None:
    """Write the body to the file.

    aiohttp itself raises if the body is shorter than its Content-Length.
    """
    if (response.content_length or 0) > max_bytes:
        raise _download_error(f"it is larger than {max_bytes} bytes", is_final=True)
    size_bytes, piece = 0, bytearray()
    async for chunk in response.content.iter_any():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise _download_error(f"it is larger than {max_bytes} bytes", is_final=True)
        piece += chunk
        if len(piece) >= _PIECE_BYTES:
            await run_to_end(_write, file, piece)
            piece = bytearray()
    if not size_bytes:
        raise _download_error("it is empty")
    await run_to_end(_write, file, piece)


def _open_sink(sink: Path) -> IO[bytes]:
    try:
        # Unbuffered: flushing a rest of a buffer on close would fail again and hide the first error.
        return sink.open("wb", buffering=0)
    except OSError as exc:
        raise StorageError(f"the audio cannot be written: {exc.strerror or exc}") from exc


def _write(file: IO[bytes], piece: bytearray) -> None:
    try:
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as exc:
        raise StorageError(f"the audio cannot be written: {exc.strerror or exc}") from exc


def _download_reason(exc: Exception, timeout_s: float, stall_timeout_s: float) -> str:
    if isinstance(exc, aiohttp.SocketTimeoutError):
        return f"it stalled for {stall_timeout_s:g} s"
    if isinstance(exc, TimeoutError) and not isinstance(exc, aiohttp.ConnectionTimeoutError):
        return f"it took longer than {timeout_s:g} s"
    if isinstance(exc, (*CONNECT_ERRORS, aiohttp.ConnectionTimeoutError, ValueError)):
        return f"its server could not be reached: {connect_reason(exc, stall_timeout_s)}"
    return answer_reason(exc)


def _download_error(reason: str, *, status: int | None = None, is_final: bool = False) -> ProviderError:
    failure = Failure(reason=FailureClass.UPSTREAM_FAILED, message=f"the media link failed: {reason}")
    return ProviderError(failure, status=status, is_final=is_final)
