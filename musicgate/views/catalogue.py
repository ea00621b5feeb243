"""What is offered, as callers are shown it: providers, their health, their offers and rate cards; no HTTP and no routing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.views.job import decimal_text, time_text

if TYPE_CHECKING:
    from musicgate.model import HealthReport, Offer, Provider


def render_provider(
    provider: Provider, *, has_key: bool, health: HealthReport | None = None, waiting: int = 0
) -> dict[str, object]:
    """A provider as ``/v1/music/providers`` lists it.

    Args:
        has_key: whether it can be asked.
        health: how it is; None where nobody has asked it.
        waiting: how many create calls wait for their turn.
    """
    window = provider.create_window
    answer: dict[str, object] = {
        "provider": provider.name,
        "provider_plugin": provider.plugin,
        "label": provider.label,
        "stage": provider.stage.value,
        "configured": has_key,
        "key_setting": provider.key_env,
        "blocking": provider.blocking,
        "callbacks": provider.callbacks,
        "option_block": provider.option_block,
        "priority": provider.priority,
        "typical_seconds": provider.typical_s,
        "deadline_seconds": provider.deadline_s,
        "retention_seconds": provider.retention_s,
        "max_parallel_creates": provider.max_parallel_creates,
        "create_window": None if window is None else {"calls": window.calls, "seconds": window.per_s},
        "models": [offer.model for offer in provider.offers],
        "docs_url": provider.docs_url,
    }
    if health is not None:
        answer |= {"waiting": waiting, "health": render_health(health)}
    return answer


def render_health(health: HealthReport) -> dict[str, object]:
    """How a provider is: its circuit breaker, and the create calls of the last minute."""
    return {
        "state": health.state.value,
        "error_rate": round(health.error_rate, 3),
        "calls": health.calls,
        "opens_until": time_text(health.opens_until),
    }


def render_offer(provider: Provider, offer: Offer, *, has_key: bool) -> dict[str, object]:
    """An offer as ``/v1/music/models`` lists it under its model."""
    limits = offer.limits
    return {
        "provider": provider.name,
        "provider_plugin": provider.plugin,
        "native_model": offer.native_model,
        "configured": has_key,
        "stage": provider.stage.value,
        "abilities": sorted(ability.value for ability in offer.abilities),
        "formats": list(offer.formats),
        "tracks": offer.tracks,
        "limits": {
            "prompt_characters": limits.prompt_chars,
            "lyrics_characters": limits.lyrics_chars,
            "style_characters": limits.style_chars,
            "title_characters": limits.title_chars,
            "max_duration_seconds": limits.max_duration_s,
        },
        "pricing": render_rate_card(offer),
    }


def render_rate_card(offer: Offer) -> list[dict[str, object]] | None:
    """The price rules of an offer; None when its price is not known."""
    if not offer.prices:
        return None
    return [
        {
            "meter": rule.meter.value,
            "unit_size": float(rule.unit_size),
            "price_per_unit": decimal_text(rule.price_usd),
            "currency": "USD",
        }
        for rule in offer.prices
    ]
