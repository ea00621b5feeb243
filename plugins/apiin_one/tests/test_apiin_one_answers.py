"""The reading of answers: recorded cases, refusals, and the edge cases of the feed."""

import json
from pathlib import Path
from typing import Any

import pytest

import musicgate_apiin_one
from musicgate.errors import ProviderError
from musicgate.model import FailureClass, JobState, JobUpdate, MusicRequest
from musicgate.plugin.hooks import Step
from musicgate.plugin.wire import HttpResponse
from musicgate.testing.cases import load_cases
from musicgate.testing.rehearsal import Rehearsal
from musicgate_apiin_one.errors import ERRORS

CASES = load_cases(Path(__file__).parent / "cases")
REHEARSAL = Rehearsal("apiin_one", musicgate_apiin_one)
JOB = REHEARSAL.create(MusicRequest(model="suno/v4.5", prompt="x"))

Body = Any


def answer(body: Body, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(status=status, headers=headers or {}, body=json.dumps(body).encode())


def item(**fields: Body) -> dict[str, Body]:
    whole = {"id": "t0", "audio_url": "https://pipe.example/0.mp3", "status": "complete"}
    return {**whole, **fields}


def envelope(status: str | None, *items: dict[str, Body]) -> dict[str, Body]:
    return {"code": 200, "message": "success", "data": {"type": status, "response_data": list(items)}}


def create(response: HttpResponse) -> JobUpdate:
    return _read(Step.CREATE, response)


def poll(response: HttpResponse) -> JobUpdate:
    return _read(Step.POLL, response)


def _read(step: Step, response: HttpResponse) -> JobUpdate:
    update = musicgate_apiin_one.parse_response(
        step=step, response=response, job=JOB, settings=REHEARSAL.settings
    )
    assert isinstance(update, JobUpdate)
    return update


def test_recordings_have_every_kind_of_source() -> None:
    assert {case.mark for case in CASES} == {"DOC", "LIVE", "ASSUMED"}


REFUSALS = [
    (400, "invalid_request", FailureClass.INVALID),
    (400, "bad_request", FailureClass.INVALID),
    (401, "authentication_error", FailureClass.AUTH),
    (402, "insufficient_credits", FailureClass.CREDITS),
    (403, "who_knows", FailureClass.FORBIDDEN),
    (404, "not_found", FailureClass.NOT_FOUND),
    (409, "who_knows", FailureClass.CONFLICT),
    (413, "who_knows", FailureClass.INVALID),
    (422, "who_knows", FailureClass.INVALID),
    (429, "who_knows", FailureClass.RATE_LIMITED),
]


@pytest.mark.parametrize(("status", "kind", "reason"), REFUSALS)
def test_refused_create_has_the_class_of_its_number_or_type_in_every_shape(
    status: int, kind: str, reason: FailureClass
) -> None:
    as_object = {"error": {"code": status, "message": "no", "type": kind}}
    shapes = [as_object, {"code": status, "message": "no"}, {"code": str(status), "msg": "no"}]
    for body in shapes:
        for http_status in (status, 200):
            update = create(answer(body, http_status))
            assert update.failure is not None
            assert update.failure.reason is reason
            assert update.failure.native_message == "no"
            assert update.native_id is None
    assert create(answer({}, status)).failure.reason is reason  # type: ignore[union-attr]  # it is what is tested


@pytest.mark.parametrize(
    ("body", "status", "reason", "code"),
    [
        ({"error": {"type": "insufficient_credits"}}, 500, FailureClass.CREDITS, "insufficient_credits"),
        ({"error": {"code": "bad_request", "message": "x"}}, 200, FailureClass.INVALID, "bad_request"),
        ({"code": "NOT_FOUND", "message": "x"}, 200, FailureClass.NOT_FOUND, "not_found"),
        ({"code": 402, "message": "x"}, 429, FailureClass.CREDITS, "402"),
        (
            {"code": 400, "message": "x", "type": "insufficient_credits"},
            400,
            FailureClass.CREDITS,
            "insufficient_credits",
        ),
        ({"error": "key is revoked"}, 401, FailureClass.AUTH, "401"),
        ({"error": "no such voice"}, 400, FailureClass.INVALID, "400"),
        ({"error": {"code": 200, "message": "x"}}, 400, FailureClass.INVALID, "400"),
        ({"code": 200, "error": {"code": 402, "message": "x"}}, 200, FailureClass.CREDITS, "402"),
    ],
)
def test_type_beats_number_and_number_beats_http_status(
    body: Body, status: int, reason: FailureClass, code: str
) -> None:
    failure = create(answer(body, status)).failure
    assert failure is not None
    assert (failure.reason, failure.native_code) == (reason, code)


@pytest.mark.parametrize(
    "term", ["guidelines", "Policy", "moderation", "INAPPROPRIATE", "copyright", "sensitive"]
)
def test_refusal_message_about_a_filter_is_moderation(term: str) -> None:
    failure = create(answer({"code": 400, "message": f"text: {term}!"}, 400)).failure
    assert failure is not None
    assert failure.reason is FailureClass.MODERATION


def test_only_an_invalid_request_becomes_moderation() -> None:
    failure = create(answer({"code": 429, "message": "see our usage policy"}, 429)).failure
    assert failure is not None
    assert failure.reason is FailureClass.RATE_LIMITED


def test_refusal_keeps_retry_after_and_the_status_422() -> None:
    limited = create(answer({"code": 429, "message": "slow"}, 429, {"Retry-After": "7"})).failure
    unprocessable = create(answer({"code": 422, "message": "odd"}, 422)).failure
    assert limited is not None
    assert unprocessable is not None
    assert (limited.retry_after_s, limited.status) == (7.0, 429)
    assert (unprocessable.http_status, unprocessable.status) == (422, 422)


def test_message_is_truncated_to_500_characters() -> None:
    failure = create(answer({"code": 400, "message": "x" * 600}, 400)).failure
    assert failure is not None
    assert failure.native_message == "x" * 500


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"error": {"code": 500, "message": "x", "type": "server_error"}}, 500, FailureClass.UPSTREAM_FAILED),
        ({"code": 503, "message": "x"}, 503, FailureClass.UPSTREAM_FAILED),
        ({"code": 408, "message": "x"}, 408, FailureClass.TIMEOUT),
        ({"code": 408, "message": "x"}, 200, FailureClass.TIMEOUT),
        ({"code": 504, "message": "x"}, 200, FailureClass.TIMEOUT),
        ({"code": 500, "message": "x"}, 200, FailureClass.UPSTREAM_FAILED),
        ({"code": 500, "message": "see our policy"}, 500, FailureClass.UPSTREAM_FAILED),
        ({"code": 503, "message": "x", "id": "request-1"}, 422, FailureClass.UPSTREAM_FAILED),
        ({"code": 1001, "message": "x", "data": {"task_id": "g"}}, 200, FailureClass.PROTOCOL),
        ({"task_id": "g"}, 302, FailureClass.PROTOCOL),
        ({"error": True, "task_id": "g"}, 200, FailureClass.PROTOCOL),
        ({}, 200, FailureClass.PROTOCOL),
        ([], 200, FailureClass.PROTOCOL),
        (None, 200, FailureClass.PROTOCOL),
        ({"task_id": "  ", "data": {"task_id": ""}}, 200, FailureClass.PROTOCOL),
    ],
)
def test_create_answer_after_which_a_task_may_exist_is_maybe_accepted(
    body: Body, status: int, reason: FailureClass
) -> None:
    with pytest.raises(ProviderError) as caught:
        create(answer(body, status))
    assert caught.value.failure.reason is reason
    assert caught.value.maybe_accepted
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, FailureClass.INVALID), (401, FailureClass.AUTH), (500, FailureClass.UPSTREAM_FAILED)],
)
def test_success_under_an_http_error_status_is_an_error(status: int, reason: FailureClass) -> None:
    with pytest.raises(ProviderError) as created:
        create(answer({"code": 200, "data": {"task_id": "g1"}}, status))
    assert (created.value.failure.reason, created.value.maybe_accepted) == (reason, True)
    with pytest.raises(ProviderError) as polled:
        poll(answer(envelope("SUCCESS", item()), status))
    assert polled.value.failure.reason is reason


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ({"data": {"task_id": "a", "taskId": "b"}, "task_id": "c"}, "a"),
        ({"data": {"task_id": "", "taskId": "b"}, "task_id": "c"}, "b"),
        ({"task_id": "c", "taskId": "d", "data": {}}, "c"),
        ({"task_id": None, "taskId": "d", "workId": "e"}, "d"),
        ({"workId": "e", "data": {"workId": "f"}}, "e"),
        ({"data": {"workId": "f"}, "work_id": "g"}, "f"),
        ({"work_id": "g", "id": "h"}, "g"),
        ({"id": " h "}, "h"),
        ({"id": 17}, "17"),
        ({"data": {"id": "x"}}, None),
    ],
)
def test_task_id_is_the_first_key_that_has_one(body: Body, task_id: str | None) -> None:
    assert ERRORS.task_id.text(body) == task_id


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, FailureClass.INVALID),
        (401, FailureClass.AUTH),
        (402, FailureClass.CREDITS),
        (403, FailureClass.FORBIDDEN),
        (409, FailureClass.CONFLICT),
        (429, FailureClass.RATE_LIMITED),
        (500, FailureClass.UPSTREAM_FAILED),
        (503, FailureClass.UPSTREAM_FAILED),
    ],
)
def test_error_from_the_feed_raises_and_decides_nothing(status: int, reason: FailureClass) -> None:
    for body, http_status in (({"code": status, "message": "x"}, 200), ({"error": {"message": "x"}}, status)):
        with pytest.raises(ProviderError) as caught:
            poll(answer(body, http_status))
        assert not caught.value.maybe_accepted
        assert caught.value.failure.reason is reason


