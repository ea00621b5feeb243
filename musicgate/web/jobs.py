"""Routes around an account's jobs: list them, cancel one, delete one; what these mean stands in the gateway."""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import attrs
from aiohttp import web

from musicgate.aio import offload
from musicgate.errors import RequestError
from musicgate.model import (
    Job,
    JobQuery,
    JobState,
    Track,
)
from musicgate.plugin import write_json
from musicgate.text import MAX_PAGE_BYTES, Masker
from musicgate.views import render_job
from musicgate.web.job_view import VARY, check_conditions

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.settings import Account
    from musicgate.web.auth import Accounts
    from musicgate.web.job_view import JobView

AudioUrl = Callable[[Job, Track], str | None]
MaskerOf = Callable[[Job], Masker | None]
_USUAL_LIMIT, _MAX_LIMIT = 20, 100


class JobRoutes:
    """Handlers of the routes around jobs."""

    def __init__(self, gateway: Gateway, accounts: Accounts, view: JobView) -> None:
        """Serve one gateway to these accounts."""
        self._gateway = gateway
        self._accounts = accounts
        self._view = view

    def routes(self, base: str) -> list[web.RouteDef]:
        """The routes under one name of the collection."""
        return [
            web.get(base, self.list),
            web.post(f"{base}/{{music_id}}/cancel", self.cancel),
            web.delete(f"{base}/{{music_id}}", self.delete),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """``GET /v1/music/generate``: the account's jobs, newest first, a page at a time."""
        account = self._accounts.identify(request)
        query = JobQuery(
            states=_states(request),
            model=request.query.get("model"),
            before=_place(request),
            limit=_limit(request),
            max_bytes=MAX_PAGE_BYTES,
        )
        page = await self._gateway.list_jobs(query, account=account.name)
        render = functools.partial(self._body, page, self._view.audio_url(request), self._gateway.masker)
        body = await offload(
            functools.partial(render, has_more=await self._has_more(page, query, account)), is_large=True
        )
        headers = {"Cache-Control": "private, no-cache", "Vary": VARY}
        return web.Response(body=body, content_type="application/json", headers=headers)

    @staticmethod
    def _body(page: Sequence[Job], audio_url: AudioUrl, masker_of: MaskerOf, *, has_more: bool) -> bytes:
        data = [render_job(job, audio_url, masker_of(job)) for job in page]
        return write_json(
            {"object": "list", "data": data, "next_cursor": _cursor(page[-1]) if has_more else None}
        )

    async def _has_more(self, page: Sequence[Job], query: JobQuery, account: Account) -> bool:
        """A page may be short because its jobs are large, so only the store knows whether there is another one."""
        if not page:
            return False
        rest = attrs.evolve(query, before=(page[-1].created_at, page[-1].id), limit=1)
        return bool(await self._gateway.list_jobs(rest, account=account.name))

    async def cancel(self, request: web.Request) -> web.Response:
        """``POST .../{music_id}/cancel``: stop a job; the answer says whether it may have cost money."""
        account = self._accounts.identify(request)
        job = await self._view.find(request, account)
        check_conditions(request, job)
        job = await self._gateway.cancel(job.id, account=account.name)
        return self._view.respond(job, self._view.render(request, job))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE .../{music_id}``: a job, its history and its audio; one that is open is cancelled first."""
        account = self._accounts.identify(request)
        job = await self._view.find(request, account)
        check_conditions(request, job)
        await self._gateway.delete(job.id, account=account.name)
        return web.Response(status=204)


def _states(request: web.Request) -> tuple[JobState, ...]:
    """``state=queued,in_progress``, or the parameter several times."""
    words = [word.strip() for value in request.query.getall("state", []) for word in value.split(",")]
    try:
        return tuple(JobState(word) for word in words)
    except ValueError as exc:
        message = f"state must be one of {', '.join(JobState)}"
        raise RequestError("validation_error", message, reason="invalid_state") from exc


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(_USUAL_LIMIT))
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_LIMIT)) else 0
    if not 1 <= limit <= _MAX_LIMIT:
        raise RequestError("validation_error", f"limit must be 1 to {_MAX_LIMIT}", reason="invalid_limit")
    return limit


def _cursor(job: Job) -> str:
    """Where a page ended. Opaque to callers; it opens nothing, since a list shows the caller's own jobs only."""
    return base64.urlsafe_b64encode(f"{job.created_at.isoformat()} {job.id}".encode()).rstrip(b"=").decode()


def _place(request: web.Request) -> tuple[datetime, str] | None:
    text = request.query.get("cursor")
    if text is None:
        return None
    try:
        whole = text + "=" * (-len(text) % 4)
        moment, blank, job_id = base64.b64decode(whole, b"-_", validate=True).decode().partition(" ")
        created_at = datetime.fromisoformat(moment)
    except (binascii.Error, ValueError):
        created_at, blank, job_id = datetime.min, "", ""  # noqa: DTZ901 - it is refused below
    if not blank or created_at.tzinfo is None:
        raise RequestError("validation_error", "this cursor is none of ours", reason="invalid_cursor")
    return created_at, job_id
