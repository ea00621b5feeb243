"""What requests and open jobs are expected to cost: rate cards, remembered. It knows no account."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from musicgate.planning import OfferIndex, expected_usd_nanos, strip_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.model import Job, MusicRequest, Provider

#: Prices that are remembered: a rate card is exact arithmetic, and the same few models are asked for.
_MAX_PRICES = 1_000


class ExpectedPrices:
    """Expected prices in billionths of a dollar; 0 when one is not known.

    Args:
        providers: the declarations by plugin.
    """

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._offers = OfferIndex(providers.values())
        self._price = functools.lru_cache(_MAX_PRICES)(self._expected)

    def of_request(self, request: MusicRequest) -> int:
        """The lowest known price of any provider."""
        return self._price(strip_suffix(request.model), None, request.duration_s)

    def of_offer(self, model: str, plugin: str, request: MusicRequest) -> int:
        """The price of a request at one provider."""
        return self._price(model, plugin, request.duration_s)

    def of_job(self, job: Job) -> int:
        """The price of a job at the provider of its last attempt."""
        attempt = job.attempt
        return 0 if attempt is None else self.of_offer(attempt.model, attempt.plugin, job.request)

    def _expected(self, model: str, plugin: str | None, duration_s: int | None) -> int:
        if plugin is None:
            offers = list(self._offers.offers(model).values())
        else:
            offer = self._offers.offer_of(plugin, model)
            offers = [] if offer is None else [offer]
        prices = [expected_usd_nanos(offer, duration_s) for offer in offers]
        return min((price for price in prices if price is not None), default=0)
