"""The answers that callers got, and whether store and vendors contradict them at the end."""

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
class Answer:
    """One answer to one call.

    Attributes:
        asked_at, at: aware UTC times before and after the call.
        status: the HTTP status.
        job_id: the job that the answer names; None = nothing was stored.
        state: the state of the job, where the answer has it.
        is_only_call: no other call was made for the same request.
        has_rival: another server may have been busy with the same request meanwhile: it did not answer.
    """

    asked_at: datetime
    at: datetime
    status: int
    job_id: str | None
    state: str | None = None
    is_only_call: bool = False
    has_rival: bool = False

    @property
    def is_refusal(self) -> bool:
        """True if the caller must believe that nothing was stored or sent."""
        return self.status >= 400 and self.job_id is None


def read_answer(
    status: int, body: Mapping[str, object], asked_at: datetime, at: datetime, *, is_only_call: bool = False
) -> Answer:
    """Read the answer to a create or status call."""
    job_id = body.get("music_id") if status >= 400 else body.get("id")
    # An error about a job has no state: where the outcome is unknown, a callback may still adopt the job.
    state = body.get("status") if status < 400 else None
    return Answer(
        asked_at=asked_at,
        at=at,
        status=status,
        job_id=str(job_id) if job_id else None,
        state=str(state) if isinstance(state, str) else None,
        is_only_call=is_only_call,
    )


class Answers:
    """The answers of a campaign, by the number of their request."""

    def __init__(self) -> None:
        self.by_request: defaultdict[int, list[Answer]] = defaultdict(list)

    def __len__(self) -> int:
        return sum(map(len, self.by_request.values()))

    def add(self, number: int, answer: Answer) -> None:
        self.by_request[number].append(answer)

    def contradictions(self, number: int, jobs: Sequence[Job], songs: int) -> Iterator[str]:
        """Where the store or the vendors contradict an answer."""
        stored = {job.id: job for job in jobs}
        named = {answer.job_id for answer in self.by_request[number] if answer.job_id is not None}
        if len(named) > 1:
            yield f"answers name {len(named)} jobs for one request: {sorted(named)}"
        for answer in self.by_request[number]:
            if answer.is_refusal:
                yield from _of_refusal(answer, jobs, songs)
            elif answer.job_id is not None:
                yield from _of_job(answer, stored.get(answer.job_id))


def _of_refusal(answer: Answer, jobs: Sequence[Job], songs: int) -> Iterator[str]:
    for job in jobs:
        if answer.asked_at <= job.created_at <= answer.at and not answer.has_rival:
            yield f"answered {answer.status} 'nothing was stored', and {job.id} of that moment is {job.state}"
    if answer.is_only_call and songs:
        yield f"answered {answer.status} 'nothing was sent', and {songs} songs were made"


def _of_job(answer: Answer, job: Job | None) -> Iterator[str]:
    if job is None:
        yield f"answered {answer.status} about {answer.job_id}, which is not in the store"
    elif answer.state in {JobState.COMPLETED, JobState.FAILED} and job.state != answer.state:
        yield f"answered that {job.id} is {answer.state}, and it is {job.state}"
