"""A job as GET, POST, the list and webhooks show it: the only module that names the keys of a job.

**Source** of the shapes: docs.ai-stats.phaseo.app, "Music Generation (Beta)" and "Music Status (Beta)",
February 2026. What musicgate adds comes beside the documented keys and never replaces one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.model import AttemptOutcome, JobState
from musicgate.views.cursor import encode_cursor
from musicgate.views.scalars import time_text
from musicgate.views.usage import render_expected_usage, render_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from musicgate.model import (
        Asset,
        Attempt,
        Failure,
        Job,
        JsonObject,
        JsonValue,
        Manifest,
        Offer,
        OptionWarning,
        Progress,
        Track,
    )
    from musicgate.text import Masker

    #: Makes the link to a track's ``audio``, ``stream``, ``image``, ``waveform`` or ``peaks`` on our server;
    #: None = there is none.
    Links = Callable[[Job, Track, str], str | None]
    #: When the kept audio of a job is removed: `AudioEnd`.
    Ends = Callable[[Job], datetime | None]

#: Keys that repeat what the vendor returned as it is: ids, links, titles. Only these can hold a secret.
_FROM_VENDOR: Final = ("nativeResponseId", "native_status", "progress", "output", "attempts")


def render_job(
    job: Job, links: Links, masker: Masker | None = None, *, ends: Ends | None = None
) -> dict[str, object]:
    """Render a job.

    Args:
        links: makes the links to what we have of a track.
        masker: masks whole secrets in what the vendor returned.
        ends: tells when its kept audio is removed.
    """
    attempt = job.attempt
    answer: dict[str, object] = {
        "id": job.id,
        "object": "music",
        "status": job.state._value_,  # as ``value``, which is a property in Python
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
    answer |= _progress(job.progress)
    shown = [track for track in job.tracks if track.is_visible]
    if shown:
        answer["output"] = [_track(job, track, links, ends) for track in shown]
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
        answer.update({key: masker.json(answer[key]) for key in _FROM_VENDOR if key in answer})
    return answer


def render_created(
    job: Job,
    links: Links,
    masker: Masker | None = None,
    *,
    ends: Ends | None = None,
    offer: Offer | None = None,
    generation_ms: int | None = None,
    with_routing: bool = False,
) -> dict[str, object]:
    """Render a job as the create call answers it: with ``usage``, as documented, before it is settled.

    Args:
        offer: the offer that makes the music, where it is known.
        generation_ms: how long the create call took; None leaves ``meta`` out.
        with_routing: add to ``meta`` which providers were considered, and why the others were not.
    """
    answer = render_job(job, links, masker, ends=ends)
    answer.setdefault("usage", render_expected_usage(job.request, offer))
    if generation_ms is not None:
        meta: dict[str, object] = {"generation_ms": generation_ms}
        if with_routing and job.routing is not None:
            meta["routing"] = job.routing
        answer["meta"] = meta
    return answer


def render_job_list(
    page: Sequence[Job],
    links: Links,
    masker_of: Callable[[Job], Masker | None],
    *,
    has_more: bool,
    ends: Ends | None = None,
) -> dict[str, object]:
    """Render one page of an account's jobs."""
    return {
        "object": "list",
        "data": [render_job(job, links, masker_of(job), ends=ends) for job in page],
        "next_cursor": encode_cursor(page[-1]) if has_more else None,
    }


def render_failure(failure: Failure) -> dict[str, object]:
    """Render why a job failed."""
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
    """Render an option that was not applied as given."""
    return {
        "code": warning.code.value,
        "path": list(warning.path),
        "message": warning.message,
        "provider_plugin": warning.plugin,
    }


def _progress(progress: Progress | None) -> dict[str, object]:
    if progress is None:
        return {}
    said = {
        "fraction": progress.fraction,
        "remaining_seconds": progress.remaining_s,
        "charge": progress.charge,
        "charge_unit": progress.charge_unit,
    }
    return {"progress": {name: value for name, value in said.items() if value is not None}}


def _links(job: Job, track: Track, links: Links) -> dict[str, str | None]:
    """Ours to what we keep, and to the stream of a job that is not done; else the vendor's."""
    has_stream = track.stream_audio_url is not None and (track.asset or not job.state.is_final)
    return {
        "audio_url": (links(job, track, "audio") if track.asset else None) or track.audio_url,
        "stream_audio_url": (links(job, track, "stream") if has_stream else None) or track.stream_audio_url,
        "image_url": (links(job, track, "image") if track.image else None) or track.image_url,
    }


def _track(job: Job, track: Track, links: Links, ends: Ends | None) -> JsonObject:
    asset = track.asset
    item: dict[str, object] = {
        "index": track.index,
        "id": track.native_id,
        **_links(job, track, links),
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
        "expires_at": time_text(ends(job)) if asset and ends else None,
        "audio": render_audio(asset) if asset else None,
        "original": render_audio(track.original) if track.original else None,
        "waveform_url": links(job, track, "waveform") if asset else None,
        "peaks_url": links(job, track, "peaks") if asset else None,
    }
    item.update({key: value for key, value in more.items() if value is not None})
    item.update({key: value for key, value in track.extra.items() if key not in item})
    if track.failure_message:
        item["error"] = {"message": track.failure_message}
    return item


def render_audio(asset: Asset) -> JsonObject:
    """Render what was measured of a kept file; what was not measured is left out."""
    measured: dict[str, JsonValue] = {
        "format": asset.kind,
        "content_type": asset.content_type,
        "size_bytes": asset.size_bytes,
        "duration": round(asset.duration_s, 3),
        "codec": asset.codec,
        "sample_rate": asset.sample_rate_hz,
        "channels": asset.channels,
        "bit_rate": asset.bit_rate_bps,
        "loudness_lufs": asset.loudness_lufs,
        "true_peak_dbtp": asset.true_peak_dbtp,
        "silent": asset.is_silent,
        "sha256": asset.sha256,
        "c2pa": _manifest(asset.manifest) if asset.manifest else None,
    }
    return {name: value for name, value in measured.items() if value is not None}


def _manifest(manifest: Manifest) -> JsonObject:
    said: dict[str, JsonValue] = {
        "validity": manifest.validity,
        "reason": manifest.reason,
        "signer": manifest.signer,
        "issuer": manifest.issuer,
        "claim_generator": manifest.claim_generator,
        "ai_generated": manifest.states_ai,
    }
    return {name: value for name, value in said.items() if value is not None}


def _attempt(attempt: Attempt) -> dict[str, object]:
    item: dict[str, object] = {
        "provider": attempt.provider,
        "provider_plugin": attempt.plugin,
        "native_model": attempt.native_model,
        "outcome": attempt.outcome._value_,
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
