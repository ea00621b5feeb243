"""Customers are told about the end of their jobs: the whole server, and real receivers that work, break, hang and lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from musicgate import verify_webhook
from musicgate.assets.audio import sniff
from musicgate.model import Secret
from musicgate.settings import Account
from tests.e2e.house import ACCOUNT_KEY, House, OpenHouse, running_house
from tests.e2e.test_e2e_crash import played
from tests.free_port import free_port
from tests.webhook_receivers import Receiver, receiving, speaking

if TYPE_CHECKING:
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost
    from tests.webhook_receivers import Received

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
EARLIER = "whsec_ZWFybGllci1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
OTHER_KEY, BARE_KEY = "other-key-not-real", "bare-key-not-real"
ACCOUNTS = (
    Account(name="test", key=Secret(ACCOUNT_KEY), webhook_secret=Secret(SECRET)),
    Account(name="other", key=Secret(OTHER_KEY), webhook_secret=Secret(EARLIER)),
    Account(name="bare", key=Secret(BARE_KEY)),
)
SONG = {"model": "minimax/music-2.6", "prompt": "rain [emulate length_s=3]"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost) -> AsyncIterator[House]:
    """A house whose first two accounts can sign."""
    folder = tmp_path_factory.mktemp("webhooks")
    async with running_house(folder, plugins, accounts=ACCOUNTS, webhooks={"timeout_s": 0.5}) as started:
        yield started


async def log_of(house: House, job: dict[str, Any]) -> dict[str, Any]:
    """The only entry of a job's log."""
    reply = await house.call("GET", f"/v1/music/generate/{job['id']}/webhooks")
    assert (reply.status, reply.body["object"]) == (200, "list")
    (entry,) = reply.body["data"]
    return dict(entry)


async def logged(house: House, job: dict[str, Any], *, attempts: int = 0, status: str = "") -> dict[str, Any]:
    """The only entry of a job's log, when it has come so far."""
    async with asyncio.timeout(10):
        while True:
            entry = await log_of(house, job)
            if entry["attempts"] >= attempts and status in {"", entry["status"]}:
                return entry
            await asyncio.sleep(0.01)


async def tell(house: House, url: str) -> dict[str, Any]:
    """A finished job whose end is told there."""
    job = await house.make({**SONG, "webhook_url": url})
    assert job["status"] == "completed", job
    return job


async def test_the_message_is_the_job_as_get_shows_it(house: House) -> None:
    async with receiving() as receiver:
        job = await tell(house, f"{receiver.url}?customer=7")
        (message,) = await receiver.until(1)
        body = verify_webhook(message.headers, message.raw, SECRET)
        assert (message.path, body["type"], body["timestamp"]) == (
            "/hook?customer=7",
            "music.completed",
            job["completed_at"],
        )
        assert body["data"] == job
        assert len(message.raw) < 5_000
        assert "warnings" not in job
        audio = await house.call("GET", job["output"][0]["audio_url"], key=None)
        assert sniff(audio.raw)
        entry = await logged(house, job, status="delivered")
    assert entry["id"] == message.id
    assert entry["id"].startswith("msg_")
    assert (entry["music_id"], entry["url"], entry["type"]) == (
        job["id"],
        f"{receiver.url}?customer=7",
        "music.completed",
    )
    assert (entry["next_attempt_at"], entry["attempts"], len(entry["tries"])) == (None, 1, 1)
    assert (entry["tries"][0]["status_code"], entry["tries"][0]["error"]) == (204, None)


async def test_the_end_of_a_failed_job_is_told(house: House) -> None:
    async with receiving() as receiver:
        reply = await house.create(
            {"model": "minimax/music-2.6", "prompt": "rain [emulate code=1026]", "webhook_url": receiver.url}
        )
        assert reply.status >= 400
        (message,) = await receiver.until(1)
        assert (message.body["type"], message.body["data"]["status"]) == ("music.failed", "failed")
        assert message.body["data"]["id"] == reply.body["music_id"]
        assert message.body["data"]["error"]["reason"] == reply.body["reason"]


