"""Callbacks: believed only with token and signature, and only as a hint; they adopt lost answers.

What a callback does to its job is the subject of tests/test_gateway_follow.py and tests/test_runner.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate_suno_kie.declaration import PROVIDER
from tests.e2e.running_server import CALLBACK_SECRET, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, Reply, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = Secret(CALLBACK_SECRET)


async def call_back(
    server: RunningServer,
    job: dict[str, Any],
    *,
    native_id: str | None = None,
    age_s: float = 0.0,
    secret: Secret | None = SECRET,
    token: str | None = None,
    body: bytes | None = None,
) -> Reply:
    """Send a callback as kie.ai does."""
    stored = await server.gateway._context.store.get(job["id"])
    assert stored is not None
    task_id = native_id or job["nativeResponseId"]
    content = {"code": 200, "msg": "ok", "data": {"callbackType": "complete", "task_id": task_id, "data": []}}
    headers = {}
    if secret is not None:
        stamp = str(int(time.time() - age_s))
        assert PROVIDER.callback_signature is not None
        signature = PROVIDER.callback_signature.sign(
            secret.reveal(), body=b"", native_id=task_id, timestamp=stamp
        )
        headers = {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": signature}
    path = f"/v1/callbacks/{job['id']}/{stored.callback_token if token is None else token}"
    raw = json.dumps(content).encode() if body is None else body
    reply = await server.call("POST", path, data=raw, headers=headers, key=None)
    assert stored.callback_token.encode() not in reply.raw
    return reply


def polls(server: RunningServer, job: dict[str, Any]) -> int:
    """How often the vendor was polled for a job."""
    requests = server.vendors["suno_kie"].requests
    return sum(request.method == "GET" and job["nativeResponseId"] in request.url for request in requests)


async def test_a_signed_callback_causes_one_poll_and_its_replay_none(
    slow_polling_server: RunningServer,
) -> None:
    server = slow_polling_server
    job = (await server.create(song(switches="stuck=TEXT_SUCCESS callbacks=off"))).body
    assert polls(server, job) == 0
    for _ in range(3):
        assert (await call_back(server, job)).status == 200
        await asyncio.sleep(0.1)
    assert polls(server, job) == 1
    assert (await server.get(job["id"])).body["status"] == "in_progress"


async def test_callbacks_finish_a_song_long_before_the_first_poll(slow_polling_server: RunningServer) -> None:
    """The first poll comes after five seconds; the last callback comes after 0.2 s."""
    started = time.monotonic()
    job = await slow_polling_server.generate(song(switches="skip=text,first"))
    assert job["status"] == "completed"
    assert time.monotonic() - started < 4.0


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ({"secret": None}, (401, "unauthorised", "invalid_signature")),
        ({"secret": Secret("wrong-not-real")}, (401, "unauthorised", "invalid_signature")),
        ({"age_s": 3600.0}, (401, "unauthorised", "invalid_signature")),
        ({"token": "x" * 32}, (404, "not_found", "music_not_found_or_not_owned")),
        ({"token": "%C3%BC"}, (404, "not_found", "music_not_found_or_not_owned")),
        ({"native_id": "of-another-task"}, None),
    ],
    ids=["unsigned", "wrong secret", "stale", "wrong token", "odd token", "of another task"],
)
async def test_a_callback_that_proves_nothing_causes_no_poll(
    slow_polling_server: RunningServer, case: dict[str, Any], error: tuple[int, str, str] | None
) -> None:
    server = slow_polling_server
    job = (await server.create(song(switches="stuck=TEXT_SUCCESS callbacks=off"))).body
    reply = await call_back(server, job, **case)
    assert (reply.status == 200) if error is None else (reply.error == error)
    await asyncio.sleep(0.05)
    assert polls(server, job) == 0


@pytest.mark.parametrize(
    "raw", [b"", b"null", b"<html>", b"\xff", b"[" * 50_000], ids=lambda raw: repr(raw[:9])
)
async def test_no_callback_that_cannot_be_read_is_a_server_error(
    slow_polling_server: RunningServer, raw: bytes
) -> None:
    job = (await slow_polling_server.create(song(switches="stuck=TEXT_SUCCESS callbacks=off"))).body
    assert (await call_back(slow_polling_server, job, body=raw)).status in {200, 401}


@pytest.mark.parametrize(
    ("plugin", "switches"),
    [
        ("suno_kie", "callbacks=double,reverse"),
        ("suno_kie", "callbacks=badsign"),
        ("suno_kie", "callback_shape=market"),
        ("apiin_one", "callback_shape=envelope"),
        ("apiin_one", "callbacks=double"),
    ],
)
async def test_odd_callbacks_do_not_harm_a_job(server: RunningServer, plugin: str, switches: str) -> None:
    with server.vendor_calls() as calls:
        job = await server.generate(song(plugin, switches))
    assert (job["status"], calls.billed, len(calls.creates)) == ("completed", 1, 1)


@pytest.mark.parametrize(
    ("plugin", "switches"),
    [
        ("suno_kie", "create=drop"),
        ("apiin_one", "create=drop callback_shape=envelope_with_id"),
    ],
)
async def test_a_job_whose_create_answer_was_lost_is_adopted_by_the_callback(
    server: RunningServer, plugin: str, switches: str
) -> None:
    with server.vendor_calls() as calls:
        created = await server.create(song(plugin, switches))
        assert (created.status, created.body["status"]) == (200, "queued")
        assert created.body["nativeResponseId"] is None
        assert created.body["attempts"][0]["outcome"] == "unknown"
        job = await server.finish(created.body["id"])
    assert job["status"] == "completed"
    assert job["nativeResponseId"] == server.vendors[plugin].books.creates[-1]
    assert job["attempts"][0]["outcome"] == "accepted"
    assert (len(calls.creates), calls.billed) == (1, 1)


async def test_an_unreadable_create_answer_is_an_error_and_its_song_is_adopted(server: RunningServer) -> None:
    with server.vendor_calls() as calls:
        created = await server.create(song(switches="create=no_id"))
        assert created.error == (502, "upstream_error", "protocol")
        job = await server.finish(created.body["music_id"])
    assert job["status"] == "completed"
    assert (len(calls.creates), calls.billed) == (1, 1)


async def test_without_a_public_url_a_job_whose_answer_was_lost_fails_at_once(
    open_server: OpenServer,
) -> None:
    async with open_server(has_public_url=False) as server:
        with server.vendor_calls() as calls:
            reply = await server.create(song(switches="create=drop"))
        assert calls.body["callBackUrl"] == "https://example.com/musicgate/no-receiver"
        assert reply.error == (502, "upstream_error", "unknown_outcome")
        job = (await server.get(reply.body["music_id"])).body
    assert (job["status"], job["error"]["reason"]) == ("failed", "unknown_outcome")
    assert (len(calls.creates), calls.billed) == (1, 1)
