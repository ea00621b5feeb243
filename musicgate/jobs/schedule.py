"""When to poll a job next, when to call a busy vendor again, and how a deadline is moved."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from musicgate.model import Failure, Job, PollSchedule

#: The poll interval grows with the job's age: this share of it, within the schedule's bounds.
_INTERVAL_PER_AGE = 0.15
#: Seconds until a busy vendor is called once more, where it named no time.
RESEND_S = 10.0
MAX_RESENDS = 3


def next_poll_s(job: Job, schedule: PollSchedule, now: datetime, speed: float = 1.0) -> float:
    """Seconds until an open job's next poll; depends on its age alone, so no poll is remembered."""
    return poll_pause_s(job.created_at, schedule, now, speed)


def poll_pause_s(created_at: datetime, schedule: PollSchedule, now: datetime, speed: float = 1.0) -> float:
    """Seconds until the next poll of an open job that was created then."""
    age_s = max(0.0, (now - created_at).total_seconds())
    if age_s < schedule.first_s / speed:
        return schedule.first_s / speed - age_s
    return min(schedule.max_s / speed, max(schedule.min_s / speed, age_s * _INTERVAL_PER_AGE))


def resend_wait_s(job: Job, failure: Failure, steady: datetime) -> float | None:
    """Seconds until a refused call may be made once more; None = never.

    At most three times, and not after the job's deadline: a plan whose window opens in hours is not waited
    for.
    """
    resent = sum(attempt.not_before is not None for attempt in job.attempts)
    wait_s = RESEND_S if failure.retry_after_s is None else failure.retry_after_s
    if (
        not failure.rule.resend
        or resent >= MAX_RESENDS
        or steady + timedelta(seconds=wait_s) >= job.deadline_at
    ):
        return None
    return wait_s


def clamp_deadline(job: Job, earliest: datetime, latest: datetime, now: datetime) -> Job:
    """Move the deadline of an open job between two steady times."""
    deadline = min(latest, max(earliest, job.deadline_at))
    if job.state.is_final or deadline == job.deadline_at:
        return job
    return attrs.evolve(job, deadline_at=deadline, updated_at=now)
