"""The attempts of a job: planned, sent, then accepted, refused or unknown; and a new job.

*Refused* is not always the end. A vendor that was only too busy ("too often", "maintenance") may be called
once more after a while, where the class of its refusal allows it, as long as no caller waits for the answer
of the create call: one who does gets the refusal at once, and decides for itself. See
`musicgate.jobs.schedule.resend_wait_s`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from musicgate.jobs.lifecycle import fail
from musicgate.model import Attempt, AttemptOutcome, Failure, Job, JobState, changed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from musicgate.model import JsonValue, MusicRequest, OptionWarning, Provider

#: Bound once, for each new job: on Python 3.11 a member by the name of its class is a slow look-up.
_QUEUED: Final = JobState.QUEUED
_SENT: Final = AttemptOutcome.SENT
_MAYBE_ACCEPTED = frozenset({_SENT, AttemptOutcome.ACCEPTED, AttemptOutcome.UNKNOWN})


def new_attempt(
    provider: Provider,
    model: str,
    native_model: str | None,
    now: datetime,
    *,
    calls_back: bool,
    not_before: datetime | None = None,
    is_sent: bool = False,
) -> Attempt:
    """A planned attempt, or one that is stored as sent at once since it has its slot.

    Args:
        model: public id of the offer.
        calls_back: the request names the address where the vendor can call us back.
        not_before: the vendor was busy; the call is not made earlier.
    """
    return Attempt(
        plugin=provider.plugin,
        provider=provider.name,
        model=model,
        native_model=native_model,
        outcome=_SENT if is_sent else AttemptOutcome.PLANNED,
        planned_at=now,
        calls_back=calls_back,
        not_before=not_before,
    )


def new_job(
    job_id: str,
    request: MusicRequest,
    attempt: Attempt,
    *,
    account: str,
    key_id: str = "",
    generation_id: str,
    callback_token: str,
    deadline_at: datetime,
    sender: str = "",
    trace: str = "",
    in_progress: bool = False,
    warnings: Sequence[OptionWarning] = (),
    native_request: JsonValue = None,
    routing: JsonValue = None,
) -> Job:
    """A job with its first attempt; one that is only planned is not sent before it has a slot.

    Args:
        sender: the replica that makes the create call; empty where there is only one.
        trace: the ``traceparent`` of the span that makes it.
        key_id: id of the API key of the call; empty where there is none.
        in_progress: the create call is about to be made, and lasts as long as the song.
    """
    return Job(
        id=job_id,
        account=account,
        generation_id=generation_id,
        request=request,
        state=JobState.IN_PROGRESS if in_progress else _QUEUED,
        created_at=attempt.planned_at,
        updated_at=attempt.planned_at,
        deadline_at=deadline_at,
        callback_token=callback_token,
        attempts=(attempt,),
        warnings=tuple(warnings),
        native_request=native_request,
        routing=routing,
        is_clean=True,
        sender=sender,
        trace=trace,
        key_id=key_id,
    )


def add_attempt(
    job: Job, attempt: Attempt, warnings: Sequence[OptionWarning] = (), native_request: JsonValue = None
) -> Job:
    """Add a planned attempt to an open job, unless an earlier attempt may still be accepted.

    The warnings of the plugin before it go, since that plugin did not do the work.

    Args:
        warnings: of the attempt's translation.
        native_request: as it is shown to a caller who asked to see it.
    """
    last = job.attempt
    if job.state.is_final or job.outcome in _MAYBE_ACCEPTED:
        return job
    if last and (last.plugin, last.planned_at, last.outcome) == (
        attempt.plugin,
        attempt.planned_at,
        attempt.outcome,
    ):
        return job  # it is stored already; the answer to that write was lost
    return attrs.evolve(
        job,
        attempts=(*job.attempts, attempt),
        warnings=(*(warning for warning in job.warnings if warning.plugin is None), *warnings),
        native_request=native_request,
        native_response=None,
        updated_at=attempt.planned_at,
    )


def take_over(job: Job, before: str, sender: str, now: datetime) -> Job:
    """Make another replica the sender of an open job, instead of the one before; nothing was created."""
    if job.state.is_final or job.outcome in _MAYBE_ACCEPTED or job.sender != before:
        return job
    return changed(job, sender=sender, updated_at=now)


def leave(job: Job, sender: str, now: datetime) -> Job:
    """Note that a replica's create call has ended without an outcome: the job's follower decides."""
    if job.sender != sender or job.outcome not in {AttemptOutcome.PLANNED, AttemptOutcome.SENT}:
        return job
    return changed(job, sender="", updated_at=now)


def start(job: Job, now: datetime, deadline: datetime, *, blocking: bool) -> Job:
    """Mark a planned attempt as sent: from here on its call may cost money.

    Args:
        deadline: the job's new deadline, counted from here.
        blocking: the create call lasts as long as the song, so the job is in progress at once.
    """
    if job.state.is_final or job.attempt is None or job.outcome is not AttemptOutcome.PLANNED:
        return job
    sent = changed(job.attempt, outcome=AttemptOutcome.SENT)
    return changed(
        job,
        attempts=(*job.attempts[:-1], sent),
        state=JobState.IN_PROGRESS if blocking else job.state,
        deadline_at=deadline,
        updated_at=now,
    )


def accept(job: Job, now: datetime) -> Job:
    """Mark a sent attempt as accepted."""
    return job if job.outcome is not AttemptOutcome.SENT else _answer(job, AttemptOutcome.ACCEPTED, now)


def refuse(job: Job, failure: Failure, now: datetime, body: JsonValue = None) -> Job:
    """Mark a sent attempt as refused: its call created nothing. An id from a callback wins.

    Args:
        body: the parsed refusal, kept for a caller who asked to see it.
    """
    if not _awaits_answer(job):
        return job
    refused = _answer(job, AttemptOutcome.REFUSED, now, failure)
    return refused if body is None else attrs.evolve(refused, native_response=body)


def lose(job: Job, failure: Failure, now: datetime, *, adoptable: bool) -> Job:
    """Mark the outcome of a sent attempt as unknown. An id from a callback wins.

    Args:
        adoptable: the vendor can call us back. Then the job waits for that; else it ends, and may have cost
            money.
    """
    if not _awaits_answer(job):
        return job
    lost = _answer(job, AttemptOutcome.UNKNOWN, now, failure)
    return lost if adoptable else fail(lost, attrs.evolve(failure, may_have_cost=True), now)


def _awaits_answer(job: Job) -> bool:
    """True for a job that was sent, while neither an answer nor a callback has come."""
    return job.native_id is None and job.outcome is AttemptOutcome.SENT


def _answer(job: Job, outcome: AttemptOutcome, now: datetime, failure: Failure | None = None) -> Job:
    """Note how the last attempt was answered; in a final job as well, since attempts are facts."""
    if job.attempt is None:
        return job
    answered = changed(job.attempt, outcome=outcome, failure=failure, answered_at=now)
    return changed(job, attempts=(*job.attempts[:-1], answered), updated_at=now)
