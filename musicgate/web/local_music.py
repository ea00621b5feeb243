"""The JSON of the HTTP API for a caller in this process: what an account can do, without a connection.

It calls the same views and the same gateway as the routes, and knows no request.
"""

from __future__ import annotations

import json
import logging
from contextlib import aclosing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from musicgate import views
from musicgate.aio import new_id, offload
from musicgate.errors import JobTimeoutError, MusicgateError, RequestError, StorageError
from musicgate.gateway import IdempotencyKey, account_book, operation_of
from musicgate.mcp import ApiError, Audio, Created, file_name, unwritable, write_pieces
from musicgate.model import JobQuery, JobState
from musicgate.plugin import write_json
from musicgate.text import LARGE_BODY_BYTES, MAX_PAGE_BYTES
from musicgate.web.audio import kept_audio
from musicgate.web.idempotency_key import CREATE_SCOPE
from musicgate.web.jobs import read_cursor, read_page
from musicgate.web.refusals import refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from musicgate.gateway import Gateway, Rendition
    from musicgate.model import Job, MusicRequest, Track
    from musicgate.settings import Account

    #: As `musicgate.views.render_job` takes it.
    Links = Callable[[Job, Track, str], str | None]

_log = logging.getLogger(__name__)


class LocalMusic:
    """Implements `musicgate.mcp.MusicApi` with a gateway.

    Args:
        links: makes the links to what we keep.
        key_id: id of the API key of the caller; "" = there is none.
        request_id: id of the one HTTP request that the calls are for; None makes one for each call.
        created: is called with the id of a job that was made, or found by its idempotency key.
        waiting: is entered while a call waits for a job; may refuse.
    """

    def __init__(
        self,
        gateway: Gateway,
        account: Account,
        links: Links,
        *,
        key_id: str = "",
        request_id: str | None = None,
        created: Callable[[str], None] = lambda _: None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._gateway = gateway
        self._account = account
        self._links = links
        self._waiting = waiting
        self._key_id = key_id
        self._request_id = request_id
        self._created = created
        self._ends = views.AudioEnd(account_book(gateway).retention_of)
        self._audit = operation_of(gateway).audit

    async def plan(self, body: dict[str, Any]) -> dict[str, Any]:
        """As ``POST /v1/music/plan``."""
        with _as_answers(self._request_id) as request_id:
            request = await self._read(body)
            plan = self._gateway.plan(request, account=self._account.name, beta_channel=self._account.beta)
            return _plain(views.render_plan(request, plan, request_id))

    async def create(self, body: dict[str, Any], key: str) -> Created:
        """As ``POST /v1/music/generate`` with ``Idempotency-Key`` and ``Prefer: wait=0``."""
        with _as_answers(self._request_id) as request_id:
            request = await self._read(body)
            job = await self._gateway.submit(
                request,
                account=self._account.name,
                key_id=self._key_id,
                generation_id=request_id,
                beta_channel=self._account.beta,
                wait_s=0.0,
                idempotency=IdempotencyKey.of(key, body, CREATE_SCOPE),
            )
            self._created(job.id)
            refusal = refusal_of(job)
            if refusal is not None:
                raise ApiError(views.render_refusal(request_id, refusal, job).body)
            return Created(job=self._render(job), is_replay=job.generation_id != request_id)

    async def job(self, job_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        """As ``GET /v1/music/generate/{id}`` with ``Prefer: wait``."""
        with _as_answers(self._request_id):
            job = await self._find(job_id)
            if wait_s and not job.state.is_final:
                with self._waiting():
                    job = await self._wait(job, wait_s)
            return self._render(job)

    async def jobs(
        self, states: Sequence[str], model: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """As ``GET /v1/music/generate``."""
        with _as_answers(self._request_id):
            query = JobQuery(
                states=tuple(JobState(state) for state in states),
                model=model,
                before=None if cursor is None else read_cursor(cursor),
                limit=limit,
                max_bytes=MAX_PAGE_BYTES,
            )
            page, has_more = await read_page(self._gateway, query, self._account)
            return await offload(
                lambda: _plain(
                    views.render_job_list(
                        page, self._links, self._gateway.masker, has_more=has_more, ends=self._ends
                    )
                ),
                is_large=True,
            )

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """As ``POST /v1/music/generate/{id}/cancel``."""
        with _as_answers(self._request_id) as request_id:
            job = await self._find(job_id)
            cancelled = await self._gateway.cancel(
                job.id, account=self._account.name, key_id=self._key_id, request_id=request_id
            )
            return self._render(cancelled)

    async def models(self) -> dict[str, Any]:
        """As ``GET /v1/music/models``."""
        offering = ((status.provider, status.has_key) for status in self._gateway.providers())
        return _plain(views.render_models(offering))

    async def audio(self, job_id: str, index: int, wanted: str | None, *, max_bytes: int) -> Audio:
        """As ``GET /v1/music/generate/{id}/audio/{index}``."""
        with _as_answers(self._request_id) as request_id:
            job = await self._find(job_id)
            kept = await kept_audio(self._gateway, job, index, wanted)
            track = _track(job, index)
            if kept is None:
                return _at_the_vendor(job, track)
            content = None
            if kept.size_bytes <= max_bytes:
                async with aclosing(self._gateway.read_audio(kept, 0, kept.size_bytes)) as pieces:
                    content = b"".join([piece async for piece in pieces])
                # Larger audio is downloaded by the link.
                self._audit.downloaded(job, index, key_id=self._key_id, request_id=request_id)
            return Audio(
                name=file_name(job.id, index, kept.content_type),
                content_type=kept.content_type,
                size_bytes=kept.size_bytes,
                uri=self._uri(job, track, wanted),
                content=content,
            )

    async def save(self, job_id: str, index: int, wanted: str | None, path: Path) -> None:
        """As `audio`, into a file."""
        with _as_answers(self._request_id) as request_id:
            job = await self._find(job_id)
            kept = await kept_audio(self._gateway, job, index, wanted)
            link = _track(job, index).audio_url
            if kept is not None:
                await self._write(kept, path)
                self._audit.downloaded(job, index, key_id=self._key_id, request_id=request_id)
            elif link:
                await self._gateway.download(link, path)

    async def _write(self, kept: Rendition, path: Path) -> None:
        async with aclosing(self._gateway.read_audio(kept, 0, kept.size_bytes)) as pieces:
            try:
                await write_pieces(pieces, path, kept.size_bytes)
            except OSError as error:
                raise unwritable(path, error) from error

    def _uri(self, job: Job, track: Track, wanted: str | None) -> str | None:
        """The link in a format; a file on this machine is there in one only."""
        link = self._links(job, track, "audio")
        if link is None or wanted is None:
            return link
        return f"{link}&format={wanted}" if link.startswith("http") else None

    async def _read(self, body: dict[str, Any]) -> MusicRequest:
        is_large = len(write_json(body)) > LARGE_BODY_BYTES
        return await offload(lambda: self._gateway.read(body), is_large=is_large)

    async def _find(self, job_id: str) -> Job:
        return await self._gateway.find(job_id.strip(), account=self._account.name)

    async def _wait(self, job: Job, wait_s: float) -> Job:
        try:
            return await self._gateway.wait(job.id, wait_s)
        except JobTimeoutError:
            return await self._gateway.get(job.id) or job
        except StorageError as error:
            _log.warning("job not read again, an older version is shown: job=%s error=%s", job.id, error)
            return job

    def _render(self, job: Job) -> dict[str, Any]:
        return _plain(views.render_job(job, self._links, self._gateway.masker(job), ends=self._ends))


def _track(job: Job, index: int) -> Track:
    return next(track for track in job.tracks if track.index == index)


def _at_the_vendor(job: Job, track: Track) -> Audio:
    """Audio that is not kept here (``assets.archive``)."""
    content_type = "audio/mpeg"  # what vendors deliver by default; the link itself says more
    return Audio(
        name=file_name(job.id, track.index, content_type),
        content_type=content_type,
        size_bytes=None,
        uri=track.audio_url,
        content=None,
    )


@contextmanager
def _as_answers(given_id: str | None) -> Iterator[str]:
    """Turn errors into those of the API, with the id of the request.

    Raises:
        ApiError: what the block raised, rendered as HTTP shows it.
    """
    request_id = given_id or new_id("G-")
    try:
        yield request_id
    except MusicgateError as error:
        if not isinstance(error, RequestError):
            _log.warning("call failed error=%s", error)
        raise ApiError(views.render_error(request_id, error).body) from error


def _plain(view: dict[str, object]) -> dict[str, Any]:
    """The JSON of a view as plain values, which any encoder takes."""
    value: dict[str, Any] = json.loads(write_json(view))
    return value
