"""Histograms with fixed bounds: an observation is a binary search and two additions.

The classes of prometheus-client take a lock and a look-up by label for each observation, ten times as long;
what is counted here is handed to that library when it is read.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Calls over a network, and requests: from an answer out of memory to a vendor whose call lasts as long as
#: the song.
CALL_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
#: What should not happen at all: a late step, a blocked event loop.
DELAY_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
#: A durable write.
WRITE_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
#: How many writes one commit has.
SIZE_BOUNDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
#: The label of an HTTP status, by its first digit.
STATUS_CLASSES: Final = {digit: f"{digit}xx" for digit in range(1, 6)}


class Histogram:
    """Numbers by size.

    Attributes:
        bounds: upper ends of the buckets, each inclusive; the last bucket has none.
        total: sum of all numbers.
        count: how many there were.
    """

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.total = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a number."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many numbers were counted."""
        return sum(self._counts)

    def cumulative(self) -> list[int]:
        """How many numbers were at most each bound; the last one is how many there were."""
        return list(accumulate(self._counts))


class Commits:
    """Commits of a store: how many writes each had, and how many seconds it took."""

    __slots__ = ("durations", "sizes")

    def __init__(self) -> None:
        self.sizes = Histogram(SIZE_BOUNDS)
        self.durations = Histogram(WRITE_BOUNDS_S)

    def note(self, size: int, duration_s: float) -> None:
        """Count a commit."""
        self.sizes.observe(size)
        self.durations.observe(duration_s)


class Histograms:
    """Histograms with the same bounds, by labels."""

    __slots__ = ("_bounds", "_by_labels")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._by_labels: dict[tuple[str, ...], Histogram] = {}

    def of(self, *labels: str) -> Histogram:
        """The histogram of these labels, made when it is first asked for."""
        found = self._by_labels.get(labels)
        if found is None:
            found = self._by_labels[labels] = Histogram(self._bounds)
        return found

    def observe(self, labels: tuple[str, ...], value: float) -> None:
        """Count a number under its labels."""
        found = self._by_labels.get(labels)
        (self.of(*labels) if found is None else found).observe(value)

    def items(self) -> Iterator[tuple[tuple[str, ...], Histogram]]:
        """Labels and histograms."""
        yield from self._by_labels.items()
