"""What one account may use, as settings; how it is counted is `musicgate.engine.limits`."""

from __future__ import annotations

from typing import ClassVar

import attrs

from musicgate.settings.rules import Number, Rule, Whole, rule_of


@attrs.frozen(kw_only=True)
class AccountLimits:
    """What one account may do; 0 = no limit."""

    SECTION: ClassVar[str] = "limits"

    #: Create calls in any 60 seconds; each one is remembered for that long.
    requests_per_minute: int = attrs.field(
        default=0, validator=Whole(at_least=0, at_most=1_000_000, unit="calls")
    )
    #: Jobs that have not ended.
    max_open_jobs: int = attrs.field(
        default=0, validator=Whole(at_least=0, at_most=1_000_000_000, unit="jobs")
    )
    #: US dollars from midnight to midnight UTC.
    max_usd_per_day: float = attrs.field(
        default=0.0, validator=Number(at_least=0, at_most=1_000_000_000, unit="US dollars")
    )


def limit_rule(name: str) -> Rule:
    """The rule of one limit where it may be left unsaid: in an account's own table."""
    rule = rule_of(attrs.fields_dict(AccountLimits)[name])
    return attrs.evolve(rule, or_none=True)
