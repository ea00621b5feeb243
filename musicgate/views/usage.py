"""Usage and prices: the meters of a finished job, and the rate card of an offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.planning import NANOS_PER_CENT
from musicgate.views.scalars import decimal_text, usd_text

if TYPE_CHECKING:
    from musicgate.model import Offer, Usage


def render_usage(usage: Usage) -> dict[str, object]:
    """Render the meters, with the price where it is known. Unknown seconds are left out."""
    answer: dict[str, object] = {"requests": usage.requests, "output_audio_count": usage.output_audio_count}
    if usage.output_audio_seconds:
        answer["output_audio_seconds"] = usage.output_audio_seconds
    total_nanos = usage.total_usd_nanos
    if usage.lines is not None and total_nanos is not None:
        answer["pricing_breakdown"] = {
            "total_nanos": total_nanos,
            "total_usd_str": usd_text(total_nanos),
            "total_cents": total_nanos // NANOS_PER_CENT,
            "currency": "USD",
            "lines": [
                {
                    "meter": line.meter.value,
                    "quantity": float(line.quantity),
                    "unit_size": float(line.unit_size),
                    "price_per_unit": decimal_text(line.price_per_unit_usd),
                    "line_nanos": line.price_usd_nanos,
                }
                for line in usage.lines
            ],
        }
    return answer


def render_rate_card(offer: Offer) -> list[dict[str, object]] | None:
    """Render the price rules of an offer; None if its price is not known."""
    if not offer.prices:
        return None
    return [
        {
            "meter": rule.meter.value,
            "unit_size": float(rule.unit_size),
            "price_per_unit": decimal_text(rule.price_usd),
            "currency": "USD",
        }
        for rule in offer.prices
    ]
