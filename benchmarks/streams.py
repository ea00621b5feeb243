"""Readers of event streams: the memory of one, the price of a change, the time until all are told."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.bench import Bench
from benchmarks.gateway import JOBS, MeasuredGateway, must_be_good
from benchmarks.load import ask, run_load
from benchmarks.readers import Readers
from benchmarks.vendor import Stage
from benchmarks.workloads import callback_request

READERS: Final = 1000
_ROUNDS: Final = 5
#: Callbacks at a time, while many jobs change.
_AT_A_TIME: Final = 16


async def events(bench: Bench) -> dict[str, object]:
    """1,000 readers, each on a job of its own, and then all on one job."""
    readers = 100 if bench.is_quick else READERS
    gateway = bench.gateway()
    async with gateway.running():
        alone = await _changes_cpu_ms(bench, gateway, await _new_jobs(bench, gateway, readers))
        jobs = await _new_jobs(bench, gateway, readers)
        before = gateway.usage().rss_bytes
        async with Readers.reading(gateway.port, _stream_requests(gateway, jobs)) as reading:
            # Each has been told at least that its job was created.
            await reading.received(readers)
            await asyncio.sleep(1)
            rss_kb = (gateway.usage().rss_bytes - before) / 1024 / readers
            seen = reading.events
            watched = await _changes_cpu_ms(bench, gateway, jobs)
            await reading.received(seen + readers)
        told_ms = [await _told_ms(bench, gateway, readers) for _ in range(1 if bench.is_quick else _ROUNDS)]
    found: dict[str, object] = {
        "readers": readers,
        "rss_kb_per_reader": round(rss_kb, 2),
        "cpu_ms_per_change": round(alone, 3),
        "cpu_ms_per_change_with_reader": round(watched, 3),
        "all_told_ms": round(statistics.median(told_ms), 1),
    }
    bench.say(
        f"  {found['rss_kb_per_reader']} kB per reader; a change takes {found['cpu_ms_per_change']} ms of CPU,"
        f" {found['cpu_ms_per_change_with_reader']} ms with a reader;"
        f" {readers} readers of one job told in {found['all_told_ms']} ms"
    )
    return found


async def _new_jobs(bench: Bench, gateway: MeasuredGateway, count: int) -> list[str]:
    """Make jobs; the vendor knows no others afterwards."""
    bench.vendor.forget()
    return await gateway.create(count)


def _stream_requests(gateway: MeasuredGateway, ids: Sequence[str]) -> list[bytes]:
    return [gateway.request("GET", f"{JOBS}/{job_id}/events") for job_id in ids]


async def _changes_cpu_ms(bench: Bench, gateway: MeasuredGateway, ids: Sequence[str]) -> float:
    """CPU time per job, when each gets its first track: callback, poll, the track stored and reported."""
    vendor = bench.vendor
    vendor.stage = Stage.FIRST
    requests = [callback_request(task_id, task) for task_id, task in vendor.tasks.items()]
    before = gateway.usage().cpu_s
    for first in range(0, len(requests), _AT_A_TIME):
        batch = requests[first : first + _AT_A_TIME]
        load = await run_load(gateway.port, batch, connections=len(batch), count=len(batch))
        must_be_good(load)
        async with asyncio.timeout(60):
            while vendor.calls["poll"] < first + len(batch):
                await asyncio.sleep(0.001)
    await asyncio.sleep(0.5)
    return 1000 * (gateway.usage().cpu_s - before) / len(ids)


async def _told_ms(bench: Bench, gateway: MeasuredGateway, readers: int) -> float:
    """From a callback to the last of many readers of the same job."""
    ids = await _new_jobs(bench, gateway, 1)
    requests = _stream_requests(gateway, ids * readers)
    async with Readers.reading(gateway.port, requests) as reading:
        await reading.received(readers)
        await asyncio.sleep(1)
        bench.vendor.stage = Stage.FIRST
        ((task_id, task),) = bench.vendor.tasks.items()
        seen, began = reading.events, time.perf_counter()
        must_be_good(await run_load(gateway.port, [callback_request(task_id, task)], connections=1, count=1))
        await reading.received(seen + readers)
        told_ms = 1000 * (reading.last_s - began)
        # The streams end with their job; a server notices a reader that only closes with its next heartbeat.
        await ask(gateway.port, gateway.request("DELETE", f"{JOBS}/{ids[0]}"))
        await asyncio.sleep(1)
        return told_ms
