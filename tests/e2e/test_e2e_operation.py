"""What operators and accounts see of a running server: usage, audit log, providers, drain."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from musicgate.model import Secret
from musicgate.settings import Account
from tests.e2e.running_server import JOBS, TIMEOUT_S, UNFINISHED, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.hosting.discovery import PluginHost
    from tests.e2e.running_server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN = "admin-key-that-is-not-real"
IDEA: dict[str, Any] = {"model": "minimax/music-2.6", "prompt": "rain", "minimax": {"lyrics": "la"}}
ACCOUNTS = tuple(Account(name=name, key=Secret(f"test-key-of-{name}")) for name in ("one", "two", "three"))
WITH_ADMIN: dict[str, Any] = {
    "accounts": ACCOUNTS,
    "server": {"admin_key": Secret(ADMIN)},
    "audit": {"enabled": True},
}
ROUTES = (
    ("GET", "/v1/admin/usage"),
    ("GET", "/v1/admin/audit"),
    ("GET", "/v1/admin/providers"),
    ("GET", "/v1/admin/drain"),
    ("POST", "/v1/admin/drain"),
    ("DELETE", "/v1/admin/drain"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost
) -> AsyncIterator[RunningServer]:
    """A server with an administrator, shared by the tests of this module."""
    async with running_server(tmp_path_factory.mktemp("operated"), plugins, **WITH_ADMIN) as started:
        yield started


async def made(server: RunningServer, key: str) -> dict[str, Any]:
    """A finished song of an account."""
    reply = await server.call("POST", JOBS, body=IDEA, key=key)
    assert reply.status == 200, reply.raw
    while True:
        job: dict[str, Any] = (await server.get(reply.body["id"], key)).body
        if job["status"] in {"completed", "failed"}:
            return job


async def test_usage_is_counted_by_account_and_outlives_the_job(server: RunningServer) -> None:
    job = await made(server, "test-key-of-one")
    assert job["status"] == "completed"
    assert (await server.call("DELETE", f"{JOBS}/{job['id']}", key="test-key-of-one")).status == 204
    own = await server.call("GET", "/v1/music/usage", key="test-key-of-one")
    (total,) = own.body["data"]
    assert total["day"] == datetime.now(UTC).date().isoformat()
    assert (total["jobs"], total["completed"], total["failed"]) == (1, 1, 0)
    assert total["audio_seconds"] == job["usage"]["output_audio_seconds"]
    assert total["cost_usd"] == job["usage"]["pricing_breakdown"]["total_usd_str"] == "0.15"
    assert own.body["total"] == {key: value for key, value in total.items() if key != "day"}
    assert (await server.call("GET", "/v1/music/usage?key=x", key="test-key-of-one")).body["data"] == []
    other = await server.call("GET", "/v1/music/usage?account=one", key="test-key-of-two")
    assert other.error == (400, "validation_error", "unknown_parameter")

    named = "group_by=account,key,provider,plugin,model,outcome"
    whole = await server.call("GET", f"/v1/admin/usage?account=one&{named}&format=csv", key=ADMIN)
    assert whole.headers["Content-Type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(whole.raw.decode()))
    assert list(row.values())[:6] == [
        *("one", "file:one", "minimax", "minimax", "minimax/music-2.6", "completed")
    ]
    for query in ("account=none", "account=one&key=file:two", "from=2020-01-01&to=2020-12-31"):
        assert (await server.call("GET", f"/v1/admin/usage?{query}", key=ADMIN)).body["data"] == []


async def test_what_callers_do_is_in_the_audit_log_without_a_prompt(server: RunningServer) -> None:
    await server.gateway._context.audit.flush()
    earlier = await server.gateway._context.store.audit_log.entries(0, 999)
    after = earlier[-1][0] if earlier else 0
    job = await made(server, "test-key-of-three")
    music_id, link = job["id"], job["output"][0]["audio_url"]
    audio = f"{JOBS}/{music_id}/audio/0"
    for path, key, headers in (
        (audio, "test-key-of-three", {}),
        (audio, "test-key-of-three", {"Range": "bytes=9-20"}),  # the rest of a song that was begun
        (link, None, {"Range": "bytes=0-9"}),
        (audio, "test-key-of-two", {}),
    ):
        await server.call("GET", path, key=key, headers=headers)
    await server.call("HEAD", audio, key="test-key-of-three")
    refused = await server.call("POST", f"{JOBS}/{music_id}/cancel", key="test-key-of-three")
    assert refused.status == 409
    deleted = await server.call("DELETE", f"{JOBS}/{music_id}", key="test-key-of-three")
    await server.gateway._context.audit.flush()

    page = await server.call("GET", f"/v1/admin/audit?after={after}&limit=2", key=ADMIN)
    rest = await server.call(
        "GET", f"/v1/admin/audit?after={page.body['next_after']}&format=jsonl", key=ADMIN
    )
    entries = [*page.body["data"], *map(json.loads, rest.raw.splitlines())]
    assert [(entry["action"], entry["key_id"], entry["subject"]) for entry in entries] == [
        ("job.created", "file:three", ""),
        ("job.deleted", "file:three", ""),
        ("audio.downloaded", "file:three", "0"),
        ("audio.downloaded", "", "0"),
    ]
    assert {entry["music_id"] for entry in entries} == {music_id}
    assert {entry["account"] for entry in entries} == {"three"}
    assert deleted.status == 204
    assert page.body["enabled"] is True
    assert b"rain" not in page.raw + rest.raw
    last = await server.call("GET", f"/v1/admin/audit?after={entries[-1]['number']}", key=ADMIN)
    assert (last.body["data"], last.body["next_after"]) == ([], entries[-1]["number"])


async def test_drained_server_refuses_new_jobs_and_goes_on_with_the_others(server: RunningServer) -> None:
    song = await made(server, "test-key-of-two")
    key = {"Idempotency-Key": "k1"}
    open_job = await server.call("POST", JOBS, body=UNFINISHED, headers=key, key="test-key-of-two")
    assert open_job.status == 200

    begun = await server.call("POST", "/v1/admin/drain", key=ADMIN)
    assert (begun.body["draining"], begun.body["open_jobs"]) == (True, 1)
    refused = await server.call("POST", JOBS, body=IDEA, key="test-key-of-two")
    assert refused.error == (503, "gateway_error", "draining")
    assert int(refused.headers["Retry-After"]) > 0
    ready = await server.call("GET", "/readyz", key=None)
    assert (ready.status, ready.body["status"], ready.body["reason"]) == (503, "draining", "draining")
    again = await server.call("POST", JOBS, body=UNFINISHED, headers=key, key="test-key-of-two")
    assert (again.status, again.body["id"]) == (200, open_job.body["id"])
    assert (await server.call("GET", f"{JOBS}/{song['id']}/audio/0", key="test-key-of-two")).status == 200

    report = await server.call("GET", "/v1/admin/providers", key=ADMIN)
    by_plugin = {entry["provider_plugin"]: entry for entry in report.body["data"]}
    assert by_plugin["suno_kie"]["open_jobs"] == 1
    assert by_plugin["suno_kie"]["latency"]["create"]["calls"] == 1
    assert by_plugin["minimax"]["health"]["state"] == "closed"

    await server.call("POST", f"{JOBS}/{open_job.body['id']}/cancel", key="test-key-of-two")
    async with asyncio.timeout(TIMEOUT_S):
        while True:  # until its next poll has found that it has ended
            left = await server.call("GET", "/v1/admin/drain", key=ADMIN)
            if not left.body["open_jobs"]:
                break
            await asyncio.sleep(0.01)
    assert left.body["draining"] is True
    assert (await server.call("DELETE", "/v1/admin/drain", key=ADMIN)).body["draining"] is False
    assert (await server.call("GET", "/readyz", key=None)).status == 200
    assert (await server.call("POST", JOBS, body=IDEA, key="test-key-of-two")).status == 200
    audit = await server.gateway._context.store.audit_log.entries(0, 99)
    assert "job.cancelled" in [entry.action for _, entry in audit]


async def test_only_administrators_operate(server: RunningServer) -> None:
    for method, path in ROUTES:
        assert (await server.call(method, path, key="test-key-of-one")).error == (
            *(403, "unauthorised", "not_an_admin"),
        )
        assert (await server.call(method, path, key=None)).status == 401
    assert (await server.call("GET", "/readyz", key=None)).status == 200
    for path, reason in (
        ("/v1/admin/usage?from=2026-13-01", "invalid_date"),
        ("/v1/admin/usage?from=20261101", "invalid_date"),
        ("/v1/admin/usage?from=2026-11-02&to=2026-11-01", "invalid_date"),
        ("/v1/admin/usage?group_by=mood", "invalid_group"),
        ("/v1/admin/usage?format=xml", "invalid_format"),
        ("/v1/admin/audit?after=-1", "invalid_after"),
        ("/v1/admin/audit?after=99999999999999999999", "invalid_after"),
        ("/v1/admin/audit?limit=1001", "invalid_limit"),
    ):
        assert (await server.call("GET", path, key=ADMIN)).error == (400, "validation_error", reason), path
    for path in ("/v1/admin/usage?to=0001-01-01", "/v1/admin/usage?to=9999-12-31&from=9000-01-01"):
        assert (await server.call("GET", path, key=ADMIN)).body["data"] == []
