"""Limits on what callers and vendors send: texts, JSON values, responses, requests."""

import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from musicgate.codec.request_bounds import known_part
from musicgate.errors import InvalidRequestError, ProviderError
from musicgate.jobs.update_bounds import bounded_failure, bounded_update, bounded_warnings
from musicgate.model import (
    DebugOptions,
    Doubt,
    Failure,
    FailureClass,
    Job,
    JobUpdate,
    MusicRequest,
    NativeTrack,
    OptionWarning,
    Track,
    WarningCode,
)
from musicgate.text import bounds
from tests import sample_jobs

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def job(native_id: str | None = "n1", **fields: Any) -> Job:
    return sample_jobs.job(attempts=(sample_jobs.attempt(native_id=native_id),), **fields)


def warning(option: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=(option,), message=option)


# --- texts ---


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("short", 5, "short"),
        ("a song of rain", 9, "a song …"),
        ("a song of rain", 8, "a song …"),
        ("a song, of rain", 7, "a song…"),
        ("the key is sk-test-not-real-0123456789 and more", 30, "the key is …"),
        ("https://host.test/?key=test-key-not-real", 30, "…"),
        ("雨の歌と風の歌", 4, "雨の歌…"),
        ("x" * 1_000_000, 200, "…"),
    ],
)
def test_a_long_text_is_cut_between_words(text: str, limit: int, shown: str) -> None:
    assert bounds.cut_text(text, limit) == shown
    assert len(bounds.cut_text(text, limit)) <= limit


# --- JSON ---


def test_json_that_fits_is_returned_as_the_same_object() -> None:
    value = {"a": [1, "two", None, {"b": 1.5}]}
    assert bounds.cut_json(value, max_values=6, max_chars=10) is value


def test_json_with_too_many_values_says_how_many_are_missing() -> None:
    value = {"words": list(range(2_000)), "last": True}
    cut = bounds.cut_json(value, max_values=4, max_chars=1_000)
    assert cut == {"words": [0, 1, 2, "and 1,997 more"], "…": "and 1 more"}


def test_json_with_too_many_characters_is_cut() -> None:
    cut = bounds.cut_json({"a": "x, " * 1_000, "b": "y"}, max_values=10, max_chars=300)
    assert len(json.dumps(cut)) < 400


def test_a_number_of_thousands_of_digits_counts_as_text() -> None:
    value = [10**4_000] * 10
    assert bounds.cut_json(value, max_values=100, max_chars=5_000) == [10**4_000] * 2 + ["and 8 more"]


def test_json_that_is_nested_too_deeply_is_cut() -> None:
    value: Any = "core"
    for _ in range(500):
        value = [value]
    cut = json.dumps(bounds.cut_json(value, max_values=1_000, max_chars=1_000))
    assert cut.count("[") == 64


@pytest.mark.parametrize(
    ("raw", "is_too_wide"),
    [
        (b"[" + b"1," * 100_001 + b"1]", True),
        (b"[" + b"1," * 90_000 + b"1]", False),
        (b'{"a":[' + b"[]," * 60_000 + b"[]]}", True),
        (json.dumps({"lyrics": 'la, [la] {la} \\ " ,' * 20_000}).encode(), False),
        (b"ID3" + b"[,{" * 100_000, False),
    ],
    ids=["numbers", "fewer numbers", "lists", "text", "audio"],
)
def test_a_document_of_too_many_values_is_recognised_without_parsing(raw: bytes, is_too_wide: bool) -> None:
    assert bounds.is_too_wide(raw) is is_too_wide


# --- requests ---


def test_unknown_fields_are_left_out() -> None:
    body = {"model": "m", **{f"k{number}": [] for number in range(10)}, "prompt": "p"}
    assert known_part(body, ["prompt", "model", "suno"]) == {"prompt": "p", "model": "m"}


