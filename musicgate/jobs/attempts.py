"""What becomes of a job's attempts: planned, sent, refused, accepted, planned once more; pure edits of a job, no call and no store.

Refused is not always the end. A vendor that was only too busy ("too often", "maintenance") may be asked once more after a while, by the class of
its refusal, as long as nobody waits for the answer of the create call: a caller who does wait is told at once, and decides for itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate.jobs import lifecycle
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Failure,
    Job,
    JobState,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.model import JsonValue, OptionWarning

#: Seconds until a busy vendor is asked once more, where it named no time.
RESEND_S = 10.0
MAX_RESENDS = 3
_MAYBE_TAKEN = frozenset({AttemptOutcome.SENT, AttemptOutcome.ACCEPTED, AttemptOutcome.UNKNOWN})


def with_attempt(
    job: Job, attempt: Attempt, warnings: Sequence[OptionWarning] = (), native_request: JsonValue = None
) -> Job:
    """Add an attempt. The warnings of the plugin before it go, since that plugin did not do the work.

    Args:
        warnings: of the attempt's translation.
        native_request: as it is shown to a caller who asked to see it.
    """
    own = tuple(warning for warning in job.warnings if warning.plugin is None)
    return attrs.evolve(
        job,
        attempts=(*job.attempts, attempt),
        warnings=own + tuple(warnings),
        native_request=native_request,
        native_response=None,
    )


def with_next(
    job: Job, attempt: Attempt, warnings: Sequence[OptionWarning] = (), native_request: JsonValue = None
) -> Job:
    """Add an attempt to an open job; unchanged while an earlier attempt may still be accepted."""
    last = job.attempt
    if job.state.is_final or (last and last.outcome in _MAYBE_TAKEN):
        return job
    if last and (last.plugin, last.planned_at, last.outcome) == (
        attempt.plugin,
        attempt.planned_at,
        attempt.outcome,
    ):
        return job  # it is written down already; the answer to that was lost
    added = with_attempt(job, attempt, warnings, native_request)
    return attrs.evolve(added, updated_at=attempt.planned_at)


def started(job: Job, now: datetime, deadline: datetime, *, blocking: bool) -> Job:
    """A job that has its slot: from here on its call may cost money. Its deadline counts from here."""
    if job.state.is_final or job.attempt is None or job.attempt.outcome is not AttemptOutcome.PLANNED:
        return job
    state = JobState.IN_PROGRESS if blocking else job.state
    sent = attrs.evolve(job.attempt, outcome=AttemptOutcome.SENT)
    return attrs.evolve(
        job, attempts=(*job.attempts[:-1], sent), state=state, deadline_at=deadline, updated_at=now
    )


def accepted(job: Job, now: datetime) -> Job:
    """A job whose call was taken."""
    if job.attempt is None or job.attempt.outcome is not AttemptOutcome.SENT:
        return job
    return lifecycle.with_outcome(job, AttemptOutcome.ACCEPTED, now)


def refused(job: Job, failure: Failure, now: datetime, body: JsonValue = None) -> Job:
    """A job whose call created nothing; a callback that was faster knows better. ``body`` is kept for a caller who asked to see it."""
    if not _awaits_answer(job):
        return job
    noted = lifecycle.with_outcome(job, AttemptOutcome.REFUSED, now, failure)
    return noted if body is None else attrs.evolve(noted, native_response=body)


def lost(job: Job, failure: Failure, now: datetime, *, adoptable: bool) -> Job:
    """A job whose outcome is unknown: it waits for a callback where one can come, else it ends and may have cost money.

    A callback that was faster than the broken answer knows better.
    """
    if not _awaits_answer(job):
        return job
    noted = lifecycle.with_outcome(job, AttemptOutcome.UNKNOWN, now, failure)
    return noted if adoptable else lifecycle.fail(noted, attrs.evolve(failure, may_have_cost=True), now)


def resend_wait_s(job: Job, failure: Failure, steady: datetime) -> float | None:
    """Seconds until a refused call may be made once more; None = never.

    At most three times, and not after the job's deadline: a plan whose window opens in hours is not waited for.
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


def _awaits_answer(job: Job) -> bool:
    """True for a job that was sent, and of which neither an answer nor a callback has told more."""
    attempt = job.attempt
    return job.native_id is None and attempt is not None and attempt.outcome is AttemptOutcome.SENT
