"""Routes that list an account's jobs, cancel one and delete one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from aiohttp import web

from musicgate.aio import offload
from musicgate.errors import RequestError
from musicgate.model import JobQuery, JobState
from musicgate.plugin import write_json
from musicgate.text import MAX_PAGE_BYTES
from musicgate.views import decode_cursor, render_job_list
from musicgate.web.job_resource import VARY
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from musicgate.gateway import Gateway
    from musicgate.model import Job
    from musicgate.settings import Account
    from musicgate.web.auth import Accounts
    from musicgate.web.job_resource import JobResource

_DEFAULT_LIMIT, _MAX_LIMIT = 20, 100


class JobRoutes:
    """Handlers of the routes around jobs."""

    def __init__(self, gateway: Gateway, accounts: Accounts, job_resource: JobResource) -> None:
        self._gateway = gateway
        self._accounts = accounts
        self._jobs = job_resource

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the routes under one path of the collection."""
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
            before=_before(request),
            limit=_limit(request),
            max_bytes=MAX_PAGE_BYTES,
        )
        page, has_more = await read_page(self._gateway, query, account)
        links, ends = self._jobs.links(request), self._jobs.ends
        body = await offload(
            lambda: write_json(
                render_job_list(page, links, self._gateway.masker, has_more=has_more, ends=ends)
            ),
            is_large=True,
        )
        headers = {"Cache-Control": "private, no-cache", "Vary": VARY}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """``POST .../{music_id}/cancel``: stop a job; ``error.may_have_cost`` says if it may be billed."""
        account = self._accounts.identify(request)
        job = await self._jobs.find(request, account)
        self._jobs.is_modified(request, job)
        state = request[STATE]
        job = await self._gateway.cancel(
            job.id, account=account.name, key_id=state.key_id, request_id=state.generation_id
        )
        links = self._jobs.links(request)
        return self._jobs.respond(job, links, self._jobs.render(job, links))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE .../{music_id}``: cancel a job if it is open, then delete it with its audio."""
        account = self._accounts.identify(request)
        job = await self._jobs.find(request, account)
        self._jobs.is_modified(request, job)
        state = request[STATE]
        await self._gateway.delete(
            job.id, account=account.name, key_id=state.key_id, request_id=state.generation_id
        )
        return web.Response(status=204)


async def read_page(gateway: Gateway, query: JobQuery, account: Account) -> tuple[Sequence[Job], bool]:
    """Read a page of an account's jobs, and whether there are more."""
    page = await gateway.list_jobs(query, account=account.name)
    if not page:
        return page, False
    # Ask the store: a page may also be short because its jobs are large.
    rest = attrs.evolve(query, before=(page[-1].created_at, page[-1].id), limit=1)
    return page, bool(await gateway.list_jobs(rest, account=account.name))


def _states(request: web.Request) -> tuple[JobState, ...]:
    """``state=queued,in_progress``, or the parameter several times."""
    names = [name.strip() for value in request.query.getall("state", []) for name in value.split(",")]
    try:
        return tuple(JobState(name) for name in names)
    except ValueError as exc:
        message = f"state must be one of {', '.join(JobState)}"
        raise RequestError("validation_error", message, reason="invalid_state") from exc


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(_DEFAULT_LIMIT))
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_LIMIT)) else 0
    if not 1 <= limit <= _MAX_LIMIT:
        raise RequestError("validation_error", f"limit must be 1 to {_MAX_LIMIT}", reason="invalid_limit")
    return limit


def _before(request: web.Request) -> tuple[datetime, str] | None:
    text = request.query.get("cursor")
    return None if text is None else read_cursor(text)


def read_cursor(text: str) -> tuple[datetime, str]:
    """Read the ``next_cursor`` of an earlier page.

    Raises:
        RequestError: no list returned it.
    """
    try:
        return decode_cursor(text)
    except ValueError as exc:
        message = "the cursor is not one that a list returned"
        raise RequestError("validation_error", message, reason="invalid_cursor") from exc
