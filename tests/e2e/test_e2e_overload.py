"""What one client can hold open or make the server do: connections, headers, bodies, streams, waits, descriptors."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import resource
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from musicgate.web import (
    audio,
    jobs,
    listener,
    music,
)
from tests.e2e.house import ACCOUNT_KEY, violations
from tests.e2e.raw import RawAnswer, connect, exchange, read_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

SONG: dict[str, Any] = {"model": "suno/v5", "prompt": "rain [emulate lengths=3,3 skip=text]"}
OPEN: dict[str, Any] = {"model": "suno/v5", "prompt": "rain [emulate stop=TEXT_SUCCESS callbacks=off]"}
KEYS = {"one": ACCOUNT_KEY, "two": "test-key-of-two", "three": "test-key-of-three"}
ACCOUNTS = tuple(Account(name=name, key=Secret(key)) for name, key in KEYS.items())
LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def request(method: str, path: str, account: str, *more: str) -> bytes:
    """The head of a request."""
    key = f"Authorization: Bearer {KEYS[account]}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", key, *more, "", ""]).encode()


def half_body(account: str = "one") -> bytes:
    """A request whose body does not come."""
    return request("POST", "/v1/music/plan", account, "Content-Length: 5000") + b"{"


@asynccontextmanager
async def held(
    house: House, *sent: bytes
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Connections that send something each, and stay."""
    async with AsyncExitStack() as stack:
        opened = []
        for piece in sent:
            reader, writer = await connect(house)
            stack.callback(writer.close)
            writer.write(piece)
            opened.append((reader, writer))
        await asyncio.sleep(0.15)
        yield opened


def check_refused(answer: RawAnswer, status: int, reason: str) -> None:
    """An envelope that says when to come again."""
    assert (answer.status, answer.body["reason"]) == (status, reason)
    assert violations("error", answer.body) == []
    assert 1 <= int(answer.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    "path", ["/v1/music/generate", "/v1/music/plan", "/nowhere", "/v1/callbacks/music_x/x"]
)
async def test_a_bomb_without_a_key_is_not_unpacked(house: House, path: str) -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    started = time.process_time()
    (answer,) = await exchange(house, head.encode() + bomb)
    assert answer.status in {401, 404}
    assert time.process_time() - started < 0.2


async def test_a_bomb_with_a_key_is_unpacked_up_to_the_limit(house: House) -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    started = time.process_time()
    reply = await house.call("POST", "/v1/music/plan", data=bomb, headers={"Content-Encoding": "gzip"})
    assert (reply.status, reply.body["error"]) == (413, "payload_too_large")
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost: local"], ids=["idle", "half headers"])
async def test_connections_that_ask_nothing_shut_nobody_out(open_house: OpenHouse, sent: bytes) -> None:
    async with open_house(server={"max_connections": 20}) as house, held(house, *[sent] * 60) as quiet:
        for _ in range(3):
            (answer,) = await exchange(house, LIVE, timeout_s=3)
            assert answer.status == 200
        assert quiet[0][0].at_eof(), "the one that was idle longest is still there"
        assert not quiet[-1][0].at_eof()
        assert sum(not reader.at_eof() for reader, _ in quiet) <= 20


async def test_what_does_not_come_in_time_is_not_waited_for(open_house: OpenHouse) -> None:
    times = {"headers_timeout_s": 0.3, "body_timeout_s": 0.3, "idle_timeout_s": 0.3}
    async with open_house(server=times, accounts=ACCOUNTS) as house:
        sent = (b"", b"GET / HTTP/1.1\r\nX: ", half_body(), LIVE)
        async with asyncio.timeout(5), held(house, *sent) as (silent, head, body, kept):
            assert await silent[0].read() == b""
            answer = await read_answer(head[0])
            assert (answer.status, answer.body["reason"]) == (408, "headers_timeout")
            assert violations("error", answer.body) == []
            answer = await read_answer(body[0])
            assert (answer.status, answer.body["reason"]) == (408, "body_timeout")
            assert (await read_answer(kept[0])).status == 200
            for reader, _ in (head, body, kept):
                assert await reader.read() == b""


async def test_headers_that_drip_do_not_live_longer(open_house: OpenHouse) -> None:
    async with (
        open_house(server={"headers_timeout_s": 0.5}) as house,
        held(house, b"GET / HTTP/1.1\r\n") as opened,
    ):
        ((reader, writer),) = opened
        started = time.monotonic()
        async with asyncio.timeout(5):
            while not reader.at_eof() and time.monotonic() - started < 4:
                writer.write(b"X: 1\r\n")
                await asyncio.sleep(0.05)
                if reader._buffer:  # type: ignore[attr-defined]
                    break
        assert time.monotonic() - started < 3


