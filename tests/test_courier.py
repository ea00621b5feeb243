"""From the end of a job to the delivery of its message, with a manual clock and scripted webhooks."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import (
    HttpResponse,
    Job,
    JobState,
    RequestError,
    StorageError,
    verify_webhook,
)
from musicgate.accounts import AccountBook
from musicgate.aio.clock import SystemClock
from musicgate.errors import LimitReachedError
from musicgate.gateway import commit
from musicgate.gateway.context import GatewayContext
from musicgate.jobs import fail
from musicgate.model import (
    Asset,
    Delivery,
    DeliveryStatus,
    Failure,
    FailureClass,
    Secret,
    Track,
)
from musicgate.settings import Account, ServerSettings, Settings, WebhookSettings
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.webhooks.courier import Courier, body_about
from musicgate.webhooks.log import Webhooks
from musicgate.webhooks.rules import announce
from tests import sample_jobs
from tests.fake_vendor import MODEL, START, FakeVendor, HandClock, Rig, ScriptedWebhooks, rig_of

SECRET = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
EARLIER = "whsec_ZWFybGllci1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
URL = "https://hooks.test/all"
OWN = WebhookSettings(url=URL, secret=Secret(SECRET))
REFUSED = Failure(reason=FailureClass.MODERATION, message="no")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    server = ServerSettings(public_url="https://music.test")
    async with rig_of(
        tmp_path, FakeVendor("one"), store=MemoryJobStore(), webhooks=OWN, server=server
    ) as ready:
        yield ready


def webhooks_of(rig: Rig) -> ScriptedWebhooks:
    scripted = rig.context.webhooks
    assert isinstance(scripted, ScriptedWebhooks)
    return scripted


async def ended(rig: Rig, **fields: Any) -> Job:
    """A job that has just failed."""
    rig.transport.script("one", {"id": "n", "status": "works"})
    job = await rig.submit(**fields)
    return await commit.change(rig.context, job, lambda current: fail(current, REFUSED, rig.clock.now()))


async def deliver(rig: Rig, context: GatewayContext | None = None) -> float:
    """Run one round of the courier to its end; returns the seconds until the next one."""
    courier = Courier(context or rig.context, jitter=lambda: 0.0)
    pause_s = await courier._start_due()
    await asyncio.gather(*courier._running.values())
    return pause_s


async def until(holds: Callable[[], bool]) -> None:
    """Let the others run until something holds."""
    async with asyncio.timeout(5):
        while True:
            if holds():
                return
            await asyncio.sleep(0)


async def until_delivered(rig: Rig, job: Job) -> None:
    """Let the courier store that it sent the message about a job: it is cancelled when its block ends."""
    async with asyncio.timeout(5):
        delivered = DeliveryStatus.DELIVERED
        while (await message_about(rig, job)).status is not delivered:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def at_work(context: GatewayContext) -> AsyncIterator[None]:
    """A courier that works while the block runs."""
    running = asyncio.create_task(Courier(context, jitter=lambda: 0.0).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def message_about(rig: Rig, job: Job) -> Delivery:
    (found,) = await rig.context.store.outbox.of_job(job.id)
    return found


# --- the outbox ---


async def test_the_end_of_a_job_puts_a_message_into_the_outbox(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n", "status": "works"})
    job = await rig.submit()
    assert await rig.context.store.outbox.of_job(job.id) == []
    assert not rig.context.outbox_changed.is_set()
    job = await commit.change(rig.context, job, lambda current: fail(current, REFUSED, START))
    found = await message_about(rig, job)
    assert (found.type, found.url, found.account, found.next_try_at) == ("music.failed", URL, "local", START)
    assert found.id.startswith("msg_")
    assert rig.context.outbox_changed.is_set()
    await commit.change(rig.context, job, lambda current: attrs.evolve(current, native_status="late"))
    assert len(await rig.context.store.outbox.of_job(job.id)) == 1


async def test_a_request_may_name_another_address(rig: Rig) -> None:
    job = await ended(rig, webhook_url="https://elsewhere.test/x")
    assert (await message_about(rig, job)).url == "https://elsewhere.test/x"
    assert job.warnings == ()


async def test_without_an_address_no_message_is_made(tmp_path: Path) -> None:
    only_secret = WebhookSettings(secret=Secret(SECRET))
    async with rig_of(tmp_path, FakeVendor("one"), store=MemoryJobStore(), webhooks=only_secret) as rig:
        job = await ended(rig)
        assert await rig.context.store.outbox.of_job(job.id) == []
        job = await ended(rig, webhook_url=URL)
        assert (await message_about(rig, job)).url == URL


ALICE = Account(name="alice", key=Secret("test-key-not-real"))


@pytest.mark.parametrize(
    ("sections", "account", "setting"),
    [
        ({}, "local", "webhooks.secret"),
        ({"accounts": (ALICE,)}, "alice", "webhook_secret of the account alice in [[accounts]]"),
    ],
)
async def test_an_address_that_nothing_can_be_signed_for_is_refused(
    tmp_path: Path, sections: dict[str, Any], account: str, setting: str
) -> None:
    async with rig_of(tmp_path, FakeVendor("one"), store=MemoryJobStore(), **sections) as rig:
        request = rig.gate.read({"model": "fake/song", "prompt": "x", "webhook_url": URL})
        with pytest.raises(RequestError) as caught:
            await rig.gate.submit(request, account=account)
        assert (caught.value.code, caught.value.reason) == ("validation_error", "webhook_secret_missing")
        assert caught.value.path == ("webhook_url",)
        assert caught.value.message.endswith(f"the operator sets {setting}")
        with pytest.raises(RequestError, match="no secret"):
            rig.gate.plan(request, account=account)
        assert (rig.transport.sent, await rig.store.count_open()) == ([], 0)


async def test_an_invalid_address_is_refused(rig: Rig) -> None:
    with pytest.raises(RequestError, match="is no http or https address"):
        await rig.submit(webhook_url="http://h.test:99999/")
    assert rig.transport.sent == []


# --- sending ---


async def test_a_message_is_the_job_signed(rig: Rig) -> None:
    job = await ended(rig, metadata={"a": "ü"})
    await deliver(rig)
    ((url, headers, body),) = webhooks_of(rig).sent
    found = await message_about(rig, job)
    assert (url, headers["webhook-id"]) == (URL, found.id)
    assert headers["webhook-timestamp"] == str(int(START.timestamp()))
    assert list(body) == ["type", "timestamp", "data"]
    assert (body["type"], body["timestamp"]) == ("music.failed", "2026-11-20T10:00:00.000Z")
    assert (body["data"]["id"], body["data"]["status"]) == (job.id, "failed")
    assert (body["data"]["error"]["reason"], body["data"]["metadata"]) == ("moderation", {"a": "ü"})
    assert (found.status, found.attempts, found.tries[0].http_status) == (DeliveryStatus.DELIVERED, 1, 200)
    await deliver(rig)
    assert len(webhooks_of(rig).sent) == 1


@pytest.mark.parametrize(
    ("server", "link"),
    [
        (
            ServerSettings(public_url="https://music.test/"),
            "https://music.test/v1/music/generate/m1/audio/0?expires=",
        ),
        (
            ServerSettings(host="127.0.0.1", port=81),
            "http://127.0.0.1:81/v1/music/generate/m1/audio/0?expires=",
        ),
        (ServerSettings(host="::1", port=81), "http://[::1]:81/v1/music/generate/m1/audio/0?expires="),
        (ServerSettings(host="0.0.0.0", port=81), "https://vendor.test/a"),  # noqa: S104 - not bound
        (ServerSettings(port=0), "https://vendor.test/a"),
    ],
)
def test_audio_is_linked_where_the_server_is(server: ServerSettings, link: str) -> None:
    asset = Asset(name="m1/0.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=9, duration_s=1.0)
    track = Track(index=0, asset=asset, audio_url="https://vendor.test/a")
    job = sample_jobs.job(JobState.COMPLETED, id="m1", completed_at=START, tracks=(track,))
    message = json.loads(body_about(AccountBook(Settings(server=server)), announce(job, URL, "msg_1"), job))
    assert message["data"]["output"][0]["audio_url"].startswith(link)


async def test_a_receiver_can_check_it_with_either_secret(tmp_path: Path) -> None:
    both = WebhookSettings(url=URL, secret=Secret(SECRET), secret_previous=Secret(EARLIER))
    bodies: list[bytes] = []

    class Keeping(ScriptedWebhooks):
        async def post(
            self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
        ) -> HttpResponse:
            bodies.append(body)
            return await super().post(url, headers, body, timeout_s=timeout_s)

    async with rig_of(tmp_path, FakeVendor("one"), store=MemoryJobStore(), webhooks=both) as rig:
        rig.clock.moment = START.now(START.tzinfo)  # receivers use the real clock
        keeping = Keeping()
        job = await ended(rig)
        await deliver(rig, attrs.evolve(rig.context, webhooks=keeping))
        ((_, headers, _),) = keeping.sent
        for secret in (SECRET, EARLIER):
            message = verify_webhook(headers, bodies[0], secret)
            assert message["data"]["id"] == job.id


async def test_every_try_has_the_same_id_and_body_and_its_own_time(rig: Rig) -> None:
    job = await ended(rig)
    webhooks_of(rig).answers.extend([500, "the receiver gave no answer: connection refused", 302])
    for pause_s in (5, 300, 1800):
        assert await deliver(rig) <= 30
        found = await message_about(rig, job)
        assert found.next_try_at is not None
        assert round((found.next_try_at - rig.clock.now()).total_seconds()) == pause_s
        assert round(await deliver(rig)) == min(pause_s, 30)  # too early
        rig.clock.pass_s(pause_s - 1)
        await deliver(rig)  # still too early
        rig.clock.pass_s(2)
    await deliver(rig)
    sent = webhooks_of(rig).sent
    assert len(sent) == 4
    assert len({headers["webhook-id"] for _, headers, _ in sent}) == 1
    assert len({headers["webhook-timestamp"] for _, headers, _ in sent}) == 4
    assert all(body == sent[0][2] for _, _, body in sent)
    found = await message_about(rig, job)
    assert (found.status, found.attempts) == (DeliveryStatus.DELIVERED, 4)
    assert [(tried.http_status, tried.error) for tried in found.tries] == [
        (500, "the receiver answered HTTP 500"),
        (None, "the receiver gave no answer: connection refused"),
        (302, "the receiver answered HTTP 302; webhooks follow no redirect"),
        (200, None),
    ]


@pytest.mark.parametrize("value", ["90", "Fri, 20 Nov 2026 10:01:30 GMT"])
async def test_retry_after_is_obeyed(rig: Rig, value: str) -> None:
    job = await ended(rig)
    headers = {"Retry-After": value, "Date": "Fri, 20 Nov 2026 10:00:00 GMT"}
    webhooks_of(rig).answers.append(HttpResponse(status=429, headers=headers, received_at=START))
    await deliver(rig)
    found = await message_about(rig, job)
    assert found.next_try_at is not None
    assert round((found.next_try_at - START).total_seconds()) == 90


async def test_a_message_is_given_up_after_ten_tries(rig: Rig) -> None:
    job = await ended(rig)
    webhooks_of(rig).answers.extend([500] * 20)
    for _ in range(12):
        await deliver(rig)
        rig.clock.pass_s(86_400)
    found = await message_about(rig, job)
    assert (found.status, found.attempts, len(webhooks_of(rig).sent)) == (DeliveryStatus.FAILED, 10, 10)


async def test_a_message_without_a_secret_names_the_missing_setting(rig: Rig) -> None:
    job = await ended(rig)
    settings = attrs.evolve(rig.context.settings, webhooks=WebhookSettings())
    await deliver(rig, attrs.evolve(rig.context, settings=settings, accounts=AccountBook(settings)))
    found = await message_about(rig, job)
    assert found.tries[0].error == "there is no secret to sign with; the operator sets webhooks.secret"
    assert (found.status, webhooks_of(rig).sent) == (DeliveryStatus.PENDING, [])


async def test_a_message_about_a_deleted_job_is_not_sent(rig: Rig) -> None:
    job = await ended(rig)
    await rig.gate.delete(job.id)
    assert await deliver(rig) == 30.0
    assert webhooks_of(rig).sent == []


# --- 410, replay, test ---


async def test_410_disables_the_address_for_the_account_until_a_test_arrives(rig: Rig) -> None:
    scripted, hooks = webhooks_of(rig), Webhooks(rig.context)
    scripted.answers.append(410)
    first = await ended(rig)
    await deliver(rig)
    second, elsewhere = await ended(rig), await ended(rig, webhook_url="https://other.test/")
    await deliver(rig)
    assert [url for url, _, _ in scripted.sent] == [URL, "https://other.test/"]
    found = await message_about(rig, second)
    assert (found.status, found.attempts, found.next_try_at) == (DeliveryStatus.DISABLED, 0, None)
    assert (await message_about(rig, first)).status is DeliveryStatus.DISABLED
    assert (await message_about(rig, elsewhere)).status is DeliveryStatus.DELIVERED

    with pytest.raises(RequestError, match="is disabled; a test send") as caught:
        await hooks.replay(second, found.id)
    assert (caught.value.http_status, caught.value.reason) == (409, "webhook_disabled")
    scripted.answers.append(500)
    assert (await hooks.test("local")).enabled_again is False
    with pytest.raises(RequestError, match="is disabled"):
        await hooks.replay(second, found.id)
    assert (await hooks.test("local")).enabled_again is True
    assert (await hooks.test("local")).enabled_again is False
    await hooks.replay(second, found.id)
    await deliver(rig)
    assert (await message_about(rig, second)).status is DeliveryStatus.DELIVERED


async def test_a_replay_sends_the_same_message_again(rig: Rig) -> None:
    job = await ended(rig)
    await deliver(rig)
    found = await message_about(rig, job)
    rig.context.outbox_changed.clear()
    again = await Webhooks(rig.context).replay(job, found.id)
    assert (again.status, again.id) == (DeliveryStatus.PENDING, found.id)
    assert rig.context.outbox_changed.is_set()
    await deliver(rig)
    first, second = webhooks_of(rig).sent
    assert (first[1]["webhook-id"], first[2]) == (second[1]["webhook-id"], second[2])
    assert len((await message_about(rig, job)).tries) == 2


async def test_a_message_is_replayed_under_its_own_job_only(rig: Rig) -> None:
    one, two = await ended(rig), await ended(rig)
    found = await message_about(rig, one)
    for message_id in (found.id, "msg_x"):
        with pytest.raises(RequestError, match="has no message") as caught:
            await Webhooks(rig.context).replay(two, message_id)
        assert caught.value.reason == "webhook_message_not_found"


@pytest.mark.parametrize("status", [204, 500])
async def test_a_replay_requested_during_a_try_is_still_sent(rig: Rig, status: int) -> None:
    job = await ended(rig)
    hooks = Webhooks(rig.context)

    class Replaying(ScriptedWebhooks):
        async def post(
            self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
        ) -> HttpResponse:
            await hooks.replay(job, headers["webhook-id"])
            return HttpResponse(status=status)

    await deliver(rig, attrs.evolve(rig.context, webhooks=Replaying()))
    found = await message_about(rig, job)
    assert (found.status, found.attempts, found.step) == (DeliveryStatus.PENDING, 1, 0)
    assert found.next_try_at == START
    await deliver(rig)
    assert len(webhooks_of(rig).sent) == 1
    assert (await message_about(rig, job)).status is DeliveryStatus.DELIVERED


async def test_a_test_send_reports_its_result(rig: Rig) -> None:
    hooks, scripted = Webhooks(rig.context), webhooks_of(rig)
    result = await hooks.test("local", "https://new.test/")
    ((url, headers, body),) = scripted.sent
    assert (url, headers["webhook-id"]) == ("https://new.test/", result.id)
    assert (body["type"], body["data"]) == ("webhook.test", {"object": "webhook_test", "account": "local"})
    assert result.answer.is_delivered
    scripted.answers.append("the receiver gave no answer: none within 15 s")
    assert (await hooks.test("local")).answer.error == "the receiver gave no answer: none within 15 s"
    with pytest.raises(RequestError, match="is no http or https address"):
        await hooks.test("local", "ftp://new.test/")


async def test_a_test_send_needs_an_address(tmp_path: Path) -> None:
    async with rig_of(tmp_path, FakeVendor("one"), store=MemoryJobStore()) as rig:
        with pytest.raises(RequestError) as caught:
            await rig.gate.webhooks.test("local")
        assert caught.value.reason == "webhook_url_missing"
        with pytest.raises(RequestError, match="no secret"):
            await rig.gate.webhooks.test("local", URL)
        assert webhooks_of(rig).sent == []


async def test_a_test_send_counts_among_the_calls_of_a_minute(shared: Rig) -> None:
    """Bob may make three calls a minute, of whatever kind."""
    request = shared.gate.read({"model": MODEL, "prompt": "jazz"})
    shared.transport.script("one", {"id": "n", "status": "works"})
    await shared.gate.submit(request, account="bob")
    hooks = Webhooks(shared.context)
    for _ in range(2):
        assert (await hooks.test("bob", URL)).answer.is_delivered
    with pytest.raises(LimitReachedError) as caught:
        await hooks.test("bob", URL)
    assert (caught.value.reason, caught.value.retry_after_s) == ("requests_per_minute", 60)
    with pytest.raises(LimitReachedError):
        await shared.gate.submit(request, account="bob")
    assert len(webhooks_of(shared).sent) == 2
    shared.clock.pass_s(60)
    assert (await hooks.test("bob", URL)).answer.is_delivered
    for _ in range(5):
        assert (await hooks.test("alice", URL)).answer.is_delivered


async def test_at_most_two_test_sends_of_an_account_are_in_flight(shared: Rig) -> None:
    hanging = Hanging()
    hooks = Webhooks(attrs.evolve(shared.context, webhooks=hanging))
    waiting = [asyncio.create_task(hooks.test("alice", "https://slow.test/")) for _ in range(2)]
    await until(lambda: hanging.hanging == 2)
    with pytest.raises(LimitReachedError, match="2 test messages of this account are in flight") as caught:
        await hooks.test("alice", URL)
    assert (caught.value.code, caught.value.reason) == ("key_limit_exceeded", "max_webhook_tests")
    assert (await hooks.test("bob", URL)).answer.is_delivered
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    assert (await hooks.test("alice", URL)).answer.is_delivered
    hanging.let_go.set()
    assert (await waiting[1]).answer.is_delivered


# --- many receivers, and our faults ---


class Hanging(ScriptedWebhooks):
    """One server hangs until it is let go; the others answer."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()
        self.hanging = 0

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> HttpResponse:
        """Hang, or answer."""
        if "slow.test" in url:
            self.hanging += 1
            await self.let_go.wait()
        return await super().post(url, headers, body, timeout_s=timeout_s)


