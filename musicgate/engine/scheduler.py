"""Step open jobs when they are due: a heap of due times in memory, a bounded number of steps.

It knows neither vendors nor the store; it calls one step function, which says when the job is due next.
Nothing is stored per step: after a crash the scheduler is filled again from the store.

A job stays here until its step says that nothing is left to do. A step that raises, or whose task ends by a
stray cancellation, is logged, counted and tried again: the scheduler never loses a job.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from typing import TYPE_CHECKING

import attrs

from musicgate.engine.supervisor import no_stray_cancellation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)
#: Seconds until the next step of a job whose step failed; the last one repeats.
_AFTER_ERROR_S = (2.0, 5.0, 15.0, 30.0)


@attrs.define
class _Lane:
    """The steps that run at one provider, and the due jobs that wait for one, in order."""

    running: int = 0
    waiting: dict[str, None] = attrs.field(factory=dict)


@attrs.define
class _Entry:
    """One job that the scheduler owns.

    Attributes:
        lane: its provider's.
        due_s: loop time of its next step; None = a step runs, or the job waits in its lane.
        task: the running step.
        is_woken: step once more right after the running step, unless nothing is left to do.
        is_taken: the job was handed over again while its step ran: it stays, whatever that step says.
        stepped_s: loop time of the end of its last step.
        errors: number of failed steps in a row.
    """

    lane: _Lane
    due_s: float | None = None
    task: asyncio.Task[float | None] | None = None
    is_woken: bool = False
    is_taken: bool = False
    stepped_s: float | None = None
    errors: int = 0


class Scheduler:
    """Calls ``advance`` for each job that it owns at its due time, one call per job at a time.

    Each provider has a lane, so that steps that hang at one vendor do not hold up the jobs at another.

    Args:
        advance: one step; returns the seconds until the next one, or None when the job needs no more.
        concurrency: how many steps may run at once in one lane.
        min_gap_s: least time between two steps of one job, however often it is woken.
    """

    def __init__(
        self, advance: Callable[[str], Awaitable[float | None]], *, concurrency: int, min_gap_s: float
    ) -> None:
        self._advance = advance
        self._min_gap_s = min_gap_s
        self._concurrency = concurrency
        self._lanes: dict[str, _Lane] = {}
        self._entries: dict[str, _Entry] = {}
        #: (due in loop time, job id); a pair counts only if it is equal to its entry's ``due_s``.
        self._heap: list[tuple[float, str]] = []
        self._earlier = asyncio.Event()
        self._is_running = False
        #: Number of steps that failed.
        self.failures = 0

    def __len__(self) -> int:
        """Number of jobs that it owns."""
        return len(self._entries)

    def __contains__(self, job_id: str) -> bool:
        """True if the scheduler owns the job."""
        return job_id in self._entries

    def take(self, job_id: str, delay_s: float, lane: str = "") -> None:
        """Own a job from now on, and step it after a delay. A step that is planned earlier stays."""
        entry = self._entries.get(job_id)
        if entry is None:
            entry = self._entries[job_id] = _Entry(lane=self._lanes.setdefault(lane, _Lane()))
        elif lane and job_id not in entry.lane.waiting and entry.task is None:
            entry.lane = self._lanes.setdefault(lane, _Lane())
        if entry.task is None:
            self._plan(job_id, entry, delay_s)
        else:
            entry.is_taken = True

    def wake(self, job_id: str) -> bool:
        """Step a job now, or right after the running step. False if the scheduler does not own it."""
        entry = self._entries.get(job_id)
        if entry is None:
            return False
        if entry.task is not None:
            entry.is_woken = True
        else:
            now = asyncio.get_running_loop().time()
            last_s = -self._min_gap_s if entry.stepped_s is None else entry.stepped_s
            self._plan(job_id, entry, max(0.0, last_s + self._min_gap_s - now))
        return True

    async def run(self) -> None:
        """Work until cancelled. A step that is cut off then is repeated after a restart."""
        loop = asyncio.get_running_loop()
        self._is_running = True
        try:
            for lane in self._lanes.values():
                self._pump(lane)
            while True:
                job_id = self._pop_due(loop.time())
                if job_id is None:
                    await self._sleep(loop)
                    continue
                entry = self._entries[job_id]
                entry.lane.waiting[job_id] = None
                self._pump(entry.lane)
        finally:
            self._is_running = False
            running = [entry.task for entry in self._entries.values() if entry.task is not None]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _plan(self, job_id: str, entry: _Entry, delay_s: float) -> None:
        if job_id in entry.lane.waiting:
            return  # it is due already, and waits in its lane
        due_s = asyncio.get_running_loop().time() + max(0.0, delay_s)
        if entry.due_s is not None and entry.due_s <= due_s:
            return
        entry.due_s = due_s
        heapq.heappush(self._heap, (due_s, job_id))
        if self._heap[0][1] == job_id:
            self._earlier.set()

    def _pump(self, lane: _Lane) -> None:
        """Start the steps that wait in a lane, as far as its bound allows."""
        while self._is_running and lane.waiting and lane.running < self._concurrency:
            job_id = next(iter(lane.waiting))
            del lane.waiting[job_id]
            entry = self._entries[job_id]
            lane.running += 1
            entry.task = asyncio.get_running_loop().create_task(
                self._step(job_id, entry), name=f"step {job_id}"
            )
            # A callback, since a task that is cancelled before it begins never reaches its `finally`.
            entry.task.add_done_callback(lambda task, job_id=job_id: self._stepped(job_id, task))  # type: ignore[misc]

    def _pop_due(self, now: float) -> str | None:
        while self._heap:
            due_s, job_id = self._heap[0]
            entry = self._entries.get(job_id)
            if entry is None or entry.due_s != due_s:  # replaced by an earlier step, or gone
                heapq.heappop(self._heap)
                continue
            if due_s > now:
                return None
            heapq.heappop(self._heap)
            entry.due_s = None
            return job_id
        return None

    async def _sleep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sleep until the first job is due, or an earlier one is added."""
        self._earlier.clear()
        timeout_s = max(0.0, self._heap[0][0] - loop.time()) if self._heap else None
        try:
            async with asyncio.timeout(timeout_s):
                await self._earlier.wait()
        except TimeoutError:
            pass

    async def _step(self, job_id: str, entry: _Entry) -> float | None:
        try:
            with no_stray_cancellation():
                delay_s = await self._advance(job_id)
        except Exception:  # noqa: BLE001 - the failed step of one job must not stop the others
            delay_s = _AFTER_ERROR_S[min(entry.errors, len(_AFTER_ERROR_S) - 1)]
            entry.errors += 1
            self.failures += 1
            _log.exception("step failed, retrying: job=%s retry_s=%s", job_id, delay_s)
        else:
            entry.errors = 0
        return delay_s

    def _stepped(self, job_id: str, task: asyncio.Task[float | None]) -> None:
        """Forget a job whose step left nothing to do, or plan its next step."""
        entry = self._entries[job_id]
        entry.task = None
        entry.lane.running -= 1
        delay_s = _AFTER_ERROR_S[0] if task.cancelled() or task.exception() else task.result()
        is_soon = entry.is_woken or entry.is_taken
        if delay_s is None and not entry.is_taken:
            del self._entries[job_id]
        else:
            entry.is_woken = entry.is_taken = False
            entry.stepped_s = asyncio.get_running_loop().time()
            pause_s = self._min_gap_s if is_soon or delay_s is None else max(delay_s, self._min_gap_s)
            self._plan(job_id, entry, pause_s)
        self._pump(entry.lane)
