"""Who may call: keys and their reason tokens, accounts that cannot see each other, browsers, and a server without keys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate.settings import Account

if TYPE_CHECKING:
    from tests.e2e.house import House, OpenHouse

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


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/music/generate"),
        ("GET", "/v1/music/generate/music_x"),
        ("GET", "/v1/music/generations/music_x"),
        ("GET", "/v1/music/generate/"),
        ("POST", "/v1/music/plan"),
        ("GET", "/v1/music/models"),
        ("GET", "/v1/music/providers"),
        ("GET", "/v1/music/generate/music_x/audio/0"),
    ],
)
@pytest.mark.parametrize(("headers", "reason"), HEADERS, ids=[str(header)[-40:] for header, _ in HEADERS])
async def test_without_a_good_key_every_route_says_why(
    house: House, method: str, path: str, headers: dict[str, str], reason: str
) -> None:
    reply = await house.call(method, path, headers=headers, key=None, data=b"{")
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (401, "unauthorised", reason)
    assert reply.body["error_type"] == "user"
    assert reply.headers["X-Gateway-Error-Attribution"] == "user"


async def test_accounts_cannot_see_each_other(open_house: OpenHouse) -> None:
    async with open_house(accounts=ACCOUNTS) as house:
        mine = await house.call("POST", "/v1/music/generate", body=IDEA, key="test-key-of-one")
        job_id, native_id = mine.body["id"], mine.body["nativeResponseId"]
        unknown = await house.get("music_01ZZZZZZZZZZZZZZZZZZZZZZZZ", key="test-key-of-two")
        for music_id in (job_id, native_id):
            assert (await house.get(music_id, key="test-key-of-one")).body["id"] == job_id
            for key in ("test-key-of-two", "test-key-of-later"):
                foreign = await house.get(music_id, key=key)
                assert (foreign.status, foreign.body["error"]) == (404, "not_found")
                assert foreign.body["reason"] == "music_not_found_or_not_owned"
                assert foreign.body["music_id"] == music_id
                assert foreign.body.keys() == unknown.body.keys()
                assert foreign.body["description"].replace(music_id, "?") == unknown.body[
                    "description"
                ].replace("music_01ZZZZZZZZZZZZZZZZZZZZZZZZ", "?")
        audio = await house.call("GET", f"/v1/music/generate/{job_id}/audio/0", key="test-key-of-two")
        assert audio.status == 404


async def test_an_expired_key_is_told_so(open_house: OpenHouse) -> None:
    async with open_house(accounts=ACCOUNTS) as house:
        expired = await house.get("music_x", key="test-key-of-late")
    assert (expired.status, expired.body["reason"]) == (401, "key_expired")


@pytest.mark.parametrize("path", ["/v1/music/generate", "/v1/music/generate/x", "/v1/music/plan", "/nowhere"])
async def test_preflight_answers_browsers(house: House, path: str) -> None:
    asked = {
        "Origin": "https://app.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    reply = await house.call("OPTIONS", path, headers=asked, key=None)
    assert reply.status in {200, 204}
    assert reply.headers["Access-Control-Max-Age"] == "86400"
    methods = {word.strip() for word in reply.headers["Access-Control-Allow-Methods"].split(",")}
    assert methods >= {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    allowed = {word.strip().lower() for word in reply.headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed >= {
        *(
            "authorization",
            "content-type",
            "x-title",
            "http-referer",
            "x-gateway-debug",
            "x-aistats-strictness",
        ),
        *("x-phaseo-client", "x-phaseo-client-version", "x-app-id", "x-app-name"),
        *("idempotency-key", "prefer", "last-event-id", "traceparent"),
    }


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://127.0.0.1:5173"}, 200),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Origin": "https://evil.example.com"}, 401),
        ({"Origin": "null"}, 401),
        ({"Origin": "http://127.0.0.1.example.com"}, 401),
        ({"Host": "evil.example.com"}, 401),
        ({"Host": "127.0.0.1.example.com"}, 401),
    ],
)
async def test_without_accounts_only_this_machines_own_pages_may_call(
    keyless: House, headers: dict[str, str], status: int
) -> None:
    with keyless.watch() as seen:
        reply = await keyless.call("POST", "/v1/music/generate", body=IDEA, headers=headers, key=None)
    assert reply.status == status
    assert len(seen.creates) == (1 if status == 200 else 0)
    plan = await keyless.call("POST", "/v1/music/plan", body=IDEA, headers=headers, key=None)
    assert plan.status == status


async def test_without_accounts_any_key_is_as_good_as_none(keyless: House) -> None:
    created = await keyless.call("POST", "/v1/music/generate", body=IDEA, key="whatever")
    assert (await keyless.get(created.body["id"], key=None)).status == 200