async def test_a_server_that_hangs_holds_up_no_other(rig: Rig) -> None:
    for number in range(20):
        await ended(rig, webhook_url=f"https://slow.test/job?number={number}")
        rig.clock.pass_s(1)
    await ended(rig, webhook_url="https://quick.test/")
    limits = attrs.evolve(OWN, concurrency=8, concurrency_per_server=3)
    settings = attrs.evolve(rig.context.settings, webhooks=limits)
    hanging = Hanging()
    context = attrs.evolve(rig.context, settings=settings, webhooks=hanging)
    async with at_work(context):
        await until(lambda: bool(hanging.sent))
        assert [url for url, _, _ in hanging.sent] == ["https://quick.test/"]
        assert hanging.hanging == 3
        hanging.let_go.set()
        await until(lambda: len(hanging.sent) == 21)
        assert len({headers["webhook-id"] for _, headers, _ in hanging.sent}) == 21
    assert await rig.context.store.outbox.pending(1) == []


async def test_messages_in_flight_are_bounded_by_the_setting(rig: Rig) -> None:
    for number in range(10):
        await ended(rig, webhook_url=f"https://slow.test:{number + 1}/")
    settings = attrs.evolve(rig.context.settings, webhooks=attrs.evolve(OWN, concurrency=4))
    hanging = Hanging()
    courier = Courier(attrs.evolve(rig.context, settings=settings, webhooks=hanging), lambda: 0.0)
    await courier._start_due()
    await courier._start_due()
    await asyncio.sleep(0)
    assert (len(courier._running), hanging.hanging) == (4, 4)
    hanging.let_go.set()
    await asyncio.gather(*courier._running.values())
    assert (len(courier._running), courier._share.free) == (0, 4)


