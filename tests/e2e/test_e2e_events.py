"""Event streams for late, slow and many readers; answers that wait for the end (``Prefer: wait``).

The order of events is the subject of tests/test_lifecycle.py and tests/test_events.py.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import attrs
import pytest

from musicgate.model import EventKind, JobEvent
from musicgate.web import events as streaming
from musicgate.web.capacity import Capacity
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, UNFINISHED, RunningServer, song, violations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from tests.e2e.running_server import OpenServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@attrs.frozen(kw_only=True)
class Frame:
    """One frame of a stream, read as the standard says; a comment has no event."""

    id: str = ""
    event: str = ""
    data: str = ""
    comment: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of an event."""
        return dict(json.loads(self.data))


def read_frame(text: str) -> Frame:
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        fields[name or "comment"] = value.removeprefix(" ")
    fields.pop("retry", None)
    return Frame(**fields)


@asynccontextmanager
async def stream(
    server: RunningServer, music_id: str, query: str = "", **headers: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """An open stream."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["Authorization"] = f"Bearer {ACCOUNT_KEY}"
    url = f"{server.url}{JOBS}/{music_id}/events{query}"
    async with server.session.get(url, headers=named) as answer:
        yield answer


async def frames(answer: aiohttp.ClientResponse) -> AsyncIterator[Frame]:
    """The frames of a stream up to its end."""
    rest = b""
    async for piece in answer.content.iter_any():
        *whole, rest = (rest + piece).split(b"\n\n")
        for text in whole:
            frame = read_frame(text.decode())
            if frame != Frame():
                yield frame
    assert rest == b""


async def listen(server: RunningServer, music_id: str, query: str = "", **headers: str) -> list[Frame]:
    """All frames up to the end."""
    async with asyncio.timeout(15), stream(server, music_id, query, **headers) as answer:
        assert answer.status == 200
        return [frame async for frame in frames(answer)]


def numbers(seen: Sequence[Frame]) -> list[int]:
    """The numbers of the events."""
    return [int(frame.id) for frame in seen if frame.event]


async def test_a_stream_has_every_event_of_a_job_and_ends_with_the_job(server: RunningServer) -> None:
    created = (await server.create(song(switches="song_s=3,3"))).body
    async with stream(server, created["id"]) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        seen = [frame async for frame in frames(answer)]
    assert numbers(seen) == list(range(1, len(seen) + 1))
    kinds = [frame.event for frame in seen]
    assert kinds[:3] == ["created", "attempt", "attempt"]
    assert kinds[-1] == "settled"
    assert kinds.count("settled") == 1
    assert {"state", "track", "output"} < set(kinds)
    for frame in seen:
        body = frame.body
        assert (body["number"], body["type"]) == (int(frame.id), frame.event)
        assert body["at"].endswith("Z")
        assert ("job" in body) is (frame.event == "settled")
    shown = seen[-1].body["job"]
    assert violations("job", shown) == []
    assert shown == (await server.get(created["id"])).body
    assert seen[-1].body["data"] == {"state": "completed", "reason": None}
    for music_id in (created["id"], shown["nativeResponseId"]):
        assert [frame.data for frame in await listen(server, music_id)] == [frame.data for frame in seen]
    alias = await server.call("GET", f"/v1/music/generations/{created['id']}/events")
    assert alias.raw.count(b"event: settled") == 1


async def test_a_failed_job_ends_its_stream_with_the_reason(server: RunningServer) -> None:
    job = await server.generate(song(switches="end=SENSITIVE_WORD_ERROR"))
    last = (await listen(server, job["id"]))[-1].body
    assert last["data"] == {"state": "failed", "reason": job["error"]["reason"]}
    assert last["job"]["error"] == job["error"]


async def test_tracks_can_be_played_before_the_song_is_done(open_server: OpenServer) -> None:
    async with open_server(speed=60.0) as server:
        created = (await server.create(song(switches="song_s=3,3 first_s=15 done_s=90"))).body
        early: list[dict[str, Any]] = []
        async with asyncio.timeout(15), stream(server, created["id"]) as answer:
            async for frame in frames(answer):
                if frame.event == "track":
                    early.append(frame.body["data"])
                    if len(early) == 1:
                        assert (await server.get(created["id"])).body["status"] == "in_progress"
    for track in early:
        ours = f"{server.url}{JOBS}/{created['id']}/stream/{track['index']}?"
        assert track["stream_audio_url"] is None or track["stream_audio_url"].startswith(ours)
    assert {track["index"] for track in early if track["audio_url"]} == {0, 1}
    for index in (0, 1):
        links = [
            (bool(track["stream_audio_url"]), bool(track["audio_url"]))
            for track in early
            if track["index"] == index
        ]
        assert len(links) == len(set(links)), "a link was sent twice"


async def test_a_reader_that_reconnects_after_every_event_misses_none(server: RunningServer) -> None:
    created = (await server.create(song(switches="song_s=3,3"))).body
    others = [asyncio.create_task(listen(server, created["id"])) for _ in range(2)]
    pieces: list[Frame] = []
    async with asyncio.timeout(15):
        while not pieces or pieces[-1].event != "settled":
            last = pieces[-1].id if pieces else "0"
            async with stream(server, created["id"], Last_Event_ID=last) as answer:
                async for frame in frames(answer):
                    pieces.append(frame)
                    break
    first, second = await asyncio.gather(*others)
    assert numbers(first) == numbers(second) == numbers(pieces) == list(range(1, len(pieces) + 1))


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?after=3", {}), ("", {"Last_Event_ID": "3"}), ("?after=1", {"Last_Event_ID": "3"})],
    ids=["query", "header", "header wins"],
)
async def test_a_stream_continues_after_the_given_number(
    server: RunningServer, query: str, headers: Mapping[str, str]
) -> None:
    job = await server.generate(song())
    seen = await listen(server, job["id"], query, **headers)
    assert numbers(seen)[0] == 4
    assert seen[-1].event == "settled"


async def test_a_reader_that_has_the_final_event_is_answered_with_204(server: RunningServer) -> None:
    job = await server.generate(song())
    last = (await listen(server, job["id"]))[-1]
    for after in (last.id, "999999999999999"):
        reply = await server.call("GET", f"{JOBS}/{job['id']}/events", headers={"Last-Event-ID": after})
        assert (reply.status, reply.raw) == (204, b"")
    assert [frame.event for frame in await listen(server, job["id"], f"?after={int(last.id) - 1}")] == [
        "settled"
    ]


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 16, "%C2%B2", "1%2C2"])
async def test_an_invalid_number_of_an_event_is_refused(server: RunningServer, number: str) -> None:
    job = (await server.create(UNFINISHED)).body
    reply = await server.call("GET", f"{JOBS}/{job['id']}/events?after={number}")
    assert reply.error == (400, "validation_error", "invalid_last_event_id")


async def test_a_silent_stream_has_a_heartbeat(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.05)
    job = (await server.create(UNFINISHED)).body
    beats = 0
    async with asyncio.timeout(5), stream(server, job["id"]) as answer:
        async for frame in frames(answer):
            beats += frame.comment == "still here"
            if beats == 3:
                break
    assert beats == 3


async def test_readers_that_reconnect_find_their_places_free(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The places of clients that have gone are free long before the next heartbeat."""
    assert streaming.HEARTBEAT_S == 15.0
    job = (await server.create(UNFINISHED)).body
    streams: list[Capacity] = []
    hold = Capacity.hold

    def watched(capacity: Capacity, account: str) -> AbstractContextManager[None]:
        streams.append(capacity)
        return hold(capacity, account)

    monkeypatch.setattr(Capacity, "hold", watched)
    for how in ("closed", "aborted"):
        readers = [await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port) for _ in range(5)]
        for reader, writer in readers:
            head = f"GET {JOBS}/{job['id']}/events HTTP/1.1\r\nHost: localhost\r\n"
            writer.write(f"{head}Authorization: Bearer {ACCOUNT_KEY}\r\n\r\n".encode())
            assert await reader.readuntil(b"event: created\n") is not None
        (capacity,) = {each for each in streams if each.count}
        assert capacity.count == 5
        for _, writer in readers:
            if how == "closed":
                writer.close()
            else:
                writer.transport.abort()
        async with asyncio.timeout(5):
            while capacity.count:  # noqa: ASYNC110 - a counter sends no signal
                await asyncio.sleep(0.01)
    assert not server.gateway._changes._flags.get(job["id"])
    listener = asyncio.create_task(listen(server, job["id"]))
    await asyncio.sleep(0.1)
    await server.call("POST", f"{JOBS}/{job['id']}/cancel")
    assert (await listener)[-1].event == "settled"


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_the_stream_of_a_deleted_or_cancelled_job_ends(server: RunningServer, method: str) -> None:
    job = (await server.create(UNFINISHED)).body
    listener = asyncio.create_task(listen(server, job["id"]))
    await asyncio.sleep(0.1)
    path = f"{JOBS}/{job['id']}"
    await server.call(method, f"{path}/cancel" if method == "POST" else path)
    seen = await listener
    assert seen[0].event == "created"
    if method == "POST":
        assert seen[-1].body["data"] == {"state": "failed", "reason": "cancelled"}
    assert not server.gateway._changes._flags.get(job["id"])


