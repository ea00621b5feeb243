"""Usage and price of a job, from its delivered audio and a rate card; no store and no vendor.

Nothing here raises, whatever a vendor or a rate card says: a finished job must be settled. An impossible
quantity (a song of no length, or of more than a day) or sum makes the price unknown, which is not the same as
free.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from musicgate.assets import LONGEST_S
from musicgate.model import (
    Meter,
    Offer,
    PriceLine,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.model import PriceRule, Track

NANOS_PER_USD = 1_000_000_000
NANOS_PER_CENT = 10_000_000
#: No job costs more than ten thousand dollars; a larger sum means that a rate card is wrong. A store's 64-bit
#: integers hold the sum of 900,000 such jobs.
MAX_USD_NANOS = 10_000 * NANOS_PER_USD
#: Numbers of a rate card have at most so many digits before the point and after it.
_MAX_DIGITS = 15, 30
#: ASSUMED: length of a song whose request names none, where seconds are priced.
USUAL_SONG_S = 120


def measure_usage(tracks: Sequence[Track], prices: Sequence[PriceRule]) -> Usage:
    """Usage of a completed job, from the tracks that have audio.

    Seconds are measured where we keep the audio, else the vendor's. A track of unknown or impossible length
    counts as a track only, and where seconds are priced the price is then unknown.
    """
    good = [track for track in tracks if track.has_audio]
    lengths_s = [_length_s(track) for track in good]
    seconds = round(math.fsum(length for length in lengths_s if length is not None), 3)
    quantities = {Meter.REQUESTS: Decimal(1), Meter.OUTPUT_AUDIO_COUNT: Decimal(len(good))}
    if None not in lengths_s:
        quantities[Meter.OUTPUT_AUDIO_SECONDS] = Decimal(str(seconds))
    return Usage(
        output_audio_count=len(good),
        output_audio_seconds=seconds,
        lines=price_lines(prices, quantities) if prices else None,
    )


def why_unpriced(usage: Usage, prices: Sequence[PriceRule]) -> str | None:
    """Why a job has no price although its model has a rate card; None if there is nothing to report."""
    if not prices or usage.lines is not None:
        return None
    return (
        "the price is not known: the length of a track is unknown or impossible, "
        "or the rate card leads to a sum that cannot be"
    )


def _length_s(track: Track) -> float | None:
    """The seconds of a track; None if they are unknown or impossible."""
    length_s = track.asset.duration_s if track.asset else track.duration_s
    return length_s if length_s is not None and 0 < length_s <= LONGEST_S else None


def price_lines(
    prices: Sequence[PriceRule], quantities: Mapping[Meter, Decimal]
) -> tuple[PriceLine, ...] | None:
    """One line per rule; None if one cannot be computed. A meter without a rule is free."""
    lines = []
    for rule in prices:
        quantity = quantities.get(rule.meter)
        if quantity is None or not all(map(_is_sane, (quantity, rule.price_usd, rule.unit_size))):
            return None
        if not rule.unit_size:
            return None
        usd = Fraction(quantity) * Fraction(rule.price_usd) / Fraction(rule.unit_size)
        lines.append(
            PriceLine(
                meter=rule.meter,
                quantity=quantity,
                unit_size=rule.unit_size,
                price_per_unit_usd=rule.price_usd,
                price_usd_nanos=usd_nanos(usd),
            )
        )
    return tuple(lines) if sum(line.price_usd_nanos for line in lines) <= MAX_USD_NANOS else None


def _is_sane(number: Decimal) -> bool:
    """True if a number is finite, not negative, and short enough for exact arithmetic to be cheap."""
    digits = number.as_tuple()
    before, after = _MAX_DIGITS
    return (
        isinstance(digits.exponent, int)  # neither infinite nor NaN
        and not digits.sign
        and -after <= digits.exponent
        and len(digits.digits) + digits.exponent <= before
    )


def usd_nanos(usd: Decimal | Fraction) -> int:
    """Dollars as whole billionths, rounded half up."""
    return math.floor(Fraction(usd) * NANOS_PER_USD + Fraction(1, 2))


def expected_usd_nanos(offer: Offer, duration_s: int | None) -> int | None:
    """The likely cost of a request in billionths of a dollar; None when the price is not known."""
    if not offer.prices:
        return None
    quantities = {
        Meter.REQUESTS: Decimal(1),
        Meter.OUTPUT_AUDIO_COUNT: Decimal(offer.tracks),
        Meter.OUTPUT_AUDIO_SECONDS: Decimal((duration_s or USUAL_SONG_S) * offer.tracks),
    }
    lines = price_lines(offer.prices, quantities)
    return None if lines is None else sum(line.price_usd_nanos for line in lines)
