"""The events between two versions of a job, and a final job as it was when it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from musicgate.model import Attempt, AttemptOutcome, EventKind, Job, JobEvent, Progress, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

#: Bound once: on Python 3.11 a member by the name of its class costs as much as the rest of an event.
_CREATED: Final = EventKind.CREATED
_ATTEMPT: Final = EventKind.ATTEMPT
_STATE: Final = EventKind.STATE


def history(before: Job | None, after: Job, now: datetime) -> tuple[JobEvent, ...]:
    """The events between two versions of a job, in order; none after the event that ends it."""
    if before is None:
        created = JobEvent(kind=_CREATED, at=now, data={"model": after.request.model})
        return (created, *_attempt_events((), after, now))
    if before.state.is_final:
        return ()
    events = _attempt_events(before.attempts, after, now) if before.attempts is not after.attempts else []
    if before.state is not after.state:
        events.append(JobEvent(kind=_STATE, at=now, data={"from": before.state, "to": after.state}))
    if before.tracks is not after.tracks:
        events.extend(_track_events(before.tracks, after.tracks, now))
    if before.progress is not after.progress and after.progress is not None:
        events.extend(_progress_events(before.progress, after.progress, now))
    if after.storage_trouble is not None and before.storage_trouble != after.storage_trouble:
        events.append(JobEvent(kind=EventKind.STORAGE, at=now, data={"reason": after.storage_trouble}))
    if before.delivered_at is None and after.delivered_at is not None:
        events.append(JobEvent(kind=EventKind.OUTPUT, at=now, data={"tracks": len(after.tracks)}))
    if after.state.is_final:
        reason = after.failure.reason if after.failure else None
        events.append(JobEvent(kind=EventKind.SETTLED, at=now, data={"state": after.state, "reason": reason}))
    return tuple(events)


def as_settled(job: Job) -> Job:
    """A final job as it was when it ended, without later answers: events never change."""
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


def _attempt_events(before: Sequence[Attempt], after: Job, now: datetime) -> list[JobEvent]:
    events = []
    for index, attempt in enumerate(after.attempts):
        if index >= len(before) or before[index].outcome is not attempt.outcome:
            data = {"plugin": attempt.plugin, "outcome": attempt.outcome, "native_id": attempt.native_id}
            events.append(JobEvent(kind=_ATTEMPT, at=now, data=data))
    return events


def _progress_events(before: Progress | None, after: Progress, now: datetime) -> Iterable[JobEvent]:
    """One for each tenth of the work, and one when the charge is known: a poll comes every few seconds."""
    is_charged = after.charge is not None and (before is None or before.charge is None)
    if is_charged or _tenth(after) > _tenth(before):
        data = {name: value for name, value in attrs.asdict(after).items() if value is not None}
        yield JobEvent(kind=EventKind.PROGRESS, at=now, data=data)


def _tenth(progress: Progress | None) -> int:
    return -1 if progress is None or progress.fraction is None else int(progress.fraction * 10)


def _track_events(before: Sequence[Track], after: Sequence[Track], now: datetime) -> Iterable[JobEvent]:
    """New tracks and new links, which a caller may listen to while the job is open."""
    for index, track in enumerate(after):
        old = before[index] if index < len(before) else None
        streams = bool(track.stream_audio_url) and not (old and old.stream_audio_url)
        plays = bool(track.audio_url) and not (old and old.audio_url)
        if old is None or streams or plays:
            links = {"stream_audio_url": track.stream_audio_url, "audio_url": track.audio_url}
            data = {"index": track.index, "title": track.title, **links}
            yield JobEvent(kind=EventKind.TRACK, at=now, data=data)
