"""A ledger in memory, for tests of code that counts limits for replicas.

It passes the contract suite of the real one, and counts by the rules that one process counts by.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from musicgate.store import AccountAnswer, LedgerAnswer
from musicgate.testing.memory_store import MemoryJobStore

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.aio import Clock
    from musicgate.store import AccountRequest, JobStore, SlotRequest

_MINUTE_S = 60.0


class MemoryLedger:
    """Counts in dictionaries, for one test. What is given back counts at once.

    Attributes:
        asked: number of questions so far.
    """

    def __init__(self, store: JobStore, clock: Clock) -> None:
        self.asked = 0
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()
        #: Account, time and id of each call.
        self._calls: list[tuple[str, datetime, str]] = []
        #: Account and price by job.
        self._reserved: dict[str, tuple[str, int]] = {}
        #: Plugin and end of each slot, by its id; None = it runs.
        self._slots: dict[str, tuple[str, datetime | None]] = {}
        self._noted: dict[str, int] = {}
        if isinstance(store, MemoryJobStore):
            store.on_end.append(self.release)

    async def ask(self, account: AccountRequest | None, slot: SlotRequest | None = None) -> LedgerAnswer:
        """Admit a request, and take a slot."""
        self.asked += 1
        now = self._clock.steady()
        async with self._lock:
            admitted = None if account is None else await self._admit(account)
            if slot is None or (admitted is not None and not admitted.is_admitted):
                return LedgerAnswer(account=admitted, slot=None, slot_wait_s=0.0)
            if slot.held is not None and self._slots.get(slot.held, ("", now))[1] is None:
                return LedgerAnswer(account=admitted, slot=slot.held, slot_wait_s=0.0)
            wait_s = self._take(slot)
            return LedgerAnswer(account=admitted, slot=None if wait_s else slot.id, slot_wait_s=wait_s)

    def end_slot(self, slot_id: str, *, has_called: bool) -> None:
        """Give a slot back."""
        if slot_id in self._slots and has_called:
            self._slots[slot_id] = (self._slots[slot_id][0], self._clock.steady())
        else:
            self._slots.pop(slot_id, None)

    def release(self, job_id: str) -> None:
        """Give a reservation back."""
        self._reserved.pop(job_id, None)

    def uncount(self, account: str, counted_at: datetime, request_id: str) -> None:
        """Give a call back."""
        self._calls = [call for call in self._calls if call != (account, counted_at, request_id)]

    def set_price(self, job_id: str, usd_nanos: int) -> None:
        """Change what an open job is expected to cost."""
        if job_id in self._reserved:
            self._reserved[job_id] = self._reserved[job_id][0], usd_nanos

    def note_job(self, job_id: str, usd_nanos: int) -> None:
        """Reserve for a stored job that has no reservation."""
        self._noted[job_id] = usd_nanos

    async def sweep(self) -> None:
        """Forget nothing: no replica dies."""

    async def _reserve_noted(self) -> None:
        noted, self._noted = self._noted, {}
        for job_id, usd_nanos in noted.items():
            job = await self._store.get(job_id)
            if job is not None and not job.state.is_final:
                self._reserved.setdefault(job_id, (job.account, usd_nanos))

    async def _admit(self, request: AccountRequest) -> AccountAnswer:
        await self._reserve_noted()
        now = self._clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        spent = await self._store.spent_usd_nanos(request.account, midnight)
        # Nothing is awaited from here to the end.
        self._calls = [call for call in self._calls if (now - call[1]).total_seconds() < _MINUTE_S]
        calls = [call[1] for call in self._calls if call[0] == request.account]
        open_jobs = [
            usd_nanos for account, usd_nanos in self._reserved.values() if account == request.account
        ]
        used, most = spent + sum(open_jobs), request.requests_per_minute
        wait_s = 0.0
        if most and len(calls) >= most - 1:
            oldest = calls[max(0, len(calls) - most)] if calls else now
            wait_s = _MINUTE_S - (now - oldest).total_seconds()
        budget = request.budget_usd_nanos
        is_full = (
            (most and len(calls) >= most)
            or (request.max_open_jobs and len(open_jobs) >= request.max_open_jobs)
            or (budget and (used >= budget or used + request.price_usd_nanos > budget))
        )
        if not is_full:
            if most:
                self._calls.append((request.account, now, request.id))
            if request.reserved_usd_nanos is not None:
                self._reserved[request.id] = request.account, request.reserved_usd_nanos
        return AccountAnswer(
            is_admitted=not is_full,
            calls=len(calls),
            calls_wait_s=wait_s,
            open_jobs=len(open_jobs),
            usd_nanos=used,
            at=now,
        )

    def _take(self, request: SlotRequest) -> float:
        """Seconds until there is a slot; 0 = it is taken."""
        now = self._clock.steady()
        window_s = request.per_s or 0.0
        ages = sorted(
            (now - ended).total_seconds()
            for plugin, ended in self._slots.values()
            if plugin == request.plugin and ended is not None
        )
        counted = [age_s for age_s in ages if age_s < window_s]
        running = sum(plugin == request.plugin and ended is None for plugin, ended in self._slots.values())
        calls = math.inf if request.calls is None else request.calls
        if running >= (math.inf if request.parallel is None else request.parallel) or running >= calls:
            return math.inf
        if running + len(counted) >= calls:
            return window_s - counted[int(calls) - running - 1]
        self._slots[request.id] = (request.plugin, None)
        return 0.0
