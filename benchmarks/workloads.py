"""Work of one kind that keeps a musicgate busy, for the profile."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

import attrs

from benchmarks.bench import Bench
from benchmarks.gateway import MeasuredGateway, must_be_good
from benchmarks.load import ask, request_bytes, run_load
from benchmarks.readers import Readers
from benchmarks.vendor import Stage, Task

#: Jobs that end while they are profiled: more than a server ends in half a minute.
_JOBS_TO_END: Final = 4000
_READERS: Final = 2000
#: Callbacks in flight, when the vendor reports the ends of many songs.
_CALLBACKS: Final = 16


@attrs.frozen(kw_only=True)
class Work:
    """Work that is ready to begin.

    Attributes:
        unit: what is counted.
        run: does the work for so many seconds, or until there is none left.
        done: how much has been done so far.
    """

    gateway: MeasuredGateway
    unit: str
    run: Callable[[float], Awaitable[None]]
    done: Callable[[], int]


@attrs.frozen(kw_only=True)
class Start:
    """How the gateway of a workload is started: connections of the load, words for the interpreter."""

    connections: int = 64
    launcher: Sequence[str] = ()


@asynccontextmanager
async def create(bench: Bench, start: Start) -> AsyncIterator[Work]:
    """POST, with two durable writes and a call to the vendor."""
    gateway = bench.gateway(launcher=start.launcher)
    async with gateway.running():
        yield _requests(gateway, start, "create", [gateway.create_request()])


@asynccontextmanager
async def get(bench: Bench, start: Start) -> AsyncIterator[Work]:
    """GET of a finished job."""
    gateway = bench.gateway(speed=20, launcher=start.launcher)
    async with gateway.running():
        (job_id,) = await finished_jobs(bench, gateway)
        yield _requests(gateway, start, "GET", [gateway.get_request(job_id)])


@asynccontextmanager
async def poll(bench: Bench, start: Start) -> AsyncIterator[Work]:
    """Polls that change nothing, of jobs that want more of them than the server can make."""
    gateway = bench.gateway(speed=60, launcher=start.launcher)
    async with gateway.running():
        await gateway.create(2000)
        calls = bench.vendor.calls
        yield Work(gateway=gateway, unit="poll", run=asyncio.sleep, done=lambda: calls["poll"])


def settle(bench: Bench, start: Start) -> AbstractAsyncContextManager[Work]:
    """The ends of songs: callback, poll, two tracks fetched, measured and kept, the job stored."""
    gateway = bench.gateway(launcher=start.launcher)
    calls = bench.vendor.calls
    return _ends(bench, gateway, Stage.DONE, "settled job", lambda: calls["media"] // 2)


def webhook(bench: Bench, start: Start) -> AbstractAsyncContextManager[Work]:
    """Webhooks: songs that the vendor refuses, so nothing is fetched; callback, poll, message, delivery."""
    gateway = bench.gateway(launcher=start.launcher, webhook_url=f"{bench.vendor.url}/hook")
    calls = bench.vendor.calls
    return _ends(bench, gateway, Stage.REFUSED, "delivered webhook", lambda: calls["hook"])


@asynccontextmanager
async def _ends(
    bench: Bench, gateway: MeasuredGateway, stage: Stage, unit: str, done: Callable[[], int]
) -> AsyncIterator[Work]:
    """Open jobs whose vendor reports their end while the work runs."""
    async with gateway.running():
        await gateway.create(_JOBS_TO_END)
        bench.vendor.stage = stage
        try:
            yield Work(gateway=gateway, unit=unit, run=report_ends(bench, gateway), done=done)
        finally:
            bench.vendor.stage = Stage.PENDING


@asynccontextmanager
async def events(bench: Bench, start: Start) -> AsyncIterator[Work]:
    """Changes of jobs that have a reader each: callback, poll, a track stored, its reader told."""
    gateway = bench.gateway(launcher=start.launcher)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(gateway.running())
        ids = await gateway.create(_READERS)
        requests = [gateway.request("GET", f"/v1/music/generate/{job_id}/events") for job_id in ids]
        readers = await stack.enter_async_context(Readers.reading(gateway.port, requests))
        await asyncio.sleep(3)
        bench.vendor.stage = Stage.FIRST
        stack.callback(setattr, bench.vendor, "stage", Stage.PENDING)
        yield Work(
            gateway=gateway,
            unit="event read",
            run=report_ends(bench, gateway),
            done=lambda: readers.events,
        )


WORKLOADS: Final[dict[str, Callable[[Bench, Start], AbstractAsyncContextManager[Work]]]] = {
    "create": create,
    "get": get,
    "poll": poll,
    "settle": settle,
    "events": events,
    "webhook": webhook,
}


async def finished_jobs(bench: Bench, gateway: MeasuredGateway) -> list[str]:
    """Make a job for each account at a gateway that polls, and see it through; return the ids.

    Raises:
        SystemExit: a job was not completed within a minute.
    """
    requests = [gateway.create_request(key) for key in range(len(gateway.keys))]
    load = await run_load(gateway.port, requests, connections=1, count=len(requests), keep_bodies=True)
    must_be_good(load)
    ids = [str(json.loads(body)["id"]) for body in load.bodies]
    bench.vendor.stage = Stage.DONE
    try:
        await until_completed(gateway, ids, keys=range(len(ids)), limit_s=60)
    finally:
        bench.vendor.stage = Stage.PENDING
    return ids


async def until_completed(
    gateway: MeasuredGateway, ids: Sequence[str], *, keys: Iterable[int] = itertools.repeat(0), limit_s: float
) -> None:
    """Wait until all of these jobs are completed; each is asked about in turn.

    Args:
        keys: number of the key of each job.

    Raises:
        SystemExit: one was not, within the limit.
    """
    end = time.monotonic() + limit_s
    for job_id, key in zip(ids, keys, strict=False):
        request = gateway.get_request(job_id, key)
        while (status := (await ask(gateway.port, request)).json()["status"]) != "completed":
            if status == "failed" or time.monotonic() > end:
                sys.exit(f"musicgate did not complete its jobs: {job_id} is {status}")
            await asyncio.sleep(0.05)


def callback_request(task_id: str, task: Task) -> bytes:
    """The vendor's call to the callback address of a task: something has happened, ask for it."""
    path = "/" + task.callback_url.split("/", 3)[3]
    body = b'{"code":200,"msg":"ok","data":{"callbackType":"first","task_id":"%s","data":[]}}'
    return request_bytes("POST", path, body=body % task_id.encode())


