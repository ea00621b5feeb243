"""The routes that show what kept audio looks like: its peaks as JSON, a waveform as SVG and as PNG."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.aio import run_to_end
from musicgate.assets import (
    DARK,
    LARGEST_SIDE,
    LIGHT,
    MOST_POINTS,
    USUAL_POINTS,
    draw_png,
    draw_svg,
)
from musicgate.errors import NotAudioError, RequestError
from musicgate.web.connection import CORS
from musicgate.web.job_resource import VARY, read_conditions
from musicgate.web.kept_files import CACHE_CONTROL, FILE_POLICY, from_the_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.assets import Peaks
    from musicgate.gateway import Gateway
    from musicgate.web.kept_files import KeptFiles

_WIDTH: Final = 1_000
_HEIGHT: Final = 120
_THEMES: Final = {"light": LIGHT, "dark": DARK}
#: Part of every entity tag: a picture that is drawn in another way has another one.
_VERSION: Final = "1"
_MAX_DIGITS: Final = 6


class WaveformRoutes:
    """Handlers of peaks and waveforms; a signed link to the audio opens them, too."""

    def __init__(self, gateway: Gateway, files: KeptFiles) -> None:
        self._gateway = gateway
        self._files = files

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the routes under one path of the collection."""
        audio = f"{base}/{{music_id}}/audio/{{index:[0-9]{{1,3}}}}"
        return [
            web.get(f"{audio}/peaks", self.peaks),
            web.get(
                f"{audio}/waveform.svg", partial(self.waveform, draw=draw_svg, media_type="image/svg+xml")
            ),
            web.get(f"{audio}/waveform.png", partial(self.waveform, draw=draw_png, media_type="image/png")),
        ]

    async def peaks(self, request: web.Request) -> web.Response:
        """``GET .../peaks?points=``: the peaks of the audio, in the JSON of audiowaveform."""
        points = _whole(request, "points", USUAL_POINTS, MOST_POINTS)

        def write(found: Peaks) -> bytes:
            return json.dumps(found.at_most(points).to_json(), separators=(",", ":")).encode()

        return await self._answer(request, f"peaks-{points}", "application/json", write)

    async def waveform(
        self, request: web.Request, *, draw: Callable[..., bytes], media_type: str
    ) -> web.Response:
        """``GET .../waveform.svg`` and ``.png``: a picture of the peaks."""
        width = _whole(request, "width", _WIDTH, LARGEST_SIDE)
        height = _whole(request, "height", _HEIGHT, LARGEST_SIDE)
        theme = request.query.get("theme", "light")
        if theme not in _THEMES:
            known = " or ".join(_THEMES)
            raise RequestError("validation_error", f"theme must be {known}", path=("theme",))

        def write(found: Peaks) -> bytes:
            return draw(found.at_most(width), width, height, colours=_THEMES[theme])

        kind = media_type.partition("/")[2].partition("+")[0]
        return await self._answer(request, f"{kind}-{width}-{height}-{theme}", media_type, write)

    async def _answer(
        self, request: web.Request, what: str, media_type: str, write: Callable[[Peaks], bytes]
    ) -> web.Response:
        """Answer with what is written of a track's peaks, or 304 or 412.

        Args:
            what: tells it from everything else that is made of the same audio.
        """
        job, track = await self._files.find(request)
        if track is None or track.asset is None:
            message = f"job {job.id} keeps no audio {request.match_info['index']}"
            raise RequestError("not_found", message, reason="audio_not_found")
        source = (track.original or track.asset).name.replace("/", "-")
        headers = {
            **CORS,
            "Content-Type": media_type,
            "Content-Security-Policy": FILE_POLICY,
            "Cache-Control": CACHE_CONTROL,
            "ETag": f'"{source}-{what}-{_VERSION}"',
            "Vary": VARY,
        }
        status = read_conditions(request).status(request.method, headers["ETag"])
        if status == 412:
            raise web.HTTPPreconditionFailed
        try:
            with from_the_store():
                found = await self._gateway.peaks(job, track.index)
        except NotAudioError as error:
            message = f"this audio cannot be drawn: {error}"
            raise RequestError("not_found", message, reason="audio_not_convertible") from error
        if found is None:
            raise RequestError("not_found", "this audio is no longer kept here", reason="audio_gone")
        if status == 304:
            headers.pop("Content-Type")
            return web.Response(status=304, headers=headers)
        return web.Response(body=await run_to_end(write, found), headers=headers)


def _whole(request: web.Request, name: str, usual: int, most: int) -> int:
    """Read a whole number of the query.

    Raises:
        RequestError: it is none from 1 to ``most``.
    """
    text = request.query.get(name)
    if text is None:
        return usual
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS and 0 < int(text) <= most:
        return int(text)
    raise RequestError("validation_error", f"{name} must be a whole number from 1 to {most}", path=(name,))
