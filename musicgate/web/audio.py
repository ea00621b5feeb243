"""The routes of kept audio and covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from musicgate.assets import KIND_OF_FORMAT
from musicgate.errors import NotAudioError, RequestError
from musicgate.gateway import ORIGINAL
from musicgate.web.kept_files import from_the_store, redirect

if TYPE_CHECKING:
    from musicgate.gateway import Gateway, Rendition
    from musicgate.model import Job
    from musicgate.web.kept_files import KeptFiles


class AudioRoutes:
    """Handlers of audio and covers; a signed link needs no key, for players and pages."""

    def __init__(self, gateway: Gateway, files: KeptFiles) -> None:
        self._gateway = gateway
        self._files = files

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the routes under one path of the collection."""
        return [
            web.get(f"{base}/{{music_id}}/audio/{{index:[0-9]{{1,3}}}}", self.audio),
            web.get(f"{base}/{{music_id}}/image/{{index:[0-9]{{1,3}}}}", self.image),
        ]

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """``GET .../audio/{index}``: a track's audio, by ``?format=`` in another format."""
        job, track = await self._files.find(request)
        index = int(request.match_info["index"])
        audio = await kept_audio(self._gateway, job, index, _wanted_format(request))
        if audio is None or track is None:
            response = redirect((track and track.audio_url) or "", "audio_not_found")
            if request.method == "GET" and track is not None:
                self._files.note_download(request, job, track)
            return response
        return await self._files.serve(
            request, job, track, audio, begins=lambda: self._files.note_download(request, job, track)
        )

    async def image(self, request: web.Request) -> web.StreamResponse:
        """``GET .../image/{index}``: a track's cover; the vendor's own link where none is kept."""
        job, track = await self._files.find(request)
        if track is not None and track.image is not None:
            with from_the_store():
                image = await self._gateway.cover(job, track.index)
            if image is None:
                raise RequestError("not_found", "this cover is no longer kept here", reason="image_gone")
            return await self._files.serve(request, job, track, image)
        if track is None or not track.image_url:
            index = request.match_info["index"]
            raise RequestError("not_found", f"job {job.id} has no cover {index}", reason="image_not_found")
        return redirect(track.image_url, "image_not_found")


async def kept_audio(gateway: Gateway, job: Job, index: int, wanted: str | None) -> Rendition | None:
    """Return a track's kept audio; None where it is not kept here, and the vendor has a link to it.

    Args:
        wanted: the format; None = as it was asked for.

    Raises:
        RequestError: there is no such audio, or not in this format; ``reason`` says why.
    """
    track = next((track for track in job.tracks if track.index == index), None)
    if track is None or not track.has_audio:
        raise RequestError("not_found", f"job {job.id} has no audio {index}", reason="audio_not_found")
    if track.asset is None:
        if wanted not in {None, ORIGINAL}:
            message = "this audio is not kept here, so it cannot be converted"
            raise RequestError("not_found", message, reason="audio_not_kept")
        return None
    try:
        with from_the_store():
            audio = await gateway.audio(job, index, wanted)
    except NotAudioError as error:
        message = f"this audio cannot be converted to {wanted}: {error}"
        raise RequestError("not_found", message, reason="audio_not_convertible") from error
    if audio is None:
        raise RequestError("not_found", "this audio is no longer kept here", reason="audio_gone")
    return audio


def _wanted_format(request: web.Request) -> str | None:
    """The ``format`` of the query.

    Raises:
        RequestError: it is none that can be made.
    """
    wanted = request.query.get("format")
    if wanted is not None and wanted not in KIND_OF_FORMAT and wanted != ORIGINAL:
        known = ", ".join((*KIND_OF_FORMAT, ORIGINAL))
        raise RequestError("validation_error", f"format must be one of {known}", path=("format",))
    return wanted
