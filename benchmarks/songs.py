"""Whole songs: what one costs from its request to its audio on the disk."""

from __future__ import annotations

import asyncio
import time

from benchmarks.bench import Bench
from benchmarks.vendor import Stage
from benchmarks.workloads import report_ends


async def songs(bench: Bench) -> dict[str, object]:
    """CPU time of a song: create, callback, poll, two tracks fetched, measured and kept; no webhook."""
    count = 100 if bench.is_quick else 1000
    gateway = bench.gateway()
    async with gateway.running():
        await gateway.create(100)
        bench.vendor.forget()
        before, began = gateway.usage().cpu_s, time.monotonic()
        await gateway.create(count)
        bench.vendor.stage = Stage.DONE
        await report_ends(bench, gateway)(60.0)
        async with asyncio.timeout(60):
            while bench.vendor.calls["media"] < 2 * count:
                await asyncio.sleep(0.01)
        took = time.monotonic() - began
        await asyncio.sleep(0.5)
        cpu_s = gateway.usage().cpu_s - before
    found: dict[str, object] = {
        "songs": count,
        "cpu_ms_per_song": round(1000 * cpu_s / count, 3),
        "songs_per_s": round(count / took, 1),
    }
    bench.say(f"  {found['cpu_ms_per_song']} ms of CPU per song, {found['songs_per_s']} songs/s")
    return found
