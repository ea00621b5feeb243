"""Serve an emulator over HTTP, with its faults and callbacks; it knows no vendor."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from musicgate.plugin import HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.plugin import EmulatedAnswer, EmulatedCallback, Emulator

_log = logging.getLogger(__name__)

#: Seconds between two calls of `due_callbacks`.
_CALLBACK_TICK_S = 0.025
#: Callbacks in flight at a time; more wait.
_PARALLEL_CALLBACKS = 32
#: Largest request body that is read: larger than any that a vendor accepts.
_MAX_BODY_BYTES = 32 * 1024 * 1024
#: A body with a speed limit is sent in this many pieces a second.
_PIECES_PER_S = 20
#: Seconds that requests in flight are given when the mount ends.
_SHUTDOWN_S = 0.1
#: Headers that this server writes itself; the vendor's Content-Length only says what it claims.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})


@asynccontextmanager
async def mounted(emulator: Emulator, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve an emulator on loopback until the block ends, or where containers of one network reach it.

    Args:
        emulator: the vendor.
        host: address to listen on.
        port: 0 = any free one.

    Yields:
        Its origin, ``http://<host>:<port>``: on loopback, the base URL for the plugin's settings.

    Raises:
        OSError: the address is taken, or not this machine's.
    """
    clock = _Clock()
    running: set[asyncio.Task[object]] = set()

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is not None:
            running.add(task)
            task.add_done_callback(running.discard)
        return await _serve(emulator, clock, request)

    server = web.Server(serve, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    calling: asyncio.Task[None] | None = None
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = int(runner.addresses[0][1])
        calling = asyncio.create_task(_call_back(emulator, clock), name=f"callbacks of :{bound}")
        yield f"http://{host}:{bound}"
    finally:
        if calling is not None:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        # aiohttp would wait for requests in flight: a blocking create call lasts as long as its song.
        for open_site in list(runner.sites):
            await open_site.stop()
        in_flight = list(running)
        for task in in_flight:
            task.cancel()
        await asyncio.gather(*in_flight, return_exceptions=True)
        await runner.cleanup()


def is_loopback(url: str) -> bool:
    """True if an HTTP URL certainly leads to this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Clock:
    """Epoch seconds that never go back, even if the machine's clock does."""

    def __init__(self) -> None:
        self._ahead_s = time.time() - time.monotonic()

    def now(self) -> float:
        return time.monotonic() + self._ahead_s


async def _serve(emulator: Emulator, clock: _Clock, request: web.BaseRequest) -> web.StreamResponse:
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            return web.Response(status=413)
    received = HttpRequest(
        method=request.method,
        # The path as it was sent: decoding and encoding it again would change signed links.
        url=f"http://{request.host}{request.raw_path}"
        if request.raw_path.startswith("/")
        else request.raw_path,
        headers=request.headers,  # compares names without case
        body=bytes(body),
    )
    answer = emulator.answer(received, clock.now())
    if answer.delay_s > 0:
        await asyncio.sleep(answer.delay_s)
    if answer.drop:
        return _hang_up(request)
    try:
        return await _send(request, answer)
    except ConnectionResetError:  # the caller did not wait
        return _hang_up(request)


async def _send(request: web.BaseRequest, answer: EmulatedAnswer) -> web.StreamResponse:
    """Write the answer with the length that it claims; close the connection if the body differs."""
    vendor = answer.response
    body = b"" if request.method == "HEAD" else vendor.body
    kept = body if answer.cut_after_bytes is None else body[: answer.cut_after_bytes]
    claimed = vendor.header("Content-Length")
    length = int(claimed) if claimed is not None and claimed.isdecimal() else len(vendor.body)
    headers = {name: value for name, value in vendor.headers.items() if name.lower() not in _FRAMING}
    response = web.StreamResponse(status=vendor.status, headers=headers)
    response.content_length = max(length, len(body)) if answer.cut_after_bytes is not None else length
    whole = request.method == "HEAD" or len(kept) == response.content_length
    if not whole:
        response.force_close()
    await response.prepare(request)
    step = max(1, int(answer.bytes_per_s / _PIECES_PER_S)) if answer.bytes_per_s else max(1, len(kept))
    for start in range(0, len(kept), step):
        if start:
            await asyncio.sleep(1 / _PIECES_PER_S)
        await response.write(kept[start : start + step])
    if not whole:
        _hang_up(request)
    return response


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection; what was already written still arrives."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()  # aiohttp needs one; it is not sent


async def _call_back(emulator: Emulator, clock: _Clock) -> None:
    """Send due callbacks until cancelled, which cancels those in flight as well."""
    slots = asyncio.Semaphore(_PARALLEL_CALLBACKS)
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as calls:
        while True:
            for callback in emulator.due_callbacks(clock.now()):
                await slots.acquire()
                call = calls.create_task(_deliver(session, emulator, clock, callback))
                call.add_done_callback(lambda _: slots.release())
            await asyncio.sleep(_CALLBACK_TICK_S)


async def _deliver(
    session: aiohttp.ClientSession, emulator: Emulator, clock: _Clock, callback: EmulatedCallback
) -> None:
    """Send one callback, to loopback only: an emulator must not call another machine."""
    status: int | None = None
    request = callback.request
    if is_loopback(request.url):
        try:
            async with session.request(
                request.method,
                request.url,
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=callback.timeout_s),
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            _log.info("callback not answered: id=%s error=%s", callback.id, error)
    else:
        _log.info("callback not sent, its URL is not on loopback: id=%s", callback.id)
    emulator.callback_answered(callback.id, status, clock.now())
