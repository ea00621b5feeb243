"""The feed object in answers and callbacks: items, statuses, tracks, when a song is done; no HTTP.

No single field decides. ``type`` may be SUCCESS while the items are still at the text stage; an item's stage
may stay ``first`` when all is done; a link exists before the song is complete. So "done" is decided from all
of them, and until then a link is shown only as a stream. The page shows only the example of a finished song.
Where it is silent, reading is lenient and follows the nearest relatives (ASSUMED).
Source: https://apiin.one/docs/suno/feed, 2026; https://udioapi.pro/docs/v2-feed, 2026 (relative). Seen:
partial links at stage first, at aimusicapi.org, 2026.
"""

from collections.abc import Mapping, Sequence

import attrs

import musicgate.plugin as mg
from musicgate.plugin import At, JobState, JobUpdate, JsonValue, NativeTrack, lenient
from musicgate_apiin_one.declaration import PROVIDER
from musicgate_apiin_one.errors import ERRORS, is_moderation

Item = Mapping[str, object]

#: Statuses that keep a job open whatever its items say.
_OPEN_STATUSES = frozenset({"IN_PROGRESS", "PENDING", "PROCESSING", "QUEUED"})
_FAILED_STAGES = frozenset({"FAILED", "FAIL", "ERROR"})
#: Seen: a last stage "first" with this remark, in a relative's tips, 2026.
_FINAL_REMARK = "all generated"

#: The task's id under a key that names a task; a bare ``id`` may be a track's.
NAMED_ID = At(*(".".join(path) for path in ERRORS.task_id.paths if path != ("id",)))
#: The native status of the whole task.
STATUS = At("data.type", "type", "data.status", "status")
_MESSAGE = At("message", "msg")
_TASK_FAILURE = At(
    *("data.fail_message", "data.error_message", "fail_message", "error_message"),
    *("data.error", "data.message", "data.msg"),
)
_LINK_KEYS = ("audio_url", "audioUrl")
_TRACK = mg.TrackTable(
    native_id=At("id"),
    audio_url=At(*_LINK_KEYS),
    image_url=At("image_url", "image_large_url", "imageUrl"),
    title=At("title"),
    tags=At("tags"),
    duration_s=At("duration"),
    lyrics=At("prompt"),
    native_model=At("model_name"),
    created_at=At("created_at", "createTime", "timestamp"),
    failure_message=At("fail_message", "error_message"),
)
_FEED_KEYS = frozenset({"data", "response_data", "type", "status", *_LINK_KEYS})


def is_feed(body: JsonValue) -> bool:
    """True if the body has the shape of a feed."""
    return isinstance(body, list) or not _FEED_KEYS.isdisjoint(lenient.mapping(body))


def find_items(body: JsonValue) -> list[Item]:
    """Find the items, one per track; a single object counts as a list of one."""
    envelope = lenient.mapping(body)
    inner = envelope.get("data")
    places = [lenient.mapping(inner).get("response_data"), envelope.get("response_data")]
    # An object is an item only if it has the link of one.
    places += [place for place in (inner, body) if isinstance(place, list) or _has_link_key(place)]
    return next((found for found in map(lenient.items, places) if found), [])


def stage_of(items: Sequence[Item]) -> str | None:
    """The stage of the first item that has one."""
    return next((found for item in items if (found := lenient.text(item.get("status")))), None)


def read(body: JsonValue) -> JobUpdate:
    """Read a feed: its state, its tracks, its failure."""
    items, status = find_items(body), STATUS.text(body)
    native_status, meant = status or stage_of(items), PROVIDER.state_of(status or "")
    read = [_track(item) for item in items]
    finals = [is_final for track, is_final in read if track.failure_message is None]
    if meant is JobState.FAILED or (read and not finals):
        tracks = tuple(_shown(track, is_final=False) for track, _ in read)
        why = failure(body, items, status)
        return JobUpdate(native_status=native_status, tracks=tracks, failure=why, body=body)
    done = bool(finals) and all(finals) and (status or "").upper() not in _OPEN_STATUSES
    # With neither items nor a known status nothing is said of the state.
    says_open = bool(items) or status is None or meant is JobState.COMPLETED
    return JobUpdate(
        native_status=native_status,
        state=JobState.COMPLETED if done else JobState.IN_PROGRESS if says_open else None,
        tracks=tuple(_shown(track, is_final=done) for track, _ in read),
        body=body,
    )


def failure(body: JsonValue, items: Sequence[Item], status: str | None) -> mg.Failure:
    """The failure of a task, with the vendor's message if there is one."""
    text = next(
        (found for item in items if (found := _TRACK.failure_message.text(item))), _TASK_FAILURE.text(body)
    )
    if text is None and (_MESSAGE.text(body) or "").lower() not in {"success", "ok"}:
        text = _MESSAGE.text(body)
    reason = mg.FailureClass.MODERATION if is_moderation(text) else mg.FailureClass.UPSTREAM_FAILED
    message = f"apiin.one: {text}" if text else "apiin.one reported that the song failed and not why"
    return mg.Failure(reason=reason, message=message, native_code=status, native_message=text)


def _has_link_key(value: JsonValue) -> bool:
    return any(key in lenient.mapping(value) for key in _LINK_KEYS)


def _track(item: Item) -> tuple[NativeTrack, bool]:
    """Read one item, and whether it is final; one that failed has a message."""
    track, stage = _TRACK.facts_of(item), stage_of([item]) or ""
    if track.failure_message is None and stage.upper() in _FAILED_STAGES:
        track = attrs.evolve(track, failure_message="the vendor reported that this track failed")
    remark = (lenient.text(item.get("extra_message")) or "").lower()
    is_last = PROVIDER.state_of(stage) is JobState.COMPLETED or remark.startswith(_FINAL_REMARK)
    return track, is_last and track.audio_url is not None


def _shown(track: NativeTrack, *, is_final: bool) -> NativeTrack:
    """A track without a link that may give a part of the song, or a stream without end."""
    if track.failure_message is None and is_final:
        return track
    stream = None if track.failure_message else track.audio_url
    return attrs.evolve(track, audio_url=None, fallback_urls=(), stream_audio_url=stream)
