"""The catalogue: models with their offers, providers with their health; no routing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from musicgate.views.scalars import time_text
from musicgate.views.usage import render_rate_card

if TYPE_CHECKING:
    from collections.abc import Iterable

    from musicgate.model import Field, HealthReport, Offer, Provider, ProviderStatus, Rights


def render_models(providers: Iterable[tuple[Provider, bool]]) -> dict[str, object]:
    """List every public model with the providers that offer it, as ``/v1/music/models`` does.

    Args:
        providers: each with whether an API key is configured.
    """
    by_model: dict[str, list[tuple[Provider, Offer, bool]]] = {}
    for provider, has_key in providers:
        for offer in provider.offers:
            by_model.setdefault(offer.model, []).append((provider, offer, has_key))
    data = [
        {
            "id": model,
            "object": "model",
            "aliases": sorted({alias for _, offer, _ in offers for alias in offer.aliases}),
            "offers": [render_offer(provider, offer, has_key=has_key) for provider, offer, has_key in offers],
        }
        for model, offers in sorted(by_model.items())
    ]
    return {"object": "list", "data": data}


def render_providers(providers: Iterable[ProviderStatus]) -> dict[str, object]:
    """List providers by priority, as ``/v1/music/providers`` does."""
    ordered = sorted(providers, key=lambda status: (status.provider.priority, status.provider.plugin))
    data = [
        render_provider(status.provider, has_key=status.has_key, health=status.health, waiting=status.waiting)
        for status in ordered
    ]
    return {"object": "list", "data": data}


def render_provider(
    provider: Provider, *, has_key: bool, health: HealthReport | None = None, waiting: int = 0
) -> dict[str, object]:
    """Render one provider of the list.

    Args:
        has_key: whether an API key is configured.
        health: None outside a running gateway; then ``waiting`` is left out as well.
        waiting: number of create calls in the provider's queue.
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
    """Render the circuit breaker of a provider and its create calls of the last minute."""
    return {
        "state": health.state.value,
        "error_rate": round(health.error_rate, 3),
        "calls": health.calls,
        "opens_until": time_text(health.opens_until),
    }


def render_offer(provider: Provider, offer: Offer, *, has_key: bool) -> dict[str, object]:
    """Render an offer as ``/v1/music/models`` lists it under its model."""
    limits = offer.limits
    answer: dict[str, object] = {
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
        "rights": render_rights(offer.rights or provider.rights),
    }
    if offer.fields:
        answer["options"] = [_field(field) for field in offer.fields]
    return answer


def render_rights(rights: Rights) -> dict[str, object]:
    """Render what is known about rights. What is not known is said to be ``unknown``."""
    return {
        name: {"statement": "unknown", "source": None, "as_of": None}
        if said is None
        else {"statement": said.text, "source": said.source, "as_of": said.as_of}
        for name, said in (
            ("commercial_use", rights.commercial_use),
            ("watermark", rights.watermark),
            ("retention", rights.retention),
        )
    }


def _field(field: Field) -> dict[str, object]:
    """A declared field of the native request: its name, the neutral fields that it carries, its bounds."""
    facts = {
        name: value
        for name, value in attrs.asdict(field).items()
        if value not in (None, (), {}, 0, False) and name not in {"name", "neutral", "carries", "reason"}
    }
    carries = [name for name in (field.neutral, *field.carries) if name is not None]
    return {"name": field.name, "type": type(field).__name__.lower(), "carries": carries, **facts}
