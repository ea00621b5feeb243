"""How a job moves: a transition table, and the one function that folds an update into a job; no I/O, no clock, no vendor.

Four states, and two rules that everything else follows from:

*Forward only.* A state may be kept or moved down the table, never back. A late "pending" after "done" changes nothing; final
states absorb everything. So poller, callback and canceller may race: whoever comes second folds again and finds nothing to do.

*Nothing is guessed.* A word that the plugin does not know leaves the job open. "Done" without audio is a `Doubt`, not a success.
A vendor that says "not found" right after creation is a `Doubt` as well. Only a doubt that lasts ends a job, and only the
deadline ends a job about which nothing is known; a track that has audio by then is delivered, not thrown away.

"Done" is two moments. When the vendor says so, the job is *delivered*: its tracks are known and it is still ``in_progress``. When
the audio is fetched, measured and priced, it is *settled*: ``completed`` means audio that plays. Between the two lies
`musicgate.gateway.settle`.
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

#: The poll interval grows with the job's age: one look per this share of the age, within the schedule's bounds.
_INTERVAL_PER_AGE = 0.15

_NO_AUDIO = Failure(
    reason=FailureClass.UPSTREAM_FAILED, message="the vendor reported success but delivered no audio"
)


def apply(job: Job, update: JobUpdate, mapped: JobState | None, now: datetime, speed: float = 1.0) -> Job:
    """Fold what a vendor's answer says into a job.

    Args:
        job: as it is stored.
        update: the answer, in native words.
        mapped: what the plugin's ``map_status`` makes of ``update.native_status``; None for an unknown word.
        now: aware UTC time.
        speed: divides grace periods.

    Returns:
        The next job; the very same object when nothing changed.
    """
    if job.state.is_final or job.delivered_at is not None:
        return job
    known = attrs.evolve(
        job,
        attempts=_accept(job, update, now),
        native_status=update.native_status or job.native_status,
        tracks=merge_tracks(job.tracks, update.tracks),
        warnings=job.warnings + tuple(warning for warning in update.warnings if warning not in job.warnings),
    )
    if update.failure is not None:
        return end(known, update.failure, now)
    verdict = update.state or mapped
    if verdict is JobState.FAILED:
        message = f"the vendor reported {update.native_status!r}"
        return end(known, Failure(reason=FailureClass.UPSTREAM_FAILED, message=message), now)
    doubt = update.doubt
    if verdict is JobState.COMPLETED and doubt is None:
        if any(track.has_audio for track in known.tracks) or any(track.audio for track in update.tracks):
            return _deliver(
                known, now, _NO_AUDIO.message if any(track.has_audio for track in known.tracks) else None
            )
        doubt = Doubt(failure=_NO_AUDIO, grace_s=NO_AUDIO_GRACE_S)
    if doubt is not None:
        since = known.doubt_since or now
        if now - since >= timedelta(seconds=doubt.grace_s / speed):
            return end(known, doubt.failure, now)
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


def end(job: Job, failure: Failure, now: datetime) -> Job:
    """End a job about which nothing better will be heard: with the tracks that have audio, since they are paid for, else failed."""
    if job.state.is_final or job.delivered_at is not None:
        return job
    if not any(track.has_audio for track in job.tracks):
        return fail(job, failure, now)
    return _deliver(job, now, failure.message)


def with_outcome(job: Job, outcome: AttemptOutcome, now: datetime, failure: Failure | None = None) -> Job:
    """The job with the outcome of its last attempt written down."""
    if job.attempt is None:
        return job
    last = attrs.evolve(job.attempt, outcome=outcome, failure=failure, answered_at=now)
    return attrs.evolve(job, attempts=(*job.attempts[:-1], last), updated_at=now)


def next_look_s(job: Job, schedule: PollSchedule, now: datetime, speed: float = 1.0) -> float:
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
    events = list(_attempt_events(before.attempts, after, now))
    if before.state is not after.state:
        events.append(JobEvent(kind=EventKind.STATE, at=now, data={"from": before.state, "to": after.state}))
    events.extend(_track_events(before.tracks, after.tracks, now))
    if before.delivered_at is None and after.delivered_at is not None:
        events.append(JobEvent(kind=EventKind.OUTPUT, at=now, data={"tracks": len(after.tracks)}))
    if not before.state.is_final and after.state.is_final:
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


def _deliver(job: Job, now: datetime, silence: str | None) -> Job:
    """The job with what the vendor has made; tracks without audio say ``silence``. None: the audio comes as bytes, beside the links."""
    tracks = tuple(
        track
        if silence is None or track.has_audio or track.failure_message
        else attrs.evolve(track, failure_message=silence)
        for track in job.tracks
    )
    return attrs.evolve(
        job, tracks=tracks, delivered_at=now, doubt_since=None, state=JobState.IN_PROGRESS, updated_at=now
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
