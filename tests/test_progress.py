"""How far a vendor is and what it charges, in the job and its events."""

from datetime import timedelta
from typing import Any

import pytest

from musicgate.codec import dump_job, load_job
from musicgate.jobs import apply, bounded_update, history
from musicgate.model import Job, JobUpdate, Progress
from musicgate.views import render_job
from tests.job_samples import NOW, make_job


def after(job: Job, **said: Any) -> Job:
    return apply(job, JobUpdate(progress=Progress(**said)), None, NOW + timedelta(seconds=5))


def events(before: Job, later: Job) -> list[dict[str, Any]]:
    return [dict(event.data) for event in history(before, later, NOW) if event.kind.value == "progress"]


def test_job_shows_what_the_vendor_said_last() -> None:
    job = after(
        after(make_job(native_id="t"), fraction=0.25, remaining_s=30.0), charge=12.0, charge_unit="credits"
    )
    answer = render_job(job, lambda *_: None)
    assert answer["progress"] == {
        "fraction": 0.25,
        "remaining_seconds": 30.0,
        "charge": 12.0,
        "charge_unit": "credits",
    }
    assert after(job, fraction=0.5).progress == Progress(
        fraction=0.5, remaining_s=30.0, charge=12.0, charge_unit="credits"
    )
    assert load_job(dump_job(job)) == job
    assert "progress" not in render_job(make_job(), lambda *_: None)


def test_same_progress_changes_nothing() -> None:
    job = after(make_job(native_id="t"), fraction=0.5)
    assert after(job, fraction=0.5) is job


def test_each_tenth_and_the_first_charge_is_one_event() -> None:
    job = make_job(native_id="t")
    first = after(job, fraction=0.21)
    assert events(job, first) == [{"fraction": 0.21}]
    second = after(first, fraction=0.29)
    assert events(first, second) == []
    assert events(second, after(second, fraction=0.3)) == [{"fraction": 0.3}]
    charged = after(second, charge=3.0)
    assert events(second, charged) == [{"fraction": 0.29, "charge": 3.0}]


def test_vendor_that_goes_to_and_fro_makes_no_events_without_end() -> None:
    job = after(make_job(native_id="t"), fraction=0.31, charge=1.0)
    back = after(job, fraction=0.29, charge=2.0)
    assert back.progress == Progress(fraction=0.31, charge=2.0)
    assert events(job, back) == []


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"fraction": 7.0}, Progress(fraction=1.0)),
        ({"fraction": -1.0, "charge": 2.0}, Progress(fraction=0.0, charge=2.0)),
        ({"remaining_s": -5.0}, None),
        ({"charge": -1.0}, None),
    ],
)
def test_numbers_that_mean_nothing_are_not_kept(said: dict[str, Any], kept: Progress | None) -> None:
    update = JobUpdate(progress=Progress(**said))
    assert bounded_update(update, make_job()).progress == kept
