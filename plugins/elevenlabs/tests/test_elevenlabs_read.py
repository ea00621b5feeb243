"""Reading of answers: songs, refusals and unreadable answers."""

import json
from typing import Any

import pytest

import musicgate_elevenlabs
from musicgate.assets.measure import measure_bytes
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import ProviderError
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    FailureClass,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
    Progress,
)
from musicgate.plugin.hooks import Step
from musicgate.plugin.wire import HttpResponse
from musicgate.testing.rehearsal import Rehearsal

REHEARSAL = Rehearsal("elevenlabs", musicgate_elevenlabs)
MP3 = song(AudioFormat(), 3.0)
TYPE = {"Content-Type": "multipart/mixed; boundary=b0"}
FACTS: dict[str, Any] = {
    "composition_plan": {
        "chunks": [{"text": "la", "duration_ms": 3000, "positive_styles": [], "conditioning_ref": None}]
    },
    "song_metadata": {
        "title": " Night Train ",
        "description": None,
        "genres": ["jazz", None, " soul "],
        "languages": [],
    },
    "words_timestamps": [{"word": "la", "start_ms": 0, "end_ms": 500}],
}


def job(**fields: Any) -> Job:
    request = MusicRequest(model="elevenlabs/music", **{"prompt": "x", **fields})
    attempt = Attempt(
        plugin="elevenlabs",
        provider="elevenlabs",
        model=request.model,
        native_model="music_v2",
        outcome=AttemptOutcome.SENT,
        planned_at=REHEARSAL.now,
    )
    return Job(
        id="job",
        account="a",
        generation_id="G",
        request=request,
        state=JobState.QUEUED,
        created_at=REHEARSAL.now,
        updated_at=REHEARSAL.now,
        deadline_at=REHEARSAL.now,
        callback_token="t",
        attempts=(attempt,),
    )


def read(
    body: bytes,
    headers: dict[str, str] | None = None,
    status: int = 200,
    step: Step = Step.CREATE,
    **fields: Any,
) -> JobUpdate:
    response = HttpResponse(status=status, headers=headers or {}, body=body)
    update = REHEARSAL.plugin.parse(step, response, job(**fields), REHEARSAL.settings)
    assert isinstance(update, JobUpdate)
    return update


def error_of(
    body: bytes, headers: dict[str, str] | None = None, status: int = 200, **fields: Any
) -> tuple[str, bool]:
    with pytest.raises(ProviderError) as caught:
        read(body, headers, status, **fields)
    return caught.value.failure.reason.value, caught.value.maybe_accepted


def refusal_of(status: int, detail: object, headers: dict[str, str] | None = None) -> JobUpdate:
    return read(json.dumps({"detail": detail}).encode(), headers, status)


def detailed(facts: object = FACTS, audio: bytes = MP3, closing: bytes = b"\r\n--b0--\r\n") -> bytes:
    head = b"--b0\r\nContent-Type: application/json\r\n\r\n" + json.dumps(facts).encode()
    return head + b"\r\n--b0\r\nContent-Type: audio/mpeg\r\n\r\n" + audio + closing


def test_audio_becomes_a_track() -> None:
    update = read(MP3, {"Content-Type": "audio/mpeg", "song-id": " s1 ", "request-id": "r1"})
    assert (update.state, update.native_id, update.native_status) == (JobState.COMPLETED, "s1", None)
    (track,) = update.tracks
    assert (track.native_id, track.audio, track.native_model) == ("s1", MP3, "music_v2")
    assert track.duration_s is None


@pytest.mark.parametrize(
    ("headers", "native_id", "track_id"),
    [({"song-id": "s", "request-id": "r"}, "s", "s"), ({"Request-Id": "r"}, "r", None), ({}, None, None)],
)
def test_missing_song_id_does_not_lose_the_song(
    headers: dict[str, str], native_id: str | None, track_id: str | None
) -> None:
    update = read(MP3, headers)
    assert (update.native_id, update.tracks[0].native_id) == (native_id, track_id)


