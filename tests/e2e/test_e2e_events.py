"""Nobody has to poll: events as they happen, from any number on, for late, slow and many readers; and answers that wait for the end."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import attrs
import pytest

from musicgate.model import EventKind, JobEvent
from musicgate.web import events as streaming
from tests.e2e.house import ACCOUNT_KEY, House, violations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from tests.e2e.house import OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOBS = "/v1/music/generate"


def wish(switches: str = "lengths=3,3", vendor: str = "suno_kie", **more: object) -> dict[str, Any]:
    """A wish for one vendor with magic words."""
    model = {"minimax": "minimax/music-2.6"}.get(vendor, "suno/v5")
    return {"model": model, "prompt": f"rain [emulate {switches}]", "provider": {"only": [vendor]}, **more}


OPEN = wish("stop=TEXT_SUCCESS callbacks=off")


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
    """A frame from its lines."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        fields[name or "comment"] = value.removeprefix(" ")
    fields.pop("retry", None)
    return Frame(**fields)


@asynccontextmanager
async def stream(
    house: House, music_id: str, query: str = "", **headers: str
) -> AsyncIterator[aiohttp.ClientResponse]:
    """An open stream."""
    named = {"Authorization": f"Bearer {ACCOUNT_KEY}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    url = f"{house.url}{JOBS}/{music_id}/events{query}"
    async with house._session.get(url, headers=named) as answer:
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


async def listen(house: House, music_id: str, query: str = "", **headers: str) -> list[Frame]:
    """All frames up to the end."""
    async with asyncio.timeout(15), stream(house, music_id, query, **headers) as answer:
        assert answer.status == 200
        return [frame async for frame in frames(answer)]


def numbers(seen: Sequence[Frame]) -> list[int]:
    """The numbers of the events."""
    return [int(frame.id) for frame in seen if frame.event]


async def test_a_song_is_told_from_the_wish_to_the_end(house: House) -> None:
    created = (await house.create(wish())).body
    async with stream(house, created["id"]) as answer:
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
    assert shown == (await house.get(created["id"])).body
    assert seen[-1].body["data"] == {"state": "completed", "reason": None}


async def test_a_stream_that_is_read_again_after_the_end_says_the_same(house: House) -> None:
    created = (await house.create(wish())).body
    installed = await listen(house, created["id"])
    again = await listen(house, created["id"])
    assert [frame.data for frame in again] == [frame.data for frame in installed]
    states = [frame.body["data"] for frame in installed if frame.event == "state"]
    assert states[0] == {"from": "queued", "to": "in_progress"}


@pytest.mark.parametrize("path", ["id", "nativeResponseId"])
async def test_a_late_reader_sees_the_same(house: House, path: str) -> None:
    job = await house.make(wish())
    seen = await listen(house, job[path])
    assert numbers(seen) == list(range(1, len(seen) + 1))
    assert seen[-1].body["job"] == job
    alias = await house.call("GET", f"/v1/music/generations/{job['id']}/events")
    assert alias.raw.count(b"event: settled") == 1


async def test_a_failure_is_told_with_its_reason(house: House) -> None:
    job = await house.make(wish("end=SENSITIVE_WORD_ERROR"))
    last = (await listen(house, job["id"]))[-1].body
    assert last["data"] == {"state": "failed", "reason": job["error"]["reason"]}
    assert last["job"]["error"] == job["error"]


async def test_tracks_can_be_heard_before_the_song_is_done(open_house: OpenHouse) -> None:
    async with open_house(speed=60.0) as house:
        created = (await house.create(wish("lengths=3,3 first_s=15 done_s=90"))).body
        early: list[dict[str, Any]] = []
        async with asyncio.timeout(15), stream(house, created["id"]) as answer:
            async for frame in frames(answer):
                if frame.event == "track":
                    early.append(frame.body["data"])
                    if len(early) == 1:
                        assert (await house.get(created["id"])).body["status"] == "in_progress"
    assert {track["index"] for track in early if track["audio_url"]} == {0, 1}
    for index in (0, 1):
        links = [
            (bool(track["stream_audio_url"]), bool(track["audio_url"]))
            for track in early
            if track["index"] == index
        ]
        assert len(links) == len(set(links)), "a link was told twice"


async def test_two_readers_and_one_who_comes_and_goes_lose_nothing(house: House) -> None:
    created = (await house.create(wish())).body
    whole = [asyncio.create_task(listen(house, created["id"])) for _ in range(2)]
    pieces: list[Frame] = []
    async with asyncio.timeout(15):
        while not pieces or pieces[-1].event != "settled":
            last = pieces[-1].id if pieces else "0"
            async with stream(house, created["id"], Last_Event_ID=last) as answer:
                async for frame in frames(answer):
                    pieces.append(frame)
                    break  # and hang up
    first, second = await asyncio.gather(*whole)
    assert numbers(first) == numbers(second) == numbers(pieces) == list(range(1, len(pieces) + 1))


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?after=3", {}), ("", {"Last_Event_ID": "3"}), ("?after=1", {"Last_Event_ID": "3"})],
    ids=["query", "header", "header wins"],
)
async def test_a_reader_goes_on_where_it_was(house: House, query: str, headers: Mapping[str, str]) -> None:
    job = await house.make(wish())
    seen = await listen(house, job["id"], query, **headers)
    assert numbers(seen)[0] == 4
    assert seen[-1].event == "settled"