@pytest.mark.parametrize("body", [{"code": 404, "message": "x"}, {"error": {"type": "not_found"}}])
def test_unknown_task_is_a_doubt_for_a_minute(body: Body) -> None:
    doubt = poll(answer(body)).doubt
    assert doubt is not None
    assert doubt.grace_s == 60.0
    assert doubt.failure.reason is FailureClass.NOT_FOUND


@pytest.mark.parametrize("body", [None, 0, "SUCCESS", {}, {"code": 200}, {"message": "success"}])
def test_shape_that_is_not_a_feed_is_a_protocol_error(body: Body) -> None:
    with pytest.raises(ProviderError) as caught:
        poll(answer(body))
    assert caught.value.failure.reason is FailureClass.PROTOCOL


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"response_data": [item()]}},
        {"data": {"response_data": item()}},
        {"response_data": [item()]},
        {"data": [item()]},
        [item()],
        item(),
        {"data": item()},
        {"data": {"response_data": []}, "response_data": [item()]},
    ],
)
def test_items_are_found_in_each_known_place(body: Body) -> None:
    update = poll(answer(body))
    assert update.state is JobState.COMPLETED
    assert [track.native_id for track in update.tracks] == ["t0"]


def test_items_in_the_data_beat_those_beside_it() -> None:
    body = {"data": {"response_data": [item(id="in")]}, "response_data": [item(id="beside")]}
    assert [track.native_id for track in poll(answer(body)).tracks] == ["in"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"data": {"type": "a", "status": "c"}, "type": "b", "status": "d"}, "a"),
        ({"data": {"type": " ", "status": "c"}, "type": "b", "status": "d"}, "b"),
        ({"data": {"status": "c"}, "status": "d"}, "c"),
        ({"data": [], "status": "d"}, "d"),
        ({"data": []}, None),
    ],
)
def test_native_status_is_the_first_of_the_known_keys(body: Body, status: str | None) -> None:
    assert poll(answer(body)).native_status == status


