"""Whole songs: what one costs from its request to its audio on the disk."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.bench import Bench
from benchmarks.vendor import Stage
from benchmarks.workloads import report_ends, until_completed

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
        await until_completed(gateway, ids, limit_s=_LONGEST_S)
        took = time.monotonic() - began
        cpu_s = gateway.usage().cpu_s - before
    found: dict[str, object] = {
        "songs": count,
        "cpu_ms_per_song": round(1000 * cpu_s / count, 3),
        "songs_per_s": round(count / took, 1),
    }
    bench.say(f"  {found['cpu_ms_per_song']} ms of CPU per song, {found['songs_per_s']} songs/s")
    return found
