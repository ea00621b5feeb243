"""Limits of accounts, vendors' windows, circuit breakers and restarts, through the real server and the played vendors.

The vendors are played slower here than elsewhere, so that a window of ten seconds is long enough to be seen.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from tests.e2e.house import ACCOUNT_KEY, House, OpenHouse, Reply
from tests.e2e.test_e2e_crash import played
from tests.free_port import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost

#: kie's window is half a second, MiniMax's minute three.
SPEED = 20.0
KIE = {"model": "suno/v5", "prompt": "jazz", "provider": {"only": ["suno_kie"]}}
SUNO = {"model": "suno/v5", "prompt": "jazz", "provider": {"only": ["suno"]}}
ELEVEN = {"model": "elevenlabs/music", "prompt": "jazz"}
#: kie refuses plainly: under maintenance.
DOWN = {**SUNO, "prompt": "[emulate create=455] jazz"}
NEAR = {"suno_kie": {"rate": "20", "done_s": "5", "first_s": "3", "text_s": "1"}}


def account(**limits: Any) -> tuple[Account, ...]:
    return (Account(name="test", key=Secret(ACCOUNT_KEY), **limits),)


async def together(house: House, wish: dict[str, Any], count: int) -> list[Reply]:
    return await asyncio.gather(*(house.create(wish) for _ in range(count)))


# --------------------------------------------------------------------------------------------------- vendors' windows


async def test_no_create_is_too_many_for_kie(open_house: OpenHouse) -> None:
    async with open_house(speed=SPEED, switches=NEAR, server={"create_wait_s": 0.1}) as house:
        with house.watch("suno_kie") as seen:
            replies = await together(house, KIE, 25)
            assert [reply.status for reply in replies] == [200] * 25
            waiting = [reply.body for reply in replies if reply.body["attempts"][-1]["outcome"] == "planned"]
            assert [job["status"] for job in waiting] == ["queued"] * len(waiting)
            assert waiting
            jobs = [await house.finish(reply.body["id"]) for reply in replies]
        assert [job["status"] for job in jobs] == ["completed"] * 25
        assert {len(job["attempts"]) for job in jobs} == {1}
        assert (len(seen.creates), seen.billed) == (25, 25)


async def test_without_its_window_kie_refuses_some(open_house: OpenHouse) -> None:
    tables = {"suno_kie": {"create_window_calls": 0}}
    async with open_house(speed=SPEED, switches=NEAR, tables=tables) as house:
        statuses = [reply.status for reply in await together(house, KIE, 25)]
        assert sorted(set(statuses)) == [200, 429]


async def test_elevenlabs_never_sees_a_third_call(open_house: OpenHouse) -> None:
    async with open_house(speed=100.0) as house:
        with house.watch("elevenlabs") as seen:
            replies = await together(house, ELEVEN, 6)
            jobs = [await house.finish(reply.body["id"]) for reply in replies]
        assert [job["status"] for job in jobs] == ["completed"] * 6
        # The vendor refuses a third call at a time; then there would be a second attempt.
        assert {len(job["attempts"]) for job in jobs} == {1}
        assert seen.billed == 6


async def test_a_larger_plan_may_have_more_calls_at_a_time(open_house: OpenHouse) -> None:
    options: dict[str, Any] = {
        "switches": {"elevenlabs": {"max_concurrent": "3"}},
        "tables": {"elevenlabs": {"max_parallel_creates": 3}},
        "server": {"create_wait_s": 0.0},
    }
    async with open_house(speed=20.0, **options) as house:
        replies = await together(house, {**ELEVEN, "prompt": "[hold] jazz"}, 4)
        outcomes = [reply.body["attempts"][0]["outcome"] for reply in replies]
        assert sorted(outcomes) == ["planned", "sent", "sent", "sent"]
        (listed,) = [
            one
            for one in (await house.call("GET", "/v1/music/providers")).body["data"]
            if one["provider_plugin"] == "elevenlabs"
        ]
        assert (listed["max_parallel_creates"], listed["waiting"]) == (3, 1)


async def test_a_busy_vendor_is_asked_again(open_house: OpenHouse) -> None:
    """ElevenLabs lets a call run for a while and then refuses it; the caller has long been answered."""
    async with open_house(speed=SPEED, server={"create_wait_s": 0.0}) as house:
        reply = await house.create({**ELEVEN, "prompt": "[hold] [emulate busy=1 times=1] jazz"})
        assert reply.body["status"] == "in_progress"
        job = await house.finish(reply.body["id"])
        assert job["status"] == "completed"
        assert [attempt["outcome"] for attempt in job["attempts"]] == ["refused", "accepted"]
        assert job["attempts"][1]["not_before"] > job["attempts"][0]["answered_at"]


# --------------------------------------------------------------------------------------------------- limits of accounts


@pytest.mark.parametrize(
    ("limits", "status", "error", "reason"),
    [
        ({"requests_per_minute": 2}, 429, "key_limit_exceeded", "requests_per_minute"),
        ({"max_open_jobs": 2}, 429, "key_limit_exceeded", "max_open_jobs"),
        ({"max_usd_per_day": 0.13}, 402, "insufficient_funds", "max_usd_per_day"),
    ],
)
async def test_the_third_wish_is_too_many(
    open_house: OpenHouse, limits: dict[str, Any], status: int, error: str, reason: str
) -> None:
    wish = {**KIE, "prompt": "[emulate stop=PENDING] jazz"}
    async with open_house(accounts=account(**limits)) as house:
        with house.watch("suno_kie") as seen:
            assert [(await house.create(wish)).status for _ in range(2)] == [200, 200]
            before = datetime.now(UTC)
            reply = await house.create(wish)
        assert (reply.status, reply.body["error"], reply.body["reason"]) == (status, error, reason)
        assert len(seen.creates) == 2
        reset_at = datetime.fromisoformat(reply.body["reset_at"])
        if status == 429:
            wait_s = int(reply.headers["Retry-After"])
            assert abs(reset_at - before - timedelta(seconds=wait_s)) < timedelta(seconds=2)
            assert reply.body["error_type"] == "system"
        else:
            assert reply.body["min_usd"] == 0.06
            assert reset_at.time().isoformat() == "00:00:00"
            assert "Retry-After" not in reply.headers
            assert reply.body["error_type"] == "user"
        # What is wrong with the body is told first; of the model nothing is said, unless money is short and it has no price.
        assert (await house.create({**wish, "duration": 0})).body["error"] == "validation_error"
        unknown = (await house.create({**wish, "model": "nobody/song"})).body["error"]
        assert unknown == (error if status == 429 else "unsupported_model_or_endpoint")


async def test_every_create_answer_tells_the_limits(open_house: OpenHouse) -> None:
    async with open_house(accounts=account(requests_per_minute=3, max_open_jobs=5)) as house:
        policy = '"requests-per-minute";q=3;w=60, "open-jobs";q=5;qu="concurrent-requests"'
        wish = {**KIE, "prompt": "[emulate stop=PENDING] jazz"}
        first = await house.create(wish, **{"Idempotency-Key": "a"})
        replay = await house.create(wish, **{"Idempotency-Key": "a"})
        invalid = await house.create({**wish, "duration": 0})
        second = await house.create({**wish, "model": "nobody/song"})
        third = await house.create(wish)
        refused = await house.create(wish)
        told = [
            (reply.status, reply.headers["RateLimit-Policy"], reply.headers["RateLimit"].partition(";t=")[0])
            for reply in (first, replay, invalid, second)
        ]
        assert told == [
            (200, policy, '"requests-per-minute";r=2, "open-jobs";r=4'),
            (200, policy, '"requests-per-minute";r=2, "open-jobs";r=4'),
            (400, policy, '"requests-per-minute";r=2, "open-jobs";r=4'),
            (400, policy, '"requests-per-minute";r=1, "open-jobs";r=4'),
        ]
        for reply in (third, refused):
            assert reply.headers["RateLimit"].startswith('"requests-per-minute";r=0;t=')
            assert reply.headers["RateLimit"].endswith(', "open-jobs";r=3')
        wait_s = int(refused.headers["Retry-After"])
        assert f";t={wait_s}," in refused.headers["RateLimit"]
        assert "RateLimit" in refused.headers["Access-Control-Expose-Headers"]
        assert "RateLimit" not in (await house.get(first.body["id"])).headers


async def test_without_limits_no_header_speaks_of_any(open_house: OpenHouse) -> None:
    async with open_house() as house:
        assert "RateLimit" not in (await house.create(KIE)).headers


async def test_fifty_at_once_get_no_more_than_they_may(open_house: OpenHouse) -> None:
    async with open_house(accounts=account(max_open_jobs=7)) as house:
        with house.watch("suno_kie") as seen:
            replies = await together(house, {**KIE, "prompt": "[emulate stop=PENDING] jazz"}, 50)
        assert sorted(reply.status for reply in replies) == [200] * 7 + [429] * 43
        assert seen.billed == 7


# ---------------------------------------------------------------------------------------------------- circuit breakers


async def health_of(house: House, plugin: str) -> dict[str, Any]:
    listed = (await house.call("GET", "/v1/music/providers")).body["data"]
    return dict(next(one["health"] for one in listed if one["provider_plugin"] == plugin))


async def test_a_breaker_opens_and_closes_again(open_house: OpenHouse) -> None:
    async with open_house(speed=SPEED) as house:
        assert await health_of(house, "suno_kie") == {
            "state": "closed",
            "error_rate": 0.0,
            "calls": 0,
            "opens_until": None,
        }
        down = [await house.create({**DOWN, "provider": {"only": ["suno_kie"]}}) for _ in range(8)]
        assert [reply.status for reply in down] == [503] * 8
        health = await health_of(house, "suno_kie")
        assert (health["state"], health["error_rate"], health["calls"]) == ("open", 1.0, 8)
        with house.watch("suno_kie", "apiin_one") as seen:
            other = await house.create(SUNO)
        assert other.body["provider_plugin"] == "apiin_one"
        assert len(seen.creates) == 1
        routing = (await house.create({**SUNO, "meta": True})).body["meta"]["routing"]
        assert routing["candidates"] == ["apiin_one", "suno_kie"]
        plan = (await house.call("POST", "/v1/music/plan", body=SUNO)).body
        assert [one.get("health", {}).get("state") for one in plan["candidates"]] == [None, "open"]
        # Whoever wants this one only gets it, and shows that it is back.
        alone = [await house.create(KIE) for _ in range(5)]
        assert [reply.status for reply in alone] == [200] * 5
        assert (await health_of(house, "suno_kie"))["state"] == "closed"
        assert (await house.create(SUNO)).body["provider_plugin"] == "suno_kie"


# ----------------------------------------------------------------------------------------------------------- restarts


async def test_waiting_jobs_survive_a_kill(tmp_path: Path, plugins: PluginHost) -> None:
    """Six wishes, two at a time, killed while four wait: those are made in the order in which they came, and the two are never sent again."""
    async with played(tmp_path, plugins, free_port()) as (server, vendors):
        await server.start()
        ids = [await server.create(ELEVEN, f"jazz {number} [emulate latency_s=20]") for number in range(6)]
        outcomes = [(await server.job(job_id))["attempts"][0]["outcome"] for job_id in ids]
        await server.kill()
        assert outcomes == ["sent", "sent", *["planned"] * 4]
        await server.start()
        jobs = [await server.finish(job_id) for job_id in ids]
    assert [job["status"] for job in jobs] == ["failed", "failed", *["completed"] * 4]
    assert {job["error"]["reason"] for job in jobs[:2]} == {"unknown_outcome"}
    prompts = [json.loads(request.body)["prompt"] for request in vendors["elevenlabs"].requests]
    # The vendor may still count the calls that were cut off; then it refuses, and is asked again.
    firsts = list(dict.fromkeys(int(prompt.split()[1]) for prompt in prompts))
    assert [set(firsts[:2]), set(firsts[2:4]), set(firsts[4:])] == [{0, 1}, {2, 3}, {4, 5}]
    assert len(vendors["elevenlabs"].books.creates) == 6