async def test_a_reader_that_has_had_the_end_comes_to_rest(house: House) -> None:
    job = await house.make(wish())
    last = (await listen(house, job["id"]))[-1]
    for after in (last.id, "999999999999999"):
        reply = await house.call("GET", f"{JOBS}/{job['id']}/events", headers={"Last-Event-ID": after})
        assert (reply.status, reply.raw) == (204, b"")
    assert [frame.event for frame in await listen(house, job["id"], f"?after={int(last.id) - 1}")] == [
        "settled"
    ]


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 16, "%C2%B2", "1%2C2"])
async def test_a_number_that_is_none_is_refused(house: House, number: str) -> None:
    job = (await house.create(OPEN)).body
    reply = await house.call("GET", f"{JOBS}/{job['id']}/events?after={number}")
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (
        400,
        "validation_error",
        "invalid_last_event_id",
    )


async def test_silence_has_a_heartbeat(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.05)
    job = (await house.create(OPEN)).body
    beats = 0
    async with asyncio.timeout(5), stream(house, job["id"]) as answer:
        async for frame in frames(answer):
            beats += frame.comment == "still here"
            if beats == 3:
                break
    assert beats == 3
    await house.call("DELETE", f"{JOBS}/{job['id']}")


async def test_the_stream_of_a_deleted_job_ends(house: House) -> None:
    job = (await house.create(OPEN)).body
    listener = asyncio.create_task(listen(house, job["id"]))
    await asyncio.sleep(0.1)
    assert (await house.call("DELETE", f"{JOBS}/{job['id']}")).status == 204
    seen = await listener
    assert seen[0].event == "created"
    assert not house.gateway._changes._flags.get(job["id"])


async def test_a_cancel_ends_the_stream(house: House) -> None:
    job = (await house.create(OPEN)).body
    listener = asyncio.create_task(listen(house, job["id"]))
    await asyncio.sleep(0.1)
    await house.call("POST", f"{JOBS}/{job['id']}/cancel")
    last = (await listener)[-1].body
    assert last["data"] == {"state": "failed", "reason": "cancelled"}


async def burst(house: House, music_id: str, count: int, size: int) -> int:
    """Make a job's history long; the number of its last event."""
    store = house.gateway._context.store
    words = "x" * size
    while True:  # the tracker may be faster
        job = await store.get(music_id)
        assert job is not None
        events = [
            JobEvent(kind=EventKind.TRACK, at=job.created_at, data={"n": number, "words": words})
            for number in range(count)
        ]
        if await store.replace(job, job, events):
            break
    house.gateway._changes.notify(music_id)
    return (await store.events(music_id))[-1][0]


