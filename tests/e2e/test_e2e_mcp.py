"""``/mcp`` and ``musicgate mcp`` with the official SDK's client, and with clients that send nonsense."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs
import av
import mcp.client.stdio
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import AudioContent, BlobResourceContents, ResourceLink

from musicgate.client import AgentClient
from musicgate.emulation.mount import mounted
from musicgate.errors import ConfigError
from musicgate.gateway import LOCAL_ACCOUNT, Gateway
from musicgate.mcp import RemoteMusic
from musicgate.mcp.calls import Calls
from musicgate.model import Secret
from musicgate.plugin.emulator import EmulatorOptions
from musicgate.settings import Account, load_settings
from musicgate.web import LocalMusic
from musicgate.web import mcp as mcp_route
from tests.e2e.mcp_clients import Tasks, http_client, send_task
from tests.e2e.running_server import ACCOUNT_KEY, HOLD, SPEED, TIMEOUT_S, RecordingVendor, song

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost
    from tests.e2e.running_server import OpenServer, Reply, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

REVISION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
}
WITHOUT_TASKS = {**META, "io.modelcontextprotocol/clientCapabilities": {}}


def make(key: str, **more: Any) -> dict[str, Any]:
    """Arguments of a call that makes a song."""
    return {**song(), "idempotency_key": key, "max_price_usd": 0.06, **more}


def message(method: str, meta: Mapping[str, Any] = META, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}}


async def post(server: RunningServer, body: object, key: str | None = ACCOUNT_KEY, **headers: str) -> Reply:
    """Post one message as a client of this revision does; header names with ``_`` for ``-``."""
    sent = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    if isinstance(body, dict):
        params = body.get("params", {})
        name = params.get("name") or params.get("uri") or params.get("taskId")
        sent |= {"MCP-Protocol-Version": REVISION, "Mcp-Method": str(body.get("method"))}
        sent |= {"Mcp-Name": name} if name else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await server.call("POST", "/mcp", data=data, headers=sent, key=key)


async def test_an_agent_makes_a_song_as_a_task_and_gets_its_audio(server: RunningServer) -> None:
    with server.vendor_calls("suno_kie") as calls:
        tasks = Tasks()
        async with http_client(server.url, extensions=[tasks]) as client:
            assert client.session.protocol_version == REVISION
            capabilities = client.session.server_capabilities
            assert capabilities is not None
            assert capabilities.extensions == {"io.modelcontextprotocol/tasks": {}}
            plan = await client.call_tool("plan_music", song())
            assert plan.structured_content["candidates"][0]["price"]["total_usd_str"] == "0.06"
            made = await client.call_tool("make_music", make("task-1"))
            assert (made.is_error, made.structured_content["status"]) == (False, "completed")
            assert tasks.seen[-1] == "completed"
            again = await client.call_tool("make_music", make("task-1"))
            assert again.structured_content["is_replay"] is True
            job_id = made.structured_content["id"]
            assert again.structured_content["id"] == job_id
            shown = await client.call_tool("list_music", {"states": ["completed"]})
            assert job_id in [job["id"] for job in shown.structured_content["data"]]
            fetched = await client.call_tool("fetch_music", {"job_id": job_id, "index": 1, "format": "wav"})
            _, link, audio = fetched.content
            assert isinstance(link, ResourceLink)
            assert isinstance(audio, AudioContent)
            data = base64.b64decode(audio.data)
            with av.open(io.BytesIO(data)) as container:
                assert container.format.name == "wav"
            async with server.session.get(str(link.uri)) as answer:
                assert await answer.read() == data
            resource = await client.read_resource(f"musicgate://audio/{job_id}/1.wav")
            (read,) = resource.contents
            assert isinstance(read, BlobResourceContents)
            assert base64.b64decode(read.blob) == data
            late = await send_task(client.session, "tasks/cancel", job_id)  # it need not have an effect
            assert late["resultType"] == "complete"
    assert len(calls.creates) == 1
    job = await server.gateway.get(job_id)
    assert job is not None
    assert job.key_id == "file:test"


async def test_a_client_of_an_earlier_revision_has_no_tasks_and_waits_by_a_tool(
    server: RunningServer,
) -> None:
    said: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        said.append(message)

    async with http_client(server.url, mode="legacy", extensions=[Tasks()]) as client:
        made = await client.call_tool("make_music", make("legacy-1"))
        assert made.structured_content["status"] == "in_progress"
        job_id = made.structured_content["id"]
        done = await client.call_tool("wait_for_music", {"job_id": job_id})
        assert done.structured_content["status"] == "completed"
        stuck = await client.call_tool("make_music", make("legacy-2", prompt="rain [emulate stuck=PENDING]"))
        waiting = {"job_id": stuck.structured_content["id"], "timeout_seconds": 0.1}
        late = await client.call_tool("wait_for_music", waiting, progress_callback=note)
        assert late.structured_content["status"] == "in_progress"
        with pytest.raises(MCPError, match="not found"):
            await send_task(client.session, "tasks/get", job_id)
    assert len(said) == 1
    assert "is in progress at suno_kie" in (said[0] or "")


async def test_a_task_is_cancelled_as_its_job_is(server: RunningServer) -> None:
    said: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        said.append(message)

    async with http_client(server.url) as client:
        made = await client.call_tool("make_music", make("cancel-1", prompt="rain [emulate stuck=PENDING]"))
        job_id = made.structured_content["id"]
        waiting = {"job_id": job_id, "timeout_seconds": 0.1}
        late = await client.call_tool("wait_for_music", waiting, progress_callback=note)
        assert (late.structured_content["status"], len(said)) == ("in_progress", 1)
    for meta, code in ((META, None), (WITHOUT_TASKS, -32021)):
        reply = await post(server, message("tasks/cancel", meta, taskId=job_id))
        assert reply.body.get("error", {}).get("code") == code
    reply = await post(server, message("tasks/get", taskId=job_id))
    assert reply.body["result"]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{nonsense", {}, 400, -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": NaN}}', {}, 400, -32700),
        (b"[" * 5000 + b"]" * 5000, {}, 400, -32700),
        (b"[]", {"MCP_Protocol_Version": REVISION}, 400, -32600),
        (b"7", {"MCP_Protocol_Version": REVISION}, 400, -32600),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, {}, 400, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, {}, 400, -32602),
        (message("tools/list"), {"Mcp_Method": "tools/call"}, 400, -32020),
        (message("tools/list"), {"MCP_Protocol_Version": "2099-01-01"}, 400, -32020),
        (message("music/play"), {}, 404, -32601),
        (message("tools/call", name="play_music"), {}, 400, -32602),
        (message("tools/call", name=7), {"Mcp_Name": "7"}, 400, -32020),
        (message("tasks/get", taskId="music_none"), {}, 400, -32602),
        (message("tasks/get"), {}, 400, -32602),
        (message("tasks/get", WITHOUT_TASKS, taskId="music_none"), {}, 400, -32021),
        (message("tasks/get", taskId="music_none"), {"Mcp_Name": "music_other"}, 400, -32020),
        (message("tasks/update", taskId="music_none", inputResponses={}), {}, 400, -32602),
        (message("resources/read", uri="file:///etc/passwd"), {}, 400, -32602),
    ],
)
async def test_nonsense_is_an_error_of_the_protocol(
    server: RunningServer, body: object, headers: dict[str, str], status: int, code: int
) -> None:
    with server.vendor_calls() as calls:
        reply = await post(server, body, **headers)
    assert (reply.status, reply.body["error"]["code"]) == (status, code)
    assert calls.creates == []


async def test_the_log_of_requests_names_the_job_that_an_agent_made(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "musicgate.web.request_log")
    reply = await post(server, message("tools/call", name="make_music", arguments=make("log-1")))
    job = await server.gateway.get(reply.body["result"]["taskId"])
    assert job is not None
    (line,) = [record.getMessage() for record in caplog.records if "/mcp" in record.getMessage()]
    assert job.id in line
    assert job.generation_id in line


async def test_wrong_arguments_are_an_answer_that_an_agent_can_mend(server: RunningServer) -> None:
    arguments = make("wrong-1", suno={"styleWeight": 2}, duration="8")
    reply = await post(server, message("tools/call", name="make_music", arguments=arguments))
    result = reply.body["result"]
    error = json.loads(result["content"][0]["text"])
    assert (reply.status, result["isError"], error["error"]) == (200, True, "validation_error")
    assert [item["path"] for item in error["details"]] == [["duration"], ["suno", "styleWeight"]]


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_the_key_is_that_of_the_api(server: RunningServer, key: str | None) -> None:
    reply = await post(server, message("tools/list"), key=key)
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_only_post_is_served(server: RunningServer) -> None:
    reply = await server.call("GET", "/mcp")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST, OPTIONS")


async def test_a_client_that_vanishes_while_a_song_is_submitted_loses_nothing(server: RunningServer) -> None:
    body = message("tools/call", name="make_music", arguments=make("gone-1", prompt=f"gone {HOLD.decode()}"))
    headers = {"Authorization": f"Bearer {ACCOUNT_KEY}", "Accept": "application/json, text/event-stream"}
    headers |= {"MCP-Protocol-Version": REVISION, "Mcp-Method": "tools/call", "Mcp-Name": "make_music"}
    with server.vendor_calls("suno_kie") as calls:
        async with aiohttp.ClientSession() as session:
            call = asyncio.create_task(session.post(f"{server.url}/mcp", json=body, headers=headers))
            while not any(HOLD in seen.body for seen in server.vendors["suno_kie"].requests):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            call.cancel()  # closes the connection, while the vendor has not answered
        async with http_client(server.url) as client:
            shown = (await client.call_tool("list_music", {})).structured_content["data"]
            job_id = shown[0]["id"]
            done = await client.call_tool("wait_for_music", {"job_id": job_id})
            assert done.structured_content["status"] == "completed"
            again = await client.call_tool("make_music", body["params"]["arguments"])
            assert again.structured_content["id"] == job_id
    assert len(calls.creates) == 1


async def test_without_the_sdk_a_server_says_what_is_missing(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ConfigError("needs another library")

    accounts = [Account(name=name, key=Secret(f"{name}-key-not-real")) for name in ("one", "two")]
    async with open_server(
        accounts=accounts, server={"max_waiting_requests_per_account": 1, "metrics": "open"}
    ) as server:
        with monkeypatch.context() as patched:
            patched.setattr(mcp_route, "load_sdk", refuse)
            missing = await post(server, message("tools/list"), key="one-key-not-real")
            assert missing.error == (501, "not_supported", "mcp_not_installed")
        # On the same server, since each costs time.
        await check_that_accounts_have_their_own_tasks(server)
        await check_that_a_client_that_vanishes_frees_its_place(server)


async def check_that_accounts_have_their_own_tasks(server: RunningServer) -> None:
    async with http_client(server.url, key="one-key-not-real") as client:
        made = await client.call_tool("make_music", make("own-1"))
    get = message("tasks/get", taskId=made.structured_content["id"])
    codes = [
        (await post(server, get, key=f"{name}-key-not-real")).body.get("error", {}).get("code")
        for name in ("one", "two")
    ]
    assert codes == [None, -32602]


async def check_that_a_client_that_vanishes_frees_its_place(server: RunningServer) -> None:
    key = "one-key-not-real"
    arguments = make("own-2", prompt="rain [emulate stuck=PENDING callbacks=off]")
    made = await post(server, message("tools/call", name="make_music", arguments=arguments), key=key)
    waiting = {"job_id": made.body["result"]["taskId"]}
    waits = message("tools/call", name="wait_for_music", arguments=waiting)

    async def until_held(what: str, count: int) -> None:
        held = f'{{what="{what}"}} {count}.0'
        async with asyncio.timeout(TIMEOUT_S):
            while held not in (await server.call("GET", "/metrics", key=None)).raw.decode():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    call = asyncio.create_task(post(server, waits, key=key))
    await until_held("waiting_requests", 1)
    refused = (await post(server, waits, key=key)).body["result"]
    assert "waiting_requests" in refused["content"][0]["text"]
    call.cancel()
    await until_held("requests_in_progress", 0)


async def test_pages_of_others_are_refused_where_no_key_is_needed(
    server_without_accounts: RunningServer,
) -> None:
    body = message("server/discover")
    reply = await post(server_without_accounts, body, key=None, Origin="https://evil.example")
    assert (reply.status, reply.body["error"]["code"]) == (403, -32600)
    own = await post(server_without_accounts, body, key=None, Origin=server_without_accounts.url)
    assert own.body["result"]["supportedVersions"] == [REVISION]


async def test_a_server_far_away_is_used_by_its_routes(server: RunningServer, tmp_path: Path) -> None:
    async def quiet(passed_s: float, text: str) -> None:
        pass

    async with AgentClient(server.url, api_key=ACCOUNT_KEY) as client:
        calls = Calls(RemoteMusic(client), quiet, tmp_path)
        with server.vendor_calls("suno_kie") as seen:
            made = [await calls.call("make_music", make('far "1"')) for _ in range(2)]
        first, again = (result["structuredContent"] for result in made)
        assert (first["is_replay"], again["is_replay"], again["id"]) == (False, True, first["id"])
        assert len(seen.creates) == 1
        done = (await calls.call("wait_for_music", {"job_id": first["id"]}))["structuredContent"]
        assert done["status"] == "completed"
        fetched = await calls.call("fetch_music", {"job_id": first["id"], "format": "flac"})
        saved = tmp_path / f"{first['id']}-0.flac"
        assert fetched["structuredContent"]["url"] == saved.as_uri()
        assert base64.b64decode(fetched["content"][-1]["data"]) == await asyncio.to_thread(saved.read_bytes)
        page = await calls.call("list_music", {"limit": 1, "states": ["completed", "failed"]})
        assert page["structuredContent"]["data"][0]["id"] == first["id"]
        late = await calls.call("cancel_music", {"job_id": first["id"]})
        assert json.loads(late["content"][0]["text"])["status_code"] == 409
        for job_id in ("music_none", ".", "..", "a/b?c"):
            missing = await calls.call("wait_for_music", {"job_id": job_id})
            assert json.loads(missing["content"][0]["text"])["error"] == "not_found"
        models = (await calls.call("list_music_models", {"provider": "suno_kie"}))["structuredContent"]
        assert "suno/v5" in [model["id"] for model in models["data"]]
    async with AgentClient(server.url, api_key="wrong") as client:
        refused = await Calls(RemoteMusic(client), quiet).call("plan_music", song())
        assert json.loads(refused["content"][0]["text"])["reason"] == "key_not_found_or_revoked"


@attrs.frozen
class DesktopClient:
    """What a desktop client configures: a command with a vendor on loopback and a folder of its own."""

    vendor: RecordingVendor
    environ: Mapping[str, str]
    folder: Path

    @property
    def command(self) -> StdioServerParameters:
        arguments = ["-m", "musicgate", "mcp", "--output", str(self.folder)]
        return StdioServerParameters(command=sys.executable, args=arguments, env=dict(self.environ))


@asynccontextmanager
async def desktop_client(folder: Path, plugins: PluginHost) -> AsyncIterator[DesktopClient]:
    options = EmulatorOptions(speed=SPEED, switches={"rate": "off", "song_s": "3"})
    vendor = RecordingVendor(plugins.providers["suno_kie"].emulator(options))
    async with mounted(vendor) as address:
        settings = {
            "DATA_DIR": str(folder / "data"),
            "FOLLOW__SPEED": str(SPEED),
            "NETWORK__ALLOW_PRIVATE_ADDRESSES": "true",
            "PROVIDERS__SUNO_KIE__BASE_URL": address,
            "PROVIDERS__SUNO_KIE__API_KEY": "kie-key-not-real",
        }
        named = {f"MUSICGATE_{name}": value for name, value in settings.items()}
        yield DesktopClient(vendor, {**os.environ, **named}, folder)


async def test_a_desktop_client_makes_a_song_and_vanishes_while_it_makes_another(
    tmp_path: Path, plugins: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It kills what does not end in 2 s, which a loaded machine may need.
    monkeypatch.setattr(mcp.client.stdio, "PROCESS_TERMINATION_TIMEOUT", 30.0)
    async with desktop_client(tmp_path, plugins) as desktop:
        async with Client(desktop.command, extensions=[Tasks()]) as client:
            made = await client.call_tool("make_music", make("first"))
            fetched = await client.call_tool("fetch_music", {"job_id": made.structured_content["id"]})
            name = f"{made.structured_content['id']}-0.mp3"
            assert fetched.structured_content["url"] == (tmp_path / name).as_uri()
            assert fetched.structured_content["size_bytes"] == os.stat(tmp_path / name).st_size  # noqa: PTH116
            late = make("second", prompt=f"gone {HOLD.decode()}")
            call = asyncio.create_task(client.call_tool("make_music", late))
            while not any(HOLD in seen.body for seen in desktop.vendor.requests):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        # The client has closed the pipes, and the process has ended.
        await asyncio.gather(call, return_exceptions=True)
        settings = load_settings(environ=desktop.environ)
        async with Gateway.open(settings, plugins=plugins) as gateway:
            api = LocalMusic(gateway, Account(name=LOCAL_ACCOUNT), lambda *_: None)
            found = (await api.jobs((), None, 10, None))["data"]
            assert [job["attempts"][0]["outcome"] for job in found] == ["accepted", "accepted"]
            done = await gateway.wait(found[0]["id"], TIMEOUT_S)
            assert done.state == "completed"
        assert len(desktop.vendor.books.creates) == 2


async def test_a_desktop_client_uses_a_running_server(server: RunningServer, tmp_path: Path) -> None:
    arguments = ["-m", "musicgate", "mcp", "--url", server.url, "--output", str(tmp_path)]
    environ = {**os.environ, "MUSICGATE_API_KEY": ACCOUNT_KEY}
    command = StdioServerParameters(command=sys.executable, args=arguments, env=environ)
    async with Client(command) as client:
        made = await client.call_tool("make_music", make("through-a-server"))
        job_id = made.structured_content["id"]
        done = await client.call_tool("wait_for_music", {"job_id": job_id})
        assert done.structured_content["status"] == "completed"
        fetched = await client.call_tool("fetch_music", {"job_id": job_id})
        assert fetched.structured_content["url"] == (tmp_path / f"{job_id}-0.mp3").as_uri()
    job = await server.gateway.get(job_id)
    assert job is not None
    assert job.key_id == "file:test"
