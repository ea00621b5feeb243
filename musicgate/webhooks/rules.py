"""The rules of webhooks: messages, the schedule of retries, the meaning of answers; no I/O.

A message is about the end of a job and nothing else; a caller who wants to see a job's progress reads its
events. A final job never changes, so its message is rendered for every try and is the same each time.

Only a 2xx status counts as delivered; a redirect is a failure. 410 means "never again": the address is
disabled. Everything else is retried, over three days.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md 1.0.0, read 2026-11-20.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate.model import (
    Delivery,
    DeliveryStatus,
    DeliveryTry,
    JobState,
)

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.model import Job

#: Type of a message by the final state of its job.
TYPES = {JobState.COMPLETED: "music.completed", JobState.FAILED: "music.failed"}
#: Type of a test message.
TEST_TYPE = "webhook.test"
#: Seconds between a try and the next one. Source: the specification's example schedule.
SCHEDULE_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: A receiver's ``Retry-After`` is obeyed up to the longest pause of our own.
_MAX_RETRY_AFTER_S = 86_400.0
#: A retry comes up to this share later than scheduled, so that messages that failed together are spread.
_JITTER_SHARE = 0.2
#: So many tries are kept; the number of replays is not bounded.
_MAX_TRIES_KEPT = 30
_GONE = 410


@attrs.frozen(kw_only=True)
class Answer:
    """The result of a try: ``http_status`` of the answer, or ``error`` where there was none."""

    at: datetime
    duration_s: float
    http_status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None

    @property
    def is_delivered(self) -> bool:
        """True if the receiver took the message."""
        return self.http_status is not None and 200 <= self.http_status < 300

    @property
    def is_gone(self) -> bool:
        """True if the receiver wants no more messages at this address."""
        return self.http_status == _GONE

    def as_try(self) -> DeliveryTry:
        """The try as it is stored."""
        return DeliveryTry(
            at=self.at,
            duration_s=round(self.duration_s, 3),
            http_status=self.http_status,
            error=None if self.is_delivered else self.error or _meaning(self.http_status),
        )


def announce(job: Job, url: str, message_id: str) -> Delivery:
    """The message about a job that has just ended; it is due at once."""
    ended_at = job.completed_at or job.updated_at
    return Delivery(
        id=message_id,
        job_id=job.id,
        account=job.account,
        url=url,
        type=TYPES[job.state],
        created_at=ended_at,
        next_try_at=ended_at,
    )


def after_try(delivery: Delivery, answer: Answer, jitter: float, speed: float = 1.0) -> Delivery:
    """A message after one more try.

    Args:
        jitter: a random number from 0 to 1.
        speed: divides every pause.
    """
    tried = attrs.evolve(
        delivery,
        attempts=delivery.attempts + 1,
        tries=(*delivery.tries, answer.as_try())[-_MAX_TRIES_KEPT:],
        next_try_at=None,
    )
    if answer.is_delivered:
        return attrs.evolve(tried, status=DeliveryStatus.DELIVERED)
    if answer.is_gone:
        return attrs.evolve(tried, status=DeliveryStatus.DISABLED)
    if delivery.step >= len(SCHEDULE_S):
        return attrs.evolve(tried, status=DeliveryStatus.FAILED)
    planned_s = SCHEDULE_S[delivery.step] * (1 + jitter * _JITTER_SHARE)
    pause_s = max(planned_s, min(answer.retry_after_s or 0.0, _MAX_RETRY_AFTER_S))
    next_try_at = answer.at + timedelta(seconds=answer.duration_s + pause_s / speed)
    return attrs.evolve(tried, status=DeliveryStatus.PENDING, step=delivery.step + 1, next_try_at=next_try_at)


def disable(delivery: Delivery) -> Delivery:
    """A message that is not sent, since its address is disabled."""
    return attrs.evolve(delivery, status=DeliveryStatus.DISABLED, next_try_at=None)


def replay(delivery: Delivery, now: datetime) -> Delivery:
    """A message that is sent once more, with the same id; its schedule starts over."""
    return attrs.evolve(delivery, status=DeliveryStatus.PENDING, step=0, next_try_at=now)


def _meaning(http_status: int | None) -> str:
    if http_status is None:
        return "no answer"
    if 300 <= http_status < 400:
        return f"the receiver answered HTTP {http_status}; webhooks follow no redirect"
    if http_status == _GONE:
        return "the receiver answered HTTP 410: it wants no more webhooks at this address"
    return f"the receiver answered HTTP {http_status}"