def test_native_status_is_the_first_stage_if_there_is_no_status() -> None:
    assert poll(answer([item(status="first"), item(status="text")])).native_status == "first"


@pytest.mark.parametrize("status", ["IN_PROGRESS", "pending", "Processing", "queued"])
def test_open_status_keeps_a_job_with_final_items_open(status: str) -> None:
    update = poll(answer(envelope(status, item())))
    assert update.state is JobState.IN_PROGRESS
    assert update.tracks[0].audio_url is None
    assert update.tracks[0].stream_audio_url == "https://pipe.example/0.mp3"


@pytest.mark.parametrize("stage", ["complete", "Completed", "SUCCESS"])
def test_final_stage_with_a_link_is_done(stage: str) -> None:
    assert poll(answer(envelope(None, item(status=stage)))).state is JobState.COMPLETED


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "first"},
        {"status": "text", "extra_message": "Nearly all generated"},
        {"status": None},
        {"audio_url": ""},
        {"audio_url": None},
        {"audio_url": "soon"},
    ],
)
def test_one_item_that_is_not_final_keeps_the_job_open(fields: dict[str, Body]) -> None:
    update = poll(answer(envelope("SUCCESS", item(), item(id="t1", **fields))))
    assert update.state is JobState.IN_PROGRESS
    assert [track.audio_url for track in update.tracks] == [None, None]


