"""The audio route: what we keep, by key or signed link, with ranges and conditions; a reader that takes nothing is cut off."""

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
from musicgate.web.job_view import VARY, conditions_of
from musicgate.web.middleware import CORS

if TYPE_CHECKING:
    from pathlib import Path

    from musicgate.gateway import Gateway
    from musicgate.model import Asset, Job
    from musicgate.web.auth import Accounts

#: Seconds for which a reader may take nothing.
STALL_S: Final = 60.0
_PIECE_BYTES: Final = 256 * 1024
#: Letters of a link that stay as they are; the rest cannot stand in a header.
_LINK_LETTERS: Final = "%/:?#[]@!$&'()*+,;=-._~|"
#: A browser shows audio that is opened by its link in a page of its own; nothing else runs or loads there.
_AUDIO_POLICY: Final = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
_NO: Final = frozenset({"0", "false", "no"})


@attrs.frozen(kw_only=True)
class _Kept:
    """A file with what its headers say."""

    path: Path
    size_bytes: int
    modified_at: datetime
    etag: str

    @property
    def last_modified(self) -> str:
        return format_datetime(self.modified_at.replace(microsecond=0), usegmt=True)


class AudioRoutes:
    """The handler of audio."""

    def __init__(self, gateway: Gateway, accounts: Accounts) -> None:
        self._gateway = gateway
        self._accounts = accounts

    def routes(self, base: str) -> list[web.RouteDef]:
        """The routes under one name of the collection."""
        return [web.get(f"{base}/{{music_id}}/audio/{{index:[0-9]{{1,3}}}}", self.audio)]

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """``GET .../audio/{index}``; a signed link needs no key, so that players can open it."""
        job = await self._job_of(request)
        index = int(request.match_info["index"])
        track = next((track for track in job.tracks if track.index == index), None)
        if track is None or not track.has_audio:
            raise RequestError("not_found", f"job {job.id} has no audio {index}", reason="audio_not_found")
        if track.asset is None:
            return _redirect(track.audio_url or "")
        path = self._gateway.audio_path(job, index)
        kept = None if path is None else await asyncio.to_thread(_look_at, path)
        if kept is None:
            raise RequestError("not_found", "this audio is no longer kept here", reason="audio_gone")
        return await _serve(request, kept, _headers(request, job, index, track.asset, kept))

    async def _job_of(self, request: web.Request) -> Job:
        """The job of a link: by its signature, else by the caller's key."""
        music_id = request.match_info["music_id"]
        signature = request.query.get("sig", "")
        if not signature:
            account = self._accounts.identify(request)
            return await self._gateway.find(music_id, account=account.name)
        job = await self._gateway.get(music_id)
        if job is None or not is_signed(job, int(request.match_info["index"]), signature):
            raise JobNotFoundError(music_id)
        # Who has the link is not the account: its downloads must not use up what the account's own calls may.
        self._accounts.count(request, f"{job.account} links")
        return job


def _redirect(url: str) -> web.Response:
    """To the vendor's own link, where audio is not kept (``assets.archive``).

    Raises:
        RequestError: the link is none that a browser may be sent to.
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


def _look_at(path: Path) -> _Kept | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Kept(
        path=path,
        size_bytes=found.st_size,
        modified_at=datetime.fromtimestamp(found.st_mtime, UTC),
        etag=f'"{found.st_mtime_ns:x}-{found.st_size:x}"',
    )


def _headers(request: web.Request, job: Job, index: int, asset: Asset, kept: _Kept) -> dict[str, str]:
    is_download = "download" in request.query and request.query["download"].lower() not in _NO
    suffix = asset.name.rpartition(".")[2]
    return {
        **CORS,
        "Content-Type": asset.content_type,
        "Content-Disposition": f'{"attachment" if is_download else "inline"}; filename="{job.id}-{index}.{suffix}"',
        "Content-Security-Policy": _AUDIO_POLICY,
        "Cache-Control": "private, max-age=86400",
        "Accept-Ranges": "bytes",
        "ETag": kept.etag,
        "Last-Modified": kept.last_modified,
        "Vary": VARY,
    }


async def _serve(request: web.Request, kept: _Kept, headers: dict[str, str]) -> web.StreamResponse:
    """The whole, a part, or what the conditions make of it."""
    conditions = conditions_of(request)
    status = conditions.status(request.method, kept.etag, kept.modified_at)
    if status == 304:
        headers.pop("Content-Type")
        return web.Response(status=304, headers=headers)
    if status is not None:
        raise web.HTTPPreconditionFailed
    first, last = 0, kept.size_bytes - 1
    asked = ", ".join(request.headers.getall("Range", [])) if request.method == "GET" else ""
    if asked and conditions.range_counts(kept.etag, kept.last_modified, kept.modified_at, datetime.now(UTC)):
        try:
            part = read_range(asked, kept.size_bytes)
        except RangeError as exc:
            raise web.HTTPRequestRangeNotSatisfiable(
                headers={"Content-Range": f"bytes */{kept.size_bytes}"}
            ) from exc
        if part is not None:
            first, last = part
            headers["Content-Range"] = f"bytes {first}-{last}/{kept.size_bytes}"
    response = web.StreamResponse(status=206 if "Content-Range" in headers else 200, headers=headers)
    response.content_length = last - first + 1
    await response.prepare(request)
    if request.method == "GET":
        await _send(request, response, kept.path, first, last + 1)
    return response


async def _send(
    request: web.Request, response: web.StreamResponse, path: Path, start: int, stop: int
) -> None:
    """Hand on a file piece by piece; each piece opens it anew, so a slow reader holds no descriptor."""
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
    # It has gone, or it takes nothing, or the file is gone: less than was announced cannot be ended well.
    if request.transport is not None:
        request.transport.abort()


def _read(path: Path, start: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(count)
