"""The port `Ledger`: what limits of accounts and vendors have used, counted for all replicas.

A store that one process uses has none: there, counts in memory are exact. No SQL, no library's types.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import attrs


@attrs.frozen(kw_only=True)
class AccountRequest:
    """A request that asks for admission. A limit of 0 means unlimited.

    Attributes:
        id: of the job that is to be made, or any other unique text.
        price_usd_nanos: the cheapest known price of the request, in billionths of a dollar.
        reserved_usd_nanos: what it reserves of the budget until its job ends; None where it makes no job.
    """

    account: str
    id: str
    requests_per_minute: int
    max_open_jobs: int = 0
    budget_usd_nanos: int = 0
    price_usd_nanos: int = 0
    reserved_usd_nanos: int | None = None


@attrs.frozen(kw_only=True)
class SlotRequest:
    """A request for a slot at a provider.

    Attributes:
        id: of the slot; unique.
        held: of a slot that was taken before, to go on with it if it was not taken for one of a dead replica.
        parallel: how many calls may run at a time; None = any number.
        calls: how many may be made in a window of ``per_s`` seconds; None = any number.
    """

    plugin: str
    id: str
    parallel: int | None
    calls: int | None
    per_s: float | None
    held: str | None = None


@attrs.frozen(kw_only=True)
class AccountAnswer:
    """What an account had used before a request.

    Attributes:
        calls: admitted in the last minute; 0 without a limit of them.
        calls_wait_s: seconds until there is one more, where none is left after this request.
        open_jobs: jobs and admitted requests that have not ended.
        usd_nanos: cost of today's ended jobs and expected cost of the open ones.
        at: when, by the clock of the store.
    """

    is_admitted: bool
    calls: int
    calls_wait_s: float
    open_jobs: int
    usd_nanos: int
    at: datetime


@attrs.frozen(kw_only=True)
class LedgerAnswer:
    """The answer to both requests.

    Attributes:
        account: None where no admission was asked for.
        slot: the id of the slot; None where there is none, or admission was refused.
        slot_wait_s: seconds until there is one; infinite = one that runs must end first. 0.0 where it is
            taken, or was not asked for.
    """

    account: AccountAnswer | None
    slot: str | None
    slot_wait_s: float


class Ledger(Protocol):
    """Counts for all replicas. What is given back is told later, and again until it was heard."""

    async def ask(self, account: AccountRequest | None, slot: SlotRequest | None = None) -> LedgerAnswer:
        """Admit a request if that exceeds no limit of its account, and then take a slot if one is free.

        A caller that is cancelled while it waits has got neither: both are given back.

        Raises:
            StorageError: nothing can be counted now; nothing stays counted.
        """

    def end_slot(self, slot_id: str, *, has_called: bool) -> None:
        """Give a slot back now; without a call it does not count in the window."""

    def release(self, job_id: str) -> None:
        """Give back the reservation of a request that has become no open job."""

    def uncount(self, account: str, counted_at: datetime, request_id: str) -> None:
        """Give back a call, by the time that its answer said: it was an idempotent replay."""

    def set_price(self, job_id: str, usd_nanos: int) -> None:
        """Expect another cost of an open job from now on."""

    def note_job(self, job_id: str, usd_nanos: int) -> None:
        """Reserve for a stored job if it is open and has no reservation."""

    async def sweep(self) -> None:
        """Forget what is too old to count, and reservations of requests whose replica died.

        Raises:
            StorageError: the store is broken.
        """
