"""Rows of usage and of the audit log, which the databases have alike. It knows no SQL.

What a job used is counted when a change makes it end. The change is stored by compare-and-set, so of several
that end the job one is stored, and the job is counted once. A job that has ended is not counted anew,
whatever an operator adds to it later.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from musicgate.model import COMPLETED, AuditEntry, Job, JobState, UsageGroup, UsageSum
from musicgate.store.columns import DAY_US, column, microseconds, moment
from musicgate.text import MAX_AUDIT_CHARS

#: Under what a job is counted, in the order of the primary key.
KEYS: Final = ("account", "day", "key_id", "provider", "plugin", "model", "outcome")
SUMS: Final = ("jobs", "usd_nanos", "unpriced_jobs", "audio_ms")
AUDIT: Final = ("at_us", "action", "account", "key_id", "job_id", "request_id", "subject")
#: Columns of usage by what it is told apart by.
COLUMN_OF: Final = {group: "key_id" if group is UsageGroup.KEY else group.value for group in UsageGroup}
_COMPLETED: Final = JobState.COMPLETED
_FAILED: Final = JobState.FAILED
_EPOCH: Final = date(1970, 1, 1)


def usage_row(old: Job, new: Job) -> tuple[Any, ...] | None:
    """What is counted when a change makes a job end: `KEYS` and `SUMS`; None for every other change."""
    state = new.state
    # By identity: each create comes here, and to ask a state whether it is final takes a call.
    if (state is not _COMPLETED and state is not _FAILED) or old.state.is_final:
        return None
    attempt, usage, failure = new.attempt, new.usage, new.failure
    provider, plugin, model = (
        ("", "", new.request.model) if attempt is None else (attempt.provider, attempt.plugin, attempt.model)
    )
    usd_nanos = None if usage is None else usage.total_usd_nanos
    outcome = COMPLETED if failure is None else failure.reason.value
    return (
        column(new.account),
        microseconds(new.completed_at or new.updated_at) // DAY_US,
        column(new.key_id),
        *(column(provider), column(plugin), column(model), outcome),
        *(1, usd_nanos or 0, int(failure is None and usd_nanos is None)),
        0 if usage is None else round(usage.output_audio_seconds * 1000),
    )


def read_sum(groups: Sequence[UsageGroup], row: Sequence[Any]) -> UsageSum:
    """A sum from its row: the groups, jobs, completed jobs, cost, unpriced jobs and audio."""
    group, (jobs, completed, usd_nanos, unpriced, audio_ms) = row[: len(groups)], row[len(groups) :]
    return UsageSum(
        group=tuple(
            _day_text(value) if name is UsageGroup.DAY else str(value)
            for name, value in zip(groups, group, strict=True)
        ),
        jobs=int(jobs),
        completed=int(completed),
        usd_nanos=int(usd_nanos),
        unpriced_jobs=int(unpriced),
        audio_ms=int(audio_ms),
    )


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - _EPOCH).days


def _day_text(number: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)).date().isoformat()


def audit_row(entry: AuditEntry) -> tuple[Any, ...]:
    """The columns `AUDIT`. Texts are cut: what a caller sent must not fill the log."""
    at, *texts = entry
    together = "".join(texts)
    if len(together) > MAX_AUDIT_CHARS or not together.isascii():
        texts = [column(text[:MAX_AUDIT_CHARS]) or "" for text in texts]
    return (microseconds(at), *texts)


def read_entry(row: Sequence[Any]) -> tuple[int, AuditEntry]:
    """A number and its entry, from the number and the columns `AUDIT`."""
    number, at_us, *texts = row
    return int(number), AuditEntry(moment(at_us), *texts)
