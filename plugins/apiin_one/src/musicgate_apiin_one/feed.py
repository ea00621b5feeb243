"""The feed object in answers and callbacks: items, statuses, tracks, when a song is done; no HTTP.

The page shows only the example of a finished song. Where it is silent, reading is lenient and follows the
nearest relatives (ASSUMED).
Source: https://apiin.one/docs/suno/feed, 2026; https://udioapi.pro/docs/v2-feed, 2026 (relative).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.plugin import (
    At,
    Failure,
    FailureClass,
    JobState,
    JobUpdate,
    NativeTrack,
    lenient,
)
from musicgate_apiin_one.errors import ERRORS, is_moderation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.plugin import JsonValue

#: Statuses that end a job (ASSUMED: the page documents no failure).
_FAILED = ("FAILED", "FAILURE", "FAIL", "ERROR", "CANCELLED", "CANCELED")
#: Statuses that keep a job open whatever its items say.
_OPEN_STATUSES = frozenset({"IN_PROGRESS", "PENDING", "PROCESSING", "QUEUED"})
#: Of a feed, a status is only one of the facts that decide.
#: Source: https://apiin.one/docs/suno/generate (pending), /feed (SUCCESS), 2026.
#: ASSUMED: all others, from relatives.
STATUSES = {
    **dict.fromkeys(("QUEUED", "NEW"), JobState.QUEUED),
    **dict.fromkeys(("PENDING", "IN_PROGRESS", "PROCESSING", "STREAMING"), JobState.IN_PROGRESS),
    **dict.fromkeys(("TEXT", "FIRST"), JobState.IN_PROGRESS),
    **dict.fromkeys(("SUCCESS", "COMPLETE", "COMPLETED"), JobState.COMPLETED),
    **dict.fromkeys(_FAILED, JobState.FAILED),
}
_FAILED_STAGES = frozenset({"failed", "fail", "error"})
_FINAL_STAGES = frozenset({"complete", "completed", "success"})
#: Seen: a last stage "first" with this remark, in a relative's tips, 2026.
_FINAL_REMARK = "all generated"

_STATUS = At("data.type", "type", "data.status", "status")
_MESSAGE = At("message", "msg")
_DATA_MESSAGE = At("data.error", "data.message", "data.msg")
_FAILURE = At("fail_message", "error_message")
_NAMED_ID = At(*(".".join(path) for path in ERRORS.task_id.paths if path != ("id",)))
_LINK_KEYS = ("audio_url", "audioUrl")
_FEED_KEYS = frozenset({"data", "response_data", "type", "status", *_LINK_KEYS})


def named_task_id(body: JsonValue) -> str | None:
    """The task's id under a key that names a task; a bare ``id`` may be a track's."""
    return _NAMED_ID.text(body)


def overall_status(body: JsonValue) -> str | None:
    """The native status of the whole task."""
    return _STATUS.text(body)


def is_feed(body: JsonValue) -> bool:
    """True if the body has the shape of a feed."""
    return isinstance(body, list) or not _FEED_KEYS.isdisjoint(lenient.mapping(body))


def find_items(body: JsonValue) -> list[Mapping[str, object]]:
    """Find the items, one per track; a single object counts as a list of one."""
    envelope = lenient.mapping(body)
    inner = envelope.get("data")
    data = lenient.mapping(inner)
    places = (data.get("response_data"), envelope.get("response_data"), _as_items(inner), _as_items(body))
    return next((found for found in map(lenient.items, places) if found), [])


def read(body: JsonValue) -> JobUpdate:
    """Read a feed: its state, its tracks, its failure."""
    items = find_items(body)
    status = overall_status(body)
    native_status = status or (stage_of(items) if items else None)
    failed = _means(status, JobState.FAILED) or (bool(items) and all(map(_has_failed, items)))
    done = not failed and _is_done(items, status)
    tracks = tuple(_track(item, is_final=done) for item in items)
    if failed:
        return JobUpdate(
            native_status=native_status, tracks=tracks, failure=failure(body, items, status), body=body
        )
    state = JobState.COMPLETED if done else _open_state(items, status)
    return JobUpdate(native_status=native_status, state=state, tracks=tracks, body=body)


def failure(body: JsonValue, items: Sequence[Mapping[str, object]], status: str | None) -> Failure:
    """The failure of a task, with the vendor's message if there is one."""
    envelope = lenient.mapping(body)
    data = lenient.mapping(envelope.get("data"))
    texts = [_failure_text(item) for item in items]
    texts += [_failure_text(data), _failure_text(envelope), _DATA_MESSAGE.text(body)]
    text = next((found for found in texts if found), None)
    if text is None and (_MESSAGE.text(body) or "").lower() not in {"success", "ok"}:
        text = _MESSAGE.text(body)
    reason = FailureClass.MODERATION if is_moderation(text) else FailureClass.UPSTREAM_FAILED
    message = f"apiin.one: {text}" if text else "apiin.one reported that the song failed and not why"
    return Failure(reason=reason, message=message, native_code=status, native_message=text)