def _requests(gateway: MeasuredGateway, start: Start, unit: str, requests: Sequence[bytes]) -> Work:
    answered = 0

    async def run(seconds: float) -> None:
        nonlocal answered
        load = await run_load(gateway.port, requests, connections=start.connections, seconds=seconds)
        must_be_good(load)
        answered += load.sent

    return Work(gateway=gateway, unit=unit, run=run, done=lambda: answered)


def report_ends(bench: Bench, gateway: MeasuredGateway) -> Callable[[float], Awaitable[None]]:
    """Make a coroutine that calls the callback address of every task, for so many seconds."""
    tasks = [(task_id, task) for task_id, task in bench.vendor.tasks.items() if task.callback_url]
    waiting = iter([callback_request(task_id, task) for task_id, task in tasks])

    async def run(seconds: float) -> None:
        # In short runs, so that the polls that a callback wakes are not piled up behind the callbacks.
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        before = bench.vendor.calls["poll"]
        sent = 0
        while loop.time() < end:
            batch = list(itertools.islice(waiting, _CALLBACKS))
            if not batch:
                return
            load = await run_load(gateway.port, batch, connections=len(batch), count=len(batch))
            must_be_good(load)
            sent += len(batch)
            while bench.vendor.calls["poll"] - before < sent and loop.time() < end:
                await asyncio.sleep(0.001)

    return run
