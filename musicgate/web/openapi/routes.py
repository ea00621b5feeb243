"""The routes ``/openapi.json`` and ``/docs``; they need no key, as they show nothing of an account."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from musicgate.plugin import write_json
from musicgate.web.connection import CORS
from musicgate.web.job_resource import check_conditions
from musicgate.web.openapi import swagger_ui
from musicgate.web.openapi.document import describe
from musicgate.web.static_files import StaticFiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.gateway import Gateway
    from musicgate.web.auth import Accounts

#: Swagger UI loads its own files and asks this server. It sets styles by script, which is no inline style.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{more}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_MAX_AGE: Final = "max-age=3600"
#: Where the address of the server is in the document, which is made once: its clients may use several.
_BASE_URL: Final = "{base_url}"


class OpenApiRoutes:
    """Handlers of the description."""

    def __init__(self, gateway: Gateway, accounts: Accounts, bases: Sequence[str]) -> None:
        """Describe the application that these routes are added to.

        Args:
            bases: the paths of the collection.
        """
        self._gateway = gateway
        self._public_url = gateway.settings.server.public_url.rstrip("/")
        self._accounts = accounts
        self._bases = bases
        #: By whether requests need a key, which they do from the first one on.
        self._documents: dict[bool, bytes] = {}
        self._files = StaticFiles(swagger_ui.__name__, swagger_ui.FILES, _MAX_AGE)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/openapi.json", self.document),
            web.get("/docs", self.page),
            web.get("/docs/{file}", self.file),
        ]

    async def document(self, request: web.Request) -> web.Response:
        """``GET /openapi.json``: every route of this server, in OpenAPI 3.1."""
        base_url = self._public_url or f"{request.scheme}://{request.host}"
        needs_key = not self._accounts.is_open
        if needs_key not in self._documents:
            self._documents[needs_key] = write_json(self._describe(request.app, needs_key=needs_key))
        body = self._documents[needs_key].replace(write_json(_BASE_URL), write_json(base_url))
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if check_conditions(request, tag):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def page(self, _: web.Request) -> web.Response:
        """``GET /docs``: the description in Swagger UI."""
        policy = _POLICY.format(more=f" {self._public_url}/" if self._public_url else "")
        headers = {**CORS, "Content-Security-Policy": policy, "Cache-Control": _MAX_AGE}
        return web.Response(
            body=swagger_ui.read("docs.html"), content_type="text/html", charset="utf-8", headers=headers
        )

    async def file(self, request: web.Request) -> web.Response:
        """``GET /docs/{file}``: what the page loads."""
        return await self._files.respond(request, request.match_info["file"])

    def _describe(self, app: web.Application, *, needs_key: bool) -> dict[str, Any]:
        providers = [status.provider for status in self._gateway.providers()]
        blocks = {provider.option_block: provider.options_schema for provider in providers}
        return describe(app, self._bases, blocks, base_url=_BASE_URL, needs_key=needs_key)
