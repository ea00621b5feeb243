"""A job store in memory, for tests of code that uses a store.

It passes the contract suite of the real ones. Jobs are stored as the same JSON as in a real store, so that a
value that cannot be stored fails here too.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import attrs

from musicgate import store
from musicgate.codec import (
    dump_event,
    dump_job,
    load_event,
    load_job,
)
from musicgate.errors import StorageError
from musicgate.metrics import Commits
from musicgate.model import (
    AuditEntry,
    Delivery,
    IdempotencyClaim,
    Job,
    JobEvent,
    JobHead,
    JobQuery,
    UsageQuery,
    UsageSum,
    share_of,
)
from musicgate.testing.memory_asset_references import MemoryAssetReferences
from musicgate.testing.memory_books import MemoryAuditLog, MemoryUsage
from musicgate.testing.memory_keys import MemoryKeys
from musicgate.testing.memory_outbox import MemoryOutbox
from musicgate.text import MAX_OPEN_PAGE_BYTES


class MemoryJobStore:
    """Jobs in a dictionary, for one test.

    Attributes:
        trouble: while this is set, every write raises a `StorageError` with this message and stores nothing.
        on_end: called with the id of each job that ends or is deleted.
        terms: the terms of shares, for writes that carry one.
    """

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.on_end: list[Callable[[str], None]] = []
        self.terms: dict[int, int] = {}
        self.outbox = MemoryOutbox(self._check)
        self.asset_references = MemoryAssetReferences(self._check, lambda job_id: job_id in self._jobs)
        self.audit_log = MemoryAuditLog(self._check)
        self._usage = MemoryUsage()
        self.keys = MemoryKeys(self._check)
        self._jobs: dict[str, str] = {}
        self._events: dict[str, list[str]] = {}
        self._claims: dict[tuple[str, str, str], IdempotencyClaim] = {}
        self._marks: dict[str, str] = {}
        self._is_closed = False
        self.commits = Commits()

    def ledger(self, replica: str, is_dead: Callable[[str], bool]) -> None:
        """None: one process uses the store, and counts in memory."""

    async def add(
        self,
        job: Job,
        events: Sequence[JobEvent],
        claim: IdempotencyClaim | None = None,
        audit: AuditEntry | None = None,
    ) -> IdempotencyClaim | None:
        """Store a new job with its events, or return the earlier use of its idempotency key."""
        self._check()
        if claim is not None:
            earlier = await self.find_claim(claim.account, claim.route, claim.key)
            if earlier is not None:
                return earlier
        if job.id in self._jobs:
            raise StorageError(f"the job store failed: it is already stored (job {job.id})")
        self._put(job, events)
        if claim is not None:
            self._claims[claim.account, claim.route, claim.key] = claim
        if audit is not None:
            self.audit_log.append(audit)
        return None

    async def replace(
        self,
        old: Job,
        new: Job,
        events: Sequence[JobEvent],
        deliveries: Sequence[Delivery] = (),
        *,
        term: int | None = None,
        audit: AuditEntry | None = None,
    ) -> Job | None:
        """Store ``new`` if the stored version is still that of ``old``; None when it is not."""
        self._check()
        current = await self.get(old.id)
        if current is None or current.version != old.version:
            return None
        if term is not None and self.terms.get(share_of(old.id)) != term:
            return None
        stored = attrs.evolve(new, version=old.version + 1)
        self.outbox.insert(deliveries)
        self._put(stored, events)
        if audit is not None:
            self.audit_log.append(audit)
        if stored.state.is_final:
            self._usage.count(old, stored)
            self._ended(stored.id)
        return stored

    async def get(self, job_id: str) -> Job | None:
        """Return the job with that id."""
        text = self._jobs.get(job_id)
        return None if text is None else store.loaded(job_id, text, load_job, "job")

    async def find_native(self, account: str, native_id: str) -> Job | None:
        """Return the newest job of the account with that native id."""
        found = [job for job in self._all() if job.account == account and job.native_id == native_id]
        return max(found, key=lambda job: (job.created_at, job.id), default=None)

    async def head(self, account: str, job_id: str) -> JobHead | None:
        """Return the head of the account's job with that id, or of its newest with that native id."""
        job = await self.get(job_id)
        if job is None or job.account != account:
            job = await self.find_native(account, job_id)
        return None if job is None else JobHead(job.id, job.state, job.plugin, job.version)

    async def open_jobs(self, after_id: str, limit: int, share: int | None = None) -> Sequence[Job]:
        """Return one page of open jobs, sorted by id."""
        found = (
            job
            for job in self._all()
            if job.id > after_id and not job.state.is_final and share in {None, share_of(job.id)}
        )
        return self._page(sorted(found, key=lambda job: job.id)[:limit], MAX_OPEN_PAGE_BYTES)

    async def open_ids(self, share: int) -> Sequence[str]:
        """Return the ids of the open jobs of a share."""
        return [job.id for job in self._all() if not job.state.is_final and share_of(job.id) == share]

    async def count_open(self, account: str | None = None) -> int:
        """Count the open jobs of one account, or of all."""
        return sum(not job.state.is_final and account in {None, job.account} for job in self._all())

    async def count_open_by_plugin(self) -> Mapping[str, int]:
        """Count the open jobs by the plugin of their last attempt."""
        return Counter(job.plugin or "" for job in self._all() if not job.state.is_final)

    async def list_jobs(self, account: str | None, query: JobQuery) -> Sequence[Job]:
        """Return the jobs that match a query, of one account or of all, newest first."""
        found = [
            job
            for job in self._all()
            if account in {None, job.account}
            and (not query.states or job.state in query.states)
            and query.model in {None, job.request.model}
            and (query.before is None or (job.created_at, job.id) < query.before)
        ]
        newest = sorted(found, key=lambda job: (job.created_at, job.id), reverse=True)[: query.limit]
        return self._page(newest, query.max_bytes)

    async def find_claim(self, account: str, route: str, key: str) -> IdempotencyClaim | None:
        """Return the use of an idempotency key, as long as it is kept."""
        return self._claims.get((account, route, key))

    async def spent_usd_nanos(self, account: str, since: datetime) -> int:
        """Sum the cost of the account's jobs that finished since then, in 1e-9 USD."""
        return sum(
            (job.usage.total_usd_nanos or 0)
            for job in self._all()
            if job.account == account and job.usage and job.completed_at and job.completed_at >= since
        )

    async def usage(self, query: UsageQuery) -> Sequence[UsageSum]:
        """Sum up the jobs that ended."""
        return self._usage.sums(query)

    async def delete(self, job_id: str, *, audit: AuditEntry | None = None) -> bool:
        """Remove a job with its events, its idempotency key and the messages about it."""
        self._check()
        if audit is not None and job_id in self._jobs:
            self.audit_log.append(audit)
        self._events.pop(job_id, None)
        self.outbox.delete_of_job(job_id)
        await self.asset_references.release(job_id)
        self._claims = {key: claim for key, claim in self._claims.items() if claim.job_id != job_id}
        self._ended(job_id)
        return self._jobs.pop(job_id, None) is not None

    async def accounts(self) -> Sequence[str]:
        """Return the accounts that have jobs."""
        return sorted({job.account for job in self._all()})

    async def finished_jobs(
        self, account: str, after: tuple[datetime, str] | None, before: datetime, limit: int
    ) -> Sequence[tuple[datetime, str]]:
        """Return one page of the account's jobs that ended before then, the oldest first."""
        ended = [
            (job.completed_at, job.id)
            for job in self._all()
            if job.state.is_final and job.completed_at and job.account == account
        ]
        found = [end for end in sorted(ended) if end[0] < before and (after is None or end > after)]
        return found[:limit]

    async def forget_claims(self, before: datetime) -> int:
        """Remove idempotency keys that were used before then; return how many."""
        self._check()
        kept = {key: claim for key, claim in self._claims.items() if claim.created_at >= before}
        forgotten, self._claims = len(self._claims) - len(kept), kept
        return forgotten

    async def events(
        self, job_id: str, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, JobEvent]]:
        """Return the job's events after number ``after``, at most ``limit``, each with its number."""
        numbered = list(enumerate(self._events.get(job_id, ()), start=1))[after:]
        return list(store.readable_pairs(numbered, load_event, f"event of job {job_id}"))[:limit]

    async def mark(self, name: str) -> str | None:
        """Return the value of a mark."""
        return self._marks.get(name)

    async def set_mark(self, name: str, value: str) -> None:
        """Set a mark."""
        self._check()
        self._marks[name] = value

    async def swap_mark(self, name: str, old: str | None, new: str) -> str:
        """Set a mark unless it has another value than ``old``; return the value that it has now."""
        self._check()
        if self._marks.get(name, old) == old:
            self._marks[name] = new
        return self._marks[name]

    async def ping(self) -> None:
        """Return if a write would succeed."""
        self._check()

    async def close(self) -> None:
        """Refuse every later write."""
        self._is_closed = True

    def _all(self) -> list[Job]:
        return list(store.readable(self._jobs.items(), load_job, "job"))

    def _page(self, jobs: Sequence[Job], max_bytes: int | None) -> list[Job]:
        sized = ((job, self._jobs[job.id]) for job in jobs)
        return [job for job, _ in store.up_to(sized, max_bytes)]

    def _check(self) -> None:
        if self._is_closed:
            raise StorageError("the job store is closed")
        if self.trouble is not None:
            raise StorageError(self.trouble)

    def _ended(self, job_id: str) -> None:
        for told in self.on_end:
            told(job_id)

    def _put(self, job: Job, events: Sequence[JobEvent]) -> None:
        text, docs = dump_job(job), [dump_event(event) for event in events]
        self._jobs[job.id] = text
        self._events.setdefault(job.id, []).extend(docs)
