"""Does every open job have an owner, and is its deadline kept? Asked from outside, at quiet moments."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from tests.crash.world import World

#: Keys of ``jobs`` in the answer of ``/readyz``.
_KEYS = ("open", "in_flight", "scheduled")
#: How long the numbers may disagree: a job is between two owners for a moment.
_PATIENCE_S = 5.0
#: How much later than its deadline a job may end: its poll may be under way, and the machine may be busy.
GRACE_S = 15.0


@attrs.define
class OwnerCheck:
    """What the checks saw.

    Attributes:
        checked: moments at which open = in flight + scheduled.
        unable: moments at which ``/readyz`` did not say how many jobs have which owner.
        late: jobs that were open long after their deadline.
        found: complaints.
    """

    checked: int = 0
    unable: int = 0
    late: list[str] = attrs.field(factory=list)
    found: list[str] = attrs.field(factory=list)

    async def check(self, world: World) -> None:
        """Ask until the numbers agree, or for a while in vain; then look at the deadlines."""
        for job_id, told in overdue(world):
            if job_id not in self.late:
                self.late.append(job_id)
                self.found.append(told)
        seen: object = None
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            body = await world.readiness()
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
            self.found.append(f"an open job has no owner: /readyz says {seen} for {_PATIENCE_S:g} s")

    def __str__(self) -> str:
        if not self.checked and self.unable:
            return f"NOT CHECKED: /readyz has no numbers of owners ({self.unable} moments)"
        return f"open = in flight + scheduled at {self.checked} quiet moments, {self.unable} not checked"


def overdue(world: World) -> list[tuple[str, str]]:
    """Ids of open jobs whose deadline has passed although the server is up for long enough to have seen it, and a sentence for each."""
    from tests.crash.campaign import open_jobs, shown

    if world.up_since is None or time.monotonic() - world.up_since < GRACE_S:
        return []
    now = datetime.now(UTC)
    return [
        (job.id, f"{shown(job)} is {job.state} more than {GRACE_S:g} s after its deadline")
        for job in open_jobs(world)
        if (now - job.deadline_at).total_seconds() > GRACE_S
    ]
