"""The emulator: whole jobs under each switch; credits, keys, routes and media."""

import json
from pathlib import Path
from typing import Any

import pytest

import musicgate_apiin_one
from musicgate.assets import audio
from musicgate.emulation.switches import markdown
from musicgate.errors import ConfigError, ProviderError
from musicgate.model import (
    FailureClass,
    Job,
    JobState,
    MusicRequest,
)
from musicgate.plugin.emulator import EmulatedAnswer, EmulatorOptions
from musicgate.plugin.wire import HttpRequest
from musicgate.testing.rehearsal import Rehearsal
from musicgate_apiin_one.emulator_server import ApiinEmulator

ORIGIN = "http://127.0.0.1:1"
CREATE = f"{ORIGIN}/api/v1/audio/music"
FEED = f"{ORIGIN}/api/v1/audio/music/feed"


def rehearse(key: str = "test-key-not-real", doc_generation: str = "A", **switches: str) -> Rehearsal:
    options = {"doc_generation": doc_generation}
    return Rehearsal("apiin_one", musicgate_apiin_one, switches=switches, options=options, key=key)


def song_request(prompt: str = "rain", **fields: Any) -> MusicRequest:
    return MusicRequest(**{"model": "suno/v4.5", "prompt": prompt, **fields})


def emulate(**switches: str) -> ApiinEmulator:
    return ApiinEmulator(EmulatorOptions(switches=switches))


def call(
    emulator: ApiinEmulator, method: str, url: str, body: Any = None, now: float = 0.0, key: str = "k"
) -> EmulatedAnswer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = HttpRequest(method=method, url=url, headers={"Authorization": f"Bearer {key}"}, body=content)
    return emulator.answer(request, now)


def read(answer: EmulatedAnswer) -> Any:
    return json.loads(answer.response.body)


def create(emulator: ApiinEmulator, now: float = 0.0, key: str = "k", **body: Any) -> str:
    whole = {"model": "suno-v4-5", "gpt_description_prompt": "rain", **body}
    return str(read(call(emulator, "POST", CREATE, whole, now, key))["task_id"])


def feed(emulator: ApiinEmulator, task: str, now: float) -> Any:
    return read(call(emulator, "GET", f"{FEED}?task_id={task}", None, now))["data"]


def assert_two_songs(job: Job) -> None:
    assert job.delivered_at is not None
    assert [track.has_audio for track in job.tracks] == [True, True]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (switch.name, value)
            for switch in ApiinEmulator.switches
            if switch.name in {"create_shape", "type_style", "final_style", "duration_style"}
            for value in switch.values.shown.split(", ")
        ),
        *(("feed_parameter", value) for value in ("any", "task_id")),
        *(("docs_gen", value) for value in ("any", "A")),
    ],
)
def test_every_valid_shape_delivers_two_songs(name: str, value: str) -> None:
    rehearsal = rehearse(**{name: value})
    job = rehearsal.run(song_request())
    assert_two_songs(job)
    assert rehearsal.noise == []
    assert all(track.duration_s in range(6, 13) for track in job.tracks)
    assert list(rehearsal.emulator.books.credits_charged.values()) == [10]


@pytest.mark.parametrize("noise", ["missing", "500", "empty", "html", "malformed", "code_429"])
@pytest.mark.parametrize(("error_shape", "error_http"), [("object", "status"), ("code", "200")])
def test_faulty_feed_answers_do_not_fail_the_job(noise: str, error_shape: str, error_http: str) -> None:
    rehearsal = rehearse(poll=f"{noise}:2", error_shape=error_shape, error_http=error_http)
    assert_two_songs(rehearsal.run(song_request()))
    # "Not found" is a doubt, not noise; it is dropped once the task is found.
    assert len(rehearsal.noise) == (0 if noise == "missing" else 2)


def test_task_that_stays_unknown_fails_after_a_minute() -> None:
    rehearsal = rehearse(poll="missing:ever")
    job = rehearsal.run(song_request())
    assert job.failure is not None
    assert job.failure.reason is FailureClass.NOT_FOUND
    assert 60 <= (job.updated_at - job.created_at).total_seconds() < 90


