"""The reading of answers: recorded cases, codes, statuses, and arbitrary bytes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

import musicgate_suno_kie
from musicgate.errors import ProviderError
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Doubt,
    Failure,
    FailureClass,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
    ProviderSettings,
    Track,
)
from musicgate.plugin import ErrorTable, Progress
from musicgate.plugin.hooks import Step
from musicgate.plugin.wire import HttpResponse
from musicgate.testing.cases import load_cases
from musicgate_suno_kie.codes import KIE, SUNOAPI
from musicgate_suno_kie.declaration import PROVIDER
from musicgate_suno_kie.read import read_tracks

CASES = load_cases(Path(__file__).parent / "cases")
SETTINGS = ProviderSettings(base_url="https://api.kie.ai")
AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
JOB = Job(
    id="job",
    account="test",
    generation_id="G-TEST",
    request=MusicRequest(model="suno/v5", prompt="x"),
    state=JobState.IN_PROGRESS,
    created_at=AT,
    updated_at=AT,
    deadline_at=AT + timedelta(minutes=20),
    callback_token="token",
    attempts=(
        Attempt(
            plugin="suno_kie",
            provider="suno",
            model="suno/v5",
            native_model="V5",
            outcome=AttemptOutcome.ACCEPTED,
            planned_at=AT,
            native_id="task",
        ),
    ),
)


def parse(step: Step, body: object, status: int = 200, *, job: Job = JOB, flavour: str = "kie") -> JobUpdate:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    settings = attrs.evolve(SETTINGS, options={"flavour": flavour})
    return musicgate_suno_kie.parse_response(step, HttpResponse(status=status, body=content), job, settings)


def refusal_of(table: ErrorTable, step: Step, response: HttpResponse, body: object) -> Failure:
    try:
        update = table.refusal(step, response, body)
    except ProviderError as error:
        return error.failure
    assert update is not None
    assert update.failure is not None
    return update.failure


def failure_of(
    code: int, message: str | None, table: ErrorTable = KIE, *, retry_after_s: float | None = None
) -> Failure:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    body = {"code": code, "msg": message}
    return refusal_of(table, Step.CREATE, HttpResponse(status=200, headers=headers), body)


def failure_of_http(status: int) -> Failure:
    return refusal_of(KIE, Step.CREATE, HttpResponse(status=status), None)


def test_no_recording_is_missing() -> None:
    assert len(CASES) == 54


# --- codes ---


@pytest.mark.parametrize(
    ("code", "kie", "sunoapi"),
    [
        (400, "moderation", "moderation"),
        (401, "auth", "auth"),
        (402, "credits", "credits"),
        (403, "forbidden", "forbidden"),
        (404, "not_found", "not_found"),
        (405, "upstream_failed", "rate_limited"),
        (408, "timeout", "timeout"),
        (409, "conflict", "conflict"),
        (413, "moderation", "invalid"),
        (422, "invalid", "invalid"),
        (429, "rate_limited", "credits"),
        (430, "upstream_failed", "rate_limited"),
        (433, "credits", "credits"),
        (451, "invalid", "invalid"),
        (455, "unavailable", "unavailable"),
        (500, "upstream_failed", "upstream_failed"),
        (501, "upstream_failed", "upstream_failed"),
        (505, "unsupported", "unsupported"),
        (531, "upstream_failed", "upstream_failed"),
        (777, "upstream_failed", "upstream_failed"),
    ],
)
def test_code_has_its_failure_class(code: int, kie: str, sunoapi: str) -> None:
    assert failure_of(code, "text").reason == kie
    assert failure_of(code, "text", SUNOAPI).reason == sunoapi
    assert failure_of(code, "text").native_code == str(code)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Your call frequency is too high", "rate_limited"),
        ("customMode: This field is required", "invalid"),
        ("model is not within the range of allowed options", "invalid"),
        ("Server exception", "upstream_failed"),
        (None, "upstream_failed"),
    ],
)
def test_known_message_beats_the_code_500(message: str | None, reason: str) -> None:
    assert failure_of(500, message).reason == reason


def test_validation_message_does_not_hide_an_auth_error() -> None:
    assert failure_of(401, "This field is required").reason is FailureClass.AUTH


@pytest.mark.parametrize(("code", "wait_s"), [(429, 10.0), (455, None), (402, None)])
def test_rate_limit_without_retry_after_waits_for_the_window(code: int, wait_s: float | None) -> None:
    assert failure_of(code, None).retry_after_s == wait_s


def test_retry_after_is_honoured() -> None:
    assert failure_of(429, None, retry_after_s=3.0).retry_after_s == 3.0
    assert failure_of(455, None, retry_after_s=3.0).retry_after_s == 3.0


@pytest.mark.parametrize(("code", "cost"), [(531, False), (501, None), (413, None)])
def test_only_a_refunded_code_is_known_to_be_free(code: int, *, cost: bool | None) -> None:
    assert failure_of(code, None).may_have_cost is cost
    assert KIE.task_failure("GENERATE_AUDIO_FAILED", code).may_have_cost is cost


def test_only_a_422_keeps_its_http_status() -> None:
    assert failure_of(422, None).status == 422
    assert failure_of(451, None).status == 400


@pytest.mark.parametrize("code", [429, 500, 455, 777, None])
def test_code_of_a_call_does_not_explain_a_failed_task(code: int | None) -> None:
    assert KIE.task_failure("GENERATE_AUDIO_FAILED", code).reason is FailureClass.UPSTREAM_FAILED


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (302, "protocol"),
        (400, "invalid"),
        (401, "auth"),
        (402, "credits"),
        (403, "forbidden"),
        (404, "not_found"),
        (405, "not_found"),
        (413, "invalid"),
        (418, "invalid"),
        (451, "forbidden"),
        (499, "invalid"),
        (429, "rate_limited"),
        (500, "upstream_failed"),
        (503, "upstream_failed"),
    ],
)
def test_http_error_without_an_envelope_has_its_failure_class(status: int, reason: str) -> None:
    assert failure_of_http(status).reason == reason


# --- create ---


@pytest.mark.parametrize(
    "code", [400, 401, 402, 404, 405, 408, 409, 413, 422, 429, 433, 451, 455, 501, 505, 531]
)
@pytest.mark.parametrize("as_http", [False, True])
def test_refusal_code_of_a_create_call_is_a_failure_and_not_an_error(code: int, *, as_http: bool) -> None:
    update = parse(Step.CREATE, {"code": code, "msg": "no", "data": None}, code if as_http else 200)
    assert update.native_id is None
    assert update.failure is not None
    assert update.failure.native_code == str(code)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"code": 500, "msg": "Server Error"}, 200),
        ({"code": 599, "msg": "?"}, 200),
        ({"code": 405, "msg": "?"}, 500),
        ({"msg": "?"}, 500),
        (b"<html>", 502),
        (b"", 503),
        (b"", 200),
        (b"[]", 200),
        ({"code": 200, "data": {}}, 200),
        ({"code": 200, "data": {"taskId": " "}}, 200),
        ({"code": 200, "data": {"taskId": True}}, 200),
        ({}, 200),
        ({"msg": "moved"}, 302),
        (b"moved", 302),
    ],
)
def test_create_answer_after_which_a_task_may_exist_is_maybe_accepted(body: object, status: int) -> None:
    with pytest.raises(ProviderError) as caught:
        parse(Step.CREATE, body, status)
    assert caught.value.maybe_accepted
    assert not caught.value.retryable


@pytest.mark.parametrize("status", [400, 404, 499])
def test_http_4xx_without_an_envelope_is_not_maybe_accepted(status: int) -> None:
    update = parse(Step.CREATE, b"no", status)
    assert update.native_id is None
    assert update.failure is not None


def test_http_refusal_without_a_code_keeps_its_message() -> None:
    failure = parse(Step.CREATE, {"error": "who are you"}, 401).failure
    assert failure is not None
    assert (failure.reason, failure.message, failure.native_message) == (
        FailureClass.AUTH,
        "who are you",
        "who are you",
    )
    silent = parse(Step.CREATE, {}, 401).failure
    assert silent is not None
    assert "HTTP 401" in silent.message
    assert silent.native_message is None


def test_http_429_without_an_envelope_is_a_rate_limit() -> None:
    failure = parse(Step.CREATE, b"slow down", 429).failure
    assert failure is not None
    assert failure.reason is FailureClass.RATE_LIMITED


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "data": {"taskId": " abc "}},
        {"code": "200", "data": {"task_id": "abc"}},
        {"code": 200, "taskId": "abc", "data": None},
        {"data": {"taskId": "abc"}},
    ],
)
def test_task_id_is_found_under_each_known_key(body: object) -> None:
    assert parse(Step.CREATE, body).native_id == "abc"
    assert parse(Step.CREATE, body).state is JobState.IN_PROGRESS


def test_error_code_beside_a_task_id_keeps_the_id() -> None:
    update = parse(Step.CREATE, {"code": 500, "msg": "late", "data": {"taskId": "abc"}})
    assert update.native_id == "abc"
    assert update.failure is not None


def test_message_is_truncated_to_500_characters() -> None:
    update = parse(Step.CREATE, {"code": 422, "msg": "x" * 600})
    assert update.failure is not None
    assert update.failure.native_message == "x" * 500


# --- reads ---


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("PENDING", "in_progress"),
        ("TEXT_SUCCESS", "in_progress"),
        ("FIRST_SUCCESS", "in_progress"),
        ("GENERATING", "in_progress"),
        ("RUNNING", "in_progress"),
        ("waiting", "in_progress"),
        ("queuing", "in_progress"),
        ("queued", "in_progress"),
        (" success ", "completed"),
        ("SUCCEEDED", "completed"),
        ("COMPLETED", "completed"),
        ("CREATE_TASK_FAILED", "failed"),
        ("GENERATE_AUDIO_FAILED", "failed"),
        ("SENSITIVE_WORD_ERROR", "failed"),
        ("FAILED", "failed"),
        ("fail", "failed"),
        ("ERROR", "failed"),
        ("CALLBACK_EXCEPTION", None),
        ("GRONKED", None),
        ("", None),
    ],
)
def test_status_maps_to_its_state(status: str, state: str | None) -> None:
    assert PROVIDER.state_of(status) == state


@pytest.mark.parametrize("code", [401, 402, 429, 433, 455, 500, 505, 777])
@pytest.mark.parametrize("as_http", [False, True])
def test_error_code_that_is_not_about_the_task_raises_while_polling(code: int, *, as_http: bool) -> None:
    with pytest.raises(ProviderError):
        parse(Step.POLL, {"code": code, "msg": "noise"}, code if as_http else 200)


@pytest.mark.parametrize("code", [400, 413, 501, 531])
def test_final_code_ends_the_job(code: int) -> None:
    failure = parse(Step.POLL, {"code": code, "msg": "over"}).failure
    assert failure is not None
    assert failure.native_code == str(code)


@pytest.mark.parametrize(
    ("code", "reason", "grace_s"), [(404, "not_found", 60), (422, "not_found", 60), (408, "timeout", 120)]
)
def test_missing_record_and_time_out_are_doubts(code: int, reason: str, grace_s: float) -> None:
    update = parse(Step.POLL, {"code": code, "msg": "recordInfo is null", "data": None})
    assert update.failure is None
    assert isinstance(update.doubt, Doubt)
    assert (update.doubt.failure.reason, update.doubt.grace_s) == (reason, grace_s)


@pytest.mark.parametrize("data", ["", [], {}, {"status": None}, {"status": ""}, 7])
def test_success_without_a_record_is_a_protocol_error(data: object) -> None:
    with pytest.raises(ProviderError) as caught:
        parse(Step.POLL, {"code": 200, "msg": "success", "data": data})
    assert caught.value.failure.reason is FailureClass.PROTOCOL


@pytest.mark.parametrize(
    ("consumed", "charge"), [(12, 12.0), ("12", 12.0), (0.4, 0.4), (0, None), (None, None), (True, None)]
)
def test_consumed_credits_are_the_charge(consumed: object, charge: float | None) -> None:
    update = poll(JOB, {"code": 200, "data": {"state": "success", "creditsConsumed": consumed}})
    expected = None if charge is None else Progress(charge=charge, charge_unit="credits")
    assert update.progress == expected


def test_success_with_null_data_means_that_there_is_no_such_task() -> None:
    # Seen: the legacy route, for an unknown task (recordings of 2026-04 to 2026-08).
    update = parse(Step.POLL, {"code": 200, "msg": "success", "data": None})
    assert update.failure is None
    assert update.doubt is not None
    assert (update.doubt.failure.reason, update.doubt.grace_s) == (FailureClass.NOT_FOUND, 60.0)
    with pytest.raises(ProviderError):
        parse(Step.POLL, {"code": 200, "msg": "success"})


def record(status: str, *urls: str | None, **extra: object) -> dict[str, Any]:
    tracks = [{"id": f"t{index}", "audioUrl": link} for index, link in enumerate(urls)]
    return {"code": 200, "data": {"status": status, "response": {"sunoData": tracks}, **extra}}


def poll(job: Job, body: object) -> JobUpdate:
    response = HttpResponse(status=200, body=json.dumps(body).encode())
    update = musicgate_suno_kie.parse_response(Step.POLL, response, job, SETTINGS)
    assert isinstance(update, JobUpdate)
    return update


@pytest.mark.parametrize(
    ("status", "urls", "state", "grace_s"),
    [
        ("SUCCESS", ("https://x.example/a.mp3", "https://x.example/b.mp3"), "completed", None),
        ("SUCCESS", ("https://x.example/a.mp3", ""), "in_progress", 120.0),
        ("SUCCESS", (None, None), "in_progress", 120.0),
        ("CALLBACK_EXCEPTION", ("https://x.example/a.mp3", "https://x.example/b.mp3"), "completed", None),
        ("CALLBACK_EXCEPTION", ("https://x.example/a.mp3", ""), "in_progress", None),
        ("CALLBACK_EXCEPTION", (None, None), "in_progress", 120.0),
    ],
)
def test_success_with_a_track_without_audio_leaves_the_job_open(
    status: str, urls: tuple[str | None, ...], state: str, grace_s: float | None
) -> None:
    update = poll(JOB, record(status, *urls))
    assert update.state == state
    assert (update.doubt.grace_s if update.doubt else None) == grace_s


def test_links_missing_from_the_last_record_do_not_lose_the_second_track() -> None:
    known = (
        Track(index=0, native_id="t0", audio_url="https://x.example/a.mp3"),
        Track(index=1, native_id="t1"),
    )
    job = attrs.evolve(JOB, native_status="FIRST_SUCCESS", tracks=known)
    assert poll(job, record("SUCCESS", None, None)).state is JobState.IN_PROGRESS
    assert poll(job, {"code": 200, "data": {"status": "SUCCESS"}}).state is JobState.IN_PROGRESS
    assert poll(job, record("SUCCESS", None, "https://x.example/b.mp3")).state is JobState.COMPLETED


# --- tracks ---


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"duration": 198.44}, 198.44),
        ({"duration": "186 s"}, 186.0),
        ({"duration": None, "durationSeconds": 7}, 7.0),
        ({"duration": 0, "metadata": {"duration": 3}}, 3.0),
        ({"duration": -1}, None),
        ({"duration": "long"}, None),
        ({"duration": True}, None),
        ({}, None),
    ],
)
def test_duration_is_positive_seconds_or_none(fields: dict[str, Any], seconds: float | None) -> None:
    (track,) = read_tracks({"data": [{"id": "a", **fields}]})
    assert track.duration_s == seconds


@pytest.mark.parametrize(
    "data",
    [
        {"response": {"sunoData": [{"id": "a"}]}},
        {"response": {"suno_data": [{"id": "a"}]}},
        {"sunoData": [{"id": "a"}]},
        {"response": {"data": [{"id": "a"}]}},
        {"response": {"sunoData": None, "data": [{"id": "a"}]}},
        {"data": [{"id": "a"}]},
        {"resultJson": '{"data": [{"id": "a"}]}'},
        {"resultJson": '[{"id": "a"}]'},
        {"response": None, "resultJson": {"sunoData": [{"id": "a"}]}},
        {"response": {"sunoData": [{}, 3, {"id": "a"}, {"id": "a"}]}},
    ],
)
def test_tracks_are_found_in_each_known_place(data: dict[str, Any]) -> None:
    assert [track.native_id for track in read_tracks(data)] == ["a"]


def test_text_that_is_not_an_http_url_is_not_a_link() -> None:
    links = {"audioUrl": "", "streamAudioUrl": " ", "imageUrl": "ftp://x", "sourceImageUrl": None}
    (track,) = read_tracks({"data": [{"id": "a", **links}]})
    assert (track.audio_url, track.stream_audio_url, track.image_url) == (None, None, None)


@pytest.mark.parametrize(("derive", "links"), [(False, ()), (True, ("https://cdn1.suno.ai/a%2Fb.mp3",))])
def test_cdn_url_is_derived_only_if_enabled(*, derive: bool, links: tuple[str, ...]) -> None:
    item = {"id": "a/b", "audioUrl": "https://x.example/a.mp3"}
    (track,) = read_tracks({"data": [item]}, derive_cdn_urls=derive)
    assert track.fallback_urls == links


def test_derive_cdn_urls_setting_reaches_the_reader() -> None:
    settings = attrs.evolve(SETTINGS, options={"derive_cdn_urls": True})
    body = json.dumps(record("SUCCESS", "https://x.example/a.mp3")).encode()
    update = musicgate_suno_kie.parse_response(Step.POLL, HttpResponse(status=200, body=body), JOB, settings)
    assert update.tracks[0].fallback_urls == ("https://cdn1.suno.ai/t0.mp3",)


# --- arbitrary answers ---
