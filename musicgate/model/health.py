"""The health of a provider, as values; `musicgate.engine.breaker` computes it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs

from musicgate.model.provider import Provider


class BreakerState(StrEnum):
    """The state of a provider's circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@attrs.frozen(kw_only=True)
class HealthReport:
    """How a provider's create calls went.

    Attributes:
        error_rate: share of the last minute's create calls at which the vendor was not there.
        calls: number of create calls in the last minute.
        opens_until: when an open breaker becomes half open; None otherwise.
        keeps_its_place: False if other providers are asked before it.
    """

    state: BreakerState = BreakerState.CLOSED
    error_rate: float = 0.0
    calls: int = 0
    opens_until: datetime | None = None
    keeps_its_place: bool = True


@attrs.frozen(kw_only=True)
class ProviderStatus:
    """A provider of an open gateway.

    Attributes:
        provider: the declaration, with the operator's priority.
        has_key: False = it can be planned, not called.
        waiting: number of create calls that wait for a slot.
    """

    provider: Provider
    has_key: bool
    health: HealthReport
    waiting: int
