"""Usage and prices: the meters of a finished job, and the rate card of an offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.model import Ability, Meter
from musicgate.planning import NANOS_PER_CENT
from musicgate.views.scalars import decimal_text, usd_text

if TYPE_CHECKING:
    from musicgate.model import MusicRequest, Offer, Usage


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


def render_expected_usage(request: MusicRequest, offer: Offer | None) -> dict[str, object]:
    """Render the meters of a job that has just been created.

    Args:
        offer: the offer that makes the music, where it is known. If it prices seconds and follows the
            requested duration, the seconds of all its tracks are expected.
    """
    answer: dict[str, object] = {"requests": 1}
    if request.duration_s is None or offer is None or Ability.DURATION not in offer.abilities:
        return answer
    if any(rule.meter is Meter.OUTPUT_AUDIO_SECONDS for rule in offer.prices):
        answer["output_audio_seconds"] = request.duration_s * offer.tracks
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