@asynccontextmanager
async def reluctant(house: House, music_id: str) -> AsyncIterator[asyncio.StreamReader]:
    """A reader with a small ear, that begins to listen when it is asked to."""
    ear = socket.socket()
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    ear.setblocking(False)  # noqa: FBT003 - the standard library takes it so
    port = urlsplit(house.url).port
    await asyncio.get_running_loop().sock_connect(ear, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=ear, limit=8192)
    head = f"GET {JOBS}/{music_id}/events HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {ACCOUNT_KEY}\r\n\r\n"
    writer.write(head.encode())
    try:
        yield reader
    finally:
        writer.close()


async def test_a_slow_reader_holds_little_slows_nobody_and_gets_everything(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house() as house:
        job = (await house.create(OPEN)).body
        store, pages = house.gateway._context.store, [0]
        read = store.events

        async def counted(*arguments: Any) -> Any:
            pages[0] += 1
            return await read(*arguments)

        monkeypatch.setattr(store, "events", counted)
        async with asyncio.timeout(30), reluctant(house, job["id"]) as slow:
            await asyncio.sleep(0.1)
            last = await burst(house, job["id"], 8_000, 4_000)  # 32 MB
            await asyncio.sleep(0.5)
            assert pages[0] < 40, "the whole history was read for a reader that does not listen"
            started = time.monotonic()
            assert (await house.make(wish()))["status"] == "completed"
            assert time.monotonic() - started < 5
            await house.call("POST", f"{JOBS}/{job['id']}/cancel")
            heard = await slow.read()
        ids = [int(line[4:]) for line in heard.split(b"\n") if line.startswith(b"id: ")]
        assert ids == list(range(1, ids[-1] + 1))
        assert ids[-1] > last
        assert heard.count(b"event: settled") == 1


async def test_a_reader_that_takes_nothing_is_cut_off_and_may_come_again(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STALL_S", 0.3)
    async with open_house() as house:
        job = (await house.create(OPEN)).body
        await burst(house, job["id"], 8_000, 4_000)
        async with asyncio.timeout(15), reluctant(house, job["id"]) as slow:
            await asyncio.sleep(1.0)
            heard = await slow.read()
        assert not heard.endswith(b"\n\n"), "what was written for it was kept until it listened"
        got = [
            int(line[4:]) for line in heard.rpartition(b"\n\n")[0].split(b"\n") if line.startswith(b"id: ")
        ]
        assert 0 < len(got) < 8_000
        assert not house.gateway._changes._flags.get(job["id"])
        await house.call("POST", f"{JOBS}/{job['id']}/cancel")
        again = numbers(await listen(house, job["id"], Last_Event_ID=str(got[-1])))
        assert got + again == list(range(1, again[-1] + 1))


async def test_a_reader_that_was_cut_off_does_not_hold_up_the_end_of_the_server(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "STALL_S", 0.2)
    async with AsyncExitStack() as readers:
        async with open_house() as house:
            job = (await house.create(OPEN)).body
            await readers.enter_async_context(reluctant(house, job["id"]))
            await burst(house, job["id"], 8_000, 4_000)
            await asyncio.sleep(1.0)
            started = time.monotonic()
        assert time.monotonic() - started < 5


async def test_streams_do_not_hold_up_the_end_of_the_server(open_house: OpenHouse) -> None:
    async with aiohttp.ClientSession() as session:
        async with open_house() as house:
            client = House(house.url, house.gateway, session, house.vendors)
            job = (await house.create(OPEN)).body
            listener = asyncio.create_task(listen(client, job["id"]))
            path = f"{JOBS}/{job['id']}"
            waiting = asyncio.create_task(client.call("GET", path, headers={"Prefer": "wait=60"}))
            await asyncio.sleep(0.2)
            started = time.monotonic()
        seen, reply = await asyncio.gather(listener, waiting)
        assert time.monotonic() - started < 5
    assert seen[0].event == "created"
    assert (reply.status, reply.body["status"]) == (200, "in_progress")


# ------------------------------------------------------------------------------------------------- Prefer: wait=N


async def test_a_create_call_may_wait_for_its_song(house: House) -> None:
    for body in (wish(), wish("delay_s=200 length_s=3", "minimax")):
        reply = await house.create(body, Prefer="wait=30")
        assert (reply.status, reply.body["status"]) == (200, "completed")
        assert reply.headers["Preference-Applied"] == "wait=30"
        assert reply.body["output"][0]["audio_url"]


async def test_a_failure_after_acceptance_is_the_waited_answer(house: House) -> None:
    reply = await house.create(wish("end=SENSITIVE_WORD_ERROR"), Prefer="wait=30")
    assert (reply.status, reply.body["status"]) == (200, "failed")


async def test_a_refusal_does_not_wait(house: House) -> None:
    started = time.monotonic()
    reply = await house.create(wish("create=402"), Prefer="wait=30")
    assert (reply.status, reply.headers["Preference-Applied"]) == (402, "wait=30")
    assert time.monotonic() - started < 5


async def test_an_answer_waits_for_the_end_and_no_longer_than_asked(house: House) -> None:
    job = (await house.create(wish("lengths=3,3"))).body
    reply = await house.call("GET", f"{JOBS}/{job['id']}", headers={"Prefer": "wait=30"})
    assert (reply.body["status"], reply.headers["Preference-Applied"]) == ("completed", "wait=30")
    job = (await house.create(OPEN)).body
    started = time.monotonic()
    reply = await house.call("GET", f"{JOBS}/{job['id']}", headers={"Prefer": "wait=1"})
    assert 0.9 < time.monotonic() - started < 4
    assert (reply.body["status"], reply.headers["Preference-Applied"]) == ("in_progress", "wait=1")


async def test_wait_0_is_no_wait_also_where_a_call_lasts_as_long_as_the_song(open_house: OpenHouse) -> None:
    async with open_house(server={"create_wait_s": 5.0}) as house:
        started = time.monotonic()
        reply = await house.create(wish("delay_s=600 length_s=3", "minimax"), Prefer="wait=0")
        assert time.monotonic() - started < 1.5
        assert reply.body["status"] in {"queued", "in_progress"}
        assert reply.headers["Preference-Applied"] == "wait=0"


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=600", "wait=60"),
        ("wait=99999999999999999999", "wait=60"),
        ('WAIT="7"', "wait=7"),
        ("respond-async, wait=7;x=1", "wait=7"),
        ("wait=7, wait=8", "wait=7"),
        ("wait=x", None),
        ("wait", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=²", None),
        ("handling=strict", None),
        ("", None),
    ],
)
async def test_preferences_that_cannot_be_read_are_passed_over(
    house: House, prefer: str, applied: str | None
) -> None:
    job = await house.make(wish())
    reply = await house.call("GET", f"{JOBS}/{job['id']}", headers={"Prefer": prefer})
    assert reply.status == 200
    assert reply.headers.get("Preference-Applied") == applied


async def test_etag_and_wait_go_together(house: House) -> None:
    job = (await house.create(wish())).body
    first = await house.call("GET", f"{JOBS}/{job['id']}", headers={"Prefer": "wait=30"})
    headers = {"Prefer": "wait=30", "If-None-Match": first.headers["ETag"]}
    again = await house.call("GET", f"{JOBS}/{job['id']}", headers=headers)
    assert (again.status, again.headers["ETag"]) == (304, first.headers["ETag"])
    assert again.headers["Preference-Applied"] == "wait=30"
    stale = {"Prefer": "wait=30", "If-None-Match": 'W/"other"'}
    assert (await house.call("GET", f"{JOBS}/{job['id']}", headers=stale)).body == first.body
