"""The harness itself: answers that contradict the store are found, and jobs without an owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from musicgate.model import Job, JobState, MusicRequest
from tests.crash.answers import Answer, Answers, read_answer
from tests.crash.owners import OwnerCheck

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
JOB = Job(
    id="music_1",
    account="test",
    generation_id="G-1",
    request=MusicRequest(model="suno/v5"),
    state=JobState.COMPLETED,
    created_at=NOW,
    updated_at=NOW,
    deadline_at=NOW + timedelta(minutes=1),
    callback_token="token-not-real",
)


def answer(status: int, body: dict[str, object], *, only: bool = False, later_s: float = 0) -> Answer:
    """The answer to a call that began a second before `NOW` and ended a second after it."""
    return read_answer(
        status,
        body,
        NOW + timedelta(seconds=later_s - 1),
        NOW + timedelta(seconds=later_s + 1),
        is_only_call=only,
    )


GOOD: dict[str, object] = {"id": "music_1", "status": "in_progress"}
NOTHING: dict[str, object] = {"error": "gateway_error"}


@pytest.mark.parametrize(
    ("answers", "jobs", "songs", "found"),
    [
        ([answer(200, GOOD)], [JOB], 1, []),
        ([answer(200, GOOD)], [], 0, ["answered 200 about music_1, which is not in the store"]),
        (
            [answer(200, GOOD), answer(200, {"id": "music_2"})],
            [JOB],
            1,
            ["answers name 2 jobs", "not in the store"],
        ),
        ([answer(500, NOTHING)], [], 0, []),
        ([answer(500, NOTHING)], [JOB], 0, ["answered 500 'nothing was stored', and music_1 of that moment"]),
        ([answer(500, NOTHING, later_s=-30), answer(200, GOOD)], [JOB], 1, []),
        (
            [answer(500, NOTHING, only=True)],
            [],
            1,
            ["answered 500 'nothing was sent', and 1 songs were made"],
        ),
        ([answer(502, {"music_id": "music_1", "reason": "unknown_outcome"})], [JOB], 1, []),
        (
            [answer(502, {"music_id": "music_2"})],
            [JOB],
            1,
            ["answered 502 about music_2, which is not in the"],
        ),
        ([answer(200, {"id": "music_1", "status": "failed"})], [JOB], 1, ["is failed, and it is completed"]),
        (
            [answer(200, {"id": "music_1", "status": "completed"})],
            [attrs.evolve(JOB, state=JobState.FAILED)],
            1,
            ["answered that music_1 is completed, and it is failed"],
        ),
    ],
)
def test_an_answer_that_the_store_contradicts_is_found(
    answers: list[Answer], jobs: list[Job], songs: int, found: list[str]
) -> None:
    recorded = Answers()
    for one in answers:
        recorded.add(7, one)
    complaints = list(recorded.contradictions(7, jobs, songs))
    assert len(complaints) == len(found)
    for complaint, words in zip(complaints, found, strict=True):
        assert words in complaint


class Ready:
    """A server whose ``/readyz`` answers from a list, and repeats the last answer."""

    not_ready = "a background service failed"

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self.answers = list(answers)

    async def readiness(self) -> dict[str, Any] | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Installation:
    """Servers, and a store with so many open jobs."""

    up_since = None

    def __init__(self, opened: int, *servers: Ready) -> None:
        self.books = self
        self.servers = servers
        self.opened = opened

    async def open_jobs(self) -> list[Job]:
        return [attrs.evolve(JOB, state=JobState.QUEUED)] * self.opened


def jobs(in_flight: int, scheduled: int) -> dict[str, Any]:
    return {"jobs": {"open": in_flight + scheduled, "in_flight": in_flight, "scheduled": scheduled}}


@pytest.mark.parametrize(
    ("answers", "checked", "unable", "found"),
    [
        ([[jobs(1, 2)]], 1, 0, 0),
        ([[None, jobs(1, 1), jobs(1, 2)]], 1, 0, 0),
        ([[jobs(1, 1)]], 0, 0, 1),
        ([[jobs(2, 2)]], 0, 0, 1),
        ([[{"status": "ok"}]], 0, 1, 0),
        ([[{"jobs": {"open": 3}}]], 0, 1, 0),
        ([[None]], 0, 0, 1),
        ([[jobs(1, 1)], [jobs(0, 1)]], 1, 0, 0),
        ([[jobs(1, 1)], [jobs(0, 2)]], 0, 0, 1),
        ([[jobs(1, 2)], [None]], 0, 0, 1),
    ],
)
async def test_an_open_job_without_an_owner_is_found(
    answers: list[list[dict[str, Any] | None]], checked: int, unable: int, found: int
) -> None:
    check = OwnerCheck()
    await check.check(Installation(3, *(Ready(*each) for each in answers)), 0.3)  # type: ignore[arg-type]
    assert (check.checked, check.unable, len(check.found)) == (checked, unable, found)
    assert ("NOT CHECKED" in str(check)) is bool(unable)
