"""How much is taken in a while, of an account and by a vendor: calls in a window, open jobs, money of a day; no clock, no store, no HTTP server.

Three limits of an account, each of which may be 0, which is none. They are checked in this order, and the first one that is reached answers:

================== ==================================================== ========================================
limit              counts                                               again
================== ==================================================== ========================================
requests a minute  create calls that were let in, in any 60 seconds     when the oldest of them is a minute old
open jobs          jobs that have not ended                             when one ends; nobody knows when
dollars a day      what ended since midnight UTC has cost, what is open at midnight UTC
                   is expected to cost, and the cheapest price of this
                   wish
================== ==================================================== ========================================

Money is counted before it is spent: otherwise a thousand wishes at once would all find the day's purse full.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import datetime, timedelta
from enum import StrEnum

import attrs

from musicgate.planning import NANOS_PER_USD
from musicgate.settings import AccountLimits

_MINUTE_S = 60
#: Nobody knows when a job ends; after this many seconds it is worth another try.
OPEN_JOBS_RETRY_S = 10


class Limit(StrEnum):
    """Which limit was reached; the token in an answer's ``reason``, and the key in the settings."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    MAX_OPEN_JOBS = "max_open_jobs"
    MAX_USD_PER_DAY = "max_usd_per_day"


@attrs.frozen(kw_only=True)
class Standing:
    """Where an account stands before a wish.

    Attributes:
        requests_left: create calls that are left in this minute.
        requests_wait_s: seconds until there is one more.
        open_jobs: jobs that have not ended.
        usd_nanos: what today has cost and what is open is expected to cost, in billionths of a dollar.
    """

    requests_left: int = 0
    requests_wait_s: float = 0.0
    open_jobs: int = 0
    usd_nanos: int = 0


@attrs.frozen(kw_only=True)
class Refusal:
    """Why a wish is not let in. ``min_usd_nanos`` is what would have to be left of the day's money, where money is the reason."""

    limit: Limit
    message: str
    reset_at: datetime
    retry_after_s: float | None = None
    min_usd_nanos: int | None = None


@attrs.define
class CallWindow:
    """At most ``calls`` in any ``per_s`` seconds. It holds one time a call, so never more than that many.

    Times are seconds of any clock. When that clock is set back, the calls move back with it: at worst one window is waited for in full.
    """

    calls: int
    per_s: float
    _times: deque[float] = attrs.field(factory=deque)

    def left(self, now: float) -> int:
        """How many more calls are allowed."""
        self._forget(now)
        return max(0, self.calls - len(self._times))

    def wait_s(self, now: float, running: int = 0) -> float:
        """Seconds until one more call is allowed; 0 = now, infinite = not before one of the ``running`` ones ends."""
        self._forget(now)
        free = self.calls - running
        if free <= 0:
            return math.inf
        if len(self._times) < free:
            return 0.0
        return self._times[len(self._times) - free] + self.per_s - now

    def count(self, now: float) -> None:
        """Count one call."""
        self._forget(now)
        self._times.append(now)

    def take_back(self, counted_at: float) -> None:
        """Forget a call that turned out to be none."""
        if counted_at in self._times:
            self._times.remove(counted_at)

    def _forget(self, now: float) -> None:
        if self._times and self._times[-1] > now:
            back_s = self._times[-1] - now
            self._times = deque(moment - back_s for moment in self._times)
        while self._times and self._times[0] + self.per_s <= now:
            self._times.popleft()


def requests_window(limits: AccountLimits) -> CallWindow:
    """An empty window for an account's create calls."""
    return CallWindow(calls=limits.requests_per_minute, per_s=_MINUTE_S)


def day_of(now: datetime) -> tuple[datetime, datetime]:
    """When the day of a UTC time began, and when it ends."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight, midnight + timedelta(days=1)


def refusal(
    limits: AccountLimits, standing: Standing, request_usd_nanos: int, now: datetime
) -> Refusal | None:
    """Why one more wish is not let in; None when it is.

    Args:
        wish_usd_nanos: the cheapest known price of the wish; 0 when none is known, and then it needs only something to be left.
        now: aware UTC time.
    """
    if limits.requests_per_minute and standing.requests_left <= 0:
        wait_s = math.ceil(standing.requests_wait_s)
        return Refusal(
            limit=Limit.REQUESTS_PER_MINUTE,
            message=f"more than {limits.requests_per_minute} create calls in a minute",
            reset_at=now + timedelta(seconds=wait_s),
            retry_after_s=wait_s,
        )
    if limits.max_open_jobs and standing.open_jobs >= limits.max_open_jobs:
        return Refusal(
            limit=Limit.MAX_OPEN_JOBS,
            message=f"{standing.open_jobs} jobs are open, {limits.max_open_jobs} may be",
            reset_at=now + timedelta(seconds=OPEN_JOBS_RETRY_S),
            retry_after_s=OPEN_JOBS_RETRY_S,
        )
    purse = round(limits.max_usd_per_day * NANOS_PER_USD)
    if purse and (standing.usd_nanos >= purse or standing.usd_nanos + request_usd_nanos > purse):
        left_usd = max(0, purse - standing.usd_nanos) / NANOS_PER_USD
        return Refusal(
            limit=Limit.MAX_USD_PER_DAY,
            message=f"{left_usd:g} of {limits.max_usd_per_day:g} USD are left today, with what open jobs are expected to cost",
            reset_at=day_of(now)[1],
            min_usd_nanos=request_usd_nanos,
        )
    return None


def rate_limit_fields(limits: AccountLimits, standing: Standing) -> dict[str, str]:
    """The headers that tell a caller about its limits; none when it has none.

    The money of a day is not among them: the draft's registry has no unit for it.

    Source: draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4, 23 May 2026. An open job is what it calls a concurrent request.
    """
    policies, states = [], []
    if limits.requests_per_minute:
        policies.append(f'"requests-per-minute";q={limits.requests_per_minute};w={_MINUTE_S}')
        # The window is told only when nothing is left: Retry-After must not end before it (section 6), whatever limit it is about.
        window = "" if standing.requests_left > 0 else f";t={math.ceil(standing.requests_wait_s)}"
        states.append(f'"requests-per-minute";r={standing.requests_left}{window}')
    if limits.max_open_jobs:
        policies.append(f'"open-jobs";q={limits.max_open_jobs};qu="concurrent-requests"')
        states.append(f'"open-jobs";r={max(0, limits.max_open_jobs - standing.open_jobs)}')
    if not policies:
        return {}
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
