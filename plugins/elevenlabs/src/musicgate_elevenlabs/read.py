"""Reads the answer to a create call: audio, a detailed multipart, or a refusal; sends nothing and keeps nothing.

There is one call only. Its answer is the song, so an answer that cannot be read may hide a song that was paid for: every error here
that is not a plain refusal says ``maybe_accepted``, and nothing is ever asked for twice.

Sources: elevenlabs.io/docs/api-reference/music/compose and .../compose-detailed, 2026-08.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from musicgate.plugin import (
    SNIFF_BYTES,
    Failure,
    FailureClass,
    HttpResponse,
    Job,
    JobState,
    JobUpdate,
    JsonValue,
    NativeTrack,
    ProviderError,
    ProviderSettings,
    Step,
    hookimpl,
    sniff,
)
from musicgate.plugin.lenient import (
    first,
    items,
    mapping,
    seconds,
    text,
    url,
)
from musicgate_elevenlabs import (
    formats,
    multipart,
    plans,
    refusals,
)
from musicgate_elevenlabs.translate import wanted_ms, wants_details

#: Words of a JSON answer, which the vendor's API does not give today (see `_from_json`).
_STATES: Final = {
    "completed": JobState.COMPLETED,
    "succeeded": JobState.COMPLETED,
    "success": JobState.COMPLETED,
    "running": JobState.IN_PROGRESS,
    "in_progress": JobState.IN_PROGRESS,
    "processing": JobState.IN_PROGRESS,
    "queued": JobState.QUEUED,
    "pending": JobState.QUEUED,
    "failed": JobState.FAILED,
    "error": JobState.FAILED,
}
_BARE_OPUS: Final = Failure(
    reason=FailureClass.UNSUPPORTED,
    message="Eleven Music sent Opus without an Ogg container, which no player plays",
    may_have_cost=True,
)
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml")


@hookimpl
def parse_response(step: Step, response: HttpResponse, job: Job, settings: ProviderSettings) -> JobUpdate:
    """Read an answer: the song with its facts, or why there is none."""
    if step is not Step.CREATE:
        raise _error(FailureClass.PROTOCOL, f"Eleven Music has no {step} call", response)
    if not response.is_success:
        return _refused(response)
    if not response.body:
        raise _error(FailureClass.PROTOCOL, "Eleven Music answered with no audio at all", response)
    _refuse_cut(response)
    content_type = response.header("content-type")
    looks_detailed = wants_details(job.request) and multipart.begins_with_boundary(response.body)
    if looks_detailed or multipart.is_multipart(content_type):
        return _detailed(response, job)
    body = _json_or_none(response.body)
    if body is not None:
        return _from_json(response, mapping(body))
    return _song(response, job, response.body, {})


@hookimpl
def map_status(native_status: str) -> JobState | None:
    """The meaning of a status word. Today's answers carry none: audio is the status."""
    return _STATES.get(native_status.strip().lower())


def _refused(response: HttpResponse) -> JobUpdate:
    detail = refusals.read_detail(response)
    failure = refusals.refusal(response, detail)
    if failure is None:
        raise ProviderError(
            refusals.unexplained(response, detail), status=response.status, maybe_accepted=True
        )
    return JobUpdate(failure=failure, body=detail.body)


def _refuse_cut(response: HttpResponse) -> None:
    """An answer shorter than announced is a song that was made, paid for and lost on the way."""
    announced = response.header("content-length")
    if announced is None or not announced.isdecimal() or response.header("content-encoding"):
        return
    if len(response.body) < int(announced[:18]):
        message = f"the answer was cut off: {len(response.body)} of {announced} bytes"
        raise _error(FailureClass.UNKNOWN_OUTCOME, message, response)


def _detailed(response: HttpResponse, job: Job) -> JobUpdate:
    """A multipart answer. It is whole if its closing boundary is there, or if it has the length that was announced."""
    answer = multipart.read(response.header("content-type"), response.body)
    if not answer.is_closed and response.header("content-length") is None:
        message = "the answer was cut off: its closing boundary is missing"
        raise _error(FailureClass.UNKNOWN_OUTCOME, message, response)
    facts: Mapping[str, object] = {}
    audio = None
    for part in answer.parts:
        if part.is_json:
            facts = facts or mapping(_json_or_none(part.body))
        elif audio is None:
            audio = part.body
    if not audio:
        raise _error(FailureClass.PROTOCOL, "the detailed answer holds no audio", response)
    return _song(response, job, audio, facts)


