"""A job as an HTTP resource: lookup by path and account, links, ``ETag`` and ``Retry-After``."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Protocol

from aiohttp import hdrs, web

from musicgate.errors import JobNotFoundError, RequestError, StorageError
from musicgate.gateway import account_book
from musicgate.plugin import write_json
from musicgate.views import AudioEnd, SignedLinks, links_at, render_job
from musicgate.web.conditions import Conditions
from musicgate.web.connection import while_connected
from musicgate.web.finished_answers import FinishedAnswer, FinishedAnswers
from musicgate.web.job_answer import JobAnswer
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.model import Job
    from musicgate.settings import Account
    from musicgate.web.capacity import Capacity
    from musicgate.web.preferences import Preferences
    from musicgate.web.timeouts import RequestTimeouts

_log = logging.getLogger(__name__)
_MAX_ID_CHARS = 512
#: RFC 9110 12.5.5: another key sees other jobs, and ``Prefer`` may select a later version.
VARY = "Authorization, Prefer"
_CONDITIONAL = (
    *(hdrs.IF_MATCH, hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE, hdrs.IF_UNMODIFIED_SINCE),
    hdrs.IF_RANGE,
)
_UNCONDITIONAL = Conditions()
_CACHE_CONTROL = "private, no-cache"
_JSON = "application/json"


class _Versioned(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def version(self) -> int: ...


class JobResource:
    """Looks up jobs for the routes, waits for them and answers with them."""

    def __init__(self, gateway: Gateway, timeouts: RequestTimeouts, waits: Capacity) -> None:
        """Serve the jobs of one gateway.

        Args:
            waits: counts the requests that wait for the end of a job.
        """
        self._gateway = gateway
        self._timeouts = timeouts
        self._waits = waits
        self._public_url = gateway.settings.server.public_url.rstrip("/")
        self._link_lifetime_s = round(gateway.settings.assets.link_hours * 3600)
        book = account_book(gateway)
        self.ends = AudioEnd(book.retention_of)
        self._finished = FinishedAnswers()
        gateway.call_on_change(self._finished.drop)
        # They say until when audio is kept.
        book.listeners.append(lambda changed: self._finished.clear() if changed else None)

    async def find(self, request: web.Request, account: Account) -> Job:
        """Return the account's job that the path names, by our id or the native one.

        Raises:
            RequestError: ``missing_music_id``.
            JobNotFoundError: the account has no such job.
        """
        return await self._gateway.find(_music_id(request), account=account.name)

    async def answer_unread(
        self, request: web.Request, account: Account, preferences: Preferences
    ) -> web.StreamResponse | None:
        """Answer a GET without reading the job, if a 304 or the kept answer of a finished job will do.

        Raises:
            RequestError: ``missing_music_id``.
            JobNotFoundError: the account has no such job.
            HTTPPreconditionFailed: a precondition does not hold.
        """
        music_id, links = _music_id(request), self.links(request)
        kept = self._finished.find(music_id, account.name, links)
        shown: _Versioned
        if kept is not None:
            shown = kept
        else:
            shown = head = await self._gateway.head(music_id, account=account.name)
            if head.state.is_final:
                kept = self._finished.find_version(head.id, head.version, links)
            elif preferences.wait_s is not None or self._gateway.provider_of(head) is None:
                return None
        headers = {} if preferences.wait_s is None else preferences.applied
        if check_conditions(request, etag(shown, links)):
            return self.not_modified(request, shown, headers)
        return None if kept is None else JobAnswer(kept.body, {**_validators(kept, links), **headers})

    def count_wait(self, request: web.Request, account: Account, wait_s: float | None) -> None:
        """Count the request as waiting until it is answered, if it has a wait.

        Raises:
            LimitReachedError: 429, too many requests of the account are waiting.
            RequestError: 503, too many of all accounts are.
        """
        if wait_s:
            request[STATE].hold(self._waits, account.name)

    async def wait(self, request: web.Request, job: Job, wait_s: float | None) -> Job:
        """Return the job once it is final, or as it is after ``wait_s``, or when the client has gone."""
        if wait_s is None or job.state.is_final:
            return job
        try:
            try:
                async with self._timeouts.limit(wait_s), while_connected(request):
                    return await self._gateway.wait(job.id)
            except TimeoutError:
                return await self._gateway.get(job.id) or job
        except StorageError as error:
            # The job is stored, so its caller gets the version at hand. A 500 would say that it was lost.
            _log.warning("job not read again, an older version is shown: job=%s error=%s", job.id, error)
            return job

    def render(self, job: Job, links: SignedLinks) -> dict[str, object]:
        """Render a job as GET answers it."""
        return render_job(job, links, self._gateway.masker(job), ends=self.ends)

    def respond_finished(self, request: web.Request, job: Job, headers: dict[str, str]) -> JobAnswer:
        """Answer a GET of a finished job, and keep the answer."""
        links = self.links(request)
        answer = FinishedAnswer(
            id=job.id,
            version=job.version,
            account=job.account,
            links=links,
            body=write_json(self.render(job, links)),
        )
        self._finished.keep(answer)
        return JobAnswer(answer.body, {**_validators(answer, answer.links), **headers})

    def respond(
        self,
        job: Job,
        links: SignedLinks,
        answer: dict[str, object],
        headers: dict[str, str] | None = None,
    ) -> JobAnswer:
        """Answer with one job, rendered with these links."""
        more = _validators(job, links)
        if headers:
            more.update(headers)
        pause_s = self._gateway.next_poll_s(job)
        if pause_s is not None:
            more["Retry-After"] = str(max(1, math.ceil(pause_s)))
        return JobAnswer(write_json(answer), more)

    def is_modified(self, request: web.Request, job: Job) -> bool:
        """Return False if the answer is a 304.

        Raises:
            HTTPPreconditionFailed: a precondition does not hold.
        """
        return not check_conditions(request, etag(job, self.links(request)))

    def not_modified(self, request: web.Request, job: _Versioned, headers: dict[str, str]) -> web.Response:
        """Answer 304, with the headers that a 200 would have (RFC 9110 15.4.5)."""
        return web.Response(status=304, headers={**_validators(job, self.links(request)), **headers})

    def links(self, request: web.Request) -> SignedLinks:
        """Return what makes the links to what we keep."""
        base_url = self._public_url or f"{request.scheme}://{request.host}"
        return links_at(base_url, self._link_lifetime_s, time.time())


def _music_id(request: web.Request) -> str:
    """Read the id in the path.

    Raises:
        RequestError: ``missing_music_id``.
        JobNotFoundError: no id is so long.
    """
    music_id = request[STATE].music_id or request.match_info["music_id"].strip()
    if not music_id:
        raise missing_id()
    if len(music_id) > _MAX_ID_CHARS:
        raise JobNotFoundError(music_id[:64])
    return music_id


def read_conditions(request: web.Request) -> Conditions:
    """Read the conditional headers of a request."""
    given = request.headers
    for name in _CONDITIONAL:
        if name in given:
            break
    else:
        return _UNCONDITIONAL

    def field(name: str) -> str | None:
        lines = given.getall(name, [])
        return ",".join(lines) if lines else None

    return Conditions(
        if_match=field("If-Match"),
        if_none_match=field("If-None-Match"),
        if_modified_since=request.if_modified_since,
        if_unmodified_since=request.if_unmodified_since,
        if_range=field("If-Range"),
    )


def check_conditions(request: web.Request, tag: str) -> bool:
    """Return True if the answer is a 304.

    Raises:
        HTTPPreconditionFailed: a precondition does not hold. Entity tags of jobs are weak, so ``If-Match``
            matches with ``*`` only.
    """
    conditions = read_conditions(request)
    if conditions is _UNCONDITIONAL:
        return False
    status = conditions.status(request.method, tag)
    if status == 412:
        raise web.HTTPPreconditionFailed
    return status == 304


def _validators(job: _Versioned, links: SignedLinks) -> dict[str, str]:
    return {"ETag": etag(job, links), "Cache-Control": _CACHE_CONTROL, "Vary": VARY}


def etag(job: _Versioned, links: SignedLinks) -> str:
    """Return the entity tag, which changes with every stored version of a job, and when its links end."""
    return f'W/"{job.id}.{job.version}.{links.expires_s or 0:x}"'


def missing_id() -> RequestError:
    """Return the error for a path without an id."""
    return RequestError("validation_error", "the music id is missing in the path", reason="missing_music_id")


def respond_json(value: object, headers: dict[str, str] | None = None) -> web.Response:
    """Answer 200 with JSON."""
    return web.Response(body=write_json(value), content_type=_JSON, headers=headers)
