"""Kept answers of finished jobs: for one version, one account and one base URL, within a bound."""

import pytest

from musicgate.web import finished_answers
from musicgate.web.finished_answers import TRUSTED_S, FinishedAnswer, FinishedAnswers

BASE = "https://gate.test"


class Clock:
    """A monotonic clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 5.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(finished_answers, "time", clock)
    return clock


def answer(job_id: str = "m1", *, size: int = 100, version: int = 3) -> FinishedAnswer:
    return FinishedAnswer(id=job_id, version=version, account="a", base_url=BASE, body=b"x" * size)


def checked(answers: FinishedAnswers, made: FinishedAnswer) -> None:
    """Keep an answer that the store has confirmed."""
    answers.keep(made)
    assert answers.find_version(made.id, made.version, made.base_url) is made


def test_a_new_answer_is_compared_with_the_store_before_it_is_used(clock: Clock) -> None:
    answers = FinishedAnswers()
    answers.keep(answer())
    assert answers.find("m1", "a", BASE) is None
    found = answers.find_version("m1", 3, BASE)
    assert found is not None
    assert answers.find("m1", "a", BASE) is found


def test_an_answer_is_compared_with_the_store_again_after_a_second(clock: Clock) -> None:
    answers = FinishedAnswers()
    checked(answers, answer())
    clock.now += TRUSTED_S
    assert answers.find("m1", "a", BASE) is not None
    clock.now += 0.001
    assert answers.find("m1", "a", BASE) is None
    assert answers.find_version("m1", 3, BASE) is not None
    assert answers.find("m1", "a", BASE) is not None


@pytest.mark.parametrize(("account", "base"), [("b", BASE), ("a", "http://localhost:1")])
def test_an_answer_is_for_its_account_and_its_links_only(clock: Clock, account: str, base: str) -> None:
    answers = FinishedAnswers()
    checked(answers, answer())
    assert answers.find("m1", account, base) is None


@pytest.mark.parametrize(("version", "base"), [(4, BASE), (3, "http://localhost:1")])
def test_an_answer_is_for_its_version_and_its_links_only(clock: Clock, version: int, base: str) -> None:
    answers = FinishedAnswers()
    checked(answers, answer())
    clock.now += 2 * TRUSTED_S
    assert answers.find_version("m1", version, base) is None
    assert answers.find("m1", "a", BASE) is None  # that comparison confirmed nothing


def test_a_dropped_answer_is_gone(clock: Clock) -> None:
    answers = FinishedAnswers()
    checked(answers, answer())
    answers.drop("m1")
    answers.drop("m2")
    assert answers.find("m1", "a", BASE) is None
    assert answers.find_version("m1", 3, BASE) is None
    assert answers.size_bytes == 0


def test_the_answers_used_least_recently_make_room(clock: Clock) -> None:
    small = answer(size=0).size_bytes
    answers = FinishedAnswers(16 * small)
    for number in range(16):
        checked(answers, answer(f"m{number}", size=0))
    assert answers.find("m0", "a", BASE) is not None
    assert answers.find_version("m1", 3, BASE) is not None
    for number in range(16, 30):
        checked(answers, answer(f"m{number}", size=0))
        assert answers.size_bytes == 16 * small
    assert answers.find("m0", "a", BASE) is not None
    assert answers.find("m1", "a", BASE) is not None
    assert answers.find("m2", "a", BASE) is None


def test_an_answer_replaces_the_earlier_one_of_its_job(clock: Clock) -> None:
    answers = FinishedAnswers()
    checked(answers, answer(size=100))
    checked(answers, answer(size=200, version=4))
    assert answers.size_bytes == answer(size=200).size_bytes


def test_one_very_large_answer_is_not_kept_and_removes_no_other(clock: Clock) -> None:
    answers = FinishedAnswers(32_000)
    checked(answers, answer("m1"))
    answers.keep(answer("m2", size=2_000))
    assert answers.find_version("m2", 3, BASE) is None
    assert answers.find("m1", "a", BASE) is not None
