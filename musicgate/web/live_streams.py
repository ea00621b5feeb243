"""The route to hear a track while its vendor makes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from aiohttp import web

from musicgate.errors import ProviderError, RequestError
from musicgate.web.connection import CORS, while_connected, write_through
from musicgate.web.kept_files import FILE_POLICY, LINK_LETTERS, STALL_S, counted_as

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.web.capacity import Capacity
    from musicgate.web.kept_files import KeptFiles
    from musicgate.web.timeouts import RequestTimeouts

#: Seconds after which a stream ends, whatever still comes: no song takes as long, played or made.
LONGEST_S: Final = 3600.0


class LiveStreamRoutes:
    """Handler of vendors' streams; a signed link needs no key, for players."""

    def __init__(
        self, gateway: Gateway, files: KeptFiles, timeouts: RequestTimeouts, streams: Capacity
    ) -> None:
        """Serve one gateway.

        Args:
            streams: counts the open streams.
        """
        self._gateway = gateway
        self._files = files
        self._timeouts = timeouts
        self._streams = streams

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the routes under one path of the collection."""
        return [web.get(f"{base}/{{music_id}}/stream/{{index:[0-9]{{1,3}}}}", self.stream)]

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """``GET .../stream/{index}``: what the vendor has made of a track so far, while it makes the rest.

        Once the audio is there, the answer leads to it.
        """
        job, track = await self._files.find(request)
        if track is not None and (track.asset is not None or (job.state.is_final and track.has_audio)):
            # As it was sent: decoded, it may have characters that no header can hold.
            sent = request.rel_url.raw_query_string
            query = f"?{quote(sent, safe=LINK_LETTERS)}" if sent else ""
            location = f"../audio/{track.index}{query}"
            return web.Response(status=307, headers={"Location": location, "Cache-Control": "no-store"})
        response = web.StreamResponse(
            headers={
                **CORS,
                "Content-Security-Policy": FILE_POLICY,
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        index = int(request.match_info["index"])
        is_live = track is not None and track.stream_audio_url and not job.state.is_final
        if request.method == "HEAD" and is_live:
            return response  # the vendor is not asked
        try:
            with self._streams.hold(counted_as(request, job)):
                async with (
                    self._timeouts.limit(LONGEST_S),
                    while_connected(request),
                    self._gateway.listen(job, index) as (media_type, pieces),
                ):
                    response.headers["Content-Type"] = media_type
                    await response.prepare(request)
                    if track is not None:
                        self._files.note_download(request, job, track)
                    with write_through(request):
                        async for piece in pieces:
                            async with asyncio.timeout(STALL_S):
                                await response.write(piece)
        except ProviderError as error:
            if not response.prepared:
                raise RequestError("upstream_error", str(error), reason="stream_failed") from error
            _abort(request)
        except (OSError, TimeoutError):
            # The client is gone or reads nothing, or the server shuts down.
            _abort(request)
        return response


def _abort(request: web.Request) -> None:
    """End an answer so that its client knows that it is not whole."""
    if request.transport is not None:
        request.transport.abort()