async def test_the_courier_wakes_when_a_job_ends(rig: Rig) -> None:
    async with at_work(rig.context):
        await asyncio.sleep(0)
        await ended(rig)
        await until(lambda: bool(webhooks_of(rig).sent))


async def test_a_message_that_was_cut_off_is_sent_again_with_its_id(rig: Rig) -> None:
    job = await ended(rig, webhook_url="https://slow.test/")
    hanging = Hanging()
    async with at_work(attrs.evolve(rig.context, webhooks=hanging)):
        await until(lambda: hanging.hanging > 0)
    found = await message_about(rig, job)
    assert (found.status, found.attempts) == (DeliveryStatus.PENDING, 0)
    await deliver(rig)
    assert webhooks_of(rig).sent[0][1]["webhook-id"] == found.id


async def test_a_try_is_stored_as_soon_as_the_disk_works_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await ended(rig)
    naps: list[float] = []

    async def repair(_clock: HandClock, delay_s: float) -> None:
        naps.append(delay_s)
        if len(naps) == 3:
            rig.store.trouble = None

    monkeypatch.setattr(HandClock, "sleep", repair)
    rig.store.trouble = "disk full"
    await deliver(rig)
    assert naps == [5.0, 5.0, 5.0]
    assert len(webhooks_of(rig).sent) == 1
    assert (await message_about(rig, job)).status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize("error", [RuntimeError("a bug"), StorageError("odd"), asyncio.CancelledError()])
