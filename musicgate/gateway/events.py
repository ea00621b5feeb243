"""Watch jobs live: a reader is woken when its job changes, and reads the change from the store.

The store is the truth, and no event is held here. A reader has one flag in memory, however much happens while
it is busy: a slow one costs nothing, delays no job, and misses nothing, since it goes on after the last event
that it has read.

Where other processes write to the store, too, a reader also looks at the version of its job every few
seconds: their news may be lost.

Readers of the same job wake together and read the same thing, so they share the read while it runs. Nothing
is kept after that.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from musicgate.errors import JobNotFoundError, StorageError
from musicgate.model import EventKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable, Iterator

    from musicgate.model import Job, JobEvent
    from musicgate.store import JobStore

_T = TypeVar("_T")
#: Events read at a time: at most so many does a reader hold in memory.
PAGE = 100


class Changes:
    """Wakes readers when their job changes.

    Attributes:
        listeners: called with the id of each job that was stored or deleted.
    """

    def __init__(self) -> None:
        self._flags: dict[str, set[asyncio.Event]] = {}
        #: Running reads of jobs with several readers, by job and by what is read.
        self._reads: dict[str, dict[Hashable, asyncio.Task[Any]]] = {}
        self.listeners: list[Callable[[str], None]] = []

    def notify(self, job_id: str) -> None:
        """Wake the readers of a job that was stored or deleted."""
        # A read that runs already may not see the change: a reader that wakes now must not join it.
        self._reads.pop(job_id, None)
        for listener in self.listeners:
            listener(job_id)
        for flag in self._flags.get(job_id, ()):
            flag.set()

    def notify_all(self) -> None:
        """Wake the readers of every job: any of them may have changed."""
        self._reads.clear()
        for flags in self._flags.values():
            for flag in flags:
                flag.set()

    @contextmanager
    def listening(self, job_id: str) -> Iterator[asyncio.Event]:
        """A flag that is set whenever the job changes; clear it before reading the job."""
        flag = asyncio.Event()
        self._flags.setdefault(job_id, set()).add(flag)
        try:
            yield flag
        finally:
            flags = self._flags[job_id]
            flags.discard(flag)
            if not flags:
                del self._flags[job_id]

    async def read(self, job_id: str, what: Hashable, read: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Read something of a job, together with the other readers that want the same at this moment."""
        if len(self._flags.get(job_id, ())) < 2:
            return await read()
        reads = self._reads.setdefault(job_id, {})
        task: asyncio.Task[_T] | None = reads.get(what)
        if task is None:
            task = reads[what] = asyncio.create_task(read(), name=f"read {job_id}")

            def done(task: asyncio.Task[_T]) -> None:
                if not task.cancelled():
                    task.exception()  # its readers may all have left
                if reads.pop(what, None) and not reads and self._reads.get(job_id) is reads:
                    del self._reads[job_id]

            task.add_done_callback(done)
        return await asyncio.shield(task)  # a reader that leaves takes nothing away from the others


async def watch_job(
    store: JobStore, changes: Changes, job_id: str, reread_s: float | None = None
) -> AsyncGenerator[Job, None]:
    """The job as it is, then after each change, until it is final; of quick changes only the last.

    Args:
        reread_s: see `musicgate.engine.News`.

    Raises:
        JobNotFoundError: there is no such job, or no longer.
    """
    seen = -1
    with changes.listening(job_id) as changed:
        while True:
            changed.clear()
            job = await changes.read(job_id, "job", partial(store.get, job_id))
            if job is None:
                raise JobNotFoundError(job_id)
            if job.version > seen:
                seen = job.version
                yield job
            if job.state.is_final:
                return
            await _changes_within(store, changes, job, changed, None, reread_s)


async def follow_events(
    store: JobStore,
    changes: Changes,
    job_id: str,
    *,
    after: int,
    pause_s: float,
    reread_s: float | None = None,
) -> AsyncGenerator[tuple[int, JobEvent] | None, None]:
    """A job's events after number ``after``, stored ones first, then new ones, up to the final event.

    Yields:
        Numbered events; None after every ``pause_s`` seconds without one. It ends after the final event, at
        once where that is not after ``after``, and when the job is deleted.
    """
    with changes.listening(job_id) as changed:
        while True:
            changed.clear()
            page = await changes.read(job_id, after, partial(store.events, job_id, after, PAGE))
            for number, event in page:
                after = number
                yield number, event
                if event.kind is EventKind.SETTLED:
                    return
            if page:
                continue
            job = await changes.read(job_id, "job", partial(store.get, job_id))
            if job is None:
                return
            if not job.state.is_final:
                if not await _changes_within(store, changes, job, changed, pause_s, reread_s):
                    yield None
            elif not await store.events(job_id, after, 1):  # it may have ended between the two reads
                return


async def _changes_within(
    store: JobStore,
    changes: Changes,
    job: Job,
    changed: asyncio.Event,
    pause_s: float | None,
    reread_s: float | None,
) -> bool:
    """Wait until a job changes; False after ``pause_s`` seconds without a change."""
    if reread_s is None:
        return await _is_set_within(changed, pause_s)
    loop = asyncio.get_running_loop()
    until_s = float("inf") if pause_s is None else loop.time() + pause_s
    while (left_s := until_s - loop.time()) > 0:
        # Not all at once: many may have begun to wait together.
        again_s = reread_s * (0.8 + 0.4 * random.random())  # noqa: S311 - no secret
        if await _is_set_within(changed, min(left_s, again_s)):
            return True
        if left_s > again_s:
            try:
                head = await changes.read(job.id, "head", partial(store.head, job.account, job.id))
            except StorageError:
                continue  # who waits need not know: it may pass
            if head is None or head.version != job.version:
                return True
    return False


async def _is_set_within(flag: asyncio.Event, pause_s: float | None) -> bool:
    try:
        async with asyncio.timeout(pause_s):
            await flag.wait()
    except TimeoutError:
        return False
    return True
