"""The circuit breaker of one provider: whether its vendor answers at all, and when to ask it again.

Pure rules: no clock, no plugin, no randomness. The breaker only moves a provider to the end of the order; no
request is refused because of it. It counts create calls, and of those only whether the vendor was there
(`musicgate.model.FailureRule`). A vendor that refuses is there: no caller can take a provider away from the
others with requests that make no sense.

========= ========================================== =====================================================
state     changes when                               asked
========= ========================================== =====================================================
closed    of at least 8 calls in a minute half are   in its place
          errors: open for 30 s
open      its time is over: half open.               after the others
          Five good calls in a row: closed
half open one error: open for twice as long, at most one request in twenty in its place, beginning with the
          15 minutes. Five good calls in a row:      first; the others after the other providers
          closed
========= ========================================== =====================================================

A provider without an alternative, or after a refusal of all others, is asked in any state, and its answer
counts. So the only vendor of a model closes its breaker as soon as it is back.
Source of the numbers: the reference gateway's behaviour, August 2026.
"""

from __future__ import annotations

from typing import NamedTuple

import attrs

from musicgate.model import BreakerState, changed

OPENING_ERROR_RATE = 0.5
LEAST_CALLS = 8
COUNTED_S = 60.0
FIRST_OPEN_S = 30.0
LONGEST_OPEN_S = 900.0
#: One request in so many is a probe.
PROBE_EVERY = 20
GOOD_TO_CLOSE = 5
#: Calls are counted in slices of time, so that memory does not grow with the traffic.
_SLICE_S = 10.0


class Slice(NamedTuple):
    """Calls and errors within ten seconds."""

    began_s: float
    calls: int = 0
    errors: int = 0


@attrs.frozen(kw_only=True, weakref_slot=False)
class Breaker:
    """The state of one provider's breaker. Times are seconds of any one clock.

    Attributes:
        slices: the counts of the last minute, oldest first.
        open_until_s: end of the open time; None = closed.
        open_for_s: how long the open time is.
        good_calls: good calls in a row since it opened.
        requests: requests that were planned while it was half open.
    """

    slices: tuple[Slice, ...] = ()
    open_until_s: float | None = None
    open_for_s: float = 0.0
    good_calls: int = 0
    requests: int = 0

    def state(self, now_s: float) -> BreakerState:
        """The state at a moment. An end beyond any open time means a clock set back: then it is over."""
        if self.open_until_s is None:
            return BreakerState.CLOSED
        waits = 0 < self.open_until_s - now_s <= LONGEST_OPEN_S
        return BreakerState.OPEN if waits else BreakerState.HALF_OPEN

    def keeps_its_place(self, now_s: float) -> bool:
        """True if the next request asks this provider in its place: closed, or a probe."""
        state = self.state(now_s)
        probe = state is BreakerState.HALF_OPEN and self.requests % PROBE_EVERY == 0
        return state is BreakerState.CLOSED or probe

    def calls(self, now_s: float) -> tuple[int, int]:
        """Calls of the last minute, and how many of them were errors."""
        counted = self._counted(now_s)
        return sum(part.calls for part in counted), sum(part.errors for part in counted)

    def with_request(self, now_s: float) -> Breaker:
        """The breaker after a request for which this provider was a candidate."""
        if self.open_until_s is None or self.state(now_s) is not BreakerState.HALF_OPEN:
            return self
        return attrs.evolve(self, requests=self.requests + 1)

    def with_call(self, now_s: float, *, was_there: bool) -> Breaker:
        """The breaker after a create call."""
        counted = self._with_count(now_s, was_there=was_there)
        if self.open_until_s is None:
            if was_there:
                return counted
            calls, errors = counted.calls(now_s)
            opens = calls >= LEAST_CALLS and errors >= calls * OPENING_ERROR_RATE
            return _opened(counted, now_s) if opens else counted
        if was_there:
            good_calls = self.good_calls + 1
            return Breaker() if good_calls >= GOOD_TO_CLOSE else attrs.evolve(counted, good_calls=good_calls)
        if self.state(now_s) is BreakerState.HALF_OPEN:
            return _opened(counted, now_s)
        return attrs.evolve(counted, good_calls=0)

    def _counted(self, now_s: float) -> tuple[Slice, ...]:
        return tuple([part for part in self.slices if now_s - COUNTED_S < part.began_s <= now_s])

    def _with_count(self, now_s: float, *, was_there: bool) -> Breaker:
        slices = self.slices
        if not slices or not now_s - _SLICE_S < slices[-1].began_s <= now_s:
            # Those before the last minute go when one is added.
            slices = (*self._counted(now_s), Slice(now_s))
        last = slices[-1]
        last = Slice(last.began_s, last.calls + 1, last.errors + (not was_there))
        return changed(self, slices=(*slices[:-1], last))


def _opened(breaker: Breaker, now_s: float) -> Breaker:
    open_for_s = min(LONGEST_OPEN_S, breaker.open_for_s * 2 or FIRST_OPEN_S)
    return attrs.evolve(
        breaker, open_until_s=now_s + open_for_s, open_for_s=open_for_s, good_calls=0, requests=0
    )
