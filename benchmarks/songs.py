"""Whole songs: what one costs from its request to its audio on the disk."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.bench import Bench
from benchmarks.gateway import MeasuredGateway
from benchmarks.vendor import Stage
from benchmarks.workloads import report_ends

#: For all songs together.
_LONGEST_S: Final = 300.0


async def songs(bench: Bench) -> dict[str, object]:
    """CPU time of a song: create, callback, poll, two tracks fetched, measured and kept; no webhook."""
    count = 100 if bench.is_quick else 1000
    gateway = bench.gateway()
    async with gateway.running():
        await gateway.create(100)
        bench.vendor.forget()
        before, began = gateway.usage().cpu_s, time.monotonic()
        ids = await gateway.create(count)
        bench.vendor.stage = Stage.DONE
        await report_ends(bench, gateway)(_LONGEST_S)
        async with asyncio.timeout(_LONGEST_S):
            await _until_completed(gateway, ids)
        took = time.monotonic() - began
        cpu_s = gateway.usage().cpu_s - before
    found: dict[str, object] = {
        "songs": count,
        "cpu_ms_per_song": round(1000 * cpu_s / count, 3),
        "songs_per_s": round(count / took, 1),
    }
    bench.say(f"  {found['cpu_ms_per_song']} ms of CPU per song, {found['songs_per_s']} songs/s")
    return found


async def _until_completed(gateway: MeasuredGateway, ids: Sequence[str]) -> None:
    """Wait until all of these jobs have ended. They end in any order, so each is asked about a few times."""
    for job_id in ids:
        while (status := (await gateway.get(job_id)).json()["status"]) != "completed":
            if status == "failed":
                sys.exit(f"the song {job_id} failed")
            await asyncio.sleep(0.05)
