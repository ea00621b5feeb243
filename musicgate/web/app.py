"""The aiohttp application: every route. `middleware` wraps all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

import musicgate_schemas
from musicgate import views
from musicgate.errors import RequestError, StorageError
from musicgate.gateway import account_book, operation_of
from musicgate.plugin import write_json
from musicgate.web.admin import admin_routes
from musicgate.web.audio import AudioRoutes
from musicgate.web.audio_creates import AudioCreateRoutes
from musicgate.web.auth import Accounts
from musicgate.web.capacity import Capacity
from musicgate.web.console import ConsoleRoutes
from musicgate.web.errors import envelope_response
from musicgate.web.events import EventRoutes
from musicgate.web.job_resource import JobResource
from musicgate.web.jobs import JobRoutes
from musicgate.web.kept_files import KeptFiles
from musicgate.web.live_streams import LiveStreamRoutes
from musicgate.web.llms import LlmsRoute
from musicgate.web.loop_lag import LoopLag
from musicgate.web.mcp import McpRoutes
from musicgate.web.metrics import MetricsRoute
from musicgate.web.middleware import BODY_TIMEOUT_S, QUICK_ROUTES
from musicgate.web.music import MusicRoutes
from musicgate.web.openapi import OpenApiRoutes
from musicgate.web.quick_routes import QuickRoutes
from musicgate.web.request_log import REQUEST_LOG, RequestLog
from musicgate.web.request_state import STATE
from musicgate.web.timeouts import RequestTimeouts
from musicgate.web.usage import UsageRoutes
from musicgate.web.waveforms import WaveformRoutes
from musicgate.web.webhooks import WebhookRoutes

if TYPE_CHECKING:
    from musicgate.gateway import Gateway

#: The documented path of the collection, and the one that the reference gateway accepts as well.
_BASES = ("/v1/music/generate", "/v1/music/generations")


#: Is started with the server.
LOOP_LAG = web.AppKey("loop_lag", LoopLag)


def make_app(gateway: Gateway, max_connections: int | None = None) -> web.Application:
    """Make the application that serves one gateway.

    Args:
        max_connections: how many fit into this process, if fewer than ``server.max_connections``. Event
            streams and waiting requests may take half of them each, one account half, and its streams and
            its waiting requests a quarter each; live audio an eighth, and that of one account a sixteenth.
    """
    settings = gateway.settings
    server = settings.server
    app = web.Application(client_max_size=server.max_body_bytes)
    app[BODY_TIMEOUT_S] = server.body_timeout_s
    connections = max_connections or server.max_connections
    half, quarter = max(1, connections // 2), max(1, connections // 4)
    requests = Capacity("requests_in_progress", per_account=min(half, server.max_requests_per_account))
    streams = Capacity(
        "event_streams",
        per_account=min(quarter, server.max_event_streams_per_account),
        total=min(half, server.max_event_streams),
    )
    waits = Capacity(
        "waiting_requests",
        per_account=min(quarter, server.max_waiting_requests_per_account),
        total=min(half, server.max_waiting_requests),
    )
    # Each needs a connection to the vendor as well.
    live = Capacity("audio_streams", per_account=max(1, connections // 16), total=max(1, connections // 8))
    accounts, timeouts = Accounts(account_book(gateway), requests), RequestTimeouts()
    app.on_shutdown.append(timeouts.expire)
    job_resource = JobResource(gateway, timeouts, waits)
    music, files = MusicRoutes(gateway, accounts, job_resource), KeptFiles(gateway, accounts)
    app[QUICK_ROUTES] = QuickRoutes(_BASES, create=music.begin_create, status=music.status)
    jobs = JobRoutes(gateway, accounts, job_resource)
    events = EventRoutes(gateway, accounts, job_resource, timeouts, streams)
    audio, waveforms = AudioRoutes(gateway, files), WaveformRoutes(gateway, files)
    live_streams = LiveStreamRoutes(gateway, files, timeouts, live)
    for base in _BASES:
        for part in (music, jobs, events, audio, waveforms, live_streams):
            app.add_routes(part.routes(base))
    app.add_routes(music.other_routes())
    app.add_routes(AudioCreateRoutes(gateway, music, job_resource, files).routes())
    app.add_routes(McpRoutes(gateway, accounts, job_resource, timeouts, waits).routes())
    app.add_routes(WebhookRoutes(gateway, accounts).routes())
    app.add_routes(_health(gateway))
    app[REQUEST_LOG] = log = RequestLog()
    app[LOOP_LAG] = LoopLag()
    held = (requests, streams, waits, live)
    app.add_routes(MetricsRoute(gateway, accounts, log.durations, held, app[LOOP_LAG]).routes())
    app.router.add_get("/v1/schemas/{name:.+}", _schema)
    app.add_routes(LlmsRoute(gateway, accounts).routes())
    app.add_routes(admin_routes(gateway, accounts))
    app.add_routes(UsageRoutes(gateway, accounts).routes())
    app.add_routes(OpenApiRoutes(gateway, accounts, _BASES).routes())
    app.add_routes(ConsoleRoutes().routes())
    return app


def _health(gateway: Gateway) -> list[web.RouteDef]:
    async def live(_: web.Request) -> web.Response:
        """``GET /livez``."""
        return _json_utf8(views.render_live())

    async def ready(request: web.Request) -> web.Response:
        """``GET /readyz``: 200 if the store can be written and every background service runs."""
        try:
            await gateway.ping()
        except StorageError as error:
            return envelope_response(
                request[STATE].generation_id,
                "gateway_error",
                str(error),
                status=503,
                fields=views.render_not_ready(),
            )
        state = views.Readiness(
            open_jobs=gateway.open_jobs,
            in_flight=gateway.jobs_in_flight,
            scheduled=gateway.jobs_scheduled,
            background=gateway.background,
            providers=(status.provider.plugin for status in gateway.providers()),
            broken_plugins=(record.name for record in gateway.plugins if record.error),
        )
        if not gateway.supervisor.is_well:
            message = "a background service failed, and is being started again"
            fields = views.render_not_ready(state)
            return envelope_response(
                request[STATE].generation_id, "gateway_error", message, status=503, fields=fields
            )
        if operation_of(gateway).drain().since is not None:
            return envelope_response(
                request[STATE].generation_id,
                "gateway_error",
                "this server is being drained and takes no new jobs",
                reason="draining",
                status=503,
                fields=views.render_not_ready(state, "draining"),
            )
        return _json_utf8(views.render_ready(state))

    return [web.get("/livez", live), web.get("/readyz", ready)]


def _json_utf8(value: object) -> web.Response:
    return web.Response(body=write_json(value), headers={"Content-Type": "application/json; charset=utf-8"})


async def _schema(request: web.Request) -> web.Response:
    """``GET /v1/schemas/{name}``: a published schema, such as ``request`` or ``options/suno``."""
    name = request.match_info["name"].removesuffix(".json")
    if name not in musicgate_schemas.NAMES:
        raise RequestError("not_found", f"no schema {name!r}; there are {', '.join(musicgate_schemas.NAMES)}")
    body = write_json(musicgate_schemas.load(name))
    return web.Response(
        body=body, content_type="application/schema+json", headers={"Cache-Control": "max-age=3600"}
    )
