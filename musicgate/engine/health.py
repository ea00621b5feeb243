"""Keeps one provider's circuit breaker: takes the ends of its create calls, says how it is, and logs when it opens or closes; in memory only.

The rules are `musicgate.engine.breaker`'s. Its seconds are those of the wall clock times the speed, so that all of its times shrink with the others
in a sandbox.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from musicgate.engine.breaker import Breaker, was_there
from musicgate.model import Failure, HealthReport

_log = logging.getLogger(__name__)


class ProviderHealth:
    """One provider's breaker."""

    def __init__(self, plugin: str, speed: float = 1.0) -> None:
        """Begin closed."""
        self._plugin = plugin
        self._speed = speed
        self._breaker = Breaker()

    def note_call(self, failure: Failure | None, now: datetime) -> None:
        """Count the end of a create call; None = the vendor took it."""
        there = was_there(failure)
        if there is None:
            return
        before, seconds = self._breaker, self._seconds(now)
        self._breaker = before.with_call(seconds, was_there=there)
        if self._breaker.open_until_s == before.open_until_s:
            return
        report = self.report(now)
        if report.opens_until is None:
            _log.warning("%s is back: asked in its place again", self._plugin)
        else:
            _log.warning(
                "%s fails: %d of %d calls in a minute; until %s others are asked before it",
                *(self._plugin, round(report.error_rate * report.calls), report.calls),
                report.opens_until.isoformat(timespec="seconds"),
            )

    def note_request(self, now: datetime) -> None:
        """Count a wish for which this provider was a candidate; some of them are probes."""
        self._breaker = self._breaker.with_request(self._seconds(now))

    def report(self, now: datetime) -> HealthReport:
        """How it is."""
        seconds, breaker = self._seconds(now), self._breaker
        calls, errors = breaker.calls(seconds)
        until_s = breaker.open_until_s
        return HealthReport(
            state=breaker.state(seconds),
            error_rate=errors / calls if calls else 0.0,
            calls=calls,
            opens_until=None if until_s is None else datetime.fromtimestamp(until_s / self._speed, UTC),
            keeps_its_place=breaker.keeps_its_place(seconds),
        )

    def _seconds(self, now: datetime) -> float:
        return now.timestamp() * self._speed
