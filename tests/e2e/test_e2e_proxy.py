"""The proxy of the examples keeps streams, ranges and conditions, and repeats only what is safe."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from musicgate.hosting.discovery import PluginHost
from tests.e2e.behind_proxy import FailingReplica, Proxied, caddy, proxied_replicas
from tests.e2e.running_server import JOBS, UNFINISHED, song
from tests.free_port import free_port
from tests.loopback_vendors import Serve
from tests.postgres_servers import Postgres, execute


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxied(
    tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost, postgres: Postgres
) -> AsyncIterator[Proxied]:
    """Two replicas on a database of their own, behind the proxy."""
    name = f"proxied_{uuid4().hex}"
    await execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
    url = urlunsplit(urlsplit(postgres.url)._replace(path=f"/{name}"))
    async with proxied_replicas(tmp_path_factory.mktemp("proxied"), plugins, url) as started:
        yield started
    await execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def track(proxied: Proxied) -> dict[str, Any]:
    """The first track of a finished song of half a minute."""
    request, waiting = song(switches="song_s=30,3"), {"Prefer": "wait=30"}
    async with proxied.session.post(JOBS, json=request, headers=waiting) as answer:
        job = await answer.json()
    assert job["status"] == "completed", job
    return dict(job["output"][0])


async def next_event(stream: aiohttp.StreamReader) -> str:
    """The name of the next event of a stream, empty at its end."""
    async with asyncio.timeout(10):
        async for line in stream:
            if line.startswith(b"event: "):
                return line.removeprefix(b"event: ").decode().strip()
    return ""


async def end_of(proxied: Proxied, job_id: str) -> str:
    """Poll until a job is final; its state."""
    async with asyncio.timeout(20):
        while True:
            async with proxied.session.get(f"{JOBS}/{job_id}") as answer:
                state = str((await answer.json())["status"])
            if state in {"completed", "failed"}:
                return state
            await asyncio.sleep(0.05)


@pytest.mark.asyncio(loop_scope="module")
async def test_events_pass_the_proxy_while_their_stream_is_open(proxied: Proxied) -> None:
    async with proxied.session.post(JOBS, json=UNFINISHED) as answer:
        job = await answer.json()
    async with proxied.session.get(f"{JOBS}/{job['id']}/events") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        # Nothing more comes until the job is cancelled: a proxy that collected bytes would hold these back.
        events = [await next_event(answer.content) for _ in range(4)]
        assert events[:3] == ["created", "attempt", "attempt"]
        async with proxied.session.post(f"{JOBS}/{job['id']}/cancel") as cancelled:
            assert cancelled.status == 200
        while events[-1]:
            events.append(await next_event(answer.content))
    assert events[-2:] == ["settled", ""]


@pytest.mark.asyncio(loop_scope="module")
async def test_links_lead_through_the_proxy(proxied: Proxied, track: dict[str, Any]) -> None:
    assert track["audio_url"].startswith(f"{proxied.url}{JOBS}/")


@pytest.mark.asyncio(loop_scope="module")
async def test_ranges_head_and_conditions_pass_the_proxy(proxied: Proxied, track: dict[str, Any]) -> None:
    url, size = track["audio_url"], track["size_bytes"]
    async with proxied.session.get(url) as answer:
        whole, etag = await answer.read(), answer.headers["ETag"]
        assert answer.headers["Content-Length"] == str(size)
    assert hashlib.sha256(whole).hexdigest() == track["audio"]["sha256"] == etag.strip('"')
    async with proxied.session.get(url, headers={"Range": "bytes=1000-1999"}) as answer:
        assert (answer.status, answer.headers["Content-Range"]) == (206, f"bytes 1000-1999/{size}")
        assert await answer.read() == whole[1000:2000]
    async with proxied.session.get(url, headers={"Range": f"bytes={size}-"}) as answer:
        assert answer.status == 416
    async with proxied.session.head(url) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(size))
        assert answer.headers["Accept-Ranges"] == "bytes"
    async with proxied.session.get(url, headers={"If-None-Match": etag, "Accept-Encoding": "gzip"}) as answer:
        assert (answer.status, answer.headers["ETag"]) == (304, etag)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_large_download_is_whole(proxied: Proxied, track: dict[str, Any]) -> None:
    async with proxied.session.get(f"{track['audio_url']}&format=wav") as answer:
        content = await answer.read()
        assert answer.headers["Content-Length"] == str(len(content))
    assert len(content) > 5_000_000
    direct = f"{track['audio_url']}&format=wav".replace(proxied.url, proxied.replicas[0].url)
    async with proxied.session.get(direct) as answer:
        assert await answer.read() == content


@pytest.mark.asyncio(loop_scope="module")
async def test_no_job_is_lost_while_one_replica_after_the_other_restarts(proxied: Proxied) -> None:
    jobs: dict[str, str] = {}
    is_over = asyncio.Event()

    async def create_songs() -> None:
        while not is_over.is_set():
            key = f"song-{len(jobs)}"
            while key not in jobs:  # as a caller does whose create call was cut off
                headers = {"Idempotency-Key": key}
                async with proxied.session.post(JOBS, json=song(), headers=headers) as answer:
                    if answer.status == 200:
                        jobs[key] = (await answer.json())["id"]
            await asyncio.sleep(0.1)

    before = len(proxied.vendor.books.creates)
    async with asyncio.timeout(30), asyncio.TaskGroup() as callers:
        callers.create_task(create_songs())
        for replica in proxied.replicas:
            assert await replica.program.stop() == 0
            await replica.start()
        while len(jobs) <= 5:  # noqa: ASYNC110 - the proxy leaves a replica out for some seconds
            await asyncio.sleep(0.05)
        is_over.set()
    for job_id in jobs.values():
        assert await end_of(proxied, job_id) == "completed"
    assert len(set(jobs.values())) == len(jobs) > 5
    assert len(proxied.vendor.books.creates) - before == len(jobs)


@pytest.mark.parametrize(
    "sent",
    [{"json": {"model": "suno/v5"}}, {"json": {}, "headers": {"Idempotency-Key": "a"}}, {}],
    ids=["plain", "with a key", "without a body"],
)
async def test_a_post_whose_replica_dies_is_not_repeated(
    serve: Serve, tmp_path: Path, sent: dict[str, Any]
) -> None:
    replica = FailingReplica(failures=1)
    ports = [await serve(replica.serve) for _ in range(2)]
    async with caddy(tmp_path, ports) as url, aiohttp.ClientSession(url) as session:
        async with session.post(JOBS, **sent) as answer:
            assert answer.status == 502
        assert replica.methods == ["POST"]


async def test_requests_that_cannot_have_bought_a_song_are_repeated(serve: Serve, tmp_path: Path) -> None:
    replica = FailingReplica(failures=1)
    ports = [await serve(replica.serve), free_port()]
    async with caddy(tmp_path, ports) as url, aiohttp.ClientSession(url) as session:
        async with session.get(JOBS) as answer:
            assert (answer.status, await answer.text()) == (200, "done")
        assert replica.methods == ["GET", "GET"]
        # Half of them are for the replica that cannot be reached.
        for _ in range(8):
            async with session.post(JOBS, json={"model": "suno/v5"}) as answer:
                assert answer.status == 200
        assert replica.methods[2:] == ["POST"] * 8