async def test_a_broken_receiver_gets_the_same_message_until_it_takes_it(house: House) -> None:
    async with receiving() as receiver:
        receiver.answers.extend([500, 503])
        job = await tell(house, receiver.url)
        messages = await receiver.until(3)
        entry = await logged(house, job, status="delivered")
    assert {message.id for message in messages} == {entry["id"]}
    assert len({message.raw for message in messages}) == 1
    for message in messages:
        verify_webhook(message.headers, message.raw, SECRET)
    assert [tried["status_code"] for tried in entry["tries"]] == [500, 503, 204]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_receiver_may_ask_for_time(house: House, form: str) -> None:
    """240 s at 300 times the speed of life; the usual first pause is 5 s."""
    async with receiving() as receiver:
        now = datetime.now(UTC)
        until = format_datetime(now + timedelta(seconds=240), usegmt=True)
        headers = {"Date": format_datetime(now, usegmt=True)}
        receiver.answers.append((503, {**headers, "Retry-After": "240" if form == "seconds" else until}))
        await tell(house, receiver.url)
        first, second = await receiver.until(2)
    assert 0.75 < second.at - first.at < 4


async def test_410_is_final_until_a_test_arrives(house: House) -> None:
    async with receiving() as receiver:
        receiver.answers.append(410)
        gone = await tell(house, receiver.url)
        assert (await logged(house, gone, attempts=1))["status"] == "disabled"
        passed_over = await tell(house, receiver.url)
        entry = await logged(house, passed_over, status="disabled")
        assert (entry["attempts"], entry["next_attempt_at"]) == (0, None)
        replay = f"/v1/music/generate/{passed_over['id']}/webhooks/{entry['id']}/replay"
        refused = await house.call("POST", replay)
        assert (refused.status, refused.body["reason"]) == (409, "webhook_disabled")
        elsewhere = await tell(house, f"{receiver.url}/changed")
        await logged(house, elsewhere, status="delivered")

        tried = await house.call("POST", "/v1/webhooks/test", body={"url": receiver.url})
        assert (tried.body["delivered"], tried.body["enabled_again"]) == (True, True)
        accepted = await house.call("POST", replay)
        assert (accepted.status, accepted.body["status"]) == (202, "pending")
        entry = await logged(house, passed_over, status="delivered")
        assert entry["id"] == receiver.received[-1].id


