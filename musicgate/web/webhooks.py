"""Routes for a job's webhook log, replays and test messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from musicgate.errors import RequestError
from musicgate.plugin import write_json
from musicgate.views import render_delivery, render_delivery_log, render_webhook_test
from musicgate.web.body import parse_json, read_body

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.web.auth import Accounts


class WebhookRoutes:
    """Handlers of the webhook routes."""

    def __init__(self, gateway: Gateway, accounts: Accounts) -> None:
        self._gateway = gateway
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, under both paths of the collection."""
        listed = []
        for base in ("/v1/music/generate", "/v1/music/generations"):
            listed += [
                web.get(f"{base}/{{music_id}}/webhooks", self.log),
                web.post(f"{base}/{{music_id}}/webhooks/{{message_id}}/replay", self.replay),
            ]
        return [*listed, web.post("/v1/webhooks/test", self.test)]

    async def log(self, request: web.Request) -> web.Response:
        """``GET .../{music_id}/webhooks``: the messages about a job, with their tries."""
        account = self._accounts.identify(request)
        job = await self._gateway.find(request.match_info["music_id"], account=account.name)
        return _json(render_delivery_log(await self._gateway.webhooks.log(job)))

    async def replay(self, request: web.Request) -> web.Response:
        """``POST .../webhooks/{message_id}/replay``: send once more, with the same id; answer at once."""
        account = self._accounts.identify(request)
        job = await self._gateway.find(request.match_info["music_id"], account=account.name)
        delivery = await self._gateway.webhooks.replay(job, request.match_info["message_id"])
        return _json(render_delivery(delivery), status=202)

    async def test(self, request: web.Request) -> web.Response:
        """``POST /v1/webhooks/test``: send a signed message to ``url`` or the account's own address."""
        account = self._accounts.identify(request)
        body = parse_json(raw) if (raw := await read_body(request)) else {}
        if not isinstance(body, dict) or not isinstance(body.get("url"), str | None):
            raise RequestError(
                "validation_error", "the body is an object with a url, or empty", path=("url",)
            )
        unknown = [key for key in body if key != "url"]
        if unknown:
            raise RequestError("validation_error", "is not known here", path=(unknown[0],))
        result = await self._gateway.webhooks.test(account.name, body.get("url"))
        return _json(
            render_webhook_test(
                result.id,
                result.url,
                result.answer.as_try(),
                is_delivered=result.answer.is_delivered,
                enabled_again=result.enabled_again,
            )
        )


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(
        body=write_json(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "private, no-store"},
    )
