"""What callers are shown: jobs, failures, plans and declarations in the documented shapes; no HTTP and no store.

Source of the shapes: docs.ai-stats.phaseo.app, "Music Generation (Beta)" and "Music Status (Beta)", February 2026. What musicgate adds
stands beside the documented keys and never in their place.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

from musicgate.model import AttemptOutcome, JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from musicgate.breaker import HealthReport
    from musicgate.model import (
        Attempt,
        Delivery,
        Failure,
        Job,
        JsonObject,
        Offer,
        OptionWarning,
        Provider,
        Track,
        Usage,
    )
    from musicgate.wire import HttpRequest

_NANOS_PER_CENT = 10_000_000
_NANOS_PER_USD = 1_000_000_000


def render_job(job: Job, audio_url: Callable[[Job, Track], str | None]) -> dict[str, object]:
    """A job as GET and POST answer it.

    Args:
        audio_url: where a caller gets a track's audio that we keep; asked only for tracks with an asset.
    """
    attempt = job.attempt
    answer: dict[str, object] = {
        "id": job.id,
        "object": "music",
        "status": job.state.value,
        "provider": attempt.provider if attempt else "",
        "provider_plugin": attempt.plugin if attempt else None,
        "model": (attempt.native_model if attempt else None) or job.request.model,
        "public_model": attempt.model if attempt else job.request.model,
        "nativeResponseId": job.native_id,
        "requestId": job.generation_id,
        "created_at": time_text(job.created_at),
        "updated_at": time_text(job.updated_at),
        "completed_at": time_text(job.completed_at),
        "native_status": job.native_status,
    }
    shown = [track for track in job.tracks if track.is_visible]
    if shown:
        answer["output"] = [_track(job, track, audio_url) for track in shown]
        expiries = [track.expires_at for track in shown if track.expires_at and not track.asset]
        if expiries:
            answer["expires_at"] = time_text(min(expiries))
    if job.usage is not None and job.state is JobState.COMPLETED:
        answer["usage"] = render_usage(job.usage)
    if job.failure is not None:
        answer["error"] = render_failure(job.failure)
    if job.warnings:
        answer["warnings"] = [render_warning(warning) for warning in job.warnings]
    answer["attempts"] = [_attempt(attempt) for attempt in job.attempts]
    if job.request.metadata:
        answer["metadata"] = dict(job.request.metadata)
    if job.request.returns_upstream_request and job.native_request is not None:
        answer["upstream_request"] = job.native_request
    if job.request.debug.return_upstream_response and job.native_response is not None:
        answer["upstream_response"] = job.native_response
    return answer


def render_created(job: Job, audio_url: Callable[[Job, Track], str | None]) -> dict[str, object]:
    """A job as the create call answers it: with the documented ``usage`` although nothing is settled yet."""
    answer = render_job(job, audio_url)
    answer.setdefault("usage", {"requests": 1})
    return answer


def render_failure(failure: Failure) -> dict[str, object]:
    """Why a job failed."""
    answer: dict[str, object] = {
        "reason": failure.reason.value,
        "message": failure.message,
        "native_code": failure.native_code,
        "native_message": failure.native_message,
        "may_have_cost": failure.costs,
    }
    if failure.suggestion is not None:
        answer["suggestion"] = failure.suggestion
    return answer


def render_warning(warning: OptionWarning) -> dict[str, object]:
    """An option that was not followed to the letter."""
    return {
        "code": warning.code.value,
        "path": list(warning.path),
        "message": warning.message,
        "provider_plugin": warning.plugin,
    }


def render_usage(usage: Usage) -> dict[str, object]:
    """Meters, and the price where it is known. Seconds are left out when they are not known."""
    answer: dict[str, object] = {"requests": usage.requests, "output_audio_count": usage.output_audio_count}
    if usage.output_audio_seconds:
        answer["output_audio_seconds"] = usage.output_audio_seconds
    total_nanos = usage.total_usd_nanos
    if usage.lines is not None and total_nanos is not None:
        answer["pricing_breakdown"] = {
            "total_nanos": total_nanos,
            "total_usd_str": usd_text(total_nanos),
            "total_cents": total_nanos // _NANOS_PER_CENT,
            "currency": "USD",
            "lines": [
                {
                    "meter": line.meter.value,
                    "quantity": float(line.quantity),
                    "unit_size": float(line.unit_size),
                    "price_per_unit": _decimal_text(line.price_per_unit_usd),
                    "line_nanos": line.price_usd_nanos,
                }
                for line in usage.lines
            ],
        }
    return answer


def render_message(kind: str, at: datetime, data: Mapping[str, object]) -> dict[str, object]:
    """What a webhook says: what happened, when, to what. Source: Standard Webhooks 1.0.0, "Payload structure"."""
    return {"type": kind, "timestamp": time_text(at), "data": data}


def render_delivery(delivery: Delivery) -> dict[str, object]:
    """A message to a webhook, with what became of it, as the delivery log lists it."""
    return {
        "id": delivery.id,
        "object": "webhook_delivery",
        "music_id": delivery.job_id,
        "type": delivery.type,
        "url": delivery.url,
        "status": delivery.status.value,
        "created_at": time_text(delivery.created_at),
        "next_attempt_at": time_text(delivery.next_try_at),
        "attempts": delivery.attempts,
        "tries": [
            {
                "at": time_text(tried.at),
                "status_code": tried.http_status,
                "duration_ms": round(tried.duration_s * 1000),
                "error": tried.error,
            }
            for tried in delivery.tries
        ],
    }


def render_request(request: HttpRequest, mask: Mapping[str, str]) -> dict[str, object]:
    """A native request for a plan: no key is in it, secrets named in ``mask`` are replaced."""
    return {
        "method": request.method,
        "url": _masked(request.url, mask),
        "headers": dict(request.headers),
        "body": render_body(request, mask),
    }


def render_body(request: HttpRequest, mask: Mapping[str, str]) -> object:
    """The body that was really sent, as an object where it is JSON; texts in ``mask`` (callback tokens) are replaced."""
    text = _masked(request.body.decode("utf-8", "replace"), mask)
    try:
        value: object = json.loads(text)
    except ValueError:
        return {"text": text}
    return value


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
            "price_per_unit": _decimal_text(rule.price_usd),
            "currency": "USD",
        }
        for rule in offer.prices
    ]


def usd_text(nanos: int) -> str:
    """Billionths of a dollar as exact text: ``"0.06"``."""
    return _decimal_text(Decimal(nanos) / _NANOS_PER_USD)


def audio_link(job: Job, track: Track, audio_url: Callable[[Job, Track], str | None]) -> str | None:
    """Where a caller gets a track's final audio: ours where we keep it, else the vendor's link."""
    kept = audio_url(job, track) if track.asset is not None else None
    return kept or track.audio_url


def _track(job: Job, track: Track, audio_url: Callable[[Job, Track], str | None]) -> JsonObject:
    asset = track.asset
    item: dict[str, object] = {
        "index": track.index,
        "id": track.native_id,
        "audio_url": audio_link(job, track, audio_url),
        "stream_audio_url": track.stream_audio_url,
        "image_url": track.image_url,
        "title": track.title,
        "tags": track.tags,
        "duration": round(asset.duration_s, 3) if asset else track.duration_s,
    }
    more = {
        "content_type": asset.content_type if asset else None,
        "size_bytes": asset.size_bytes if asset else None,
        "lyrics": track.lyrics,
        "native_model": track.native_model,
        "created_at": time_text(track.created_at),
    }
    item.update({key: value for key, value in more.items() if value is not None})
    item.update({key: value for key, value in track.extra.items() if key not in item})
    if track.failure_message:
        item["error"] = {"message": track.failure_message}
    return item


def _attempt(attempt: Attempt) -> dict[str, object]:
    item: dict[str, object] = {
        "provider": attempt.provider,
        "provider_plugin": attempt.plugin,
        "native_model": attempt.native_model,
        "outcome": attempt.outcome.value,
        "planned_at": time_text(attempt.planned_at),
        "answered_at": time_text(attempt.answered_at),
        "nativeResponseId": attempt.native_id,
    }
    if attempt.not_before is not None:
        item["not_before"] = time_text(attempt.not_before)
    if attempt.failure is not None and attempt.outcome is not AttemptOutcome.ACCEPTED:
        item["reason"] = attempt.failure.reason.value
        item["message"] = attempt.failure.message
        item["native_code"] = attempt.failure.native_code
    return item


def time_text(moment: datetime | None) -> str | None:
    """A moment as callers see it: ISO 8601 in UTC, milliseconds."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decimal_text(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _masked(text: str, mask: Mapping[str, str]) -> str:
    for secret, shown in mask.items():
        if secret:
            text = text.replace(secret, shown)
    return text
