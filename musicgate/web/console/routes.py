"""The routes of the console, which need no key: they show nothing of an account."""

from __future__ import annotations

import secrets
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.web.connection import CORS
from musicgate.web.static_files import StaticFiles, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

_PACKAGE: Final = "musicgate.web.console"
_PAGE: Final = "static/index.html"
_MEDIA_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
#: No inline script and no other server, but for audio of vendors that is not kept here. The waveform is drawn
#: in a shadow tree with a style element of its own, which the nonce allows.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "media-src 'self' https: http:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
#: Compared by their tags at each visit: after an upgrade, no old module is run beside new ones.
_CACHE_CONTROL: Final = "no-cache"
_NONCE_BYTES: Final = 16


def _found(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, str]]:
    for item in sorted(folder.iterdir(), key=lambda found: found.name):
        if item.is_dir():
            yield from _found(item, f"{prefix}{item.name}/")
        elif (ending := item.name[item.name.rfind(".") :]) in _MEDIA_TYPES:
            yield f"{prefix}{item.name}", _MEDIA_TYPES[ending]


#: Media type of each file that the page loads, by its path below ``/console/``.
FILES: Final = dict(_found(files(_PACKAGE).joinpath("static")))


class ConsoleRoutes:
    """Handlers of the console's page and its files."""

    def __init__(self) -> None:
        placed = {f"static/{path}": media_type for path, media_type in FILES.items()}
        self._files = StaticFiles(_PACKAGE, placed, _CACHE_CONTROL)
        # Modules import each other: without this, the browser would find them one after the other.
        preloads = "\n".join(
            f'    <link rel="modulepreload" href="console/{path}">' for path in FILES if path.endswith(".js")
        )
        self._page = read(_PACKAGE, _PAGE).decode().replace("{preloads}", preloads)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/console", self.page), web.get("/console/{path:.+}", self.file)]

    async def page(self, _: web.Request) -> web.Response:
        """``GET /console``: the page; its links are relative, so it works behind a path prefix."""
        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        headers = {
            **CORS,
            "Content-Security-Policy": _POLICY.format(nonce=nonce),
            "Cache-Control": "no-store",
        }
        return web.Response(
            text=self._page.replace("{nonce}", nonce), content_type="text/html", headers=headers
        )

    async def file(self, request: web.Request) -> web.Response:
        """``GET /console/{path}``: what the page loads."""
        return await self._files.respond(request, f"static/{request.match_info['path']}")
