"""Jobs, events, idempotency claims and messages for tests of job stores."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import attrs

from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Delivery,
    EventKind,
    IdempotencyClaim,
    Job,
    JobEvent,
    JobState,
    Meter,
    MusicRequest,
    PriceLine,
    Usage,
)

#: The time of the samples.
NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def make_job(
    job_id: str = "m1",
    *,
    account: str = "default",
    native_id: str | None = None,
    state: JobState = JobState.QUEUED,
    age_s: float = 0,
) -> Job:
    """A job that was sent to a vendor ``age_s`` before `NOW`."""
    created = NOW - timedelta(seconds=age_s)
    attempt = Attempt(
        plugin="suno_kie",
        provider="suno",
        model="suno/v4",
        native_model="V4",
        outcome=AttemptOutcome.SENT,
        planned_at=created,
        native_id=native_id,
    )
    return Job(
        id=job_id,
        account=account,
        generation_id="G-1",
        request=MusicRequest(model="suno/v4", prompt="p", metadata={"a": "ü"}),
        state=state,
        created_at=created,
        updated_at=created,
        deadline_at=created + timedelta(minutes=20),
        callback_token=f"token-{job_id}",
        attempts=(attempt,),
    )


def make_event(label: str = "x") -> JobEvent:
    """A change of a job's state, told apart by its label."""
    return JobEvent(kind=EventKind.STATE, at=NOW, data={"label": label})


def make_claim(
    job_id: str = "m1", *, key: str = "k", account: str = "default", age_s: float = 0
) -> IdempotencyClaim:
    """The claim of an idempotency key for a job."""
    return IdempotencyClaim(
        account=account,
        route="create",
        key=key,
        fingerprint=f"body of {job_id}",
        job_id=job_id,
        created_at=NOW - timedelta(seconds=age_s),
    )


def ended(job: Job, *, at_s: float = 0, price_usd_nanos: int | None = None) -> Job:
    """The job, completed ``at_s`` after `NOW`."""
    line = PriceLine(
        meter=Meter.REQUESTS,
        quantity=Decimal(1),
        unit_size=Decimal(1),
        price_per_unit_usd=Decimal(1),
        price_usd_nanos=price_usd_nanos or 0,
    )
    usage = Usage(lines=None if price_usd_nanos is None else (line,))
    finished = NOW + timedelta(seconds=at_s)
    return attrs.evolve(job, state=JobState.COMPLETED, completed_at=finished, usage=usage)


def make_delivery(
    message_id: str = "msg_1",
    job_id: str = "m1",
    *,
    url: str = "https://hooks.test/a",
    account: str = "default",
    due_s: float | None = 0,
) -> Delivery:
    """A message about a job, due ``due_s`` after `NOW`; None = it is sent no more."""
    return Delivery(
        id=message_id,
        job_id=job_id,
        account=account,
        url=url,
        type="music.completed",
        created_at=NOW,
        next_try_at=None if due_s is None else NOW + timedelta(seconds=due_s),
    )
