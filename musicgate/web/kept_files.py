"""Serve kept files: by key or signed link, with ranges, conditions and safe file names.

It knows HTTP and files by name, and must not know what is in them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from aiohttp import web

from musicgate.errors import JobNotFoundError, RequestError, StorageError
from musicgate.gateway import operation_of
from musicgate.views import is_signed
from musicgate.web.conditions import RangeError, read_range
from musicgate.web.connection import CORS, write_through
from musicgate.web.job_resource import VARY, read_conditions
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from musicgate.gateway import Gateway, Rendition
    from musicgate.model import Job, Track
    from musicgate.web.auth import Accounts

_log = logging.getLogger(__name__)
#: Seconds for which a client may read nothing; then it is cut off.
STALL_S: Final = 60.0
#: Characters of a link that stay as they are; the rest is not allowed in a header.
LINK_LETTERS: Final = "%/:?#[]@!$&'()*+,;=-._~|"
#: A browser opens a link to audio or a picture in a page that it makes itself; nothing else may run or load
#: there, whatever is in the file.
FILE_POLICY: Final = (
    "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'; sandbox"
)
#: Characters of a title in a file name; systems allow 255 bytes.
_MAX_NAME_CHARS: Final = 60
_FALSE: Final = frozenset({"0", "false", "no"})
#: What is kept never changes under its name.
CACHE_CONTROL: Final = "private, max-age=86400"


#: Seconds after which a reader may ask again while the store of files fails.
_RETRY_AFTER_S: Final = 5.0


@contextmanager
def from_the_store() -> Iterator[None]:
    """Answer 503 where the store of files fails: to ask again is safe.

    Raises:
        RequestError: instead of the `StorageError`, whose text may name paths of the server.
    """
    try:
        yield
    except StorageError as error:
        _log.error("a file cannot be read: error=%s", error)
        raise RequestError(
            "gateway_error",
            "the store of audio does not answer as it should; ask again later",
            reason="audio_store_failed",
            http_status=503,
            retry_after_s=_RETRY_AFTER_S,
        ) from error


class KeptFiles:
    """Finds the jobs of requests for files, and answers with the files."""

    def __init__(self, gateway: Gateway, accounts: Accounts) -> None:
        self._gateway = gateway
        self._accounts = accounts
        self._audit = operation_of(gateway).audit

    async def find(self, request: web.Request) -> tuple[Job, Track | None]:
        """Find the job by the signature of the link, else by the caller's key; and the track of the path.

        Raises:
            UnauthorisedError: no signature, and no key.
            JobNotFoundError: the account has no such job, or the link was not made here or has ended.
            LimitReachedError: too many requests of the account, or by its links, are in progress.
        """
        music_id, index = request.match_info["music_id"], int(request.match_info["index"])
        signature = request.query.get("sig", "")
        if signature:
            found = await self._gateway.get(music_id)
            expires = request.query.get("expires")
            if found is None or not is_signed(found, index, signature, expires, time.time()):
                raise JobNotFoundError(music_id)
            job = found
            # The client is not the account: its downloads must not use up the account's own requests.
            self._accounts.count(request, counted_as(request, job))
        else:
            account = self._accounts.identify(request)
            job = await self._gateway.find(music_id, account=account.name)
        return job, next((track for track in job.tracks if track.index == index), None)

    def note_download(self, request: web.Request, job: Job, track: Track) -> None:
        """Note in the audit log that the audio of a track is sent."""
        state = request[STATE]
        self._audit.downloaded(job, track.index, key_id=state.key_id, request_id=state.generation_id)

    async def serve(
        self,
        request: web.Request,
        job: Job,
        track: Track,
        file: Rendition,
        *,
        begins: Callable[[], None] = lambda: None,
    ) -> web.StreamResponse:
        """Answer with the file or a part of it, with a redirect to the object store, or 304, 412 or 416.

        Args:
            begins: called when the first byte of the file, or a link to it, is about to be sent.
        """
        modified_at = _modified_at(job)
        headers = _headers(request, job, track, file)
        conditions = read_conditions(request)
        status = conditions.status(request.method, headers["ETag"], modified_at)
        if status == 304:
            headers.pop("Content-Type")
            return web.Response(status=304, headers=headers)
        if status is not None:
            raise web.HTTPPreconditionFailed
        link = None
        if request.method == "GET":  # the store signs a link for one method
            link = await self._gateway.audio_link(file, headers["Content-Disposition"])
        if link is not None:
            begins()
            return web.Response(status=307, headers={**CORS, "Location": link, "Cache-Control": "no-store"})
        first, last = 0, file.size_bytes - 1
        ranges = ", ".join(request.headers.getall("Range", [])) if request.method == "GET" else ""
        if ranges and conditions.range_counts(
            headers["ETag"], headers["Last-Modified"], modified_at, datetime.now(UTC)
        ):
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
            if first == 0:  # a player asks for the rest in many parts
                begins()
            await self._send(request, response, file, first, last + 1)
        return response

    async def send(
        self, request: web.Request, job: Job, track: Track, file: Rendition, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Answer with the whole file, whatever conditions the request has: the one that it was made for.

        Args:
            headers: beside those of the file.
        """
        own = _headers(request, job, track, file)
        del own["Accept-Ranges"]
        # The same request sent again is another song.
        response = web.StreamResponse(headers={**own, "Cache-Control": "no-store", **headers})
        response.content_length = file.size_bytes
        await response.prepare(request)
        await self._send(request, response, file, 0, file.size_bytes)
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, file: Rendition, start: int, stop: int
    ) -> None:
        """Send a file piece by piece."""
        try:
            async with aclosing(self._gateway.read_audio(file, start, stop)) as pieces:
                with write_through(request):
                    async for piece in pieces:
                        async with asyncio.timeout(STALL_S):
                            await response.write(piece)
        except (OSError, TimeoutError, StorageError):
            # The client is gone or reads nothing, or the file is gone. An answer that stays shorter than its
            # Content-Length has to be aborted.
            if request.transport is not None:
                request.transport.abort()


def redirect(url: str, reason: str) -> web.Response:
    """Redirect to the vendor's own link, where a file is not kept (``assets.archive``).

    Raises:
        RequestError: the link is neither http nor https, so no browser may be redirected to it.
    """
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web:
        message = "the provider's link is neither http nor https"
        raise RequestError("not_found", message, reason=reason)
    return web.Response(
        status=302, headers={"Location": quote(url, safe=LINK_LETTERS), "Cache-Control": "no-store"}
    )


def counted_as(request: web.Request, job: Job) -> str:
    """The name under which a request for a job's files is counted."""
    return f"{job.account} links" if request.query.get("sig") else job.account


def _modified_at(job: Job) -> datetime:
    return (job.completed_at or job.updated_at).replace(microsecond=0)


def _headers(request: web.Request, job: Job, track: Track, file: Rendition) -> dict[str, str]:
    is_download = "download" in request.query and request.query["download"].lower() not in _FALSE
    suffix = file.name.rpartition(".")[2]
    # A conversion on demand has no known digest; its name says what it was made of.
    digest = file.sha256 or f"{file.name.replace('/', '-')}-{file.size_bytes:x}"
    return {
        **CORS,
        "Content-Type": file.content_type,
        "Content-Disposition": content_disposition(
            "attachment" if is_download else "inline", track.title, f"{job.id}-{track.index}", suffix
        ),
        "Content-Security-Policy": FILE_POLICY,
        "Cache-Control": CACHE_CONTROL,
        "Last-Modified": format_datetime(_modified_at(job), usegmt=True),
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