@pytest.mark.parametrize("failure", ["all", "error_message", "type"])
@pytest.mark.parametrize("type_style", ["in_progress", "success"])
@pytest.mark.parametrize(
    ("fail_text", "reason"),
    [("plain", FailureClass.UPSTREAM_FAILED), ("moderation", FailureClass.MODERATION)],
)
def test_failed_song_fails_the_job_and_is_refunded(
    failure: str, type_style: str, fail_text: str, reason: FailureClass
) -> None:
    rehearsal = rehearse(failure=failure, type_style=type_style, fail_text=fail_text)
    job = rehearsal.run(song_request())
    assert job.failure is not None
    assert job.failure.reason is (FailureClass.UPSTREAM_FAILED if failure == "type" else reason)
    assert not any(track.has_audio for track in job.tracks)
    assert list(rehearsal.emulator.books.credits_charged.values()) == [0]


def test_one_failed_track_leaves_the_other_playable() -> None:
    job = rehearse(failure="one").run(song_request())
    assert job.delivered_at is not None
    assert [track.has_audio for track in job.tracks] == [True, False]
    assert job.tracks[1].failure_message == "Generation failed, please try again."


@pytest.mark.parametrize("stuck", ["1", "empty"])
def test_song_that_is_never_done_expires(stuck: str) -> None:
    job = rehearse(stuck=stuck).run(song_request())
    assert job.failure is not None
    assert job.failure.reason is FailureClass.EXPIRED
    assert all(track.audio_url is None for track in job.tracks)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("400", FailureClass.INVALID),
        ("401", FailureClass.AUTH),
        ("402", FailureClass.CREDITS),
        ("403", FailureClass.FORBIDDEN),
        ("404", FailureClass.NOT_FOUND),
        ("429", FailureClass.RATE_LIMITED),
        ("moderation", FailureClass.MODERATION),
    ],
)
@pytest.mark.parametrize(("error_shape", "error_http"), [("object", "status"), ("code", "200")])
def test_refused_create_has_its_failure_class_and_is_not_charged(
    fault: str, reason: FailureClass, error_shape: str, error_http: str
) -> None:
    rehearsal = rehearse(create=fault, error_shape=error_shape, error_http=error_http)
    job = rehearsal.create(song_request())
    assert job.failure is not None
    assert (job.state, job.failure.reason, job.native_id) == (JobState.FAILED, reason, None)
    assert rehearsal.emulator.books.credits_charged == {}


@pytest.mark.parametrize(
    ("fault", "reason", "tasks"),
    [
        ("500", FailureClass.UPSTREAM_FAILED, 0),
        ("503", FailureClass.UPSTREAM_FAILED, 0),
        ("html", FailureClass.UPSTREAM_FAILED, 0),
        ("empty_500", FailureClass.UPSTREAM_FAILED, 0),
        ("hangup", FailureClass.UNKNOWN_OUTCOME, 0),
        ("made-malformed", FailureClass.PROTOCOL, 1),
        ("no_id", FailureClass.PROTOCOL, 1),
        ("drop", FailureClass.UNKNOWN_OUTCOME, 1),
        ("cut", FailureClass.UNKNOWN_OUTCOME, 1),
    ],
)
def test_create_without_a_clear_answer_is_maybe_accepted(
    fault: str, reason: FailureClass, tasks: int
) -> None:
    rehearsal = rehearse(create=fault)
    with pytest.raises(ProviderError) as caught:
        rehearsal.create(song_request())
    assert caught.value.failure.reason is reason
    assert caught.value.maybe_accepted
    assert len(rehearsal.emulator.books.creates) == tasks


def test_create_fault_is_played_once() -> None:
    rehearsal = rehearse(create="429")
    assert rehearsal.create(song_request()).state is JobState.FAILED
    assert_two_songs(rehearsal.run(song_request()))


def test_switch_in_a_prompt_applies_to_one_task_only() -> None:
    rehearsal = rehearse()
    failed = rehearsal.run(song_request("rain [emulate failure=all fail_text=moderation unknown=1]"))
    assert failed.failure is not None
    assert failed.failure.reason is FailureClass.MODERATION
    assert_two_songs(rehearsal.run(song_request()))


