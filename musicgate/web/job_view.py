"""A job as HTTP shows it: found by the id in a path and by its account, with its links, its ETag and a hint when to ask again."""

from __future__ import annotations

import logging
import math
from contextlib import nullcontext
from typing import TYPE_CHECKING

from aiohttp import web

from musicgate.errors import JobNotFoundError, RequestError, StorageError
from musicgate.plugin import write_json
from musicgate.views import audio_links, render_job
from musicgate.web.conditions import Conditions

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from musicgate.gateway import Gateway
    from musicgate.model import Job, Track
    from musicgate.settings import Account
    from musicgate.web.capacity import Capacity
    from musicgate.web.time_limits import Patience

_log = logging.getLogger(__name__)
_NATIVE_AND_OURS_MAX_CHARS = 512
#: What a cache must tell apart (RFC 9110 12.5.5): another key sees other jobs, and ``Prefer`` another moment.
VARY = "Authorization, Prefer"
_CONDITIONAL = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range")
_UNCONDITIONAL = Conditions()


class JobView:
    """Finds jobs for routes, and shows them."""

    def __init__(self, gateway: Gateway, patience: Patience, waits: Capacity) -> None:
        """Show the jobs of one gateway.

        Args:
            waits: counts the requests that wait for the end of a job.
        """
        self._gateway = gateway
        self._patience = patience
        self._waits = waits

    async def find(self, request: web.Request, account: Account) -> Job:
        """The account's job that the path names.

        Raises:
            RequestError: ``missing_music_id``.
            JobNotFoundError: the account has no such job.
        """
        music_id = request.match_info["music_id"].strip()
        if not music_id:
            raise missing_id()
        if len(music_id) > _NATIVE_AND_OURS_MAX_CHARS:
            raise JobNotFoundError(music_id[:64])
        return await self._gateway.find(music_id, account=account.name)

    def waiting(self, account: Account, wait_s: float | None) -> AbstractContextManager[None]:
        """Counts a request as waiting while the block runs, if it wants to wait.

        Raises (when the block is entered):
            RequestError: 429 or 503, too many wait already.
        """
        return self._waits.hold(account.name) if wait_s else nullcontext()

    async def waited(self, job: Job, wait_s: float | None) -> Job:
        """The job when it is final, or as it is after so many seconds."""
        if wait_s is None or job.state.is_final:
            return job
        try:
            try:
                async with self._patience.limit(wait_s):
                    return await self._gateway.wait(job.id)
            except TimeoutError:
                return await self._gateway.get(job.id) or job
        except StorageError as error:
            # It is stored: its caller gets it, if not its newest version. A 500 would say that it was lost.
            _log.warning("job %s: it cannot be read again for its caller: %s", job.id, error)
            return job

    def render(self, request: web.Request, job: Job) -> dict[str, object]:
        """A job as GET answers it."""
        return render_job(job, self.audio_url(request), self._gateway.masker(job))

    def respond(
        self, job: Job, answer: dict[str, object], headers: dict[str, str] | None = None
    ) -> web.Response:
        """An answer about one job."""
        more = {**_validators(job), **(headers or {})}
        pause_s = self._gateway.next_poll_s(job)
        if pause_s is not None:
            more["Retry-After"] = str(max(1, math.ceil(pause_s)))
        return respond_json(answer, more)

    def not_modified(self, job: Job, headers: dict[str, str]) -> web.Response:
        """A 304, with the headers that a 200 would have (RFC 9110 15.4.5)."""
        return web.Response(status=304, headers={**_validators(job), **headers})

    def audio_url(self, request: web.Request) -> Callable[[Job, Track], str | None]:
        """Makes the link of a track that we keep."""
        public_url = self._gateway.settings.server.public_url.rstrip("/")
        base = public_url or f"{request.scheme}://{request.host}"
        return audio_links(base)


def conditions_of(request: web.Request) -> Conditions:
    """The conditional headers of a request."""
    if not any(name in request.headers for name in _CONDITIONAL):
        return _UNCONDITIONAL

    def field(name: str) -> str | None:
        lines = request.headers.getall(name, [])
        return ",".join(lines) if lines else None

    return Conditions(
        if_match=field("If-Match"),
        if_none_match=field("If-None-Match"),
        if_modified_since=request.if_modified_since,
        if_unmodified_since=request.if_unmodified_since,
        if_range=field("If-Range"),
    )


def check_conditions(request: web.Request, job: Job) -> bool:
    """True if the answer is a 304.

    Raises:
        HTTPPreconditionFailed: the job is not as the request wants it; entity tags of jobs are weak, so ``If-Match`` takes ``*`` only.
    """
    status = conditions_of(request).status(request.method, etag(job))
    if status == 412:
        raise web.HTTPPreconditionFailed
    return status == 304


def _validators(job: Job) -> dict[str, str]:
    return {"ETag": etag(job), "Cache-Control": "private, no-cache", "Vary": VARY}


def etag(job: Job) -> str:
    """Changes with every stored version of a job."""
    return f'W/"{job.id}.{job.version}"'


def missing_id() -> RequestError:
    """A path without an id where one belongs."""
    return RequestError("validation_error", "the music id is missing in the path", reason="missing_music_id")


def respond_json(value: object, headers: dict[str, str] | None = None) -> web.Response:
    """A good answer."""
    return web.Response(body=write_json(value), content_type="application/json", headers=headers)
