"""Checks from outside, at quiet moments, that open jobs have an owner and miss no deadline."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from tests.crash.harness import Harness

#: Keys of ``jobs`` in the answer of ``/readyz``.
_KEYS = ("open", "in_flight", "scheduled")
#: How long the numbers may differ: a job is between two owners for a moment.
_TIMEOUT_S = 5.0
#: How much later than its deadline a job may end: a poll may be in flight, and the machine may be busy.
GRACE_S = 15.0


@attrs.define
class OwnerCheck:
    """The results of the checks.

    Attributes:
        checked: moments at which open = in flight + scheduled.
        unable: moments at which ``/readyz`` did not count jobs by their owner.
        late: jobs that were open long after their deadline.
        found: complaints.
    """

    checked: int = 0
    unable: int = 0
    late: list[str] = attrs.field(factory=list)
    found: list[str] = attrs.field(factory=list)

    async def check(self, harness: Harness) -> None:
        """Check the deadlines, then read ``/readyz`` until its numbers agree or time is up."""
        for job_id, sentence in overdue(harness):
            if job_id not in self.late:
                self.late.append(job_id)
                self.found.append(sentence)
        seen: object = None
        end = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < end:
            body = await harness.readiness()
            if body is None:  # not ready, or gone
                await asyncio.sleep(0.1)
                continue
            seen = body.get("jobs")
            if not isinstance(seen, dict) or not all(isinstance(seen.get(key), int) for key in _KEYS):
                self.unable += 1
                return
            if seen["open"] == seen["in_flight"] + seen["scheduled"]:
                self.checked += 1
                return
            await asyncio.sleep(0.1)
        if seen is not None:
            self.found.append(f"an open job has no owner: /readyz says {seen} for {_TIMEOUT_S:g} s")

    def __str__(self) -> str:
        if not self.checked and self.unable:
            return f"NOT CHECKED: /readyz has no numbers of owners ({self.unable} moments)"
        return f"open = in flight + scheduled at {self.checked} quiet moments, {self.unable} not checked"


def overdue(harness: Harness) -> list[tuple[str, str]]:
    """Overdue open jobs, unless the server has just started: their ids, and a sentence for each."""
    from tests.crash.campaign import description, open_jobs

    if harness.up_since is None or time.monotonic() - harness.up_since < GRACE_S:
        return []
    now = datetime.now(UTC)
    return [
        (job.id, f"{description(job)} is {job.state} more than {GRACE_S:g} s after its deadline")
        for job in open_jobs(harness)
        if (now - job.deadline_at).total_seconds() > GRACE_S
    ]