@pytest.mark.parametrize("status", ["SUCCESS", "complete", "COMPLETED"])
def test_success_without_items_stays_open(status: str) -> None:
    assert poll(answer(envelope(status))).state is JobState.IN_PROGRESS


@pytest.mark.parametrize(
    "said", [{"error": False}, {"error": " "}, {"error": None}, {"code": "success"}, {"type": "not_found"}]
)
def test_answer_that_names_no_error_is_none(said: Body) -> None:
    assert create(answer({**said, "task_id": "g"})).native_id == "g"
    assert poll(answer({**said, "data": [item()]})).state is JobState.COMPLETED


def test_bare_id_beside_an_error_is_not_a_tasks() -> None:
    update = create(answer({"id": "request-1", "error": {"code": 402, "message": "x"}}, 402))
    assert update.native_id is None
    assert update.failure is not None


@pytest.mark.parametrize("status", ["FAILED", "failure", "Fail", "ERROR", "cancelled", "CANCELED"])
def test_failed_status_ends_the_job(status: str) -> None:
    failure = poll(answer(envelope(status, item(status="text", audio_url="")))).failure
    assert failure is not None
    assert (failure.reason, failure.native_code) == (FailureClass.UPSTREAM_FAILED, status)


@pytest.mark.parametrize(
    "fields",
    [
        {"fail_message": "x"},
        {"error_message": "x"},
        {"status": "failed"},
        {"status": "FAIL"},
        {"status": "error"},
    ],
)
def test_job_fails_only_if_every_item_failed(fields: dict[str, Body]) -> None:
    one = envelope("IN_PROGRESS", item(**fields), item(id="t1"))
    both = envelope("IN_PROGRESS", item(**fields), item(id="t1", **fields))
    assert poll(answer(one)).failure is None
    assert poll(answer(both)).failure is not None
    assert all(track.failure_message for track in poll(answer(both)).tracks)
    assert all(track.audio_url is None for track in poll(answer(both)).tracks)


def test_failed_item_has_no_link_while_the_other_is_in_progress() -> None:
    update = poll(answer(envelope("IN_PROGRESS", item(status="error"), item(id="t1", status="first"))))
    links = [track.stream_audio_url for track in update.tracks]
    assert links == [None, "https://pipe.example/0.mp3"]


def test_blank_failure_message_is_not_a_failure() -> None:
    assert (
        poll(answer(envelope("SUCCESS", item(fail_message="  ", error_message="")))).state
        is JobState.COMPLETED
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"type": "FAILED", "error": "model down"}, "model down"),
        ({"type": "FAILED", "message": "model down"}, "model down"),
        ({"type": "FAILED", "fail_message": "model down", "error": "other"}, "model down"),
        ({"type": "FAILED"}, None),
    ],
)
def test_failure_keeps_the_vendors_message(data: Body, text: str | None) -> None:
    failure = poll(answer({"code": 200, "message": "success", "data": data})).failure
    assert failure is not None
    assert failure.native_message == text


