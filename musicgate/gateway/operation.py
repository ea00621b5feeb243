"""What operators see and do: usage, audit log, providers, drain. It decides nothing about jobs.

Usage, the audit log and the number of open jobs are the store's, so all replicas give the same. Health,
latency, slots and the drain are of this process.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from musicgate.model import DrainReport, Latency, ProviderReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.gateway.audit import Audit
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.owners import Owners
    from musicgate.metrics import Histogram
    from musicgate.model import AuditEntry, ProviderStatus, UsageQuery, UsageSum


class Operation:
    """An open gateway, as its operators use it."""

    def __init__(self, context: GatewayContext, owners: Owners) -> None:
        """Take an open context and the owners of its jobs."""
        self._context = context
        self._owners = owners

    @property
    def audit(self) -> Audit:
        """Takes entries of the audit log."""
        return self._context.audit

    async def usage(self, query: UsageQuery) -> Sequence[UsageSum]:
        """What ended jobs used.

        Raises:
            StorageError: the store cannot be read.
        """
        return await self._context.store.usage(query)

    async def audit_entries(self, after: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
        """One page of the audit log, after that number.

        Raises:
            StorageError: the store cannot be read.
        """
        return await self._context.store.audit_log.entries(after, limit)

    async def providers(self, statuses: Sequence[ProviderStatus]) -> Sequence[ProviderReport]:
        """How the providers do.

        Raises:
            StorageError: the store cannot be read.
        """
        context = self._context
        open_jobs = await context.store.count_open_by_plugin()
        by_plugin: dict[str, dict[str, list[Histogram]]] = {}
        for (plugin, step, _), histogram in context.figures.vendor_calls.items():
            by_plugin.setdefault(plugin, {}).setdefault(step, []).append(histogram)
        failures: dict[str, dict[str, int]] = {}
        for (plugin, reason), count in context.figures.failures.items():
            failures.setdefault(plugin, {})[reason] = count
        reports = []
        for status in statuses:
            name = status.provider.plugin
            queue = context.create_queues[name]
            steps = by_plugin.get(name, {})
            reports.append(
                ProviderReport(
                    status=status,
                    open_jobs=open_jobs.get(name, 0),
                    running=queue.running,
                    window_left=queue.window_left,
                    latency={step: _latency(steps[step]) for step in sorted(steps)},
                    failures=failures.get(name, {}),
                )
            )
        return reports

    def begin_drain(self) -> None:
        """Refuse new jobs in this process, until `end_drain` or its end."""
        self._context.drain.begin(self._context.clock.now())

    def end_drain(self) -> None:
        """Take new jobs again."""
        self._context.drain.end()

    def drain(self) -> DrainReport:
        """Whether new jobs are taken, and how many open ones there are."""
        return DrainReport(
            since=self._context.drain.since,
            in_flight=len(self._owners.in_flight),
            scheduled=len(self._owners.scheduler),
        )


def _latency(histograms: Sequence[Histogram]) -> Latency:
    """The latency of calls with any outcome."""
    calls = sum(histogram.count for histogram in histograms)
    total_s = sum(histogram.total for histogram in histograms)
    # Upper ends, with how many calls were at most as long.
    sums = [sum(counts) for counts in zip(*(each.cumulative() for each in histograms), strict=True)]
    ends = (*histograms[0].bounds, math.inf)

    def quantile(share: float) -> float:
        return next(end for end, count in zip(ends, sums, strict=True) if count >= share * calls)

    return Latency(calls=calls, mean_s=total_s / calls, p50_s=quantile(0.5), p95_s=quantile(0.95))
