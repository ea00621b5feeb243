"""One key, one song: sent again, sent fifty times at once, sent again after ``kill -9``, answered with the same job or the same error."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from tests.e2e.house import ACCOUNT_KEY
from tests.e2e.test_e2e_crash import played
from tests.free_port import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost
    from tests.e2e.house import House, OpenHouse
    from tests.e2e.test_e2e_crash import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE = "/v1/music/generate"


def wish(switches: str = "lengths=3,3", vendor: str = "suno_kie", **more: object) -> dict[str, Any]:
    """A wish for one vendor with magic words."""
    model = {"minimax": "minimax/music-2.6"}.get(vendor, "suno/v5")
    return {"model": model, "prompt": f"rain [emulate {switches}]", "provider": {"only": [vendor]}, **more}


async def test_a_call_that_is_sent_again_answers_with_the_same_job(house: House) -> None:
    with house.watch() as seen:
        first = await house.create(wish(), Idempotency_Key="again")
        again = await house.create(wish(), Idempotency_Key='"again"')
        alias = await house.call(
            "POST", "/v1/music/generations", body=wish(), headers={"Idempotency-Key": "again"}
        )
        await house.finish(first.body["id"])
        late = await house.create(wish(), Idempotency_Key="again")
    assert (len(seen.creates), seen.billed) == (1, 1)
    assert "Idempotency-Replayed" not in first.headers
    for reply in (again, alias, late):
        assert (reply.status, reply.headers["Idempotency-Replayed"]) == (200, "true")
        assert reply.body["id"] == first.body["id"]
        assert reply.body["requestId"] == first.body["requestId"]
    assert late.body["status"] == "completed"


async def test_keys_and_blanks_may_come_in_any_order(house: House) -> None:
    body = wish()
    turned = json.dumps(dict(reversed(body.items())), indent=4).encode()
    first = await house.create(body, Idempotency_Key="turned")
    again = await house.call("POST", CREATE, data=turned, headers={"Idempotency-Key": "turned"})
    assert (again.status, again.body["id"]) == (200, first.body["id"])


async def test_another_body_under_the_key_is_refused(house: House) -> None:
    await house.create(wish(), Idempotency_Key="other")
    with house.watch() as seen:
        reply = await house.create(wish(title="Another"), Idempotency_Key="other")
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (
        422,
        "validation_error",
        "idempotency_key_reused",
    )
    assert seen.creates == []


@pytest.mark.parametrize("key", ["", "two words", '"open', "k" * 256, '"a", "b"'])
async def test_a_key_that_cannot_be_one_is_refused_before_any_call(house: House, key: str) -> None:
    with house.watch() as seen:
        reply = await house.create(wish(), Idempotency_Key=key)
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (
        400,
        "validation_error",
        "invalid_idempotency_key",
    )
    assert seen.creates == []


async def test_a_wrong_body_is_told_before_a_wrong_key(house: House) -> None:
    reply = await house.call("POST", CREATE, body={"model": 8}, headers={"Idempotency-Key": ""})
    assert reply.body["details"][0]["path"] == ["model"]


@pytest.mark.parametrize(
    ("switches", "vendor", "status"),
    [
        ("create=402", "suno_kie", 402),
        ("create=422", "suno_kie", 422),
        ("code=1026", "minimax", 400),
        ("create=html", "suno_kie", 502),
    ],
)
async def test_an_error_is_answered_again_as_it_was(
    house: House, switches: str, vendor: str, status: int
) -> None:
    key = f"{vendor}/{switches.replace(' ', '/')}"
    with house.watch() as seen:
        first = await house.create(wish(switches, vendor), Idempotency_Key=key)
        again = await house.create(wish(switches, vendor), Idempotency_Key=key)
    assert len(seen.creates) == 1
    assert (first.status, again.status) == (status, status)
    assert again.headers["Idempotency-Replayed"] == "true"
    own = ("generation_id", "request_id")
    assert {**first.body, **dict.fromkeys(own)} == {**again.body, **dict.fromkeys(own)}
    assert first.body["generation_id"] != again.body["generation_id"]


async def test_a_refusal_before_anything_was_stored_uses_up_no_key(house: House) -> None:
    refused = await house.create(wish(model="suno/v0"), Idempotency_Key="free")
    assert refused.status == 400
    assert (await house.create(wish(), Idempotency_Key="free")).status == 200


async def test_two_accounts_may_use_the_same_key(open_house: OpenHouse) -> None:
    keys = (ACCOUNT_KEY, "test-key-of-two")
    accounts = [Account(name=key[-3:], key=Secret(key)) for key in keys]
    async with open_house(accounts=accounts) as house:
        replies = [
            await house.call("POST", CREATE, body=wish(), key=key, headers={"Idempotency-Key": "k"})
            for key in keys
        ]
    assert len({reply.body["id"] for reply in replies}) == 2
    assert not any("Idempotency-Replayed" in reply.headers for reply in replies)


@pytest.mark.parametrize(
    ("twin", "status"),
    [
        (wish(), 200),
        (wish("create=402"), 402),
        (wish("length_s=3", "minimax"), 200),
        ({**wish(), "prompt": "rain [hold]"}, 200),
    ],
    ids=["accepted", "refused", "blocking", "slow"],
)
async def test_fifty_twins_at_once_make_one_song(house: House, twin: dict[str, Any], status: int) -> None:
    key = f"twins-{twin['prompt'][5:]}-{twin['model']}".replace(" ", "")
    with house.watch() as seen:
        replies = await asyncio.gather(*(house.create(twin, Idempotency_Key=key) for _ in range(50)))
        names = {reply.body["id" if status == 200 else "music_id"] for reply in replies}
        if status == 200:
            await house.finish(next(iter(names)))
    assert {reply.status for reply in replies} == {status}
    assert len(names) == 1
    assert sum("Idempotency-Replayed" not in reply.headers for reply in replies) == 1
    assert len(seen.creates) == 1


async def test_a_key_outlives_kill_9(tmp_path: Path, plugins: PluginHost) -> None:
    """One job is done, one is refused, and of one the answer is still awaited when the server dies."""
    async with played(tmp_path, plugins, free_port()) as (server, vendors):
        await server.start()
        _, first, _ = await send(server, wish(), "done")
        await server.finish(first["id"])
        code, refused, _ = await send(server, wish("create=402"), "refused")
        assert code == 402
        cut_off = {**wish(), "prompt": "rain [hold] [emulate lengths=3,3]"}
        held = asyncio.create_task(send(server, cut_off, "held"))
        await asyncio.sleep(0.3)
        await server.kill()
        with pytest.raises(aiohttp.ClientError):
            await held
        creates = list(vendors["suno_kie"].books.creates)
        await server.start()

        code, again, headers = await send(server, wish(), "done")
        assert (code, again["id"], again["status"]) == (200, first["id"], "completed")
        assert headers["Idempotency-Replayed"] == "true"
        code, again, _ = await send(server, wish("create=402"), "refused")
        assert (code, again["music_id"]) == (402, refused["music_id"])
        code, again, headers = await send(server, cut_off, "held")
        assert (code, headers["Idempotency-Replayed"]) == (200, "true")
        adopted = await server.finish(again["id"])
        assert (adopted["status"], adopted["nativeResponseId"]) == ("completed", creates[-1])
        code, _, _ = await send(server, wish("x=1"), "held")
        assert code == 422
        assert list(vendors["suno_kie"].books.creates) == creates


async def send(server: Server, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """A create call with a key."""
    headers = {"Authorization": f"Bearer {ACCOUNT_KEY}", "Idempotency-Key": key}
    async with server._session.post(server.url + CREATE, json=body, headers=headers) as answer:
        return answer.status, await answer.json(), dict(answer.headers)
