"""The only importer of the official SDK: it speaks the protocol, and the tools are ours.

The SDK (mcp 2.3) serves revision 2026-07-28, which has no sessions, and the earlier ones, which begin with a
handshake; over HTTP without sessions, too, so that any replica can answer any request. It has extensions as
such, and not the one for tasks (November 2026): its methods are here, what they answer is in `tasks`.
"""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolRequestParams,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    RequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from musicgate.mcp import resources, tasks
from musicgate.mcp.api import ApiError
from musicgate.mcp.calls import Calls, UnknownToolError
from musicgate.mcp.loading import API_IN_SCOPE
from musicgate.mcp.tools import INSTRUCTIONS, tools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from mcp.server.context import ServerRequestContext

    from musicgate.mcp.api import MusicApi
    from musicgate.mcp.loading import HttpEndpoint

    Context = ServerRequestContext[Any, Any]

_EXTENSIONS: Final[dict[str, Any]] = {"extensions": {tasks.EXTENSION: {}}}


@asynccontextmanager
async def http_endpoint(max_body_bytes: int) -> AsyncIterator[HttpEndpoint]:
    """Serve the protocol over HTTP while the block runs; see `musicgate.mcp.loading`."""
    server = make_server(_api_in_scope)
    manager = StreamableHTTPSessionManager(app=server, stateless=True, max_request_body_size=max_body_bytes)
    async with manager.run():
        yield manager.handle_request


def _api_in_scope(ctx: Context) -> MusicApi:
    request: Any = ctx.request
    api: MusicApi = request.scope[API_IN_SCOPE]
    return api


async def serve_stdio(api: MusicApi, folder: Path | None) -> None:
    """Serve one client on standard input and output until it goes away."""
    server = make_server(lambda _: api, folder)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


def make_server(api_of: Callable[[Context], MusicApi], folder: Path | None = None) -> Server[Any]:
    """Make the server of the protocol.

    Args:
        api_of: the API of the account that sent a request.
        folder: fetched audio is written there, too.
    """
    handlers = _Handlers(api_of, folder)
    server: Server[Any] = Server(
        "musicgate",
        version=version("musicgate"),
        title="musicgate",
        description="Songs by many vendors' models behind one API.",
        instructions=INSTRUCTIONS,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,  # type: ignore[arg-type] # the SDK serialises JSON as well
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_resource_templates,
        on_read_resource=handlers.read_resource,
    )
    # Every tool has one fixed schema, and no argument is mirrored in a header.
    server.get_tool_input_schema = lambda _: None
    server.extensions = {tasks.EXTENSION: {}}
    server.add_request_handler("tasks/get", _TaskParams, handlers.get_task)
    server.add_request_handler("tasks/update", _TaskParams, handlers.update_task)
    server.add_request_handler("tasks/cancel", _TaskParams, handlers.cancel_task)
    return server


class _TaskParams(RequestParams):
    """Parameters of the methods of tasks. Responses to inputs are ignored: no task of ours asks for any."""

    task_id: str


class _Handlers:
    """Answers requests of clients."""

    def __init__(self, api_of: Callable[[Context], MusicApi], folder: Path | None) -> None:
        self._api_of = api_of
        self._folder = folder

    async def list_tools(self, _ctx: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult.model_validate({"tools": [tool.render() for tool in tools().values()]})

    async def call_tool(self, ctx: Context, params: CallToolRequestParams) -> dict[str, Any]:
        async def report(passed_s: float, text: str) -> None:
            await ctx.session.report_progress(round(passed_s, 3), None, text)

        calls = Calls(self._api_of(ctx), report, self._folder)
        try:
            result = await calls.call(params.name, params.arguments)
        except UnknownToolError:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:64]}") from None
        job = result.get("structuredContent")
        if params.name == "make_music" and job is not None and tasks.is_open(job) and _declares_tasks(ctx):
            return tasks.render_new_task(job)
        return {"resultType": "complete", **result}

    async def get_task(self, ctx: Context, params: _TaskParams) -> dict[str, Any]:
        return tasks.render_task(await self._job_of_task(ctx, params))

    async def update_task(self, ctx: Context, params: _TaskParams) -> dict[str, Any]:
        await self._job_of_task(ctx, params)
        return {}

    async def cancel_task(self, ctx: Context, params: _TaskParams) -> dict[str, Any]:
        await self._job_of_task(ctx, params)
        try:
            await self._api_of(ctx).cancel(params.task_id)
        except ApiError as error:
            # It has ended, or its audio is there: a cancel need not succeed.
            if error.body.get("status_code") != 409:
                raise _protocol_error(error) from error
        return {}

    async def list_resources(
        self, _ctx: Context, _params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return ListResourcesResult.model_validate({"resources": resources.listed()})

    async def list_resource_templates(
        self, _ctx: Context, _params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult.model_validate({"resourceTemplates": resources.templates()})

    async def read_resource(self, ctx: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        uri = str(params.uri)
        schema = resources.read_schema_uri(uri)
        if schema is not None:
            text = json.dumps(schema, ensure_ascii=False)
            return _contents({"uri": uri, "mimeType": "application/schema+json", "text": text})
        found = resources.read_audio_uri(uri)
        if found is None:
            raise MCPError(INVALID_PARAMS, "Resource not found", {"uri": uri[:512]})
        try:
            audio = await self._api_of(ctx).audio(
                found.job_id, found.index, found.wanted, max_bytes=resources.MAX_BYTES
            )
        except ApiError as error:
            raise _protocol_error(error) from error
        if audio.content is None:
            raise MCPError(
                INVALID_PARAMS, "This audio is too large for one message; use its link", {"uri": audio.uri}
            )
        blob = base64.b64encode(audio.content).decode("ascii")
        return _contents({"uri": uri, "mimeType": audio.content_type, "blob": blob})

    async def _job_of_task(self, ctx: Context, params: _TaskParams) -> dict[str, Any]:
        """The job that is the task.

        Raises:
            MCPError: there is no such task, the client does not know tasks, or the header names another one.
        """
        if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            raise MCPError(METHOD_NOT_FOUND, "Method not found", ctx.method)
        if not _declares_tasks(ctx):
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY,
                "Missing required client capability",
                {"requiredCapabilities": _EXTENSIONS},
            )
        headers = None if ctx.request is None else ctx.request.headers
        if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != params.task_id:
            message = f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
            raise MCPError(HEADER_MISMATCH, message)
        try:
            return await self._api_of(ctx).job(params.task_id)
        except ApiError as error:
            raise _protocol_error(error) from error


def _declares_tasks(ctx: Context) -> bool:
    """True if this very request declares the extension; earlier revisions have other tasks."""
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    meta = (ctx.params or {}).get("_meta")
    return isinstance(meta, dict) and tasks.declares_tasks(meta.get(CLIENT_CAPABILITIES_META_KEY))


def _protocol_error(error: ApiError) -> MCPError:
    """The protocol's error for one of the API: the caller's is invalid parameters, ours an internal error."""
    is_callers = error.body.get("status_code", 500) < 500
    return MCPError(INVALID_PARAMS if is_callers else INTERNAL_ERROR, str(error), {"error": error.body})


def _contents(item: dict[str, Any]) -> ReadResourceResult:
    return ReadResourceResult.model_validate({"contents": [item]})
