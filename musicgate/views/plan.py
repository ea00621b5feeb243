"""The dry run as callers see it: candidates in order with native request, warnings and price, and why the others are left out."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from musicgate.model import BreakerState, Meter, Usage
from musicgate.planning import price_lines
from musicgate.views.catalogue import render_health
from musicgate.views.job import render_request, render_usage, render_warning

if TYPE_CHECKING:
    from musicgate.model import MusicRequest
    from musicgate.planning import Candidate, Plan


def render_plan(request: MusicRequest, prepared: Plan) -> dict[str, object]:
    """A plan in the shape of the published schema ``plan``."""
    own = [render_warning(warning) for warning in prepared.warnings]
    return {
        "object": "plan",
        "model": prepared.model,
        "candidates": [_candidate(request, candidate, own) for candidate in prepared.candidates],
        "excluded": [
            {"provider_plugin": item.plugin, "reason": item.reason, "message": item.message}
            for item in prepared.excluded
        ],
    }


def _candidate(
    request: MusicRequest, candidate: Candidate, own: list[dict[str, object]]
) -> dict[str, object]:
    installed, translation = candidate.installed, candidate.translation
    item = {
        "provider": installed.provider.name,
        "provider_plugin": installed.name,
        "native_model": translation.native_model,
        "configured": installed.key is not None,
        "upstream_request": render_request(translation.request, {}),
        "warnings": own + [render_warning(warning) for warning in translation.warnings],
        "price": _expected_price(request, candidate),
    }
    if candidate.health.state is not BreakerState.CLOSED:
        item["health"] = render_health(candidate.health)
    return item


def _expected_price(request: MusicRequest, candidate: Candidate) -> object:
    """What it will cost if all goes well; None where the rate card is unknown or counts seconds that nobody asked for."""
    offer = candidate.offer
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
