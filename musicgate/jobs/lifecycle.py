"""How a job moves: the transition table, and the functions that take a job to its next state.

No I/O, no clock, no vendor: answers and times come in as arguments.

Two rules that everything else follows from:

*Forward only.* A job keeps its state or moves down the table, never back. A late "pending" after "done"
changes nothing, and final states absorb everything. So poller, callback and canceller may race: the loser
folds its answer again, into the version that won, and finds nothing to do.

*Attempts are facts.* They may always be completed, even in a job that has ended. The answer to a create call
that was in flight when its job was cancelled brings the vendor's id, and only with that id can the vendor be
asked to stop, or the call be found on its bill.

No state is guessed. A status that the plugin does not know leaves the job open. "Done" without audio is a
`Doubt`, not a success, and so is "not found" right after creation. Only a doubt that lasts ends a job, and
only the deadline ends a job about which nothing is known. A track that has audio by then is delivered, not
thrown away.

"Done" has two moments. When the vendor says so, the job is *delivered*: its tracks are known and it is still
``in_progress``. When the audio has been fetched, measured and priced, the job is *settled*: ``completed``
means audio that plays. `musicgate.gateway` settles, and a delivered job gets a deadline of its own for it. A
job that cannot be settled by then fails, with the vendor's links in place.

There are two kinds of time. ``now`` is wall time, for what people see: when a job changed, was answered,
ended. ``steady`` is a clock that is never set, for everything that is waited for: ``deadline_at``,
``delivered_at`` and ``doubt_since`` are steady times.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.jobs.tracks import NO_AUDIO, mark_silent, merge_tracks, with_audio
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Doubt,
    Failure,
    FailureClass,
    Job,
    JobState,
    JobUpdate,
    OptionWarning,
    Track,
    Usage,
    WarningCode,
    changed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.jobs.tracks import KeptAudio
    from musicgate.model import JsonValue

#: From a state to the states that may follow it. Staying is always allowed; final states lead nowhere.
TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.IN_PROGRESS, JobState.COMPLETED, JobState.FAILED}),
    JobState.IN_PROGRESS: frozenset({JobState.COMPLETED, JobState.FAILED}),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset(),
}

#: Seconds that "done" without any audio is given before the job fails.
#: Seen: Suno tasks with status SUCCESS and null links that were filled in later, July 2026.
NO_AUDIO_GRACE_S = 120.0

#: Seconds after its delivery in which a job must be settled: longer than any retry of a vendor's link, so
#: that a full disk of ours can be repaired.
SETTLE_DEADLINE_S = 3_600.0

#: Bound once, for each answer: on Python 3.11 a member by the name of its class is a slow look-up.
_QUEUED: Final = JobState.QUEUED
_IN_PROGRESS: Final = JobState.IN_PROGRESS
_ACCEPTED: Final = AttemptOutcome.ACCEPTED

_SILENT = Failure(
    reason=FailureClass.UPSTREAM_FAILED, message="the vendor reported success but delivered no audio"
)
_NEVER_SENT = "cancelled before it was sent; nothing is billed"
_STOPPED = "cancelled; the vendor was asked to stop, and may bill what it had done"
_NOT_STOPPED = "cancelled here; the vendor could not be asked to stop, so it may finish the song and bill it"


def apply(
    job: Job,
    update: JobUpdate,
    mapped: JobState | None,
    now: datetime,
    speed: float = 1.0,
    steady: datetime | None = None,
    *,
    audio: KeptAudio = NO_AUDIO,
    body: JsonValue = None,
    holds_secret: bool = False,
) -> Job:
    """Fold a vendor's answer into a job.

    Args:
        job: as it is stored.
        update: the answer, in native words.
        mapped: what the plugin's ``map_status`` makes of ``update.native_status``; None for an unknown
            status.
        now: aware UTC time.
        speed: divides grace periods.
        steady: steady time; None = the same as ``now``.
        audio: what came as bytes inside the answer and has been kept, by track.
        body: the answer's parsed body, to be kept with the job; None = keep the earlier one.
        holds_secret: an id, a link or another text of the answer that is used as it is holds a secret.

    Returns:
        The next job; the very same object when nothing changed.
    """
    folded = _fold(job, update, mapped, now, speed, steady or now)
    if folded is job:
        return job
    if holds_secret and job.is_clean:
        folded = changed(folded, is_clean=False)
    if job.state.is_final or job.delivered_at is not None:
        return folded
    if body is None and not audio.assets and not audio.broken:
        return folded
    return attrs.evolve(
        folded,
        tracks=with_audio(folded.tracks, audio),
        native_response=folded.native_response if body is None else body,
    )


def keep_audio(job: Job, audio: KeptAudio, now: datetime, trouble: str | None = None) -> Job:
    """Note which tracks of a delivered job have been fetched so far, and which never can be.

    Args:
        trouble: why the others cannot be stored yet, where that is our own fault.
    """
    tracks = with_audio(job.tracks, audio)
    if job.state.is_final or (tracks == job.tracks and trouble == job.storage_trouble):
        return job
    return attrs.evolve(job, tracks=tracks, storage_trouble=trouble, updated_at=now)


def settle(
    job: Job,
    tracks: Sequence[Track],
    usage: Usage,
    now: datetime,
    unpriced: str | None = None,
    warnings: Sequence[OptionWarning] = (),
) -> Job:
    """Complete a delivered job with its tracks as they were kept; it fails if none of them plays.

    Args:
        unpriced: why the job has no price although its model has one; becomes a warning.
        warnings: about its audio: what was converted, what is not as the vendor says.
    """
    if job.state.is_final:
        return job
    known = attrs.evolve(job, tracks=tuple(tracks))
    if not _has_audio(known):
        reasons = [track.failure_message for track in known.tracks if track.failure_message]
        message = (
            f"the vendor reported success but its audio could not be kept: {'; '.join(reasons) or 'no audio'}"
        )
        return fail(
            known, Failure(reason=FailureClass.UPSTREAM_FAILED, message=message, may_have_cost=True), now
        )
    noted = (*job.warnings, *warnings)
    if unpriced is not None:
        noted += (OptionWarning(code=WarningCode.NOT_PRICED, path=(), message=unpriced),)
    return attrs.evolve(
        known,
        state=JobState.COMPLETED,
        usage=usage,
        warnings=noted,
        storage_trouble=None,
        completed_at=now,
        updated_at=now,
    )


def fail(job: Job, failure: Failure, now: datetime) -> Job:
    """End a job with a failure; a final job stays as it is."""
    if job.state.is_final:
        return job
    return attrs.evolve(
        job, state=JobState.FAILED, failure=failure, doubt_since=None, completed_at=now, updated_at=now
    )


def end(job: Job, failure: Failure, now: datetime, speed: float = 1.0, steady: datetime | None = None) -> Job:
    """End a job that cannot get better: deliver the tracks with audio, which are paid for, or fail."""
    if job.state.is_final or job.delivered_at is not None:
        return job
    if not _has_audio(job):
        return fail(job, failure, now)
    return _deliver(job, now, failure.message, speed, steady or now)


def expire(job: Job, now: datetime, speed: float = 1.0, steady: datetime | None = None) -> Job:
    """End a job whose deadline has passed: with what it has, with its lost answer, or as expired.

    A delivered job that could not be settled fails and keeps the vendor's links: they may still play for its
    caller.
    """
    if job.state.is_final:
        return job
    if job.delivered_at is not None:
        why = f" ({job.storage_trouble})" if job.storage_trouble else ""
        message = (
            f"the vendor has finished it, but its audio could not be kept in time{why}; the vendor's links are"
            " left"
        )
        failure = Failure(reason=FailureClass.GATEWAY, message=message, may_have_cost=True)
        return fail(job, failure, now)
    if not job.was_sent:
        message = "not sent when its time was up: it waited for a slot at its provider"
        failure = Failure(reason=FailureClass.EXPIRED, message=message, may_have_cost=False)
        return fail(job, failure, now)
    if job.attempt is not None and job.outcome in {AttemptOutcome.UNKNOWN, AttemptOutcome.SENT}:
        lost = job.attempt.failure or Failure(
            reason=FailureClass.UNKNOWN_OUTCOME, message="the vendor's answer was lost"
        )
        return fail(job, attrs.evolve(lost, may_have_cost=True), now)
    last = f"; the last thing the vendor said was {job.native_status!r}" if job.native_status else ""
    message = f"not finished when its time was up{last}"
    return end(job, Failure(reason=FailureClass.EXPIRED, message=message), now, speed, steady)


def cancel(job: Job, now: datetime, *, was_stopped: bool) -> Job:
    """End an open job as cancelled; a delivered job is paid for, and stays.

    The failure says what may be billed.

    Args:
        was_stopped: the vendor has taken the request to stop.
    """
    if job.delivered_at is not None:
        return job
    message = _NEVER_SENT
    if job.was_sent:
        message = _STOPPED if was_stopped else _NOT_STOPPED
    failure = Failure(reason=FailureClass.CANCELLED, message=message, may_have_cost=job.was_sent)
    return fail(job, failure, now)


def says_stopped(update: JobUpdate) -> bool:
    """True if the answer to a cancel call says that the vendor has taken the request to stop.

    A vendor may answer with the song's new status, and its plugin reads that as it reads any other: as a
    failure of the class ``cancelled``. "No such song" is a doubt, and no stop.
    """
    if update.doubt is not None:
        return False
    return update.failure is None or update.failure.reason is FailureClass.CANCELLED


def was_cancelled(job: Job) -> bool:
    """True if a job was ended by its caller."""
    return job.failure is not None and job.failure.reason is FailureClass.CANCELLED


def _fold(
    job: Job, update: JobUpdate, mapped: JobState | None, now: datetime, speed: float, steady: datetime
) -> Job:
    attempts = _adopt(job, update.native_id, now)
    if job.state.is_final or job.delivered_at is not None:
        return job if attempts is job.attempts else changed(job, attempts=attempts)
    status = update.native_status or job.native_status
    tracks = merge_tracks(job.tracks, update.tracks).tracks if update.tracks else job.tracks
    warnings = job.warnings
    if update.warnings:
        warnings += tuple(warning for warning in update.warnings if warning not in job.warnings)
    progress = job.progress
    if update.progress is not None:
        progress = update.progress if progress is None else progress.followed_by(update.progress)
    verdict, doubt = update.state or mapped, update.doubt
    if update.failure is not None or (verdict is not None and verdict.is_final) or doubt is not None:
        known = changed(
            job,
            attempts=attempts,
            native_status=status,
            tracks=tracks,
            warnings=warnings,
            progress=progress,
        )
        ended, doubt = _judged(known, update, verdict, now, speed, steady)
        if ended is not None:
            return ended
    # A doubt begins when it is first seen, and one that is not repeated is over.
    doubt_since = None if doubt is None else job.doubt_since or steady
    state = _forward(job.state, verdict)
    if (
        attempts is job.attempts
        and state is job.state
        and status == job.native_status
        and tracks == job.tracks
        and warnings == job.warnings
        and progress == job.progress
        and doubt_since == job.doubt_since
    ):
        return job
    return changed(
        job,
        attempts=attempts,
        state=state,
        native_status=status,
        tracks=tracks,
        warnings=warnings,
        progress=progress,
        doubt_since=doubt_since,
        updated_at=now,
    )


def _judged(
    known: Job,
    update: JobUpdate,
    verdict: JobState | None,
    now: datetime,
    speed: float,
    steady: datetime,
) -> tuple[Job | None, Doubt | None]:
    """The job that an answer ends or delivers; or None, with the doubt that keeps it open."""
    if update.failure is not None:
        return end(known, update.failure, now, speed, steady), None
    if verdict is JobState.FAILED:
        message = f"the vendor reported {update.native_status!r}"
        failure = Failure(reason=FailureClass.UPSTREAM_FAILED, message=message)
        return end(known, failure, now, speed, steady), None
    doubt = update.doubt
    if verdict is JobState.COMPLETED and doubt is None:
        if _has_audio(known):
            return _deliver(known, now, _SILENT.message, speed, steady), None
        if any(track.audio for track in update.tracks):
            return _deliver(known, now, None, speed, steady), None
        doubt = Doubt(failure=_SILENT, grace_s=NO_AUDIO_GRACE_S)
    if doubt is not None and steady - (known.doubt_since or steady) >= timedelta(
        seconds=doubt.grace_s / speed
    ):
        return end(known, doubt.failure, now, speed, steady), None
    return None, doubt


def _adopt(job: Job, native_id: str | None, now: datetime) -> tuple[Attempt, ...]:
    """The attempts after an answer: the first native id adopts the last attempt, and stays."""
    last = job.attempt
    if last is None or native_id is None or last.native_id is not None:
        return job.attempts
    accepted = changed(last, outcome=_ACCEPTED, native_id=native_id, answered_at=now)
    return (*job.attempts[:-1], accepted)


def _deliver(job: Job, now: datetime, silence: str | None, speed: float, steady: datetime) -> Job:
    """A job that its vendor has finished.

    Args:
        silence: what tracks without audio say; None = their audio comes as bytes, beside the links.
    """
    return attrs.evolve(
        job,
        tracks=job.tracks if silence is None else mark_silent(job.tracks, silence),
        delivered_at=steady,
        deadline_at=steady + timedelta(seconds=SETTLE_DEADLINE_S / speed),
        doubt_since=None,
        state=JobState.IN_PROGRESS,
        updated_at=now,
    )


def _has_audio(job: Job) -> bool:
    return any(track.has_audio for track in job.tracks)


def _forward(state: JobState, verdict: JobState | None) -> JobState:
    """The state after a verdict that does not end the job. "Done, but" counts as in progress."""
    if verdict is None or verdict is state:
        return state
    if verdict is _QUEUED or state is _IN_PROGRESS:
        return state
    return _IN_PROGRESS if state is _QUEUED else state
