"""What grows with the number of finished jobs in the store: it should be the disk, and nothing else."""

from __future__ import annotations

import random
import sqlite3
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import attrs

from benchmarks.bench import Bench
from benchmarks.gateway import JOBS, MeasuredGateway, must_be_good
from benchmarks.load import run_load
from benchmarks.workloads import finished_jobs
from musicgate.gateway.compose import open_context
from musicgate.gateway.sweep import Sweeper
from musicgate.hosting import load_plugins
from musicgate.model import Failure, FailureClass, Job, JobEvent, JobState
from musicgate.settings import load_settings
from musicgate.store import sqlite_statements as sql
from musicgate.store.sqlite import SqliteJobStore
from musicgate.views.cursor import encode_cursor

SIZES: Final = (0, 10_000, 1_000_000)
#: One finished job in so many has failed, for a filter that few jobs match.
FAILED_EACH: Final = 1000
#: GETs go to so many jobs, spread over the whole store.
_SAMPLE: Final = 2000
_SPACING: Final = timedelta(seconds=2)
_SWEEPS: Final = 5
_FAILURE: Final = Failure(reason=FailureClass.MODERATION, message="the vendor reported SENSITIVE_WORD_ERROR")


async def growth(bench: Bench) -> dict[str, object]:
    """Response times, one sweep and the disk with 0, 10,000 and 1,000,000 finished jobs in the store."""
    sizes = SIZES[:2] if bench.is_quick else SIZES
    return {str(size): await _with_finished_jobs(bench, size) for size in sizes}


async def _with_finished_jobs(bench: Bench, size: int) -> dict[str, object]:
    bench.vendor.forget()
    folder = bench.new_folder("growth")
    first = bench.gateway(speed=20, folder=folder)
    async with first.running():
        (job_id,) = await finished_jobs(bench, first)
    async with SqliteJobStore.open(first.database) as store:
        template = await store.get(job_id)
        events = [event for _, event in await store.events(job_id)]
    if template is None:
        raise LookupError(job_id)
    before = _disk_bytes(folder)
    bench.say(f"  {size:,} finished jobs: writing them")
    jobs = fill(first.database, template, events, size)
    found: dict[str, object] = {
        "disk_kb_per_job": round((_disk_bytes(folder) - before) / 1024 / size, 2) if size else None
    }
    gateway = bench.gateway(folder=folder)
    found["start_s"] = round(await gateway.start(), 2)
    try:
        found |= await _response_times(bench, gateway, jobs or [template])
        found["rss_mb"] = round(gateway.usage().rss_bytes / 2**20, 1)
    finally:
        gateway.stop()
    found["sweep_ms"] = round(await _sweep_ms(gateway), 2)
    bench.say(f"  {size:,} finished jobs: one sweep {found['sweep_ms']} ms, start {found['start_s']} s")
    for path in folder.glob("musicgate.db*"):
        path.unlink()
    return found


def fill(database: Path, template: Job, events: Sequence[JobEvent], size: int) -> list[Job]:
    """Write copies of a finished job with its events; return a sample of them, oldest first.

    Straight into the tables, with the rows of the store: through a gateway a million jobs would take an hour.
    """
    chosen = set(random.Random(9).sample(range(size), min(size, _SAMPLE)))  # noqa: S311 - no secret
    sample: list[Job] = []

    def copies() -> Iterator[Job]:
        for number in range(size):
            job = copy_of(template, number, size)
            if number in chosen:
                sample.append(job)
            yield job

    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        # No other process reads this file, and it is thrown away if the machine stops.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for job in copies():
            connection.execute(sql.ADD_JOB, sql.new_row(job, events))
            if (end := sql.end_of_row(job)) is not None:
                connection.execute(sql.END_ADDED_JOB, end)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return sample


def copy_of(template: Job, number: int, size: int) -> Job:
    """A job like the template that ended earlier, with ids of its own; number 0 is the oldest."""
    earlier = (size - number) * _SPACING
    attempts = tuple(attrs.evolve(each, native_id=f"copy{number:028d}") for each in template.attempts)
    if number % FAILED_EACH == 0:
        template = attrs.evolve(template, state=JobState.FAILED, failure=_FAILURE, tracks=())
    return attrs.evolve(
        template,
        id=f"music_0{number:025d}",
        generation_id=f"G-0{number:025d}",
        attempts=attempts,
        created_at=template.created_at - earlier,
        updated_at=template.updated_at - earlier,
        completed_at=None if template.completed_at is None else template.completed_at - earlier,
    )


async def _response_times(
    bench: Bench, gateway: MeasuredGateway, jobs: Sequence[Job]
) -> dict[str, dict[str, float]]:
    """One connection, so that a time is the time of one request and not of a queue."""
    middle = encode_cursor(jobs[len(jobs) // 2])
    ids = [job.id for job in jobs]
    random.Random(9).shuffle(ids)  # noqa: S311 - no secret
    requests = {
        "create": [gateway.create_request()],
        "get": [gateway.get_request(job_id) for job_id in ids],
        "list": [gateway.request("GET", JOBS)],
        "list_cursor": [gateway.request("GET", f"{JOBS}?cursor={middle}")],
        "list_completed": [gateway.request("GET", f"{JOBS}?state=completed")],
        "list_failed": [gateway.request("GET", f"{JOBS}?state=failed")],
        "list_none": [gateway.request("GET", f"{JOBS}?model=none")],
    }
    seconds = 1.0 if bench.is_quick else 4.0
    found = {}
    for name, wire in requests.items():
        load = await run_load(gateway.port, wire, connections=1, seconds=seconds)
        must_be_good(load)
        p50, p99 = load.latencies.quantile_ms(0.5), load.latencies.quantile_ms(0.99)
        found[name] = {"p50_ms": round(p50, 3), "p99_ms": round(p99, 3)}
        bench.say(f"    {name:<16} p50 {p50:8.3f} ms  p99 {p99:8.3f} ms")
    return found


async def _sweep_ms(gateway: MeasuredGateway) -> float:
    """Median time of one sweep that keeps jobs and audio for years: it has to find that nothing is due."""
    environ = {
        "MUSICGATE_RETENTION__JOBS_DAYS": "3650",
        "MUSICGATE_RETENTION__AUDIO_DAYS": "3650",
    }
    settings = load_settings(gateway.config, environ=environ)
    async with open_context(settings, load_plugins(), lambda _before, _after: None) as context:
        sweeper = Sweeper(context)
        times = []
        for _ in range(_SWEEPS):
            began = time.perf_counter()
            await sweeper.sweep()
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("musicgate.db*"))
