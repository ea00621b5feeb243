"""Keep one provider's circuit breaker: count create calls, report health, log opening and closing.

In memory only; the rules are in `musicgate.engine.breaker`. Its seconds are those of the steady clock times
the speed, so that in a sandbox all of its times shrink with the others.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from musicgate.engine.breaker import Breaker
from musicgate.model import Failure, HealthReport

_log = logging.getLogger(__name__)


class ProviderHealth:
    """One provider's breaker."""

    def __init__(self, plugin: str, speed: float = 1.0) -> None:
        self._plugin = plugin
        self._speed = speed
        self._breaker = Breaker()

    def note_call(self, failure: Failure | None, steady: datetime) -> None:
        """Count the end of a create call; None = the vendor took it."""
        was_there = True if failure is None else failure.rule.is_there
        if was_there is None:
            return
        before, now_s = self._breaker, self._seconds(steady)
        self._breaker = before.with_call(now_s, was_there=was_there)
        if self._breaker.open_until_s == before.open_until_s:
            return
        report = self.report(steady)
        if report.opens_until is None:
            _log.warning("breaker closed: plugin=%s", self._plugin)
        else:
            errors = round(report.error_rate * report.calls)
            until = report.opens_until.isoformat(timespec="seconds")
            _log.warning(
                "breaker opened: plugin=%s errors=%d calls=%d until=%s",
                *(self._plugin, errors, report.calls, until),
            )

    def note_request(self, steady: datetime) -> None:
        """Count a request for which this provider was a candidate; some of them are probes."""
        if self._breaker.open_until_s is None:
            return
        self._breaker = self._breaker.with_request(self._seconds(steady))

    def trouble(self, steady: datetime) -> HealthReport | None:
        """The report while the breaker is not closed; None while it is."""
        return None if self._breaker.open_until_s is None else self.report(steady)

    def report(self, steady: datetime) -> HealthReport:
        """The state of the breaker, and the calls of the last minute."""
        now_s, breaker = self._seconds(steady), self._breaker
        calls, errors = breaker.calls(now_s)
        until_s = breaker.open_until_s
        return HealthReport(
            state=breaker.state(now_s),
            error_rate=errors / calls if calls else 0.0,
            calls=calls,
            opens_until=None if until_s is None else datetime.fromtimestamp(until_s / self._speed, UTC),
            keeps_its_place=breaker.keeps_its_place(now_s),
        )

    def _seconds(self, steady: datetime) -> float:
        return steady.timestamp() * self._speed
