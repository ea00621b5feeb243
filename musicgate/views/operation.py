"""What operators read, as JSON and as CSV: usage, audit log, providers, drain."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Final

from musicgate.model import UsageGroup
from musicgate.views.catalogue import render_health
from musicgate.views.scalars import time_text, usd_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from musicgate.model import (
        AuditEntry,
        DrainReport,
        Latency,
        ProviderReport,
        UsageQuery,
        UsageSum,
    )

#: What a group is called in answers, where that is another name.
_NAMES: Final = {UsageGroup.KEY: "key_id", UsageGroup.PLUGIN: "provider_plugin"}
AUDIT_FIELDS: Final = (*("number", "at", "action", "account", "key_id", "music_id", "request_id", "subject"),)


def render_usage_sum(groups: Sequence[UsageGroup], found: UsageSum) -> dict[str, object]:
    """Render one sum: its groups, then its figures. ``cost_usd`` is exact."""
    names = [_NAMES.get(group, group.value) for group in groups]
    return {**dict(zip(names, found.group, strict=True)), **_figures([found])}


def render_usage_report(query: UsageQuery, sums: Sequence[UsageSum]) -> dict[str, object]:
    """Render usage as ``/v1/admin/usage`` answers."""
    return {
        "object": "list",
        "from": query.first.isoformat(),
        "to": query.last.isoformat(),
        "group_by": [group.value for group in query.group_by],
        "data": [render_usage_sum(query.group_by, found) for found in sums],
        "total": _figures(sums),
    }


def render_audit_entry(number: int, entry: AuditEntry) -> dict[str, object]:
    """Render an entry of the audit log; its number is the cursor after it."""
    values = (number, time_text(entry.at), *entry[1:])
    return dict(zip(AUDIT_FIELDS, values, strict=True))


def csv_text(rows: Sequence[dict[str, object]], names: Sequence[str]) -> str:
    """Rows as CSV with a header (RFC 4180), in the order of the names."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def usage_columns(groups: Iterable[UsageGroup]) -> list[str]:
    """The columns of usage as CSV."""
    return [*(_NAMES.get(group, group.value) for group in groups), *_figures([])]


def render_provider_report(report: ProviderReport) -> dict[str, object]:
    """Render how one provider does."""
    provider = report.status.provider
    window = provider.create_window
    return {
        "provider": provider.name,
        "provider_plugin": provider.plugin,
        "configured": report.status.has_key,
        "health": render_health(report.status.health),
        "open_jobs": report.open_jobs,
        "creates": {
            "running": report.running,
            "waiting": report.status.waiting,
            "max_parallel": provider.max_parallel_creates,
            "window": None
            if window is None
            else {"calls": window.calls, "seconds": window.per_s, "left": report.window_left},
        },
        "latency": {step: _latency(latency) for step, latency in report.latency.items()},
        "failures": dict(report.failures),
    }


def render_drain(report: DrainReport) -> dict[str, object]:
    """Render whether this process takes new jobs."""
    return {
        "object": "drain",
        "draining": report.since is not None,
        "since": time_text(report.since),
        "open_jobs": report.in_flight + report.scheduled,
        "in_flight": report.in_flight,
        "scheduled": report.scheduled,
    }


def _figures(sums: Sequence[UsageSum]) -> dict[str, object]:
    usd_nanos = sum(found.usd_nanos for found in sums)
    return {
        "jobs": sum(found.jobs for found in sums),
        "completed": sum(found.completed for found in sums),
        "failed": sum(found.failed for found in sums),
        "cost_usd": usd_text(usd_nanos),
        "cost_nanos": usd_nanos,
        "unpriced_jobs": sum(found.unpriced_jobs for found in sums),
        "audio_seconds": sum(found.audio_ms for found in sums) / 1000,
    }


def _latency(latency: Latency) -> dict[str, object]:
    return {
        "calls": latency.calls,
        "mean_seconds": round(latency.mean_s, 3),
        "p50_seconds": None if math.isinf(latency.p50_s) else latency.p50_s,
        "p95_seconds": None if math.isinf(latency.p95_s) else latency.p95_s,
    }