def test_message_of_the_envelope_is_used_if_there_is_no_other() -> None:
    failure = poll(answer({"status": "failed", "message": "violates policy"})).failure
    assert failure is not None
    assert (failure.reason, failure.native_message) == (FailureClass.MODERATION, "violates policy")


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (186, 186.0),
        ("186", 186.0),
        ("8.5 s", 8.5),
        ("", None),
        (None, None),
        (0, None),
        (-3, None),
        ("soon", None),
        (True, None),
    ],
)
def test_duration_is_read_in_every_form(duration: Body, seconds: float | None) -> None:
    assert poll(answer([item(duration=duration)])).tracks[0].duration_s == seconds


def test_track_is_read_in_camel_case() -> None:
    body = [{"id": 5, "audioUrl": "https://a.example/5.mp3", "imageUrl": "https://a.example/5.png", "status": "complete",
             "title": " Rain ", "tags": "jazz", "prompt": "la la", "model_name": "chirp-v5", "timestamp": 1771934400000}]  # fmt: skip
    track = poll(answer(body)).tracks[0]
    assert track.native_id == "5"
    assert track.audio_url == "https://a.example/5.mp3"
    assert track.image_url == "https://a.example/5.png"
    assert (track.title, track.tags, track.lyrics, track.native_model) == (
        "Rain",
        "jazz",
        "la la",
        "chirp-v5",
    )
    assert track.created_at is not None
    assert track.created_at.isoformat() == "2026-02-24T12:00:00+00:00"


def test_second_link_is_a_fallback_once_the_song_is_done() -> None:
    links = {"audio_url": "https://a.example/0.mp3", "audioUrl": "https://b.example/0.mp3"}
    open_track = poll(answer([item(**links, status="first")])).tracks[0]
    done_track = poll(answer([item(**links)])).tracks[0]
    assert (open_track.audio_url, open_track.fallback_urls) == (None, ())
    assert (done_track.audio_url, done_track.fallback_urls) == (links["audio_url"], (links["audioUrl"],))


def test_failed_item_without_an_id_or_a_link_is_a_failed_track() -> None:
    update = poll(answer(envelope("IN_PROGRESS", {"status": "error", "title": "Rain"})))
    assert update.failure is not None
    assert [(track.title, track.has_audio) for track in update.tracks] == [("Rain", False)]


def test_unreadable_time_falls_back_to_the_next_key() -> None:
    track = poll(answer([item(created_at="yesterday", createTime=1771934400000)])).tracks[0]
    assert track.created_at is not None


def test_large_image_is_used_if_there_is_no_other() -> None:
    track = poll(answer([item(image_url="", image_large_url="https://a.example/l.png")])).tracks[0]
    assert track.image_url == "https://a.example/l.png"


STATUSES = [
    ("pending", JobState.IN_PROGRESS),
    ("IN_PROGRESS", JobState.IN_PROGRESS),
    ("processing", JobState.IN_PROGRESS),
    ("streaming", JobState.IN_PROGRESS),
    ("text", JobState.IN_PROGRESS),
    ("first", JobState.IN_PROGRESS),
    ("queued", JobState.QUEUED),
    ("new", JobState.QUEUED),
    (" Success ", JobState.COMPLETED),
    ("complete", JobState.COMPLETED),
    ("COMPLETED", JobState.COMPLETED),
    *(
        (status, JobState.FAILED)
        for status in ("failed", "failure", "fail", "error", "cancelled", "canceled")
    ),
    ("remastering", None),
    ("", None),
]


@pytest.mark.parametrize(("status", "state"), STATUSES)
def test_status_maps_to_its_state(status: str, state: JobState | None) -> None:
    assert REHEARSAL.plugin.map_status(status) is state


def test_update_keeps_the_parsed_body() -> None:
    body = envelope("SUCCESS", item())
    assert poll(answer(body)).body == body
    assert create(answer({"task_id": "g"})).body == {"task_id": "g"}