async def test_redirects_garbage_and_silence_are_noted_and_hold_up_nobody(house: House) -> None:
    async with (
        receiving() as moved,
        receiving() as hanging,
        receiving() as good,
        speaking(b"not HTTP at all\r\n\r\n") as garbage,
        speaking(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", hang=True) as endless,
    ):
        moved.answers.extend([(301, {"Location": good.url})] * 99)
        hanging.delay_s = 60
        wishes = [moved.url, hanging.url, garbage, endless]
        jobs = [await tell(house, url) for url in wishes for _ in range(6)]
        started = asyncio.get_running_loop().time()
        quick = await tell(house, good.url)
        await logged(house, quick, status="delivered")
        assert asyncio.get_running_loop().time() - started < 5
        assert len(good.received) == 1
        entries = [await logged(house, job, attempts=1) for job in jobs]
        assert hanging.most_at_once <= 4
    said = [entry["tries"][0]["error"] for entry in entries]
    assert set(said[:6]) == {"the receiver answered HTTP 301; webhooks follow no redirect"}
    assert set(said[6:12]) == {"the receiver gave no answer: none within 0.5 s"}
    assert set(said[12:18]) == {"the receiver gave no answer: the answer is not HTTP"}
    assert set(said[18:]) == {None}
    assert {entry["status"] for entry in entries[:18]} == {"pending"}


async def test_many_dead_receivers_of_one_account_delay_no_other(tmp_path: Path, plugins: PluginHost) -> None:
    """Twelve servers hang for longer than the test lasts, and the server has eight places."""
    limits = {"timeout_s": 30.0, "concurrency": 8}
    async with (
        running_house(tmp_path, plugins, accounts=ACCOUNTS, webhooks=limits) as own,
        AsyncExitStack() as stack,
        receiving() as good,
    ):
        dead = [await stack.enter_async_context(receiving()) for _ in range(12)]
        for receiver in dead:
            receiver.delay_s = 60
            await tell(own, receiver.url)
        for receiver in dead[:4]:
            await receiver.until(1)
        started = asyncio.get_running_loop().time()
        body = {**SONG, "webhook_url": good.url}
        assert (await own.call("POST", "/v1/music/generate", body=body, key=OTHER_KEY)).status == 200
        await good.until(1)
        assert asyncio.get_running_loop().time() - started < 5
        assert sum(receiver.at_once for receiver in dead) == 4


async def test_a_message_can_be_had_again(house: House) -> None:
    async with receiving() as receiver:
        job = await tell(house, receiver.url)
        entry = await logged(house, job, status="delivered")
        path = f"/v1/music/generations/{job['id']}/webhooks/{entry['id']}/replay"
        assert (await house.call("POST", path)).status == 202
        first, second = await receiver.until(2)
        assert (first.id, first.raw) == (second.id, second.raw)
        assert (await logged(house, job, attempts=2))["status"] == "delivered"


async def test_the_log_is_the_accounts_own(house: House) -> None:
    async with receiving() as receiver:
        job = await tell(house, receiver.url)
        entry = await logged(house, job, status="delivered")
    base = f"/v1/music/generate/{job['id']}/webhooks"
    for method, path in (("GET", base), ("POST", f"{base}/{entry['id']}/replay")):
        assert (await house.call(method, path, key=OTHER_KEY)).status == 404
        assert (await house.call(method, path, key=None)).status == 401
    unknown = await house.call("POST", f"{base}/msg_0/replay")
    assert (unknown.status, unknown.body["reason"]) == (404, "webhook_message_not_found")
    quiet = await house.make(SONG)
    assert (await house.call("GET", f"/v1/music/generate/{quiet['id']}/webhooks")).body["data"] == []


async def test_a_test_message_tells_whether_messages_arrive(house: House) -> None:
    async with receiving() as receiver:
        reply = await house.call("POST", "/v1/webhooks/test", body={"url": receiver.url}, key=OTHER_KEY)
        (message,) = receiver.received
        body = verify_webhook(message.headers, message.raw, EARLIER)
        assert (body["type"], body["data"]) == (
            "webhook.test",
            {"object": "webhook_test", "account": "other"},
        )
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
        answer = (await house.call("POST", "/v1/webhooks/test", body={"url": receiver.url})).body
        assert (answer["delivered"], answer["status_code"]) == (False, None)
        assert answer["error"] == "the receiver gave no answer: none within 0.5 s"


@pytest.mark.parametrize(
    ("body", "key", "reason", "said"),
    [
        ({}, ACCOUNT_KEY, "webhook_url_missing", "there is no address"),
        ({"url": None}, ACCOUNT_KEY, "webhook_url_missing", "there is no address"),
        (None, ACCOUNT_KEY, "webhook_url_missing", "there is no address"),
        ({"url": 7}, ACCOUNT_KEY, None, "an object with a url"),
        ([], ACCOUNT_KEY, None, "an object with a url"),
        ({"colour": "blue"}, ACCOUNT_KEY, None, "colour"),
        ({"url": "ftp://h.test/"}, ACCOUNT_KEY, None, "is no http or https address"),
        (
            {"url": "https://h.test/"},
            BARE_KEY,
            "webhook_secret_missing",
            "webhook_secret of the account bare",
        ),
    ],
)
async def test_a_test_without_an_address_or_a_secret_is_refused(
    house: House, body: object, key: str, reason: str | None, said: str
) -> None:
    reply = await house.call("POST", "/v1/webhooks/test", body=body, key=key)
    assert (reply.status, reply.body["error"], reply.body.get("reason")) == (400, "validation_error", reason)
    assert said in reply.body["description"]


@pytest.mark.parametrize("path", ["/v1/music/generate", "/v1/music/plan"])
async def test_a_wish_that_cannot_be_told_about_is_refused_by_the_settings_name(
    house: House, path: str
) -> None:
    wish = {**SONG, "webhook_url": "https://h.test/"}
    with house.watch() as seen:
        reply = await house.call("POST", path, body=wish, key=BARE_KEY)
    assert (reply.status, reply.body["error"]) == (400, "validation_error")
    assert reply.body["reason"] == "webhook_secret_missing"
    assert "webhook_secret of the account bare in [[accounts]]" in reply.body["description"]
    assert seen.creates == []


async def test_the_accounts_own_address_is_told_unless_the_wish_names_another(
    tmp_path: Path, plugins: PluginHost
) -> None:
    async with receiving() as usual, receiving() as special:
        account = Account(
            name="test",
            key=Secret(ACCOUNT_KEY),
            webhook_url=usual.url,
            webhook_secret=Secret(SECRET),
            webhook_secret_previous=Secret(EARLIER),
        )
        async with running_house(tmp_path, plugins, accounts=(account,)) as house:
            one, two = await house.make(SONG), await tell(house, special.url)
            (first,), (second,) = await usual.until(1), await special.until(1)
            assert (first.body["data"]["id"], second.body["data"]["id"]) == (one["id"], two["id"])
            for secret in (SECRET, EARLIER):
                verify_webhook(first.headers, first.raw, secret)
            assert (await house.call("POST", "/v1/webhooks/test")).body["url"] == usual.url


async def test_a_server_without_accounts_has_an_address_of_its_own(
    tmp_path: Path, plugins: PluginHost
) -> None:
    async with receiving() as receiver:
        said = {"url": receiver.url, "secret": Secret(SECRET)}
        async with running_house(tmp_path, plugins, accounts=(), webhooks=said) as house:
            job = await house.make(SONG)
            (message,) = await receiver.until(1)
            assert verify_webhook(message.headers, message.raw, SECRET)["data"] == job


async def test_an_address_in_our_own_network_is_refused_when_it_is_called(
    tmp_path: Path, plugins: PluginHost
) -> None:
    async with (
        receiving() as receiver,
        running_house(tmp_path, plugins, accounts=ACCOUNTS, private=False) as house,
    ):
        job = await tell(house, receiver.url)
        by_name = await tell(house, receiver.url.replace("127.0.0.1", "localhost"))
        said = (
            "the receiver gave no answer: its address is private, and network.allow_private_addresses is off"
        )
        for told in (job, by_name):
            assert (await logged(house, told, attempts=1))["tries"][0]["error"] == said
        reply = await house.call("POST", "/v1/webhooks/test", body={"url": receiver.url})
        assert reply.body["error"] == said
    assert receiver.received == []


async def test_a_hanging_receiver_costs_no_job_any_time(open_house: OpenHouse) -> None:
    async with (
        receiving() as receiver,
        open_house(accounts=ACCOUNTS, webhooks={"timeout_s": 15.0}) as house,
    ):
        receiver.delay_s = 60
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(tell(house, receiver.url) for _ in range(20)))
        assert asyncio.get_running_loop().time() - started < 12
        await receiver.until(4)
        assert receiver.most_at_once == 4


