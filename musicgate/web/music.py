"""Routes that create and poll jobs, plan, list the catalogue and receive callbacks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

from musicgate import views
from musicgate.errors import RequestError
from musicgate.tracing import find_tracing
from musicgate.web.body import read_body, read_json
from musicgate.web.errors import refusal_response
from musicgate.web.idempotency_key import CREATE_SCOPE, read_key
from musicgate.web.job_resource import missing_id, respond_json
from musicgate.web.preferences import read_preferences
from musicgate.web.refusals import refusal_of
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from musicgate.gateway import Gateway, IdempotencyKey
    from musicgate.model import Failure, Job, MusicRequest
    from musicgate.settings import Account
    from musicgate.web.auth import Accounts
    from musicgate.web.job_resource import JobResource
    from musicgate.web.preferences import Preferences

#: Vendors' callbacks are a few kilobytes.
MAX_CALLBACK_BYTES = 262_144
_TRUE = frozenset({"1", "true", "yes"})


class Submitted(NamedTuple):
    """A create call that has been made.

    Attributes:
        refusal: why it is answered with an error.
        headers: of the answer.
        explain: the caller wants to know how the providers were chosen.
    """

    job: Job
    refusal: Failure | None
    headers: dict[str, str]
    explain: bool


class MusicRoutes:
    """Handlers of the music routes."""

    def __init__(self, gateway: Gateway, accounts: Accounts, job_resource: JobResource) -> None:
        self._gateway = gateway
        self._accounts = accounts
        self._jobs = job_resource
        self._tracing = find_tracing()

    def routes(self, base: str) -> list[web.RouteDef]:
        """Return the documented routes under one path of the collection."""
        return [
            # aiohttp tries those below one path in this order, in 0.6 us each: the most frequent first.
            web.get(f"{base}/{{music_id}}", self.status),
            web.post(base, self.create),
            web.get(f"{base}/", self.missing_id),
        ]

    def other_routes(self) -> list[web.RouteDef]:
        """Return the plan, the catalogue and the callback route."""
        return [
            web.post("/v1/music/plan", self.plan),
            web.get("/v1/music/models", self.models),
            web.get("/v1/music/providers", self.providers),
            web.post("/v1/callbacks/{job_id}/{token}", self.callback),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/music/generate``: check in the contract's order, then submit."""
        return await self.begin_create(request)

    def begin_create(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Return what answers `create`: for `QuickRoutes`, which need no coroutine around it."""
        return self.answer_create(request, self._create)

    async def answer_create(
        self,
        request: web.Request,
        answer: Callable[[web.Request, Account, Preferences], Awaitable[web.StreamResponse]],
        usual_wait_s: int | None = None,
    ) -> web.StreamResponse:
        """Admit a request that makes a job, in the contract's order, and answer it.

        Args:
            answer: submits it, by `submit`.
            usual_wait_s: how long it waits for the job if it does not say.
        """
        account = self._accounts.identify(request)
        try:
            preferences = read_preferences(request)
            wait_s = usual_wait_s if preferences.wait_s is None else preferences.wait_s
            self._jobs.count_wait(request, account, wait_s)
            if self._tracing is None:
                return await answer(request, account, preferences)
            route = request[STATE].route or request.path
            with self._tracing.span(
                f"POST {route}",
                {"http.request.method": "POST", "http.route": route},
                parent=request.headers.get("traceparent", ""),
                kind="SERVER",
            ) as span:
                response = await answer(request, account, preferences)
                span.set_attribute("http.response.status_code", response.status)
                return response
        finally:
            request[STATE].extra_headers = self._gateway.rate_limit_headers(account.name)

    async def _create(
        self, request: web.Request, account: Account, preferences: Preferences
    ) -> web.StreamResponse:
        started = time.perf_counter()
        submitted = await self.submit(request, account, preferences)
        job, headers = submitted.job, submitted.headers
        if submitted.refusal is not None:
            response = refusal_response(request[STATE].generation_id, submitted.refusal, job)
            response.headers.update(headers)
            return response
        links = self._jobs.links(request)
        answer = views.render_created(
            job,
            links,
            self._gateway.masker(job),
            ends=self._jobs.ends,
            # Only for the seconds that it may be expected to make.
            offer=None if job.request.duration_s is None else self._gateway.offer_of(job),
            generation_ms=round((time.perf_counter() - started) * 1000),
            with_routing=submitted.explain,
        )
        return self._jobs.respond(job, links, answer, headers)

    async def submit(
        self,
        request: web.Request,
        account: Account,
        preferences: Preferences,
        adapt: Callable[[object], object] | None = None,
        usual_wait_s: int | None = None,
    ) -> Submitted:
        """Read the request, submit it, and wait for the job as the preferences say.

        Args:
            adapt: makes the body of a create call of the body of another route.
            usual_wait_s: how long it waits for the job if the preferences do not say.

        Raises:
            MusicgateError: it was refused before a vendor was asked.
        """
        started = time.perf_counter()
        header = _key_header(request)

        def read(body: object) -> tuple[MusicRequest, IdempotencyKey | None]:
            if adapt is not None:
                body = adapt(body)
            return self._gateway.read(body), None if header is None else read_key(header, CREATE_SCOPE, body)

        music_request, key = await read_json(request, read)
        own_id = request[STATE].generation_id
        explain = (
            music_request.meta
            or music_request.debug.enabled
            or request.headers.get("x-gateway-debug", "").lower() in _TRUE
        )
        default_s = self._gateway.settings.server.create_wait_s
        job = await self._gateway.submit(
            music_request,
            account=account.name,
            key_id=request[STATE].key_id,
            generation_id=own_id,
            strict=preferences.strict,
            beta_channel=account.beta,
            explain=explain,
            wait_s=default_s if preferences.wait_s is None else min(default_s, preferences.wait_s),
            idempotency=key,
        )
        request[STATE].job_id = job.id
        headers = preferences.applied
        if job.generation_id != own_id:
            headers["Idempotency-Replayed"] = "true"
        refusal = refusal_of(job)
        wait_s = usual_wait_s if preferences.wait_s is None else preferences.wait_s
        if refusal is None and wait_s is not None:
            job = await self._jobs.wait(request, job, wait_s - (time.perf_counter() - started))
            refusal = refusal_of(job)
        return Submitted(job, refusal, headers, explain)

    async def status(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/music/generate/{music_id}``: from the store, never from the vendor."""
        account = self._accounts.identify(request)
        preferences = read_preferences(request)
        unread = await self._jobs.answer_unread(request, account, preferences)
        if unread is not None:
            return unread
        job = await self._jobs.find(request, account)
        if not job.state.is_final and job.delivered_at is None and self._gateway.provider_of(job) is None:
            message = (
                f"this job cannot be polled: the plugin {job.plugin} is not installed, or it is disabled"
            )
            raise RequestError("not_supported", message, reason="music_status_not_supported_for_provider")
        if not job.state.is_final:
            self._jobs.count_wait(request, account, preferences.wait_s)
            job = await self._jobs.wait(request, job, preferences.wait_s)
        headers = {} if preferences.wait_s is None else preferences.applied
        if not self._jobs.is_modified(request, job):
            return self._jobs.not_modified(request, job, headers)
        if job.state.is_final:
            return self._jobs.respond_finished(request, job, headers)
        links = self._jobs.links(request)
        return self._jobs.respond(job, links, self._jobs.render(job, links), headers)

    async def missing_id(self, request: web.Request) -> web.Response:
        """``GET /v1/music/generate/``: 400, the id is missing."""
        self._accounts.identify(request)
        raise missing_id()

    async def plan(self, request: web.Request) -> web.Response:
        """``POST /v1/music/plan``: the dry run."""
        account = self._accounts.identify(request)
        music_request = await read_json(request, self._gateway.read)
        plan = self._gateway.plan(
            music_request,
            account=account.name,
            strict=read_preferences(request).strict,
            beta_channel=account.beta,
        )
        return respond_json(views.render_plan(music_request, plan, request[STATE].generation_id))

    async def models(self, request: web.Request) -> web.Response:
        """``GET /v1/music/models``: every public model, with the providers that offer it."""
        self._accounts.identify(request)
        offering = ((status.provider, status.has_key) for status in self._gateway.providers())
        return respond_json(views.render_models(offering))

    async def providers(self, request: web.Request) -> web.Response:
        """``GET /v1/music/providers``: every provider with its health."""
        self._accounts.identify(request)
        return respond_json(views.render_providers(self._gateway.providers()))

    async def callback(self, request: web.Request) -> web.Response:
        """``POST /v1/callbacks/{job_id}/{token}``: a vendor's callback, which is only a hint to poll."""
        job_id, token = request.match_info["job_id"], request.match_info["token"]
        await self._gateway.check_callback_token(job_id, token)  # before a byte of the body is read
        body = await read_body(request, MAX_CALLBACK_BYTES)
        headers = {name.lower(): value for name, value in request.headers.items()}
        await self._gateway.callback(job_id, token, headers, body)
        return respond_json(views.render_callback_received())


def _key_header(request: web.Request) -> str | None:
    """Join repeated Idempotency-Key headers, so that validation rejects them."""
    values = request.headers.getall("Idempotency-Key", None)
    return None if values is None else ", ".join(values)