@pytest.mark.parametrize("switches", [{"nonsense": "1"}, {"media": "nonsense"}, {"song_s": "soon"}])
def test_unknown_switch_or_value_is_an_error(switches: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        emulate(**switches)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("bad-key", FailureClass.AUTH),
        ("forbidden-key", FailureClass.FORBIDDEN),
        ("no-credits-key", FailureClass.CREDITS),
    ],
)
def test_key_prefix_selects_a_refusal(key: str, reason: FailureClass) -> None:
    job = rehearse(key=key).create(song_request())
    assert job.failure is not None
    assert job.failure.reason is reason


def test_forbidden_key_may_not_read_the_feed_either() -> None:
    answer = call(emulate(), "GET", f"{FEED}?task_id=x", key="forbidden-key")
    assert (answer.response.status, read(answer)["error"]["type"]) == (403, "permission_error")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic k"}])
def test_call_without_a_key_is_an_authentication_error(headers: dict[str, str]) -> None:
    answer = emulate().answer(HttpRequest(method="POST", url=CREATE, headers=headers, body=b"{}"), 0.0)
    assert answer.response.status == 401
    assert read(answer)["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("model", "generation", "credits_charged"),
    [
        ("suno/v3.5", "A", 5),
        ("suno/v4", "A", 8),
        ("suno/v4.5", "A", 10),
        ("suno/v5", "A", 12),
        ("suno/v3.5", "B", 5),
        ("suno/v4", "B", 8),
        ("suno/v4.5plus", "B", 10),
        ("suno/v5", "B", 12),
        ("suno/v5.5", "B", 12),
    ],
)
def test_model_costs_its_credits(model: str, generation: str, credits_charged: int) -> None:
    rehearsal = rehearse(doc_generation=generation, docs_gen=generation)
    assert_two_songs(rehearsal.run(song_request(model=model)))
    assert list(rehearsal.emulator.books.credits_charged.values()) == [credits_charged]


def test_create_without_enough_credits_is_refused() -> None:
    rehearsal = rehearse(credits="19")
    assert rehearsal.create(song_request()).state is JobState.IN_PROGRESS
    second = rehearsal.create(song_request())
    assert second.failure is not None
    assert second.failure.reason is FailureClass.CREDITS


def test_refunded_credits_can_be_spent_again() -> None:
    rehearsal = rehearse(credits="10", failure="all")
    rehearsal.run(song_request())
    assert rehearsal.create(song_request()).state is JobState.IN_PROGRESS


def test_rate_limit_counts_creates_in_a_window() -> None:
    emulator = emulate(rate="2")
    body = {"gpt_description_prompt": "rain"}
    statuses = [call(emulator, "POST", CREATE, body, now).response.status for now in (0.0, 1.0, 2.0, 10.5)]
    assert statuses == [200, 200, 429, 200]


INVALID_BODIES: list[tuple[Any, str]] = [
    (b"{", "The body must be a JSON object."),
    ([], "The body must be a JSON object."),
    ({}, "prompt or gpt_description_prompt is required"),
    ({"prompt": "x", "gpt_description_prompt": "x"}, "use either prompt or gpt_description_prompt"),
    ({"prompt": "x", "model": "V4_5"}, "model: 'V4_5' is not supported"),
    ({"prompt": "x", "model": 4}, "model: 4 is not supported"),
    ({"prompt": 5}, "prompt must be text"),
    ({"prompt": "x", "make_instrumental": "no"}, "make_instrumental must be true or false"),
    ({"prompt": "x", "callback_url": "me"}, "callback_url must be a URL"),
    ({"prompt": "x", "gender": "f"}, "gender must be one of male, female"),
    ({"prompt": "x", "style_weight": 1.1}, "style_weight must be between 0 and 1"),
    ({"prompt": "x", "audio_weight": True}, "audio_weight must be a number"),
    ({"gpt_description_prompt": "x" * 401}, "gpt_description_prompt must not exceed 400 characters"),
    ({"prompt": "x" * 3001}, "prompt must not exceed 3000 characters"),
    ({"prompt": "x" * 5001, "model": "suno-v4-5"}, "prompt must not exceed 5000 characters"),
    ({"prompt": "x", "style": "x" * 201}, "style must not exceed 200 characters"),
    ({"prompt": "x", "style": "x" * 1001, "model": "chirp-v5"}, "style must not exceed 1000 characters"),
    ({"prompt": "x", "title": "x" * 81}, "title must not exceed 80 characters"),
]


