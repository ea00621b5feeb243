"""When a create call answers with an error instead of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.model import AttemptOutcome, FailureClass, JobState

if TYPE_CHECKING:
    from musicgate.model import Failure, Job


#: Bound once, for each create: on Python 3.11 a member by the name of its class is a slow look-up.
_FAILED: Final = JobState.FAILED
_ACCEPTED: Final = AttemptOutcome.ACCEPTED
_UNKNOWN: Final = AttemptOutcome.UNKNOWN


def refusal_of(job: Job) -> Failure | None:
    """Return why a create call answers with an error instead of a job, or None.

    Either no vendor accepted the request, and the caller did not cancel it. Or the vendor's answer could not
    be read: such a job stays open, since a callback may still adopt it. If no answer came at all, the call
    answers with the queued job instead.
    """
    attempt, failure = job.attempt, job.failure
    if job.state is _FAILED:
        accepted = attempt is not None and attempt.outcome is _ACCEPTED
        was_cancelled = failure is not None and failure.reason is FailureClass.CANCELLED
        return None if accepted or was_cancelled else failure
    if attempt is None or attempt.outcome is not _UNKNOWN or attempt.failure is None:
        return None
    return None if attempt.failure.reason is FailureClass.UNKNOWN_OUTCOME else attempt.failure
