"""The line, and when it is written; `tests/test_cross_cutting.py` has the rest."""

import json
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from musicgate import (
    Failure,
    FailureClass,
    Job,
    JobState,
    MusicRequest,
)
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Meter,
    PriceLine,
    Usage,
)
from musicgate_job_ledger import JobLedger, ledger_line, plugin

CREATED_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LINE = PriceLine(
    meter=Meter.REQUESTS,
    quantity=Decimal(1),
    unit_size=Decimal(1),
    price_per_unit_usd=Decimal("0.06"),
    price_usd_nanos=60_000_000,
)
OPEN = Job(
    id="music_1",
    account="band",
    generation_id="G-1",
    request=MusicRequest(model="suno/v5", prompt="a secret song", metadata={"label": "secret"}),
    state=JobState.IN_PROGRESS,
    created_at=CREATED_AT,
    updated_at=CREATED_AT + timedelta(seconds=41.5),
    deadline_at=CREATED_AT + timedelta(hours=1),
    callback_token="secret-token-not-real",
    attempts=(
        Attempt(
            plugin="suno_kie",
            provider="suno",
            model="suno/v5",
            native_model="V5",
            outcome=AttemptOutcome.ACCEPTED,
            planned_at=CREATED_AT,
            native_id="task-1",
        ),
    ),
)
DONE = attrs.evolve(
    OPEN,
    state=JobState.COMPLETED,
    usage=Usage(output_audio_count=2, output_audio_seconds=24.5, lines=(LINE,)),
)
FAILED = attrs.evolve(
    OPEN,
    state=JobState.FAILED,
    failure=Failure(reason=FailureClass.CREDITS, message="no credits for a secret song"),
)


def test_line_of_a_completed_job() -> None:
    assert json.loads(ledger_line(DONE)) == {
        "settled_at": "2026-11-20T12:00:41.500000+00:00",
        "job_id": "music_1",
        "account": "band",
        "state": "completed",
        "reason": None,
        "provider": "suno",
        "plugin": "suno_kie",
        "model": "suno/v5",
        "native_model": "V5",
        "native_id": "task-1",
        "attempts": 1,
        "tracks": 2,
        "audio_s": 24.5,
        "took_s": 41.5,
        "price_usd": "0.06",
        "may_have_cost": True,
    }


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (FAILED, {"state": "failed", "reason": "credits", "price_usd": None, "may_have_cost": False}),
        (FAILED, {"tracks": 0, "audio_s": 0.0, "attempts": 1}),
        (
            attrs.evolve(FAILED, failure=Failure(reason=FailureClass.EXPIRED, message="late")),
            {"reason": "expired", "may_have_cost": True},
        ),
        (attrs.evolve(DONE, usage=Usage()), {"price_usd": None, "tracks": 0}),
        (attrs.evolve(DONE, usage=Usage(lines=())), {"price_usd": "0"}),
        (
            attrs.evolve(DONE, usage=Usage(lines=(attrs.evolve(LINE, price_usd_nanos=100_000_000_001),))),
            {"price_usd": "100.000000001"},
        ),
        (
            attrs.evolve(FAILED, attempts=()),
            {"provider": None, "plugin": None, "model": None, "native_id": None, "attempts": 0},
        ),
    ],
)
def test_unknown_values_are_null(job: Job, expected: dict[str, Any]) -> None:
    line = json.loads(ledger_line(job))
    assert {key: line[key] for key in expected} == expected


@pytest.mark.parametrize("job", [DONE, FAILED])
def test_line_holds_no_text_of_the_caller_and_no_secret(job: Job) -> None:
    line = ledger_line(job)
    assert "secret" not in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        (None, OPEN, 0),
        (OPEN, OPEN, 0),
        (OPEN, DONE, 1),
        (OPEN, FAILED, 1),
        (None, DONE, 1),
        (DONE, DONE, 0),
        (FAILED, FAILED, 0),
    ],
)
def test_line_is_written_once_when_a_job_becomes_final(before: Job | None, after: Job, count: int) -> None:
    lines: list[str] = []
    JobLedger(lines.append).job_changed(before, after)
    assert lines == [ledger_line(after)] * count


def test_installed_plugin_writes_the_line_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    job = attrs.evolve(DONE, account="100%s")
    with caplog.at_level(logging.INFO, "musicgate"):
        plugin.job_changed(OPEN, job)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("musicgate.job_ledger", ledger_line(job))
    ]
