"""Load several servers in turn, round after round, and put their figures side by side."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from benchmarks.bench import Bench
from benchmarks.gateway import must_be_good
from benchmarks.load import run_load
from benchmarks.servers import Server

#: Above this share of its core the load itself may be what is measured.
_BUSY: Final = 0.9


@attrs.frozen
class Target:
    """A server and the requests that it gets, over and over."""

    name: str
    server: Server
    requests: Sequence[bytes]


@attrs.frozen(kw_only=True)
class Rounds:
    """How often and how long each target is loaded, and how long before its answers count."""

    count: int = 5
    seconds: float = 3.0
    warm_up_s: float = 1.0

    @classmethod
    def of(cls, bench: Bench, count: int = 5) -> Rounds:
        """So many rounds, or a single short one for a quick run."""
        return cls(count=1, seconds=1.5, warm_up_s=0.5) if bench.is_quick else cls(count=count)


@attrs.frozen(kw_only=True)
class Figures:
    """One target: medians over the rounds.

    Attributes:
        rate: answers per second.
        ratio: to the first target, by rates of the same round.
        cpu_share: of the server, on its core.
        load_cpu_share: of this process: load and vendor.
    """

    rate: float
    rate_min: float
    rate_max: float
    ratio: float
    p50_ms: float
    p99_ms: float
    cpu_share: float
    load_cpu_share: float
    rss_mb: float


async def compare(
    bench: Bench,
    targets: Sequence[Target],
    connections: int,
    rounds: Rounds,
    after_run: Callable[[Target, int], None] | None = None,
) -> dict[str, Figures]:
    """Load each target in turn, while the servers of the others are suspended.

    What changes on the machine meanwhile then hits all of them alike, and the ratios stay.

    Args:
        after_run: called with a target and the number of requests that it has answered.

    Raises:
        SystemExit: a request failed.
    """
    runs: dict[str, list[Figures]] = {target.name: [] for target in targets}
    servers = {target.server for target in targets}
    for _ in range(rounds.count):
        for target in targets:
            with contextlib.ExitStack() as stack:
                for other in servers - {target.server}:
                    stack.enter_context(other.held())
                figures, answered = await _run(target, connections, rounds)
            if after_run is not None:
                after_run(target, answered)
            limit = runs[targets[0].name]
            ratio = figures.rate / limit[-1].rate if limit else 1.0
            runs[target.name].append(attrs.evolve(figures, ratio=ratio))
    found = {name: median(rows) for name, rows in runs.items()}
    for name, figures in found.items():
        share, load = figures.cpu_share, figures.load_cpu_share
        bench.say(
            f"  c={connections:<5}{name:<16}{figures.rate:>8,.0f}/s  ratio {figures.ratio:.3f}"
            f"  p50 {figures.p50_ms:.3f} ms  p99 {figures.p99_ms:.3f} ms  cpu {share:.0%}  load {load:.0%}"
        )
        if load > _BUSY:
            bench.say("  the load has no CPU time left: this figure is that of the load")
    return found


async def _run(target: Target, connections: int, rounds: Rounds) -> tuple[Figures, int]:
    async def load(seconds: float) -> tuple[Figures, int]:
        before, own, began = target.server.usage(), time.process_time(), time.perf_counter()
        seen = await run_load(target.server.port, target.requests, connections=connections, seconds=seconds)
        took, after = time.perf_counter() - began, target.server.usage()
        must_be_good(seen)
        figures = Figures(
            rate=seen.rate,
            rate_min=seen.rate,
            rate_max=seen.rate,
            ratio=1.0,
            p50_ms=seen.latencies.quantile_ms(0.5),
            p99_ms=seen.latencies.quantile_ms(0.99),
            cpu_share=(after.cpu_s - before.cpu_s) / took,
            load_cpu_share=(time.process_time() - own) / took,
            rss_mb=after.rss_bytes / 2**20,
        )
        return figures, seen.sent

    _, warm = await load(rounds.warm_up_s)
    figures, sent = await load(rounds.seconds)
    return figures, warm + sent


def median(rows: Sequence[Figures]) -> Figures:
    """The medians of the rounds, with the smallest and the largest rate."""
    values = {
        field.name: round(statistics.median(getattr(row, field.name) for row in rows), 4)
        for field in attrs.fields(Figures)
    }
    rates = [row.rate for row in rows]
    return Figures(**{**values, "rate_min": round(min(rates), 4), "rate_max": round(max(rates), 4)})
