"""The event stream of a job: server-sent events with ``Last-Event-ID``.

**Source**: html.spec.whatwg.org, "Server-sent events", November 2026. A browser's EventSource reconnects by
itself with the last number that it received, and stops only on a 204.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import web

from musicgate import jobs
from musicgate.errors import RequestError, StorageError
from musicgate.model import EventKind, Track
from musicgate.plugin import write_json
from musicgate.views import render_event
from musicgate.web.connection import CORS, while_connected

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.gateway import Gateway
    from musicgate.model import Job, JobEvent
    from musicgate.web.auth import Accounts
    from musicgate.web.capacity import Capacity
    from musicgate.web.job_resource import JobResource
    from musicgate.web.timeouts import RequestTimeouts

_log = logging.getLogger(__name__)
#: Seconds without an event after which a comment keeps the connection alive.
HEARTBEAT_S = 15.0
#: Seconds for which a client may read nothing; then it is cut off. It loses no event when it reconnects.
STALL_S = 60.0
_RETRY_MS = 2_000
#: Events that repeat what a vendor returned: ids, titles, links.
_FROM_VENDOR = frozenset({EventKind.ATTEMPT, EventKind.TRACK, EventKind.SETTLED})
#: Longer numbers do not fit into a store, and no job has so many events.
_MAX_DIGITS = 15


class EventRoutes:
    """Handler of event streams."""

    def __init__(
        self,
        gateway: Gateway,
        accounts: Accounts,
        job_resource: JobResource,
        timeouts: RequestTimeouts,
        streams: Capacity,
    ) -> None:
        """Serve one gateway to these accounts.

        Args:
            streams: counts the open streams.
        """
        self._streams = streams
        self._gateway = gateway
        self._accounts = accounts
        self._jobs = job_resource
        self._timeouts = timeouts

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the routes under one path of the collection."""
        return [web.get(f"{base}/{{music_id}}/events", self.stream)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """``GET .../{music_id}/events``: the events that the client has not received yet, then new ones."""
        account = self._accounts.identify(request)
        job = await self._jobs.find(request, account)
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
                async with self._timeouts.limit(None), while_connected(request):
                    await self._send(request, response, job, after)
            except (ConnectionError, TimeoutError, StorageError) as error:
                # The answer has begun, so it cannot become an error; a client that reconnects resumes here.
                # Clients disconnect all the time, a thousand at once: no line of the log for each.
                level = logging.WARNING if isinstance(error, StorageError) else logging.DEBUG
                _log.log(level, "event stream cut off job=%s error=%r", job.id, error)
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, job: Job, after: int) -> None:
        def stream_link(index: int) -> str:
            return self._jobs.links(request)(job, Track(index=index), "stream")

        def render(shown: Job) -> dict[str, object]:
            return self._jobs.render(shown, self._jobs.links(request))

        frames = _Frames(self._gateway, job, render, stream_link)
        await self._write(request, response, f"retry: {_RETRY_MS}\n\n".encode())
        async with aclosing(self._gateway.events(job.id, after=after, pause_s=HEARTBEAT_S)) as events:
            async for item in events:
                frame = b": still here\n\n" if item is None else await frames.write(*item)
                await self._write(request, response, frame)

    async def _write(self, request: web.Request, response: web.StreamResponse, frame: bytes) -> None:
        """Send one frame; waits while the client is slow."""
        try:
            async with self._timeouts.limit(STALL_S):
                await response.write(frame)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise

    async def _has_more(self, job: Job, after: int) -> bool:
        """False for a client that has received the final event."""
        if not job.state.is_final:
            return True
        async with aclosing(self._gateway.events(job.id, after=after)) as events:
            async for item in events:
                if item is not None and item[1].kind is EventKind.SETTLED:
                    return True
        return False


class _Frames:
    """Writes the events of one stream.

    The job is read again only for its last event, and where another provider was asked: what masks a vendor's
    texts is that provider's secrets and the job's token, which never changes.
    """

    def __init__(
        self,
        gateway: Gateway,
        job: Job,
        render: Callable[[Job], dict[str, object]],
        stream_link: Callable[[int], str] | None = None,
    ) -> None:
        self._gateway = gateway
        self._stream_link = stream_link
        self._render = render
        self._take(job)

    def _take(self, job: Job) -> None:
        self._job = job
        self._masker = self._gateway.masker(job, may_change=True)

    async def write(self, number: int, event: JobEvent) -> bytes:
        """Write an event as a frame."""
        answer = None
        if event.kind is EventKind.SETTLED or event.data.get("plugin", self._job.plugin) != self._job.plugin:
            job = await self._gateway.get(self._job.id)
            if job is not None:
                self._take(job)
                if event.kind is EventKind.SETTLED:
                    # With an earlier event, the job would be ahead of its event. And as it was when it ended,
                    # without what an attempt has learned since: an event never changes.
                    answer = self._render(jobs.as_settled(job))
        masker = self._masker if event.kind in _FROM_VENDOR else None
        shown = render_event(event, number, masker=masker, job=answer, stream_link=self._stream_link)
        body = write_json(shown)
        return f"id: {number}\nevent: {event.kind.value}\ndata: ".encode() + body + b"\n\n"


def _last_number(request: web.Request) -> int:
    """Read the number of the last event that the client received, from the header or ``?after=``."""
    text = request.headers.get("Last-Event-ID") or request.query.get("after") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        message = "Last-Event-ID must be the number of an event"
        raise RequestError("validation_error", message, reason="invalid_last_event_id")
    return int(text)