@pytest.mark.parametrize(
    ("fields", "duration_s"),
    [
        ({"duration_s": 30}, 30.0),
        ({"duration_s": 30, "blocks": {"elevenlabs": {"music_length_ms": 12_500}}}, 12.5),
        ({"prompt": None, "blocks": {"elevenlabs": {"composition_plan": FACTS["composition_plan"]}}}, 3.0),
        ({}, None),
    ],
)
def test_duration_is_the_requested_one(fields: dict[str, Any], duration_s: float | None) -> None:
    assert read(MP3, **fields).tracks[0].duration_s == duration_s


@pytest.mark.parametrize(
    ("cost", "charge"), [("120", 120.0), ("0", 0.0), (None, None), ("-1", None), ("many", None), ("", None)]
)
def test_charge_is_the_one_of_the_header(cost: str | None, charge: float | None) -> None:
    progress = read(MP3, {} if cost is None else {"Character-Cost": cost}).progress
    expected = None if charge is None else Progress(charge=charge, charge_unit="credits")
    assert progress == expected


def test_opus_that_does_not_play_has_its_charge() -> None:
    block = {"elevenlabs": {"output_format": "opus_48000_64"}}
    update = read(b"OpusHead", {"character-cost": "7"}, blocks=block)
    assert update.failure is not None
    assert update.progress == Progress(charge=7.0, charge_unit="credits")


def test_song_that_begins_with_zeros_is_a_song() -> None:
    assert read(bytes(512) + MP3).tracks[0].audio == bytes(512) + MP3


@pytest.mark.parametrize("content_type", ["audio/mpeg", "application/octet-stream", "audio/pcm", ""])
def test_headerless_samples_become_wav_for_any_content_type(content_type: str) -> None:
    pcm = song(AudioFormat(container=Container.PCM), 2.0)
    (track,) = read(pcm, {"Content-Type": content_type}, format="wav").tracks
    assert track.audio is not None
    assert track.audio[44:] == pcm
    assert track.duration_s == measure_bytes(track.audio).duration_s == 2.0


def test_opus_needs_its_ogg_container() -> None:
    opus = song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 1.0)
    assert read(opus, format="ogg").tracks[0].audio == opus
    update = read(opus.replace(b"OggS", b"...."), {"song-id": "s"}, format="ogg")
    assert update.failure is not None
    assert update.failure.reason is FailureClass.UNSUPPORTED
    assert update.failure.costs
    assert update.native_id == "s"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"<!DOCTYPE html><html></html>", {}),
        (b"\n<html>", {"format": "wav"}),
        (b'{"message": "accepted"}', {}),
        (b'{"message": "accepted"}', {"format": "wav"}),
        (b"[]", {}),
        (b'{"status": "done"}', {}),
        (b'{"status": "completed", "audio_url": ""}', {}),
        (b"plain words", {}),
        (b"\x00" * 100, {}),
    ],
)
def test_anything_but_audio_is_a_protocol_error(body: bytes, fields: dict[str, Any]) -> None:
    assert error_of(body, **fields) == ("protocol", True)


def test_answer_shorter_than_announced_is_an_unknown_outcome() -> None:
    assert error_of(MP3[:-1], {"Content-Length": str(len(MP3))}) == ("unknown_outcome", True)
    assert error_of(detailed()[:-1], {**TYPE, "Content-Length": str(len(detailed()))})[0] == "unknown_outcome"
    assert read(MP3, {"Content-Length": str(len(MP3))}).tracks
    # The announced length of a compressed answer is another one.
    assert read(MP3, {"Content-Length": str(len(MP3) + 1), "Content-Encoding": "gzip"}).tracks
    assert read(MP3, {"Content-Length": "many"}).tracks


def test_detailed_answer_has_title_genres_words_and_plan() -> None:
    update = read(detailed(), {**TYPE, "song-id": "s"})
    assert update.body == FACTS
    (track,) = update.tracks
    assert (track.audio, track.title, track.tags, track.duration_s) == (MP3, "Night Train", "jazz, soul", 3.0)
    assert track.extra == {
        "words_timestamps": [{"word": "la", "start_ms": 0, "end_ms": 500}],
        "composition_plan": FACTS["composition_plan"],
    }


