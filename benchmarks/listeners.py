"""Listeners of a long song: what fifty of them take of the gateway's memory, slow and fast ones."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.gateway import JOBS, MeasuredGateway
from benchmarks.vendor import Stage
from benchmarks.workloads import report_ends

_LISTENERS: Final = 50
#: Ten minutes of a WAV in stereo.
_SONG_BYTES: Final = 600 * 44_100 * 4
_MIB: Final = 1 << 20
#: A slow listener takes a piece, and then pauses.
_PIECE_BYTES: Final = 64 * 1024
_PAUSE_S: Final = 0.3


async def listeners(bench: Bench) -> dict[str, object]:
    """Memory of 50 listeners of a WAV of ten minutes, and the CPU time of a gigabyte."""
    gateway = bench.gateway()
    async with gateway.running():
        (job_id,) = await gateway.create(1)
        bench.vendor.stage = Stage.DONE
        await report_ends(bench, gateway)(60.0)
        path = await _kept(gateway)
        with path.open("wb") as file:
            file.truncate(_SONG_BYTES)
        request = gateway.request("GET", f"{JOBS}/{job_id}/audio/0")
        await _listen(gateway, request, pause_s=0.0)  # what one takes is there before the others come
        before, began = gateway.usage(), time.monotonic()
        slow_s = 2.0 if bench.is_quick else 15.0
        slow = await _peak(gateway, request, pause_s=_PAUSE_S, for_s=slow_s)
        cpu_before_s = gateway.usage().cpu_s
        fast = await _peak(gateway, request, pause_s=0.0, for_s=2.0 if bench.is_quick else 120.0)
        cpu_s = gateway.usage().cpu_s - cpu_before_s
    found: dict[str, object] = {
        "listeners": _LISTENERS,
        "slow_mib": round((slow.rss_bytes - before.rss_bytes) / _MIB, 1),
        "fast_mib": round((fast.rss_bytes - before.rss_bytes) / _MIB, 1),
        "cpu_s_per_gb": round(cpu_s / (fast.sent_bytes / 1e9), 2),
        "took_s": round(time.monotonic() - began, 1),
    }
    bench.say(
        f"  {_LISTENERS} slow listeners take {found['slow_mib']} MiB, fast ones {found['fast_mib']} MiB;"
        f" a gigabyte takes {found['cpu_s_per_gb']} s of CPU"
    )
    return found


class _Peak:
    """What listeners took: the gateway's memory at its highest, and the bytes that they got."""

    def __init__(self) -> None:
        self.rss_bytes = 0
        self.sent_bytes = 0


async def _kept(gateway: MeasuredGateway) -> Path:
    """The file of the first track, once it is kept."""
    async with asyncio.timeout(60):
        while not (found := sorted(gateway.database.parent.glob("audio/??/*"))):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    return found[0]


async def _peak(gateway: MeasuredGateway, request: bytes, *, pause_s: float, for_s: float) -> _Peak:
    peak = _Peak()
    tasks = [
        asyncio.create_task(_listen(gateway, request, pause_s=pause_s, peak=peak)) for _ in range(_LISTENERS)
    ]
    end = time.monotonic() + for_s
    while time.monotonic() < end and not all(task.done() for task in tasks):
        await asyncio.sleep(0.1)
        peak.rss_bytes = max(peak.rss_bytes, gateway.usage().rss_bytes)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return peak


async def _listen(
    gateway: MeasuredGateway, request: bytes, *, pause_s: float, peak: _Peak | None = None
) -> None:
    # A small buffer, so that what is not taken stays with the gateway.
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=_PIECE_BYTES // 2)
    try:
        writer.write(request)
        got = 0
        while got < _SONG_BYTES and (piece := await reader.read(_PIECE_BYTES)):
            if not got and not piece.startswith(b"HTTP/1.1 200 "):
                raise ConnectionError(f"a listener was refused: {piece[:100]!r}")
            got += len(piece)
            if peak is not None:
                peak.sent_bytes += len(piece)
            await asyncio.sleep(pause_s)
    finally:
        writer.transport.abort()
