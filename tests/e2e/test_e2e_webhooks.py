"""Webhooks to customers: the message, its log, replays and tests, over real receivers.

Retries, signatures and slow receivers are the subject of tests/test_courier.py, tests/test_webhooks.py and
tests/test_webhook_client.py; messages that survive ``kill -9`` that of tests/crash.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from musicgate import verify_webhook
from musicgate.assets.audio import sniff
from musicgate.model import Secret
from musicgate.settings import Account
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, PLAN, running_server, song
from tests.webhook_receivers import receiving, responding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.hosting.discovery import PluginHost
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
EARLIER = "whsec_ZWFybGllci1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
OTHER_KEY, BARE_KEY = "other-key-not-real", "bare-key-not-real"
ACCOUNTS = (
    Account(name="test", key=Secret(ACCOUNT_KEY), webhook_secret=Secret(SECRET)),
    Account(name="other", key=Secret(OTHER_KEY), webhook_secret=Secret(EARLIER)),
    Account(name="bare", key=Secret(BARE_KEY)),
)
TEST = "/v1/webhooks/test"
SONG = song("minimax", "song_s=3")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost
) -> AsyncIterator[RunningServer]:
    """A server whose first two accounts have a webhook secret."""
    folder = tmp_path_factory.mktemp("webhooks")
    async with running_server(folder, plugins, accounts=ACCOUNTS, webhooks={"timeout_s": 0.5}) as started:
        yield started


async def logged(
    server: RunningServer, job: dict[str, Any], *, attempts: int = 0, status: str = ""
) -> dict[str, Any]:
    """The only entry of a job's delivery log, once it has so many attempts and this status."""
    async with asyncio.timeout(10):
        while True:
            reply = await server.call("GET", f"{JOBS}/{job['id']}/webhooks")
            assert (reply.status, reply.body["object"]) == (200, "list")
            (entry,) = reply.body["data"]
            if entry["attempts"] >= attempts and status in {"", entry["status"]}:
                return dict(entry)
            await asyncio.sleep(0.01)


async def completed(server: RunningServer, webhook_url: str) -> dict[str, Any]:
    """A completed job with a webhook."""
    job = await server.generate({**SONG, "webhook_url": webhook_url})
    assert job["status"] == "completed", job
    return job


async def test_a_message_has_the_job_as_it_is_read_and_is_signed_and_logged(server: RunningServer) -> None:
    async with receiving() as receiver:
        job = await completed(server, f"{receiver.url}?customer=7")
        (message,) = await receiver.until(1)
        body = verify_webhook(message.headers, message.raw, SECRET)
        assert message.path == "/hook?customer=7"
        assert (body["type"], body["timestamp"]) == ("music.completed", job["completed_at"])
        assert body["data"] == job
        assert len(message.raw) < 5_000
        assert "warnings" not in job
        audio = await server.call("GET", job["output"][0]["audio_url"], key=None)
        assert sniff(audio.raw)
        entry = await logged(server, job, status="delivered")
    assert (entry["id"], entry["id"][:4]) == (message.id, "msg_")
    assert (entry["music_id"], entry["type"]) == (job["id"], "music.completed")
    assert entry["url"] == f"{receiver.url}?customer=7"
    assert (entry["next_attempt_at"], entry["attempts"], len(entry["tries"])) == (None, 1, 1)
    assert (entry["tries"][0]["status_code"], entry["tries"][0]["error"]) == (204, None)


async def test_a_failed_job_is_sent_as_well(server: RunningServer) -> None:
    async with receiving() as receiver:
        reply = await server.create(song("minimax", "create=1026", webhook_url=receiver.url))
        assert reply.status >= 400
        (message,) = await receiver.until(1)
    assert (message.body["type"], message.body["data"]["status"]) == ("music.failed", "failed")
    assert message.body["data"]["id"] == reply.body["music_id"]
    assert message.body["data"]["error"]["reason"] == reply.body["reason"]


async def test_a_message_is_retried_until_it_is_accepted_and_may_be_replayed(server: RunningServer) -> None:
    async with receiving() as receiver:
        receiver.answers.extend([500, 503])
        job = await completed(server, receiver.url)
        await receiver.until(3)
        entry = await logged(server, job, status="delivered")
        assert [tried["status_code"] for tried in entry["tries"]] == [500, 503, 204]
        replay = f"/v1/music/generations/{job['id']}/webhooks/{entry['id']}/replay"
        assert (await server.call("POST", replay)).status == 202
        messages = await receiver.until(4)
        assert {(message.id, message.raw) for message in messages} == {(entry["id"], messages[0].raw)}
        assert (await logged(server, job, attempts=4))["status"] == "delivered"


async def test_410_disables_an_address_until_a_test_message_arrives(server: RunningServer) -> None:
    async with receiving() as receiver:
        receiver.answers.append(410)
        gone = await completed(server, receiver.url)
        assert (await logged(server, gone, attempts=1))["status"] == "disabled"
        unsent = await completed(server, receiver.url)
        entry = await logged(server, unsent, status="disabled")
        assert (entry["attempts"], entry["next_attempt_at"]) == (0, None)
        replay = f"{JOBS}/{unsent['id']}/webhooks/{entry['id']}/replay"
        refused = await server.call("POST", replay)
        assert (refused.status, refused.body["reason"]) == (409, "webhook_disabled")
        elsewhere = await completed(server, f"{receiver.url}/changed")
        await logged(server, elsewhere, status="delivered")

        tried = await server.call("POST", TEST, body={"url": receiver.url})
        assert (tried.body["delivered"], tried.body["enabled_again"]) == (True, True)
        accepted = await server.call("POST", replay)
        assert (accepted.status, accepted.body["status"]) == (202, "pending")
        entry = await logged(server, unsent, status="delivered")
        assert entry["id"] == receiver.received[-1].id


