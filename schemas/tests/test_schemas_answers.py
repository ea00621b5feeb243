"""The answer schemas: consistent jobs, one error envelope, plans."""

from collections.abc import Callable
from typing import Any

import pytest

Path = tuple[str | int, ...]
Violations = Callable[[str, object], list[tuple[Path, str]]]

JOB: dict[str, Any] = {
    "id": "music_1",
    "object": "music",
    "status": "in_progress",
    "provider": "suno",
    "model": "V5",
    "nativeResponseId": None,
}
TRACK: dict[str, Any] = {
    "index": 0,
    "id": None,
    "audio_url": "https://example.com/a.mp3",
    "stream_audio_url": None,
    "image_url": None,
    "title": None,
    "tags": None,
    "duration": None,
}
NO_LINKS = {"audio_url": None, "stream_audio_url": None, "image_url": None}
FAILURE = {"reason": "timeout", "message": "The vendor gave up."}
COMPLETED = JOB | {"status": "completed", "usage": {"requests": 1}, "output": [TRACK]}
ERROR: dict[str, Any] = {
    "error": "not_found",
    "description": "There is no such music job.",
    "generation_id": "G-01KAGXJ6Q0V5T0Y6R8D3N2W4ZB",
    "request_id": "G-01KAGXJ6Q0V5T0Y6R8D3N2W4ZB",
    "status_code": 404,
    "error_type": "user",
}
CANDIDATE: dict[str, Any] = {
    "provider": "suno",
    "provider_plugin": "suno_kie",
    "native_model": "V5",
    "upstream_request": {"method": "POST", "url": "https://api.kie.ai/api/v1/generate", "body": {}},
    "warnings": [],
}
PLAN: dict[str, Any] = {"object": "plan", "model": "suno/v5", "candidates": [CANDIDATE], "excluded": []}

GOOD_JOBS: dict[str, dict[str, Any]] = {
    "queued, nothing known yet": JOB | {"status": "queued"},
    "keys of a later release": JOB | {"queue_position": 3},
    "first track before the end": JOB | {"output": [TRACK]},
    "stream before the audio": JOB | {"output": [TRACK | NO_LINKS | {"stream_audio_url": "https://e.com/s"}]},
    "empty output": JOB | {"output": []},
    "completed": COMPLETED,
    "completed with bytes": COMPLETED | {"output": [TRACK | NO_LINKS | {"audio_base64": "SUQz"}]},
    "completed, one track missing": COMPLETED
    | {"output": [TRACK, TRACK | NO_LINKS | {"index": 1, "error": FAILURE}]},
    "completed, one track missing without an error class": COMPLETED
    | {"output": [TRACK, TRACK | NO_LINKS | {"index": 1, "error": {"message": "Generation failed"}}]},
    "failed": JOB | {"status": "failed", "error": FAILURE},
    "failed with the vendor's number": JOB | {"status": "failed", "error": FAILURE | {"native_code": 408}},
    "failed with a better plan": JOB
    | {"status": "failed", "error": FAILURE | {"suggestion": {"chunks": []}}},
    "answer of the vendor is a list": JOB | {"upstream_request": {}, "upstream_response": [1]},
}

BAD_JOBS: list[tuple[dict[str, Any], Path, str]] = [
    (JOB | {"object": "job"}, ("object",), "const"),
    (JOB | {"status": "cancelled"}, ("status",), "enum"),
    (JOB | {"nativeResponseId": ""}, ("nativeResponseId",), "minLength"),
    (JOB | {"provider": None}, ("provider",), "type"),
    (JOB | {"status": "completed", "usage": {}}, (), "required"),
    (JOB | {"status": "completed", "output": [TRACK]}, (), "required"),
    (COMPLETED | {"output": []}, ("output",), "contains"),
    (
        COMPLETED | {"output": [TRACK | NO_LINKS | {"stream_audio_url": "https://e.com/s"}]},
        ("output",),
        "contains",
    ),
    (JOB | {"status": "failed"}, (), "required"),
    (JOB | {"error": FAILURE}, (), "not"),
    (JOB | {"status": "failed", "error": {"reason": "timeout"}}, ("error",), "required"),
    (JOB | {"status": "failed", "error": FAILURE | {"message": ""}}, ("error", "message"), "minLength"),
    (JOB | {"output": [TRACK | NO_LINKS]}, ("output", 0), "anyOf"),
    (JOB | {"output": [TRACK | {"image_url": ""}]}, ("output", 0, "image_url"), "minLength"),
    (JOB | {"output": [TRACK | {"error": {"reason": "timeout"}}]}, ("output", 0, "error"), "anyOf"),
    (JOB | {"output": [TRACK | {"duration": 0}]}, ("output", 0, "duration"), "exclusiveMinimum"),
    (JOB | {"output": [TRACK | {"duration": "8"}]}, ("output", 0, "duration"), "type"),
    (JOB | {"output": [TRACK | {"index": -1}]}, ("output", 0, "index"), "minimum"),
    (JOB | {"usage": {"output_audio_seconds": 0}}, ("usage", "output_audio_seconds"), "exclusiveMinimum"),
    (JOB | {"usage": {"requests": True}}, ("usage", "requests"), "type"),
    (JOB | {"usage": {"pricing_breakdown": {}}}, ("usage", "pricing_breakdown"), "required"),
    (JOB | {"warnings": [{"code": "x", "path": "a.b", "message": "m"}]}, ("warnings", 0, "path"), "type"),
    (JOB | {"attempts": [{"provider_plugin": "a", "outcome": "ok"}]}, ("attempts", 0, "outcome"), "enum"),
    (JOB | {"metadata": {"a": 1}}, ("metadata", "a"), "type"),
    (JOB | {"upstream_request": "{}"}, ("upstream_request",), "type"),
]


