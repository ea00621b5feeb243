"""The audio route: kept audio by key or signed link, with ranges and conditional requests."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from musicgate.assets import KIND_OF_FORMAT
from musicgate.errors import (
    JobNotFoundError,
    NotAudioError,
    ProviderError,
    RequestError,
    StorageError,
)
from musicgate.gateway import ORIGINAL
from musicgate.views import is_signed
from musicgate.web.conditions import RangeError, read_range
from musicgate.web.connection import CORS
from musicgate.web.job_resource import VARY, read_conditions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.gateway import Gateway, Rendition
    from musicgate.model import Job, Track
    from musicgate.web.auth import Accounts

#: Seconds for which a client may read nothing; then it is cut off.
STALL_S: Final = 60.0
#: Characters of a link that stay as they are; the rest is not allowed in a header.
_LINK_LETTERS: Final = "%/:?#[]@!$&'()*+,;=-._~|"
#: A browser opens an audio link in a page that it makes itself; nothing else may run or load there.
_AUDIO_POLICY: Final = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
#: Characters of a title in a file name; systems allow 255 bytes.
_MAX_NAME_CHARS: Final = 60
_FALSE: Final = frozenset({"0", "false", "no"})


class AudioRoutes:
    """Handler of audio."""

    def __init__(self, gateway: Gateway, accounts: Accounts) -> None:
        self._gateway = gateway
        self._accounts = accounts

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the routes under one path of the collection."""
        return [
            web.get(f"{base}/{{music_id}}/audio/{{index:[0-9]{{1,3}}}}", self.audio),
            web.get(f"{base}/{{music_id}}/stream/{{index:[0-9]{{1,3}}}}", self.stream, allow_head=False),
        ]

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """``GET .../audio/{index}``: a track's audio, by ``?format=`` in another format.

        A signed link needs no key, for players.
        """
        job = await self._job_of(request)
        index = int(request.match_info["index"])
        track = next((track for track in job.tracks if track.index == index), None)
        if track is None or not track.has_audio:
            raise RequestError("not_found", f"job {job.id} has no audio {index}", reason="audio_not_found")
        wanted = _wanted_format(request)
        if track.asset is None:
            return _redirect(track.audio_url or "")
        try:
            audio = await self._gateway.audio(job, index, wanted)
        except NotAudioError as error:
            message = f"this audio cannot be converted to {wanted}: {error}"
            raise RequestError("not_found", message, reason="audio_not_convertible") from error
        if audio is None:
            raise RequestError("not_found", "this audio is no longer kept here", reason="audio_gone")
        return await self._serve(request, job, track, audio)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """``GET .../stream/{index}``: what the vendor has made of a track so far, while it makes the rest.

        Once the audio is kept here, the answer leads to it.
        """
        job = await self._job_of(request)
        index = int(request.match_info["index"])
        if any(track.index == index and track.asset for track in job.tracks):
            location = request.rel_url.path.replace("/stream/", "/audio/")
            query = f"?{request.query_string}" if request.query_string else ""
            headers = {"Location": location + query, "Cache-Control": "no-store"}
            return web.Response(status=307, headers=headers)
        try:
            async with self._gateway.listen(job, index) as (media_type, pieces):
                return await _forward(request, media_type, pieces)
        except ProviderError as error:
            raise RequestError("upstream_error", str(error), reason="stream_failed") from error

    async def _serve(
        self, request: web.Request, job: Job, track: Track, audio: Rendition
    ) -> web.StreamResponse:
        """Answer with the file or a part of it, with a redirect to the object store, or 304, 412 or 416."""
        modified_at = (job.completed_at or job.updated_at).replace(microsecond=0)
        headers = _headers(request, job, track, audio) | {
            "Last-Modified": format_datetime(modified_at, usegmt=True)
        }
        conditions = read_conditions(request)
        status = conditions.status(request.method, headers["ETag"], modified_at)
        if status == 304:
            headers.pop("Content-Type")
            return web.Response(status=304, headers=headers)
        if status is not None:
            raise web.HTTPPreconditionFailed
        link = await self._gateway.audio_link(audio, headers["Content-Disposition"])
        if link is not None:
            return web.Response(status=307, headers={**CORS, "Location": link, "Cache-Control": "no-store"})
        first, last = 0, audio.size_bytes - 1
        ranges = ", ".join(request.headers.getall("Range", [])) if request.method == "GET" else ""
        if ranges and conditions.range_counts(
            headers["ETag"], headers["Last-Modified"], modified_at, datetime.now(UTC)
        ):
            try:
                part = read_range(ranges, audio.size_bytes)
            except RangeError as exc:
                raise web.HTTPRequestRangeNotSatisfiable(
                    headers={"Content-Range": f"bytes */{audio.size_bytes}"}
                ) from exc
            if part is not None:
                first, last = part
                headers["Content-Range"] = f"bytes {first}-{last}/{audio.size_bytes}"
        response = web.StreamResponse(status=206 if "Content-Range" in headers else 200, headers=headers)
        response.content_length = last - first + 1
        await response.prepare(request)
        if request.method == "GET":
            await self._send(request, response, audio, first, last + 1)
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, audio: Rendition, start: int, stop: int
    ) -> None:
        """Send a file piece by piece."""
        try:
            async with aclosing(self._gateway.read_audio(audio, start, stop)) as pieces:
                async for piece in pieces:
                    async with asyncio.timeout(STALL_S):
                        await response.write(piece)
        except (OSError, TimeoutError, StorageError):
            # The client is gone or reads nothing, or the file is gone. An answer that stays shorter than its
            # Content-Length has to be aborted.
            if request.transport is not None:
                request.transport.abort()

    async def _job_of(self, request: web.Request) -> Job:
        """Find the job by the signature of the link, else by the caller's key."""
        music_id = request.match_info["music_id"]
        signature = request.query.get("sig", "")
        if not signature:
            account = self._accounts.identify(request)
            return await self._gateway.find(music_id, account=account.name)
        job = await self._gateway.get(music_id)
        index, expires = int(request.match_info["index"]), request.query.get("expires")
        if job is None or not is_signed(job, index, signature, expires, time.time()):
            raise JobNotFoundError(music_id)
        # The client is not the account: its downloads must not use up the account's own requests in progress.
        self._accounts.count(request, f"{job.account} links")
        return job


