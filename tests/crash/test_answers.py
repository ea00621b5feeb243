"""The harness itself: which answers contradict the store, and which jobs have no owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from musicgate.model import Job, JobState, MusicRequest
from tests.crash import owners
from tests.crash.answers import Answers, Told, read_answer
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


def told(status: int, body: dict[str, object], *, only: bool = False, later_s: float = 0) -> Told:
    """What is said by a call that began a second before `NOW` and ended a second after it."""
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
    ("said", "jobs", "songs", "found"),
    [
        ([told(200, GOOD)], [JOB], 1, []),
        ([told(200, GOOD)], [], 0, ["told 200 about music_1, which is not in the store"]),
        ([told(200, GOOD), told(200, {"id": "music_2"})], [JOB], 1, ["told of 2 jobs", "not in the store"]),
        ([told(500, NOTHING)], [], 0, []),
        ([told(500, NOTHING)], [JOB], 0, ["told 500 'nothing was stored', and music_1 of that moment"]),
        ([told(500, NOTHING, later_s=-30), told(200, GOOD)], [JOB], 1, []),
        ([told(500, NOTHING, only=True)], [], 1, ["told 500 'nothing was sent', and 1 songs were made"]),
        ([told(502, {"music_id": "music_1", "reason": "unknown_outcome"})], [JOB], 1, []),
        ([told(502, {"music_id": "music_2"})], [JOB], 1, ["told 502 about music_2, which is not in the"]),
        ([told(200, {"id": "music_1", "status": "failed"})], [JOB], 1, ["is failed, and it is completed"]),
        (
            [told(200, {"id": "music_1", "status": "completed"})],
            [attrs.evolve(JOB, state=JobState.FAILED)],
            1,
            ["told that music_1 is completed, and it is failed"],
        ),
    ],
)
def test_what_the_store_contradicts_is_found(
    said: list[Told], jobs: list[Job], songs: int, found: list[str]
) -> None:
    answers = Answers()
    for one in said:
        answers.note(7, one)
    complaints = list(answers.contradictions(7, jobs, songs))
    assert len(complaints) == len(found)
    for complaint, words in zip(complaints, found, strict=True):
        assert words in complaint


class Ready:
    """A server whose ``/readyz`` answers from a list, the last answer again and again."""

    up_since = None

    def __init__(self, *answers: dict[str, Any] | None) -> None:
        self.answers = list(answers)

    async def readiness(self) -> dict[str, Any] | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def jobs(opened: int, in_flight: int, scheduled: int) -> dict[str, Any]:
    return {"jobs": {"open": opened, "in_flight": in_flight, "scheduled": scheduled}}


@pytest.mark.parametrize(
    ("answers", "checked", "unable", "found"),
    [
        ([jobs(3, 1, 2)], 1, 0, 0),
        ([None, jobs(3, 1, 1), jobs(3, 1, 2)], 1, 0, 0),
        ([jobs(3, 1, 1)], 0, 0, 1),
        ([jobs(3, 2, 2)], 0, 0, 1),
        ([{"status": "ok"}], 0, 1, 0),
        ([{"jobs": {"open": 3}}], 0, 1, 0),
        ([None], 0, 0, 0),
    ],
)
async def test_an_open_job_without_an_owner_is_found(
    monkeypatch: pytest.MonkeyPatch,
    answers: list[dict[str, Any] | None],
    checked: int,
    unable: int,
    found: int,
) -> None:
    monkeypatch.setattr(owners, "_PATIENCE_S", 0.3)
    check = OwnerCheck()
    await check.check(Ready(*answers))  # type: ignore[arg-type]
    assert (check.checked, check.unable, len(check.found)) == (checked, unable, found)
    assert ("NOT CHECKED" in str(check)) is bool(unable)
