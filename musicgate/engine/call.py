"""A create call in flight, as a value that its task and its caller share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from musicgate.engine.create_queue import Slot
    from musicgate.engine.quota import Reservation
    from musicgate.engine.shared_quota import SharedReservation
    from musicgate.model import IdempotencyClaim, Job
    from musicgate.planning import Candidate


@attrs.define(kw_only=True)
class Caller:
    """The caller of a create call.

    Attributes:
        is_waiting: the caller has neither got its answer nor gone away.
        has_moved: the call has ended, or its job has begun to wait for a slot: from then on the caller waits
            only briefly.
    """

    is_waiting: bool = True
    has_moved: bool = False
    _next_move: asyncio.Future[None] | None = None

    def move(self) -> None:
        """Wake the caller: the call has ended, or its job begins to wait for a slot."""
        self.has_moved = True
        if self._next_move is not None and not self._next_move.done():
            self._next_move.set_result(None)

    def next_move(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """A future that is done at the next `move`. One caller waits, so the one before it is forgotten."""
        self._next_move = loop.create_future()
        return self._next_move


@attrs.define(kw_only=True, eq=False)
class Call:
    """A create call.

    Attributes:
        job: the newest version that the call knows.
        until_s: loop time at which its caller stops waiting; None = it has no caller.
        budget_s: how long its caller waits at most for its end.
        reservation: its share of its account's quota; None = the job was stored before.
        slot: the slot at the first candidate, where one was free.
        stored: done when the job is stored (None), its key was used earlier (the claim), or it could not be
            stored.
        answered: set when its caller has been answered, at the latest at its end; None until awaited.
        is_ended: it has ended, however.
        is_woken: a callback came meanwhile: poll the job as soon as the call has ended.
    """

    job: Job
    candidates: Iterable[Candidate]
    until_s: float | None = None
    budget_s: float = 0.0
    claim: IdempotencyClaim | None = None
    reservation: Reservation | SharedReservation | None = None
    slot: Slot | None = None
    caller: Caller = attrs.field(factory=Caller)
    stored: asyncio.Future[IdempotencyClaim | None]
    answered: asyncio.Event | None = None
    is_stored: bool = False
    is_ended: bool = False
    is_woken: bool = False
