"""Very many open jobs over two replicas on one PostgreSQL; one of them is killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import Final

import asyncpg

from benchmarks.bench import Bench
from benchmarks.database import Database
from benchmarks.gateway import MeasuredGateway
from benchmarks.installation import NAME, Installation, followed
from benchmarks.polls import lateness
from benchmarks.vendor import PollGaps, Task
from musicgate.model import SHARES, share_of
from musicgate.store.postgres_statements import OPEN_IDS

_JOBS: Final = 200_000
_WARM_JOBS: Final = 200
#: So slow that two cores can make their polls: each job is polled every 125 seconds, at first after as many.
_SPEED: Final = 0.04
_FIRST_POLL_S: Final = 125.0
_WATCH_S: Final = 30.0
_TIMEOUT_S: Final = 150.0


async def many(bench: Bench) -> dict[str, object]:
    """200,000 open jobs over two replicas: memory, lateness, and what the death of one of them does."""
    jobs = _JOBS // 10 if bench.is_quick else _JOBS
    with Database.running(bench.new_folder("database"), bench.cores.load) as database:
        installation = Installation(bench=bench, database=database, speed=_SPEED)
        await installation.renew()
        async with AsyncExitStack() as stack:
            replicas = [installation.replica(core=core) for core in (bench.cores.server, bench.cores.load)]
            await stack.enter_async_context(replicas[0].running())
            await installation.until_even(replicas[:1])
            (first,) = await installation.shares()
            await stack.enter_async_context(replicas[1].running())
            await installation.until_even(replicas)
            began = time.monotonic()
            made = await _make(installation, replicas, jobs)
            await asyncio.sleep(max(0.0, _FIRST_POLL_S + 5.0 - (time.monotonic() - began)))
            watched = await _watch(installation, replicas)
            searched = await _search(database, jobs + _WARM_JOBS)
            rows = await database.run("SELECT share, replica FROM musicgate.shares", NAME)
            shares = {share for share, holder in rows if holder == first}
            killed = await _kill(installation, replicas, shares, jobs + _WARM_JOBS)
    return {"jobs": jobs, "speed": _SPEED, **made, **watched, **searched, **killed}


async def _make(
    installation: Installation, replicas: Sequence[MeasuredGateway], jobs: int
) -> dict[str, object]:
    await asyncio.gather(*(replica.create(_WARM_JOBS // 2) for replica in replicas))
    rss = _rss_bytes(replicas)
    began = time.monotonic()
    await asyncio.gather(*(replica.create(jobs // 2) for replica in replicas))
    per_s = jobs / (time.monotonic() - began)
    installation.bench.say(f"  {jobs:,} jobs made, {per_s:,.0f}/s")
    await installation.until_even(replicas, jobs + _WARM_JOBS)
    return {
        "creates_per_s": round(per_s),
        "rss_kb_per_job": round((_rss_bytes(replicas) - rss) / 1024 / jobs, 2),
        "rss_mb": round(_rss_bytes(replicas) / 2**20),
    }


async def _watch(installation: Installation, replicas: Sequence[MeasuredGateway]) -> dict[str, object]:
    vendor, database = installation.bench.vendor, installation.database
    gaps = vendor.gaps = PollGaps()
    cpu_s, server_s, began = _cpu_s(replicas), database.cpu_s(), time.monotonic()
    await asyncio.sleep(_WATCH_S / 6 if installation.bench.is_quick else _WATCH_S)
    vendor.gaps = None
    took, polled = time.monotonic() - began, len(gaps.gaps_s)
    late = lateness(gaps, _SPEED)
    found: dict[str, object] = {
        "polls_per_s": round(polled / took),
        "poll_cpu_ms": round(1000 * (_cpu_s(replicas) - cpu_s) / polled, 3),
        "postgres_cpu_share": round((database.cpu_s() - server_s) / took, 3),
        "late_p50_s": round(late.quantile_ms(0.5) / 1000, 3),
        "late_p99_s": round(late.quantile_ms(0.99) / 1000, 3),
    }
    installation.bench.say(f"  {found}")
    return found


async def _search(database: Database, jobs: int) -> dict[str, object]:
    """What the search for open jobs that no replica follows costs, and how large they are."""
    connection = await asyncpg.connect(database.url(NAME))
    try:
        server_s, own_s = database.cpu_s(), time.process_time()
        for share in range(SHARES):
            await connection.fetch(OPEN_IDS, share)
        server_s, own_s = database.cpu_s() - server_s, time.process_time() - own_s
        size = await connection.fetchval("SELECT pg_total_relation_size('musicgate.jobs')")
    finally:
        await connection.close()
    return {
        "search_postgres_us_per_job": round(1e6 * server_s / jobs, 3),
        "search_us_per_job": round(1e6 * own_s / jobs, 3),
        "database_kb_per_job": round(size / 1024 / jobs, 2),
    }


async def _kill(
    installation: Installation,
    replicas: Sequence[MeasuredGateway],
    shares: Collection[int],
    jobs: int,
) -> dict[str, object]:
    """Kill the first replica, and wait until the second one has polled every job of its shares."""
    vendor, (dead, survivor) = installation.bench.vendor, replicas
    orphans = {task_id for task_id, task in vendor.tasks.items() if share_of(_job(task)) in shares}
    vendor.unseen = set(orphans)
    dead.kill()
    killed, followed_s = time.monotonic(), 0.0
    while vendor.unseen and time.monotonic() - killed < _TIMEOUT_S:
        if not followed_s and await followed(survivor) >= jobs:
            followed_s = time.monotonic() - killed
        await asyncio.sleep(0.25)
    polled_s = time.monotonic() - killed
    kept = {str(job) for (job,) in await installation.database.run("SELECT id FROM musicgate.jobs", NAME)}
    songs = [_job(task) for task in vendor.tasks.values()]
    found: dict[str, object] = {
        "orphans": len(orphans),
        "all_followed_s": round(followed_s, 1),
        "all_polled_s": round(polled_s, 1),
        "never_polled": len(vendor.unseen),
        "lost": len(set(songs) - kept),
        "created_twice": len(songs) - len(set(songs)),
    }
    installation.bench.say(f"  {found}")
    return found


def _job(task: Task) -> str:
    """The id of a job, which its callback URL has."""
    return task.callback_url.split("/")[-2]


def _rss_bytes(replicas: Sequence[MeasuredGateway]) -> int:
    return sum(replica.usage().rss_bytes for replica in replicas)


def _cpu_s(replicas: Sequence[MeasuredGateway]) -> float:
    return sum(replica.usage().cpu_s for replica in replicas)
