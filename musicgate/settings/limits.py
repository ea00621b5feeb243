"""Settings that limit what one account may use; `musicgate.engine` enforces them."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from musicgate.settings.rules import Number, Whole, rule_of, setting


@attrs.frozen(kw_only=True)
class AccountLimits:
    """What each account may use, and a server without accounts; 0 = no limit."""

    SECTION: ClassVar[str] = "limits"

    requests_per_minute: int = setting(
        Whole(at_least=0, at_most=1_000_000, unit="calls"),
        default=0,
        doc="Create calls and webhook tests in any 60 seconds. An idempotent replay does not count.",
    )
    max_open_jobs: int = setting(
        Whole(at_least=0, at_most=1_000_000_000, unit="jobs"), default=0, doc="Jobs that have not ended."
    )
    max_usd_per_day: float = setting(
        Number(at_least=0, at_most=1_000_000_000, unit="US dollars"),
        default=0.0,
        doc="Daily spend, from midnight UTC: the cost of ended jobs and the expected cost of open ones.",
    )

    @property
    def has_any(self) -> bool:
        """True if anything is limited."""
        return bool(self.requests_per_minute or self.max_open_jobs or self.max_usd_per_day)


def override(name: str) -> Any:
    """A field of an account that overrides one of `AccountLimits`; None = not overridden."""
    rule = attrs.evolve(rule_of(attrs.fields_dict(AccountLimits)[name]), or_none=True)
    return setting(rule, default=None, doc=f"Overrides `{name}` of `[limits]`; 0 = no limit.")
