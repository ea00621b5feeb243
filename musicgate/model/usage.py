"""What a finished job used and what it costs, in exact numbers; no rate card and no rule."""

from __future__ import annotations

from decimal import Decimal

import attrs

from musicgate.model.provider import Meter


@attrs.frozen(kw_only=True)
class PriceLine:
    """One priced meter. ``price_usd_nanos`` is in billionths of a dollar, rounded half up."""

    meter: Meter
    quantity: Decimal
    unit_size: Decimal
    price_per_unit_usd: Decimal
    price_usd_nanos: int


@attrs.frozen(kw_only=True)
class Usage:
    """Meters of one job; seconds are measured from the delivered audio where we keep it."""

    requests: int = 1
    output_audio_count: int = 0
    output_audio_seconds: float = 0.0
    #: None = the price is not known.
    lines: tuple[PriceLine, ...] | None = None

    @property
    def total_usd_nanos(self) -> int | None:
        """Sum of the lines in billionths of a dollar; None when no price is known."""
        return None if self.lines is None else sum(line.price_usd_nanos for line in self.lines)