def test_detailed_answer_in_camel_case_is_read() -> None:
    facts = {
        "compositionPlan": {"chunks": []},
        "songMetadata": {
            "title": "T",
            "genres": ["jazz"],
            "isExplicit": False,
            "languages": ["en"],
            "description": "D",
        },
        "wordsTimestamps": [{"word": "la", "startMs": 1, "endMs": 2}],
        "waveformVisual": [1, -1],
    }
    (track,) = read(detailed(facts), TYPE).tracks
    assert (track.title, track.tags) == ("T", "jazz")
    assert track.extra == {
        "words_timestamps": [{"word": "la", "start_ms": 1, "end_ms": 2}],
        "composition_plan": {"chunks": []},
        "waveform_visual": [1, -1],
        "description": "D",
        "languages": ["en"],
        "is_explicit": False,
    }


@pytest.mark.parametrize(
    "facts",
    [
        {},
        None,
        [],
        {"song_metadata": None, "words_timestamps": None, "composition_plan": None},
        {"song_metadata": {"title": None, "genres": None, "languages": None, "is_explicit": None}},
        {"song_metadata": {"title": 7.5, "genres": "jazz"}, "words_timestamps": "la"},
    ],
)
def test_nulls_and_odd_facts_do_not_lose_the_song(facts: object) -> None:
    (track,) = read(detailed(facts), TYPE).tracks
    assert (track.audio, track.title, track.tags) == (MP3, None, None)


def test_broken_facts_do_not_lose_the_song() -> None:
    (track,) = read(detailed().replace(b'{"composition_plan"', b"{"), TYPE).tracks
    assert track.audio == MP3


def test_missing_closing_boundary_is_an_unknown_outcome_without_content_length() -> None:
    body = detailed(closing=b"")
    assert error_of(body, TYPE) == ("unknown_outcome", True)
    assert read(body, {**TYPE, "Content-Length": str(len(body))}).tracks[0].audio == MP3


def test_detailed_answer_cut_at_any_byte_is_never_a_shorter_song() -> None:
    audio = MP3[:900]
    body = detailed(audio=audio)
    for size in range(1, len(body) + 1):
        response = HttpResponse(status=200, headers=TYPE, body=body[:size])
        try:
            update = REHEARSAL.plugin.parse(Step.CREATE, response, job(), REHEARSAL.settings)
        except ProviderError as error:
            assert error.failure.reason is FailureClass.UNKNOWN_OUTCOME, size
            assert error.maybe_accepted
            assert size < len(body) - 2
        else:
            assert isinstance(update, JobUpdate)
            assert update.tracks[0].audio == audio
            assert size >= len(body) - 2


@pytest.mark.parametrize(
    "body",
    [b"--b0--\r\n", detailed(audio=b""), b"--b0\r\nContent-Type: application/json\r\n\r\n{}\r\n--b0--"],
)
def test_detailed_answer_without_audio_is_a_protocol_error(body: bytes) -> None:
    assert error_of(body, TYPE) == ("protocol", True)


def test_expected_detailed_answer_is_recognised_by_its_first_line() -> None:
    fields: dict[str, Any] = {"blocks": {"elevenlabs": {"with_timestamps": True}}}
    assert read(detailed(), {"Content-Type": "application/octet-stream"}, **fields).tracks[0].audio == MP3
    assert read(MP3, {"Content-Type": "audio/mpeg"}, **fields).tracks[0].audio == MP3


@pytest.mark.parametrize(
    ("body", "state", "mapped"),
    [
        ({"status": "completed", "audio_url": "https://e.com/a.mp3"}, JobState.COMPLETED, JobState.COMPLETED),
        ({"audio_url": "https://e.com/a.mp3"}, JobState.COMPLETED, None),
        ({"status": "odd", "audio_url": "https://e.com/a.mp3"}, JobState.COMPLETED, None),
        ({"status": "processing", "id": "x"}, None, JobState.IN_PROGRESS),
        ({"status": "queued", "id": "x"}, None, JobState.QUEUED),
    ],
)
def test_json_with_a_status_or_a_link_is_read(
    body: dict[str, str], state: JobState | None, mapped: JobState | None
) -> None:
    update = read(json.dumps(body).encode(), {"Content-Type": "application/json"})
    assert update.state is state
    assert REHEARSAL.plugin.map_status(update.native_status) is mapped
    assert [track.audio_url for track in update.tracks] == (
        [body["audio_url"]] if "audio_url" in body else []
    )
    assert update.native_id == body.get("id")


