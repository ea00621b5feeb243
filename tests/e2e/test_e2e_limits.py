"""Limits of accounts, vendors' rate limits and circuit breakers, as a client sees them.

The rules are the subject of tests/test_gateway_limits.py, tests/test_limits.py and tests/test_breaker.py.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from tests.e2e.running_server import ACCOUNT_KEY, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, Reply, RunningServer

#: kie.ai's window of ten seconds is half a second.
SPEED = 20.0
SUNO = {"model": "suno/v5", "prompt": "jazz", "provider": {"only": ["suno"]}}
PENDING = song(switches="stuck=PENDING")


def account(**limits: Any) -> tuple[Account, ...]:
    return (Account(name="test", key=Secret(ACCOUNT_KEY), **limits),)


async def create_at_once(server: RunningServer, request: dict[str, Any], count: int) -> list[Reply]:
    return await asyncio.gather(*(server.create(request) for _ in range(count)))


async def provider(server: RunningServer, plugin: str) -> dict[str, Any]:
    """A provider in the catalogue."""
    listed = (await server.call("GET", "/v1/music/providers")).body["data"]
    return dict(next(one for one in listed if one["provider_plugin"] == plugin))


async def test_creates_above_the_vendors_rate_limit_wait_and_none_is_refused(open_server: OpenServer) -> None:
    switches = {"suno_kie": {"rate": "20", "done_s": "5", "first_s": "3", "text_s": "1"}}
    async with open_server(speed=SPEED, switches=switches, server={"create_wait_s": 0.1}) as server:
        with server.vendor_calls("suno_kie") as calls:
            replies = await create_at_once(server, song(), 25)
            assert [reply.status for reply in replies] == [200] * 25
            waiting = [reply.body for reply in replies if reply.body["attempts"][-1]["outcome"] == "planned"]
            assert [job["status"] for job in waiting] == ["queued"] * len(waiting)
            assert waiting
            jobs = [await server.finish(reply.body["id"]) for reply in replies]
        assert [job["status"] for job in jobs] == ["completed"] * 25
        assert {len(job["attempts"]) for job in jobs} == {1}
        assert (len(calls.creates), calls.billed) == (25, 25)
    no_window = {"suno_kie": {"create_window_calls": 0}}
    async with open_server(speed=SPEED, switches=switches, providers=no_window) as server:
        assert {reply.status for reply in await create_at_once(server, song(), 25)} == {200, 429}


async def test_creates_above_a_plans_concurrency_wait_and_the_catalogue_counts_them(
    open_server: OpenServer,
) -> None:
    async with open_server(
        switches={"elevenlabs": {"concurrent": "3"}},
        providers={"elevenlabs": {"max_parallel_creates": 3}},
        server={"create_wait_s": 0.0},
        speed=100.0,
    ) as server:
        with server.vendor_calls("elevenlabs") as calls:
            replies = await create_at_once(server, song("elevenlabs", "done_s=30"), 4)
            outcomes = [reply.body["attempts"][0]["outcome"] for reply in replies]
            assert sorted(outcomes) == ["planned", "sent", "sent", "sent"]
            listed = await provider(server, "elevenlabs")
            assert (listed["max_parallel_creates"], listed["waiting"]) == (3, 1)
            jobs = [await server.finish(reply.body["id"]) for reply in replies]
        # A fourth call at a time would be refused, and there would be a second attempt.
        assert [(job["status"], len(job["attempts"])) for job in jobs] == [("completed", 1)] * 4
        assert calls.billed == 4


async def test_a_refusal_for_being_busy_is_retried_after_the_caller_was_answered(
    open_server: OpenServer,
) -> None:
    async with open_server(speed=100.0, server={"create_wait_s": 0.0}) as server:
        request = {**song("elevenlabs"), "prompt": "[hold] [emulate create=429] jazz"}
        reply = await server.create(request)
        assert reply.body["status"] == "in_progress"
        job = await server.finish(reply.body["id"])
    assert job["status"] == "completed"
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["refused", "accepted"]
    assert job["attempts"][1]["not_before"] > job["attempts"][0]["answered_at"]


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"requests_per_minute": 2}, (429, "key_limit_exceeded", "requests_per_minute")),
        ({"max_open_jobs": 2}, (429, "key_limit_exceeded", "max_open_jobs")),
        ({"max_usd_per_day": 0.13}, (402, "insufficient_funds", "max_usd_per_day")),
    ],
    ids=["requests", "open jobs", "money"],
)
async def test_a_request_above_a_limit_of_its_account_is_refused(
    open_server: OpenServer, limits: dict[str, Any], error: tuple[int, str, str]
) -> None:
    async with open_server(accounts=account(**limits)) as server:
        with server.vendor_calls("suno_kie") as calls:
            statuses = [reply.status for reply in await create_at_once(server, PENDING, 2)]
            before = datetime.now(UTC)
            reply = await server.create(PENDING)
        assert (statuses, reply.error) == ([200, 200], error)
        assert len(calls.creates) == 2
        reset_at = datetime.fromisoformat(reply.body["reset_at"])
        if reply.status == 429:
            wait_s = int(reply.headers["Retry-After"])
            assert abs(reset_at - before - timedelta(seconds=wait_s)) < timedelta(seconds=2)
            assert reply.body["error_type"] == "system"
        else:
            assert reply.body["min_usd"] == 0.06
            assert reset_at.time().isoformat() == "00:00:00"
            assert "Retry-After" not in reply.headers
            assert reply.body["error_type"] == "user"
        # A broken body is reported before the limit, an unknown model after it, unless a price is needed.
        assert (await server.create({**PENDING, "duration": 0})).body["error"] == "validation_error"
        unknown = (await server.create({**PENDING, "model": "unknown/song"})).body["error"]
        assert unknown == (error[1] if reply.status == 429 else "unsupported_model_or_endpoint")


async def test_every_create_answer_has_the_limits_and_what_is_left_of_them(open_server: OpenServer) -> None:
    async with open_server(accounts=account(requests_per_minute=3, max_open_jobs=5)) as server:
        policy = '"requests-per-minute";q=3;w=60, "open-jobs";q=5;qu="concurrent-requests"'
        first = await server.create(PENDING, **{"Idempotency-Key": "a"})
        again = await server.create(PENDING, **{"Idempotency-Key": "a"})
        invalid = await server.create({**PENDING, "duration": 0})
        unknown = await server.create({**PENDING, "model": "unknown/song"})
        third = await server.create(PENDING)
        refused = await server.create(PENDING)
        assert [
            (reply.status, reply.headers["RateLimit-Policy"], reply.headers["RateLimit"].partition(";t=")[0])
            for reply in (first, again, invalid, unknown)
        ] == [
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
        assert "RateLimit" not in (await server.get(first.body["id"])).headers
    async with open_server() as server:
        assert "RateLimit" not in (await server.create(song())).headers


async def test_of_fifty_requests_at_once_only_those_within_the_limit_are_made(
    open_server: OpenServer,
) -> None:
    async with open_server(accounts=account(max_open_jobs=7)) as server:
        with server.vendor_calls("suno_kie") as calls:
            replies = await create_at_once(server, PENDING, 50)
        assert sorted(reply.status for reply in replies) == [200] * 7 + [429] * 43
        assert calls.billed == 7


async def test_an_open_circuit_breaker_shows_in_catalogue_plan_and_routing_until_it_closes(
    open_server: OpenServer,
) -> None:
    async with open_server(speed=SPEED) as server:
        closed = {"state": "closed", "error_rate": 0.0, "calls": 0, "opens_until": None}
        assert (await provider(server, "suno_kie"))["health"] == closed
        failed = [await server.create(song(switches="create=455")) for _ in range(8)]
        assert [reply.status for reply in failed] == [503] * 8
        health = (await provider(server, "suno_kie"))["health"]
        assert (health["state"], health["error_rate"], health["calls"]) == ("open", 1.0, 8)
        routed = await server.create({**SUNO, "meta": True})
        assert routed.body["provider_plugin"] == "apiin_one"
        assert routed.body["meta"]["routing"]["candidates"] == ["apiin_one", "suno_kie"]
        plan = (await server.plan(SUNO)).body
        assert [one.get("health", {}).get("state") for one in plan["candidates"]] == [None, "open"]
        # A request that names this provider only is sent to it, and closes the breaker when it succeeds.
        alone = [await server.create(song()) for _ in range(5)]
        assert [reply.status for reply in alone] == [200] * 5
        assert (await provider(server, "suno_kie"))["health"]["state"] == "closed"
        assert (await server.create(SUNO)).body["provider_plugin"] == "suno_kie"