def stage_of(items: Sequence[Mapping[str, object]]) -> str | None:
    """The stage of the first item that has one."""
    return next((found for item in items if (found := lenient.text(item.get("status"))) is not None), None)


def _as_items(value: JsonValue) -> JsonValue:
    """The value if it may be items: a list, or an object with the link of a track."""
    is_track = isinstance(value, dict) and any(key in value for key in _LINK_KEYS)
    return value if isinstance(value, list) or is_track else None


def _is_done(items: Sequence[Mapping[str, object]], status: str | None) -> bool:
    remaining = [item for item in items if not _has_failed(item)]
    if not remaining or (status or "").upper() in _OPEN_STATUSES:
        return False
    return all(_link(item) is not None and _is_final(item) for item in remaining)


def _open_state(items: Sequence[Mapping[str, object]], status: str | None) -> JobState | None:
    """In progress with items, without a status, or for success without finished items; else None."""
    claims_success = _means(status, JobState.COMPLETED)
    return JobState.IN_PROGRESS if items or status is None or claims_success else None


def _means(status: str | None, state: JobState) -> bool:
    return STATUSES.get((status or "").upper()) is state


def _has_failed(item: Mapping[str, object]) -> bool:
    return _failure_text(item) is not None or _stage(item) in _FAILED_STAGES


def _is_final(item: Mapping[str, object]) -> bool:
    remark = (lenient.text(item.get("extra_message")) or "").lower()
    return _stage(item) in _FINAL_STAGES or remark.startswith(_FINAL_REMARK)


def _stage(item: Mapping[str, object]) -> str:
    return (lenient.text(item.get("status")) or "").lower()


def _failure_text(item: Mapping[str, object]) -> str | None:
    return _FAILURE.text(item)


def _link(item: Mapping[str, object]) -> str | None:
    return _first_url(item, *_LINK_KEYS)


def _first_url(item: Mapping[str, object], *keys: str) -> str | None:
    return next((link for key in keys if (link := lenient.url(item.get(key))) is not None), None)


def _track(item: Mapping[str, object], *, is_final: bool) -> NativeTrack:
    """Read one item; before the task is done its link may give a part, or a stream without end."""
    failed = _has_failed(item)
    link = _link(item)
    moments = (lenient.moment(item.get(key)) for key in ("created_at", "createTime", "timestamp"))
    return NativeTrack(
        native_id=lenient.text(item.get("id")),
        audio_url=link if is_final and not failed else None,
        stream_audio_url=None if is_final or failed else link,
        image_url=_first_url(item, "image_url", "image_large_url", "imageUrl"),
        title=lenient.text(item.get("title")),
        tags=lenient.text(item.get("tags")),
        duration_s=lenient.seconds(item.get("duration")),
        lyrics=lenient.text(item.get("prompt")),
        native_model=lenient.text(item.get("model_name")),
        created_at=next((found for found in moments if found is not None), None),
        failure_message=(_failure_text(item) or "the vendor reported that this track failed")
        if failed
        else None,
    )
