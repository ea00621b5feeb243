"""When the trouble is ours: a store that fails, a bug, a call that takes too long; the caller hears of it, and nobody pays twice."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.errors import StorageError
from musicgate.model import Timeouts
from musicgate.web.listener import Listener
from tests.e2e.house import redeclared, running_house

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIE: dict[str, Any] = {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}


async def test_a_wish_that_cannot_be_stored_is_not_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        message = "the disk is full"
        raise StorageError(message)

    with monkeypatch.context() as patch, house.watch() as seen:
        patch.setattr(house.gateway._context.store, "add", full)
        reply = await house.create({**KIE, "prompt": "rain"})
    assert (reply.status, reply.body["error"], reply.body["error_type"]) == (500, "gateway_error", "system")
    assert reply.headers["X-Gateway-Error-Attribution"] == "upstream"
    assert seen.creates == []
    assert (await house.create({**KIE, "prompt": "rain"})).status == 200


@pytest.mark.parametrize("error", [RuntimeError("secret-detail"), StorageError("locked"), KeyError("x")])
async def test_a_fault_of_ours_is_json_without_a_stack(
    house: House, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def broken(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(house.gateway._context.store, "get", broken)
        reply = await house.get("music_x")
    assert (reply.status, reply.body["error"], reply.body["error_type"]) == (500, "gateway_error", "system")
    assert b"Traceback" not in reply.raw
    assert b"secret-detail" not in reply.raw


async def test_an_answer_that_cannot_be_stored_at_first_is_not_lost(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails at the very moment when the vendor's task id is to be written down, and recovers."""
    store = house.gateway._context.store
    replace, failures = store.replace, [StorageError("full"), StorageError("full")]

    async def fails_twice(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return await replace(*arguments)

    with monkeypatch.context() as patch, house.watch() as seen:
        patch.setattr(store, "replace", fails_twice)
        job = await house.make({**KIE, "prompt": "rain"})
    assert (job["status"], len(seen.creates), seen.billed) == ("completed", 1, 1)


@pytest.mark.parametrize("vendor", ["suno_kie", "apiin_one", "elevenlabs", "minimax"])
async def test_a_create_call_that_takes_too_long_is_never_made_again(tmp_path: Path, vendor: str) -> None:
    model = {"elevenlabs": "elevenlabs/music", "minimax": "minimax/music-2.6"}.get(vendor, "suno/v5")
    impatient = {vendor: {"timeouts": Timeouts(create_s=0.15)}}
    async with running_house(
        tmp_path, redeclared(**impatient), server={"create_wait_s": 1.0}, follow={"deadline_s": 1.0}
    ) as house:
        with house.watch() as seen:
            reply = await house.create(
                {
                    "model": model,
                    "prompt": "a long [hold] on the line",
                    "provider": {"only": [vendor]},
                }
            )
            await asyncio.sleep(0.1)
        job = await house.finish(reply.body.get("id") or reply.body["music_id"])
    assert (len(seen.creates), seen.billed) == (1, 1)
    if vendor == "suno_kie":  # its callback names the task, and came even before the time was up
        assert (reply.status, job["status"]) == (200, "completed")
    elif vendor == "apiin_one":  # its callbacks name none
        assert (reply.status, reply.body["status"], reply.body["nativeResponseId"]) == (200, "queued", None)
        assert (job["status"], job["error"]["reason"]) == ("failed", "unknown_outcome")
    else:
        assert (reply.status, reply.body["error"], reply.body["reason"]) == (
            504,
            "upstream_error",
            "unknown_outcome",
        )


async def test_reads_that_take_too_long_are_noise(tmp_path: Path) -> None:
    host = redeclared(suno_kie={"timeouts": Timeouts(read_s=0.0001)})
    async with running_house(tmp_path, host, follow={"deadline_s": 0.5}) as house:
        job = await house.make({**KIE, "prompt": "rain [emulate callbacks=off]"})
    assert (job["status"], job["error"]["reason"]) == ("failed", "expired")


async def test_many_wishes_at_once_are_one_song_and_one_bill_each(open_house: OpenHouse) -> None:
    models = ("suno/v5", "suno/v4.5", "elevenlabs/music", "minimax/music-2.6")
    magic = "[emulate lengths=3,3 length_s=3 latency_s=1 default_length_s=3]"
    async with open_house() as house:
        with house.watch() as seen:
            jobs = await asyncio.gather(
                *(
                    house.make({"model": models[number % 4], "prompt": f"song {number} {magic}"})
                    for number in range(16)
                )
            )
    assert {job["status"] for job in jobs} == {"completed"}
    assert len({job["id"] for job in jobs}) == 16
    assert len({job["nativeResponseId"] for job in jobs}) == 16
    assert (len(seen.creates), seen.billed) == (16, 16)


async def test_a_background_service_that_fails_shows_in_readyz_until_it_runs_again(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = asyncio.Event()

    async def serve(self: object) -> None:
        if not fails.is_set():
            fails.set()
            raise RuntimeError("the sweeper broke")
        await asyncio.Event().wait()

    monkeypatch.setattr("musicgate.gateway.sweep.Sweeper.run", serve)
    async with open_house() as house:
        await fails.wait()
        down = await house.call("GET", "/readyz", key=None)
        assert (down.status, down.body["error"], down.body["status"]) == (503, "gateway_error", "not_ready")
        assert down.body["background"]["sweeper"] == {
            "running": False,
            "restarts": 1,
            "error": "RuntimeError",
        }
        async with asyncio.timeout(10):
            while (again := await house.call("GET", "/readyz", key=None)).status != 200:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
        assert again.body["background"]["sweeper"]["running"]
        assert again.body["jobs"] == {"open": 0, "in_flight": 0, "scheduled": 0}


async def test_readyz_counts_open_jobs_by_their_owner(open_house: OpenHouse) -> None:
    async with open_house(follow={"speed": 1.0}) as house:
        reply = await house.create({**KIE, "prompt": "rain"})
        assert reply.status == 200
        ready = await house.call("GET", "/readyz", key=None)
        assert ready.body["jobs"] == {"open": 1, "in_flight": 0, "scheduled": 1}


async def test_a_job_that_cannot_be_read_again_after_a_wait_is_answered_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise StorageError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(house.gateway, "wait", broken)
        reply = await house.create({**KIE, "prompt": "rain"}, Prefer="wait=5")
    assert (reply.status, reply.body["status"] in {"queued", "in_progress"}) == (200, True)


async def test_an_accept_loop_that_fails_is_started_again(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, starts = Listener._accept, 0

    async def fails_once(self: Listener, sock: socket.socket) -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise MemoryError
        await accept(self, sock)

    monkeypatch.setattr(Listener, "_accept", fails_once)
    async with open_house() as house:
        async with asyncio.timeout(10):
            ready = await house.call("GET", "/readyz", key=None)
        service = next(value for name, value in ready.body["background"].items() if name.startswith("accept"))
        assert service == {"running": True, "restarts": 1, "error": "MemoryError"}


async def test_a_create_call_to_a_gateway_that_closes_is_a_503_and_stores_nothing(
    open_house: OpenHouse,
) -> None:
    async with open_house() as house:
        house.gateway._runner.in_flight.close()
        reply = await house.create({**KIE, "prompt": "rain"})
        assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
        assert reply.body["description"] == "the gateway is closed; nothing was stored or sent"
        assert (await house.call("GET", "/v1/music/generate")).body["data"] == []