DEEP: Any = []
for _ in range(65):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({"model": "m" * 257}, ("model",), "must have at most 256 characters"),
        ({"prompt": "p" * 100_001}, ("prompt",), "must have at most 100,000 characters"),
        (
            {"provider": {"order": [1] * 5_000}},
            ("provider",),
            "must hold at most 5,000 values in all, and 64 levels",
        ),
        (
            {"suno": {"a": [1] * 3_000}, "fake": {"a": [1] * 3_000}},
            ("fake",),
            "must hold at most 5,000 values",
        ),
        ({"fake": DEEP}, ("fake",), "and 64 levels"),
    ],
)
def test_a_request_that_is_too_large_is_refused(
    body: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        known_part(body, ["model", "prompt", "provider", "suno", "fake"])
    assert [violation.path for violation in caught.value.violations] == [path]
    assert caught.value.violations[0].code == "too_big"


# --- answers ---


def test_an_ordinary_update_is_unchanged() -> None:
    update = JobUpdate(
        native_id="n1",
        native_status="SUCCESS",
        tracks=(
            NativeTrack(
                native_id="t1",
                audio_url="https://media.test/1.mp3",
                fallback_urls=("https://media.test/2.mp3",),
                title="Rain",
                tags="jazz, piano",
                lyrics="la\nla",
                extra={"words": [{"word": "la", "start_s": 0.5}]},
            ),
            NativeTrack(audio_url=None, fallback_urls=("https://media.test/3.mp3",)),
        ),
        warnings=(warning("seed"),),
        doubt=Doubt(failure=Failure(reason=FailureClass.UPSTREAM_FAILED, message="no audio"), grace_s=30),
        failure=Failure(
            reason=FailureClass.CREDITS, message="no credits", retry_after_s=3, suggestion={"a": 1}
        ),
        body={"code": 200},
    )
    assert bounded_update(update, job()) == update


def test_of_many_tracks_the_first_are_kept_and_a_warning_counts_the_rest() -> None:
    tracks = tuple(NativeTrack(native_id=f"t{number}") for number in range(2_000))
    cut = bounded_update(JobUpdate(tracks=tracks), job())
    assert [track.native_id for track in cut.tracks] == [f"t{number}" for number in range(32)]
    (left_out,) = cut.warnings
    assert (left_out.code, left_out.plugin) == (WarningCode.LEFT_OUT, "one")
    assert left_out.message == "the answer lists 2,000 tracks; 32 are kept, and 1,968 more are not"


def test_new_tracks_in_every_update_do_not_exceed_the_limit() -> None:
    known = tuple(Track(index=number, native_id=f"t{number}") for number in range(31))
    tracks = tuple(NativeTrack(native_id=f"new{number}") for number in range(5))
    assert [
        track.native_id for track in bounded_update(JobUpdate(tracks=tracks), job(tracks=known)).tracks
    ] == ["new0"]


def test_a_known_track_is_updated_wherever_it_is_in_a_long_update() -> None:
    known = tuple(Track(index=number, native_id=f"t{number}") for number in range(32))
    tracks = (*(NativeTrack(native_id=f"new{number}") for number in range(100)), NativeTrack(native_id="t7"))
    assert [
        track.native_id for track in bounded_update(JobUpdate(tracks=tracks), job(tracks=known)).tracks
    ] == ["t7"]


def test_many_warnings_become_fifty_and_a_count() -> None:
    cut = bounded_warnings([warning(f"w{number}") for number in range(90_000)])
    assert len(cut) == 51
    assert (cut[-1].code, cut[-1].message) == (WarningCode.LEFT_OUT, "and 89,950 more warnings")


def test_new_warnings_in_every_update_do_not_exceed_the_limit_of_the_job() -> None:
    known = tuple(warning(f"w{number}") for number in range(198))
    update = JobUpdate(warnings=tuple(warning(f"v{number}") for number in range(50)))
    assert len(bounded_update(update, job(warnings=known)).warnings) == 2


def test_a_too_long_id_of_a_new_job_means_that_it_may_have_been_accepted() -> None:
    with pytest.raises(ProviderError, match="has 1,000,000 characters and cannot be used") as caught:
        bounded_update(JobUpdate(native_id="x" * 1_000_000), job(native_id=None))
    assert caught.value.maybe_accepted
    assert caught.value.failure.reason is FailureClass.PROTOCOL
    assert bounded_update(JobUpdate(native_id="x" * 1_000_000), job()).native_id is None


def test_a_too_long_link_is_left_out_not_cut() -> None:
    long = "https://media.test/" + "a" * 10_000
    with_other = NativeTrack(
        audio_url=long, fallback_urls=(long, "https://media.test/2"), stream_audio_url=long
    )
    alone = NativeTrack(audio_url=long, image_url=long)
    first, second = bounded_update(JobUpdate(tracks=(with_other, alone)), job()).tracks
    assert (first.audio_url, first.fallback_urls, first.stream_audio_url) == (
        "https://media.test/2",
        (),
        None,
    )
    assert (second.audio_url, second.image_url) == (None, None)
    assert second.failure_message == "the link to its audio has 10,019 characters and cannot be used"


def test_update_that_fits_passes_as_it_is() -> None:
    update = JobUpdate(native_id="n1", native_status="PENDING", body={"a": ["b"] * 100_000})
    assert bounded_update(update, job()) is update
    full = attrs.evolve(
        update,
        tracks=(NativeTrack(native_id="t", title="Song", extra={"a": 1}),),
        failure=Failure(reason=FailureClass.UPSTREAM_FAILED, message="no", retry_after_s=1.0),
    )
    assert bounded_update(full, job()) is full


def test_every_text_and_value_of_an_update_is_bounded() -> None:
    text = "la, " * 1_000_000
    wide = {f"k{number}": text[:100] for number in range(90_000)}
    failure = Failure(
        reason=FailureClass.UPSTREAM_FAILED,
        message=text,
        native_code=text,
        native_message=text,
        suggestion=wide,
        retry_after_s=1e300,
    )
    track = NativeTrack(
        native_id="t",
        fallback_urls=tuple(f"https://media.test/{number}" for number in range(50_000)),
        title=text,
        tags=text,
        lyrics=text,
        native_model=text,
        failure_message=text,
        extra=wide,
    )
    update = JobUpdate(
        native_status=text,
        tracks=(track,) * 32,
        failure=failure,
        doubt=Doubt(failure=failure, grace_s=1),
        warnings=(OptionWarning(code=WarningCode.CHANGED, path=(text,) * 1_000, message=text),) * 1_000,
        body=wide,
    )
    keeps_body = MusicRequest(model="fake/song", debug=DebugOptions(return_upstream_response=True))
    cut = bounded_update(update, job(request=keeps_body))
    assert len(repr(attrs.asdict(cut))) < 5_000_000
    assert cut.failure is not None
    assert cut.failure.retry_after_s == 604_800.0
    assert max(len(str(part)) for warning in cut.warnings for part in warning.path) <= 100


@pytest.mark.parametrize(
    ("retry_after_s", "kept"),
    [(3.5, 3.5), (-1.0, 0.0), (float("inf"), None), (float("nan"), None), (None, None)],
)
def test_an_unusable_retry_after_is_dropped(retry_after_s: float | None, kept: float | None) -> None:
    failure = Failure(reason=FailureClass.RATE_LIMITED, message="slow down", retry_after_s=retry_after_s)
    assert bounded_failure(failure).retry_after_s == kept
