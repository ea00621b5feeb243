"""The circuit breaker of one provider: whether its vendor answers at all, and when it is worth asking again; no clock, no plugin, no chance.

It only moves a provider to the end of the order; nobody is ever refused because of it. It counts create calls, and of those only whether the
vendor was there. A vendor that says "no" is there, whatever it says: no caller can take a provider away from the others by asking nonsense.

========= ================================================== ===========================================================
state     leaves it when                                     asked
========= ================================================== ===========================================================
closed    of at least 8 calls in a minute half are errors:   in its place
          open for 30 s
open      its time is over: half open. Five good calls in a  after the others
          row: closed
half open one error: open for twice as long, 15 minutes at   one wish in twenty in its place (the first one at once), the
          the most. Five good calls in a row: closed         others after the others
========= ================================================== ===========================================================

A provider that is alone, or that every other one refused before, is asked in any state, and what it answers counts. So the only vendor of a
model closes its breaker as soon as it is back. Source of the numbers: the reference gateway's behaviour, August 2026.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from musicgate.model import BreakerState, FailureClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.model import Failure

OPENING_ERROR_RATE = 0.5
LEAST_CALLS = 8
COUNTED_S = 60.0
FIRST_OPEN_S = 30.0
LONGEST_OPEN_S = 900.0
#: One wish in so many is a probe.
PROBE_EVERY = 20
GOOD_TO_CLOSE = 5
#: Calls are counted by slices of time, so that the memory does not grow with the traffic.
_SLICE_S = 10.0

#: What a failed create call says about its vendor: True = it was there, False = it was not. A class that is missing says nothing.
IS_THERE: Mapping[FailureClass, bool] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                FailureClass.UNAVAILABLE,
                FailureClass.UPSTREAM_FAILED,
                FailureClass.TIMEOUT,
                FailureClass.PROTOCOL,
                FailureClass.UNKNOWN_OUTCOME,
            ),
            False,
        ),
        **dict.fromkeys(
            (
                FailureClass.AUTH,
                FailureClass.FORBIDDEN,
                FailureClass.CREDITS,
                FailureClass.RATE_LIMITED,
                FailureClass.INVALID,
                FailureClass.MODERATION,
                FailureClass.UNSUPPORTED,
                FailureClass.NOT_FOUND,
                FailureClass.CONFLICT,
            ),
            True,
        ),
    }
)


@attrs.frozen
class Slice:
    """Calls and errors of ten seconds."""

    began_s: float
    calls: int = 0
    errors: int = 0


@attrs.frozen(kw_only=True)
class Breaker:
    """What is known of one provider. Times are seconds of any one clock.

    Attributes:
        slices: the counts of the last minute, oldest first.
        open_until_s: end of the open time; None = closed.
        open_for_s: how long the open time is.
        good_calls: good calls in a row since it opened.
        wishes: wishes that came by while it was half open.
    """

    slices: tuple[Slice, ...] = ()
    open_until_s: float | None = None
    open_for_s: float = 0.0
    good_calls: int = 0
    wishes: int = 0

    def state(self, now_s: float) -> BreakerState:
        """The state at a moment. An end further away than any open time means that the clock was set back; then it is over."""
        if self.open_until_s is None:
            return BreakerState.CLOSED
        waits = 0 < self.open_until_s - now_s <= LONGEST_OPEN_S
        return BreakerState.OPEN if waits else BreakerState.HALF_OPEN

    def keeps_its_place(self, now_s: float) -> bool:
        """True if the next wish asks this provider in its place: it is closed, or the wish is a probe."""
        state = self.state(now_s)
        probe = state is BreakerState.HALF_OPEN and self.wishes % PROBE_EVERY == 0
        return state is BreakerState.CLOSED or probe

    def calls(self, now_s: float) -> tuple[int, int]:
        """Calls of the last minute, and how many of them were errors."""
        counted = self._counted(now_s)
        return sum(part.calls for part in counted), sum(part.errors for part in counted)

    def with_request(self, now_s: float) -> Breaker:
        """After a wish for which this provider was a candidate."""
        if self.state(now_s) is not BreakerState.HALF_OPEN:
            return self
        return attrs.evolve(self, wishes=self.wishes + 1)

    def with_call(self, now_s: float, *, was_there: bool) -> Breaker:
        """After a create call."""
        counted = self._with_count(now_s, was_there=was_there)
        if self.open_until_s is None:
            calls, errors = counted.calls(now_s)
            opens = not was_there and calls >= LEAST_CALLS and errors >= calls * OPENING_ERROR_RATE
            return _opened(counted, now_s) if opens else counted
        if was_there:
            good_calls = self.good_calls + 1
            return Breaker() if good_calls >= GOOD_TO_CLOSE else attrs.evolve(counted, good_calls=good_calls)
        if self.state(now_s) is BreakerState.HALF_OPEN:
            return _opened(counted, now_s)
        return attrs.evolve(counted, good_calls=0)

    def _counted(self, now_s: float) -> tuple[Slice, ...]:
        return tuple(part for part in self.slices if now_s - COUNTED_S < part.began_s <= now_s)

    def _with_count(self, now_s: float, *, was_there: bool) -> Breaker:
        counted = self._counted(now_s)
        if not counted or counted[-1].began_s <= now_s - _SLICE_S:
            counted = (*counted, Slice(now_s))
        last = counted[-1]
        last = attrs.evolve(last, calls=last.calls + 1, errors=last.errors + (not was_there))
        return attrs.evolve(self, slices=(*counted[:-1], last))


def _opened(breaker: Breaker, now_s: float) -> Breaker:
    open_for_s = min(LONGEST_OPEN_S, breaker.open_for_s * 2 or FIRST_OPEN_S)
    return attrs.evolve(
        breaker, open_until_s=now_s + open_for_s, open_for_s=open_for_s, good_calls=0, wishes=0
    )


def was_there(failure: Failure | None) -> bool | None:
    """Whether a vendor was there, from the end of a create call (None = it was taken); None when that says nothing."""
    return True if failure is None else IS_THERE.get(failure.reason)