async def test_a_message_that_breaks_our_own_code_is_paused_and_logged_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    monkeypatch.setattr("musicgate.webhooks.courier._AFTER_ERROR_S", 0.05)
    job, other = await ended(rig), await ended(rig)
    outbox = rig.context.store.outbox
    first = (await message_about(rig, job)).id
    get, tries = outbox.get, []

    async def broken(message_id: str) -> Delivery | None:
        if message_id == first:
            tries.append(asyncio.get_running_loop().time())
            if len(tries) < 4:
                raise error
        return await get(message_id)

    monkeypatch.setattr(outbox, "get", broken)
    async with at_work(rig.context):
        await until(lambda: len(webhooks_of(rig).sent) == 1)
        await until_delivered(rig, other)
        assert (await message_about(rig, job)).status is DeliveryStatus.PENDING
        await until_delivered(rig, job)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries[:4])]
    assert [pause > expected for pause, expected in zip(pauses, (0.05, 0.1, 0.2), strict=True)] == [True] * 3
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        f"message not sent, retrying: message={first}"
    ]


async def test_a_damaged_message_holds_up_no_other(tmp_path: Path) -> None:
    async with (
        SqliteJobStore.open(tmp_path / "store.db") as store,
        rig_of(tmp_path, FakeVendor("one"), store=store, webhooks=OWN) as rig,
    ):
        damaged, whole = await ended(rig), await ended(rig)
        message_id = (await message_about(rig, damaged)).id
        row = (message_id,)
        damage = "UPDATE webhook_deliveries SET doc = '{' WHERE id = ?"
        await store._writer.write(lambda connection: connection.execute(damage, row).close())
        async with at_work(rig.context):
            await until(lambda: bool(webhooks_of(rig).sent))
        assert (await message_about(rig, whole)).attempts in {0, 1}
        assert webhooks_of(rig).sent[0][2]["data"]["id"] == whole.id


