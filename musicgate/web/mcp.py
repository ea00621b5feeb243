"""``POST /mcp``: the tools of `musicgate.mcp` over HTTP, for the account of the key.

The SDK is an ASGI application. This module gives it requests and takes its answers; key, limits, size and
time of the body are the server's own, as everywhere. The SDK is imported when the first client comes.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from musicgate.aio import offload
from musicgate.errors import ConfigError, RequestError, UnauthorisedError
from musicgate.mcp import API_IN_SCOPE, load_sdk
from musicgate.plugin import write_json
from musicgate.text import LARGE_BODY_BYTES
from musicgate.web.body import parse_json, read_body
from musicgate.web.connection import CORS, while_connected
from musicgate.web.events import STALL_S
from musicgate.web.local_music import LocalMusic
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from musicgate.gateway import Gateway
    from musicgate.mcp import HttpEndpoint, Sdk
    from musicgate.settings import Account
    from musicgate.web.auth import Accounts
    from musicgate.web.capacity import Capacity
    from musicgate.web.job_resource import JobResource
    from musicgate.web.timeouts import RequestTimeouts

    Message = MutableMapping[str, Any]

_JSON: Final = "application/json"
#: Of JSON-RPC 2.0, section 5.1.
_PARSE_ERROR: Final = -32700
_INVALID_REQUEST: Final = -32600
#: Headers of requests that are the server's business: the key, and how the body came.
_NOT_PASSED_ON: Final = frozenset(
    {"authorization", "content-encoding", "content-length", "transfer-encoding"}
)
#: Headers of the SDK's answers; the others are the server's.
_ANSWERED: Final = frozenset({"Allow", "Content-Type", "X-Accel-Buffering"})
#: Name of the background service.
_SERVICE: Final = "mcp"


class McpRoutes:
    """Handler of the route."""

    def __init__(
        self,
        gateway: Gateway,
        accounts: Accounts,
        job_resource: JobResource,
        timeouts: RequestTimeouts,
        waits: Capacity,
    ) -> None:
        self._gateway = gateway
        self._accounts = accounts
        self._jobs = job_resource
        self._timeouts = timeouts
        self._waits = waits
        self._sdk: Sdk | None = None
        self._endpoint: asyncio.Future[HttpEndpoint] | None = None

    def routes(self) -> list[web.RouteDef]:
        """Return the route. GET and DELETE are a 405: there are no sessions, and no streams of their own."""
        return [web.post("/mcp", self.post)]

    async def post(self, request: web.Request) -> web.StreamResponse:
        """``POST /mcp``: one message of the protocol."""
        try:
            account = self._accounts.identify(request)
        except UnauthorisedError as error:
            if self._accounts.is_open:
                # A foreign page. Streamable HTTP wants a 403 for its Origin.
                return _refusal(403, _INVALID_REQUEST, str(error))
            raise
        body = await read_body(request)
        try:
            # By the rules of this server, which are stricter than the SDK's.
            await offload(lambda: parse_json(body), is_large=len(body) > LARGE_BODY_BYTES)
        except RequestError as error:
            return _refusal(400, _PARSE_ERROR, error.message)
        endpoint = await self._started()
        exchange = _Exchange(request, body, self._api(request, account))
        try:
            async with self._timeouts.limit(None), while_connected(request):
                await endpoint(exchange.scope, exchange.receive, exchange.send)
        except TimeoutError:
            # The client has gone, or the server stops. What it has begun goes on.
            if exchange.response is None:
                raise RequestError(
                    "gateway_error", "the server stops; ask again", reason="stopping", http_status=503
                ) from None
            if request.transport is not None:
                request.transport.abort()
        if exchange.response is None:
            raise RuntimeError("the protocol's server gave no answer")
        return exchange.response

    def _api(self, request: web.Request, account: Account) -> LocalMusic:
        @contextmanager
        def waiting() -> Iterator[None]:
            with self._waits.hold(account.name):
                yield

        state = request[STATE]

        def created(job_id: str) -> None:
            state.job_id = job_id

        return LocalMusic(
            self._gateway,
            account,
            self._jobs.links(request),
            key_id=state.key_id,
            request_id=state.generation_id,
            created=created,
            waiting=waiting,
        )

    async def _started(self) -> HttpEndpoint:
        """Return the SDK's application, started by the first request.

        Raises:
            RequestError: 501, the SDK is not installed.
        """
        if self._sdk is None:
            try:
                # Half a second of imports, in which the server answers others.
                self._sdk = await asyncio.to_thread(load_sdk)
            except ConfigError as error:
                message, reason = str(error), "mcp_not_installed"
                raise RequestError("not_supported", message, reason=reason, http_status=501) from error
        if self._endpoint is None:
            self._endpoint = asyncio.get_running_loop().create_future()
            self._gateway.supervisor.start(_SERVICE, self._serve)
        return await asyncio.shield(self._endpoint)

    async def _serve(self) -> None:
        """Run the SDK's application until the gateway closes; a service of the supervisor."""
        if self._sdk is None or self._endpoint is None:
            raise RuntimeError("no request has started it")
        try:
            async with self._sdk.http_endpoint(self._gateway.settings.server.max_body_bytes) as endpoint:
                self._endpoint.set_result(endpoint)
                await asyncio.Event().wait()
        finally:
            # It has failed: requests wait until it is started again.
            self._endpoint = asyncio.get_running_loop().create_future()


