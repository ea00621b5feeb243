"""Checks from outside, at quiet moments, that open jobs have an owner and miss no deadline."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from musicgate.model import share_of

if TYPE_CHECKING:
    from musicgate.model import Job
    from tests.crash.harness import Harness

#: Keys of ``jobs`` in the answer of ``/readyz``: the jobs that a server owns.
_KEYS = ("in_flight", "scheduled")
#: How long the numbers may differ: a job is between two owners for a moment.
TIMEOUT_S = 5.0
#: With replicas: a job that was made for another one's share, by one that died, is looked for twice a minute.
LOOKED_FOR_S = 40.0
#: How many open jobs a complaint names.
_SHOWN = 5
#: How much later than its deadline a job may end: a poll may be in flight, and the machine may be busy.
GRACE_S = 15.0


@attrs.define
class OwnerCheck:
    """The results of the checks.

    Attributes:
        checked: moments at which open = in flight + scheduled.
        unable: moments at which ``/readyz`` did not count jobs by their owner.
        longest_s: how long the numbers differed at most.
        late: jobs that were open long after their deadline.
        found: complaints.
    """

    checked: int = 0
    unable: int = 0
    longest_s: float = 0.0
    late: list[str] = attrs.field(factory=list)
    found: list[str] = attrs.field(factory=list)

    async def check(self, harness: Harness, timeout_s: float = TIMEOUT_S) -> None:
        """Check the deadlines, then count until the numbers agree or time is up.

        Open jobs are counted in the store, so that one that no server knows of is found.
        """
        for job_id, sentence in await overdue(harness):
            if job_id not in self.late:
                self.late.append(job_id)
                self.found.append(sentence)
        seen = "nothing"
        began = time.monotonic()
        end = began + timeout_s
        while time.monotonic() < end:
            before = len(await harness.books.open_jobs())
            answers = [await server.readiness() for server in harness.servers]
            if None in answers:
                gone = [
                    server.not_ready
                    for server, answer in zip(harness.servers, answers, strict=True)
                    if not answer
                ]
                seen = f"not ready: {gone}"
                await asyncio.sleep(0.1)
                continue
            work = [answer.get("jobs") for answer in answers if answer is not None]
            if not all(
                isinstance(jobs, dict) and all(isinstance(jobs.get(key), int) for key in _KEYS)
                for jobs in work
            ):
                self.unable += 1
                return
            owned = sum(jobs[key] for jobs in work if isinstance(jobs, dict) for key in _KEYS)
            seen = f"{before} are open in the store, the servers say {work}"
            if before == owned == len(await harness.books.open_jobs()):
                self.checked += 1
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                return
            await asyncio.sleep(0.1)
        left = [_owner_of(job) for job in (await harness.books.open_jobs())[:_SHOWN]]
        self.found.append(f"open jobs and their owners differ for {timeout_s:g} s: {seen}; open are {left}")

    def __str__(self) -> str:
        if not self.checked and self.unable:
            return f"NOT CHECKED: /readyz has no numbers of owners ({self.unable} moments)"
        return (
            f"open = in flight + scheduled at {self.checked} quiet moments, after {self.longest_s:.1f} s at most,"
            f" {self.unable} not checked"
        )


def _owner_of(job: Job) -> str:
    """What decides who owns an open job."""
    outcome = job.attempt.outcome if job.attempt is not None else "no attempt"
    return f"{job.id} (share {share_of(job.id)}, sender {job.sender[:8]}, {outcome})"


async def overdue(harness: Harness) -> list[tuple[str, str]]:
    """Overdue open jobs, unless all servers have just started: their ids, and a sentence for each."""
    from tests.crash.campaign import description

    up_since = harness.up_since
    if up_since is None or time.monotonic() - up_since < GRACE_S:
        return []
    now = datetime.now(UTC)
    return [
        (job.id, f"{description(job)} is {job.state} more than {GRACE_S:g} s after its deadline")
        for job in await harness.books.open_jobs()
        if (now - job.deadline_at).total_seconds() > GRACE_S
    ]
