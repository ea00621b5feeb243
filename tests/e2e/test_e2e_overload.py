"""What one client can hold open: connections, headers, bodies, streams, waits, descriptors."""

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
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from musicgate.web import (
    kept_files,
    listener,
    music,
)
from tests.e2e.raw import RawAnswer, connect, exchange, read_answer
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, PLAN, UNFINISHED, song, violations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SONG = song(switches="song_s=3,3 skip=text")
KEYS = {"one": ACCOUNT_KEY, "two": "test-key-of-two", "three": "test-key-of-three"}
ACCOUNTS = tuple(Account(name=name, key=Secret(key)) for name, key in KEYS.items())
LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def request(method: str, path: str, account: str | None, *more: str) -> bytes:
    """The head of a request."""
    key = [f"Authorization: Bearer {KEYS[account]}"] if account else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *key, *more, "", ""]).encode()


def half_body(account: str = "one") -> bytes:
    """A request whose body does not arrive."""
    return request("POST", PLAN, account, "Content-Length: 5000") + b"{"


@asynccontextmanager
async def held(
    server: RunningServer, *sent: bytes
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Connections that send one piece each and stay open."""
    async with AsyncExitStack() as stack:
        opened = []
        for piece in sent:
            reader, writer = await connect(server)
            stack.callback(writer.close)
            writer.write(piece)
            opened.append((reader, writer))
        await asyncio.sleep(0.15)
        yield opened


def check_refused(answer: RawAnswer, status: int, reason: str) -> None:
    """Check the envelope and that it says when to retry."""
    assert (answer.status, answer.body["reason"]) == (status, reason)
    assert violations("error", answer.body) == []
    assert 1 <= int(answer.headers["retry-after"]) <= 60


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """200 MB of zeros in 200 kB."""
    return gzip.compress(bytes(200_000_000), 6)


@pytest.mark.parametrize("path", [JOBS, "/nowhere", "/v1/callbacks/music_x/x"])
async def test_a_zip_bomb_without_a_key_is_not_decompressed(
    server: RunningServer, bomb: bytes, path: str
) -> None:
    head = request("POST", path, None, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
    started = time.process_time()
    (answer,) = await exchange(server, head + bomb)
    assert answer.status in {401, 404}
    assert time.process_time() - started < 0.2


async def test_a_zip_bomb_with_a_key_is_decompressed_up_to_the_limit(
    server: RunningServer, bomb: bytes
) -> None:
    started = time.process_time()
    reply = await server.call("POST", PLAN, data=bomb, headers={"Content-Encoding": "gzip"})
    assert (reply.status, reply.body["error"]) == (413, "payload_too_large")
    assert time.process_time() - started < 0.2


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost: local"], ids=["idle", "half headers"])
async def test_idle_connections_are_closed_to_make_room(open_server: OpenServer, sent: bytes) -> None:
    async with open_server(server={"max_connections": 20}) as server, held(server, *[sent] * 60) as quiet:
        for _ in range(3):
            (answer,) = await exchange(server, LIVE, timeout_s=3)
            assert answer.status == 200
        assert quiet[0][0].at_eof(), "the connection that was idle longest is still open"
        assert not quiet[-1][0].at_eof()
        assert sum(not reader.at_eof() for reader, _ in quiet) <= 20


async def test_slow_headers_slow_bodies_and_idle_connections_time_out(open_server: OpenServer) -> None:
    times = {"headers_timeout_s": 0.3, "body_timeout_s": 0.3, "idle_timeout_s": 0.3}
    async with open_server(server=times, accounts=ACCOUNTS) as server:
        sent = (b"", b"GET / HTTP/1.1\r\nX: ", half_body(), LIVE)
        async with asyncio.timeout(5), held(server, *sent) as (silent, head, body, kept):
            assert await silent[0].read() == b""
            answer = await read_answer(head[0])
            assert (answer.status, answer.body["reason"]) == (408, "headers_timeout")
            assert violations("error", answer.body) == []
            answer = await read_answer(body[0])
            assert (answer.status, answer.body["reason"]) == (408, "body_timeout")
            assert (await read_answer(kept[0])).status == 200
            for reader, _ in (head, body, kept):
                assert await reader.read() == b""


async def test_headers_that_arrive_one_by_one_time_out_all_the_same(open_server: OpenServer) -> None:
    async with (
        open_server(server={"headers_timeout_s": 0.5}) as server,
        held(server, b"GET / HTTP/1.1\r\n") as opened,
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


async def test_unfinished_requests_of_one_account_leave_room_for_others(open_server: OpenServer) -> None:
    async with open_server(server={"max_connections": 12}, accounts=ACCOUNTS) as server:
        async with held(server, *[half_body()] * 6):
            (more,) = await exchange(server, request("GET", "/v1/music/models", "one"))
            check_refused(more, 429, "requests_in_progress")
            assert more.body["error"] == "key_limit_exceeded"
            (other,) = await exchange(server, request("GET", "/v1/music/models", "two"))
            assert other.status == 200
        await asyncio.sleep(0.1)
        (again,) = await exchange(server, request("GET", "/v1/music/models", "one"))
        assert again.status == 200


async def test_a_client_that_hangs_up_in_the_middle_of_its_body_is_not_logged(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with held(server, *[half_body()] * 5):
        pass
    await asyncio.sleep(0.2)
    usual = {"asyncio", "musicgate.web.request_log"}  # the last is a line for each request, where wanted
    assert [record for record in caplog.records if record.name not in usual] == []


async def test_a_connection_above_the_limit_is_answered_with_503(open_server: OpenServer) -> None:
    async with open_server(server={"max_connections": 4}, accounts=ACCOUNTS) as server:
        async with held(server, *[half_body("one")] * 2, *[half_body("two")] * 2):
            for _ in range(3):
                (answer,) = await exchange(server, LIVE, timeout_s=3)
                check_refused(answer, 503, "connections")
        await asyncio.sleep(0.1)
        (answer,) = await exchange(server, LIVE)
        assert answer.status == 200


async def test_event_streams_are_limited_per_account_and_in_total(
    open_server: OpenServer, caplog: pytest.LogCaptureFixture
) -> None:
    limits = {"max_event_streams": 5, "max_event_streams_per_account": 3}
    async with open_server(server=limits, accounts=ACCOUNTS) as server:
        paths = {}
        for name, key in KEYS.items():
            job = (await server.call("POST", JOBS, body=UNFINISHED, key=key)).body["id"]
            paths[name] = request("GET", f"{JOBS}/{job}/events", name)
        caplog.set_level(logging.INFO, "musicgate")
        caplog.clear()
        async with held(server, *[paths["one"]] * 3) as opened:
            for reader, _ in opened:
                assert (await read_answer(reader)).status == 200
            (fourth,) = await exchange(server, paths["one"])
            check_refused(fourth, 429, "event_streams")
            async with held(server, *[paths["two"]] * 2):
                (sixth,) = await exchange(server, paths["three"])
                check_refused(sixth, 503, "event_streams")
                assert sixth.headers["x-gateway-error-attribution"] == "upstream"
                (other,) = await exchange(server, request("GET", "/v1/music/models", "three"))
                assert other.status == 200
        await asyncio.sleep(0.3)
        for name in ("one", "two"):  # an event makes each dead stream notice that its client is gone
            job_id = paths[name].split(b"/")[4].decode()
            await server.call("POST", f"{JOBS}/{job_id}/cancel", key=KEYS[name])
        await asyncio.sleep(0.2)
        async with held(server, paths["three"]) as opened:
            assert (await read_answer(opened[0][0])).status == 200
        assert [record.getMessage() for record in caplog.records if "stream" in record.getMessage()] == []


async def test_waiting_requests_are_limited_and_a_refused_create_calls_no_vendor(
    open_server: OpenServer,
) -> None:
    limits = {"max_waiting_requests": 3, "max_waiting_requests_per_account": 2}
    async with open_server(server=limits, accounts=ACCOUNTS) as server:
        job = (await server.create(UNFINISHED)).body["id"]
        path = f"{JOBS}/{job}"
        async with held(server, *[request("GET", path, "one", "Prefer: wait=20")] * 2):
            (more,) = await exchange(server, request("GET", path, "one", "Prefer: wait=1"))
            check_refused(more, 429, "waiting_requests")
            with server.vendor_calls() as calls:
                refused = await server.create(UNFINISHED, Prefer="wait=5")
            assert (refused.status, refused.body["reason"], calls.creates) == (429, "waiting_requests", [])
            (plain,) = await exchange(server, request("GET", path, "one"))
            assert plain.status == 200
            theirs = (await server.call("POST", JOBS, body=UNFINISHED, key=KEYS["two"])).body["id"]
            where = f"{JOBS}/{theirs}"
            async with held(server, request("GET", where, "two", "Prefer: wait=20")):
                (third,) = await exchange(server, request("GET", where, "two", "Prefer: wait=1"))
                check_refused(third, 503, "waiting_requests")
            await server.call("POST", f"{path}/cancel")
            await server.call("POST", f"{where}/cancel", key=KEYS["two"])
        reply = await server.call("GET", path, headers={"Prefer": "wait=1"})
        assert reply.status == 200


async def test_a_wait_whose_client_has_gone_gives_its_place_back(open_server: OpenServer) -> None:
    async with open_server(server={"max_waiting_requests": 1}, accounts=ACCOUNTS) as server:
        path = f"{JOBS}/{(await server.create(UNFINISHED)).body['id']}"
        body = json.dumps(UNFINISHED)
        length, kind = f"Content-Length: {len(body)}", "Content-Type: application/json"
        create = request("POST", JOBS, "one", "Prefer: wait=60", length, kind) + body.encode()
        for wait in (request("GET", path, "one", "Prefer: wait=60"), create):
            async with held(server, wait):
                (more,) = await exchange(server, request("GET", path, "one", "Prefer: wait=1"))
                assert more.body["reason"] == "waiting_requests"
            async with asyncio.timeout(10):
                while more.status != 200:
                    (more,) = await exchange(server, request("GET", path, "one", "Prefer: wait=1"))


async def test_without_free_descriptors_accepting_is_retried_and_logged_once(
    open_server: OpenServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = [0]
    not_accepted = listener.Listener._not_accepted

    async def counted(self: listener.Listener, error: OSError) -> None:
        tries[0] += 1
        await not_accepted(self, error)

    monkeypatch.setattr(listener.Listener, "_not_accepted", counted)
    async with open_server() as server:
        where = urlsplit(server.url)
        clients = [socket.socket() for _ in range(20)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        occupied: list[int] = []
        loop = asyncio.get_running_loop()
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(sock.fileno() for sock in clients) + 40, hard))
            with suppress(OSError):
                while True:
                    occupied.append(os.open(os.devnull, os.O_RDONLY))
            caplog.clear()
            for client in clients:
                client.setblocking(False)  # noqa: FBT003 - the standard library takes it so
                await loop.sock_connect(client, (where.hostname, where.port))
            await asyncio.sleep(1.0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in occupied:
                os.close(descriptor)
        logged = [record.getMessage() for record in caplog.records if "accept" in record.getMessage()]
        assert len(logged) == 1
        assert 1 < tries[0] < 40, "it retries, without keeping the processor busy"
        async with asyncio.timeout(5):
            for client in clients:  # every connection was kept
                await loop.sock_sendall(client, LIVE)
                assert (await loop.sock_recv(client, 100)).startswith(b"HTTP/1.1 200")
                client.close()


# --- callbacks ---


async def test_a_callbacks_body_is_read_after_its_token(server: RunningServer) -> None:
    job = (await server.create(UNFINISHED)).body["id"]
    refused = []
    for job_id in (job, "music_01ZZZZZZZZZZZZZZZZZZZZZZZZ"):
        head = f"POST /v1/callbacks/{job_id}/wrong HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        async with asyncio.timeout(3), held(server, head.encode()) as opened:
            answer = await read_answer(opened[0][0])
        body = {**answer.body, "generation_id": "", "request_id": ""}
        refused.append((answer.status, sorted(answer.headers), json.dumps(body).replace(job_id, "?")))
    assert refused[0] == refused[1]
    assert refused[0][0] == 404


async def test_a_callbacks_body_is_small(server: RunningServer) -> None:
    job = (await server.create(UNFINISHED)).body["id"]
    stored = await server.gateway._context.store.get(job)
    assert stored is not None
    path = f"/v1/callbacks/{job}/{stored.callback_token}"
    # It is read, and refused for lack of a signature.
    assert (await server.call("POST", path, data=b" " * music.MAX_CALLBACK_BYTES)).status == 401
    packed = gzip.compress(b" " * (music.MAX_CALLBACK_BYTES + 1))
    for data, headers in (
        (b" " * (music.MAX_CALLBACK_BYTES + 1), {}),
        (packed, {"Content-Encoding": "gzip"}),
    ):
        reply = await server.call("POST", path, data=data, headers=headers)
        assert (reply.status, reply.body["error"]) == (413, "payload_too_large")


# --- slow readers ---


async def test_a_stalled_download_is_disconnected_and_holds_no_open_file(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kept_files, "STALL_S", 0.3)
    async with open_server() as server:
        job = await server.generate(SONG)
        stored = await server.gateway._context.store.get(job["id"])
        assert stored is not None
        path = server.gateway.audio_path(stored, 0)
        assert path is not None
        path.write_bytes(bytes(64_000_000))
        async with held(server, request("GET", f"{JOBS}/{job['id']}/audio/0", "one")) as opened:
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
    """The files that this process has open; empty where there is no /proc."""
    found = set()
    for link in Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").exists() else ():
        with suppress(OSError):
            found.add(str(link.readlink()))
    return found
