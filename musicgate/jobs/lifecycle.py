"""How a job moves: a transition table, and the one function that folds an update into a job; no I/O, no clock, no vendor.

Four states, and two rules that everything else follows from:

*Forward only.* A state may be kept or moved down the table, never back. A late "pending" after "done" changes nothing; final
states absorb everything. So poller, callback and canceller may race: the loser folds again and finds nothing to do.

*Attempts are facts.* They may always be completed, also those of a job that has ended: the answer to a create call that was in flight when
its job was cancelled brings the vendor's id, and only with that id can the vendor be told to stop, or its bill be read.

*Nothing is guessed.* A word that the plugin does not know leaves the job open. "Done" without audio is a `Doubt`, not a success.
A vendor that says "not found" right after creation is a `Doubt` as well. Only a doubt that lasts ends a job, and only the
deadline ends a job about which nothing is known; a track that has audio by then is delivered, not thrown away.

"Done" is two moments. When the vendor says so, the job is *delivered*: its tracks are known and it is still ``in_progress``. When
the audio is fetched, measured and priced, it is *settled*: ``completed`` means audio that plays. Between the two lies
`musicgate.gateway.settle`, for which a job gets time of its own; a job that cannot be settled in it fails, with the vendor's links in place.

Two times are told to these functions. ``now`` is wall time, for what people see: when a job changed, was answered, ended. ``steady`` is time
that nobody sets, for what is waited for: ``deadline_at``, ``delivered_at`` and ``doubt_since`` are steady times.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Doubt,
    EventKind,
    Failure,
    FailureClass,
    Job,
    JobEvent,
    JobState,
    JobUpdate,
    NativeTrack,
    PollSchedule,
    Track,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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

#: Seconds after its delivery in which a job must be settled. Longer than any retry of a vendor's link, so that our own full disk gets time.
SETTLE_DEADLINE_S = 3_600.0

#: The poll interval grows with the job's age: one look per this share of the age, within the schedule's bounds.
_INTERVAL_PER_AGE = 0.15

_NO_AUDIO = Failure(
    reason=FailureClass.UPSTREAM_FAILED, message="the vendor reported success but delivered no audio"
)


def apply(
    job: Job,
    update: JobUpdate,
    mapped: JobState | None,
    now: datetime,
    speed: float = 1.0,
    steady: datetime | None = None,
) -> Job:
    """Fold what a vendor's answer says into a job.

    Args:
        job: as it is stored.
        update: the answer, in native words.
        mapped: what the plugin's ``map_status`` makes of ``update.native_status``; None for an unknown word.
        now: aware UTC time.
        speed: divides grace periods.
        steady: steady time; None = the same as ``now``.

    Returns:
        The next job; the very same object when nothing changed.
    """
    attempts, steady = _accept(job, update, now), steady or now
    if job.state.is_final or job.delivered_at is not None:
        return job if attempts == job.attempts else attrs.evolve(job, attempts=attempts)
    known = attrs.evolve(
        job,
        attempts=attempts,
        native_status=update.native_status or job.native_status,
        tracks=merge_tracks(job.tracks, update.tracks),
        warnings=job.warnings + tuple(warning for warning in update.warnings if warning not in job.warnings),
    )
    if update.failure is not None:
        return end(known, update.failure, now, speed, steady)
    verdict = update.state or mapped
    if verdict is JobState.FAILED:
        message = f"the vendor reported {update.native_status!r}"
        failure = Failure(reason=FailureClass.UPSTREAM_FAILED, message=message)
        return end(known, failure, now, speed, steady)
    doubt = update.doubt
    if verdict is JobState.COMPLETED and doubt is None:
        if any(track.has_audio for track in known.tracks) or any(track.audio for track in update.tracks):
            silence = _NO_AUDIO.message if any(track.has_audio for track in known.tracks) else None
            return _deliver(known, now, silence, speed, steady)
        doubt = Doubt(failure=_NO_AUDIO, grace_s=NO_AUDIO_GRACE_S)
    if doubt is not None:
        since = known.doubt_since or steady
        if steady - since >= timedelta(seconds=doubt.grace_s / speed):
            return end(known, doubt.failure, now, speed, steady)
        return _changed(
            job, attrs.evolve(known, doubt_since=since, state=_forward(known.state, verdict)), now
        )
    return _changed(job, attrs.evolve(known, doubt_since=None, state=_forward(known.state, verdict)), now)


def settle(job: Job, tracks: Sequence[Track], usage: Usage, now: datetime) -> Job:
    """End a delivered job with the tracks as they were kept. Without one good track the job fails, and says why."""
    if job.state.is_final:
        return job
    known = attrs.evolve(job, tracks=tuple(tracks))
    if not any(track.has_audio for track in known.tracks):
        reasons = [track.failure_message for track in known.tracks if track.failure_message]
        message = (
            f"the vendor reported success but its audio could not be kept: {'; '.join(reasons) or 'no audio'}"
        )
        return fail(
            known, Failure(reason=FailureClass.UPSTREAM_FAILED, message=message, may_have_cost=True), now
        )
    return attrs.evolve(known, state=JobState.COMPLETED, usage=usage, completed_at=now, updated_at=now)


def fail(job: Job, failure: Failure, now: datetime) -> Job:
    """End a job with a failure; a final job stays as it is."""
    if job.state.is_final:
        return job
    return attrs.evolve(
        job, state=JobState.FAILED, failure=failure, doubt_since=None, completed_at=now, updated_at=now
    )


def end(job: Job, failure: Failure, now: datetime, speed: float = 1.0, steady: datetime | None = None) -> Job:
    """End a job about which nothing better will be heard: with the tracks that have audio, since they are paid for, else failed."""
    if job.state.is_final or job.delivered_at is not None:
        return job
    if not any(track.has_audio for track in job.tracks):
        return fail(job, failure, now)
    return _deliver(job, now, failure.message, speed, steady or now)


def expire(job: Job, now: datetime, speed: float = 1.0, steady: datetime | None = None) -> Job:
    """End a job whose deadline has passed: with what it has, with its lost answer, or as expired.

    A delivered job that could not be settled fails and keeps the vendor's links: they may still play for its caller.
    """
    if job.state.is_final:
        return job
    if job.delivered_at is not None:
        message = (
            "the vendor has finished it, but its audio could not be kept in time; the vendor's links are left"
        )
        failure = Failure(reason=FailureClass.GATEWAY, message=message, may_have_cost=True)
        return fail(job, failure, now)
    attempt = job.attempt
    if attempt is None or attempt.outcome is AttemptOutcome.PLANNED:
        message = "not sent when its time was up: it waited for a slot at its provider"
        failure = Failure(reason=FailureClass.EXPIRED, message=message, may_have_cost=False)
        return fail(job, failure, now)
    if attempt.outcome in {AttemptOutcome.UNKNOWN, AttemptOutcome.SENT}:
        lost = attempt.failure or Failure(
            reason=FailureClass.UNKNOWN_OUTCOME, message="the vendor's answer was lost"
        )
        return fail(job, attrs.evolve(lost, may_have_cost=True), now)
    said = f"; the last thing the vendor said was {job.native_status!r}" if job.native_status else ""
    message = f"not finished when its time was up{said}"
    return end(job, Failure(reason=FailureClass.EXPIRED, message=message), now, speed, steady)


def was_cancelled(job: Job) -> bool:
    """True if a job was ended by its caller."""
    return job.failure is not None and job.failure.reason is FailureClass.CANCELLED


def as_settled(job: Job) -> Job:
    """A final job as it was when it ended, without what its attempts have learned since: an event never changes."""
    ended = job.completed_at
    if ended is None:
        return job
    attempts = tuple(
        attrs.evolve(attempt, outcome=AttemptOutcome.SENT, native_id=None, failure=None, answered_at=None)
        if attempt.answered_at is not None and attempt.answered_at > ended
        else attempt
        for attempt in job.attempts
    )
    return attrs.evolve(job, attempts=attempts, updated_at=ended)


def with_outcome(job: Job, outcome: AttemptOutcome, now: datetime, failure: Failure | None = None) -> Job:
    """The job with the outcome of its last attempt written down; a final job's attempts as well."""
    if job.attempt is None:
        return job
    last = attrs.evolve(job.attempt, outcome=outcome, failure=failure, answered_at=now)
    return attrs.evolve(job, attempts=(*job.attempts[:-1], last), updated_at=now)


