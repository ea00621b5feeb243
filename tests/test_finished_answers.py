"""Kept answers of finished jobs: for one version, one account and its links, within a bound."""

import pytest

from musicgate.views import SignedLinks
from musicgate.web import finished_answers
from musicgate.web.finished_answers import TRUSTED_S, FinishedAnswer, FinishedAnswers

LINKS = SignedLinks("https://gate.test", 1_000)
ELSEWHERE = SignedLinks("http://localhost:1", 1_000)
LATER = SignedLinks("https://gate.test", 2_000)


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
    return FinishedAnswer(id=job_id, version=version, account="a", links=LINKS, body=b"x" * size)


def checked(answers: FinishedAnswers, made: FinishedAnswer) -> None:
    """Keep an answer that the store has confirmed."""
    answers.keep(made)
    assert answers.find_version(made.id, made.version, made.links) is made


def test_a_new_answer_is_compared_with_the_store_before_it_is_used(clock: Clock) -> None:
    answers = FinishedAnswers()
    answers.keep(answer())
    assert answers.find("m1", "a", LINKS) is None
    found = answers.find_version("m1", 3, LINKS)
    assert found is not None
    assert answers.find("m1", "a", LINKS) is found


def test_an_answer_is_compared_with_the_store_again_after_a_second(clock: Clock) -> None:
    answers = FinishedAnswers()
    checked(answers, answer())
    clock.now += TRUSTED_S
    assert answers.find("m1", "a", LINKS) is not None
    clock.now += 0.001
    assert answers.find("m1", "a", LINKS) is None
    assert answers.find_version("m1", 3, LINKS) is not None
    assert answers.find("m1", "a", LINKS) is not None


@pytest.mark.parametrize(("account", "links"), [("b", LINKS), ("a", ELSEWHERE), ("a", LATER)])
def test_an_answer_is_for_its_account_and_its_links_only(
    clock: Clock, account: str, links: SignedLinks
) -> None:
    answers = FinishedAnswers()
    checked(answers, answer())
    assert answers.find("m1", account, links) is None


@pytest.mark.parametrize(("version", "links"), [(4, LINKS), (3, ELSEWHERE), (3, LATER)])
def test_an_answer_is_for_its_version_and_its_links_only(
    clock: Clock, version: int, links: SignedLinks
) -> None:
    answers = FinishedAnswers()
    checked(answers, answer())
    clock.now += 2 * TRUSTED_S
    assert answers.find_version("m1", version, links) is None
    assert answers.find("m1", "a", LINKS) is None  # that comparison confirmed nothing


def test_a_dropped_answer_is_gone(clock: Clock) -> None:
    answers = FinishedAnswers()
    checked(answers, answer())
    answers.drop("m1")
    answers.drop("m2")
    assert answers.find("m1", "a", LINKS) is None
    assert answers.find_version("m1", 3, LINKS) is None
    assert answers.size_bytes == 0


def test_the_answers_used_least_recently_make_room(clock: Clock) -> None:
    small = answer(size=0).size_bytes
    answers = FinishedAnswers(16 * small)
    for number in range(16):
        checked(answers, answer(f"m{number}", size=0))
    assert answers.find("m0", "a", LINKS) is not None
    assert answers.find_version("m1", 3, LINKS) is not None
    for number in range(16, 30):
        checked(answers, answer(f"m{number}", size=0))
        assert answers.size_bytes == 16 * small
    assert answers.find("m0", "a", LINKS) is not None
    assert answers.find("m1", "a", LINKS) is not None
    assert answers.find("m2", "a", LINKS) is None


def test_an_answer_replaces_the_earlier_one_of_its_job(clock: Clock) -> None:
    answers = FinishedAnswers()
    checked(answers, answer(size=100))
    checked(answers, answer(size=200, version=4))
    assert answers.size_bytes == answer(size=200).size_bytes


def test_one_very_large_answer_is_not_kept_and_removes_no_other(clock: Clock) -> None:
    answers = FinishedAnswers(32_000)
    checked(answers, answer("m1"))
    answers.keep(answer("m2", size=2_000))
    assert answers.find_version("m2", 3, LINKS) is None
    assert answers.find("m1", "a", LINKS) is not None
