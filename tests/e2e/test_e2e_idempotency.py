"""One key, one song: sent again, sent fifty times at once, or answered with an error.

The rules are the subject of tests/test_idempotency.py, keys that survive ``kill -9`` that of
test_e2e_crash.py and tests/crash.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_repeated_call_is_answered_with_the_same_job(server: RunningServer) -> None:
    body = song()
    reordered = json.dumps(dict(reversed(body.items())), indent=4).encode()
    key = {"Idempotency-Key": "again"}
    with server.vendor_calls() as calls:
        first = await server.create(body, **key)
        quoted = await server.create(body, Idempotency_Key='"again"')
        spelled = await server.call("POST", "/v1/music/generations", data=reordered, headers=key)
        await server.finish(first.body["id"])
        late = await server.create(body, **key)
        other = await server.create({**body, "title": "Another"}, **key)
    assert (len(calls.creates), calls.billed) == (1, 1)
    assert "Idempotency-Replayed" not in first.headers
    for reply in (quoted, spelled, late):
        assert (reply.status, reply.headers["Idempotency-Replayed"]) == (200, "true")
        assert reply.body["id"] == first.body["id"]
        assert reply.body["requestId"] == first.body["requestId"]
    assert late.body["status"] == "completed"
    assert other.error == (422, "validation_error", "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "two words", '"open', "k" * 256, '"a", "b"'])
async def test_an_invalid_key_is_refused_after_the_body_and_before_any_call(
    server: RunningServer, key: str
) -> None:
    with server.vendor_calls() as calls:
        reply = await server.create(song(), Idempotency_Key=key)
        both = await server.create({"model": 8}, Idempotency_Key=key)
    assert reply.error == (400, "validation_error", "invalid_idempotency_key")
    assert both.body["details"][0]["path"] == ["model"]
    assert calls.creates == []


@pytest.mark.parametrize(
    ("plugin", "switches", "status"), [("suno_kie", "create=422", 422), ("suno_kie", "create=html", 502)]
)
async def test_an_error_is_repeated_as_it_was(
    server: RunningServer, plugin: str, switches: str, status: int
) -> None:
    key = switches.replace("=", "-")
    with server.vendor_calls() as calls:
        first = await server.create(song(plugin, switches), Idempotency_Key=key)
        again = await server.create(song(plugin, switches), Idempotency_Key=key)
    assert len(calls.creates) == 1
    assert (first.status, again.status) == (status, status)
    assert again.headers["Idempotency-Replayed"] == "true"
    own = ("generation_id", "request_id")
    assert {**first.body, **dict.fromkeys(own)} == {**again.body, **dict.fromkeys(own)}
    assert first.body["generation_id"] != again.body["generation_id"]


async def test_a_request_that_is_refused_before_it_is_stored_does_not_use_up_its_key(
    server: RunningServer,
) -> None:
    refused = await server.create({**song(), "model": "suno/v0"}, Idempotency_Key="free")
    assert refused.status == 400
    assert (await server.create(song(), Idempotency_Key="free")).status == 200


async def test_two_accounts_may_use_the_same_key(open_server: OpenServer) -> None:
    keys = (ACCOUNT_KEY, "test-key-of-two")
    accounts = [Account(name=key[-3:], key=Secret(key)) for key in keys]
    async with open_server(accounts=accounts) as server:
        replies = [
            await server.call("POST", JOBS, body=song(), key=key, headers={"Idempotency-Key": "k"})
            for key in keys
        ]
    assert len({reply.body["id"] for reply in replies}) == 2
    assert not any("Idempotency-Replayed" in reply.headers for reply in replies)


@pytest.mark.parametrize(
    ("request_body", "status"),
    [(song(), 200), (song(switches="create=402"), 402), (song("minimax", "song_s=3"), 200)],
    ids=["accepted", "refused", "blocking"],
)
async def test_fifty_duplicates_at_once_make_one_song(
    server: RunningServer, request_body: dict[str, Any], status: int
) -> None:
    key = f"fifty-{status}-{request_body['model']}"
    with server.vendor_calls() as calls:
        replies = await asyncio.gather(*(server.create(request_body, Idempotency_Key=key) for _ in range(50)))
        names = {reply.body["id" if status == 200 else "music_id"] for reply in replies}
        if status == 200:
            await server.finish(next(iter(names)))
    assert {reply.status for reply in replies} == {status}
    assert len(names) == 1
    assert sum("Idempotency-Replayed" not in reply.headers for reply in replies) == 1
    assert len(calls.creates) == 1
