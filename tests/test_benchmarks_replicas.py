"""The benchmarks of replicas: relay, what vendor and callers note, calculation on paper."""

import asyncio
from pathlib import Path

import pytest

from benchmarks import results, scale
from benchmarks.load import ask, request_bytes
from benchmarks.relay import Network, Relay
from benchmarks.vendor import CREATE, POLL
from benchmarks.watched import Call, Callers, WatchedVendor

READY = b"Z\x00\x00\x00\x05I"


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A PostgreSQL that is ready after whatever it is sent."""
    while await reader.read(100):
        writer.write(READY)
    writer.close()


async def test_relay_counts_round_trips_falls_silent_and_refuses(tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(answers, tmp_path / "socket")
    async with server, Relay(tmp_path / "socket").running() as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        for _ in range(2):
            writer.write(b"Q")
            assert await reader.readexactly(len(READY)) == READY
        assert relay.round_trips == 2
        await relay.become(Network.SILENT)
        writer.write(b"Q")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.1)
        await relay.become(Network.UP)
        assert await reader.readexactly(len(READY)) == READY
        await relay.become(Network.REFUSED)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", relay.port)
        writer.close()


async def test_watched_vendor_notes_which_replica_asks_about_which_job() -> None:
    async with WatchedVendor.serving() as vendor:
        body = b'{"callBackUrl": "http://x/v1/callbacks/music_1/token"}'
        made = await ask(vendor.port, request_bytes("POST", f"/a{CREATE.decode()}", body=body))
        task_id = made.json()["data"]["taskId"]
        await ask(vendor.port, request_bytes("GET", f"/b{POLL.decode()}{task_id}"))
    assert vendor.songs == {"music_1": [task_id]}
    assert [(poll.who, poll.job) for poll in vendor.polls] == [("b", "music_1")]
    since_s = vendor.polls[0].at_s - 1
    assert vendor.first_polls({"music_1"}, since_s, "b") == {"music_1": pytest.approx(1)}
    assert vendor.first_polls({"music_1"}, since_s, "a") == {}


def test_creates_work_again_with_the_first_good_one_after_the_last_refused_one() -> None:
    callers = Callers(lambda: (), ())
    for at_s, status in ((1.0, 200), (2.0, 503), (3.0, 200), (4.0, 0), (5.5, 200), (6.0, 200)):
        callers.calls.append(Call(at_s=at_s, took_s=0.1, kind="create", status=status))
    callers.calls.append(Call(at_s=9.0, took_s=0.1, kind="GET", status=503))
    assert callers.works_again_s("create", 3.5) == 2.0
    assert callers.works_again_s("create", 5.8) == 0.0
    assert callers.refused("create") == {(503, ""): 1, (0, ""): 1}


def test_replicas_beyond_the_shares_follow_nothing_on_paper() -> None:
    measured = results.read(results.RECORDED)["measurements"]
    rows = scale.rows(measured, 6_400_000, 100, 600.0)
    found = {part: (load, most) for part, load, most in rows}
    assert found["shares"] == (
        "100 replicas, 100,000 jobs for each follower",
        "64 followers: 36 replicas follow nothing",
    )
    assert found["polls of a follower"][0].startswith("6,667/s: ")
    assert found["connections"][0] == "1,900"
