"""Callbacks: believed only with token and signature, and then only as a hint; a lost create answer is adopted; floods are harmless."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate_suno_kie.callback import sign

if TYPE_CHECKING:
    from tests.e2e.house import House, OpenHouse, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = Secret("test-secret-not-real")
#: kie's polls are slow enough here that only a callback can explain an early look.
RARELY = {"speed": 1.0}


def wish(switches: str, vendor: str = "suno_kie") -> dict[str, Any]:
    """A wish for one Suno plugin with magic words."""
    return {"model": "suno/v5", "prompt": f"rain [emulate {switches}]", "provider": {"only": [vendor]}}


async def call_back(
    house: House,
    job: dict[str, Any],
    *,
    native_id: str | None = None,
    age_s: float = 0.0,
    secret: Secret | None = SECRET,
    token: str | None = None,
    body: bytes | None = None,
    words: str = "ok",
) -> Reply:
    """A callback as kie sends it."""
    stored = await house.gateway._context.store.get(job["id"])
    assert stored is not None
    told = native_id or stored.native_id or "unknown"
    content = {"code": 200, "msg": words, "data": {"callbackType": "complete", "task_id": told, "data": []}}
    headers = {}
    if secret is not None:
        stamp = str(int(time.time() - age_s))
        headers = {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": sign(told, stamp, secret)}
    path = f"/v1/callbacks/{job['id']}/{stored.callback_token if token is None else token}"
    raw = json.dumps(content).encode() if body is None else body
    return await house.call("POST", path, data=raw, headers=headers, key=None)


async def looks(house: House, job: dict[str, Any]) -> int:
    """How often the vendor was asked about a job."""
    requests = house.vendors["suno_kie"].requests
    return sum(request.method == "GET" and job["nativeResponseId"] in request.url for request in requests)


async def test_a_good_callback_makes_us_look_at_once(open_house: OpenHouse) -> None:
    async with open_house(follow=RARELY) as house:
        job = (await house.create(wish("stop=TEXT_SUCCESS"))).body
        assert await looks(house, job) == 0
        assert (await call_back(house, job)).status == 200
        await asyncio.sleep(0.3)
        assert await looks(house, job) == 1
        assert (await house.get(job["id"])).body["status"] == "in_progress"


async def test_the_vendors_own_callbacks_finish_a_song_long_before_the_first_poll(
    open_house: OpenHouse,
) -> None:
    """The first poll comes after five seconds ; here the callback at the end comes after 0.2 s."""
    async with open_house(follow=RARELY) as house:
        started = time.monotonic()
        job = await house.make(wish("skip=text,first"))
    assert job["status"] == "completed"
    assert time.monotonic() - started < 4.0


@pytest.mark.parametrize(
    ("case", "status", "error"),
    [
        ({"secret": None}, 401, "unauthorised"),
        ({"secret": Secret("wrong-not-real")}, 401, "unauthorised"),
        ({"age_s": 3600.0}, 401, "unauthorised"),
        ({"age_s": -3600.0}, 401, "unauthorised"),
        ({"token": "x" * 32}, 404, "not_found"),
        ({"token": "%C3%BC"}, 404, "not_found"),
    ],
    ids=["unsigned", "wrong secret", "stale", "from the future", "wrong token", "odd token"],
)
async def test_a_callback_that_proves_nothing_is_refused_and_causes_no_look(
    patient: House, case: dict[str, Any], status: int, error: str
) -> None:
    job = (await patient.create(wish("stop=TEXT_SUCCESS"))).body
    reply = await call_back(patient, job, **case)
    assert (reply.status, reply.body["error"]) == (status, error)
    await asyncio.sleep(0.05)
    assert await looks(patient, job) == 0
    token = (await patient.gateway._context.store.get(job["id"])).callback_token  # type: ignore[union-attr]  # it is there
    assert token.encode() not in reply.raw


@pytest.mark.parametrize("switch", ["unsigned", "badsign", "stale"])
async def test_a_vendor_that_signs_badly_is_followed_by_polls_alone(house: House, switch: str) -> None:
    assert (await house.make(wish(f"callbacks={switch}")))["status"] == "completed"


@pytest.mark.parametrize(
    "switches",
    [
        "callbacks=double",
        "callbacks=reverse",
        "callbacks=double,reverse",
        "callback_shape=record",
        "callback_shape=market",
    ],
)
async def test_odd_callbacks_do_no_harm(house: House, switches: str) -> None:
    with house.watch() as seen:
        job = await house.make(wish(switches))
    assert (job["status"], seen.billed, len(seen.creates)) == ("completed", 1, 1)


@pytest.mark.parametrize("switch", ["list", "doubled", "reversed", "envelope", "envelope_with_id", "off"])
async def test_every_shape_of_apiins_callbacks_does_no_harm(house: House, switch: str) -> None:
    job = await house.make(wish(f"callbacks={switch}", "apiin_one"))
    assert job["status"] == "completed"


async def test_a_lost_create_answer_is_adopted_by_the_callback(house: House) -> None:
    with house.watch() as seen:
        created = await house.create(wish("create=drop"))
        assert (created.status, created.body["status"]) == (200, "queued")
        assert created.body["nativeResponseId"] is None
        assert created.body["attempts"][0]["outcome"] == "unknown"
        job = await house.finish(created.body["id"])
    assert job["status"] == "completed"
    assert job["nativeResponseId"] == house.vendors["suno_kie"].books.creates[-1]
    assert job["attempts"][0]["outcome"] == "accepted"
    assert (len(seen.creates), seen.billed) == (1, 1)


@pytest.mark.parametrize(
    ("switches", "reason"), [("create=lost", "upstream_failed"), ("create=no_id", "protocol")]
)
async def test_an_unreadable_create_answer_is_told_and_its_song_adopted(
    house: House, switches: str, reason: str
) -> None:
    with house.watch() as seen:
        created = await house.create(wish(switches))
        assert (created.status, created.body["reason"]) == (502, reason)
        job = await house.finish(created.body["music_id"])
    assert job["status"] == "completed"
    assert (len(seen.creates), seen.billed) == (1, 1)


async def test_apiins_lost_answer_is_adopted_where_the_callback_names_the_task(house: House) -> None:
    with house.watch() as seen:
        created = await house.create(
            wish("create_fault=drop_accepted callbacks=envelope_with_id", "apiin_one")
        )
        assert created.status == 200
        job = await house.finish(created.body["id"])
    assert (job["status"], len(seen.creates), seen.billed) == ("completed", 1, 1)


async def test_a_lost_answer_that_nobody_adopts_ends_as_unknown_and_is_never_sent_again(
    open_house: OpenHouse,
) -> None:
    async with open_house(follow={"deadline_s": 0.5}) as house:
        with house.watch() as seen:
            created = await house.create(wish("create=drop callbacks=off"))
            job = await house.finish(created.body["id"])
        assert (job["status"], job["error"]["reason"]) == ("failed", "unknown_outcome")
        assert job["error"]["may_have_cost"] is True
        assert (len(seen.creates), seen.billed) == (1, 1)


async def test_where_nobody_can_call_us_a_lost_answer_ends_at_once(open_house: OpenHouse) -> None:
    async with open_house(reachable=False) as house:
        with house.watch() as seen:
            reply = await house.create(wish("create=drop"))
        assert seen.body["callBackUrl"] == "https://example.com/musicgate/no-receiver"
        assert (reply.status, reply.body["error"], reply.body["reason"]) == (
            502,
            "upstream_error",
            "unknown_outcome",
        )
        job = (await house.get(reply.body["music_id"])).body
    assert (job["status"], job["error"]["reason"]) == ("failed", "unknown_outcome")
    assert (len(seen.creates), seen.billed) == (1, 1)


async def test_a_callback_for_another_task_adopts_nothing(patient: House) -> None:
    job = (await patient.create(wish("stop=TEXT_SUCCESS"))).body
    assert (await call_back(patient, job, native_id="somebody-elses")).status == 200
    await asyncio.sleep(0.05)
    assert await looks(patient, job) == 0
    assert (await patient.get(job["id"])).body["nativeResponseId"] == job["nativeResponseId"]


@pytest.mark.parametrize("raw", [b"", b"{", b"null", b"[]", b'"x"', b"<html>", b"\xff", b"[" * 50_000])
async def test_a_callback_that_cannot_be_read_is_no_server_error(patient: House, raw: bytes) -> None:
    job = (await patient.create(wish("stop=TEXT_SUCCESS"))).body
    reply = await call_back(patient, job, body=raw)
    assert reply.status in {200, 401}


async def test_a_flood_of_callbacks_costs_a_bounded_number_of_looks(open_house: OpenHouse) -> None:
    async with open_house(follow={"speed": 5.0}) as house:  # at most one look in 0.2 s, whoever calls
        job = (await house.create(wish("stop=TEXT_SUCCESS callbacks=off"))).body
        started = time.monotonic()
        for wave in range(10):  # so that they do not all arrive while one look runs
            words = [f"{wave}.{number}" for number in range(10)]  # so that none is a replay
            replies = await asyncio.gather(*(call_back(house, job, words=word) for word in words))
            assert {reply.status for reply in replies} == {200}
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        took_s = time.monotonic() - started
        assert 1 <= await looks(house, job) <= 2 + took_s / 0.2


async def test_a_replayed_callback_causes_no_second_look(patient: House) -> None:
    job = (await patient.create(wish("stop=TEXT_SUCCESS callbacks=off"))).body
    replies = [await call_back(patient, job) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert replies[0].status == 200
    assert {reply.status for reply in replies[1:]} == {200}
    assert await looks(patient, job) == 1


async def test_a_callback_for_a_finished_job_changes_nothing(house: House) -> None:
    job = await house.make(wish("skip=text"))
    before = await looks(house, job)
    assert (await call_back(house, job)).status == 200
    await asyncio.sleep(0.05)
    assert await looks(house, job) == before
    assert (await house.get(job["id"])).body == job