@pytest.mark.parametrize(("body", "text"), INVALID_BODIES)
def test_invalid_body_is_refused(body: Any, text: str) -> None:
    answer = call(emulate(), "POST", CREATE, body)
    assert answer.response.status == 400
    assert read(answer) == {"error": {"code": 400, "message": text, "type": "invalid_request"}}


@pytest.mark.parametrize(
    ("docs_gen", "body", "status"),
    [
        ("A", {"model": "suno-v4-5"}, 200),
        ("A", {"model": "chirp-v4-5"}, 400),
        ("A", {"gender": "male"}, 400),
        ("B", {"model": "chirp-v4-5-plus", "gender": "male", "weirdness_constraint": 0}, 200),
        ("B", {"model": "suno-v4-5"}, 400),
        ("any", {"model": "suno-v4-0-pro"}, 200),
        ("any", {"model": "chirp-v5-5", "audio_weight": 1}, 200),
    ],
)
def test_generation_accepts_only_its_own_names_and_fields(
    docs_gen: str, body: dict[str, Any], status: int
) -> None:
    answer = call(emulate(docs_gen=docs_gen), "POST", CREATE, {"prompt": "x", **body})
    assert answer.response.status == status


@pytest.mark.parametrize(
    ("switch", "parameter", "status"),
    [("any", "task_id", 200), ("any", "workId", 200), ("task_id", "workId", 400), ("workId", "task_id", 400)],
)
def test_feed_parameter_switch_sets_the_accepted_parameter(switch: str, parameter: str, status: int) -> None:
    emulator = emulate(feed_parameter=switch)
    task = create(emulator)
    assert call(emulator, "GET", f"{FEED}?{parameter}={task}").response.status == status


def test_task_of_another_account_is_not_found() -> None:
    emulator = emulate()
    task = create(emulator, key="mine")
    assert call(emulator, "GET", f"{FEED}?task_id={task}", key="theirs").response.status == 404
    assert call(emulator, "GET", f"{FEED}?task_id=unknown").response.status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/api/v1/audio/music"), ("GET", "/api/v1/tasks/x"), ("POST", "/api/v1/audio/music/extend"),
     ("GET", "/media/x/0.mp3"), ("POST", "/media/x/0.mp3")],
)  # fmt: skip
def test_unknown_route_is_not_found(method: str, path: str) -> None:
    emulator = emulate(error_http="200", error_shape="code")
    answer = call(emulator, method, f"{ORIGIN}{path}")
    assert answer.response.status == 404
    assert read(answer)["error"]["type"] == "not_found"
    assert sum(emulator.books.calls.values()) == 1


def test_stages_advance_with_time() -> None:
    emulator = emulate()
    task = create(emulator)
    shown = [(feed(emulator, task, now)["type"], [item["status"] for item in feed(emulator, task, now)["response_data"]])
             for now in (4.9, 5.0, 19.9, 20.0, 39.9, 40.0)]  # fmt: skip
    assert shown == [
        ("IN_PROGRESS", []),
        ("IN_PROGRESS", ["text", "text"]),
        ("IN_PROGRESS", ["text", "text"]),
        ("IN_PROGRESS", ["first", "first"]),
        ("IN_PROGRESS", ["first", "first"]),
        ("SUCCESS", ["complete", "complete"]),
    ]


def test_type_style_success_reports_success_from_the_text_stage_on() -> None:
    emulator = emulate(type_style="success")
    task = create(emulator)
    assert [feed(emulator, task, now)["type"] for now in (0.0, 5.0, 40.0)] == [
        "IN_PROGRESS",
        "SUCCESS",
        "SUCCESS",
    ]


def test_speed_divides_every_delay() -> None:
    emulator = ApiinEmulator(EmulatorOptions(speed=10.0))
    task = create(emulator)
    assert feed(emulator, task, 4.0)["type"] == "SUCCESS"
    assert call(emulator, "GET", f"{FEED}?task_id={task}").delay_s == pytest.approx(0.03)


