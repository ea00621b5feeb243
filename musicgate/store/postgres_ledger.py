"""The ledger on PostgreSQL: functions of the migration ``0003_ledger`` count; this hands them batches.

A batch of requests is one statement: one round trip, whatever is asked. What is given back goes along with
it, to be counted at once. It goes by itself as well, a moment later, and is forgotten here only then: that
statement waits until it is durable, and the other does not.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from musicgate.errors import StorageError
from musicgate.plugin import write_json
from musicgate.store.batches import Batches
from musicgate.store.ledger import AccountAnswer, AccountRequest, LedgerAnswer, SlotRequest
from musicgate.store.postgres_connections import PostgresConnections, storable
from musicgate.store.postgres_errors import is_of_one_row

_log = logging.getLogger(__name__)

#: Each takes a lock, of which a server has some thousands.
_LARGEST_BATCH: Final = 64
#: What is given back gathers for so long.
_GATHER_S: Final = 0.05
#: Pauses between tries to give back; the last one repeats.
_RETRY_S: Final = (0.5, 1.0, 3.0, 10.0)
#: How long closing tries to give back. Another replica frees slots of one that has gone without.
_CLOSE_S: Final = 5.0
#: A replica that seemed dead may have gone on: what ends its slots is told so soon, or not at all.
_DEAD_S: Final = 0.5
#: At most so many are given back in one statement.
_LARGEST_BACK: Final = 500

ASK: Final = (
    "SELECT is_admitted, used_calls, calls_wait_s, used_jobs, used_nanos, asked_at, slot, slot_wait_s,"
    " foreign_slots, foreign_replicas FROM musicgate.ask_ledger($1::jsonb, $2::jsonb, $3)"
)
GIVE_BACK: Final = "SELECT musicgate.give_back($1::jsonb)"
SWEEP: Final = "SELECT musicgate.sweep_ledger()"

#: What is given back: its kind and key, and a function that makes its entry in the statement. It gives None
#: where that comes too late.
_Back = dict[tuple[str, str], Callable[[], object]]


class PostgresLedger:
    """The ledger of one replica.

    Args:
        replica: its id.
        is_dead: True for another one whose calls have ended, although it does not tell.
    """

    def __init__(
        self, connections: PostgresConnections, replica: str, is_dead: Callable[[str], bool]
    ) -> None:
        self._connections = connections
        self._replica = replica
        self._is_dead = is_dead
        self._asking = Batches(self._ask, is_of_one=is_of_one_row, largest=_LARGEST_BATCH)
        self._back: _Back = {}
        #: What of it has not gone along with a request.
        self._fresh: _Back = {}
        self._giving: asyncio.Task[None] | None = None
        self._is_closed = asyncio.Event()

    async def ask(self, account: AccountRequest | None, slot: SlotRequest | None = None) -> LedgerAnswer:
        """Admit a request, and take a slot."""
        answer = self._asking.submit((account, slot))
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(lambda answer: self._undo(account, slot, answer))
            raise
        except StorageError as error:
            if error.maybe_stored:
                self._undo(account, slot)
            raise

    def end_slot(self, slot_id: str, *, has_called: bool) -> None:
        """Give a slot back."""
        self._end_slot(slot_id, has_called=has_called)

    def _end_slot(self, slot_id: str, *, has_called: bool, within_s: float = math.inf) -> None:
        """Give a slot back, if that is told so soon."""
        ended_at = time.monotonic()

        def entry() -> object:
            ended_s_ago = time.monotonic() - ended_at
            if ended_s_ago > within_s:
                return None
            return {"id": slot_id, "ended_s_ago": ended_s_ago if has_called else None}

        self._give("slots", slot_id, entry)

    def release(self, job_id: str) -> None:
        """Give a reservation back."""
        self._give("reservations", job_id, lambda: job_id)

    def uncount(self, account: str, counted_at: datetime, request_id: str) -> None:
        """Give a call back."""
        entry = {"account": storable(account), "called_at": counted_at.isoformat(), "id": request_id}
        self._give("calls", request_id, lambda: entry)

    def set_price(self, job_id: str, usd_nanos: int) -> None:
        """Change what an open job is expected to cost."""
        self._give("prices", job_id, lambda: {"job_id": job_id, "usd_nanos": usd_nanos})

    def note_job(self, job_id: str, usd_nanos: int) -> None:
        """Reserve for a stored job that has no reservation."""
        self._give("jobs", job_id, lambda: {"job_id": job_id, "usd_nanos": usd_nanos})

    async def sweep(self) -> None:
        """Forget what is too old to count."""
        await self._connections.write(SWEEP)

    async def close(self) -> None:
        """Answer what is asked, and give back what is left, if that succeeds soon."""
        await self._asking.close()
        self._is_closed.set()
        giving = self._giving
        if giving is not None:
            await asyncio.wait([giving], timeout=_CLOSE_S)
            giving.cancel()
            await asyncio.wait([giving])
        if self._back:
            _log.warning("ledger closed before it was told of all: entries=%d", len(self._back))

    async def _ask(
        self, batch: Sequence[tuple[AccountRequest | None, SlotRequest | None]]
    ) -> list[LedgerAnswer]:
        asked = write_json([_item(account, slot) for account, slot in batch]).decode()
        fresh = list(islice(self._fresh.items(), _LARGEST_BACK))
        for place, _ in fresh:
            del self._fresh[place]
        back = _doc(fresh)
        found = await self._connections.write(ASK, asked, back, self._replica)
        for *_, slots, replicas in found:
            for slot_id, replica in zip(slots or (), replicas or (), strict=True):
                if ("slots", slot_id) not in self._back and self._is_dead(replica):
                    _log.warning("slot of a dead replica ended: slot=%s replica=%s", slot_id, replica)
                    # It may have called until now.
                    self._end_slot(slot_id, has_called=True, within_s=_DEAD_S)
        return [_answer(row) for row in found]

    def _undo(
        self,
        account: AccountRequest | None,
        slot: SlotRequest | None,
        answer: "asyncio.Future[LedgerAnswer] | None" = None,
    ) -> None:
        """Give back what was got, or may have been, for a caller that has gone."""
        if answer is not None and (answer.cancelled() or answer.exception() is not None):
            answer = None  # perhaps it was got, and its answer lost
        if slot is not None and (answer is None or answer.result().slot == slot.id):
            self.end_slot(slot.id, has_called=False)
        if account is not None and account.reserved_usd_nanos is not None:
            self.release(account.id)

    def _give(self, kind: str, key: str, entry: Callable[[], object]) -> None:
        # The last word about the same thing holds, and goes last. Jobs are noted by thousands after a start,
        # and no request waits for them.
        for back in (self._back,) if kind == "jobs" else (self._back, self._fresh):
            back.pop((kind, key), None)
            back[kind, key] = entry
        if self._giving is None and not self._is_closed.is_set():
            self._giving = asyncio.create_task(self._give_back())

    async def _give_back(self) -> None:
        """Tell until nothing is left to tell."""
        failures = 0
        pause_s = _GATHER_S
        while self._back:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._is_closed.wait()
            told = list(islice(self._back.items(), _LARGEST_BACK))
            try:
                await self._connections.write(GIVE_BACK, _doc(told))
            except StorageError as error:
                if not failures or self._is_closed.is_set():
                    _log.warning("ledger not told, retrying: entries=%d error=%s", len(self._back), error)
                if self._is_closed.is_set():
                    break
                pause_s = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
                failures += 1
                continue
            failures, pause_s = 0, _GATHER_S if len(self._back) < 2 * _LARGEST_BACK else 0.0
            for place, entry in told:
                for back in (self._back, self._fresh):
                    if back.get(place) is entry:
                        del back[place]
        self._giving = None


def _doc(back: Sequence[tuple[tuple[str, str], Callable[[], object]]]) -> str:
    parts: dict[str, list[object]] = {}
    for (kind, _), entry in back:
        if (told := entry()) is not None:
            parts.setdefault(kind, []).append(told)
    return write_json(parts).decode()


def _item(account: AccountRequest | None, slot: SlotRequest | None) -> dict[str, object]:
    item: dict[str, object] = {}
    if account is not None:
        item |= {
            "account": storable(account.account),
            "id": account.id,
            "calls": account.requests_per_minute,
            "open_jobs": account.max_open_jobs,
            "budget": account.budget_usd_nanos,
            "price": account.price_usd_nanos,
            "reserved": account.reserved_usd_nanos,
        }
    if slot is not None:
        item |= {
            "plugin": slot.plugin,
            "new_slot": slot.id,
            "held_slot": slot.held,
            "parallel": slot.parallel,
            "window_calls": slot.calls,
            "window_s": slot.per_s,
        }
    return item


def _answer(row: Any) -> LedgerAnswer:
    is_admitted, calls, calls_wait_s, open_jobs, usd_nanos, at, slot, slot_wait_s, _, _ = row
    account = None
    if is_admitted is not None:
        account = AccountAnswer(
            is_admitted=is_admitted,
            calls=calls,
            calls_wait_s=calls_wait_s or 0.0,
            open_jobs=open_jobs,
            usd_nanos=usd_nanos,
            at=at,
        )
    return LedgerAnswer(account=account, slot=slot, slot_wait_s=slot_wait_s)
