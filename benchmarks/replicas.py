"""What a second replica is worth: creates and polls of two on one PostgreSQL, against one."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from typing import Final

import attrs

from benchmarks import quotas
from benchmarks.bench import Bench
from benchmarks.database import Database
from benchmarks.gateway import MeasuredGateway, must_be_good
from benchmarks.installation import Installation
from benchmarks.load import Latencies, Load, run_load

#: Of a core for each replica. Both fit on one core, and the other one is left to PostgreSQL, load and vendor.
SHARE: Final = 0.35
_ROUNDS: Final = 5
_SECONDS: Final = 4.0
_WARM_UP_S: Final = 1.5
#: Name of a run of creates -> connections to each replica.
_LOADS: Final[dict[str, tuple[int, ...]]] = {"1": (64,), "2": (64, 64), "2, half each": (32, 32)}
#: Open jobs, and a speed at which they want more polls than two replicas can make.
_JOBS: Final = 6000
_POLL_SPEED: Final = 30.0
#: Divided by the speed: the jobs stay open for as long as they are polled here.
_DEADLINE_S: Final = 36_000.0


@attrs.frozen(kw_only=True)
class Run:
    """What one or two replicas did in a few seconds; times of CPU by answer or poll."""

    per_s: float
    cpu_ms: float
    postgres_cpu_ms: float
    cpu_share: float
    rest_cpu_share: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0


async def replicas(bench: Bench) -> dict[str, object]:
    """Creates and polls of two replicas on one PostgreSQL, each with a fixed part of a core, against one."""
    is_limited = quotas.can_limit()
    if not is_limited:
        bench.say("  no CPU quota possible here (cgroups v1): only CPU times are comparable")
    with Database.running(bench.new_folder("database"), bench.cores.load) as database:
        return {
            "share_of_core": SHARE if is_limited else None,
            "create": await _creates(bench, database, is_limited=is_limited),
            "polls": await _polls(bench, database, is_limited=is_limited),
        }


async def _creates(bench: Bench, database: Database, *, is_limited: bool) -> dict[str, object]:
    """A new database for each run: what a replica does beside, such as reading open jobs, is the same."""
    installation = Installation(bench=bench, database=database)
    runs: dict[str, list[Run]] = {name: [] for name in _LOADS}
    for _ in range(1 if bench.is_quick else _ROUNDS):
        for name, connections in _LOADS.items():
            bench.vendor.forget()
            await installation.renew()
            gateways = [installation.replica() for _ in connections]
            try:
                for gateway in gateways:
                    await gateway.start()
                await installation.until_even(gateways)
                load = dict(zip(gateways, connections, strict=True))
                runs[name].append(await _create_run(bench, database, load, is_limited=is_limited))
            finally:
                for gateway in gateways:
                    gateway.kill()
    return _figures(bench, "creates", runs)


async def _create_run(
    bench: Bench, database: Database, connections: Mapping[MeasuredGateway, int], *, is_limited: bool
) -> Run:
    gateways = list(connections)

    async def load(seconds: float) -> Sequence[Load]:
        loads = await asyncio.gather(
            *(
                run_load(gateway.port, [gateway.create_request()], connections=count, seconds=seconds)
                for gateway, count in connections.items()
            )
        )
        for seen in loads:
            must_be_good(seen)
        return loads

    seen: list[Load] = []

    async def work(seconds: float) -> int:
        loads = await load(seconds)
        seen[:] = loads
        return sum(one.sent for one in loads)

    made = bench.vendor.calls["create"]
    sent = await work(_WARM_UP_S)  # without a quota: Python specializes what runs often
    with quotas.limited([one.pid for one in gateways], SHARE) if is_limited else nullcontext():
        sent += await work(_WARM_UP_S / 2)
        run = await _weighed(database, gateways, work)
    sent += sum(one.sent for one in seen)
    if bench.vendor.calls["create"] - made != sent:
        sys.exit(f"{sent} answers, but {bench.vendor.calls['create'] - made} calls to the vendor")
    latencies = Latencies(sorted_s=sorted(took for one in seen for took in one.latencies.sorted_s))
    rate = sum(one.rate for one in seen)
    p50_ms, p99_ms = latencies.quantile_ms(0.5), latencies.quantile_ms(0.99)
    return attrs.evolve(run, per_s=rate, p50_ms=p50_ms, p99_ms=p99_ms)


async def _polls(bench: Bench, database: Database, *, is_limited: bool) -> dict[str, object]:
    """The same jobs in every run; the second replica comes and goes."""
    vendor = bench.vendor
    vendor.forget()
    installation = Installation(bench=bench, database=database, speed=_POLL_SPEED, deadline_s=_DEADLINE_S)
    await installation.renew()
    first, second = installation.replica(), installation.replica()
    runs: dict[str, list[Run]] = {"1": [], "2": []}

    async def work(seconds: float) -> int:
        polled = vendor.calls["poll"]
        await asyncio.sleep(seconds)
        return vendor.calls["poll"] - polled

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(first.running())
        await installation.until_even([first])
        await first.create(_JOBS)
        for _ in range(1 if bench.is_quick else _ROUNDS):
            for name, rows in runs.items():
                gateways = [first, second][: int(name)]
                if second in gateways:
                    await second.start()
                    stack.callback(second.stop)
                await installation.until_even(gateways, _JOBS)
                # The first poll of a job by its new follower reads the job, the others need no store.
                for _ in range(2):
                    await _until_polled(bench)
                with quotas.limited([one.pid for one in gateways], SHARE) if is_limited else nullcontext():
                    await work(_WARM_UP_S)
                    rows.append(await _weighed(database, gateways, work))
            second.stop()
    return {"jobs": _JOBS, **_figures(bench, "polls", runs)}


async def _until_polled(bench: Bench) -> None:
    """Wait until every job has been polled once more."""
    bench.vendor.unseen = set(bench.vendor.tasks)
    while bench.vendor.unseen:
        await asyncio.sleep(0.05)


async def _weighed(
    database: Database,
    gateways: Sequence[MeasuredGateway],
    work: Callable[[float], Awaitable[int]],
    seconds: float = _SECONDS,
) -> Run:
    before, server = sum(one.usage().cpu_s for one in gateways), database.cpu_s()
    own, began = time.process_time(), time.monotonic()
    count = await work(seconds)
    took = time.monotonic() - began
    cpu_s = sum(one.usage().cpu_s for one in gateways) - before
    server_s, own_s = database.cpu_s() - server, time.process_time() - own
    return Run(
        per_s=count / took,
        cpu_ms=1000 * cpu_s / count,
        postgres_cpu_ms=1000 * server_s / count,
        cpu_share=cpu_s / took / len(gateways),
        rest_cpu_share=(server_s + own_s) / took,
    )


def _figures(bench: Bench, what: str, runs: Mapping[str, Sequence[Run]]) -> dict[str, object]:
    """Medians over the rounds. Ratios are to one replica, of rates of the same round."""
    found: dict[str, object] = {}
    for name, rows in runs.items():
        ratios = [row.per_s / one.per_s for one, row in zip(runs["1"], rows, strict=True)]
        medians = {
            field.name: round(statistics.median(getattr(row, field.name) for row in rows), 4)
            for field in attrs.fields(Run)
        }
        found[name] = {
            **medians,
            "rates": [round(row.per_s) for row in rows],
            "ratio": round(statistics.median(ratios), 3),
            "ratio_min": round(min(ratios), 3),
            "ratio_max": round(max(ratios), 3),
        }
        bench.say(f"  {what}, replicas: {name}: {found[name]}")
    return found
