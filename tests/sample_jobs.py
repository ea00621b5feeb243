"""A job and an attempt with plain values."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from musicgate import Job, JobState, MusicRequest
from musicgate.model import Attempt, AttemptOutcome

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
LATER = START + timedelta(seconds=60)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def attempt(
    outcome: AttemptOutcome = AttemptOutcome.SENT, native_id: str | None = None, **more: Any
) -> Attempt:
    known = Attempt(
        plugin="one",
        provider="fake",
        model="fake/song",
        native_model="native",
        outcome=outcome,
        planned_at=START,
        native_id=native_id,
    )
    return attrs.evolve(known, **more)


def job(state: JobState = JobState.QUEUED, **more: Any) -> Job:
    known = Job(
        id="music_1",
        account="local",
        generation_id="G-1",
        request=MusicRequest(model="fake/song"),
        state=state,
        created_at=START,
        updated_at=START,
        deadline_at=START + timedelta(seconds=600),
        callback_token="token-not-real",
        attempts=(attempt(),),
    )
    return attrs.evolve(known, **more)
