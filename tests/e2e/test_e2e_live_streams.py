"""A track is heard while it is made, whatever its vendor sends, at no cost to other requests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import aiohttp
import attrs
import pytest

from musicgate.emulation.tones import AudioFormat, Container
from musicgate.emulation.tones import song as tones
from musicgate.model import Track
from tests.e2e.raw import connect, exchange
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, UNFINISHED, decoded_s, song

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

MP3 = tones(AudioFormat(container=Container.MP3), 3.0)
HTML = b"<!doctype html><html><body>maintenance</body></html>"
KEY = {"Authorization": f"Bearer {ACCOUNT_KEY}"}


class StreamHost:
    """A vendor's media server that sends what the path says.

    Attributes:
        reached: set when a silent stream has begun.
        left: set when its listener has gone.
    """

    def __init__(self) -> None:
        self.reached, self.left = asyncio.Event(), asyncio.Event()
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StreamHost]:
        listener = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()
            for writer in self._writers:
                writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            what = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().strip("/")
            media_type = "text/html" if what == "html" else "audio/mpeg"
            length = f"Content-Length: {len(MP3)}\r\n" if what == "cut" else ""
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{length}Connection: close\r\n\r\n"
            writer.write(head.encode())
            match what:
                case "whole":
                    writer.write(MP3)
                case "pieces":
                    for at in range(0, len(MP3), 7_000):
                        writer.write(MP3[at : at + 7_000])
                        await asyncio.sleep(0.002)
                case "cut":
                    writer.write(MP3[: len(MP3) // 2])
                case "html" | "disguised":
                    writer.write(HTML)
                case "stall":
                    writer.write(MP3[: len(MP3) // 2])
                    self.reached.set()
                    await reader.read()
                    self.left.set()
                case "huge":
                    while True:
                        writer.write(MP3)
                        await writer.drain()
            await writer.drain()
        writer.close()


async def open_job(server: RunningServer, link: str) -> str:
    """A job that is never finished, with a stream at this link; the path of our stream."""
    job_id = (await server.create(UNFINISHED)).body["id"]
    store = server.gateway._context.store
    while True:
        job = await store.get(job_id)
        assert job is not None
        changed = attrs.evolve(job, tracks=(Track(index=0, stream_audio_url=link),))
        if await store.replace(job, changed, []) is not None:
            return f"{JOBS}/{job_id}/stream/0"


async def test_a_song_is_heard_while_it_is_made_and_then_found(server: RunningServer) -> None:
    job_id = (await server.create(song(switches="first_s=1 stuck=FIRST_SUCCESS callbacks=off"))).body["id"]
    job = await server.wait_until(
        job_id, lambda job: any(track["audio_url"] for track in job.get("output", []))
    )
    assert job["status"] == "in_progress"
    link = job["output"][0]["stream_audio_url"]
    assert link.startswith(f"{server.url}{JOBS}/{job_id}/stream/0?")
    heard = await server.call("GET", link, key=None)
    assert (heard.status, heard.headers["Content-Type"]) == (200, "audio/mpeg")
    assert (heard.headers["Cache-Control"], heard.headers["X-Content-Type-Options"]) == (
        "no-store",
        "nosniff",
    )
    assert decoded_s(heard.raw) > 2.5
    done = await server.generate(song(switches="song_s=3,3 skip=text"))
    track = done["output"][0]
    async with server.session.get(track["stream_audio_url"]) as answer:
        assert answer.history[0].status == 307
        assert str(answer.url) == track["audio_url"]
        assert len(await answer.read()) == track["size_bytes"]


async def test_the_redirect_to_the_audio_keeps_the_query_as_it_was_sent(server: RunningServer) -> None:
    job = await server.generate(song(switches="song_s=3,3 skip=text"))
    for query in ("", "?x=%1F", "?x=%0D%0ASet-Cookie:%20a=b", "?x=%C3%BC", "?x=a%2Bb+c&y"):
        got = await server.call("GET", f"{JOBS}/{job['id']}/stream/0{query}")
        assert (got.status, got.headers["Location"]) == (307, f"../audio/0{query}")
    head = f"GET {JOBS}/{job['id']}/stream/0?x=".encode() + b"\xff HTTP/1.1\r\nHost: localhost\r\n"
    (raw,) = await exchange(server, head + f"Authorization: Bearer {ACCOUNT_KEY}\r\n\r\n".encode())
    assert raw.status == 400


async def test_a_stream_ends_with_its_job(server: RunningServer) -> None:
    async with StreamHost().opened() as host:
        path = await open_job(server, f"http://127.0.0.1:{host.port}/whole")
        assert (await server.call("GET", path)).raw == MP3
        await server.call("POST", path.replace("/stream/0", "/cancel"))
        assert (await server.call("GET", path)).error == (404, "not_found", "stream_not_found")
        missing = path.replace("/stream/0", "/stream/1")
        assert (await server.call("GET", missing)).error == (404, "not_found", "stream_not_found")
        for gone in (path, missing):
            async with server.session.head(server.url + gone, headers=KEY) as answer:
                assert answer.status == 404


async def test_streams_that_are_no_audio_are_refused_and_others_end_cleanly(
    open_server: OpenServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Slow polls, so that no answer of the vendor replaces the link."""
    async with (
        open_server(follow={"speed": 1.0}, assets={"max_bytes": 500_000}) as server,
        StreamHost().opened() as host,
    ):
        server.gateway._context.transport._stall_timeout_s = 0.2  # type: ignore[attr-defined]

        async def path_of(what: str) -> str:
            return await open_job(server, f"http://127.0.0.1:{host.port}/{what}")

        assert (await server.call("GET", await path_of("pieces"))).raw == MP3
        empty = await server.call("GET", await path_of("empty"))
        assert empty.error == (503, "not_ready", "stream_not_ready")
        assert empty.headers["Retry-After"] == "5"
        for what in ("html", "disguised"):
            refused = await server.call("GET", await path_of(what))
            assert refused.error == (502, "upstream_error", "stream_failed")
            assert "not audio" in refused.body["description"]
        for what, most_bytes in (("cut", len(MP3)), ("stall", len(MP3)), ("huge", 500_001)):
            got = b""
            with pytest.raises(aiohttp.ClientPayloadError):  # noqa: PT012 - the pieces before it count
                async with server.session.get(server.url + await path_of(what), headers=KEY) as answer:
                    assert answer.status == 200
                    async for piece in answer.content.iter_any():
                        got += piece
            assert 0 < len(got) < most_bytes
            assert got == (MP3 * 20)[: len(got)]
        head = await server.call("HEAD", await path_of("huge"))
        assert (head.status, head.raw) == (200, b"")
        assert "failed" not in caplog.text


async def test_streams_lead_to_public_addresses_only(open_server: OpenServer) -> None:
    async with (
        open_server(follow={"speed": 1.0}, allow_private_addresses=False) as server,
        StreamHost().opened() as host,
    ):
        refused = await server.call("GET", await open_job(server, f"http://127.0.0.1:{host.port}/whole"))
        assert refused.error == (502, "upstream_error", "stream_failed")


async def test_a_stream_ends_when_its_listener_leaves_and_takes_no_other_place(
    open_server: OpenServer,
) -> None:
    """Sixteen connections: one stream of an account, two of all."""
    async with (
        open_server(follow={"speed": 1.0}, server={"max_connections": 16}) as server,
        StreamHost().opened() as host,
    ):
        path = await open_job(server, f"http://127.0.0.1:{host.port}/stall")
        _, writer = await connect(server)
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ACCOUNT_KEY}\r\n\r\n".encode()
        )
        await host.reached.wait()
        second = await server.call("GET", path)
        assert second.status == 429
        assert second.body["reason"] == "audio_streams"
        assert (await server.call("GET", JOBS)).status == 200
        writer.close()
        async with asyncio.timeout(5):  # the vendor's server would be silent for 20 s
            await host.left.wait()
