"""Cut a vendor's answer to what a job may hold; the numbers are in `musicgate.text.bounds`.

Text that is only shown is cut. What is used, an id or a link, is taken whole or left out: half of it would
name something else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import attrs

from musicgate import text
from musicgate.errors import ProviderError
from musicgate.jobs.tracks import merge_tracks
from musicgate.model import (
    Failure,
    FailureClass,
    OptionWarning,
    Progress,
    WarningCode,
)
from musicgate.text import cut_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.model import (
        Job,
        JobUpdate,
        JsonObject,
        NativeTrack,
    )


def bounded_update(update: JobUpdate, job: Job) -> JobUpdate:
    """Cut an answer to the room that is left in its job. A warning says what was left out.

    Returns:
        The update; the very same object when all of it fits.

    Raises:
        ProviderError: class ``protocol``: the vendor's id of a new task is too long to be used.
    """
    native_id = update.native_id
    if native_id is not None and len(native_id) > text.MAX_ID_CHARS:
        if job.native_id is None:
            message = f"the vendor's id of the task has {len(native_id):,} characters and cannot be used"
            raise ProviderError(Failure(reason=FailureClass.PROTOCOL, message=message), maybe_accepted=True)
        native_id = None
    changes: dict[str, Any] = {} if native_id is update.native_id else {"native_id": native_id}
    status = update.native_status
    if status is not None and len(status) > text.MAX_STATUS_CHARS:
        changes["native_status"] = cut_text(status, text.MAX_STATUS_CHARS)
    changes |= {} if update.progress is None else {"progress": _bounded_progress(update.progress)}
    if update.failure is not None:
        changes["failure"] = bounded_failure(update.failure)
    doubt = update.doubt
    changes |= {} if doubt is None else {"doubt": attrs.evolve(doubt, failure=bounded_failure(doubt.failure))}
    left_out: tuple[OptionWarning, ...] = ()
    if update.tracks:
        changes["tracks"], left_out = _tracks(update.tracks, job)
    if update.warnings or left_out:
        warnings = bounded_warnings((*left_out, *update.warnings))
        room = max(0, text.MAX_JOB_WARNINGS - len(job.warnings))
        changes["warnings"] = tuple(warning for warning in warnings if warning not in job.warnings)[:room]
    if job.request.debug.return_upstream_response:  # else it is not kept
        changes["body"] = text.cut_json(
            update.body, max_values=text.MAX_KEPT_VALUES, max_chars=text.MAX_KEPT_CHARS
        )
    if not changes or all(value == getattr(update, name) for name, value in changes.items()):
        return update
    return attrs.evolve(update, **changes)


def _bounded_progress(progress: Progress) -> Progress | None:
    """The progress without numbers that mean nothing; None if nothing is left of it."""
    fraction, remaining_s, charge = progress.fraction, progress.remaining_s, progress.charge
    bounded = Progress(
        fraction=None if fraction is None else min(max(0.0, fraction), 1.0),
        remaining_s=None if remaining_s is None or remaining_s < 0 else remaining_s,
        charge=None if charge is None or charge < 0 else charge,
        charge_unit=progress.charge_unit and cut_text(progress.charge_unit, text.MAX_NAME_CHARS),
    )
    return None if bounded == Progress() else bounded


def bounded_failure(failure: Failure) -> Failure:
    """Cut the texts of a failure to lengths that can be shown."""
    wait_s = failure.retry_after_s
    if wait_s is not None:
        wait_s = None if not math.isfinite(wait_s) else min(max(0.0, wait_s), text.MAX_RETRY_AFTER_S)
    return attrs.evolve(
        failure,
        message=cut_text(failure.message, text.MAX_MESSAGE_CHARS),
        native_code=_cut(failure.native_code, text.MAX_CODE_CHARS),
        native_message=_cut(failure.native_message, text.MAX_MESSAGE_CHARS),
        suggestion=text.cut_json(
            failure.suggestion, max_values=text.MAX_KEPT_VALUES, max_chars=text.MAX_KEPT_CHARS
        ),
        retry_after_s=wait_s,
    )


def bounded_warnings(warnings: Sequence[OptionWarning]) -> tuple[OptionWarning, ...]:
    """Keep the first warnings, and one that says how many more there were."""
    kept = tuple(
        attrs.evolve(
            warning,
            path=tuple(
                cut_text(part, text.MAX_NAME_CHARS) if isinstance(part, str) else part
                for part in warning.path[: text.MAX_REQUEST_DEPTH]
            ),
            message=cut_text(warning.message, text.MAX_MESSAGE_CHARS),
        )
        for warning in warnings[: text.MAX_WARNINGS]
    )
    if len(warnings) == len(kept):
        return kept
    return (*kept, _left_out(f"{text.and_more(len(warnings) - len(kept))} warnings", kept[0].plugin))


def _tracks(
    tracks: Sequence[NativeTrack], job: Job
) -> tuple[tuple[NativeTrack, ...], tuple[OptionWarning, ...]]:
    known = {track.native_id for track in job.tracks}
    # A track that the job has already is kept wherever it is, so that a long answer cannot hide it.
    first = [
        track
        for place, track in enumerate(tracks)
        if place < text.MAX_TRACKS or (track.native_id is not None and track.native_id in known)
    ][: 2 * text.MAX_TRACKS]
    indexes = merge_tracks(job.tracks, first).indexes
    values, chars = text.MAX_EXTRA_VALUES, text.MAX_EXTRA_CHARS
    kept = tuple(
        _track(track, values // max(1, len(first)), chars // max(1, len(first)))
        for index, track in zip(indexes, first, strict=True)
        if index < text.MAX_TRACKS
    )
    if len(kept) == len(tracks):
        return kept, ()
    left_out = text.and_more(len(tracks) - len(kept))
    message = f"the answer lists {len(tracks):,} tracks; {len(kept)} are kept, {left_out} are not"
    return kept, (_left_out(message, job.plugin),)


def _track(track: NativeTrack, max_values: int, max_chars: int) -> NativeTrack:
    fallbacks = [link for link in track.fallback_urls if len(link) <= text.MAX_URL_CHARS]
    audio_url, problem = _whole(track.audio_url, text.MAX_URL_CHARS), track.failure_message
    if track.audio_url and audio_url is None and not track.audio:
        if fallbacks:
            audio_url = fallbacks.pop(0)
        else:
            size = len(track.audio_url)
            problem = problem or f"the link to its audio has {size:,} characters and cannot be used"
    extra = text.cut_json(track.extra, max_values=max_values, max_chars=max_chars)
    return attrs.evolve(
        track,
        native_id=_whole(track.native_id, text.MAX_ID_CHARS),
        audio_url=audio_url,
        fallback_urls=tuple(fallbacks[: text.MAX_FALLBACK_URLS]),
        stream_audio_url=_whole(track.stream_audio_url, text.MAX_URL_CHARS),
        image_url=_whole(track.image_url, text.MAX_URL_CHARS),
        title=_cut(track.title, text.MAX_TITLE_CHARS),
        tags=_cut(track.tags, text.MAX_TAGS_CHARS),
        lyrics=_cut(track.lyrics, text.MAX_LYRICS_CHARS),
        native_model=_cut(track.native_model, text.MAX_CODE_CHARS),
        failure_message=_cut(problem, text.MAX_MESSAGE_CHARS),
        extra=cast("JsonObject", extra),
    )


def _left_out(message: str, plugin: str | None) -> OptionWarning:
    return OptionWarning(code=WarningCode.LEFT_OUT, path=(), message=message, plugin=plugin)


def _cut(text: str | None, max_chars: int) -> str | None:
    return None if text is None else cut_text(text, max_chars)


def _whole(text: str | None, max_chars: int) -> str | None:
    return text if text is None or len(text) <= max_chars else None
