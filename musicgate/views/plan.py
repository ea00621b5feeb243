"""The dry run: candidates in order with native request, warnings and price, and who is excluded."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from musicgate.model import Meter, Usage
from musicgate.planning import price_lines
from musicgate.views.catalogue import render_health
from musicgate.views.job import render_warning
from musicgate.views.native import render_native_request
from musicgate.views.usage import render_usage

if TYPE_CHECKING:
    from musicgate.model import MusicRequest
    from musicgate.planning import Candidate, Plan


def render_plan(request: MusicRequest, plan: Plan, request_id: str | None = None) -> dict[str, object]:
    """Render a plan in the shape of the published schema ``plan``.

    Args:
        request_id: id of the HTTP request; None leaves ``requestId`` out.
    """
    warnings = [render_warning(warning) for warning in plan.warnings]
    answer: dict[str, object] = {
        "object": "plan",
        "model": plan.model,
        "candidates": [_candidate(request, candidate, warnings) for candidate in plan.candidates],
        "excluded": [
            {"provider_plugin": item.plugin, "reason": item.reason, "message": item.message}
            for item in plan.excluded
        ],
    }
    if request_id is not None:
        answer["requestId"] = request_id
    return answer


def _candidate(
    request: MusicRequest, candidate: Candidate, request_warnings: list[dict[str, object]]
) -> dict[str, object]:
    installed, translation = candidate.installed, candidate.translation
    item = {
        "provider": installed.provider.name,
        "provider_plugin": installed.name,
        "native_model": translation.native_model,
        "configured": installed.can_be_called,
        "upstream_request": render_native_request(translation.request),
        "warnings": request_warnings + [render_warning(warning) for warning in translation.warnings],
        "price": _expected_price(request, candidate),
    }
    if candidate.trouble is not None:
        item["health"] = render_health(candidate.trouble)
    return item


def _expected_price(request: MusicRequest, candidate: Candidate) -> object:
    """The price on success; None if the rate card is unknown, or counts seconds that were not given."""
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
