"""Rate limits and quotas as pure rules: calls in a window, open jobs, spend of a day.

An account has three limits, each of which may be 0, which means unlimited. They are checked in this order,
and the first one that is reached refuses the request:

================== ============================================== =======================================
limit              counts                                         free again
================== ============================================== =======================================
requests a minute  admitted create calls in any 60 seconds        when the oldest of them is a minute old
open jobs          jobs that have not ended                       when one ends, at an unknown time
dollars a day      the cost of what ended since midnight UTC,     at midnight UTC
                   the expected cost of what is open, and the
                   cheapest price of this request
================== ============================================== =======================================

Money is counted before it is spent: otherwise a thousand requests at once would all find the day's budget
untouched.
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
#: When an open job ends is unknown; after this many seconds a retry makes sense.
OPEN_JOBS_RETRY_S = 10


class Limit(StrEnum):
    """Which limit was reached; the token in an answer's ``reason``, and the key in the settings."""

    REQUESTS_PER_MINUTE = "requests_per_minute"
    MAX_OPEN_JOBS = "max_open_jobs"
    MAX_USD_PER_DAY = "max_usd_per_day"


@attrs.frozen(kw_only=True)
class AccountUsage:
    """What an account has used of its limits before a request.

    Attributes:
        requests_left: create calls that are left in this minute.
        requests_wait_s: seconds until there is one more.
        open_jobs: jobs that have not ended.
        usd_nanos: cost of today's ended jobs and expected cost of the open ones, in billionths of a dollar.
    """

    requests_left: int = 0
    requests_wait_s: float = 0.0
    open_jobs: int = 0
    usd_nanos: int = 0


@attrs.frozen(kw_only=True)
class ReachedLimit:
    """The limit that refuses a request.

    Attributes:
        min_usd_nanos: where money is the reason: what would have to be left of the day's budget.
    """

    limit: Limit
    message: str
    reset_at: datetime
    retry_after_s: float | None = None
    min_usd_nanos: int | None = None


@attrs.define
class CallWindow:
    """At most ``calls`` in any ``per_s`` seconds. It holds one time per call, so at most that many.

    Times are seconds of any clock. When that clock is set back, the calls move back with it: at worst a whole
    window is waited for.
    """

    calls: int
    per_s: float
    _times: deque[float] = attrs.field(factory=deque)

    def left(self, now: float) -> int:
        """Number of calls that are left."""
        self._forget(now)
        return max(0, self.calls - len(self._times))

    def wait_s(self, now: float, running: int = 0) -> float:
        """Seconds until one more call is allowed; infinite = not before a ``running`` one ends."""
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

    def uncount(self, counted_at: float) -> None:
        """Remove a call that was counted, but not made."""
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
    """The midnights before and after a UTC time."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight, midnight + timedelta(days=1)


def reached_limit(
    limits: AccountLimits, usage: AccountUsage, request_usd_nanos: int, now: datetime
) -> ReachedLimit | None:
    """The first limit that one more request would exceed; None when it is admitted.

    Args:
        request_usd_nanos: the cheapest known price of the request; 0 when none is known, and then it is
            admitted while anything is left.
        now: aware UTC time.
    """
    if limits.requests_per_minute and usage.requests_left <= 0:
        wait_s = math.ceil(usage.requests_wait_s)
        return ReachedLimit(
            limit=Limit.REQUESTS_PER_MINUTE,
            message=f"more than {limits.requests_per_minute} create calls in a minute",
            reset_at=now + timedelta(seconds=wait_s),
            retry_after_s=wait_s,
        )
    if limits.max_open_jobs and usage.open_jobs >= limits.max_open_jobs:
        return ReachedLimit(
            limit=Limit.MAX_OPEN_JOBS,
            message=f"{usage.open_jobs} jobs are open, {limits.max_open_jobs} may be",
            reset_at=now + timedelta(seconds=OPEN_JOBS_RETRY_S),
            retry_after_s=OPEN_JOBS_RETRY_S,
        )
    budget = round(limits.max_usd_per_day * NANOS_PER_USD)
    if budget and (usage.usd_nanos >= budget or usage.usd_nanos + request_usd_nanos > budget):
        left_usd = max(0, budget - usage.usd_nanos) / NANOS_PER_USD
        return ReachedLimit(
            limit=Limit.MAX_USD_PER_DAY,
            message=(
                f"{left_usd:g} of {limits.max_usd_per_day:g} USD are left today, "
                "with what open jobs are expected to cost"
            ),
            reset_at=day_of(now)[1],
            min_usd_nanos=request_usd_nanos,
        )
    return None


def rate_limit_fields(limits: AccountLimits, usage: AccountUsage) -> dict[str, str]:
    """The ``RateLimit`` headers of an account; none when it has no limit.

    The spend of a day is not among them: the draft's registry has no unit for it.

    Source: draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4, 23 May 2026. An open job is what it
    calls a concurrent request.
    """
    policies, states = [], []
    if limits.requests_per_minute:
        policies.append(f'"requests-per-minute";q={limits.requests_per_minute};w={_MINUTE_S}')
        # Only when nothing is left: Retry-After must not end before the window (section 6), whatever limit it
        # is of.
        window = "" if usage.requests_left > 0 else f";t={math.ceil(usage.requests_wait_s)}"
        states.append(f'"requests-per-minute";r={usage.requests_left}{window}')
    if limits.max_open_jobs:
        policies.append(f'"open-jobs";q={limits.max_open_jobs};qu="concurrent-requests"')
        states.append(f'"open-jobs";r={max(0, limits.max_open_jobs - usage.open_jobs)}')
    if not policies:
        return {}
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}