async def test_a_courier_that_is_cancelled_leaves_nothing_and_starts_again(rig: Rig) -> None:
    await ended(rig, webhook_url="https://slow.test/")
    hanging = Hanging()
    courier = Courier(attrs.evolve(rig.context, webhooks=hanging), lambda: 0.0)
    for count in (1, 2):
        running = asyncio.create_task(courier.run())
        await until(lambda count=count: hanging.hanging == count)  # type: ignore[misc]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert not any(task.get_name().startswith("webhook") for task in asyncio.all_tasks())
        assert (courier._running, courier._pauses) == ({}, {})
        assert courier._share.free == OWN.concurrency


# --- between the accounts ---

ACCOUNTS = tuple(
    Account(
        name=name,
        key=Secret(f"{name}-key-not-real"),
        webhook_secret=Secret(SECRET),
        requests_per_minute=3 if name == "bob" else None,
    )
    for name in ("alice", "bob", "carol")
)


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Rig]:
    """A gateway with three accounts and eight connections."""
    limits = WebhookSettings(concurrency=8, concurrency_per_server=2)
    async with rig_of(
        tmp_path, FakeVendor("one"), store=MemoryJobStore(), webhooks=limits, accounts=ACCOUNTS
    ) as ready:
        yield ready


async def owed(rig: Rig, account: str, url: str) -> None:
    """A job of an account that has just ended, with a message to that address."""
    rig.transport.script("one", {"id": "n", "status": "works"})
    request = rig.gate.read({"model": MODEL, "prompt": "jazz", "webhook_url": url})
    job = await rig.gate.submit(request, account=account)
    await commit.change(rig.context, job, lambda current: fail(current, REFUSED, rig.clock.now()))


