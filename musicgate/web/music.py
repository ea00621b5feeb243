"""The music routes: from HTTP to the gateway's methods and back; no rule about music and none about money."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from aiohttp import web

from musicgate import answers, catalogue
from musicgate.errors import JobNotFoundError, RequestError
from musicgate.gateway.dry_run import render_plan
from musicgate.gateway.idempotency import read_key
from musicgate.links import is_signed
from musicgate.model import AttemptOutcome, FailureClass, Job, JobState
from musicgate.web.body import apart_for, read_json
from musicgate.web.errors import failure_response
from musicgate.web.job_view import etag, missing_id, respond_json
from musicgate.web.middleware import EXTRA_HEADERS, GENERATION_ID
from musicgate.web.preferences import read_preferences

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.model import Failure, Offer, Provider
    from musicgate.settings import Account
    from musicgate.web.auth import Accounts
    from musicgate.web.job_view import JobView

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
            web.get(f"{base}/", self.missing_id, allow_head=False),
            web.get(f"{base}/{{music_id}}", self.status, allow_head=False),
            web.get(f"{base}/{{music_id}}/audio/{{index:[0-9]{{1,3}}}}", self.audio),
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
            return await self._create(request, account)
        finally:
            context = self._gateway.context
            request[EXTRA_HEADERS] = context.admission.headers(account.name, context.clock.steady())

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
        usual_s = self._gateway.context.settings.server.create_wait_s
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
        answer = answers.render_created(job, self._view.audio_url(request))
        answer["meta"] = {"generation_ms": round((time.perf_counter() - started) * 1000)}
        if explain and job.routing is not None:
            answer["meta"] = {**cast("dict[str, object]", answer["meta"]), "routing": job.routing}
        return self._view.respond(job, answer, headers)

    async def status(self, request: web.Request) -> web.Response:
        """``GET /v1/music/generate/{music_id}``: from the store, never from the vendor."""
        account = self._accounts.identify(request)
        preferences = read_preferences(request)
        job = await self._view.find(request, account)
        if not job.state.is_final and job.delivered_at is None and self._gateway.context.live(job) is None:
            message = f"nobody can be asked about this job: the plugin {job.plugin} is gone or switched off"
            raise RequestError("not_supported", message, reason="music_status_not_supported_for_provider")
        job = await self._view.waited(job, preferences.wait_s)
        headers = {} if preferences.wait_s is None else preferences.applied
        if request.headers.get("If-None-Match") == etag(job):
            return web.Response(status=304, headers={"ETag": etag(job), **headers})
        return self._view.respond(job, self._view.render(request, job), headers)

    async def missing_id(self, request: web.Request) -> web.Response:
        """A GET without an id."""
        self._accounts.identify(request)
        raise missing_id()

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """``GET .../audio/{index}``: the audio that we keep, with Range; the signed link needs no key, so that players can open it."""
        job = await self._job_of_link(request)
        index = int(request.match_info["index"])
        track = next((track for track in job.tracks if track.index == index), None)
        if track is None or not track.has_audio:
            raise RequestError("not_found", f"job {job.id} has no audio {index}", reason="audio_not_found")
        if track.asset is None:
            raise web.HTTPFound(str(track.audio_url))
        path = self._gateway.audio_path(job, index)
        if path is None:
            raise RequestError("not_found", "this audio is no longer kept here", reason="audio_gone")
        _check_range(request, track.asset.size_bytes)
        headers = {"Content-Type": track.asset.content_type, "Cache-Control": "private, max-age=86400"}
        return web.FileResponse(path, headers=headers)

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
        for live in self._gateway.context.providers.values():
            for offer in live.provider.offers:
                by_model.setdefault(offer.model, []).append((live.provider, offer, live.key is not None))
        data = [
            {
                "id": model,
                "object": "model",
                "aliases": sorted({alias for _, offer, _ in offers for alias in offer.aliases}),
                "offers": [
                    catalogue.render_offer(provider, offer, has_key=has_key)
                    for provider, offer, has_key in offers
                ],
            }
            for model, offers in sorted(by_model.items())
        ]
        return respond_json({"object": "list", "data": data})

    async def providers(self, request: web.Request) -> web.Response:
        """``GET /v1/music/providers``: who can be asked."""
        self._accounts.identify(request)
        live_ones = sorted(
            self._gateway.context.providers.values(), key=lambda live: (live.provider.priority, live.name)
        )
        now = self._gateway.context.clock.now()
        data = [
            catalogue.render_provider(
                live.provider,
                has_key=live.key is not None,
                health=live.health.report(now),
                waiting=live.create_queue.waiting,
            )
            for live in live_ones
        ]
        return respond_json({"object": "list", "data": data})

    async def callback(self, request: web.Request) -> web.Response:
        """``POST /v1/callbacks/{job_id}/{token}``: a vendor calls. Answered at once; what it says is asked of the vendor itself."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        await self._gateway.callback(request.match_info["job_id"], request.match_info["token"], headers, body)
        return respond_json({"code": 200, "msg": "success"})

    async def _job_of_link(self, request: web.Request) -> Job:
        """The job of an audio link: by its signature, else by the caller's key."""
        music_id = request.match_info["music_id"]
        signature = request.query.get("sig", "")
        if signature:
            job = await self._gateway.context.store.get(music_id)
            index = int(request.match_info["index"])
            if job is not None and is_signed(job, index, signature):
                return job
            raise JobNotFoundError(music_id)
        account = self._accounts.identify(request)
        return await self._gateway.find(music_id, account=account.name)


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


def _check_range(request: web.Request, size_bytes: int) -> None:
    """Refuse bytes beyond the end; aiohttp would do so without a body.

    Raises:
        HTTPRequestRangeNotSatisfiable: status 416.
    """
    if "If-Range" in request.headers:  # the range may not count at all
        return
    try:
        first = request.http_range.start or 0
    except ValueError:
        first = size_bytes
    if first >= size_bytes:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size_bytes}"})