def test_json_with_a_failed_status_is_a_failure() -> None:
    update = read(b'{"status": "failed", "message": "no luck"}')
    assert update.failure is not None
    assert (update.failure.reason, update.failure.message) == (FailureClass.UPSTREAM_FAILED, "no luck")


def test_refusal_under_http_200_is_a_refusal() -> None:
    update = read(b'{"detail": {"code": "system_busy", "message": "busy"}}')
    assert update.failure is not None
    assert update.failure.reason is FailureClass.RATE_LIMITED


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("completed", JobState.COMPLETED),
        (" Succeeded ", JobState.COMPLETED),
        ("SUCCESS", JobState.COMPLETED),
        ("running", JobState.IN_PROGRESS),
        ("in_progress", JobState.IN_PROGRESS),
        ("processing", JobState.IN_PROGRESS),
        ("queued", JobState.QUEUED),
        ("pending", JobState.QUEUED),
        ("failed", JobState.FAILED),
        ("error", JobState.FAILED),
        ("rendering", None),
        ("", None),
    ],
)
def test_native_status_maps_to_a_state(status: str, state: JobState | None) -> None:
    assert REHEARSAL.plugin.map_status(status) is state


CURRENT = [
    (400, "validation_error", "invalid_parameters", "invalid"),
    (400, "validation_error", "missing_required_field", "invalid"),
    (400, "validation_error", "unsupported_model", "invalid"),
    (400, "validation_error", "text_too_long", "invalid"),
    (400, "validation_error", "invalid_output_format", "invalid"),
    (400, "validation_error", "invalid_audio", "invalid"),
    (400, "validation_error", "audio_too_long", "invalid"),
    (400, "validation_error", "audio_too_short", "invalid"),
    (400, "invalid_request", "bad_request", "invalid"),
    (400, "invalid_request", "malformed_json", "invalid"),
    (401, "authentication_error", "invalid_api_key", "auth"),
    (401, "authentication_error", "missing_api_key", "auth"),
    (402, "payment_required", "insufficient_credits", "credits"),
    (402, "payment_required", "paid_plan_required", "forbidden"),
    (403, "authorization_error", "insufficient_permissions", "forbidden"),
    (403, "authorization_error", "feature_not_available", "forbidden"),
    (403, "authorization_error", "subscription_required", "forbidden"),
    (403, "authorization_error", "model_access_denied", "forbidden"),
    (404, "not_found", "song_not_found", "not_found"),
    (404, "not_found", "model_not_found", "unsupported"),
    (409, "conflict", "already_running", "conflict"),
    (429, "rate_limit_error", "rate_limit_exceeded", "rate_limited"),
    (429, "rate_limit_error", "concurrent_limit_exceeded", "rate_limited"),
    (429, "rate_limit_error", "system_busy", "rate_limited"),
    (503, "service_unavailable", "maintenance", "unavailable"),
]
LEGACY = [
    (400, "bad_prompt", "moderation"),
    (400, "bad_composition_plan", "moderation"),
    (401, "quota_exceeded", "credits"),
    (401, "missing_permissions", "forbidden"),
    (402, "limited_access", "forbidden"),
    (402, "payment_required", "forbidden"),
    (429, "too_many_concurrent_requests", "rate_limited"),
]


@pytest.mark.parametrize(("status", "kind", "code", "reason"), CURRENT)
def test_code_of_the_current_form_gives_its_class(status: int, kind: str, code: str, reason: str) -> None:
    detail = {
        "type": kind,
        "code": code,
        "message": "Refused.",
        "status": code,
        "request_id": "r",
        "param": None,
    }
    failure = refusal_of(status, detail).failure
    assert failure is not None
    assert failure.reason == reason
    assert (failure.native_code, failure.native_message) == (code, "Refused.")
    bare = refusal_of(status, {"type": kind, "code": code}).failure
    assert bare is not None
    assert bare.reason == reason


@pytest.mark.parametrize(("status", "code", "reason"), LEGACY)
def test_code_of_the_legacy_form_gives_its_class(status: int, code: str, reason: str) -> None:
    failure = refusal_of(status, {"status": code, "message": "Refused."}).failure
    assert failure is not None
    assert (failure.reason, failure.native_code) == (reason, code)