def next_poll_s(job: Job, schedule: PollSchedule, now: datetime, speed: float = 1.0) -> float:
    """Seconds until an open job is worth a look. Needs no memory of earlier looks: it depends on the job's age alone."""
    age_s = max(0.0, (now - job.created_at).total_seconds())
    if age_s < schedule.first_s / speed:
        return schedule.first_s / speed - age_s
    return min(schedule.max_s / speed, max(schedule.min_s / speed, age_s * _INTERVAL_PER_AGE))


def merge_tracks(known: Sequence[Track], seen: Iterable[NativeTrack]) -> tuple[Track, ...]:
    """Tracks after an answer: matched by native id, else by position. A link once given is not taken back by an empty one."""
    return _merge(known, seen)[0]


def track_indexes(known: Sequence[Track], seen: Iterable[NativeTrack]) -> tuple[int, ...]:
    """The index that `merge_tracks` gives to each track of an answer, in the answer's order."""
    return _merge(known, seen)[1]


def history(before: Job | None, after: Job, now: datetime) -> tuple[JobEvent, ...]:
    """The events that lie between two versions of a job, in order."""
    if before is None:
        return (
            JobEvent(kind=EventKind.CREATED, at=now, data={"model": after.request.model}),
            *_attempt_events((), after, now),
        )
    if before.state.is_final:
        return ()  # nothing follows the event that ends a job
    events = list(_attempt_events(before.attempts, after, now))
    if before.state is not after.state:
        events.append(JobEvent(kind=EventKind.STATE, at=now, data={"from": before.state, "to": after.state}))
    events.extend(_track_events(before.tracks, after.tracks, now))
    if before.delivered_at is None and after.delivered_at is not None:
        events.append(JobEvent(kind=EventKind.OUTPUT, at=now, data={"tracks": len(after.tracks)}))
    if after.state.is_final:
        reason = after.failure.reason if after.failure else None
        events.append(JobEvent(kind=EventKind.SETTLED, at=now, data={"state": after.state, "reason": reason}))
    return tuple(events)


