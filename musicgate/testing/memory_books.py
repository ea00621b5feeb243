"""Usage and an audit log in memory that pass the contract suite of the real ones."""

from collections.abc import Callable, Sequence
from datetime import date, datetime

from musicgate.model import COMPLETED, AuditEntry, Job, UsageGroup, UsageQuery, UsageSum
from musicgate.text import MAX_AUDIT_CHARS


class MemoryUsage:
    """What ended jobs used, for one test."""

    def __init__(self) -> None:
        self._ended: list[Job] = []

    def count(self, old: Job, new: Job) -> None:
        """Count a job that has ended, unless it had ended before."""
        if not old.state.is_final:
            self._ended.append(new)

    def sums(self, query: UsageQuery) -> Sequence[UsageSum]:
        """Sum up the jobs that ended."""
        groups: dict[tuple[str, ...], list[Job]] = {}
        for job in self._ended:
            is_asked_for = (
                query.first <= _day(job) <= query.last
                and query.account in {None, job.account}
                and query.key_id in {None, job.key_id}
            )
            if is_asked_for:
                groups.setdefault(tuple(_name(job, group) for group in query.group_by), []).append(job)
        return [_sum(group, groups[group]) for group in sorted(groups)][: query.limit]


def _day(job: Job) -> date:
    return (job.completed_at or job.updated_at).date()


def _name(job: Job, group: UsageGroup) -> str:
    attempt, failure = job.attempt, job.failure
    if group is UsageGroup.DAY:
        return _day(job).isoformat()
    if group is UsageGroup.ACCOUNT:
        return job.account
    if group is UsageGroup.KEY:
        return job.key_id
    if group is UsageGroup.OUTCOME:
        return COMPLETED if failure is None else failure.reason.value
    if attempt is None:
        return job.request.model if group is UsageGroup.MODEL else ""
    names = {
        UsageGroup.PROVIDER: attempt.provider,
        UsageGroup.PLUGIN: attempt.plugin,
        UsageGroup.MODEL: attempt.model,
    }
    return names[group]


def _sum(group: tuple[str, ...], jobs: Sequence[Job]) -> UsageSum:
    completed = [job for job in jobs if job.failure is None]
    prices = [job.usage.total_usd_nanos for job in jobs if job.usage]
    return UsageSum(
        group=group,
        jobs=len(jobs),
        completed=len(completed),
        usd_nanos=sum(price or 0 for price in prices),
        unpriced_jobs=sum(job.usage is None or job.usage.total_usd_nanos is None for job in completed),
        audio_ms=sum(round(job.usage.output_audio_seconds * 1000) for job in jobs if job.usage),
    )


class MemoryAuditLog:
    """An audit log in a list, for one test."""

    def __init__(self, check: Callable[[], None]) -> None:
        """Make an empty log. ``check`` raises when the store cannot be written."""
        self._check = check
        self._entries: list[tuple[int, AuditEntry]] = []
        self._last = 0

    def append(self, entry: AuditEntry) -> None:
        """Append an entry."""
        self._last += 1
        at, *texts = entry
        cut = AuditEntry(at, *(text[:MAX_AUDIT_CHARS] for text in texts))
        self._entries.append((self._last, cut))

    async def add(self, *entries: AuditEntry) -> None:
        """Append entries."""
        self._check()
        for entry in entries:
            self.append(entry)

    async def entries(self, after: int, limit: int) -> Sequence[tuple[int, AuditEntry]]:
        """Return one page of entries with their numbers."""
        return [found for found in self._entries if found[0] > after][:limit]

    async def forget(self, before: datetime) -> int:
        """Remove the oldest entries, as far as they are of before then."""
        self._check()
        count = 0
        while len(self._entries) > 1 and self._entries[0][1].at < before:
            del self._entries[0]
            count += 1
        return count
