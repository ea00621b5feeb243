"""``GET /llms.txt``: what this server is and how it is called, for language models; it needs no key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.views import render_llms

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.web.auth import Accounts

_SUMMARY: Final = (
    "musicgate is a gateway to many vendors' music models: one request, one shape of a job, one bill. "
    "A song costs money and takes seconds to minutes."
)
_START: Final = """\
Two ways to use it. An agent with the Model Context Protocol connects to {base}/mcp (Streamable HTTP) and has the
tools list_music_models, plan_music, make_music, wait_for_music, list_music, cancel_music and fetch_music. Everything
else speaks HTTP and JSON:

1. Choose a model: GET {base}/v1/music/models.
2. See who would make the song and what it costs, for free: POST {base}/v1/music/plan.
3. Make it: POST {base}/v1/music/generate with {{"model": "suno/v4.5plus", "prompt": "Warm jazz trio"}} and a header
   Idempotency-Key that is new for each song. Where an answer is lost, send the same again with the same key.
4. Read the job until `status` is completed or failed: GET {base}/v1/music/generate/ID, with Prefer: wait=30 to be
   answered when it is. Then `output[].audio_url` leads to the audio.

{key}"""
_WITH_KEY: Final = "Every request needs the header Authorization: Bearer KEY; a link to audio needs none."
_WITHOUT_KEY: Final = "This server needs no key, and answers this machine only."


class LlmsRoute:
    """Handler of the route."""

    def __init__(self, gateway: Gateway, accounts: Accounts) -> None:
        self._public_url = gateway.settings.server.public_url.rstrip("/")
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/llms.txt", self.text)]

    async def text(self, request: web.Request) -> web.Response:
        """``GET /llms.txt``."""
        base = self._public_url or f"{request.scheme}://{request.host}"
        key = _WITHOUT_KEY if self._accounts.is_open else _WITH_KEY
        api = [
            ("OpenAPI 3.1", f"{base}/openapi.json", "every route, header, error and event"),
            ("Request", f"{base}/v1/schemas/request", "JSON Schema of the body of a create call"),
            ("Job", f"{base}/v1/schemas/job", "JSON Schema of what a create call and a job's route answer"),
            ("Error", f"{base}/v1/schemas/error", "JSON Schema of every answer that is not a success"),
            ("Models", f"{base}/v1/music/models", "what can be asked of whom, with limits and prices"),
        ]
        agents = [
            ("Model Context Protocol", f"{base}/mcp", "POST, revision 2026-07-28 and earlier, no sessions")
        ]
        people = [("API page", f"{base}/docs", "the same description in a browser")]
        text = render_llms(
            "musicgate",
            _SUMMARY,
            _START.format(base=base, key=key),
            [("API", api), ("Agents", agents), ("Optional", people)],
        )
        headers = {"Cache-Control": "no-cache"}
        return web.Response(text=text, content_type="text/plain", charset="utf-8", headers=headers)