def _merge(known: Sequence[Track], seen: Iterable[NativeTrack]) -> tuple[tuple[Track, ...], tuple[int, ...]]:
    tracks, indexes = list(known), list[int]()
    for position, native in enumerate(seen):
        index = _position_of(tracks, native, position)
        if index is None:
            index = len(tracks)
            tracks.append(Track(index=index))
        tracks[index] = _with_native(tracks[index], native)
        indexes.append(index)
    return tuple(tracks), tuple(indexes)


def _attempt_events(before: Sequence[Attempt], after: Job, now: datetime) -> Iterable[JobEvent]:
    for index, attempt in enumerate(after.attempts):
        if index >= len(before) or before[index].outcome is not attempt.outcome:
            data = {"plugin": attempt.plugin, "outcome": attempt.outcome, "native_id": attempt.native_id}
            yield JobEvent(kind=EventKind.ATTEMPT, at=now, data=data)


def _track_events(before: Sequence[Track], after: Sequence[Track], now: datetime) -> Iterable[JobEvent]:
    """Tracks that are new, and links that were not there before: what a caller may listen to while the job is still open."""
    for index, track in enumerate(after):
        old = before[index] if index < len(before) else None
        streams = bool(track.stream_audio_url) and not (old and old.stream_audio_url)
        plays = bool(track.audio_url) and not (old and old.audio_url)
        if old is None or streams or plays:
            links = {"stream_audio_url": track.stream_audio_url, "audio_url": track.audio_url}
            data = {"index": track.index, "title": track.title, **links}
            yield JobEvent(kind=EventKind.TRACK, at=now, data=data)


def _accept(job: Job, update: JobUpdate, now: datetime) -> tuple[Attempt, ...]:
    """The attempts after an answer: the first native id that is heard adopts the last attempt; it never changes again."""
    last = job.attempt
    if last is None or update.native_id is None or last.native_id is not None:
        return job.attempts
    accepted = attrs.evolve(
        last, outcome=AttemptOutcome.ACCEPTED, native_id=update.native_id, answered_at=now
    )
    return (*job.attempts[:-1], accepted)


def _deliver(job: Job, now: datetime, silence: str | None, speed: float, steady: datetime) -> Job:
    """The job with what the vendor has made; tracks without audio say ``silence``. None: the audio comes as bytes, beside the links."""
    tracks = tuple(
        track
        if silence is None or track.has_audio or track.failure_message
        else attrs.evolve(track, failure_message=silence)
        for track in job.tracks
    )
    return attrs.evolve(
        job,
        tracks=tracks,
        delivered_at=steady,
        deadline_at=steady + timedelta(seconds=SETTLE_DEADLINE_S / speed),
        doubt_since=None,
        state=JobState.IN_PROGRESS,
        updated_at=now,
    )


def _forward(state: JobState, verdict: JobState | None) -> JobState:
    """The state after a verdict that does not end the job. "Done, but" counts as in progress."""
    if verdict in {None, JobState.QUEUED}:
        return state
    return JobState.IN_PROGRESS if JobState.IN_PROGRESS in TRANSITIONS[state] else state


def _changed(before: Job, after: Job, now: datetime) -> Job:
    return before if after == before else attrs.evolve(after, updated_at=now)


def _position_of(tracks: Sequence[Track], native: NativeTrack, position: int) -> int | None:
    if native.native_id is not None:
        for index, track in enumerate(tracks):
            if track.native_id == native.native_id:
                return index
    if position < len(tracks) and (native.native_id is None or tracks[position].native_id is None):
        return position
    return None


def _with_native(track: Track, native: NativeTrack) -> Track:
    fields = attrs.asdict(
        native,
        recurse=False,
        filter=lambda field, value: field.name != "audio" and value not in (None, (), {}),
    )
    return attrs.evolve(track, **fields)