def _song(response: HttpResponse, job: Job, audio: bytes, facts: Mapping[str, object]) -> JobUpdate:
    output = formats.parse(formats.chosen_word(job.request))
    duration_s = _wanted_s(job, facts)
    if audio[:64].lstrip().lower().startswith(_MARKUP):
        raise _error(FailureClass.PROTOCOL, "Eleven Music answered with markup where audio was due", response)
    if output.is_headerless:
        audio, measured_s = formats.playable(output, audio, duration_s)
        duration_s = measured_s or duration_s
    elif output.codec is formats.Codec.OPUS and not audio.startswith(b"OggS"):
        return JobUpdate(native_id=_native_id(response), failure=_BARE_OPUS)
    elif sniff(audio[:SNIFF_BYTES]) is None:
        raise _error(FailureClass.PROTOCOL, "Eleven Music answered with bytes that are no audio", response)
    metadata = mapping(first(facts, "song_metadata", "songMetadata"))
    track = NativeTrack(
        native_id=_song_id(response),
        audio=audio,
        duration_s=duration_s,
        native_model=job.native_model,
        title=text(metadata.get("title")),
        tags=_genres(metadata),
        extra=_extra(facts, metadata),
    )
    return JobUpdate(
        native_id=_native_id(response),
        state=JobState.COMPLETED,
        tracks=(track,),
        body=dict(facts) if facts else None,
    )


def _from_json(response: HttpResponse, body: Mapping[str, object]) -> JobUpdate:
    """JSON where audio was due: a refusal behind HTTP 200, the link that older gateways spoke of, or nonsense."""
    detail = refusals.read_detail(response)
    failure = refusals.refusal(response, detail) if detail.meaning is not None else None
    if failure is not None:
        return JobUpdate(failure=failure, body=body)
    word, link = text(body.get("status")), url(first(body, "audio_url", "audioUrl"))
    state = map_status(word) if word else None
    native_id = _native_id(response) or text(first(body, "song_id", "id"))
    if state is JobState.FAILED:
        message = refusals.short(text(first(body, "message", "error")) or f"Eleven Music reported {word!r}")
        failure = Failure(reason=FailureClass.UPSTREAM_FAILED, message=message, native_code=word)
        return JobUpdate(native_id=native_id, native_status=word, failure=failure, body=body)
    if state in {JobState.QUEUED, JobState.IN_PROGRESS}:
        return JobUpdate(native_id=native_id, native_status=word, body=body)
    if link is None:
        raise _error(FailureClass.PROTOCOL, "Eleven Music answered with JSON where audio was due", response)
    track = NativeTrack(native_id=native_id, audio_url=link)
    return JobUpdate(
        native_id=native_id, native_status=word, state=JobState.COMPLETED, tracks=(track,), body=body
    )


def _wanted_s(job: Job, facts: Mapping[str, object]) -> float | None:
    """The length that was asked for, else that of the plan that came back."""
    asked_ms = wanted_ms(job.request)
    if asked_ms is None:
        asked_ms = plans.length_ms(first(facts, "composition_plan", "compositionPlan"))
    return None if asked_ms is None else seconds(asked_ms / 1000)


def _song_id(response: HttpResponse) -> str | None:
    """The vendor's id of the song. SDK comments say that it comes only with store_for_inpainting: never rely on it."""
    return response.header("song-id")


def _native_id(response: HttpResponse) -> str | None:
    return _song_id(response) or response.header("request-id")


def _genres(metadata: Mapping[str, object]) -> str | None:
    genres = metadata.get("genres")
    words = [text(genre) for genre in genres] if isinstance(genres, list) else []
    return ", ".join(word for word in words if word) or None


def _extra(facts: Mapping[str, object], metadata: Mapping[str, object]) -> dict[str, JsonValue]:
    """What the detailed answer tells beyond title and genres. The plan stays as it is: it can be sent back unchanged."""
    words = [
        {
            "word": word.get("word"),
            "start_ms": first(word, "start_ms", "startMs"),
            "end_ms": first(word, "end_ms", "endMs"),
        }
        for word in items(first(facts, "words_timestamps", "wordsTimestamps"))
    ]
    found: dict[str, JsonValue] = {
        "words_timestamps": words or None,
        "composition_plan": first(facts, "composition_plan", "compositionPlan"),
        "waveform_visual": first(facts, "waveform_visual", "waveformVisual"),
        "description": text(metadata.get("description")),
        "languages": first(metadata, "languages"),
        "is_explicit": first(metadata, "is_explicit", "isExplicit"),
    }
    return {key: value for key, value in found.items() if value is not None and value != []}


def _json_or_none(body: bytes) -> JsonValue:
    """A JSON object or list; None for anything else, audio above all."""
    if body[:64].lstrip()[:1] not in {b"{", b"["}:
        return None
    try:
        return HttpResponse(status=200, body=body).json()
    except ProviderError:
        return None


def _error(reason: FailureClass, message: str, response: HttpResponse) -> ProviderError:
    return ProviderError(Failure(reason=reason, message=message), status=response.status, maybe_accepted=True)
