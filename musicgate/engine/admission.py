"""Admit requests: quota, plan and slot, in the order that callers see.

Quotas come before routing: a caller beyond its quota learns nothing about providers, whatever the plan would
have been. A request that is admitted and then finds no provider counts as a call, and as nothing else.

One process asks its own memory, in that order. With replicas the ledger is asked, and once for both: so the
plan, which is pure, is made first, and its error is told only to a caller that was admitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from musicgate.engine.shared_queue import SharedCreateQueue
from musicgate.engine.shared_quota import SharedReservation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from musicgate.aio import Clock
    from musicgate.engine.create_queue import CreateQueue, Slot
    from musicgate.engine.quota import Quota, Reservation
    from musicgate.engine.shared_quota import SharedQuota
    from musicgate.model import JsonValue, MusicRequest
    from musicgate.planning import Choice
    from musicgate.store import AccountAnswer, AccountRequest, JobStore, Ledger

    #: The candidates of a request, and the plan as its caller sees it.
    Planned = tuple[Choice, JsonValue]


class Admitted(NamedTuple):
    """An admitted request. Its holder releases reservation and slot, or hands them on.

    Attributes:
        slot: at the first candidate; None = the job has to wait for one.
        routing: the plan as the caller sees it.
    """

    reservation: Reservation | SharedReservation
    slot: Slot | None
    choice: Choice
    routing: JsonValue


class Admission(Protocol):
    """Admits requests."""

    async def admit(
        self, request: MusicRequest, *, account: str, job_id: str, plan: Callable[[], Planned]
    ) -> Admitted:
        """Count a request and take a slot at its first candidate, if one is free.

        Args:
            plan: plans the request.

        Raises:
            LimitReachedError: one more would exceed a limit; nothing was counted.
            StorageError: nothing can be counted now.
            Exception: the plan's; the request counts as a call.
        """


class LocalAdmission:
    """Admits the requests of the only process that uses a store."""

    def __init__(
        self, quota: Quota, queues: Mapping[str, CreateQueue], store: JobStore, clock: Clock
    ) -> None:
        self._quota = quota
        self._queues = queues
        self._store = store
        self._clock = clock

    async def admit(
        self, request: MusicRequest, *, account: str, job_id: str, plan: Callable[[], Planned]
    ) -> Admitted:
        """Count a request and take a slot, in memory."""
        reservation = await self._quota.reserve(
            self._store, request, account=account, job_id=job_id, clock=self._clock
        )
        try:
            choice, routing = plan()
            slot = self._queues[choice.first.installed.name].try_slot()
        except BaseException:
            reservation.release()
            raise
        return Admitted(reservation, slot, choice, routing)


class SharedAdmission:
    """Admits requests by one question to the ledger at most."""

    def __init__(
        self, quota: SharedQuota, queues: Mapping[str, CreateQueue], ledger: Ledger, clock: Clock
    ) -> None:
        self._quota = quota
        self._queues = queues
        self._ledger = ledger
        self._clock = clock

    async def admit(
        self, request: MusicRequest, *, account: str, job_id: str, plan: Callable[[], Planned]
    ) -> Admitted:
        """Plan a request, then have it counted and take a slot, in one round trip."""
        try:
            planned = plan()
        except Exception:
            # Told only to a caller within its quota.
            await self._count(request, account, job_id)
            raise
        choice, routing = planned
        demand = self._quota.request(request, account, job_id, choice.first)
        queue = self._queues[choice.first.installed.name]
        if not isinstance(queue, SharedCreateQueue):
            answer = None if demand is None else (await self._ledger.ask(demand)).account
            if demand is not None and answer is not None:
                self._quota.answered(demand, answer, self._clock)
            return Admitted(self._reservation(demand, answer), queue.try_slot(), choice, routing)
        wanted, asked_s = queue.wanted(), queue.now_s()
        if demand is None and wanted is None:
            return Admitted(self._reservation(None, None), None, choice, routing)
        both = await self._ledger.ask(demand, wanted)
        if demand is not None and both.account is not None:
            self._quota.answered(demand, both.account, self._clock)
        slot = None if both.slot is None else queue.begin(both.slot, asked_s)
        return Admitted(self._reservation(demand, both.account), slot, choice, routing)

    def _reservation(self, demand: AccountRequest | None, answer: AccountAnswer | None) -> SharedReservation:
        return SharedReservation(self._ledger, self._clock, demand, answer)

    async def _count(self, request: MusicRequest, account: str, job_id: str) -> None:
        demand = self._quota.request(request, account, job_id, None)
        if demand is None:
            return
        answer = (await self._ledger.ask(demand)).account
        if answer is not None:
            self._quota.answered(demand, answer, self._clock)