@pytest.mark.parametrize("job", GOOD_JOBS.values(), ids=GOOD_JOBS)
def test_job_is_accepted(job: dict[str, Any], violations: Violations) -> None:
    assert violations("job", job) == []


@pytest.mark.parametrize(("job", "path", "keyword"), BAD_JOBS, ids=lambda value: str(value)[-60:])
def test_inconsistent_job_is_refused(
    job: dict[str, Any], path: Path, keyword: str, violations: Violations
) -> None:
    assert (path, keyword) in violations("job", job)


@pytest.mark.parametrize("key", JOB)
def test_job_needs_every_documented_key(key: str, violations: Violations) -> None:
    assert violations("job", {k: v for k, v in JOB.items() if k != key}) == [((), "required")]


@pytest.mark.parametrize("key", TRACK)
def test_track_needs_every_documented_key(key: str, violations: Violations) -> None:
    track = {k: v for k, v in TRACK.items() if k != key}
    assert (("output", 0), "required") in violations("job", JOB | {"output": [track]})


@pytest.mark.parametrize("key", ERROR)
def test_error_needs_every_key_of_the_envelope(key: str, violations: Violations) -> None:
    assert violations("error", {k: v for k, v in ERROR.items() if k != key}) == [((), "required")]


@pytest.mark.parametrize(
    "code",
    [
        "unauthorised",
        "invalid_json",
        "validation_error",
        "model_required",
        "not_supported",
        "not_found",
        "not_ready",
        "guardrail_blocked",
        "unsupported_model_or_endpoint",
        "unsupported_modalities",
        "pricing_not_configured",
        "insufficient_funds",
        "key_limit_exceeded",
        "gateway_error",
        "pipeline_execution_error",
        "upstream_error",
        "normalization_failed",
        "payload_too_large",
    ],
)
def test_every_error_code_of_the_contract_is_known(code: str, violations: Violations) -> None:
    assert violations("error", ERROR | {"error": code}) == []


@pytest.mark.parametrize(
    ("change", "path", "keyword"),
    [
        ({"error": "oops"}, ("error",), "enum"),
        ({"error_type": "upstream"}, ("error_type",), "enum"),
        ({"generation_id": "G-1"}, ("generation_id",), "pattern"),
        ({"request_id": "01KAGXJ6Q0V5T0Y6R8D3N2W4ZB"}, ("request_id",), "pattern"),
        ({"status_code": 200}, ("status_code",), "minimum"),
        ({"status_code": "404"}, ("status_code",), "type"),
        ({"reason": None}, ("reason",), "type"),
        ({"description": ""}, ("description",), "minLength"),
        ({"details": [{"message": "m"}]}, ("details", 0), "required"),
        ({"failed_samples": ["a", "b", "c", "d"]}, ("failed_samples",), "maxItems"),
        ({"warnings": [{}]}, ("warnings", 0), "required"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_error_that_breaks_the_envelope_is_refused(
    change: dict[str, Any], path: Path, keyword: str, violations: Violations
) -> None:
    assert (path, keyword) in violations("error", ERROR | change)


@pytest.mark.parametrize(
    "change",
    [
        {"candidates": []},
        {"candidates": [CANDIDATE | {"price": None}]},
        {
            "candidates": [
                CANDIDATE | {"upstream_request": {"method": "GET", "url": "https://e.com", "body": None}}
            ]
        },
    ],
    ids=str,
)
def test_plan_is_accepted(change: dict[str, Any], violations: Violations) -> None:
    assert violations("plan", PLAN | change) == []


@pytest.mark.parametrize("key", PLAN)
def test_plan_needs_every_key(key: str, violations: Violations) -> None:
    assert violations("plan", {k: v for k, v in PLAN.items() if k != key}) == [((), "required")]


@pytest.mark.parametrize("key", CANDIDATE)
def test_candidate_needs_every_key(key: str, violations: Violations) -> None:
    candidate = {k: v for k, v in CANDIDATE.items() if k != key}
    assert violations("plan", PLAN | {"candidates": [candidate]}) == [(("candidates", 0), "required")]


@pytest.mark.parametrize("key", ["provider_plugin", "reason", "message"])
def test_exclusion_needs_plugin_reason_and_message(key: str, violations: Violations) -> None:
    exclusion = {
        "provider_plugin": "minimax",
        "reason": "not_in_only",
        "message": "Not named in provider.only.",
    }
    assert violations("plan", PLAN | {"excluded": [exclusion]}) == []
    del exclusion[key]
    assert violations("plan", PLAN | {"excluded": [exclusion]}) == [(("excluded", 0), "required")]
