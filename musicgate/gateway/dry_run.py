"""The dry run as callers see it: candidates in order with native request, warnings and price, and why the others are left out."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from musicgate.answers import render_request, render_usage, render_warning
from musicgate.breaker import BreakerState
from musicgate.catalogue import render_health
from musicgate.model import Meter, Usage
from musicgate.pricing import price_lines

if TYPE_CHECKING:
    from musicgate.gateway.prepare import Choice, Preparation
    from musicgate.model import MusicRequest


def render_plan(request: MusicRequest, prepared: Preparation) -> dict[str, object]:
    """A plan in the shape of the published schema ``plan``."""
    own = [render_warning(warning) for warning in prepared.warnings]
    return {
        "object": "plan",
        "model": prepared.model,
        "candidates": [_candidate(request, choice, own) for choice in prepared.choices],
        "excluded": [
            {"provider_plugin": item.plugin, "reason": item.reason, "message": item.message}
            for item in prepared.excluded
        ],
    }


def _candidate(request: MusicRequest, choice: Choice, own: list[dict[str, object]]) -> dict[str, object]:
    live, translation = choice.live, choice.translation
    item = {
        "provider": live.provider.name,
        "provider_plugin": live.name,
        "native_model": translation.native_model,
        "configured": live.key is not None,
        "upstream_request": render_request(translation.request, {}),
        "warnings": own + [render_warning(warning) for warning in translation.warnings],
        "price": _expected_price(request, choice),
    }
    if choice.health.state is not BreakerState.CLOSED:
        item["health"] = render_health(choice.health)
    return item


def _expected_price(request: MusicRequest, choice: Choice) -> object:
    """What it will cost if all goes well; None where the rate card is unknown or counts seconds that nobody asked for."""
    offer = choice.candidate.offer
    seconds = Decimal((request.duration_s or 0) * offer.tracks)
    if not offer.prices or (
        not seconds and any(rule.meter is Meter.OUTPUT_AUDIO_SECONDS for rule in offer.prices)
    ):
        return None
    quantities = {
        Meter.REQUESTS: Decimal(1),
        Meter.OUTPUT_AUDIO_COUNT: Decimal(offer.tracks),
        Meter.OUTPUT_AUDIO_SECONDS: seconds,
    }
    return render_usage(Usage(lines=price_lines(offer.prices, quantities))).get("pricing_breakdown")
