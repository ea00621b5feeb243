"""Enforces per-account quotas before a job is created: create calls, open jobs, and what they will cost; the rules are `musicgate.engine.limits`'s.

The book of open jobs is complete because a store belongs to one process: it is filled from the store at the start and follows every stored
version from then on. A request is in it from the moment in which it is let in, before it is stored, and no other task runs between counting
and writing down; so no burst of requests can slip past a limit together.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self

import attrs

from musicgate.engine import limits
from musicgate.errors import LimitReachedError
from musicgate.planning import NANOS_PER_USD, expected_usd_nanos, find_offer, strip_suffix
from musicgate.settings import AccountLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from types import TracebackType

    from musicgate.aio import Clock
    from musicgate.model import Job, MusicRequest, Provider
    from musicgate.settings import Settings
    from musicgate.store import JobStore

#: Windows of accounts that made no call for a minute are thrown away when there are more than this.
_MAX_IDLE_WINDOWS = 1_000


class Reservation:
    """What a request holds of its account's quota: a context manager that gives it back, unless its job was stored."""

    def __init__(self, quota: Quota, account: str, job_id: str, counted_s: float) -> None:
        self._admission = quota
        self._account = account
        self._job_id = job_id
        self._counted_s = counted_s
        self._is_kept = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_kept:
            self._admission.forget(self._job_id)

    def keep(self) -> None:
        """The job is stored: from now on it is counted until it ends."""
        self._is_kept = True

    def take_back_call(self) -> None:
        """Count the call no longer: it was a duplicate of an earlier one."""
        self._admission.take_back_call(self._account, self._counted_s)


@attrs.frozen(kw_only=True)
class _OpenJob:
    account: str
    usd_nanos: int


class Quota:
    """The limits of all accounts, and where each of them stands."""

    def __init__(self, settings: Settings, providers: Mapping[str, Provider]) -> None:
        """Start with an empty book. ``providers`` are the declarations by plugin."""
        self._usual = settings.limits
        self._limits = settings.limits_by_account()
        self._providers = providers
        self._windows: dict[str, limits.CallWindow] = {}
        self._sweep_windows_at = _MAX_IDLE_WINDOWS
        self._open: dict[str, _OpenJob] = {}
        self._open_of: Counter[str] = Counter()
        self._usd_nanos_of: Counter[str] = Counter()

    @property
    def open_jobs(self) -> int:
        """Number of jobs and requests that count as open, of all accounts."""
        return len(self._open)

    async def reserve(
        self, store: JobStore, request: MusicRequest, *, account: str, job_id: str, clock: Clock
    ) -> Reservation:
        """Let a request in, and count it.

        Raises:
            LimitReachedError: one more is too many; nothing was counted.
        """
        allowed, spent = self._limits_of(account), 0
        now, steady = clock.now(), clock.steady()
        if allowed.max_usd_per_day:
            spent = await store.spent_usd_nanos(account, limits.day_of(now)[0])
        # From here on to the end nothing is awaited.
        standing = self._standing(account, steady)
        standing = attrs.evolve(standing, usd_nanos=standing.usd_nanos + spent)
        expected_nanos = self._cheapest(request)
        no = limits.refusal(allowed, standing, expected_nanos, now)
        if no is not None:
            raise _error_of(no)
        counted_s = steady.timestamp()
        if allowed.requests_per_minute:
            self._window(account, counted_s).count(counted_s)
        self._put(job_id, _OpenJob(account=account, usd_nanos=expected_nanos))
        return Reservation(self, account, job_id, counted_s)

    def take_back_call(self, account: str, counted_s: float) -> None:
        """Count a call no longer that turned out to be a duplicate."""
        if account in self._windows:
            self._windows[account].take_back(counted_s)

    def count_call(self, account: str, clock: Clock) -> None:
        """Count a call that makes no job among the account's calls of this minute.

        Raises:
            LimitReachedError: one more is too many; it was not counted.
        """
        allowed = AccountLimits(requests_per_minute=self._limits_of(account).requests_per_minute)
        if not allowed.requests_per_minute:
            return
        steady = clock.steady()
        no = limits.refusal(allowed, self._standing(account, steady), 0, clock.now())
        if no is not None:
            raise _error_of(no)
        self._window(account, steady.timestamp()).count(steady.timestamp())

    def note(self, job: Job) -> None:
        """Take a stored version of a job into the book."""
        if job.state.is_final:
            self.forget(job.id)
        else:
            self._put(job.id, _OpenJob(account=job.account, usd_nanos=self._expected(job)))

    def forget(self, job_id: str) -> None:
        """Strike a job that has ended, is gone, or was never stored."""
        gone = self._open.pop(job_id, None)
        if gone is None:
            return
        for counter, amount in ((self._open_of, 1), (self._usd_nanos_of, gone.usd_nanos)):
            counter[gone.account] -= amount
        if not self._open_of[gone.account]:
            del self._open_of[gone.account], self._usd_nanos_of[gone.account]

    def headers(self, account: str, steady: datetime) -> dict[str, str]:
        """What an answer to the account tells about its limits."""
        return limits.rate_limit_fields(self._limits_of(account), self._standing(account, steady))

    def _put(self, job_id: str, entry: _OpenJob) -> None:
        if self._open.get(job_id) == entry:
            return
        self.forget(job_id)
        self._open[job_id] = entry
        self._open_of[entry.account] += 1
        self._usd_nanos_of[entry.account] += entry.usd_nanos

    def _standing(self, account: str, steady: datetime) -> limits.Standing:
        standing = limits.Standing(open_jobs=self._open_of[account], usd_nanos=self._usd_nanos_of[account])
        if not self._limits_of(account).requests_per_minute:
            return standing
        seconds = steady.timestamp()
        window = self._window(account, seconds)
        return attrs.evolve(
            standing, requests_left=window.left(seconds), requests_wait_s=window.wait_s(seconds)
        )

    def _limits_of(self, account: str) -> AccountLimits:
        return self._limits.get(account, self._usual)

    def _window(self, account: str, now: float) -> limits.CallWindow:
        window = self._windows.get(account)
        if window is None:
            if len(self._windows) >= self._sweep_windows_at:
                self._windows = {
                    name: kept for name, kept in self._windows.items() if kept.left(now) < kept.calls
                }
                # Not at each new window while all of them are in use: that would cost more and more.
                self._sweep_windows_at = max(_MAX_IDLE_WINDOWS, 2 * len(self._windows))
            window = self._windows[account] = limits.requests_window(self._limits_of(account))
        return window

    def _cheapest(self, request: MusicRequest) -> int:
        """The lowest known price of a wish, whoever will do it; 0 when none is known."""
        model = strip_suffix(request.model)
        offers = [find_offer(provider, model) for provider in self._providers.values()]
        prices = [expected_usd_nanos(offer, request.duration_s) for offer in offers if offer]
        return min((price for price in prices if price is not None), default=0)

    def _expected(self, job: Job) -> int:
        provider = self._providers.get(job.plugin or "")
        offer = find_offer(provider, job.attempt.model) if provider and job.attempt else None
        return (expected_usd_nanos(offer, job.request.duration_s) or 0) if offer else 0


def _error_of(no: limits.Refusal) -> LimitReachedError:
    return LimitReachedError(
        no.limit.value,
        no.message,
        reset_at=no.reset_at,
        retry_after_s=no.retry_after_s,
        min_usd=None if no.min_usd_nanos is None else no.min_usd_nanos / NANOS_PER_USD,
    )
