"""Enforce per-account quotas (rate, open jobs, daily spend) in the only process that uses a store.

The rules are in `musicgate.engine.limits`. The record of open jobs is complete because the store belongs to
this process: it is filled from the store at the start and follows every stored version from then on. A
request is in it from its admission on, before it is stored, and no other task runs between the check and the
entry. So no burst of requests can pass a limit together.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import attrs

from musicgate.accounts import AccountBook
from musicgate.engine import limits
from musicgate.engine.expected_prices import ExpectedPrices
from musicgate.errors import LimitReachedError
from musicgate.planning import NANOS_PER_USD
from musicgate.settings import AccountLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from musicgate.aio import Clock
    from musicgate.model import Job, MusicRequest, Provider
    from musicgate.settings import Settings
    from musicgate.store import JobStore

#: Windows of accounts without a call in the last minute are dropped when there are more windows than this.
_MAX_IDLE_WINDOWS = 1_000


class Reservation:
    """A request's share of its account's quota."""

    __slots__ = ("_account", "_counted_s", "_is_kept", "_job_id", "_quota")

    def __init__(self, quota: Quota, account: str, job_id: str, counted_s: float) -> None:
        self._quota = quota
        self._account = account
        self._job_id = job_id
        self._counted_s = counted_s
        self._is_kept = False

    def release(self) -> None:
        """Give it back, unless it was kept."""
        if not self._is_kept:
            self._quota.forget(self._job_id)

    def keep(self) -> None:
        """Count the job until it ends: it is stored."""
        self._is_kept = True

    def uncount_call(self) -> None:
        """Give the call back to the rate limit: it was an idempotent replay."""
        self._quota.uncount_call(self._account, self._counted_s)


class _OpenJob(NamedTuple):
    account: str
    usd_nanos: int


class Quota:
    """The limits of all accounts, and what each has used.

    Args:
        providers: the declarations by plugin.
        accounts: has the limits; None = those of the settings.
    """

    def __init__(
        self, settings: Settings, providers: Mapping[str, Provider], accounts: AccountBook | None = None
    ) -> None:
        # Not copied: an account's limits may change at any time.
        self._limits_of = (accounts or AccountBook(settings)).limits_of
        self._prices = ExpectedPrices(providers)
        self._windows: dict[str, limits.CallWindow] = {}
        self._sweep_windows_at = _MAX_IDLE_WINDOWS
        self._open: dict[str, _OpenJob] = {}
        self._open_of: Counter[str] = Counter()
        self._usd_nanos_of: Counter[str] = Counter()

    @property
    def open_jobs(self) -> int:
        """Number of open jobs and admitted requests of all accounts."""
        return len(self._open)

    async def reserve(
        self, store: JobStore, request: MusicRequest, *, account: str, job_id: str, clock: Clock
    ) -> Reservation:
        """Admit a request, and count it.

        Raises:
            LimitReachedError: one more would exceed a limit; nothing was counted.
        """
        allowed = self._limits_of(account)
        expected_nanos, counted_s = self._prices.of_request(request), 0.0
        if allowed.has_any:
            counted_s = await self._admit(store, account, allowed, expected_nanos, clock)
        # Nothing is awaited between the check and the entry.
        self._put(job_id, _OpenJob(account, expected_nanos))
        return Reservation(self, account, job_id, counted_s)

    async def _admit(
        self, store: JobStore, account: str, allowed: AccountLimits, expected_nanos: int, clock: Clock
    ) -> float:
        """Count a request against the limits of its account.

        Returns:
            Its time in the window of the rate limit.

        Raises:
            LimitReachedError: one more would exceed a limit; nothing was counted.
        """
        spent, now, steady = 0, clock.now(), clock.steady()
        if allowed.max_usd_per_day:
            spent = await store.spent_usd_nanos(account, limits.day_of(now)[0])
            allowed = self._limits_of(account)  # they may have been changed meanwhile
        # Nothing is awaited from here to the end.
        usage = self._usage(account, steady)
        usage = attrs.evolve(usage, usd_nanos=usage.usd_nanos + spent)
        reached = limits.reached_limit(allowed, usage, expected_nanos, now)
        if reached is not None:
            raise error_of(reached)
        counted_s = steady.timestamp()
        if allowed.requests_per_minute:
            self._window(account, counted_s).count(counted_s)
        return counted_s

    def uncount_call(self, account: str, counted_s: float) -> None:
        """Remove a counted call from an account's window."""
        if account in self._windows:
            self._windows[account].uncount(counted_s)

    async def count_call(self, account: str, clock: Clock) -> None:
        """Count a call that creates no job against the account's rate limit.

        Raises:
            LimitReachedError: one more would exceed the limit; it was not counted.
        """
        allowed = AccountLimits(requests_per_minute=self._limits_of(account).requests_per_minute)
        if not allowed.requests_per_minute:
            return
        steady = clock.steady()
        reached = limits.reached_limit(allowed, self._usage(account, steady), 0, clock.now())
        if reached is not None:
            raise error_of(reached)
        self._window(account, steady.timestamp()).count(steady.timestamp())

    def note(self, job: Job) -> None:
        """Note an open job of an earlier process."""
        self.changed(None, job)

    def changed(self, before: Job | None, after: Job) -> None:
        """Note a stored version of a job."""
        if after.state.is_final:
            self.forget(after.id)
        elif before is None or before.plugin != after.plugin:  # else the price is as it was
            self._put(after.id, _OpenJob(after.account, self._prices.of_job(after)))

    def forget(self, job_id: str) -> None:
        """Count a job no longer that has ended, was deleted, or was never stored."""
        gone = self._open.pop(job_id, None)
        if gone is None:
            return
        for counter, amount in ((self._open_of, 1), (self._usd_nanos_of, gone.usd_nanos)):
            counter[gone.account] -= amount
        if not self._open_of[gone.account]:
            del self._open_of[gone.account], self._usd_nanos_of[gone.account]

    def headers(self, account: str, clock: Clock) -> dict[str, str]:
        """The ``RateLimit`` headers of an answer to an account."""
        if not self._limits_of(account).has_any:
            return {}
        return limits.rate_limit_fields(self._limits_of(account), self._usage(account, clock.steady()))

    def _put(self, job_id: str, entry: _OpenJob) -> None:
        if self._open.get(job_id) == entry:
            return
        self.forget(job_id)
        self._open[job_id] = entry
        self._open_of[entry.account] += 1
        self._usd_nanos_of[entry.account] += entry.usd_nanos

    def _usage(self, account: str, steady: datetime) -> limits.AccountUsage:
        usage = limits.AccountUsage(open_jobs=self._open_of[account], usd_nanos=self._usd_nanos_of[account])
        if not self._limits_of(account).requests_per_minute:
            return usage
        seconds = steady.timestamp()
        window = self._window(account, seconds)
        return attrs.evolve(usage, requests_left=window.left(seconds), requests_wait_s=window.wait_s(seconds))

    def _window(self, account: str, now: float) -> limits.CallWindow:
        window, calls = self._windows.get(account), self._limits_of(account).requests_per_minute
        if window is not None and window.calls != calls:
            window.calls = calls  # the limit was changed; what was counted stays
        if window is None:
            if len(self._windows) >= self._sweep_windows_at:
                self._windows = {
                    name: kept for name, kept in self._windows.items() if kept.left(now) < kept.calls
                }
                # Not at each new window while all of them are in use: that would cost more each time.
                self._sweep_windows_at = max(_MAX_IDLE_WINDOWS, 2 * len(self._windows))
            window = self._windows[account] = limits.requests_window(self._limits_of(account))
        return window


def error_of(reached: limits.ReachedLimit) -> LimitReachedError:
    """The error of a request that a limit refuses."""
    return LimitReachedError(
        reached.limit.value,
        reached.message,
        reset_at=reached.reset_at,
        retry_after_s=reached.retry_after_s,
        min_usd=None if reached.min_usd_nanos is None else reached.min_usd_nanos / NANOS_PER_USD,
    )
