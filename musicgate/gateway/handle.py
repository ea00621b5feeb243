"""A submitted job that an application can wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from musicgate.model import Job


class JobHandle:
    """A job that is stored and being made: ``handle.id`` at once, ``await handle`` for the finished job.

    The job goes on whether or not anything waits for it. `Gateway.start` makes handles.
    """

    def __init__(
        self,
        job: Job,
        *,
        wait: Callable[[str, float | None], Awaitable[Job]],
        watch: Callable[[str], AsyncGenerator[Job, None]],
    ) -> None:
        self._job = job
        self._wait = wait
        self._watch = watch

    @property
    def id(self) -> str:
        """Our id of the job."""
        return self._job.id

    @property
    def job(self) -> Job:
        """The job as it was stored first; for an idempotent replay, as it was when it was found."""
        return self._job

    def __repr__(self) -> str:
        return f"<JobHandle {self.id}>"

    def __await__(self) -> Generator[object, None, Job]:
        """The finished job, completed or failed.

        Raises:
            JobNotFoundError: the job was deleted meanwhile.
        """
        return self.wait().__await__()

    async def wait(self, timeout_s: float | None = None) -> Job:
        """The finished job, completed or failed.

        Raises:
            JobTimeoutError: it is not finished in time; it goes on.
            JobNotFoundError: the job was deleted meanwhile.
        """
        return await self._wait(self.id, timeout_s)

    def watch(self) -> AsyncGenerator[Job, None]:
        """The job as it is, then after each change, until it is final.

        Raises:
            JobNotFoundError: the job was deleted meanwhile.
        """
        return self._watch(self.id)
