"""Reading of answers to the create call: audio, a detailed multipart body, or a refusal.

There is only this call, and its answer is the song. So an unreadable answer may hide a song that was paid
for: every error that is not a plain refusal has ``maybe_accepted`` set, and the call is never repeated.

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
    Multipart,
    NativeTrack,
    Progress,
    ProviderError,
    ProviderSettings,
    Step,
    hookimpl,
    read_multipart,
    sniff,
    wav_of_samples,
)
from musicgate.plugin.lenient import first, integer, items, mapping, seconds, text, url
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.declaration import PROVIDER
from musicgate_elevenlabs.errors import ERRORS
from musicgate_elevenlabs.translate import requested_ms, wants_details

_BARE_OPUS: Final = Failure(
    reason=FailureClass.UNSUPPORTED,
    message="Eleven Music sent Opus without an Ogg container, which no player plays",
    may_have_cost=True,
)
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml")


@hookimpl
def parse_response(step: Step, response: HttpResponse, job: Job, settings: ProviderSettings) -> JobUpdate:
    """Read an answer: the song with its facts, or a refusal.

    Raises:
        ProviderError: it is neither, and may hide a song that was paid for.
    """
    if step is not Step.CREATE:
        raise ERRORS.unreadable(response, f"has no {step} call")
    body = _json_or_none(response.body)
    refusal = ERRORS.refusal(step, response, body)
    if refusal is not None:
        return refusal
    if not response.body:
        raise ERRORS.unreadable(response, "answered with no audio at all")
    _check_length(response)
    detailed = read_multipart(
        response.header("content-type"), response.body, is_expected=wants_details(job.request)
    )
    if detailed is not None:
        return _detailed(response, job, detailed)
    if body is not None:
        return _from_json(response, mapping(body))
    return _song(response, job, response.body, {})


def _check_length(response: HttpResponse) -> None:
    """Refuse an answer shorter than announced: the song was made and paid for, but is lost."""
    announced = response.header("content-length")
    if announced is None or not announced.isdecimal() or response.header("content-encoding"):
        return
    if len(response.body) < int(announced[:18]):
        message = f"the answer was cut off: {len(response.body)} of {announced} bytes"
        raise _error(FailureClass.UNKNOWN_OUTCOME, message, response)


def _detailed(response: HttpResponse, job: Job, answer: Multipart) -> JobUpdate:
    """Read a multipart answer; it is complete if it has its closing boundary or the announced length."""
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
        raise ERRORS.unreadable(response, "gave a detailed answer that holds no audio")
    return _song(response, job, audio, facts)


def _song(response: HttpResponse, job: Job, audio: bytes, facts: Mapping[str, object]) -> JobUpdate:
    output = formats.parse(formats.chosen_format(job.request))
    duration_s = _expected_s(job, facts)
    if audio[:64].lstrip().lower().startswith(_MARKUP):
        raise ERRORS.unreadable(response, "answered with markup where audio was due")
    if output.codec is not None and output.is_headerless:
        audio, measured_s = wav_of_samples(
            audio, output.codec, sample_rate_hz=output.sample_rate_hz, expected_s=duration_s
        )
        duration_s = measured_s or duration_s
    elif output.codec is formats.Codec.OPUS and not audio.startswith(b"OggS"):
        return JobUpdate(native_id=_native_id(response), failure=_BARE_OPUS, progress=_charge(response))
    elif sniff(audio[:SNIFF_BYTES]) is None:
        raise ERRORS.unreadable(response, "answered with bytes that are no audio")
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
        progress=_charge(response),
        body=dict(facts) if facts else None,
    )


def _from_json(response: HttpResponse, body: Mapping[str, object]) -> JobUpdate:
    """Read JSON in place of audio: a link (older gateways), or an error."""
    status, link = text(body.get("status")), url(first(body, "audio_url", "audioUrl"))
    state = PROVIDER.state_of(status) if status else None
    native_id = _native_id(response) or text(first(body, "song_id", "id"))
    if state is JobState.FAILED:
        failure = ERRORS.task_failure(status or "", text=first(body, "message", "error"))
        return JobUpdate(native_id=native_id, native_status=status, failure=failure, body=body)
    if state in {JobState.QUEUED, JobState.IN_PROGRESS}:
        return JobUpdate(native_id=native_id, native_status=status, body=body)
    if link is None:
        raise ERRORS.unreadable(response, "answered with JSON where audio was due")
    track = NativeTrack(native_id=native_id, audio_url=link)
    return JobUpdate(
        native_id=native_id, native_status=status, state=JobState.COMPLETED, tracks=(track,), body=body
    )


def _expected_s(job: Job, facts: Mapping[str, object]) -> float | None:
    """The requested length, else that of the plan in the answer."""
    expected_ms = requested_ms(job.request)
    if expected_ms is None:
        expected_ms = plans.length_ms(first(facts, "composition_plan", "compositionPlan"))
    return None if expected_ms is None else seconds(expected_ms / 1000)


def _song_id(response: HttpResponse) -> str | None:
    """The vendor's id of the song, if any: SDK comments tie it to ``store_for_inpainting``."""
    return response.header("song-id")


def _native_id(response: HttpResponse) -> str | None:
    return _song_id(response) or response.header("request-id")


def _charge(response: HttpResponse) -> Progress | None:
    """The charge that the vendor states. ASSUMED: in credits; for music its header is not documented."""
    credits_charged = integer(response.header("character-cost"))
    if credits_charged is None or credits_charged < 0:
        return None
    return Progress(charge=float(credits_charged), charge_unit="credits")


def _genres(metadata: Mapping[str, object]) -> str | None:
    genres = metadata.get("genres")
    names = [text(genre) for genre in genres] if isinstance(genres, list) else []
    return ", ".join(name for name in names if name) or None


def _extra(facts: Mapping[str, object], metadata: Mapping[str, object]) -> dict[str, JsonValue]:
    """Facts of a detailed answer besides title and genres; the plan is unchanged and can be sent back."""
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
    """The body as a JSON object or list; None for anything else, such as audio."""
    if body[:64].lstrip()[:1] not in {b"{", b"["}:
        return None
    try:
        return HttpResponse(status=200, body=body).json()
    except ProviderError:
        return None


def _error(reason: FailureClass, message: str, response: HttpResponse) -> ProviderError:
    return ProviderError(Failure(reason=reason, message=message), status=response.status, maybe_accepted=True)
