"""Whole jobs between the plugin and its emulator: the outcome and the charge of each fault."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import musicgate_suno_kie
from musicgate.errors import ProviderError
from musicgate.jobs import lifecycle
from musicgate.model import (
    AttemptOutcome,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
)
from musicgate.plugin.wire import HttpRequest
from musicgate.testing.rehearsal import Rehearsal

IDEA = MusicRequest(model="suno/v5", prompt="Warm jazz trio with brushed drums")
MARKET = attrs.evolve(IDEA, model="suno/v6")


def rehearse(**arguments: Any) -> Rehearsal:
    return Rehearsal("suno_kie", musicgate_suno_kie, **arguments)


def outcome_of(job: Job) -> str:
    if job.failure is not None:
        return job.failure.reason.value
    return "delivered" if job.delivered_at is not None else job.state.value


@pytest.mark.parametrize("request_", [IDEA, MARKET], ids=["legacy", "market"])
def test_job_delivers_two_playable_tracks_and_is_charged_once(request_: MusicRequest) -> None:
    rehearsal = rehearse()
    job = rehearsal.create(request_)
    assert job.state is JobState.IN_PROGRESS
    assert job.attempt is not None
    assert job.attempt.outcome is AttemptOutcome.ACCEPTED
    job = rehearsal.finish(job)
    assert outcome_of(job) == "delivered"
    assert len(job.tracks) == 2
    assert rehearsal.noise == []
    for track in job.tracks:
        assert track.audio_url is not None
        assert len(rehearsal.send(HttpRequest.get(track.audio_url)).body) > 90_000
    assert rehearsal.emulator.books.credits_charged == {job.native_id: 12}


def test_dialect_setting_sends_v5_to_the_market_routes() -> None:
    rehearsal = rehearse(options={"dialect": "market"})
    assert outcome_of(rehearsal.run(IDEA)) == "delivered"
    assert rehearsal.emulator.books.calls["POST /api/v1/jobs/createTask"] == 1
    assert rehearsal.emulator.books.calls["GET /api/v1/jobs/recordInfo"] > 1
    assert "POST /api/v1/generate" not in rehearsal.emulator.books.calls


def test_market_lyrics_field_setting_sends_lyrics_as_lyrics() -> None:
    song = MusicRequest(model="suno/v6", lyrics="la la", style="folk", title="Row")
    job = rehearse(options={"market_lyrics_field": "lyrics"}).run(song)
    assert [track.lyrics for track in job.tracks] == ["la la", "la la"]


@pytest.mark.parametrize(
    ("switches", "outcome", "tracks"),
    [
        ({"skip": "text"}, "delivered", 2),
        ({"skip": "text,first"}, "delivered", 2),
        ({"waiting": "suno_data_null"}, "delivered", 2),
        ({"waiting": "suno_data_empty"}, "delivered", 2),
        ({"shape": "doc", "param": "broken"}, "delivered", 2),
        ({"http_status": "real"}, "delivered", 2),
        ({"done_s": "400"}, "delivered", 2),
        ({"null_s": "30"}, "delivered", 2),
        ({"null_s": "90"}, "not_found", 0),
        ({"poll": "null_record:ever"}, "not_found", 0),
        ({"poll": "html:3,empty,malformed,drop,429,455,500,401,data_null"}, "delivered", 2),
        ({"poll": "408:3"}, "delivered", 2),
        ({"poll": "408:ever"}, "timeout", 0),
        ({"poll": "501"}, "upstream_failed", 0),
        ({"poll": "html:ever"}, "expired", 0),
        ({"poll": "status-GRONKED:4"}, "delivered", 2),
        ({"stuck": "PENDING"}, "expired", 0),
        ({"stuck": "GRONKED"}, "expired", 0),
        ({"audio": "source:ever"}, "delivered", 2),
        ({"audio": "null:2"}, "delivered", 2),
        ({"audio": "null:2", "skip": "first"}, "delivered", 2),
        ({"audio": "null:ever", "skip": "first"}, "upstream_failed", 0),
        ({"audio": "null:ever"}, "delivered", 1),
        ({"audio": "some:2"}, "delivered", 2),
        ({"audio": "some:ever", "skip": "text,first"}, "delivered", 1),
        ({"end": "CREATE_TASK_FAILED"}, "upstream_failed", 0),
        ({"end": "GENERATE_AUDIO_FAILED"}, "upstream_failed", 0),
        ({"end": "GENERATE_AUDIO_FAILED", "error_code": "400"}, "moderation", 0),
        ({"end": "GENERATE_AUDIO_FAILED", "error_code": "408"}, "timeout", 0),
        ({"end": "GENERATE_AUDIO_FAILED", "error_code": "413"}, "moderation", 0),
        ({"end": "GENERATE_AUDIO_FAILED", "audio": "some:ever"}, "delivered", 1),
        ({"end": "SENSITIVE_WORD_ERROR"}, "moderation", 0),
        ({"end": "FAILED", "error_code": "531"}, "upstream_failed", 0),
        ({"end": "CALLBACK_EXCEPTION"}, "delivered", 2),
        ({"end": "CALLBACK_EXCEPTION", "audio": "none:3", "skip": "text,first"}, "delivered", 2),
        ({"end": "CALLBACK_EXCEPTION", "audio": "some:3"}, "delivered", 2),
        ({"end": "CALLBACK_EXCEPTION", "audio": "some:ever"}, "delivered", 1),
        ({"end": "CALLBACK_EXCEPTION", "audio": "none:ever", "skip": "text,first"}, "upstream_failed", 0),
    ],
)
def test_fault_has_the_right_outcome_in_the_legacy_dialect(
    switches: dict[str, str], outcome: str, tracks: int
) -> None:
    rehearsal = rehearse(switches=switches)
    job = rehearsal.run(IDEA)
    assert (outcome_of(job), sum(track.has_audio for track in job.tracks)) == (outcome, tracks)
    assert len(rehearsal.emulator.books.creates) == 1


@pytest.mark.parametrize(
    ("switches", "outcome"),
    [
        ({"result": "object"}, "delivered"),
        ({"result": "response"}, "delivered"),
        ({"result": "broken"}, "upstream_failed"),
        ({"null_s": "40"}, "delivered"),
        ({"null_s": "90"}, "not_found"),
        ({"end": "FAILED", "error_code": "400"}, "moderation"),
        ({"end": "FAILED"}, "upstream_failed"),
        ({"poll": "html:3,malformed,429"}, "delivered"),
        ({"stuck": "generating"}, "expired"),
    ],
)
def test_fault_has_the_right_outcome_in_the_market_dialect(switches: dict[str, str], outcome: str) -> None:
    assert outcome_of(rehearse(switches=switches).run(MARKET)) == outcome


@pytest.mark.parametrize(
    ("switches", "reason", "status"),
    [
        ({"create": "429"}, "rate_limited", 429),
        ({"create": "455"}, "unavailable", 503),
        ({"create": "422"}, "invalid", 422),
        ({"create": "505"}, "unsupported", 400),
        ({"create": "402", "http_status": "real"}, "credits", 402),
        ({"create": "455", "envelope": "message"}, "unavailable", 503),
    ],
)
def test_refused_create_has_its_failure_class_and_is_not_charged(
    switches: dict[str, str], reason: str, status: int
) -> None:
    rehearsal = rehearse(switches=switches)
    job = rehearsal.create(IDEA)
    assert job.failure is not None
    assert (job.failure.reason, job.failure.status) == (reason, status)
    assert job.native_id is None
    assert rehearsal.emulator.books.credits_charged == {}


def test_code_430_is_a_rate_limit_for_sunoapi() -> None:
    job = rehearse(switches={"create": "430"}, options={"flavour": "sunoapi"}).create(IDEA)
    assert job.failure is not None
    assert job.failure.reason == "rate_limited"


@pytest.mark.parametrize(
    ("create", "reason", "charged"),
    [
        ("drop", "unknown_outcome", 1),
        ("lost", "upstream_failed", 1),
        ("no_id", "protocol", 1),
        ("data_empty", "protocol", 1),
        ("500", "upstream_failed", 0),
        ("html", "upstream_failed", 0),
        ("html-500", "upstream_failed", 0),
        ("empty", "protocol", 0),
    ],
)
def test_create_of_unknown_outcome_may_be_accepted_and_is_not_retryable(
    create: str, reason: str, charged: int
) -> None:
    rehearsal = rehearse(switches={"create": create})
    with pytest.raises(ProviderError) as caught:
        rehearsal.create(IDEA)
    assert caught.value.failure.reason == reason
    assert caught.value.maybe_accepted
    assert not caught.value.retryable
    assert len(rehearsal.emulator.books.creates) == charged


@pytest.mark.parametrize("model", ["suno/v5", "suno/v6"])
@pytest.mark.parametrize("shape", ["suno", "market", "record"])
@pytest.mark.parametrize("secret", [None, "test-secret-not-real"])
def test_callback_adopts_a_task_whose_create_answer_was_lost(
    model: str, shape: str, secret: str | None
) -> None:
    rehearsal = rehearse(switches={"create": "drop", "callback_shape": shape}, webhook_secret=secret)
    request = attrs.evolve(IDEA, model=model)
    with pytest.raises(ProviderError):
        rehearsal.create(request)
    rehearsal.now_s += 12
    (callback,) = rehearsal.emulator.due_callbacks(rehearsal.now_s)
    assert callback.request.url == "http://127.0.0.1:1/v1/callbacks/job/token"
    headers = {name.lower(): value for name, value in callback.request.headers.items()}
    claim = rehearsal.plugin.parse_callback(
        headers, callback.request.body, rehearsal.settings, rehearsal.now_s
    )
    assert claim.native_id == rehearsal.emulator.books.creates[0]
    assert claim.verified is (True if secret else None)
    orphan = rehearsal._new_job(request, rehearsal.translate(request))
    adopted = lifecycle.apply(orphan, JobUpdate(native_id=claim.native_id), None, rehearsal.now)
    assert outcome_of(rehearsal.finish(adopted)) == "delivered"


def test_pending_after_success_changes_nothing() -> None:
    rehearsal = rehearse(switches={"poll": "status-SUCCESS,status-PENDING"})
    job = rehearsal.finish(rehearsal.create(IDEA))
    assert outcome_of(job) == "delivered"
    assert rehearsal.poll(job) == job


def test_switches_in_the_prompt_reach_the_emulator() -> None:
    job = rehearse().run(attrs.evolve(IDEA, prompt="jazz [emulate end=SENSITIVE_WORD_ERROR]"))
    assert outcome_of(job) == "moderation"


def test_refunded_failure_costs_nothing() -> None:
    rehearsal = rehearse(switches={"end": "FAILED", "error_code": "531"})
    job = rehearsal.run(IDEA)
    assert job.failure is not None
    assert job.failure.costs is False
    assert rehearsal.emulator.books.credits_charged == {job.native_id: 0.0}


def test_task_cannot_be_cancelled() -> None:
    rehearsal = rehearse()
    assert rehearsal.plugin.cancel(rehearsal.create(IDEA), rehearsal.settings) is None


def test_job_without_a_native_id_is_not_polled() -> None:
    rehearsal = rehearse()
    job = rehearsal._new_job(IDEA, rehearsal.translate(IDEA))
    assert rehearsal.plugin.poll(job, rehearsal.settings) is None
