"""Settings that an account may override: what it may use, and how long its jobs are kept."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import attrs

from musicgate.settings.rules import Number, Whole, rule_of, setting

_YEAR_S: Final = 31_536_000


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


@attrs.frozen(kw_only=True)
class RetentionSettings:
    """How long ended jobs and their audio are kept; 0 = forever. Open jobs are never removed."""

    SECTION: ClassVar[str] = "retention"

    jobs_days: float = setting(
        Number(at_least=0, unit="days"),
        default=0.0,
        doc="How long a job is kept after its end, with its events and audio.",
    )
    audio_days: float = setting(
        Number(at_least=0, unit="days"), default=0.0, doc="How long a job's audio is kept after its end."
    )
    idempotency_hours: float = setting(
        Number(at_least=24, unit="hours"), default=48.0, doc="How long an `Idempotency-Key` is remembered."
    )
    sweep_s: float = setting(
        Number(more_than=0, at_most=_YEAR_S, unit="seconds"),
        default=600.0,
        doc="Time between two runs of the sweeper.",
    )


def override(name: str, section: type[Any] = AccountLimits, none: str = "no limit") -> Any:
    """A field of an account that overrides one of a section; None = not overridden."""
    rule = attrs.evolve(rule_of(attrs.fields_dict(section)[name]), or_none=True)
    return setting(rule, default=None, doc=f"Overrides `{name}` of `[{section.SECTION}]`; 0 = {none}.")
