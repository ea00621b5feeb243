"""Many open jobs at once: how many polls, how late, at what price; and what a crash does to them."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.gateway import MeasuredGateway
from benchmarks.load import Latencies
from benchmarks.vendor import CREATE, PollGaps
from musicgate.jobs import next_poll_s
from musicgate.model import Job, JobState, MusicRequest
from musicgate_suno_kie.declaration import PROVIDER

_WARM_JOBS: Final = 200
_LIMITS: Final = Path(__file__).with_name("limits.py")
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: Far more than a gateway should take to poll every job again after a restart.
_RECOVERY_TIMEOUT_S: Final = 120.0


async def polls(bench: Bench) -> dict[str, object]:
    """Follow open jobs at the vendor's own pace; then kill the gateway and start it again."""
    jobs = min(bench.jobs, 2000) if bench.is_quick else bench.jobs
    limit = await _limit(bench, 2.0 if bench.is_quick else 6.0)
    bench.say(f"  limit: {limit:,.0f} polls per CPU second of a bare aiohttp client")
    gateway = bench.gateway(speed=1.0)
    async with gateway.running():
        await gateway.create(_WARM_JOBS)
        await asyncio.sleep(2)
        rss = gateway.usage().rss_bytes
        began = time.monotonic()
        await gateway.create(jobs)
        creates_per_s = jobs / (time.monotonic() - began)
        bench.say(f"  {jobs:,} jobs made, {creates_per_s:,.0f}/s")
        await asyncio.sleep(3)
        rss_kb = (gateway.usage().rss_bytes - rss) / 1024 / jobs
        found = await _follow(bench, gateway, 5.0 if bench.is_quick else 30.0)
        restarted = await _crash(bench, gateway, jobs + _WARM_JOBS)
    ratio = found["polls_per_cpu_s"] / limit
    bench.say(
        f"  {found['polls_per_s']:,.0f} polls/s, ratio {ratio:.3f}, late p99 {found['late_p99_s']:.3f} s"
    )
    return {
        "jobs": jobs,
        "limit_polls_per_cpu_s": round(limit),
        "creates_per_s": round(creates_per_s),
        "rss_kb_per_job": round(rss_kb, 2),
        "ratio": round(ratio, 4),
        **found,
        **restarted,
    }


async def _limit(bench: Bench, seconds: float) -> float:
    """Polls per CPU second of a bare client, on the core of the server."""
    core = bench.cores.server
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    process = await asyncio.create_subprocess_exec(
        *pinned,
        *(sys.executable, "-P", str(_LIMITS), "polls", f"{bench.vendor.url}{CREATE.decode()}", str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds + 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        sys.exit("the bare polling client failed")
    count, cpu_s = output.split()
    return int(count) / float(cpu_s)


async def _follow(bench: Bench, gateway: MeasuredGateway, seconds: float) -> dict[str, float]:
    vendor = bench.vendor
    vendor.gaps = PollGaps()
    before, polled, own, began = gateway.usage(), vendor.calls["poll"], time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    took, after, gaps = time.monotonic() - began, gateway.usage(), vendor.gaps
    vendor.gaps = None
    polled = vendor.calls["poll"] - polled
    cpu_s = max(after.cpu_s - before.cpu_s, 0.01)
    late = lateness(gaps)
    return {
        "polls_per_s": round(polled / took, 1),
        "polls_per_cpu_s": round(polled / cpu_s),
        "cpu_share": round(cpu_s / took, 3),
        "vendor_cpu_share": round((time.process_time() - own) / took, 3),
        "late_p50_s": round(late.quantile_ms(0.5) / 1000, 4),
        "late_p99_s": round(late.quantile_ms(0.99) / 1000, 4),
        "rss_mb": round(after.rss_bytes / 2**20, 1),
    }


def lateness(gaps: PollGaps, speed: float = 1.0) -> Latencies:
    """How much longer each gap was than the one that the schedule asks for at that age of a job."""
    job = Job(
        id="",
        account="",
        generation_id="",
        request=MusicRequest(model="suno/v4.5plus"),
        state=JobState.IN_PROGRESS,
        created_at=_EPOCH,
        updated_at=_EPOCH,
        deadline_at=_EPOCH + timedelta(days=1),
        callback_token="",
    )
    # The vendor's clock begins when it creates the task, the gateway's a little earlier: a task that has been
    # polled is past its first interval, although it may look younger here.
    ages_s = [max(age_s, PROVIDER.poll.first_s / speed) if age_s else 0.0 for age_s in gaps.ages_s]
    late = [
        gap_s - next_poll_s(job, PROVIDER.poll, _EPOCH + timedelta(seconds=age_s), speed)
        for age_s, gap_s in zip(ages_s, gaps.gaps_s, strict=True)
    ]
    return Latencies(sorted_s=sorted(late))


async def _crash(bench: Bench, gateway: MeasuredGateway, made: int) -> dict[str, float]:
    """Kill the gateway, start it again, and wait until the vendor has been asked about every job."""
    vendor = bench.vendor
    gateway.kill()
    await asyncio.sleep(0.2)  # the last calls were on their way
    vendor.unseen = {task_id for task_id, task in vendor.tasks.items() if task.callback_url}
    began = time.monotonic()
    answered_s = await gateway.start()
    while vendor.unseen and time.monotonic() - began < _RECOVERY_TIMEOUT_S:
        await asyncio.sleep(0.05)
    polled_s, missing = time.monotonic() - began, len(vendor.unseen)
    extra = sum(bool(task.callback_url) for task in vendor.tasks.values()) - made
    bench.say(
        f"  killed and started: first answer after {answered_s:.1f} s, every job polled after {polled_s:.1f} s;"
        f" {missing} never polled, {extra} created twice"
    )
    return {
        "restart_first_answer_s": round(answered_s, 2),
        "restart_all_polled_s": round(polled_s, 2),
        "restart_never_polled": missing,
        "restart_created_twice": extra,
    }
