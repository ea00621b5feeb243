"""References of jobs to kept objects in memory, for tests of code that uses a store."""

from collections.abc import Callable, Collection, Sequence

from musicgate.errors import JobNotFoundError


class MemoryAssetReferences:
    """Names and jobs in a set, for one test."""

    def __init__(self, check: Callable[[], None], has_job: Callable[[str], bool]) -> None:
        """Take what raises when a write would fail, and what knows the jobs."""
        self._check = check
        self._has_job = has_job
        self._users: set[tuple[str, str]] = set()
        #: Unused names, and whether their bytes are being removed.
        self._unused: dict[str, bool] = {}

    async def claim(self, name: str, job_id: str) -> bool:
        """Note that a job uses an object; False while the object is being removed."""
        self._check()
        if self._unused.get(name):
            return False
        if not self._has_job(job_id):
            raise JobNotFoundError(job_id)
        self._users.add((name, job_id))
        self._unused.pop(name, None)
        return True

    async def of_job(self, job_id: str) -> Sequence[str]:
        """Return the objects that a job uses."""
        return sorted(name for name, user in self._users if user == job_id)

    async def release(self, job_id: str, names: Collection[str] = ()) -> Sequence[str]:
        """Forget what a job uses."""
        self._check()
        released = sorted({*await self.of_job(job_id), *names})
        self._users = {pair for pair in self._users if pair[1] != job_id}
        for name in released:
            if not any(name == used for used, _ in self._users):
                self._unused.setdefault(name, False)
        return released

    async def unused(self, after: str, limit: int) -> Sequence[str]:
        """Return one page of names of objects that no job uses."""
        return sorted(name for name in self._unused if name > after)[:limit]

    async def begin_removal(self, name: str) -> bool:
        """Note that the bytes are being removed; False if the object is used again."""
        self._check()
        if name not in self._unused:
            return False
        self._unused[name] = True
        return True

    async def end_removal(self, name: str) -> None:
        """Note that the bytes are removed."""
        self._check()
        self._unused.pop(name, None)

    async def users(self, after: tuple[str, str], limit: int) -> Sequence[tuple[str, str]]:
        """Return one page of names and jobs."""
        return sorted(pair for pair in self._users if pair > after)[:limit]
