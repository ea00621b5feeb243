"""Every answer that a caller got, and whether the store and the vendors contradict it at the end."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from musicgate.model import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from musicgate.model import Job


@attrs.frozen(kw_only=True)
class Told:
    """One answer to one call.

    Attributes:
        asked_at, at: aware UTC times before and after the call.
        status: of HTTP.
        job_id: the job that the answer names; None = it says that nothing was stored.
        state: how the job stands, where the answer says so.
        is_only_call: no other call was made for the same request.
    """

    asked_at: datetime
    at: datetime
    status: int
    job_id: str | None
    state: str | None = None
    is_only_call: bool = False

    @property
    def is_refusal(self) -> bool:
        """True if the caller must believe that nothing was stored or sent."""
        return self.status >= 400 and self.job_id is None


def read_answer(
    status: int, body: Mapping[str, object], asked_at: datetime, at: datetime, *, is_only_call: bool = False
) -> Told:
    """What an answer to a create or status call says."""
    job_id = body.get("music_id") if status >= 400 else body.get("id")
    # An error about a job does not say how the job stands: where the outcome is not known, a callback may still adopt it.
    state = body.get("status") if status < 400 else None
    return Told(
        asked_at=asked_at,
        at=at,
        status=status,
        job_id=str(job_id) if job_id else None,
        state=str(state) if isinstance(state, str) else None,
        is_only_call=is_only_call,
    )


class Answers:
    """The answers of a campaign, by the number of the request."""

    def __init__(self) -> None:
        self.told: defaultdict[int, list[Told]] = defaultdict(list)

    def __len__(self) -> int:
        return sum(map(len, self.told.values()))

    def note(self, number: int, told: Told) -> None:
        """Remember an answer."""
        self.told[number].append(told)

    def contradictions(self, number: int, jobs: Sequence[Job], songs: int) -> Iterator[str]:
        """Where the store or the vendors say something else than a caller of a request was told."""
        stored = {job.id: job for job in jobs}
        named = {told.job_id for told in self.told[number] if told.job_id is not None}
        if len(named) > 1:
            yield f"told of {len(named)} jobs for one request: {sorted(named)}"
        for told in self.told[number]:
            if told.is_refusal:
                yield from _of_refusal(told, jobs, songs)
            elif told.job_id is not None:
                yield from _of_job(told, stored.get(told.job_id))


def _of_refusal(told: Told, jobs: Sequence[Job], songs: int) -> Iterator[str]:
    for job in jobs:
        if told.asked_at <= job.created_at <= told.at:
            yield f"told {told.status} 'nothing was stored', and {job.id} of that moment is {job.state}"
    if told.is_only_call and songs:
        yield f"told {told.status} 'nothing was sent', and {songs} songs were made"


def _of_job(told: Told, job: Job | None) -> Iterator[str]:
    if job is None:
        yield f"told {told.status} about {told.job_id}, which is not in the store"
    elif told.state in {JobState.COMPLETED, JobState.FAILED} and job.state != told.state:
        yield f"told that {job.id} is {told.state}, and it is {job.state}"
