"""Enforce per-account quotas where there are replicas: the ledger counts, by the rules of `limits`.

Nothing of a job is kept here. Its reservation is made with its admission, and ends in the store with the job,
whichever replica that ends. What an account was last told of its limits is remembered, for the headers.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import attrs

from musicgate.accounts import AccountBook
from musicgate.engine import limits
from musicgate.engine.expected_prices import ExpectedPrices
from musicgate.engine.quota import error_of
from musicgate.planning import NANOS_PER_USD
from musicgate.settings import AccountLimits
from musicgate.store import AccountRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.aio import Clock
    from musicgate.model import Job, MusicRequest, Provider
    from musicgate.planning import Candidate
    from musicgate.settings import Settings
    from musicgate.store import AccountAnswer, Ledger

#: Accounts whose last answer is remembered.
_MAX_ANSWERS = 10_000
#: A reservation without a job is dropped after ten minutes. One whose job is stored late is noted anew.
_LATE = timedelta(minutes=5)
#: Seconds for which an answer says how many calls are left: the window of the rate limit.
_ANSWER_LASTS_S = 60.0


class SharedReservation:
    """A request's share of its account's quota, as the ledger holds it."""

    __slots__ = ("_answer", "_clock", "_is_kept", "_ledger", "_made_at", "_request")

    def __init__(
        self, ledger: Ledger, clock: Clock, request: AccountRequest | None, answer: AccountAnswer | None
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._made_at = clock.steady()
        self._request = request
        self._answer = answer
        self._is_kept = False

    def release(self) -> None:
        """Give it back, unless it was kept."""
        request = self._request
        if not self._is_kept and request is not None and request.reserved_usd_nanos is not None:
            self._ledger.release(request.id)

    def keep(self) -> None:
        """Count the job until it ends: it is stored."""
        self._is_kept = True
        request = self._request
        if request is None or request.reserved_usd_nanos is None:
            return
        if self._clock.steady() - self._made_at > _LATE:
            self._ledger.note_job(request.id, request.reserved_usd_nanos)

    def uncount_call(self) -> None:
        """Give the call back to the rate limit: it was an idempotent replay."""
        request, answer = self._request, self._answer
        if request is not None and answer is not None and request.requests_per_minute:
            self._ledger.uncount(request.account, answer.at, request.id)


class _Told(NamedTuple):
    usage: limits.AccountUsage
    at_s: float


class SharedQuota:
    """The limits of all accounts, counted by the ledger.

    Args:
        providers: the declarations by plugin.
        accounts: has the limits; None = those of the settings.
    """

    def __init__(
        self,
        settings: Settings,
        providers: Mapping[str, Provider],
        ledger: Ledger,
        accounts: AccountBook | None = None,
    ) -> None:
        # Not copied: an account's limits may change at any time.
        self._limits_of = (accounts or AccountBook(settings)).limits_of
        self._prices = ExpectedPrices(providers)
        self._ledger = ledger
        self._told: OrderedDict[str, _Told] = OrderedDict()

    def request(
        self, request: MusicRequest, account: str, job_id: str, candidate: Candidate | None
    ) -> AccountRequest | None:
        """What to ask the ledger for; None for an account without limits.

        Args:
            candidate: who is asked first, at whose price the job is reserved; None = no job is made.
        """
        allowed = self._limits_of(account)
        if not allowed.has_any:
            return None
        reserved = None
        if candidate is not None and _limits_jobs(allowed):
            plugin = candidate.installed.name
            reserved = self._prices.of_offer(candidate.offer.model, plugin, request)
        return AccountRequest(
            account=account,
            id=job_id,
            requests_per_minute=allowed.requests_per_minute,
            max_open_jobs=allowed.max_open_jobs,
            budget_usd_nanos=round(allowed.max_usd_per_day * NANOS_PER_USD),
            price_usd_nanos=self._prices.of_request(request),
            reserved_usd_nanos=reserved,
        )

    def answered(self, request: AccountRequest, answer: AccountAnswer, clock: Clock) -> None:
        """Take note of the ledger's answer.

        Raises:
            LimitReachedError: it refused; nothing was counted.
        """
        usage = limits.AccountUsage(
            requests_left=max(0, request.requests_per_minute - answer.calls),
            requests_wait_s=answer.calls_wait_s,
            open_jobs=answer.open_jobs,
            usd_nanos=answer.usd_nanos,
        )
        after = usage
        if answer.is_admitted:
            makes_job = request.reserved_usd_nanos is not None
            left, open_jobs = max(0, usage.requests_left - 1), usage.open_jobs + makes_job
            after = attrs.evolve(usage, requests_left=left, open_jobs=open_jobs)
        self._told[request.account] = _Told(after, clock.steady().timestamp())
        self._told.move_to_end(request.account)
        if len(self._told) > _MAX_ANSWERS:
            self._told.popitem(last=False)
        if answer.is_admitted:
            return
        # Those that were asked with: they may have been changed meanwhile.
        allowed = AccountLimits(
            requests_per_minute=request.requests_per_minute,
            max_open_jobs=request.max_open_jobs,
            max_usd_per_day=request.budget_usd_nanos / NANOS_PER_USD,
        )
        reached = limits.reached_limit(allowed, usage, request.price_usd_nanos, answer.at)
        if reached is None:
            raise AssertionError(request.account)  # pragma: no cover - the rules of the ledger are the same
        raise error_of(reached)

    async def count_call(self, account: str, clock: Clock) -> None:
        """Count a call that creates no job against the account's rate limit.

        Raises:
            LimitReachedError: one more would exceed the limit; it was not counted.
            StorageError: it cannot be counted now.
        """
        calls = self._limits_of(account).requests_per_minute
        if not calls:
            return
        request = AccountRequest(account=account, id=uuid4().hex, requests_per_minute=calls)
        answer = (await self._ledger.ask(request)).account
        if answer is not None:
            self.answered(request, answer, clock)

    def note(self, job: Job) -> None:
        """Note an open job that was found in the store.

        It has a reservation, unless its account had no limits when it was made, or its replica died.
        """
        if not job.state.is_final and _limits_jobs(self._limits_of(job.account)):
            self._ledger.note_job(job.id, self._prices.of_job(job))

    def changed(self, before: Job | None, after: Job) -> None:
        """Note a stored version of a job: another provider has another price."""
        if before is None or after.state.is_final or not _limits_jobs(self._limits_of(after.account)):
            return
        price = self._prices.of_job(after)
        if price != self._prices.of_job(before):
            self._ledger.set_price(after.id, price)

    def forget(self, job_id: str) -> None:
        """Do nothing: the reservation of a job ends with it, in the store."""

    def headers(self, account: str, clock: Clock) -> dict[str, str]:
        """The ``RateLimit`` headers of an answer to an account, by the ledger's last answer to it here."""
        allowed = self._limits_of(account)
        if not allowed.has_any:
            return {}
        told = self._told.get(account)
        passed_s = 0.0 if told is None else clock.steady().timestamp() - told.at_s
        if told is None or passed_s >= _ANSWER_LASTS_S:
            fields = limits.rate_limit_fields(allowed, limits.AccountUsage())
            fields.pop("RateLimit", None)
            return fields
        wait_s = max(0.0, told.usage.requests_wait_s - passed_s)
        return limits.rate_limit_fields(allowed, attrs.evolve(told.usage, requests_wait_s=wait_s))


def _limits_jobs(allowed: AccountLimits) -> bool:
    return bool(allowed.max_open_jobs or allowed.max_usd_per_day)
