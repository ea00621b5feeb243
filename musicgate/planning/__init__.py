"""From a request to a plan: candidates in order, each with its native request; and prices.

It sends and stores nothing, and knows of the gateway's state only the health reports that are handed in.
Start with `plan`.
"""

from musicgate.planning.plan import (
    Candidate,
    Choice,
    Plan,
    Planner,
)
from musicgate.planning.pricing import (
    NANOS_PER_CENT,
    NANOS_PER_USD,
    expected_usd_nanos,
    measure_usage,
    price_lines,
    why_unpriced,
)
from musicgate.planning.routing import (
    Exclusion,
    OfferIndex,
    find_offer,
    fold_name,
    strip_suffix,
)

__all__ = [
    "NANOS_PER_CENT",
    "NANOS_PER_USD",
    "Candidate",
    "Choice",
    "Exclusion",
    "OfferIndex",
    "Plan",
    "Planner",
    "expected_usd_nanos",
    "find_offer",
    "fold_name",
    "measure_usage",
    "price_lines",
    "strip_suffix",
    "why_unpriced",
]
