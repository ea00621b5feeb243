"""The aiohttp application: music routes, health and schemas inside the one middleware."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiohttp import web

import musicgate_schemas
from musicgate.errors import RequestError, StorageError
from musicgate.web.audio import AudioRoutes
from musicgate.web.auth import Accounts
from musicgate.web.body import BODY_TIMEOUT_S
from musicgate.web.capacity import Capacity
from musicgate.web.errors import envelope
from musicgate.web.events import EventRoutes
from musicgate.web.job_view import JobView
from musicgate.web.jobs import JobRoutes
from musicgate.web.middleware import GENERATION_ID, surround
from musicgate.web.music import MusicRoutes
from musicgate.web.time_limits import Patience
from musicgate.web.webhooks import WebhookRoutes

if TYPE_CHECKING:
    from musicgate.gateway import Gateway

#: The documented name of the collection, and the one that the reference gateway takes as well.
_BASES = ("/v1/music/generate", "/v1/music/generations")


def make_app(gateway: Gateway, max_connections: int | None = None) -> web.Application:
    """The server for one gateway.

    Args:
        max_connections: how many fit into this process, if they are fewer than ``server.max_connections``. Streams and waiting
            requests take at most half of them, one account at most half, and its streams and waits a quarter each.

    Raises:
        ConfigError: an account's expiry time or hash cannot be read.
    """
    settings = gateway.settings
    server = settings.server
    app = web.Application(middlewares=[surround], client_max_size=server.max_body_bytes)
    app[BODY_TIMEOUT_S] = server.body_timeout_s
    most = max_connections or server.max_connections
    half, quarter = max(1, most // 2), max(1, most // 4)
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
    accounts, patience = Accounts(settings.accounts, requests), Patience()
    app.on_shutdown.append(patience.end)
    view = JobView(gateway, patience, waits)
    music, audio = MusicRoutes(gateway, accounts, view), AudioRoutes(gateway, accounts)
    jobs = JobRoutes(gateway, accounts, view)
    events = EventRoutes(gateway, accounts, view, patience, streams)
    for base in _BASES:
        for part in (music, jobs, events, audio):
            app.add_routes(part.routes(base))
    app.add_routes(music.other_routes())
    app.add_routes(WebhookRoutes(gateway, accounts).routes())
    app.add_routes(_health(gateway))
    app.router.add_get("/v1/schemas/{name:.+}", _schema)
    return app


def _health(gateway: Gateway) -> list[web.RouteDef]:
    async def installed(_: web.Request) -> web.Response:
        """The process answers."""
        return web.json_response({"status": "ok"})

    async def ready(request: web.Request) -> web.Response:
        """New work can be taken: the store can be written."""
        try:
            await gateway.ping()
        except StorageError as error:
            more: dict[str, object] = {"status": "not_ready"}
            return envelope(request[GENERATION_ID], "gateway_error", str(error), status=503, more=more)
        jobs = {
            "open": gateway.open_jobs,
            "in_flight": gateway.jobs_in_flight,
            "scheduled": gateway.jobs_scheduled,
        }
        background = {
            name: {"running": service.is_running, "restarts": service.restarts, "error": service.error}
            for name, service in gateway.background.items()
        }
        if not gateway.supervisor.is_well:
            more = {"status": "not_ready", "jobs": jobs, "background": background}
            message = "a background service failed, and is being started again"
            return envelope(request[GENERATION_ID], "gateway_error", message, status=503, more=more)
        broken = [record.name for record in gateway.plugins if record.error]
        body = {
            "status": "ok",
            "open_jobs": gateway.open_jobs,
            "jobs": jobs,
            "background": background,
            "providers": sorted(status.provider.plugin for status in gateway.providers()),
            "broken_plugins": broken,
        }
        return web.json_response(body)

    return [web.get("/livez", installed), web.get("/readyz", ready)]


async def _schema(request: web.Request) -> web.Response:
    """A published schema by name: ``/v1/schemas/request``, ``/v1/schemas/options/suno``."""
    name = request.match_info["name"].removesuffix(".json")
    if name not in musicgate_schemas.NAMES:
        raise RequestError("not_found", f"no schema {name!r}; there are {', '.join(musicgate_schemas.NAMES)}")
    body = json.dumps(musicgate_schemas.load(name)).encode()
    return web.Response(
        body=body, content_type="application/schema+json", headers={"Cache-Control": "max-age=3600"}
    )