async def test_one_accounts_half_bodies_leave_room_for_others(open_house: OpenHouse) -> None:
    async with open_house(server={"max_connections": 12}, accounts=ACCOUNTS) as house:
        async with held(house, *[half_body()] * 6):
            (more,) = await exchange(house, request("GET", "/v1/music/models", "one"))
            check_refused(more, 429, "requests_in_progress")
            assert more.body["error"] == "key_limit_exceeded"
            (other,) = await exchange(house, request("GET", "/v1/music/models", "two"))
            assert other.status == 200
        await asyncio.sleep(0.1)
        (again,) = await exchange(house, request("GET", "/v1/music/models", "one"))
        assert again.status == 200


async def test_clients_that_leave_in_the_middle_of_their_body_are_no_lines_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with held(house, *[half_body()] * 5):
        pass
    await asyncio.sleep(0.2)
    assert [record for record in caplog.records if record.name != "asyncio"] == []


async def test_when_every_connection_is_in_use_a_new_one_is_told_so(open_house: OpenHouse) -> None:
    async with open_house(server={"max_connections": 4}, accounts=ACCOUNTS) as house:
        async with held(house, *[half_body("one")] * 2, *[half_body("two")] * 2):
            for _ in range(3):
                (answer,) = await exchange(house, LIVE, timeout_s=3)
                check_refused(answer, 503, "connections")
        await asyncio.sleep(0.1)
        (answer,) = await exchange(house, LIVE)
        assert answer.status == 200


async def test_event_streams_are_counted_by_account_and_in_all(
    open_house: OpenHouse, caplog: pytest.LogCaptureFixture
) -> None:
    limits = {"max_event_streams": 5, "max_event_streams_per_account": 3}
    async with open_house(server=limits, accounts=ACCOUNTS) as house:
        paths = {}
        for name, key in KEYS.items():
            job = (await house.call("POST", "/v1/music/generate", body=OPEN, key=key)).body["id"]
            paths[name] = request("GET", f"/v1/music/generate/{job}/events", name)
        caplog.set_level(logging.INFO, "musicgate")
        caplog.clear()
        async with held(house, *[paths["one"]] * 3) as opened:
            for reader, _ in opened:
                assert (await read_answer(reader)).status == 200
            (fourth,) = await exchange(house, paths["one"])
            check_refused(fourth, 429, "event_streams")
            async with held(house, *[paths["two"]] * 2):
                (sixth,) = await exchange(house, paths["three"])
                check_refused(sixth, 503, "event_streams")
                assert sixth.headers["x-gateway-error-attribution"] == "upstream"
                (other,) = await exchange(house, request("GET", "/v1/music/models", "three"))
                assert other.status == 200
        await asyncio.sleep(0.3)
        for name in ("one", "two"):  # the store says something, and each dead stream is found out
            job_id = paths[name].split(b"/")[4].decode()
            await house.call("POST", f"/v1/music/generate/{job_id}/cancel", key=KEYS[name])
        await asyncio.sleep(0.2)
        async with held(house, paths["three"]) as opened:
            assert (await read_answer(opened[0][0])).status == 200
        assert [record.getMessage() for record in caplog.records if "stream" in record.getMessage()] == []


async def test_waiting_requests_are_counted_and_a_refused_create_buys_nothing(open_house: OpenHouse) -> None:
    limits = {"max_waiting_requests": 3, "max_waiting_requests_per_account": 2}
    async with open_house(server=limits, accounts=ACCOUNTS) as house:
        job = (await house.create(OPEN)).body["id"]
        path = f"/v1/music/generate/{job}"
        async with held(house, *[request("GET", path, "one", "Prefer: wait=20")] * 2):
            (more,) = await exchange(house, request("GET", path, "one", "Prefer: wait=1"))
            check_refused(more, 429, "waiting_requests")
            with house.watch() as seen:
                refused = await house.create(OPEN, Prefer="wait=5")
            assert (refused.status, refused.body["reason"], seen.creates) == (429, "waiting_requests", [])
            (plain,) = await exchange(house, request("GET", path, "one"))
            assert plain.status == 200
            theirs = (await house.call("POST", "/v1/music/generate", body=OPEN, key=KEYS["two"])).body["id"]
            where = f"/v1/music/generate/{theirs}"
            async with held(house, request("GET", where, "two", "Prefer: wait=20")):
                (third,) = await exchange(house, request("GET", where, "two", "Prefer: wait=1"))
                check_refused(third, 503, "waiting_requests")
            await house.call("POST", f"{path}/cancel")
            await house.call("POST", f"{where}/cancel", key=KEYS["two"])
        reply = await house.call("GET", path, headers={"Prefer": "wait=1"})
        assert reply.status == 200


