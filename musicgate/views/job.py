"""What callers are shown: jobs, failures, usage and native requests in the documented shapes; no HTTP and no store.

Source of the shapes: docs.ai-stats.phaseo.app, "Music Generation (Beta)" and "Music Status (Beta)", February 2026. What musicgate adds
stands beside the documented keys and never in their place.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

from musicgate.model import AttemptOutcome, JobState
from musicgate.planning import NANOS_PER_CENT, NANOS_PER_USD
from musicgate.text import MAX_KEPT_CHARS, MAX_KEPT_VALUES, cut_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from musicgate.model import (
        Attempt,
        Delivery,
        Failure,
        Job,
        JsonObject,
        OptionWarning,
        Track,
        Usage,
    )
    from musicgate.plugin import HttpRequest
    from musicgate.text import Masker


def render_job(
    job: Job, audio_url: Callable[[Job, Track], str | None], masker: Masker | None = None
) -> dict[str, object]:
    """A job as GET and POST answer it.

    Args:
        audio_url: where a caller gets a track's audio that we keep; asked only for tracks with an asset.
        masker: takes whole secrets out of what the vendor said and we use as it is: ids, links, titles.
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
    if masker is not None:
        said = ("nativeResponseId", "native_status", "output", "attempts")
        answer.update({key: masker.json(answer[key]) for key in said if key in answer})
    return answer


def render_created(
    job: Job, audio_url: Callable[[Job, Track], str | None], masker: Masker | None = None
) -> dict[str, object]:
    """A job as the create call answers it: with the documented ``usage`` although nothing is settled yet."""
    answer = render_job(job, audio_url, masker)
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
            "total_cents": total_nanos // NANOS_PER_CENT,
            "currency": "USD",
            "lines": [
                {
                    "meter": line.meter.value,
                    "quantity": float(line.quantity),
                    "unit_size": float(line.unit_size),
                    "price_per_unit": decimal_text(line.price_per_unit_usd),
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
        value = {"text": text}
    return cut_json(value, max_values=MAX_KEPT_VALUES, max_chars=MAX_KEPT_CHARS)


def usd_text(nanos: int) -> str:
    """Billionths of a dollar as exact text: ``"0.06"``."""
    return decimal_text(Decimal(nanos) / NANOS_PER_USD)


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


def decimal_text(number: Decimal) -> str:
    """A number as exact text without an exponent or idle zeros."""
    return f"{number.normalize():f}"


def _masked(text: str, mask: Mapping[str, str]) -> str:
    for secret, shown in mask.items():
        if secret:
            text = text.replace(secret, shown)
    return text