class _Exchange:
    """One request and its answer, as ASGI has them.

    Attributes:
        response: the answer, once it has begun.
    """

    def __init__(self, request: web.Request, body: bytes, api: LocalMusic) -> None:
        self._request = request
        self._messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        self._start: Message = {}
        self._body = b""
        self.response: web.StreamResponse | None = None
        headers = [
            (name.lower().encode("ascii"), value.encode("utf-8", "surrogateescape"))
            for name, value in request.headers.items()
            if name.lower() not in _NOT_PASSED_ON
        ]
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": request.scheme,
            "path": request.path,
            "raw_path": request.rel_url.raw_path.encode("ascii"),
            "root_path": "",
            "query_string": b"",
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
            "client": None,
            "server": None,
            API_IN_SCOPE: api,
        }

    async def receive(self) -> Message:
        """Give the body. That the client has gone shows by a cancellation, not by a message."""
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop()

    async def send(self, message: Message) -> None:
        """Take a piece of the answer: JSON is sent when it is whole, a stream of events as it comes."""
        if message["type"] == "http.response.start":
            self._start = message
            headers = self._headers()
            if headers.get("Content-Type", "").startswith("text/event-stream"):
                self.response = web.StreamResponse(status=message["status"], headers={**headers, **CORS})
                await self.response.prepare(self._request)
            return
        piece = message.get("body", b"")
        if isinstance(self.response, web.StreamResponse):
            await self._write(self.response, piece)
            return
        self._body += piece
        if not message.get("more_body", False):
            self.response = web.Response(
                status=self._start["status"], body=self._body, headers=self._headers()
            )

    def _headers(self) -> dict[str, str]:
        given = {
            name.decode("latin-1").title(): value.decode("latin-1") for name, value in self._start["headers"]
        }
        return {name: value for name, value in given.items() if name in _ANSWERED} | {
            "Cache-Control": "no-store"
        }

    async def _write(self, response: web.StreamResponse, piece: bytes) -> None:
        if not piece:
            return
        try:
            async with asyncio.timeout(STALL_S):
                await response.write(piece)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the client reads nothing") from None


def _refusal(status: int, code: int, message: str) -> web.Response:
    """Answer with an error of JSON-RPC, before the id of the message is known."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    headers = {"Cache-Control": "no-store"}
    return web.Response(status=status, body=write_json(error), content_type=_JSON, headers=headers)
