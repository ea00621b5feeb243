"""Step open jobs when they are due: a heap of due times in memory, a bounded number of steps.

It knows neither vendors nor the store; it calls one step function, which says when the job is due next.
Nothing is stored per step: after a crash the scheduler is filled again from the store.

A job stays here until its step says that nothing is left to do, or until it is dropped: another replica
follows it then. A step that raises, or whose task ends by a
stray cancellation, is logged, counted and tried again: the scheduler never loses a job.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections import deque
from typing import TYPE_CHECKING

import attrs

from musicgate.engine.supervisor import no_stray_cancellation
from musicgate.errors import StorageError
from musicgate.metrics import DELAY_BOUNDS_S, Histogram, Histograms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)
#: Seconds until the next step of a job whose step failed; the last one repeats.
_AFTER_ERROR_S = (2.0, 5.0, 15.0, 30.0)
#: Jobs that fall due within so many seconds are started together: a sleep costs as much as a start.
_TICK_S = 0.005
#: So many jobs that are due are looked at before other tasks run.
_MAX_STARTS = 1_000


@attrs.define(eq=False)
class _Lane:
    """The steps that run at one provider, and the due jobs that wait for one, in order."""

    lateness: Histogram
    running: int = 0
    waiting: deque[_Entry] = attrs.field(factory=deque)


@attrs.define(eq=False, weakref_slot=False)
class _Entry:
    """One job that the scheduler owns.

    Attributes:
        lane: its provider's.
        due_s: loop time of its next step; None = a step runs, or the job waits in its lane.
        was_due_s: loop time at which the last step was due.
        is_waiting: it is due, and waits in its lane.
        is_running: its step runs.
        is_woken: step once more right after the running step, unless nothing is left to do.
        is_taken: the job was handed over again while its step ran: it stays, whatever that step says.
        is_dropped: the job was dropped while its step ran: it goes with that step.
        stepped_s: loop time of the end of its last step.
        errors: number of failed steps in a row.
    """

    job_id: str
    lane: _Lane
    due_s: float | None = None
    was_due_s: float = 0.0
    is_waiting: bool = False
    is_running: bool = False
    is_woken: bool = False
    is_taken: bool = False
    is_dropped: bool = False
    stepped_s: float | None = None
    errors: int = 0


@attrs.define(eq=False)
class _Worker:
    """Steps the jobs of a lane one after another, as long as one waits.

    A task for each step would cost as much again as the rest of a step here, under load; without load a
    worker ends after its first step.

    Attributes:
        entry: whose step runs; None between two.
    """

    lane: _Lane
    entry: _Entry | None


class Scheduler:
    """Calls ``advance`` for each job that it owns at its due time, one call per job at a time.

    Each provider has a lane, so that steps that hang at one vendor do not hold up the jobs at another. In a
    lane that cannot keep up the jobs wait in the order in which they fell due: all of them get equally late.

    Args:
        advance: one step; returns the seconds until the next one, or None when the job needs no more.
        concurrency: how many steps may run at once in one lane.
        min_gap_s: least time between two steps of one job, however often it is woken.
    """

    def __init__(
        self, advance: Callable[[str], Awaitable[float | None]], *, concurrency: int, min_gap_s: float
    ) -> None:
        self._advance = advance
        self._loop = asyncio.get_running_loop()
        self._min_gap_s = min_gap_s
        self._concurrency = concurrency
        self._lanes: dict[str, _Lane] = {}
        self._entries: dict[str, _Entry] = {}
        #: (due in loop time, job id); a pair counts only if it is equal to its entry's ``due_s``.
        self._heap: list[tuple[float, str]] = []
        self._workers: dict[asyncio.Task[None], _Worker] = {}
        #: Ends the sleep of `run`, at the loop time ``_alarm_s`` at the latest.
        self._alarm: asyncio.Future[None] | None = None
        self._alarm_s = math.inf
        self._is_running = False
        #: Number of steps that failed.
        self.failures = 0
        self._is_store_away = False
        #: Seconds between the time at which a step was due and its begin, by lane.
        self.lateness = Histograms(DELAY_BOUNDS_S)

    def __len__(self) -> int:
        """Number of jobs that it owns."""
        return len(self._entries)

    def lanes(self) -> dict[str, tuple[int, int]]:
        """How many steps run in each lane, and how many due jobs wait for one."""
        return {name: (lane.running, len(lane.waiting)) for name, lane in self._lanes.items()}

    def __contains__(self, job_id: str) -> bool:
        """True if the scheduler owns the job, also after the step that runs."""
        entry = self._entries.get(job_id)
        return entry is not None and not entry.is_dropped

    def take(self, job_id: str, delay_s: float, lane: str = "") -> None:
        """Own a job from now on, and step it after a delay. A step that is planned earlier stays."""
        entry = self._entries.get(job_id)
        if entry is None:
            entry = self._entries[job_id] = _Entry(job_id, self._lane(lane))
        elif lane and not entry.is_waiting and not entry.is_running:
            entry.lane = self._lane(lane)
        if entry.is_running:
            entry.is_taken, entry.is_dropped = True, False
        else:
            self._plan(entry, delay_s)

    def wake(self, job_id: str) -> bool:
        """Step a job now, or right after the running step. False if the scheduler does not own it."""
        entry = self._entries.get(job_id)
        if entry is None:
            return False
        if entry.is_running:
            entry.is_woken = True
        else:
            now = self._loop.time()
            last_s = -self._min_gap_s if entry.stepped_s is None else entry.stepped_s
            self._plan(entry, max(0.0, last_s + self._min_gap_s - now))
        return True

    def drop(self, is_gone: Callable[[str], bool]) -> list[str]:
        """Own jobs no longer; their ids. A step that runs goes on to its end, and is the last."""
        gone = [job_id for job_id in self._entries if is_gone(job_id)]
        for job_id in gone:
            entry = self._entries[job_id]
            if entry.is_running:
                entry.is_dropped, entry.is_taken, entry.is_woken = True, False, False
                continue
            del self._entries[job_id]
            if entry.is_waiting:
                entry.lane.waiting.remove(entry)
        return gone

    async def run(self) -> None:
        """Work until cancelled. A step that is cut off then is repeated after a restart."""
        loop = self._loop
        self._is_running = True
        try:
            for lane in self._lanes.values():
                self._pump(lane)
            while True:
                if self._start_due(loop.time()):
                    await self._sleep(loop)
                else:
                    await asyncio.sleep(0)
        finally:
            self._is_running = False
            running = list(self._workers)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(self.lateness.of(name))
        return lane

    def _plan(self, entry: _Entry, delay_s: float) -> None:
        if entry.is_waiting:
            return  # it is due already, and waits in its lane
        due_s = self._loop.time() + max(0.0, delay_s)
        if entry.due_s is not None and entry.due_s <= due_s:
            return
        entry.due_s = due_s
        heapq.heappush(self._heap, (due_s, entry.job_id))
        if due_s < self._alarm_s and self._alarm is not None:
            _ring(self._alarm)

    def _start_due(self, now: float) -> bool:
        """Let the jobs that are due wait for a worker; False if there are so many that others come first."""
        for _ in range(_MAX_STARTS):
            if not self._heap or self._heap[0][0] > now:
                return True
            due_s, job_id = heapq.heappop(self._heap)
            entry = self._entries.get(job_id)
            if entry is None or entry.due_s != due_s:  # replaced by an earlier step, or gone
                continue
            entry.due_s, entry.was_due_s = None, due_s
            entry.is_waiting = True
            entry.lane.waiting.append(entry)
            self._pump(entry.lane)
        return False

    async def _sleep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sleep until the first job is due, or an earlier one is added."""
        self._alarm = alarm = loop.create_future()
        timer = None
        if self._heap:
            self._alarm_s = max(self._heap[0][0], loop.time() + _TICK_S)
            timer = loop.call_at(self._alarm_s, _ring, alarm)
        try:
            await alarm
        finally:
            self._alarm, self._alarm_s = None, math.inf
            if timer is not None:
                timer.cancel()

    def _pump(self, lane: _Lane) -> None:
        """Start workers for the jobs that wait in a lane, as far as its bound allows."""
        while lane.running < self._concurrency and (entry := self._next(lane)) is not None:
            lane.running += 1
            worker = _Worker(lane, entry)
            task = self._loop.create_task(self._work(worker), name=f"steps from {entry.job_id}")
            self._workers[task] = worker
            # A callback, since a task that is cancelled before it begins never reaches its `finally`.
            task.add_done_callback(self._worker_ended)

    def _next(self, lane: _Lane) -> _Entry | None:
        """Take the first job that waits in a lane, to step it."""
        if not lane.waiting or not self._is_running:
            return None
        entry = lane.waiting.popleft()
        entry.is_waiting = False
        entry.is_running = True
        lane.lateness.observe(max(0.0, self._loop.time() - entry.was_due_s))
        return entry

    async def _work(self, worker: _Worker) -> None:
        while (entry := worker.entry) is not None:
            delay_s = await self._step(entry)
            worker.entry = None
            self._stepped(entry, delay_s)
            if worker.lane.waiting:
                await asyncio.sleep(0)  # a step may never have waited, and the loop has other work
                worker.entry = self._next(worker.lane)

    async def _step(self, entry: _Entry) -> float | None:
        try:
            with no_stray_cancellation():
                delay_s = await self._advance(entry.job_id)
        except Exception as error:  # noqa: BLE001 - the failed step of one job must not stop the others
            delay_s = _AFTER_ERROR_S[min(entry.errors, len(_AFTER_ERROR_S) - 1)]
            entry.errors += 1
            self.failures += 1
            self._report(entry, delay_s, error)
        else:
            entry.errors = 0
            self._is_store_away = False
        return delay_s

    def _report(self, entry: _Entry, delay_s: float, error: Exception) -> None:
        """Log a step that failed; once for all jobs while the store is away."""
        if not isinstance(error, StorageError) or not error.is_away:
            _log.error("step failed, retrying: job=%s retry_s=%s", entry.job_id, delay_s, exc_info=error)
        elif not self._is_store_away:
            self._is_store_away = True
            _log.warning("steps fail, all are retried: job=%s error=%s", entry.job_id, error)

    def _stepped(self, entry: _Entry, delay_s: float | None) -> None:
        """Forget a job whose step left nothing to do, or plan its next step."""
        entry.is_running = False
        if (delay_s is None or entry.is_dropped) and not entry.is_taken:
            del self._entries[entry.job_id]
            return
        is_soon = entry.is_woken or entry.is_taken or delay_s is None
        entry.is_woken = entry.is_taken = entry.is_dropped = False
        entry.stepped_s = self._loop.time()
        self._plan(entry, self._min_gap_s if is_soon else max(delay_s or 0.0, self._min_gap_s))

    def _worker_ended(self, task: asyncio.Task[None]) -> None:
        """Plan the step that a worker did not end again, and go on with what waits."""
        worker = self._workers.pop(task)
        worker.lane.running -= 1
        if not task.cancelled():
            task.exception()
        if worker.entry is not None:
            self._stepped(worker.entry, _AFTER_ERROR_S[0])
        self._pump(worker.lane)


def _ring(alarm: asyncio.Future[None]) -> None:
    if not alarm.done():
        alarm.set_result(None)