# ------------------------------------------------------------------------------------------------ after a crash


@asynccontextmanager
async def signing(folder: Path, receiver: Receiver) -> AsyncIterator[None]:
    """Let the server of `played` tell the receiver about every job."""
    settings = folder / "gate.toml"
    account = f'name = "test"\nwebhook_url = "{receiver.url}"\nwebhook_secret = "{SECRET}"\n'
    settings.write_text(settings.read_text().replace('name = "test"\n', account))
    yield


async def test_kill_minus_nine_loses_no_message(tmp_path: Path, plugins: PluginHost) -> None:
    """Killed while nobody listens, while a message is under way, and after it was taken but before that was noted."""
    async with (
        receiving() as receiver,
        played(tmp_path, plugins, free_port()) as (server, _),
        signing(tmp_path, receiver),
    ):
        await server.start()
        receiver.answers.append(
            (503, {"Retry-After": "60"})
        )  # stored, and not delivered; two seconds at this speed
        refused = await server.finish(await server.create(SONG, "one [emulate length_s=3]"))
        await _came(receiver, refused)
        await server.kill()
        assert len(receiver.received) == 1
        await server.start()
        await _came(receiver, refused, 2)

        receiver.delay_s = 60  # under way
        hanging = await server.finish(await server.create(SONG, "two [emulate length_s=3]"))
        await _came(receiver, hanging)
        await server.kill()
        receiver.delay_s = 0
        await server.start()
        await _came(receiver, hanging, 2)

        async def kill(message: Received) -> None:  # taken, not noted
            if message.body["data"]["id"] == unnoted:
                receiver.on_message = None
                await server.kill()

        receiver.on_message = kill
        unnoted = await server.create(SONG, "three [emulate length_s=3]")
        await _came(receiver, {"id": unnoted})
        await server.start()
        await _came(receiver, {"id": unnoted}, 2)

        for job in (refused, hanging, {"id": unnoted}):
            messages = [message for message in receiver.received if message.body["data"]["id"] == job["id"]]
            assert len({message.id for message in messages}) == 1
            assert len({message.raw for message in messages}) == 1
            for message in messages:
                verify_webhook(message.headers, message.raw, SECRET)
        _, log = await server.call("GET", f"/v1/music/generate/{unnoted}/webhooks")
        while log["data"][0]["status"] != "delivered":
            await asyncio.sleep(0.02)
            _, log = await server.call("GET", f"/v1/music/generate/{unnoted}/webhooks")
        settled = len(receiver.received)
        await server.kill()
        await server.start()
        await asyncio.sleep(0.5)
        assert len(receiver.received) == settled


async def _came(receiver: Receiver, job: dict[str, Any], times: int = 1) -> None:
    """Wait until so many messages about a job have come."""
    async with asyncio.timeout(20):
        while True:
            if sum(message.body["data"]["id"] == job["id"] for message in receiver.received) >= times:
                return
            await asyncio.sleep(0.01)
