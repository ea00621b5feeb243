"""Compares the store with vendors, callers and customers after a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.assets.measure import measure
from musicgate.errors import NotAudioError
from musicgate.model import AttemptOutcome, FailureClass, JobState
from tests.crash.campaign import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from musicgate.model import Job
    from tests.crash.campaign import Campaign

#: The only failure of a paid song that a crash excuses: its outcome is unknown, and the job says so.
_HONEST_LOSS = FailureClass.UNKNOWN_OUTCOME


async def disagreements(campaign: Campaign) -> list[str]:
    """Every disagreement; empty when all is well."""
    jobs: dict[int, list[Job]] = {}
    stored = await campaign.harness.books.jobs()
    for job in stored:
        jobs.setdefault(number_of(job), []).append(job)
    found = list(dict.fromkeys(campaign.owners.found))
    rows = await campaign.harness.books.rows()
    if rows != len(stored):
        found.append(f"{rows} jobs are stored, and {len(stored)} can be read")
    for number, name in campaign.requests.items():
        request = f"request {number} ({name})"
        found += [
            f"{request}: {complaint}" for complaint in _of_request(campaign, number, jobs.get(number, []))
        ]
    return found


async def summary(campaign: Campaign) -> dict[str, int]:
    """How the jobs ended."""
    counts: dict[str, int] = {}
    for job in await campaign.harness.books.jobs():
        end = job.state.value if job.failure is None else f"failed: {job.failure.reason}"
        counts[end] = counts.get(end, 0) + 1
    return counts


def _of_request(campaign: Campaign, number: int, jobs: list[Job]) -> Iterator[str]:
    made = {name: vendor.made_for.get(number, []) for name, vendor in campaign.harness.vendors.items()}
    tasks = [(name, task) for name, ids in made.items() for task in ids]
    is_careful = number in campaign.settled
    if is_careful and len(jobs) != 1:
        yield f"{len(jobs)} jobs for one request"
    if len(jobs) > 1:
        yield f"{len(jobs)} jobs for one call"
    if len(tasks) > 1:
        yield f"made {len(tasks)} times: {tasks}"
    if tasks and not jobs:
        yield f"made as {tasks}, and there is no job"
    yield from campaign.answers.contradictions(number, jobs, len(tasks))
    for job in jobs:
        yield from _of_job(campaign, job, tasks)


def _of_job(campaign: Campaign, job: Job, tasks: list[tuple[str, str]]) -> Iterator[str]:
    if not job.state.is_final:
        yield f"{job.id} is still {job.state}"
        return
    known = {(attempt.plugin, attempt.native_id) for attempt in job.attempts}
    unclear = {
        attempt.plugin
        for attempt in job.attempts
        if attempt.outcome in {AttemptOutcome.UNKNOWN, AttemptOutcome.SENT}
    }
    for name, task in tasks:
        if (name, task) not in known and name not in unclear and job.state is not JobState.COMPLETED:
            yield f"{job.id}: {name} made {task}, and the job has no such attempt"
    if job.state is JobState.COMPLETED:
        yield from _of_audio(campaign, job)
        if not tasks:
            yield f"{job.id} is completed, and no vendor made a song"
    elif not campaign.excuses_refusal(job):
        yield from _of_loss(campaign, job)
    messages = campaign.harness.receiver.jobs.get(job.id, set())
    if len(messages) != 1:
        yield f"{job.id}: the customer got {len(messages)} different messages"


def _of_loss(campaign: Campaign, job: Job) -> Iterator[str]:
    accepted = any(attempt.outcome is AttemptOutcome.ACCEPTED for attempt in job.attempts)
    if job.failure is None or not (job.failure.reason is _HONEST_LOSS or _is_unclear(job)):
        yield f"{job.id} failed as {job.failure}"
    elif accepted and not campaign.excuses(job):
        yield f"{job.id} was accepted, and lost all the same: {job.failure.message}"
    elif not job.failure.costs:
        yield f"{job.id} is unknown, and does not say that it may have cost"


def _is_unclear(job: Job) -> bool:
    """True if the vendor's answer was unreadable: then the failure has another honest class."""
    return job.attempt is not None and job.attempt.outcome is AttemptOutcome.UNKNOWN


def _of_audio(campaign: Campaign, job: Job) -> Iterator[str]:
    for track in job.tracks:
        if track.asset is None:
            yield f"{job.id}: track {track.index} has no audio ({track.failure_message})"
            continue
        try:
            facts = measure(campaign.harness.folder / "audio" / track.asset.name)
        except (OSError, NotAudioError) as error:
            yield f"{job.id}: track {track.index} does not play: {error}"
        else:
            if abs(facts.duration_s - track.asset.duration_s) > 0.01:
                yield f"{job.id}: track {track.index} has another length than was measured"