def test_another_seed_gives_other_task_ids() -> None:
    assert create(emulate()) != create(ApiinEmulator(EmulatorOptions(seed=1)))


def fetch(emulator: ApiinEmulator, now: float) -> EmulatedAnswer:
    task = emulator.books.creates[0]
    return call(emulator, "GET", f"{ORIGIN}/media/{task}/0.mp3", None, now)


def test_song_is_an_mp3_of_the_length_in_the_feed() -> None:
    emulator = emulate(song_s="6")
    create(emulator)
    whole, part = fetch(emulator, 40.0).response, fetch(emulator, 20.0).response
    assert audio.sniff(whole.body[:64]) is audio.AudioKind.MP3
    assert whole.header("content-type") == "audio/mpeg"
    assert whole.header("content-length") == str(len(whole.body))
    assert len(whole.body) == pytest.approx(6 * 16_000, rel=0.02)
    assert len(part.body) == pytest.approx(2 * 16_000, rel=0.05)


def test_cover_is_a_png() -> None:
    emulator = emulate()
    task = create(emulator)
    answer = call(emulator, "GET", f"{ORIGIN}/media/{task}/1.png")
    assert answer.response.body.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("media", "statuses"),
    [
        ("403:ever", [403, 403]),
        ("403", [403, 200]),
        ("expired:ever", [410, 410]),
        ("html:ever", [200, 200]),
    ],
)
def test_media_switch_refuses_a_download_or_serves_html(media: str, statuses: list[int]) -> None:
    emulator = emulate(media=media)
    create(emulator)
    answers = [fetch(emulator, 40.0) for _ in statuses]
    assert [answer.response.status for answer in answers] == statuses
    assert audio.sniff(answers[0].response.body[:64]) is None


def test_media_switch_cuts_empties_or_slows_a_download() -> None:
    answers = {}
    for media in ("cut", "empty", "slow"):
        emulator = emulate(media=media)
        create(emulator)
        answers[media] = fetch(emulator, 40.0)
    assert answers["cut"].cut_after_bytes == len(answers["cut"].response.body) // 2
    assert answers["empty"].response.header("content-length") == "0"
    assert answers["slow"].bytes_per_s == 40_000.0


def callbacks(style: str, until: float = 100.0, **switches: str) -> list[Any]:
    """Bodies of all callbacks of one task, checked twice a second."""
    emulator = emulate(**switches, **({} if style == "list" else {"callbacks": style}))
    create(emulator, callback_url="https://me.example/cb")
    found = []
    for half_s in range(int(until * 2)):
        due = emulator.due_callbacks(half_s / 2)
        found += [json.loads(callback.request.body) for callback in due]
        for callback in due:
            assert (callback.request.method, callback.request.url) == ("POST", "https://me.example/cb")
            emulator.callback_answered(callback.id, 500, half_s / 2)
    return found


@pytest.mark.parametrize(
    ("style", "stages"),
    [
        ("off", []),
        ("list", ["text", "first", "complete"]),
        ("double", ["text", "text", "first", "first", "complete", "complete"]),
        ("reverse", ["complete", "first", "text"]),
    ],
)
def test_callbacks_send_each_stage_as_a_bare_list(style: str, stages: list[str]) -> None:
    assert [body[0]["status"] for body in callbacks(style)] == stages


def test_callbacks_switch_wraps_callbacks_in_the_feeds_envelope() -> None:
    assert [body["data"]["type"] for body in callbacks("list", callback_shape="envelope")] == [
        "IN_PROGRESS",
        "IN_PROGRESS",
        "SUCCESS",
    ]
    assert all(
        body["task_id"].startswith("gen") for body in callbacks("list", callback_shape="envelope_with_id")
    )
    assert "task_id" not in callbacks("list", callback_shape="envelope")[0]


def test_failed_and_stuck_tasks_have_their_own_callbacks() -> None:
    assert [body[0]["fail_message"] != "" for body in callbacks("list", failure="all")] == [
        False,
        False,
        True,
    ]
    assert callbacks("list", stuck="1") == []


def test_readme_has_the_vendors_own_switches() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert markdown(ApiinEmulator.switches) in readme