async def test_receivers_that_hang_redirect_or_answer_garbage_delay_no_other(server: RunningServer) -> None:
    async with (
        receiving() as moved,
        receiving() as hanging,
        receiving() as good,
        responding(b"not HTTP at all\r\n\r\n") as garbage,
    ):
        moved.answers.append((301, {"Location": good.url}))
        hanging.delay_s = 60
        jobs = [await completed(server, url) for url in (moved.url, garbage, *[hanging.url] * 6)]
        quick = await completed(server, good.url)
        await logged(server, quick, status="delivered")
        assert len(good.received) == 1
        assert hanging.most_at_once <= 4
        errors = [(await logged(server, job, attempts=1))["tries"][0]["error"] for job in jobs[:3]]
    assert errors == [
        "the receiver answered HTTP 301; webhooks follow no redirect",
        "the receiver gave no answer: the answer is not HTTP",
        "the receiver gave no answer: none within 0.5 s",
    ]


async def test_a_delivery_log_belongs_to_its_account(server: RunningServer) -> None:
    async with receiving() as receiver:
        job = await completed(server, receiver.url)
        entry = await logged(server, job, status="delivered")
    base = f"{JOBS}/{job['id']}/webhooks"
    for method, path in (("GET", base), ("POST", f"{base}/{entry['id']}/replay")):
        assert (await server.call(method, path, key=OTHER_KEY)).status == 404
        assert (await server.call(method, path, key=None)).status == 401
    unknown = await server.call("POST", f"{base}/msg_0/replay")
    assert (unknown.status, unknown.body["reason"]) == (404, "webhook_message_not_found")
    quiet = await server.generate(SONG)
    assert (await server.call("GET", f"{JOBS}/{quiet['id']}/webhooks")).body["data"] == []


async def test_a_test_message_reports_whether_it_arrived(server: RunningServer) -> None:
    async with receiving() as receiver:
        reply = await server.call("POST", TEST, body={"url": receiver.url}, key=OTHER_KEY)
        (message,) = receiver.received
        body = verify_webhook(message.headers, message.raw, EARLIER)
        assert body["type"] == "webhook.test"
        assert body["data"] == {"object": "webhook_test", "account": "other"}
        assert reply.status == 200
        answer = reply.body
        assert answer.pop("duration_ms") >= 0
        assert answer == {
            "object": "webhook_test",
            "id": message.id,
            "url": receiver.url,
            "delivered": True,
            "status_code": 204,
            "error": None,
            "enabled_again": False,
        }
        receiver.delay_s = 60
        answer = (await server.call("POST", TEST, body={"url": receiver.url})).body
        assert (answer["delivered"], answer["status_code"]) == (False, None)
        assert answer["error"] == "the receiver gave no answer: none within 0.5 s"


@pytest.mark.parametrize(
    ("body", "key", "reason", "description"),
    [
        ({"url": None}, ACCOUNT_KEY, "webhook_url_missing", "there is no address"),
        (None, ACCOUNT_KEY, "webhook_url_missing", "there is no address"),
        ({"url": 7}, ACCOUNT_KEY, None, "an object with a url"),
        ([], ACCOUNT_KEY, None, "an object with a url"),
        ({"colour": "blue"}, ACCOUNT_KEY, None, "colour"),
        ({"url": "ftp://h.test/"}, ACCOUNT_KEY, None, "http or https"),
        (
            {"url": "https://h.test/"},
            BARE_KEY,
            "webhook_secret_missing",
            "webhook_secret of the account bare",
        ),
    ],
)
async def test_a_test_message_without_an_address_or_a_secret_is_refused(
    server: RunningServer, body: object, key: str, reason: str | None, description: str
) -> None:
    reply = await server.call("POST", TEST, body=body, key=key)
    assert reply.error == (400, "validation_error", reason)
    assert description in reply.body["description"]


@pytest.mark.parametrize("path", [JOBS, PLAN])
async def test_a_request_with_a_webhook_that_cannot_be_signed_is_refused(
    server: RunningServer, path: str
) -> None:
    with server.vendor_calls() as calls:
        reply = await server.call("POST", path, body={**SONG, "webhook_url": "https://h.test/"}, key=BARE_KEY)
    assert reply.error == (400, "validation_error", "webhook_secret_missing")
    assert "webhook_secret of the account bare in [[accounts]]" in reply.body["description"]
    assert calls.creates == []


async def test_without_accounts_the_servers_own_address_and_secret_are_used(open_server: OpenServer) -> None:
    async with receiving() as usual, receiving() as special:
        own = {"url": usual.url, "secret": Secret(SECRET)}
        async with open_server(accounts=(), webhooks=own) as server:
            one, two = await server.generate(SONG), await completed(server, special.url)
            (first,), (second,) = await usual.until(1), await special.until(1)
            assert verify_webhook(first.headers, first.raw, SECRET)["data"] == one
            assert second.body["data"]["id"] == two["id"]
            assert (await server.call("POST", TEST)).body["url"] == usual.url


async def test_an_address_of_a_private_network_is_refused_when_it_is_called(open_server: OpenServer) -> None:
    error = "the receiver gave no answer: its address is private, and network.allow_private_addresses is off"
    async with (
        receiving() as receiver,
        open_server(accounts=ACCOUNTS, allow_private_addresses=False) as server,
    ):
        for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
            job = await completed(server, url)
            assert (await logged(server, job, attempts=1))["tries"][0]["error"] == error
        reply = await server.call("POST", TEST, body={"url": receiver.url})
        assert reply.body["error"] == error
    assert receiver.received == []
