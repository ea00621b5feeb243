"""The values of columns that the databases have alike: times, texts, claims. It knows no SQL."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from musicgate.model import IdempotencyClaim, Job, JobHead, JobState

_STATES: Final = {state.value: state for state in JobState}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US: Final = 86_400_000_000


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(microseconds_since_1970: int) -> datetime:
    """The time so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=microseconds_since_1970)


def column(text: str | None) -> str | None:
    """Escape lone surrogates, which no database stores: ids come from vendors and from URLs."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def place_of(job: Job) -> tuple[str | None, ...]:
    """State and vendor of a job."""
    return (job.state, job.plugin, column(job.native_id))


def end_of(job: Job) -> tuple[int | None, int | None]:
    """When a job ended and what it cost. One that has ended never counts as open, whatever it lacks."""
    at = (job.completed_at or job.updated_at) if job.state.is_final else None
    price = job.usage.total_usd_nanos if job.usage is not None else None
    return (None if at is None else microseconds(at), price)


def read_head(row: tuple[Any, ...]) -> JobHead:
    """A head from a row of id, state, plugin and version."""
    job_id, state, plugin, version = row
    return JobHead(job_id, _STATES[state], plugin, version)


def claim_key(account: str, route: str, key: str) -> tuple[str | None, ...]:
    """What a claim is found by."""
    return (column(account), column(route), column(key))


def claim_row(claim: IdempotencyClaim) -> tuple[Any, ...]:
    """The columns of a claim: `claim_key`, fingerprint, job and time."""
    return (
        *claim_key(claim.account, claim.route, claim.key),
        *(claim.fingerprint, claim.job_id, microseconds(claim.created_at)),
    )


def read_claim(row: tuple[Any, ...]) -> IdempotencyClaim:
    """A claim from its columns, as `claim_row` gives them."""
    account, route, key, fingerprint, job_id, created_at_us = row
    return IdempotencyClaim(
        account=account,
        route=route,
        key=key,
        fingerprint=fingerprint,
        job_id=job_id,
        created_at=moment(created_at_us),
    )
