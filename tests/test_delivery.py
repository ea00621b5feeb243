"""The rules of webhooks: messages, schedule of retries, meaning of answers."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from musicgate.model import (
    Delivery,
    DeliveryStatus,
    DeliveryTry,
    JobState,
)
from musicgate.model.delivery import is_address, origin
from musicgate.webhooks import rules
from musicgate.webhooks.rules import Answer
from tests.sample_jobs import job

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MESSAGE = Delivery(
    id="msg_1",
    job_id="music_1",
    account="alice",
    url="https://hooks.test/a",
    type="music.completed",
    created_at=NOW,
    next_try_at=NOW,
)


def answered(status: int | None, *, retry_after_s: float | None = None, error: str | None = None) -> Answer:
    return Answer(at=NOW, duration_s=0.5, http_status=status, error=error, retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    ("state", "kind"), [(JobState.COMPLETED, "music.completed"), (JobState.FAILED, "music.failed")]
)
def test_the_end_of_a_job_is_announced_at_once(state: JobState, kind: str) -> None:
    ended = job(state, account="alice", completed_at=NOW)
    assert rules.announce(ended, "https://hooks.test/a", "msg_1") == attrs.evolve(MESSAGE, type=kind)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery(status: int) -> None:
    after = rules.after_try(MESSAGE, answered(status), jitter=0)
    assert (after.status, after.next_try_at, after.attempts) == (DeliveryStatus.DELIVERED, None, 1)
    assert after.tries == (DeliveryTry(at=NOW, duration_s=0.5, http_status=status),)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answered(500), "the receiver answered HTTP 500"),
        (answered(404), "the receiver answered HTTP 404"),
        (answered(199), "the receiver answered HTTP 199"),
        (answered(301), "the receiver answered HTTP 301; webhooks follow no redirect"),
        (answered(None, error="none within 15 s"), "none within 15 s"),
        (answered(None), "no answer"),
    ],
)
def test_any_other_answer_is_retried(answer: Answer, error: str) -> None:
    after = rules.after_try(MESSAGE, answer, jitter=0)
    assert (after.status, after.step, after.id) == (DeliveryStatus.PENDING, 1, "msg_1")
    assert after.next_try_at == NOW + timedelta(seconds=5.5)
    assert after.tries[0].error == error


def test_410_disables_the_message_and_names_the_reason() -> None:
    after = rules.after_try(MESSAGE, answered(410), jitter=0)
    assert (after.status, after.next_try_at) == (DeliveryStatus.DISABLED, None)
    assert after.tries[0].error == "the receiver answered HTTP 410: it wants no more webhooks at this address"


def test_ten_tries_span_three_days() -> None:
    delivery, pauses = MESSAGE, []
    while delivery.status is DeliveryStatus.PENDING:
        delivery = rules.after_try(delivery, attrs.evolve(answered(500), duration_s=0.0), jitter=0)
        if delivery.next_try_at:
            pauses.append((delivery.next_try_at - NOW).total_seconds())
    assert pauses == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert (delivery.status, delivery.attempts, delivery.next_try_at) == (DeliveryStatus.FAILED, 10, None)


@pytest.mark.parametrize(
    ("retry_after_s", "jitter", "speed", "pause_s"),
    [
        (None, 1.0, 1.0, 6.0),
        (None, 0.5, 1.0, 5.5),
        (120.0, 0.0, 1.0, 120.0),
        (2.0, 0.0, 1.0, 5.0),
        (999_999.0, 0.0, 1.0, 86_400.0),
        (120.0, 0.0, 60.0, 2.0),
        (None, 0.0, 50.0, 0.1),
    ],
)
def test_pauses_are_jittered_and_stretched_by_the_receiver(
    retry_after_s: float | None, jitter: float, speed: float, pause_s: float
) -> None:
    after = rules.after_try(MESSAGE, answered(503, retry_after_s=retry_after_s), jitter, speed)
    assert after.next_try_at == NOW + timedelta(seconds=0.5 + pause_s)


def test_a_replay_restarts_the_schedule_and_keeps_the_log() -> None:
    failed = attrs.evolve(
        MESSAGE,
        status=DeliveryStatus.FAILED,
        attempts=10,
        step=9,
        next_try_at=None,
        tries=(answered(500).as_try(),),
    )
    again = rules.replay(failed, NOW)
    assert (again.status, again.step, again.next_try_at) == (DeliveryStatus.PENDING, 0, NOW)
    assert (again.id, again.attempts, again.tries) == ("msg_1", 10, failed.tries)


def test_the_log_of_tries_is_bounded() -> None:
    delivery = MESSAGE
    for number in range(40):
        answer = attrs.evolve(answered(500), at=NOW + timedelta(seconds=number))
        delivery = rules.after_try(rules.replay(delivery, NOW), answer, jitter=0)
    assert (delivery.attempts, len(delivery.tries)) == (40, 30)
    assert delivery.tries[-1].at == NOW + timedelta(seconds=39)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://Hooks.test/a?job=1", "https://hooks.test:443"),
        ("http://hooks.test", "http://hooks.test:80"),
        ("https://user:pass@hooks.test:8443/", "https://hooks.test:8443"),
        ("http://[::1]:80/x", "http://::1:80"),
        ("http://h.test:99999/", "http://h.test:99999/"),
    ],
)
def test_addresses_of_one_server_have_one_origin(url: str, server: str) -> None:
    assert origin(url) == server


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://h.test/x", True),
        ("http://127.0.0.1:8000", True),
        ("http://h.test:99999/", False),
        ("http://h.test:0/", False),
        ("http://[x/", False),
        ("ftp://h.test/", False),
        ("https:///x", False),
        ("h.test", False),
        ("https://h.test/a b", False),
        ("https://h.test/\r\nX-Evil: 1", False),
        ("https://h.test/\ud800", False),
        ("https://h.test/音楽", True),
        ("https://h.test/" + "x" * 1985, True),
        ("https://h.test/" + "x" * 1986, False),
    ],
)
def test_what_is_an_address(url: str, *, good: bool) -> None:
    assert is_address(url) is good
