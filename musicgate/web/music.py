"""The music routes: from HTTP to the gateway's methods and back; no rule about music and none about money."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from aiohttp import web

from musicgate import views
from musicgate.errors import RequestError
from musicgate.gateway import read_key
from musicgate.model import (
    AttemptOutcome,
    FailureClass,
    Job,
    JobState,
)
from musicgate.views import render_plan
from musicgate.web.body import apart_for, read_body, read_json
from musicgate.web.errors import failure_response
from musicgate.web.job_view import check_conditions, missing_id, respond_json
from musicgate.web.middleware import EXTRA_HEADERS, GENERATION_ID
from musicgate.web.preferences import read_preferences

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.model import Failure, Offer, Provider
    from musicgate.settings import Account
    from musicgate.web.auth import Accounts
    from musicgate.web.job_view import JobView

#: Vendors' callbacks are a few kilobytes.
MAX_CALLBACK_BYTES = 262_144
_YES = frozenset({"1", "true", "yes"})
#: What idempotency keys belong to beside their account. The two paths are two names of one route.
_CREATE = "POST /v1/music/generate"


class MusicRoutes:
    """Handlers of the music routes."""

    def __init__(self, gateway: Gateway, accounts: Accounts, view: JobView) -> None:
        """Serve one gateway to these accounts."""
        self._gateway = gateway
        self._accounts = accounts
        self._view = view

    def routes(self, base: str) -> list[web.RouteDef]:
        """The documented routes under one name of the collection."""
        return [
            web.post(base, self.create),
            web.get(f"{base}/", self.missing_id),
            web.get(f"{base}/{{music_id}}", self.status),
        ]

    def other_routes(self) -> list[web.RouteDef]:
        """What can be asked before a job is made, and where vendors call."""
        return [
            web.post("/v1/music/plan", self.plan),
            web.get("/v1/music/models", self.models),
            web.get("/v1/music/providers", self.providers),
            web.post("/v1/callbacks/{job_id}/{token}", self.callback),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """``POST /v1/music/generate``: the checks in the contract's order, then submit."""
        account = self._accounts.identify(request)
        try:
            with self._view.waiting(account, read_preferences(request).wait_s):
                return await self._create(request, account)
        finally:
            request[EXTRA_HEADERS] = self._gateway.rate_limit_headers(account.name)

    async def _create(self, request: web.Request, account: Account) -> web.Response:
        started = time.perf_counter()
        body = await read_json(request)
        wish = await apart_for(request, lambda: self._gateway.read(body))
        key = await apart_for(request, lambda: read_key(_key_header(request), _CREATE, body))
        preferences = read_preferences(request)
        generation_id = request[GENERATION_ID]
        explain = (
            wish.meta or wish.debug.enabled or request.headers.get("x-gateway-debug", "").lower() in _YES
        )
        usual_s = self._gateway.settings.server.create_wait_s
        job = await self._gateway.submit(
            wish,
            account=account.name,
            generation_id=generation_id,
            strict=preferences.strict,
            beta_channel=account.beta,
            explain=explain,
            wait_s=usual_s if preferences.wait_s is None else min(usual_s, preferences.wait_s),
            idempotency=key,
        )
        headers = preferences.applied
        if job.generation_id != generation_id:
            headers["Idempotency-Replayed"] = "true"
        refusal = _refusal(job)
        if refusal is None and preferences.wait_s is not None:
            job = await self._view.waited(job, preferences.wait_s - (time.perf_counter() - started))
            refusal = _refusal(job)
        if refusal is not None:
            response = failure_response(generation_id, refusal, job)
            response.headers.update(headers)
            return response
        answer = views.render_created(job, self._view.audio_url(request), self._gateway.masker(job))
        answer["meta"] = {"generation_ms": round((time.perf_counter() - started) * 1000)}
        if explain and job.routing is not None:
            answer["meta"] = {**cast("dict[str, object]", answer["meta"]), "routing": job.routing}
        return self._view.respond(job, answer, headers)

    async def status(self, request: web.Request) -> web.Response:
        """``GET /v1/music/generate/{music_id}``: from the store, never from the vendor."""
        account = self._accounts.identify(request)
        preferences = read_preferences(request)
        job = await self._view.find(request, account)
        if not job.state.is_final and job.delivered_at is None and self._gateway.provider_of(job) is None:
            message = f"nobody can be asked about this job: the plugin {job.plugin} is gone or switched off"
            raise RequestError("not_supported", message, reason="music_status_not_supported_for_provider")
        with self._view.waiting(account, None if job.state.is_final else preferences.wait_s):
            job = await self._view.waited(job, preferences.wait_s)
        headers = {} if preferences.wait_s is None else preferences.applied
        if check_conditions(request, job):
            return self._view.not_modified(job, headers)
        return self._view.respond(job, self._view.render(request, job), headers)

    async def missing_id(self, request: web.Request) -> web.Response:
        """A GET without an id."""
        self._accounts.identify(request)
        raise missing_id()

    async def plan(self, request: web.Request) -> web.Response:
        """``POST /v1/music/plan``: the dry run."""
        account = self._accounts.identify(request)
        body = await read_json(request)
        wish = await apart_for(request, lambda: self._gateway.read(body))
        prepared = self._gateway.plan(
            wish, account=account.name, strict=read_preferences(request).strict, beta_channel=account.beta
        )
        return respond_json({**render_plan(wish, prepared), "requestId": request[GENERATION_ID]})

    async def models(self, request: web.Request) -> web.Response:
        """``GET /v1/music/models``: every model, with who offers it."""
        self._accounts.identify(request)
        by_model: dict[str, list[tuple[Provider, Offer, bool]]] = {}
        for status in self._gateway.providers():
            for offer in status.provider.offers:
                by_model.setdefault(offer.model, []).append((status.provider, offer, status.has_key))
        data = [
            {
                "id": model,
                "object": "model",
                "aliases": sorted({alias for _, offer, _ in offers for alias in offer.aliases}),
                "offers": [
                    views.render_offer(provider, offer, has_key=has_key)
                    for provider, offer, has_key in offers
                ],
            }
            for model, offers in sorted(by_model.items())
        ]
        return respond_json({"object": "list", "data": data})

    async def providers(self, request: web.Request) -> web.Response:
        """``GET /v1/music/providers``: who can be asked."""
        self._accounts.identify(request)
        ordered = sorted(
            self._gateway.providers(), key=lambda status: (status.provider.priority, status.provider.plugin)
        )
        data = [
            views.render_provider(
                status.provider, has_key=status.has_key, health=status.health, waiting=status.waiting
            )
            for status in ordered
        ]
        return respond_json({"object": "list", "data": data})

    async def callback(self, request: web.Request) -> web.Response:
        """``POST /v1/callbacks/{job_id}/{token}``: a vendor calls. Answered at once; what it says is asked of the vendor itself."""
        job_id, token = request.match_info["job_id"], request.match_info["token"]
        await self._gateway.check_callback_token(job_id, token)  # before a byte of the body is read
        body = await read_body(request, MAX_CALLBACK_BYTES)
        headers = {name.lower(): value for name, value in request.headers.items()}
        await self._gateway.callback(job_id, token, headers, body)
        return respond_json({"code": 200, "msg": "success"})


def _key_header(request: web.Request) -> str | None:
    """The header as it was sent; said twice, it is none that can be read."""
    values = request.headers.getall("Idempotency-Key", [])
    return ", ".join(values) if values else None


def _refusal(job: Job) -> Failure | None:
    """Why a create call answers with an error instead of a job: no vendor ever took it, and it was not its caller who stopped it.

    Or the vendor's answer could not be read. Such a job stays open, since a callback may still adopt it; a create answer that never came
    is told as a queued job instead.
    """
    attempt, failure = job.attempt, job.failure
    if job.state is JobState.FAILED:
        accepted = attempt is not None and attempt.outcome is AttemptOutcome.ACCEPTED
        was_stopped = failure is not None and failure.reason is FailureClass.CANCELLED
        return None if accepted or was_stopped else failure
    if attempt is None or attempt.outcome is not AttemptOutcome.UNKNOWN or attempt.failure is None:
        return None
    return None if attempt.failure.reason is FailureClass.UNKNOWN_OUTCOME else attempt.failure
