"""Read what an open gateway has counted, and what it has to do now. Nothing here is kept up to date."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.engine import ReplicaState, ServiceReport
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.owners import Owners
    from musicgate.metrics import Commits, Figures, Histograms
    from musicgate.model import ProviderStatus

_log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class Measures:
    """The figures of one process at one moment.

    Attributes:
        figures: what was counted.
        commits: the commits of the job store.
        lateness: seconds by which steps of jobs began late, by plugin.
        failed_steps: number of steps that raised.
        open_jobs: open jobs that this process owns, by place; together they are all of them.
        lanes: how many steps run for each plugin, and how many due jobs wait for one.
        slots: slots for create calls that are taken, by plugin.
        providers: health, keys and create queues.
        services: the background services, by name.
        pending: webhook messages to be sent, where this process sends them; None elsewhere, and while the
            store does not answer.
        oldest_s: age of the oldest of them in seconds.
        replica: how this process is among the others; None where there are none.
    """

    figures: Figures
    commits: Commits
    lateness: Histograms
    failed_steps: int
    open_jobs: Mapping[str, int]
    lanes: Mapping[str, tuple[int, int]]
    slots: Mapping[str, int]
    providers: Sequence[ProviderStatus]
    services: Mapping[str, ServiceReport]
    pending: int | None
    oldest_s: float
    replica: ReplicaState | None


async def measure(
    context: GatewayContext,
    owners: Owners,
    services: Mapping[str, ServiceReport],
    providers: Sequence[ProviderStatus],
) -> Measures:
    """Read the figures of this process. A store that does not answer leaves out what only it knows."""
    pending, oldest_s = await _backlog(context)
    scheduler, lanes = owners.scheduler, owners.scheduler.lanes()
    in_flight = len(owners.in_flight)
    waiting = min(in_flight, sum(queue.waiting for queue in context.create_queues.values()))
    running = sum(running for running, _ in lanes.values())
    return Measures(
        figures=context.figures,
        commits=context.store.commits,
        lateness=scheduler.lateness,
        failed_steps=scheduler.failures,
        open_jobs={
            "create_queue": waiting,
            "create_call": in_flight - waiting,
            "scheduled": len(scheduler) - running,
            "step": running,
        },
        lanes=lanes,
        slots={name: queue.running for name, queue in context.create_queues.items()},
        providers=providers,
        services=services,
        pending=pending,
        oldest_s=oldest_s,
        replica=context.shares.state(),
    )


async def _backlog(context: GatewayContext) -> tuple[int | None, float]:
    """Number of messages to be sent, and the age of the oldest; only where this replica sends them."""
    if not context.is_on_duty:
        return None, 0.0
    outbox = context.store.outbox
    try:
        backlog = await outbox.backlog()
        oldest = None if backlog.oldest_id is None else await outbox.get(backlog.oldest_id)
    except StorageError as error:
        _log.warning("webhook messages cannot be counted: error=%s", error)
        return None, 0.0
    age_s = 0.0 if oldest is None else (context.clock.now() - oldest.created_at).total_seconds()
    return backlog.messages, max(0.0, age_s)
