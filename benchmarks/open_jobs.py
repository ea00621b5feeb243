"""Measure how one process follows many open jobs: polls per second, lateness of polls, memory.

The gateway is the real one, with SQLite and the real HTTP client; the vendor is a process of its own on
loopback that answers "still working" and records when it was polled. Run: ``python benchmarks/open_jobs.py
--jobs 20000 --seconds 60``.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web

from musicgate import Gateway
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Job,
    JobState,
    MusicRequest,
)
from musicgate.settings import load_settings
from musicgate.store.sqlite import SqliteJobStore

#: Age of the seeded jobs: old enough that the poll interval has reached its longest.
_AGE_S = 200.0


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to follow them")
    parser.add_argument("--concurrency", type=int, default=64, help="polls at a time")
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    vendor = multiprocessing.get_context("spawn").Process(target=_vendor, args=(theirs,), daemon=True)
    vendor.start()
    port = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_follow(Path(folder), port, arguments.jobs, arguments.seconds, arguments.concurrency))
    ours.send("stop")
    times: dict[str, list[float]] = ours.recv()
    vendor.join(10)
    _report(times, arguments.jobs, arguments.seconds)


async def _follow(folder: Path, port: int, jobs: int, seconds: float, concurrency: int) -> None:
    environ = {
        "MUSICGATE_DATA_DIR": str(folder),
        "KIE_API_KEY": "test-key-not-real",
        "KIE_BASE_URL": f"http://127.0.0.1:{port}",
        "MUSICGATE_FOLLOW__CONCURRENCY": str(concurrency),
    }
    settings = load_settings(environ=environ)
    started = time.perf_counter()
    async with SqliteJobStore.open(folder / "musicgate.db") as store:
        for first in range(0, jobs, 500):
            await asyncio.gather(
                *(store.add(_job(number), ()) for number in range(first, min(jobs, first + 500)))
            )
    print(f"seeded {jobs} jobs in {time.perf_counter() - started:.1f} s")
    before = _rss_mb()
    started = time.perf_counter()
    async with Gateway.open(settings) as gate:
        print(f"opened in {time.perf_counter() - started:.1f} s, {gate.open_jobs} jobs watched")
        used = time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - used
        print(f"CPU {used:.1f} s in {seconds:.0f} s")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory: {before:.0f} MB before, {peak_mb:.0f} MB at the peak")


def _job(number: int) -> Job:
    now = datetime.now(UTC)
    created = now - timedelta(seconds=_AGE_S)
    attempt = Attempt(
        plugin="suno_kie",
        provider="suno",
        model="suno/v5",
        native_model="V5",
        outcome=AttemptOutcome.ACCEPTED,
        planned_at=created,
        answered_at=created,
        native_id=f"{number:032x}",
    )
    return Job(
        id=f"music_{number:026d}",
        account="local",
        generation_id=f"G-{number:026d}",
        request=MusicRequest(model="suno/v5", prompt="Warm jazz trio with brushed drums"),
        state=JobState.IN_PROGRESS,
        created_at=created,
        updated_at=created,
        deadline_at=now + timedelta(hours=1),
        callback_token=f"token-not-real-{number}",
        native_status="PENDING",
        attempts=(attempt,),
    )


def _vendor(pipe: Connection) -> None:
    times: dict[str, list[float]] = {}

    async def record_info(request: web.Request) -> web.Response:
        task = request.query["taskId"]
        times.setdefault(task, []).append(time.monotonic())
        data = {
            "taskId": task,
            "status": "PENDING",
            "response": None,
            "errorCode": None,
            "errorMessage": None,
        }
        return web.Response(
            text=json.dumps({"code": 200, "msg": "success", "data": data}), content_type="application/json"
        )

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/api/v1/generate/record-info", record_info)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.to_thread(pipe.recv)
        await runner.cleanup()

    asyncio.run(serve())
    pipe.send(times)


def _report(times: dict[str, list[float]], jobs: int, seconds: float) -> None:
    polls = sum(map(len, times.values()))
    gaps = sorted(
        later - earlier for polled in times.values() for earlier, later in itertools.pairwise(polled)
    )
    print(f"{polls} polls, {polls / seconds:.0f} a second; {len(times)} of {jobs} jobs polled")
    if gaps:
        p99 = gaps[int(len(gaps) * 0.99)]
        print(
            f"time between two polls: median {statistics.median(gaps):.2f} s, p99 {p99:.2f} s,"
            f" longest {gaps[-1]:.2f} s (wanted: 15)"
        )


def _rss_mb() -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("utf-8").splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


if __name__ == "__main__":
    main()
