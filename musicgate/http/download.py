"""Fetches a media link into a file; it knows redirects, sizes and files, and nothing of what plays."""

import asyncio
from pathlib import Path
from typing import IO, Final

import aiohttp

from musicgate.aio import run_to_end
from musicgate.errors import ProviderError, StorageError
from musicgate.http.client_errors import (
    NOT_REACHED,
    TROUBLE,
    answer_reason,
    connect_reason,
    exact_url,
)
from musicgate.http.outside_client import OutsideClient
from musicgate.http.port import Downloaded
from musicgate.model import Failure, FailureClass

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
#: Written to the disk in pieces of this size, on a thread.
_PIECE_BYTES: Final = 1 << 20


async def fetch(
    client: OutsideClient,
    link: str,
    sink: Path,
    *,
    max_bytes: int,
    timeout_s: float,
    stall_timeout_s: float,
) -> Downloaded:
    """Fetch a link into a file, which is overwritten.

    Raises:
        ProviderError: class ``upstream_failed``; ``status`` is set where the server refused, ``is_final`` where the media is too large.
        StorageError: the file could not be written.
    """
    try:
        async with asyncio.timeout(timeout_s):
            # Opened here and not on a thread: a cancelled caller could never close what a thread opens.
            with _open_sink(sink) as file:
                return await _follow(client, link, file, max_bytes, stall_timeout_s)
    except TROUBLE as exc:
        raise _download_error(_download_reason(exc, timeout_s, stall_timeout_s)) from exc


async def _follow(
    client: OutsideClient, link: str, file: IO[bytes], max_bytes: int, stall_timeout_s: float
) -> Downloaded:
    """Go from hop to hop to the media. Each hop is a request of its own, so each one's address is checked."""
    url = exact_url(link)
    for _ in range(_MOST_REDIRECTS + 1):
        if url.scheme not in {"http", "https"}:
            raise _download_error("it does not lead to a web address")
        async with client.request(
            "GET",
            url,
            # The length that is announced shall be the length of the file.
            headers={"Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None, connect=stall_timeout_s, sock_read=stall_timeout_s),
        ) as response:
            target = response.headers.get("Location")
            if response.status in _REDIRECTS and target:
                url = url.join(exact_url(target))
                continue
            if response.status != 200:
                raise _download_error(f"the answer is HTTP {response.status}", status=response.status)
            size_bytes = await _save(response, file, max_bytes)
            said = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Downloaded(size_bytes=size_bytes, content_type=said or None)
    raise _download_error(f"it was redirected more than {_MOST_REDIRECTS} times")


async def _save(response: aiohttp.ClientResponse, file: IO[bytes], max_bytes: int) -> int:
    """Write the body to the file and return its size; aiohttp itself notices a body shorter than its Content-Length."""
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
    return size_bytes


def _open_sink(sink: Path) -> IO[bytes]:
    try:
        # Without a buffer: what is left in one would fail once more when the file is closed, and hide the first error.
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
    if isinstance(exc, (*NOT_REACHED, aiohttp.ConnectionTimeoutError, ValueError)):
        return f"its server could not be reached: {connect_reason(exc, stall_timeout_s)}"
    return answer_reason(exc)


def _download_error(reason: str, *, status: int | None = None, is_final: bool = False) -> ProviderError:
    failure = Failure(reason=FailureClass.UPSTREAM_FAILED, message=f"the media link failed: {reason}")
    return ProviderError(failure, status=status, is_final=is_final)
