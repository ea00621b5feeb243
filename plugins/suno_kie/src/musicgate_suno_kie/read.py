"""The answers of kie.ai about a task: status, tracks, failures, doubts, callbacks; no requests.

How errors are read is in `codes`. Only the task's own record says anything about the song. Three answers end
a job only when they last: no record, success without audio, a failed callback. A task that failed after a
track had its audio is done with that track: it is paid for.

Tracks are in ``data.response.sunoData`` (documented, camelCase), in ``data.resultJson`` of the market (JSON
text or an object, snake_case, seen 2026-10-06 with V6_MINI), and where neighbouring services put them.

Sources: docs.kie.ai/suno-api/get-music-details (early 2026), docs.kie.ai/market/common/get-task-detail
(2026-09-25).
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

import attrs

import musicgate.plugin as mg
from musicgate.plugin.lenient import first, json_text, mapping, seconds, text, url
from musicgate_suno_kie.codes import errors_of
from musicgate_suno_kie.declaration import PROVIDER

#: A track's ``prompt`` when there are no lyrics.
#: Seen: every instrumental, although the page says that it is empty.
NO_LYRICS: Final = "[Instrumental]"

#: Seen: one client derives a track's address at Suno itself from its id. Undocumented, so off by default.
_CDN_URL: Final = "https://cdn1.suno.ai/{id}.mp3"
#: In either spelling. A stream link is not final audio.
_TRACK: Final = mg.TrackTable(
    native_id=mg.At("id", "audioId", "audio_id"),
    # In order of trust. Seen: sourceAudioUrl, which is not on the page.
    audio_url=mg.At("audioUrl", "audio_url", "sourceAudioUrl", "source_audio_url"),
    stream_audio_url=mg.At(
        *("streamAudioUrl", "stream_audio_url", "sourceStreamAudioUrl", "source_stream_audio_url"),
    ),
    image_url=mg.At("imageUrl", "image_url", "sourceImageUrl", "source_image_url"),
    title=mg.At("title"),
    tags=mg.At("tags"),
    duration_s=mg.At("duration", "durationSeconds", "metadata.duration"),
    lyrics=mg.At("prompt", "lyrics"),
    native_model=mg.At("modelName", "model_name"),
    created_at=mg.At("createTime", "create_time"),
)

#: Seen: SUCCESS with null links that were filled in later, 2026-07-08.
#: ASSUMED: the time, and the same for a single track without audio.
NO_AUDIO_GRACE_S: Final = 120.0

#: Bound once: on Python 3.11 a member by the name of its class is a slow look-up.
_CREATE: Final = mg.Step.CREATE

#: A status that decides nothing: the vendor's callback to us failed, the audio may exist. ASSUMED: the time.
CALLBACK_EXCEPTION: Final = "CALLBACK_EXCEPTION"
CALLBACK_EXCEPTION_GRACE_S: Final = 120.0

#: Four shapes of a callback are read: Suno's own (``data.callbackType``), the market's (``data.state``), one
#: that looks like a record (``data.status``; reported by one project), and ids at the top level. Which of
#: them market tasks send is unknown. Seen: the case of the id's key varies with the operation.
#: Source: docs.kie.ai/suno-api/generate-music-callbacks, early 2026.
_CALLBACK_ID: Final = mg.At("data.task_id", "data.taskId", "taskId", "task_id")
_CALLBACK_STATUS: Final = mg.At("data.callbackType", "data.status", "data.state")


@mg.hookimpl
def parse_response(
    step: mg.Step, response: mg.HttpResponse, job: mg.Job, settings: mg.ProviderSettings
) -> mg.JobUpdate:
    """Read the answer to a create call or to a poll.

    Raises:
        ProviderError: the answer cannot be read, may hide an accepted task, or says nothing about the song.
    """
    errors = errors_of(settings)
    body = errors.open(step, response)
    if not isinstance(body, dict):
        return body
    if step is _CREATE:
        return errors.created(response, body)
    data = mapping(body.get("data"))
    status = text(first(data, "status", "state"))
    if status is None and "data" in body and body["data"] is None:
        return errors.missing(body)
    if status is None:
        raise errors.unreadable(response, "gave an answer with no task record in it")
    charge = seconds(data.get("creditsConsumed"))  # any positive number
    update = mg.JobUpdate(
        native_status=status,
        tracks=read_tracks(data, derive_cdn_urls=settings.options.get("derive_cdn_urls") is True),
        # On the market route only, and 0 until the end; the unit of its ``progress`` is documented nowhere.
        progress=mg.Progress(charge=charge, charge_unit="credits") if charge else None,
        body=body,
    )
    if PROVIDER.state_of(status) is mg.JobState.FAILED:
        code = text(first(data, "errorCode", "failCode", "error_code", "fail_code"))
        message = first(data, "errorMessage", "failMsg", "error_message", "fail_msg")
        failure = errors.task_failure(status.strip().upper(), code, message)
        return attrs.evolve(update, failure=failure)
    return _decide_state(status, job, update)


def _decide_state(status: str, job: mg.Job, update: mg.JobUpdate) -> mg.JobUpdate:
    """Decide whether a song that did not fail is there, from its status and the tracks so far."""
    mapped = PROVIDER.state_of(status)
    callback_failed = status.strip().upper() == CALLBACK_EXCEPTION
    if mapped is not mg.JobState.COMPLETED and not callback_failed:
        return update
    tracks: tuple[mg.Track | mg.NativeTrack, ...] = (*job.tracks, *update.tracks)
    with_audio = {track.native_id for track in tracks if track.audio_url}
    listed = {track.native_id for track in tracks}
    if with_audio and with_audio == listed:
        return attrs.evolve(update, state=mg.JobState.COMPLETED)
    if with_audio and callback_failed:
        return attrs.evolve(update, state=mg.JobState.IN_PROGRESS)
    event = "the vendor's callback failed" if callback_failed else "the vendor reported success"
    message = f"{event} and no audio came after it"
    failure = mg.Failure(reason=mg.FailureClass.UPSTREAM_FAILED, message=message, native_code=status)
    grace_s = CALLBACK_EXCEPTION_GRACE_S if callback_failed else NO_AUDIO_GRACE_S
    doubt = mg.Doubt(failure=failure, grace_s=grace_s)
    return attrs.evolve(update, state=mg.JobState.IN_PROGRESS, doubt=doubt)


@mg.hookimpl
def parse_callback(body: bytes) -> mg.CallbackClaim:
    """Read a callback: a hint, never a verdict.

    Raises:
        ProviderError: class ``protocol``, when the body is not a JSON object.
    """
    content = mg.HttpResponse(status=200, body=body).json_object()
    status = _CALLBACK_STATUS.read(content, text)
    return mg.CallbackClaim(native_id=_CALLBACK_ID.read(content, text), native_status=status)


def read_tracks(data: Mapping[str, object], *, derive_cdn_urls: bool = False) -> tuple[mg.NativeTrack, ...]:
    """Read the tracks from the first place that has any, each id once, in the vendor's order.

    Seen: the callbacks "first" and "complete" both deliver track one; a task read through one of them may
    list it twice.
    """
    for place in _places(data):
        tracks = _TRACK.read_all(place)
        if tracks:
            return tuple(_completed(track, derive_cdn_urls=derive_cdn_urls) for track in tracks)
    links = mapping(json_text(data.get("resultJson"))).get("resultUrls")
    found = [url(link) for link in links] if isinstance(links, list) else []
    return tuple(mg.NativeTrack(audio_url=link) for link in found if link)


def _completed(track: mg.NativeTrack, *, derive_cdn_urls: bool) -> mg.NativeTrack:
    if derive_cdn_urls and track.native_id and track.audio_url:
        derived = _CDN_URL.format(id=quote(track.native_id, safe=""))
        links = dict.fromkeys((track.audio_url, *track.fallback_urls, derived))
        track = attrs.evolve(track, fallback_urls=tuple(links)[1:])
    return attrs.evolve(track, lyrics=None) if (track.lyrics or "").strip() == NO_LYRICS else track


def _places(data: Mapping[str, object]) -> Iterator[object]:
    result = json_text(data.get("resultJson"))
    for source in (json_text(data.get("response")), result, data):
        if isinstance(source, list):
            yield source
            continue
        container = mapping(source)
        yield container.get("sunoData") or container.get("suno_data")
        yield container.get("data")
