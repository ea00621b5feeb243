"""A job store without a disk, for tests of whatever stands above the store; it keeps the contract of the real ones.

Jobs go through the same JSON as in a real store, so that a value that could not be stored is found out here, too.
"""

from collections.abc import Sequence

import attrs

from musicgate.codec import dump_event, dump_job, load_event, load_job
from musicgate.errors import StorageError
from musicgate.model import Job, JobEvent


class MemoryJobStore:
    """Jobs in a dictionary, for one test.

    Attributes:
        trouble: while this is set, every write fails with a `StorageError` of that message and stores nothing.
    """

    def __init__(self) -> None:
        self.trouble: str | None = None
        self._jobs: dict[str, str] = {}
        self._events: dict[str, list[str]] = {}
        self._is_closed = False

    async def add(self, job: Job, events: Sequence[JobEvent]) -> None:
        """Store a new job with its first events."""
        self._check()
        if job.id in self._jobs:
            raise StorageError(f"the job store failed: it is already stored (job {job.id})")
        self._put(job, events)

    async def replace(self, old: Job, new: Job, events: Sequence[JobEvent]) -> Job | None:
        """Store ``new`` if the stored version is still that of ``old``; None when it is not."""
        self._check()
        current = await self.get(old.id)
        if current is None or current.version != old.version:
            return None
        stored = attrs.evolve(new, version=old.version + 1)
        self._put(stored, events)
        return stored

    async def get(self, job_id: str) -> Job | None:
        """The job with that id."""
        text = self._jobs.get(job_id)
        return None if text is None else load_job(text)

    async def find_native(self, account: str, native_id: str) -> Job | None:
        """The newest job of the account with that native id."""
        found = [job for job in self._all() if job.account == account and job.native_id == native_id]
        return max(found, key=lambda job: (job.created_at, job.id), default=None)

    async def open_jobs(self, after_id: str, limit: int) -> Sequence[Job]:
        """One page of unfinished jobs, in the order of their ids."""
        unfinished = (job for job in self._all() if job.id > after_id and not job.state.is_final)
        return sorted(unfinished, key=lambda job: job.id)[:limit]

    async def count_open(self) -> int:
        """Number of unfinished jobs."""
        return sum(not job.state.is_final for job in self._all())

    async def events(self, job_id: str, after: int = 0) -> Sequence[tuple[int, JobEvent]]:
        """The job's history from the event after number ``after`` on."""
        numbered = enumerate(self._events.get(job_id, ()), start=1)
        return [(number, load_event(text)) for number, text in numbered if number > after]

    async def ping(self) -> None:
        """Return if a write would succeed."""
        self._check()

    async def close(self) -> None:
        """Take no more writes."""
        self._is_closed = True

    def _all(self) -> list[Job]:
        return [load_job(text) for text in self._jobs.values()]

    def _check(self) -> None:
        if self._is_closed:
            raise StorageError("the job store is closed")
        if self.trouble is not None:
            raise StorageError(self.trouble)

    def _put(self, job: Job, events: Sequence[JobEvent]) -> None:
        text, docs = dump_job(job), [dump_event(event) for event in events]
        self._jobs[job.id] = text
        self._events.setdefault(job.id, []).extend(docs)