@pytest.mark.parametrize(
    ("status", "reason", "answered"),
    [
        (400, "invalid", 400),
        (401, "auth", 401),
        (402, "credits", 402),
        (403, "forbidden", 403),
        (404, "not_found", 404),
        (405, "invalid", 400),
        (409, "conflict", 409),
        (413, "invalid", 400),
        (422, "invalid", 422),
        (429, "rate_limited", 429),
    ],
)
@pytest.mark.parametrize(
    "body", [b'{"detail": "Refused."}', b'{"detail": {"code": "brand_new", "message": "x"}}', b"", b"<html>"]
)
def test_without_a_known_code_the_http_status_decides(
    status: int, reason: str, answered: int, body: bytes
) -> None:
    failure = read(body, status=status).failure
    assert failure is not None
    assert (failure.reason, failure.status) == (reason, answered)


def test_refusal_by_the_vendors_plan_keeps_402() -> None:
    failure = refusal_of(402, {"status": "limited_access", "message": "x"}).failure
    assert failure is not None
    assert failure.status == 402


def test_type_gives_the_class_if_the_code_is_unknown() -> None:
    failure = refusal_of(400, {"type": "authorization_error", "code": "brand_new"}).failure
    assert failure is not None
    assert (failure.reason, failure.native_code) == (FailureClass.FORBIDDEN, "brand_new")


def test_moderation_status_beats_the_code_beside_it() -> None:
    plan = {"chunks": [{"text": "la"}]}
    detail = {
        "code": "bad_request",
        "status": "bad_composition_plan",
        "message": "no",
        "data": {"composition_plan_suggestion": plan},
    }
    failure = refusal_of(400, detail).failure
    assert failure is not None
    assert (failure.reason, failure.native_code) == (FailureClass.MODERATION, "bad_composition_plan")
    assert failure.suggestion == plan


@pytest.mark.parametrize(
    ("more", "suggestion"),
    [
        ({"data": {"prompt_suggestion": "a band"}}, "a band"),
        ({"data": {"suggestion": "a band"}}, "a band"),
        ({"suggestion": "a band"}, "a band"),
        ({"data": {"prompt_suggestion": None}}, None),
        ({"data": None}, None),
        ({}, None),
    ],
)
def test_suggestion_is_part_of_the_failure(more: dict[str, Any], suggestion: str | None) -> None:
    failure = refusal_of(400, {"status": "bad_prompt", "message": "no", **more}).failure
    assert failure is not None
    assert failure.suggestion == suggestion


def test_list_of_details_becomes_one_message() -> None:
    failure = refusal_of(
        422,
        [
            {"loc": ["body", "music_length_ms"], "msg": "too small", "type": "greater_than_equal"},
            {"loc": ["query", "output_format"], "msg": "unknown", "type": "enum"},
            "odd",
        ],
    ).failure
    assert failure is not None
    assert failure.message == "body.music_length_ms: too small; query.output_format: unknown"
    assert (failure.native_code, failure.status) == ("greater_than_equal", 422)


def test_long_message_is_truncated() -> None:
    failure = refusal_of(400, "x" * 900).failure
    assert failure is not None
    assert failure.native_message == "x" * 500


@pytest.mark.parametrize(("status", "wait_s"), [(429, 7.0), (503, 7.0), (400, None)])
def test_retry_after_is_read_for_retryable_refusals(status: int, wait_s: float | None) -> None:
    failure = refusal_of(status, "wait", {"Retry-After": "7"}).failure
    assert failure is not None
    assert failure.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b'{"detail": {"type": "internal_error", "message": "x"}}', "upstream_failed"),
        (500, b"<html>", "upstream_failed"),
        (502, b"<html>", "upstream_failed"),
        (503, b"<html>", "upstream_failed"),
        (503, b"", "upstream_failed"),
        (504, b"", "timeout"),
        (408, b'{"detail": "Request timeout"}', "timeout"),
        (302, b"", "protocol"),
    ],
)
def test_answer_that_is_not_a_plain_refusal_may_hide_a_song(status: int, body: bytes, reason: str) -> None:
    assert error_of(body, status=status) == (reason, True)


@pytest.mark.parametrize("step", [Step.POLL, Step.CANCEL, Step.NEXT])
def test_create_is_the_only_call(step: Step) -> None:
    with pytest.raises(ProviderError):
        read(MP3, step=step)
