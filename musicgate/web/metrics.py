"""``GET /metrics``: the figures of `musicgate.web.families` for Prometheus, also as OpenMetrics.

The only module that knows prometheus-client. Values are read on the event loop and written as text on a
thread, so that an answer shows one moment and holds nothing up.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

from musicgate.aio import offload
from musicgate.errors import UnauthorisedError
from musicgate.gateway import measure_gateway
from musicgate.metrics import Histogram
from musicgate.web.families import FAMILIES, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from musicgate.gateway import Gateway
    from musicgate.metrics import Histograms
    from musicgate.web.auth import Accounts
    from musicgate.web.capacity import Capacity
    from musicgate.web.families import Family
    from musicgate.web.loop_lag import LoopLag

_PREFIX: Final = "musicgate_"
_OPENMETRICS: Final = "application/openmetrics-text"
_SCHEME: Final = "Bearer "


class MetricsRoute:
    """The handler, for readers that `server.metrics` allows."""

    def __init__(
        self,
        gateway: Gateway,
        accounts: Accounts,
        requests: Histograms,
        capacities: Sequence[Capacity],
        loop_lag: LoopLag,
    ) -> None:
        """Show one gateway.

        Args:
            requests: seconds of answered requests, by method, route and status class.
            capacities: what requests and streams occupy.
        """
        self._gateway = gateway
        self._accounts = accounts
        self._requests = requests
        self._capacities = capacities
        self._loop_lag = loop_lag
        registry = CollectorRegistry()  # they register with the library's own one otherwise
        self._process: tuple[Collector, ...] = (
            ProcessCollector(registry=registry),
            PlatformCollector(registry=registry),
            GCCollector(registry=registry),
        )

    def routes(self) -> list[web.RouteDef]:
        """Return the route, unless it is switched off."""
        return [] if self._gateway.settings.server.metrics == "off" else [web.get("/metrics", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """``GET /metrics``."""
        self._check(request)
        reading = Reading(
            measures=await measure_gateway(self._gateway),
            requests=self._requests,
            held={capacity.name: capacity.count for capacity in self._capacities},
            loop_lag=self._loop_lag.histogram,
        )
        scrape = _Scrape([_metric(family, reading) for family in FAMILIES], self._process)
        encode, content_type = _encoder(", ".join(request.headers.getall("Accept", [])))
        body = await offload(lambda: encode(scrape), is_large=True)
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    def _check(self, request: web.Request) -> None:
        """Refuse readers who may not read.

        Raises:
            UnauthorisedError: the token is missing or wrong, or none is set.
        """
        server = self._gateway.settings.server
        if server.metrics == "open":
            return
        if server.metrics_token is None:
            if self._accounts.is_open:
                self._accounts.identify(request)  # this machine, and no web page
                return
            message = "set server.metrics_token to read /metrics, or server.metrics to open or off"
            raise UnauthorisedError("missing_or_invalid_authorization_header", message)
        headers = request.headers.getall("Authorization", [])
        if len(headers) != 1 or not headers[0].startswith(_SCHEME):
            message = "send Authorization: Bearer <server.metrics_token>"
            raise UnauthorisedError("missing_or_invalid_authorization_header", message)
        given = headers[0].removeprefix(_SCHEME)
        if not hmac.compare_digest(_digest(given), _digest(server.metrics_token.reveal())):
            raise UnauthorisedError("key_not_found_or_revoked", "this is not server.metrics_token")


class _Scrape(Collector):
    """One answer."""

    def __init__(self, metrics: Sequence[Metric], more: Sequence[Collector]) -> None:
        self._metrics = metrics
        self._more = more

    def collect(self) -> Iterable[Metric]:
        """Yield the figures of the gateway, then those of the process."""
        yield from self._metrics
        for collector in self._more:
            yield from collector.collect()


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """The format for an ``Accept`` header.

    Not the library's `choose_encoder`, which raises for a version that is no number (0.26).
    """
    if _OPENMETRICS in {part.partition(";")[0].strip().lower() for part in accept.split(",")}:
        return openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest, CONTENT_TYPE_PLAIN_0_0_4


def _metric(family: Family, reading: Reading) -> Metric:
    name = _PREFIX + family.name
    if family.kind == "histogram":
        histograms = HistogramMetricFamily(name, family.about, labels=family.labels)
        for labels, value in family.read(reading):
            assert isinstance(value, Histogram)  # noqa: S101 - the family says so
            ends = [*map(floatToGoString, value.bounds), "+Inf"]
            histograms.add_metric(
                labels, list(zip(ends, map(float, value.cumulative()), strict=True)), value.total
            )
        return histograms
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    numbers = kind(name, family.about, labels=family.labels)
    for labels, value in family.read(reading):
        assert not isinstance(value, Histogram)  # noqa: S101 - the family says so
        numbers.add_metric(labels, float(value))
    return numbers


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
