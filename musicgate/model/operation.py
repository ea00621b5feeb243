"""What operators see of a running gateway, as values; `musicgate.gateway` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from musicgate.model.health import ProviderStatus


@attrs.frozen(kw_only=True)
class Latency:
    """How long the calls of one step took since the process began.

    Attributes:
        p50_s, p95_s: upper ends of the buckets in which the quantiles are; infinite above the last one.
    """

    calls: int
    mean_s: float
    p50_s: float
    p95_s: float


@attrs.frozen(kw_only=True)
class ProviderReport:
    """How a provider does.

    Attributes:
        open_jobs: open jobs in the store, of all replicas.
        running: create calls of this process that have a slot.
        window_left: create calls that are left in the vendor's window; None where it has none, or where the
            store counts it for all replicas.
        latency: of this process, by step: ``create``, ``poll``, ``cancel``, ``next``.
        failures: jobs that this process saw fail, by class.
    """

    status: ProviderStatus
    open_jobs: int
    running: int
    window_left: int | None
    latency: Mapping[str, Latency]
    failures: Mapping[str, int]


@attrs.frozen(kw_only=True)
class DrainReport:
    """Whether this process takes new jobs, and which it still has.

    Attributes:
        since: when the drain was begun; None = new jobs are taken.
        in_flight: open jobs whose create call is in flight, or waits for a slot.
        scheduled: open jobs that wait for their next step here.
    """

    since: datetime | None
    in_flight: int
    scheduled: int
