from typing import Any

import pytest

from musicgate import Failure, FailureClass, Job, JobState, MusicRequest
from musicgate.jobs import (
    accept,
    add_attempt,
    lose,
    new_attempt,
    new_job,
    refuse,
    resend_wait_s,
    start,
)
from musicgate.model import Attempt, AttemptOutcome, OptionWarning, Provider, WarningCode
from tests.sample_jobs import LATER, START, at, attempt, job

PLANNED, SENT, ACCEPTED, REFUSED, UNKNOWN = AttemptOutcome
BUSY = Failure(reason=FailureClass.RATE_LIMITED, message="too often")
NOTE = OptionWarning(code=WarningCode.CHANGED, path=("seed",), message="rounded", plugin="two")
PROVIDER = Provider(
    name="fake",
    plugin="one",
    label="One",
    base_url="https://one.test",
    key_env="ONE_KEY",
    base_url_env="ONE_URL",
    offers=(),
    option_block="fake",
    options_schema={},
)


def job_with(outcome: AttemptOutcome, **more: Any) -> Job:
    return job(attempts=(attempt(outcome),), **more)


def test_new_job_waits_with_a_planned_attempt() -> None:
    planned = new_attempt(PROVIDER, "fake/song", "native", START, calls_back=True)
    made = new_job(
        "music_1",
        MusicRequest(model="fake/song"),
        planned,
        account="local",
        generation_id="G-1",
        callback_token="token-not-real",
        deadline_at=at(600),
        warnings=[NOTE],
        native_request={"prompt": "jazz"},
    )
    expected = job(
        attempts=(attempt(PLANNED, calls_back=True),),
        warnings=(NOTE,),
        native_request={"prompt": "jazz"},
        is_clean=True,
    )
    assert made == expected


@pytest.mark.parametrize(("blocking", "state"), [(False, JobState.QUEUED), (True, JobState.IN_PROGRESS)])
def test_started_job_is_sent_and_its_deadline_counts_from_there(state: JobState, *, blocking: bool) -> None:
    started = start(job_with(PLANNED), LATER, at(700), blocking=blocking)
    assert started == job_with(SENT, state=state, deadline_at=at(700), updated_at=LATER)


@pytest.mark.parametrize("outcome", [SENT, ACCEPTED, REFUSED, UNKNOWN])
def test_only_a_planned_attempt_is_started(outcome: AttemptOutcome) -> None:
    known = job_with(outcome)
    assert start(known, LATER, at(700), blocking=True) is known
    cancelled = job_with(PLANNED, state=JobState.FAILED)
    assert start(cancelled, LATER, at(700), blocking=True) is cancelled


#: Outcome before, then after "accepted", after "refused" and after "lost".
ANSWERS = [
    (PLANNED, PLANNED, PLANNED, PLANNED),
    (SENT, ACCEPTED, REFUSED, UNKNOWN),
    (ACCEPTED, ACCEPTED, ACCEPTED, ACCEPTED),
    (REFUSED, REFUSED, REFUSED, REFUSED),
    (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
]


@pytest.mark.parametrize(("before", "accepted", "refused", "lost"), ANSWERS)
def test_only_a_sent_attempt_is_answered(
    before: AttemptOutcome, accepted: AttemptOutcome, refused: AttemptOutcome, lost: AttemptOutcome
) -> None:
    known = job_with(before)
    answered = (
        accept(known, LATER),
        refuse(known, BUSY, LATER),
        lose(known, BUSY, LATER, adoptable=True),
    )
    assert tuple(after.outcome for after in answered) == (accepted, refused, lost)
    if before is not SENT:
        assert all(after is known for after in answered)


def test_answer_is_noted_at_the_last_attempt() -> None:
    known = job(attempts=(attempt(), attempt()))
    assert refuse(known, BUSY, LATER).attempts == (
        attempt(),
        attempt(REFUSED, failure=BUSY, answered_at=LATER),
    )
    assert refuse(known, BUSY, LATER).updated_at == LATER
    bare = job(attempts=())
    assert (accept(bare, LATER), refuse(bare, BUSY, LATER)) == (bare, bare)


def test_answer_that_comes_after_a_callback_with_the_id_is_ignored() -> None:
    adopted = job(attempts=(attempt(SENT, "n-1"),))
    assert refuse(adopted, BUSY, LATER) is adopted
    assert lose(adopted, BUSY, LATER, adoptable=False) is adopted


def test_body_of_a_refusal_is_kept_where_one_is_given() -> None:
    assert refuse(job(native_response=1), BUSY, LATER).native_response == 1
    assert refuse(job(native_response=1), BUSY, LATER, {"code": 430}).native_response == {"code": 430}


def test_lost_answer_ends_a_job_that_no_callback_can_adopt() -> None:
    assert lose(job(), BUSY, LATER, adoptable=True).state is JobState.QUEUED
    ended = lose(job(), BUSY, LATER, adoptable=False)
    assert (ended.state, ended.outcome) == (JobState.FAILED, UNKNOWN)
    assert ended.failure is not None
    assert ended.failure.costs


@pytest.mark.parametrize("outcome", [SENT, ACCEPTED, UNKNOWN])
def test_no_attempt_is_added_while_an_earlier_one_may_be_accepted(outcome: AttemptOutcome) -> None:
    known = job_with(outcome)
    assert add_attempt(known, attempt(PLANNED, plugin="two")) is known


@pytest.mark.parametrize("outcome", [PLANNED, REFUSED])
def test_added_attempt_replaces_the_warnings_of_the_plugin_before_it(outcome: AttemptOutcome) -> None:
    own = OptionWarning(code=WarningCode.UNKNOWN_KEY, path=("x",), message="ignored")
    of_one = OptionWarning(code=WarningCode.CHANGED, path=("seed",), message="cut", plugin="one")
    known = job_with(outcome, warnings=(own, of_one), native_response={"no": 1})
    second = attempt(PLANNED, plugin="two", planned_at=LATER)
    added = add_attempt(known, second, [NOTE], {"prompt": "jazz"})
    assert added.attempts == (attempt(outcome), second)
    assert added.warnings == (own, NOTE)
    assert (added.native_request, added.native_response) == ({"prompt": "jazz"}, None)
    assert added.updated_at == LATER


def test_same_attempt_is_added_once_and_none_to_a_final_job() -> None:
    second = attempt(PLANNED, plugin="two", planned_at=LATER)
    added = add_attempt(job_with(REFUSED), second)
    assert add_attempt(added, second) is added
    final = job_with(REFUSED, state=JobState.FAILED)
    assert add_attempt(final, second) is final


def resent(times: int) -> tuple[Attempt, ...]:
    return (attempt(REFUSED), *(attempt(REFUSED, not_before=LATER) for _ in range(times)))


@pytest.mark.parametrize(
    ("attempts", "failure", "wait_s"),
    [
        (resent(0), BUSY, 10.0),
        (resent(2), BUSY, 10.0),
        (resent(3), BUSY, None),
        (resent(0), Failure(reason=FailureClass.RATE_LIMITED, message="m", retry_after_s=599), 599),
        (resent(0), Failure(reason=FailureClass.RATE_LIMITED, message="m", retry_after_s=600), None),
        (resent(0), Failure(reason=FailureClass.CREDITS, message="empty"), None),
    ],
)
def test_busy_vendor_is_called_again_three_times_within_the_deadline(
    attempts: tuple[Attempt, ...], failure: Failure, wait_s: float | None
) -> None:
    assert resend_wait_s(job(attempts=attempts), failure, START) == wait_s