async def test_a_process_without_descriptors_goes_on_accepting_later_and_says_so_once(
    open_house: OpenHouse, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = [0]
    not_accepted = listener.Listener._not_accepted

    async def counted(self: listener.Listener, error: OSError) -> None:
        tries[0] += 1
        await not_accepted(self, error)

    monkeypatch.setattr(listener.Listener, "_not_accepted", counted)
    async with open_house() as house:
        where = urlsplit(house.url)
        clients = [socket.socket() for _ in range(20)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        hoard: list[int] = []
        loop = asyncio.get_running_loop()
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(sock.fileno() for sock in clients) + 40, hard))
            with suppress(OSError):
                while True:
                    hoard.append(os.open(os.devnull, os.O_RDONLY))
            caplog.clear()
            for client in clients:
                client.setblocking(False)  # noqa: FBT003 - the standard library takes it so
                await loop.sock_connect(client, (where.hostname, where.port))
            await asyncio.sleep(1.0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in hoard:
                os.close(descriptor)
        said = [record.getMessage() for record in caplog.records if "accept" in record.getMessage()]
        assert len(said) == 1
        assert 1 < tries[0] < 40, "it tries again, without keeping the processor busy"
        async with asyncio.timeout(5):
            for client in clients:  # each of them was kept
                await loop.sock_sendall(client, LIVE)
                assert (await loop.sock_recv(client, 100)).startswith(b"HTTP/1.1 200")
                client.close()


# ------------------------------------------------------------------------------------------------ callbacks


async def test_a_callbacks_body_is_read_after_its_token(house: House) -> None:
    job = (await house.create(OPEN)).body["id"]
    refused = []
    for job_id in (job, "music_01ZZZZZZZZZZZZZZZZZZZZZZZZ"):
        head = f"POST /v1/callbacks/{job_id}/wrong HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        async with asyncio.timeout(3), held(house, head.encode()) as opened:
            answer = await read_answer(opened[0][0])
        body = {**answer.body, "generation_id": "", "request_id": ""}
        refused.append((answer.status, sorted(answer.headers), json.dumps(body).replace(job_id, "?")))
    assert refused[0] == refused[1]
    assert refused[0][0] == 404


async def test_a_callbacks_body_is_small(house: House) -> None:
    job = (await house.create(OPEN)).body["id"]
    stored = await house.gateway._context.store.get(job)
    assert stored is not None
    path = f"/v1/callbacks/{job}/{stored.callback_token}"
    # It is read, and then missed: the vendor signs its callbacks.
    assert (await house.call("POST", path, data=b" " * music.MAX_CALLBACK_BYTES)).status == 401
    packed = gzip.compress(b" " * (music.MAX_CALLBACK_BYTES + 1))
    for data, headers in (
        (b" " * (music.MAX_CALLBACK_BYTES + 1), {}),
        (packed, {"Content-Encoding": "gzip"}),
    ):
        reply = await house.call("POST", path, data=data, headers=headers)
        assert (reply.status, reply.body["error"]) == (413, "payload_too_large")


# ------------------------------------------------------------------------------------------------ slow readers


async def test_a_download_that_takes_nothing_is_cut_off_and_holds_no_file(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audio, "STALL_S", 0.3)
    async with open_house() as house:
        job = await house.make(SONG)
        stored = await house.gateway._context.store.get(job["id"])
        assert stored is not None
        path = house.gateway.audio_path(stored, 0)
        assert path is not None
        path.write_bytes(bytes(64_000_000))
        async with held(house, request("GET", f"/v1/music/generate/{job['id']}/audio/0", "one")) as opened:
            ((reader, writer),) = opened
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            assert str(path) not in open_files()
            await asyncio.sleep(1.0)
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            got = 0
            async with asyncio.timeout(5):
                with suppress(ConnectionError):
                    while piece := await reader.read(1_000_000):
                        got += len(piece)
            assert 0 < got < 64_000_000
        assert "failed" not in caplog.text


def open_files() -> set[str]:
    """What this process has open; empty where that cannot be seen."""
    found = set()
    for link in Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").exists() else ():
        with suppress(OSError):
            found.add(str(link.readlink()))
    return found


# ------------------------------------------------------------------------------------------------ pages


async def test_a_page_that_grows_large_ends_earlier_and_nothing_is_left_out(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_PAGE_BYTES", 2500)
    async with open_house() as house:
        made = [(await house.create(OPEN)).body["id"] for _ in range(7)]
        seen: list[str] = []
        cursor: str | None = ""
        pages = 0
        while cursor is not None:
            page = (await house.call("GET", f"/v1/music/generate?limit=5{cursor}")).body
            assert 1 <= len(page["data"]) < 5
            seen += [job["id"] for job in page["data"]]
            pages += 1
            cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == made[::-1]
    assert pages > 2
