"""Clients of the official SDK, and the extension for tasks, which it has not (2.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import httpx2
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Request, RequestParams, Result

ACCOUNT_KEY = "test-key-not-real"


class NewTask(Result):
    """``CreateTaskResult`` of the extension for tasks."""

    result_type: Literal["task"]
    task_id: str
    status: str
    ttl_ms: int | None
    poll_interval_ms: int


class TaskParams(RequestParams):
    """Parameters of the methods of tasks."""

    task_id: str


class TaskRequest(Request[TaskParams, str]):
    """``tasks/get``, ``tasks/update`` or ``tasks/cancel``."""

    name_param = "taskId"
    method: str
    params: TaskParams


class AnyResult(Result):
    """A result with all its keys."""

    model_config = Result.model_config | {"extra": "allow"}


class Tasks(ClientExtension):
    """A client's half of the extension: polls until a task has ended.

    Attributes:
        seen: statuses, as they were polled.
    """

    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def claims(self) -> Sequence[ResultClaim[Any]]:
        """Take tasks for results of tools."""
        return (ResultClaim(result_type="task", model=NewTask, resolve=self.resolve),)

    async def resolve(self, task: NewTask, context: ClaimContext) -> CallToolResult:
        """Poll a task to its end."""
        while True:
            answer = await send_task(context.session, "tasks/get", task.task_id)
            self.seen.append(answer["status"])
            if answer["status"] != "working":
                return CallToolResult.model_validate(answer.get("result", {"content": []}))
            await asyncio.sleep(0.02)


async def send_task(session: Any, method: str, task_id: str) -> dict[str, Any]:
    """Call a method of tasks."""
    request = TaskRequest(method=method, params=TaskParams(task_id=task_id))
    result: AnyResult = await session.send_request(request, AnyResult)
    return result.model_dump(by_alias=True, mode="json")


@asynccontextmanager
async def http_client(url: str, key: str | None = ACCOUNT_KEY, **options: Any) -> AsyncIterator[Client]:
    """Connect to a server by HTTP, as the account of a key."""
    async with AsyncExitStack() as stack:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # Not its own timeout of 5 s: a loaded machine is slow. No certificates, which take long to read.
        plain = httpx2.AsyncClient(headers=headers, timeout=30.0, verify=False)
        http = await stack.enter_async_context(plain)
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        yield await stack.enter_async_context(Client(transport, **options))
