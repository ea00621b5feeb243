"""Check the values in an update: types, texts that are not blank, absolute URLs, finite seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from musicgate.model import (
    Failure,
    JobState,
    NativeTrack,
    OptionWarning,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def problems_of(update: Any) -> Iterator[str]:
    """Yield what is wrong with an update, whatever its attributes really hold."""
    for field in ("native_id", "native_status"):
        value = getattr(update, field)
        if value is not None and not (isinstance(value, str) and value.strip()):
            yield f"{field} is {value!r:.100}; it has to be text that is not blank, or None"
    if update.state is not None and not isinstance(update.state, JobState):
        yield f"state is {update.state!r:.100}, no JobState"
    if update.failure is not None and not isinstance(update.failure, Failure):
        yield f"failure is a {type(update.failure).__name__}"
    if not (
        isinstance(update.tracks, tuple) and all(isinstance(track, NativeTrack) for track in update.tracks)
    ):
        yield "tracks are no tuple of NativeTrack"
        return
    if not (
        isinstance(update.warnings, tuple) and all(isinstance(one, OptionWarning) for one in update.warnings)
    ):
        yield "warnings are no tuple of OptionWarning"
    claims = update.state is JobState.COMPLETED and update.failure is None and update.doubt is None
    if claims and update.tracks and not any(track.has_audio for track in update.tracks):
        yield "state is completed, yet no track has audio"
    for track in update.tracks:
        yield from _problems_of_track(track)


def _problems_of_track(track: Any) -> Iterator[str]:
    length = track.duration_s
    if length is not None and not (isinstance(length, int | float) and 0 < length < math.inf):
        yield f"track has a duration_s of {length!r:.100}; positive finite seconds, or None"
    for field in ("audio_url", "stream_audio_url", "image_url"):
        link = getattr(track, field)
        if link is not None and not (isinstance(link, str) and link.startswith(("http://", "https://"))):
            yield f"track has the {field} {link!r:.100}, which is no absolute URL"
    for field in ("native_id", "title", "tags", "lyrics", "native_model", "failure_message"):
        text = getattr(track, field)
        if text is not None and not isinstance(text, str):
            yield f"track has a {field} that is a {type(text).__name__}"
    for field in ("created_at", "expires_at"):
        moment = getattr(track, field)
        if moment is not None and moment.tzinfo is None:
            yield f"track has a {field} without a time zone"