def _redirect(url: str) -> web.Response:
    """Redirect to the vendor's own link, where audio is not kept (``assets.archive``).

    Raises:
        RequestError: the link is neither http nor https, so no browser may be redirected to it.
    """
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web:
        message = "the provider's link to this audio is neither http nor https"
        raise RequestError("not_found", message, reason="audio_not_found")
    return web.Response(
        status=302, headers={"Location": quote(url, safe=_LINK_LETTERS), "Cache-Control": "no-store"}
    )


async def _forward(request: web.Request, media_type: str, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    """Pass on what comes, as it comes. A stream that breaks off ends in an aborted answer."""
    # A vendor's server may call its audio anything: as a page it must not be shown under our address.
    content_type = media_type if media_type.startswith("audio/") else "application/octet-stream"
    response = web.StreamResponse(
        headers={
            **CORS,
            "Content-Type": content_type,
            "Content-Security-Policy": _AUDIO_POLICY,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    await response.prepare(request)
    try:
        async for piece in pieces:
            async with asyncio.timeout(STALL_S):
                await response.write(piece)
    except (OSError, TimeoutError, ProviderError):
        if request.transport is not None:
            request.transport.abort()
    return response


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


def _headers(request: web.Request, job: Job, track: Track, audio: Rendition) -> dict[str, str]:
    is_download = "download" in request.query and request.query["download"].lower() not in _FALSE
    suffix = audio.name.rpartition(".")[2]
    # A conversion on demand has no known digest; its name says what it was made of.
    digest = audio.sha256 or f"{audio.name.replace('/', '-')}-{audio.size_bytes:x}"
    return {
        **CORS,
        "Content-Type": audio.content_type,
        "Content-Disposition": content_disposition(
            "attachment" if is_download else "inline", track.title, f"{job.id}-{track.index}", suffix
        ),
        "Content-Security-Policy": _AUDIO_POLICY,
        "Cache-Control": "private, max-age=86400",
        "Accept-Ranges": "bytes",
        "ETag": f'"{digest}"',
        "Vary": VARY,
        "X-Content-Type-Options": "nosniff",
    }


def content_disposition(kind: str, title: str | None, fallback: str, suffix: str) -> str:
    """A ``Content-Disposition`` with a safe file name, for old clients in ASCII, and the title for others.

    Source: RFC 6266 appendix D, RFC 8187.
    """
    plain = f'{kind}; filename="{fallback}.{suffix}"'
    name = " ".join("".join(_safe(letter) for letter in title or "").split()).strip(". ")[:_MAX_NAME_CHARS]
    if not name:
        return plain
    return f"{plain}; filename*=UTF-8''{quote(f'{name}.{suffix}', safe='')}"


def _safe(letter: str) -> str:
    """A letter that may stand in a file name on every system; a blank for the others."""
    return letter if letter.isprintable() and letter not in '\\/:*?"<>|' else " "
