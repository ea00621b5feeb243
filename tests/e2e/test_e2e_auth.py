"""Who may call: keys and the reasons of a refusal, browsers, and a server without accounts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from tests.e2e.running_server import JOBS, PLAN

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDEA: dict[str, Any] = {"model": "suno/v5", "prompt": "rain"}
NO_HEADER = "missing_or_invalid_authorization_header"
ACCOUNTS = (
    Account(name="one", key=Secret("test-key-of-one")),
    Account(name="two", key_hash=f"sha256:{hashlib.sha256(b'test-key-of-two').hexdigest()}"),
    Account(name="late", key=Secret("test-key-of-late"), expires_at="2020-01-01T00:00:00+00:00"),
    Account(name="later", key=Secret("test-key-of-later"), expires_at="2999-01-01T00:00:00Z"),
)
HEADERS: list[tuple[dict[str, str], str]] = [
    ({}, NO_HEADER),
    ({"Authorization": ""}, NO_HEADER),
    ({"Authorization": "Bearer"}, NO_HEADER),
    ({"Authorization": "Bearer "}, NO_HEADER),
    ({"Authorization": "bearer test-key-not-real"}, NO_HEADER),
    ({"Authorization": "Basic dGVzdA=="}, NO_HEADER),
    ({"Authorization": "test-key-not-real"}, NO_HEADER),
    ({"Authorization": "Bearer  test-key-not-real"}, "invalid_key_format"),
    ({"Authorization": "Bearer two words"}, "invalid_key_format"),
    ({"Authorization": f"Bearer {'x' * 600}"}, "invalid_key_format"),
    ({"Authorization": "Bearer test-key-not-rea"}, "key_not_found_or_revoked"),
    ({"Authorization": "Bearer schl\u00fcssel"}, "key_not_found_or_revoked"),
]


@pytest.mark.parametrize(("headers", "reason"), HEADERS, ids=[str(header)[-40:] for header, _ in HEADERS])
async def test_a_missing_or_wrong_key_is_refused_with_the_reason(
    server: RunningServer, headers: dict[str, str], reason: str
) -> None:
    """Which routes need a key is tested in test_e2e_http.py."""
    for method, path in (("POST", JOBS), ("GET", f"{JOBS}/music_x/audio/0")):
        reply = await server.call(method, path, headers=headers, key=None, data=b"{")
        assert reply.error == (401, "unauthorised", reason)
        assert reply.body["error_type"] == "user"
        assert reply.headers["X-Gateway-Error-Attribution"] == "user"


async def test_keys_are_given_as_text_or_hash_and_may_expire(open_server: OpenServer) -> None:
    async with open_server(accounts=ACCOUNTS) as server:
        for key in ("test-key-of-one", "test-key-of-two", "test-key-of-later"):
            assert (await server.call("GET", JOBS, key=key)).status == 200
        expired = await server.call("GET", JOBS, key="test-key-of-late")
    assert expired.error == (401, "unauthorised", "key_expired")


async def test_a_job_of_another_account_is_answered_like_one_that_does_not_exist(
    open_server: OpenServer,
) -> None:
    """Every route is called with another account's key in test_e2e_http.py."""
    async with open_server(accounts=ACCOUNTS) as server:
        mine = (await server.call("POST", JOBS, body=IDEA, key="test-key-of-one")).body
        unknown = await server.get("music_01ZZZZZZZZZZZZZZZZZZZZZZZZ", key="test-key-of-two")
        for music_id in (mine["id"], mine["nativeResponseId"]):
            assert (await server.get(music_id, key="test-key-of-one")).body["id"] == mine["id"]
            foreign = await server.get(music_id, key="test-key-of-two")
            assert foreign.error == (404, "not_found", "music_not_found_or_not_owned")
            assert foreign.body["music_id"] == music_id
            assert foreign.body.keys() == unknown.body.keys()
            for reply in (foreign, unknown):
                assert reply.body["description"].count(reply.body["music_id"]) == 1
            same = foreign.body["description"].replace(music_id, unknown.body["music_id"])
            assert same == unknown.body["description"]


@pytest.mark.parametrize("path", [JOBS, PLAN, "/nowhere"])
async def test_preflight_requests_of_browsers_are_answered(server: RunningServer, path: str) -> None:
    headers = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    reply = await server.call("OPTIONS", path, headers=headers, key=None)
    assert reply.status == 204
    assert reply.headers["Access-Control-Max-Age"] == "86400"
    methods = set(reply.headers["Access-Control-Allow-Methods"].split(", "))
    assert methods >= {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    allowed = set(reply.headers["Access-Control-Allow-Headers"].lower().split(", "))
    assert allowed >= {
        *("authorization", "content-type", "x-title", "http-referer", "x-gateway-debug"),
        *("x-aistats-strictness", "x-phaseo-client", "x-phaseo-client-version", "x-app-id", "x-app-name"),
        *("idempotency-key", "prefer", "last-event-id", "traceparent"),
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Origin": "https://evil.example.com"}, 401),
        ({"Host": "127.0.0.1.example.com"}, 401),
    ],
)
async def test_without_accounts_only_pages_of_this_machine_may_call(
    server_without_accounts: RunningServer, headers: dict[str, str], status: int
) -> None:
    server = server_without_accounts
    with server.vendor_calls() as calls:
        reply = await server.call("POST", JOBS, body=IDEA, headers=headers, key=None)
    assert reply.status == status
    assert len(calls.creates) == (1 if status == 200 else 0)
    plan = await server.call("POST", PLAN, body=IDEA, headers=headers, key=None)
    assert plan.status == status


async def test_without_accounts_a_key_makes_no_difference(server_without_accounts: RunningServer) -> None:
    created = await server_without_accounts.call("POST", JOBS, body=IDEA, key="whatever")
    assert (await server_without_accounts.get(created.body["id"], key=None)).status == 200