def accounts_of(hooks: ScriptedWebhooks) -> list[str]:
    return [url.partition("?")[2] for url, _, _ in hooks.sent]


async def test_many_hanging_servers_of_one_account_leave_connections_for_another(
    shared: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.webhooks.courier._PAGE", 8)
    for number in range(30):
        await owed(shared, "alice", f"https://slow.test:{number + 1}/?alice")
    shared.clock.pass_s(1)
    hanging = Hanging()
    async with at_work(attrs.evolve(shared.context, webhooks=hanging)):
        await until(lambda: hanging.hanging == 4)
        await owed(shared, "bob", "https://quick.test/?bob")
        await until(lambda: accounts_of(hanging) == ["bob"])
        assert hanging.hanging == 4


async def test_a_server_that_hangs_for_one_account_answers_another(shared: Rig) -> None:
    for _ in range(9):
        await owed(shared, "alice", "https://both.test/slow.test?alice")
    hanging = Hanging()
    async with at_work(attrs.evolve(shared.context, webhooks=hanging)):
        await until(lambda: hanging.hanging == 2)
        await owed(shared, "bob", "https://both.test/?bob")
        await until(lambda: accounts_of(hanging) == ["bob"])


async def test_a_message_that_becomes_due_is_sent_although_an_account_is_full(
    shared: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No notice comes when a retry becomes due: the courier knows its time past all that waits."""
    monkeypatch.setattr("musicgate.webhooks.courier._PAGE", 2)
    context = attrs.evolve(shared.context, clock=SystemClock())
    shared.clock.moment = context.clock.now() + timedelta(seconds=0.3)
    await owed(shared, "bob", "https://quick.test/?bob")
    shared.clock.moment = context.clock.now()
    for number in range(30):
        await owed(shared, "alice", f"https://slow.test:{number + 1}/?alice")
    hanging = Hanging()
    async with at_work(attrs.evolve(context, webhooks=hanging)):
        await until(lambda: hanging.hanging == 4)
        assert hanging.sent == []
        await until(lambda: accounts_of(hanging) == ["bob"])


async def test_accounts_alternate_where_there_is_one_connection(
    shared: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.webhooks.courier._PAGE", 2)
    for account, count in (("alice", 4), ("bob", 2), ("carol", 1)):
        for _ in range(count):
            await owed(shared, account, f"https://quick.test/?{account}")
        shared.clock.pass_s(1)
    limits = WebhookSettings(concurrency=1)
    settings = attrs.evolve(shared.context.settings, webhooks=limits)
    hooks = webhooks_of(shared)
    async with at_work(attrs.evolve(shared.context, settings=settings)):
        await until(lambda: len(hooks.sent) == 7)
    assert accounts_of(hooks) == ["alice", "bob", "carol", "alice", "bob", "alice", "alice"]


async def test_an_outbox_that_cannot_be_read_does_not_end_the_courier(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = rig.context.store.outbox
    pending, calls = outbox.pending, 0

    async def broken_once(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StorageError("the disk failed")
        return await pending(*arguments, **options)

    monkeypatch.setattr(outbox, "pending", broken_once)
    async with at_work(rig.context):
        await asyncio.sleep(0)
        job = await ended(rig)
        await until(lambda: bool(webhooks_of(rig).sent))
        assert job.state is JobState.FAILED
