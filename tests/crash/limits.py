"""What accounts and vendors were asked for at a time, from the records of both sides; pure functions.

Where a moment is only known to lie between two times, they count what is certain: no complaint is made that
a slow machine could explain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """The most spans that overlap; one that ends as another begins does not overlap it."""
    return int(most_amount((began, ended, 1.0, 0.0) for began, ended in spans))


def most_amount(spans: Iterable[tuple[float, float, float, float]]) -> float:
    """The greatest sum at any time of amounts, each for its span, and another amount from its end on."""
    changes = sorted(
        change
        for began, ended, amount, rest in spans
        for change in ((began, 1, amount), (ended, 0, rest - amount))
    )
    most = total = 0.0
    for place, (at, _, amount) in enumerate(changes):
        total += amount
        if place + 1 == len(changes) or changes[place + 1][0] != at:
            most = max(most, total)
    return most


def most_within(spans: Iterable[tuple[float, float]], seconds: float) -> int:
    """The most moments that were certainly within so many seconds; each lies in a span of its own."""
    ordered = sorted(spans)
    most = 0
    for place, (start, _) in enumerate(ordered):
        count = 0
        for earliest, latest in ordered[place:]:
            if earliest >= start + seconds:
                break
            count += latest < start + seconds
        most = max(most, count)
    return most