async def make_history_long(server: RunningServer, music_id: str) -> None:
    """Append events of 12 MB to a job: more than all buffers on the way to a reader hold."""
    store = server.gateway._context.store
    while True:  # the job may change meanwhile
        job = await store.get(music_id)
        assert job is not None
        events = [
            JobEvent(kind=EventKind.TRACK, at=job.created_at, data={"n": number, "text": "x" * 4_000})
            for number in range(3_000)
        ]
        if await store.replace(job, job, events):
            break
    server.gateway._changes.notify(music_id)


@asynccontextmanager
async def stalled_reader(server: RunningServer, music_id: str) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on an event stream with small buffers; nothing is received until the block reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    sock.setblocking(False)  # noqa: FBT003 - the standard library takes it so
    port = urlsplit(server.url).port
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=8192)
    head = f"GET {JOBS}/{music_id}/events HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {ACCOUNT_KEY}\r\n\r\n"
    writer.write(head.encode())
    try:
        yield reader
    finally:
        writer.close()


async def test_a_reader_that_stops_reading_is_disconnected_and_can_continue_later(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STALL_S", 0.3)
    async with AsyncExitStack() as stack:
        async with open_server() as server:
            job = (await server.create(UNFINISHED)).body
            await make_history_long(server, job["id"])
            async with asyncio.timeout(15), stalled_reader(server, job["id"]) as slow:
                assert (await server.generate(song()))["status"] == "completed"
                await asyncio.sleep(0.8)
                received = await slow.read()
            assert not received.endswith(b"\n\n"), "everything was kept in memory until the reader listened"
            got = [
                int(line[4:])
                for line in received.rpartition(b"\n\n")[0].split(b"\n")
                if line.startswith(b"id: ")
            ]
            assert 0 < len(got) < 3_000
            assert not server.gateway._changes._flags.get(job["id"])
            await server.call("POST", f"{JOBS}/{job['id']}/cancel")
            again = numbers(await listen(server, job["id"], Last_Event_ID=str(got[-1])))
            assert got + again == list(range(1, again[-1] + 1))
            await stack.enter_async_context(stalled_reader(server, job["id"]))
            await asyncio.sleep(0.4)
            started = time.monotonic()
        assert time.monotonic() - started < 5, "a disconnected reader delays the end of the server"


async def test_streams_and_waiting_calls_end_when_the_server_stops(open_server: OpenServer) -> None:
    async with aiohttp.ClientSession() as session:
        async with open_server() as server:
            client = RunningServer(server.url, server.gateway, session, server.vendors)
            job = (await server.create(UNFINISHED)).body
            listener = asyncio.create_task(listen(client, job["id"]))
            path = f"{JOBS}/{job['id']}"
            waiting = asyncio.create_task(client.call("GET", path, headers={"Prefer": "wait=60"}))
            await asyncio.sleep(0.2)
            started = time.monotonic()
        seen, reply = await asyncio.gather(listener, waiting)
        assert time.monotonic() - started < 5
    assert seen[0].event == "created"
    assert (reply.status, reply.body["status"]) == (200, "in_progress")


# --- Prefer: wait=N ---


async def test_a_create_call_may_wait_for_the_end_of_its_job(server: RunningServer) -> None:
    for body, status in (
        (song(), "completed"),
        (song("minimax", "done_s=200 song_s=3"), "completed"),
        (song(switches="end=SENSITIVE_WORD_ERROR"), "failed"),
    ):
        reply = await server.create(body, Prefer="wait=30")
        assert (reply.status, reply.body["status"]) == (200, status)
        assert reply.headers["Preference-Applied"] == "wait=30"
    started = time.monotonic()
    refused = await server.create(song(switches="create=402"), Prefer="wait=30")
    assert (refused.status, refused.headers["Preference-Applied"]) == (402, "wait=30")
    assert time.monotonic() - started < 5


async def test_reading_a_job_may_wait_for_its_end_and_no_longer_than_asked(server: RunningServer) -> None:
    path = f"{JOBS}/{(await server.create(song())).body['id']}"
    first = await server.call("GET", path, headers={"Prefer": "wait=30"})
    assert (first.body["status"], first.headers["Preference-Applied"]) == ("completed", "wait=30")
    headers = {"Prefer": "wait=30", "If-None-Match": first.headers["ETag"]}
    again = await server.call("GET", path, headers=headers)
    assert (again.status, again.headers["Preference-Applied"]) == (304, "wait=30")
    path = f"{JOBS}/{(await server.create(UNFINISHED)).body['id']}"
    started = time.monotonic()
    reply = await server.call("GET", path, headers={"Prefer": "wait=1"})
    assert 0.9 < time.monotonic() - started < 4
    assert (reply.body["status"], reply.headers["Preference-Applied"]) == ("in_progress", "wait=1")


async def test_wait_0_overrides_the_usual_wait_for_the_vendors_answer(open_server: OpenServer) -> None:
    async with open_server(server={"create_wait_s": 5.0}) as server:
        started = time.monotonic()
        reply = await server.create(song("minimax", "done_s=600 song_s=3"), Prefer="wait=0")
        assert time.monotonic() - started < 1.5
        assert reply.body["status"] in {"queued", "in_progress"}
        assert reply.headers["Preference-Applied"] == "wait=0"


async def test_preferences_that_cannot_be_read_are_ignored(server: RunningServer) -> None:
    path = f"{JOBS}/{(await server.generate(song()))['id']}"
    for prefer, applied in {
        "wait=600": "wait=60",
        "wait=99999999999999999999": "wait=60",
        'WAIT="7"': "wait=7",
        "respond-async, wait=7;x=1": "wait=7",
        "wait=7, wait=8": "wait=7",
        "wait=x": None,
        "wait": None,
        "wait=-1": None,
        "wait=1.5": None,
        "wait=²": None,
        "handling=strict": None,
        "": None,
    }.items():
        reply = await server.call("GET", path, headers={"Prefer": prefer})
        assert (reply.status, reply.headers.get("Preference-Applied")) == (200, applied), prefer
