"""From a rate card and the delivered audio to what a job used and costs; exact numbers, no store and no vendor."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from musicgate.model import Meter, Offer, PriceLine, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.model import PriceRule, Track

NANOS_PER_USD = 1_000_000_000
NANOS_PER_CENT = 10_000_000
#: ASSUMED: length of a song whose wish names none, where seconds are what is paid for.
USUAL_SONG_S = 120


def measure_usage(tracks: Sequence[Track], prices: Sequence[PriceRule]) -> Usage:
    """Usage of a completed job, from the tracks that have audio.

    Seconds are the kept audio's where we keep it (measured), else the vendor's; a track of unknown length counts as a track only.
    """
    good = [track for track in tracks if track.has_audio]
    lengths_s = [track.asset.duration_s if track.asset else track.duration_s for track in good]
    seconds = round(sum(length for length in lengths_s if length), 3)
    quantities = {
        Meter.REQUESTS: Decimal(1),
        Meter.OUTPUT_AUDIO_COUNT: Decimal(len(good)),
        Meter.OUTPUT_AUDIO_SECONDS: Decimal(str(seconds)),
    }
    return Usage(
        output_audio_count=len(good),
        output_audio_seconds=seconds,
        lines=price_lines(prices, quantities) if prices else None,
    )


def price_lines(prices: Sequence[PriceRule], quantities: Mapping[Meter, Decimal]) -> tuple[PriceLine, ...]:
    """One line per rule of the rate card. A meter without a rule is free."""
    return tuple(
        PriceLine(
            meter=rule.meter,
            quantity=quantities[rule.meter],
            unit_size=rule.unit_size,
            price_per_unit_usd=rule.price_usd,
            price_usd_nanos=usd_nanos(quantities[rule.meter] / rule.unit_size * rule.price_usd),
        )
        for rule in prices
    )


def usd_nanos(usd: Decimal) -> int:
    """Dollars as whole billionths, rounded half up."""
    return int((usd * NANOS_PER_USD).to_integral_value(ROUND_HALF_UP))


def expected_usd_nanos(offer: Offer, duration_s: int | None) -> int | None:
    """What a wish will cost about, in billionths of a dollar, if all goes well; None when the offer's price is not known."""
    if not offer.prices:
        return None
    quantities = {
        Meter.REQUESTS: Decimal(1),
        Meter.OUTPUT_AUDIO_COUNT: Decimal(offer.tracks),
        Meter.OUTPUT_AUDIO_SECONDS: Decimal((duration_s or USUAL_SONG_S) * offer.tracks),
    }
    return sum(line.price_usd_nanos for line in price_lines(offer.prices, quantities))
