"""Reading of answers to the create call: audio, a detailed multipart body, or a refusal.

There is only this call, and its answer is the song. So an unreadable answer may hide a song that was paid
for: every error that is not a plain refusal has ``maybe_accepted`` set, and the call is never repeated.

Sources: elevenlabs.io/docs/api-reference/music/compose and .../compose-detailed, 2026-08.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import musicgate.plugin as mg
from musicgate.plugin import HttpResponse, Job, JobState, JobUpdate, JsonValue
from musicgate.plugin.lenient import first, integer, items, json_text, mapping, seconds, snake_case, text, url
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.declaration import PROVIDER
from musicgate_elevenlabs.errors import ERRORS
from musicgate_elevenlabs.translate import requested_ms, wants_details

_BARE_OPUS: Final = mg.Failure(
    reason=mg.FailureClass.UNSUPPORTED,
    message="Eleven Music sent Opus without an Ogg container, which no player plays",
    may_have_cost=True,
)
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml")


@mg.hookimpl
def parse_response(
    step: mg.Step, response: HttpResponse, job: Job, settings: mg.ProviderSettings
) -> JobUpdate:
    """Read an answer: the song with its facts, or a refusal.

    Raises:
        ProviderError: it is neither, and may hide a song that was paid for.
    """
    if step is not mg.Step.CREATE:
        raise ERRORS.unreadable(response, f"has no {step} call")
    body = _json_or_none(response.body)
    refusal = ERRORS.refusal(step, response, body)
    if refusal is not None:
        return refusal
    if not response.body:
        raise ERRORS.unreadable(response, "answered with no audio at all")
    detailed = mg.read_multipart(
        response.header("content-type"), response.body, is_expected=wants_details(job.request)
    )
    ERRORS.refuse_cut(response, is_whole=detailed is None or detailed.is_closed)
    if detailed is not None:
        found = [mapping(_json_or_none(part.body)) for part in detailed.parts if part.is_json]
        audio = next((part.body for part in detailed.parts if not part.is_json), b"")
        if not audio:
            raise ERRORS.unreadable(response, "gave a detailed answer that holds no audio")
        return _song(response, job, audio, next(filter(None, found), {}))
    if body is not None:
        return _from_json(response, mapping(body))
    return _song(response, job, response.body, {})


def _song(response: HttpResponse, job: Job, audio: bytes, body: Mapping[str, object]) -> JobUpdate:
    output, facts = formats.parse(formats.chosen_format(job.request)), snake_case(body)
    metadata = snake_case(mapping(facts.get("song_metadata")))
    expected_ms = requested_ms(job.request) or plans.length_ms(facts.get("composition_plan"))
    duration_s = None if expected_ms is None else seconds(expected_ms / 1000)
    native_id, charge = _native_id(response), _charge(response)
    if audio[:64].lstrip().lower().startswith(_MARKUP):
        raise ERRORS.unreadable(response, "answered with markup where audio was due")
    if output.codec is not None and output.is_headerless:
        audio, measured_s = mg.wav_of_samples(
            audio, output.codec, sample_rate_hz=output.sample_rate_hz, expected_s=duration_s
        )
        duration_s = measured_s or duration_s
    elif output.codec is formats.Codec.OPUS and not audio.startswith(b"OggS"):
        return JobUpdate(native_id=native_id, failure=_BARE_OPUS, progress=charge)
    elif mg.sniff(audio[: mg.SNIFF_BYTES]) is None:
        raise ERRORS.unreadable(response, "answered with bytes that are no audio")
    genres = metadata.get("genres")
    names = map(text, genres if isinstance(genres, list) else [])
    track = mg.NativeTrack(
        # SDK comments tie the vendor's id of the song to ``store_for_inpainting``.
        native_id=response.header("song-id"),
        audio=audio,
        duration_s=duration_s,
        native_model=job.native_model,
        title=text(metadata.get("title")),
        tags=", ".join(name for name in names if name) or None,
        extra=_extra(facts, metadata),
    )
    return JobUpdate(
        native_id=native_id,
        state=JobState.COMPLETED,
        tracks=(track,),
        progress=charge,
        body=dict(body) if body else None,
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
    track = mg.NativeTrack(native_id=native_id, audio_url=link)
    return JobUpdate(
        native_id=native_id, native_status=status, state=JobState.COMPLETED, tracks=(track,), body=body
    )


def _native_id(response: HttpResponse) -> str | None:
    return response.header("song-id") or response.header("request-id")


def _charge(response: HttpResponse) -> mg.Progress | None:
    """The charge that the vendor states. ASSUMED: in credits; for music its header is not documented."""
    credits_charged = integer(response.header("character-cost"))
    if credits_charged is None or credits_charged < 0:
        return None
    return mg.Progress(charge=float(credits_charged), charge_unit="credits")


def _extra(facts: Mapping[str, object], metadata: Mapping[str, object]) -> dict[str, JsonValue]:
    """Facts of a detailed answer besides title and genres; the plan is unchanged and can be sent back."""
    words: list[JsonValue] = [
        {name: word.get(name) for name in ("word", "start_ms", "end_ms")}
        for word in map(snake_case, items(facts.get("words_timestamps")))
    ]
    found: dict[str, JsonValue] = {
        "words_timestamps": words,
        "composition_plan": facts.get("composition_plan"),
        "waveform_visual": facts.get("waveform_visual"),
        "description": text(metadata.get("description")),
        "languages": metadata.get("languages"),
        "is_explicit": metadata.get("is_explicit"),
    }
    return {key: value for key, value in found.items() if value not in (None, [], "")}


def _json_or_none(body: bytes) -> JsonValue:
    """The body as a JSON object or list; None for anything else, such as audio."""
    is_json = body[:64].lstrip()[:1] in {b"{", b"["}
    return json_text(body.decode("utf-8", "replace")) if is_json else None
