"""How long a song usually takes, by the jobs that ended before; with too few nothing is said."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from musicgate.model import JobQuery, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from musicgate.gateway import Gateway
    from musicgate.model import Job

#: Two jobs that took as long by chance, or one that waited for this machine to be switched on, prove nothing.
_FEWEST: Final = 3
_MOST: Final = 20


async def typical_s(gateway: Gateway, job: Job) -> float | None:
    """Seconds that a job's provider usually takes for its model, from the create call to the kept audio.

    One query, which follows an index: the account's newest completed jobs of the model.
    """
    query = JobQuery(states=(JobState.COMPLETED,), model=job.request.model, limit=_MOST)
    return typical_of(await gateway.list_jobs(query, account=job.account), job.plugin)


def typical_of(completed: Iterable[Job], plugin: str | None) -> float | None:
    """The median of what a plugin's jobs took; None for fewer than three."""
    took_s = [
        (job.completed_at - job.attempt.planned_at).total_seconds()
        for job in completed
        if job.completed_at is not None and job.attempt is not None and job.plugin == plugin
    ]
    return median(took_s) if len(took_s) >= _FEWEST else None
