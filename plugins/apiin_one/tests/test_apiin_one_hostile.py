"""Arbitrary answers give an update or a `ProviderError`, and no completed song without a link."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import musicgate_apiin_one
from musicgate.errors import ProviderError
from musicgate.model import JobState, JobUpdate, MusicRequest
from musicgate.plugin.hooks import Step
from musicgate.plugin.wire import HttpResponse
from musicgate.testing.rehearsal import Rehearsal

REHEARSAL = Rehearsal("apiin_one", musicgate_apiin_one)
JOB = REHEARSAL.create(MusicRequest(model="suno/v4.5", prompt="rain"))

VALID_FEED: dict[str, Any] = {
    "code": 200,
    "message": "success",
    "data": {
        "type": "SUCCESS",
        "response_data": [
            {"id": "t0", "audio_url": "https://a.example/0.mp3", "status": "complete", "duration": 8, "created_at": "2026-02-24T12:00:00Z"},
            {"id": "t1", "audio_url": "https://a.example/1.mp3", "status": "complete", "duration": "8 s", "fail_message": ""},
        ],
    },
}  # fmt: skip
VALID_CREATE: dict[str, Any] = {"task_id": "gen1ksv", "status": "pending", "data": {"task_id": "gen1ksv"}}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["FAILED", "SUCCESS", "complete", "http://[", "https://a.example/x", "1e999", "99999999999999"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "data",
                        "code",
                        "error",
                        "message",
                        "type",
                        "status",
                        "response_data",
                        "task_id",
                        "id",
                        "audio_url",
                    ),
                    *("fail_message", "duration", "created_at", "timestamp", "title", "x"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
STATUSES = st.sampled_from([200, 201, 204, 301, 400, 401, 402, 403, 404, 422, 429, 500, 502, 503])
STEPS = st.sampled_from(list(Step))


def check(step: Step, status: int, body: bytes) -> None:
    try:
        update = REHEARSAL.plugin.parse(step, HttpResponse(status=status, body=body), JOB, REHEARSAL.settings)
    except ProviderError:
        return
    assert isinstance(update, JobUpdate)
    if update.state is JobState.COMPLETED:
        assert any(track.has_audio for track in update.tracks)


@settings(max_examples=150, deadline=None)
@given(step=STEPS, status=STATUSES, body=st.binary(max_size=80))
def test_arbitrary_bytes_raise_only_provider_errors(step: Step, status: int, body: bytes) -> None:
    check(step, status, body)


@settings(max_examples=300, deadline=None)
@given(step=STEPS, status=STATUSES, body=JSON)
def test_arbitrary_json_raises_only_provider_errors(step: Step, status: int, body: Any) -> None:
    check(step, status, json.dumps(body).encode())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in pairs for place in places(inner, (*path, key)))]


def with_value(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(body)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return changed


@settings(max_examples=300, deadline=None)
@given(
    valid=st.sampled_from([VALID_FEED, VALID_CREATE]), step=STEPS, status=STATUSES, value=JSON, data=st.data()
)
def test_valid_answer_with_one_wrong_value_raises_only_provider_errors(
    valid: Any, step: Step, status: int, value: Any, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(places(valid)))
    check(step, status, json.dumps(with_value(valid, path, value)).encode())


@pytest.mark.parametrize("length", range(len(json.dumps(VALID_FEED))))
def test_feed_truncated_at_any_byte_is_an_error(length: int) -> None:
    body = json.dumps(VALID_FEED).encode()[:length]
    with pytest.raises(ProviderError):
        REHEARSAL.plugin.parse(Step.POLL, HttpResponse(status=200, body=body), JOB, REHEARSAL.settings)


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_arbitrary_callbacks_raise_only_provider_errors(body: bytes) -> None:
    try:
        claim = REHEARSAL.plugin.parse_callback({}, body, REHEARSAL.settings, now=0.0)
    except ProviderError:
        return
    assert claim.verified is None
