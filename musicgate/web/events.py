"""A job's events as server-sent events; the numbers, the order and the end come from the gateway, the frames from here.

Source: html.spec.whatwg.org, "Server-sent events", November 2026: a browser's EventSource connects again by itself with the last number that
it has had, and comes to rest only on a 204.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import web

from musicgate import jobs
from musicgate.errors import RequestError, StorageError
from musicgate.model import EventKind
from musicgate.plugin import write_json
from musicgate.web.middleware import CORS

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.model import Job, JobEvent
    from musicgate.web.auth import Accounts
    from musicgate.web.capacity import Capacity
    from musicgate.web.job_view import JobView
    from musicgate.web.time_limits import Patience

_log = logging.getLogger(__name__)
#: Seconds of silence after which a comment shows that the connection lives.
HEARTBEAT_S = 15.0
#: Seconds for which a reader may take nothing; then it is cut off, and loses nothing by that: it goes on with the next number.
STALL_S = 60.0
_RETRY_MS = 2_000
#: Events that repeat what a vendor said: ids, titles, links.
_OF_VENDORS = frozenset({EventKind.ATTEMPT, EventKind.TRACK, EventKind.SETTLED})
#: Longer numbers do not fit into a store, and no job has as many events.
_MAX_DIGITS = 15


class EventRoutes:
    """The handler of event streams."""

    def __init__(
        self, gateway: Gateway, accounts: Accounts, view: JobView, patience: Patience, streams: Capacity
    ) -> None:
        """Serve one gateway to these accounts.

        Args:
            streams: counts the open streams.
        """
        self._streams = streams
        self._gateway = gateway
        self._accounts = accounts
        self._view = view
        self._patience = patience

    def routes(self, base: str) -> list[web.RouteDef]:
        """The routes under one name of the collection."""
        return [web.get(f"{base}/{{music_id}}/events", self.stream)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """``GET .../{music_id}/events``: what happened since the last number that the reader has had, and what happens from now on."""
        account = self._accounts.identify(request)
        job = await self._view.find(request, account)
        after = _last_number(request)
        if not await self._has_more(job, after):
            return web.Response(status=204)
        headers = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
        response = web.StreamResponse(headers={**headers, **CORS})
        if request.method == "HEAD":
            return response
        with self._streams.hold(account.name):
            await response.prepare(request)
            try:
                async with self._patience.limit(None):
                    await self._send(request, response, job, after)
            except (ConnectionError, TimeoutError, StorageError) as error:
                # The answer has begun, so no error can be told any more; a reader that connects again goes on where this ended.
                # Readers go away all the time, and a thousand may at once: that is no line in the log.
                level = logging.WARNING if isinstance(error, StorageError) else logging.DEBUG
                _log.log(level, "event stream cut off job=%s error=%r", job.id, error)
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, job: Job, after: int) -> None:
        await self._write(request, response, f"retry: {_RETRY_MS}\n\n".encode())
        async with aclosing(self._gateway.events(job.id, after=after, pause_s=HEARTBEAT_S)) as events:
            async for item in events:
                frame = b": still here\n\n" if item is None else await self._frame(request, job.id, *item)
                await self._write(request, response, frame)

    async def _write(self, request: web.Request, response: web.StreamResponse, frame: bytes) -> None:
        """Hand on one frame; it waits while the reader is slow."""
        try:
            async with self._patience.limit(STALL_S):
                await response.write(frame)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise

    async def _frame(self, request: web.Request, job_id: str, number: int, event: JobEvent) -> bytes:
        body: dict[str, object] = {
            "type": event.kind.value,
            "number": number,
            "at": event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": dict(event.data),
        }
        # Only these repeat what a vendor said; the others cost no read.
        job = await self._gateway.get(job_id) if event.kind in _OF_VENDORS else None
        masker = None if job is None else self._gateway.masker(job)
        if masker is not None:
            body["data"] = masker.json(dict(event.data))
        if event.kind is EventKind.SETTLED and job is not None:
            # Only here: an earlier event would show a job that is further than it says. And as it was then, without what an attempt
            # has learned since: an event never changes.
            body["job"] = self._view.render(request, jobs.as_settled(job))
        return f"id: {number}\nevent: {event.kind.value}\ndata: ".encode() + write_json(body) + b"\n\n"

    async def _has_more(self, job: Job, after: int) -> bool:
        """False for a reader that has had the final event."""
        if not job.state.is_final:
            return True
        async with aclosing(self._gateway.events(job.id, after=after)) as events:
            async for item in events:
                if item is not None and item[1].kind is EventKind.SETTLED:
                    return True
        return False


def _last_number(request: web.Request) -> int:
    """The number of the last event that the reader has had: from the header, which a reader that connects again sends, else from ``?after=``."""
    text = request.headers.get("Last-Event-ID") or request.query.get("after") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        message = "Last-Event-ID must be the number of an event"
        raise RequestError("validation_error", message, reason="invalid_last_event_id")
    return int(text)
