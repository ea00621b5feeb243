"""Counters and histograms of one process, in memory; counting is an addition of integers.

It knows numbers and labels, and must not know the library that shows them, nor what a job is. Values are
counted and read on the event loop, so there is no lock. Start with `histogram`.
"""

from musicgate.metrics.figures import Figures
from musicgate.metrics.histogram import (
    CALL_BOUNDS_S,
    DELAY_BOUNDS_S,
    STATUS_CLASSES,
    Commits,
    Histogram,
    Histograms,
)

__all__ = [
    "CALL_BOUNDS_S",
    "DELAY_BOUNDS_S",
    "STATUS_CLASSES",
    "Commits",
    "Figures",
    "Histogram",
    "Histograms",
]
