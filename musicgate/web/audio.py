"""The audio route: kept audio by key or signed link, with ranges and conditional requests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import attrs
from aiohttp import web

from musicgate.errors import JobNotFoundError, RequestError
from musicgate.views import is_signed
from musicgate.web.conditions import RangeError, read_range
from musicgate.web.connection import CORS
from musicgate.web.job_resource import VARY, read_conditions

if TYPE_CHECKING:
    from pathlib import Path

    from musicgate.gateway import Gateway
    from musicgate.model import Asset, Job
    from musicgate.web.auth import Accounts

#: Seconds for which a client may read nothing; then it is cut off.
STALL_S: Final = 60.0
_PIECE_BYTES: Final = 256 * 1024
#: Characters of a link that stay as they are; the rest is not allowed in a header.
_LINK_LETTERS: Final = "%/:?#[]@!$&'()*+,;=-._~|"
#: A browser opens an audio link in a page that it makes itself; nothing else may run or load there.
_AUDIO_POLICY: Final = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
_FALSE: Final = frozenset({"0", "false", "no"})


@attrs.frozen(kw_only=True)
class _AudioFile:
    """One version of a file, with its validators."""

    path: Path
    size_bytes: int
    modified_at: datetime
    etag: str

    @property
    def last_modified(self) -> str:
        return format_datetime(self.modified_at.replace(microsecond=0), usegmt=True)


class AudioRoutes:
    """Handler of audio."""

    def __init__(self, gateway: Gateway, accounts: Accounts) -> None:
        self._gateway = gateway
        self._accounts = accounts

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the routes under one path of the collection."""
        return [web.get(f"{base}/{{music_id}}/audio/{{index:[0-9]{{1,3}}}}", self.audio)]

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """``GET .../audio/{index}``: a track's audio. A signed link needs no key, for players."""
        job = await self._job_of(request)
        index = int(request.match_info["index"])
        track = next((track for track in job.tracks if track.index == index), None)
        if track is None or not track.has_audio:
            raise RequestError("not_found", f"job {job.id} has no audio {index}", reason="audio_not_found")
        if track.asset is None:
            return _redirect(track.audio_url or "")
        path = self._gateway.audio_path(job, index)
        file = None if path is None else await asyncio.to_thread(_stat, path)
        if file is None:
            raise RequestError("not_found", "this audio is no longer kept here", reason="audio_gone")
        return await _serve(request, file, _headers(request, job, index, track.asset, file))

    async def _job_of(self, request: web.Request) -> Job:
        """Find the job by the signature of the link, else by the caller's key."""
        music_id = request.match_info["music_id"]
        signature = request.query.get("sig", "")
        if not signature:
            account = self._accounts.identify(request)
            return await self._gateway.find(music_id, account=account.name)
        job = await self._gateway.get(music_id)
        if job is None or not is_signed(job, int(request.match_info["index"]), signature):
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


def _stat(path: Path) -> _AudioFile | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _AudioFile(
        path=path,
        size_bytes=found.st_size,
        modified_at=datetime.fromtimestamp(found.st_mtime, UTC),
        etag=f'"{found.st_mtime_ns:x}-{found.st_size:x}"',
    )


def _headers(request: web.Request, job: Job, index: int, asset: Asset, file: _AudioFile) -> dict[str, str]:
    is_download = "download" in request.query and request.query["download"].lower() not in _FALSE
    disposition = "attachment" if is_download else "inline"
    suffix = asset.name.rpartition(".")[2]
    return {
        **CORS,
        "Content-Type": asset.content_type,
        "Content-Disposition": f'{disposition}; filename="{job.id}-{index}.{suffix}"',
        "Content-Security-Policy": _AUDIO_POLICY,
        "Cache-Control": "private, max-age=86400",
        "Accept-Ranges": "bytes",
        "ETag": file.etag,
        "Last-Modified": file.last_modified,
        "Vary": VARY,
    }


async def _serve(request: web.Request, file: _AudioFile, headers: dict[str, str]) -> web.StreamResponse:
    """Answer with the file or a part of it, or 304, 412 or 416."""
    conditions = read_conditions(request)
    status = conditions.status(request.method, file.etag, file.modified_at)
    if status == 304:
        headers.pop("Content-Type")
        return web.Response(status=304, headers=headers)
    if status is not None:
        raise web.HTTPPreconditionFailed
    first, last = 0, file.size_bytes - 1
    ranges = ", ".join(request.headers.getall("Range", [])) if request.method == "GET" else ""
    if ranges and conditions.range_counts(file.etag, file.last_modified, file.modified_at, datetime.now(UTC)):
        try:
            part = read_range(ranges, file.size_bytes)
        except RangeError as exc:
            raise web.HTTPRequestRangeNotSatisfiable(
                headers={"Content-Range": f"bytes */{file.size_bytes}"}
            ) from exc
        if part is not None:
            first, last = part
            headers["Content-Range"] = f"bytes {first}-{last}/{file.size_bytes}"
    response = web.StreamResponse(status=206 if "Content-Range" in headers else 200, headers=headers)
    response.content_length = last - first + 1
    await response.prepare(request)
    if request.method == "GET":
        await _send(request, response, file.path, first, last + 1)
    return response


async def _send(
    request: web.Request, response: web.StreamResponse, path: Path, start: int, stop: int
) -> None:
    """Send a file piece by piece. Each piece opens it anew, so a slow client holds no descriptor."""
    try:
        while start < stop:
            piece = await asyncio.to_thread(_read, path, start, min(_PIECE_BYTES, stop - start))
            if not piece:
                break
            start += len(piece)
            async with asyncio.timeout(STALL_S):
                await response.write(piece)
        else:
            return
    except (OSError, TimeoutError):
        pass
    # The client is gone or reads nothing, or the file is gone. An answer that stays shorter than its
    # Content-Length has to be aborted.
    if request.transport is not None:
        request.transport.abort()


def _read(path: Path, start: int, count: int) -> bytes:
    with path.open("rb") as opened:
        opened.seek(start)
        return opened.read(count)
