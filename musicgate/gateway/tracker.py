"""Looks at open jobs when they are due: a heap of due times in memory, one entry a job, a bounded number of looks at a time.

It knows neither vendors nor the store; it calls one step function and obeys when that says to come back. Nothing durable happens per look.
After a crash it is filled again from the store.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)
#: Seconds until a job is looked at again after a step that broke.
_AFTER_ERROR_S = 30.0


@attrs.define
class _Lane:
    """How many looks run at one provider, and the jobs that are due and wait for them, in order."""

    running: int = 0
    waiting: dict[str, None] = attrs.field(factory=dict)


class Tracker:
    """Calls ``advance`` for each watched job at its due time, at most one call per job at a time.

    Each job has a lane, its provider's: looks that hang at one vendor must not hold up the jobs at another.

    Args:
        advance: one step; answers with the seconds until the next one, or None when the job needs no more.
        concurrency: how many steps may run at once in one lane.
        min_gap_s: least time between two steps of one job, however often it is woken.
    """

    def __init__(
        self, advance: Callable[[str], Awaitable[float | None]], *, concurrency: int, min_gap_s: float
    ) -> None:
        """Start empty; `run` does the work."""
        self._advance = advance
        self._min_gap_s = min_gap_s
        self._concurrency = concurrency
        self._lanes: dict[str, _Lane] = {}
        self._lane_of: dict[str, _Lane] = {}
        #: (due in loop time, job id); an entry counts only if it stands in ``_due`` as well.
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._woken: set[str] = set()
        self._looked_at: dict[str, float] = {}
        self._earlier = asyncio.Event()
        self._is_stopping = False

    def __len__(self) -> int:
        """Number of jobs that are watched."""
        return len(self._lane_of)

    def watch(self, job_id: str, delay_s: float, lane: str | None = None) -> None:
        """Look at a job after a while; an earlier look that is planned already stays. Without a lane it keeps the one that it has."""
        if lane is not None or job_id not in self._lane_of:
            self._lane_of[job_id] = self._lanes.setdefault(lane or "", _Lane())
        if job_id in self._lane_of[job_id].waiting:
            return  # it is due already, and waits for its lane
        due = asyncio.get_running_loop().time() + max(0.0, delay_s)
        planned = self._due.get(job_id)
        if planned is not None and planned <= due:
            return
        self._due[job_id] = due
        heapq.heappush(self._heap, (due, job_id))
        if self._heap[0][1] == job_id:
            self._earlier.set()

    def wake(self, job_id: str) -> None:
        """Look at a job now; while a look is running, once more right after it."""
        if job_id in self._running:
            self._woken.add(job_id)
        else:
            now = asyncio.get_running_loop().time()
            self.watch(job_id, self._looked_at.get(job_id, 0.0) + self._min_gap_s - now)

    async def run(self) -> None:
        """Work until cancelled; then wait for nothing: a step that is cut off is taken up from the store later."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                job_id = self._pop_due(loop.time())
                if job_id is None:
                    await self._sleep(loop)
                    continue
                lane = self._lane_of.setdefault(job_id, self._lanes.setdefault("", _Lane()))
                if lane.running < self._concurrency:
                    self._start(job_id, lane)
                else:
                    lane.waiting[job_id] = None
        finally:
            self._is_stopping = True
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _start(self, job_id: str, lane: _Lane) -> None:
        lane.running += 1
        self._running[job_id] = asyncio.get_running_loop().create_task(
            self._step(job_id, lane), name=f"follow {job_id}"
        )

    def _pop_due(self, now: float) -> str | None:
        while self._heap:
            due, job_id = self._heap[0]
            if self._due.get(job_id) != due:  # replaced by an earlier look, or done
                heapq.heappop(self._heap)
                continue
            if due > now:
                return None
            heapq.heappop(self._heap)
            del self._due[job_id]
            if job_id not in self._running:
                return job_id
            self._woken.add(job_id)
        return None

    async def _sleep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until the first job is due, or somebody adds an earlier one."""
        self._earlier.clear()
        timeout_s = self._heap[0][0] - loop.time() if self._heap else None
        try:
            async with asyncio.timeout(timeout_s):
                await self._earlier.wait()
        except TimeoutError:
            pass

    async def _step(self, job_id: str, lane: _Lane) -> None:
        delay_s: float | None = _AFTER_ERROR_S
        try:
            delay_s = await self._advance(job_id)
        except Exception:  # noqa: BLE001 - one job's trouble must not stop the others
            _log.exception("job %s: a look failed; it is tried again in %s s", job_id, _AFTER_ERROR_S)
        finally:
            lane.running -= 1
            del self._running[job_id]
            woken = job_id in self._woken
            self._woken.discard(job_id)
            if delay_s is None:
                self._looked_at.pop(job_id, None)
                self._lane_of.pop(job_id, None)
            else:
                self._looked_at[job_id] = asyncio.get_running_loop().time()
                self.watch(job_id, self._min_gap_s if woken else max(delay_s, self._min_gap_s))
            if lane.waiting and not self._is_stopping:
                following = next(iter(lane.waiting))
                del lane.waiting[following]
                self._start(following, lane)
