import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicgate.codec import (
    doc_bytes,
    dump_event,
    dump_events,
    dump_job,
    load_event,
    load_job,
    read_request,
)
from musicgate.codec.converter import structure
from musicgate.errors import RequestError, StorageError
from musicgate.model import (
    Asset,
    Attempt,
    AttemptOutcome,
    DebugOptions,
    EventKind,
    Failure,
    FailureClass,
    Job,
    JobEvent,
    JobState,
    Meter,
    MusicRequest,
    OptionWarning,
    PriceLine,
    RoutingOptions,
    Track,
    Usage,
    WarningCode,
)

BLOCKS = ("suno", "elevenlabs", "minimax")
NOW = datetime(2026, 11, 20, 12, 30, 15, 123456, tzinfo=UTC)

SMALL_JOB = Job(
    id="m1",
    account="default",
    generation_id="G-1",
    request=MusicRequest(model="suno/v4.5plus"),
    state=JobState.QUEUED,
    created_at=NOW,
    updated_at=NOW,
    deadline_at=NOW,
    callback_token="token-not-real",
)


# --- requests ---


def test_the_documented_example_is_read() -> None:
    body = {
        "model": "suno/v4.5plus",
        "prompt": "Warm jazz trio with brushed drums",
        "duration": 8,
        "provider": {"only": ["suno"]},
        "suno": {"customMode": False, "instrumental": False},
    }
    assert read_request(body, BLOCKS) == MusicRequest(
        model="suno/v4.5plus",
        prompt="Warm jazz trio with brushed drums",
        duration_s=8,
        routing=RoutingOptions(only=("suno",)),
        blocks={"suno": {"customMode": False, "instrumental": False}},
    )


def test_every_documented_field_is_read() -> None:
    body = {
        "model": "elevenlabs/music",
        "prompt": "p",
        "duration": 30,
        "format": "wav",
        "provider": {
            "order": ["Suno_KIE", "minimax"],
            "only": [],
            "ignore": ["suno"],
            "include_alpha": True,
            "allow_fallbacks": False,
            "sort": "price",
        },
        "elevenlabs": {"seed": 7, "nested": [{"a": None}]},
        "minimax": {"lyrics": "la"},
        "echo_upstream_request": True,
        "debug": {
            "enabled": True,
            "return_upstream_request": False,
            "return_upstream_response": True,
            "trace": True,
            "trace_level": "full",
            "more": 1,
        },
        "meta": True,
        "lyrics": "l",
        "style": "s",
        "title": "t",
        "negative_style": "n",
        "instrumental": False,
        "vocal_gender": "f",
        "seed": 42,
        "webhook_url": "https://example.com/hook",
        "metadata": {"project": "river"},
    }
    assert read_request(body, BLOCKS) == MusicRequest(
        model="elevenlabs/music",
        prompt="p",
        duration_s=30,
        format="wav",
        lyrics="l",
        style="s",
        title="t",
        negative_style="n",
        instrumental=False,
        vocal_gender="f",
        seed=42,
        routing=RoutingOptions(
            order=("Suno_KIE", "minimax"),
            only=(),
            ignore=("suno",),
            include_alpha=True,
            allow_fallbacks=False,
        ),
        blocks={"elevenlabs": {"seed": 7, "nested": [{"a": None}]}, "minimax": {"lyrics": "la"}},
        echo_upstream_request=True,
        debug=DebugOptions(
            enabled=True,
            return_upstream_request=False,
            return_upstream_response=True,
            trace=True,
            trace_level="full",
        ),
        meta=True,
        webhook_url="https://example.com/hook",
        metadata={"project": "river"},
    )


@pytest.mark.parametrize(
    "body, field, expected",
    [
        ({"duration": 8.0}, "duration_s", 8),
        ({"seed": 3.0}, "seed", 3),
        ({"model": "  "}, "model", "  "),
        ({"provider": {"includeAlpha": True}}, "routing", RoutingOptions(include_alpha=True)),
        ({"provider": {"include_alpha": False, "includeAlpha": True}}, "routing", RoutingOptions()),
        (
            {"provider": {"include_alpha": None, "includeAlpha": True, "only": None, "zdr": None}},
            "routing",
            RoutingOptions(include_alpha=True),
        ),
        (
            {"debug": {"returnUpstreamRequest": True}},
            "debug",
            DebugOptions(return_upstream_request=True),
        ),
        (
            {"debug": {"returnUpstreamResponse": True, "traceLevel": "summary"}},
            "debug",
            DebugOptions(return_upstream_response=True, trace_level="summary"),
        ),
        ({"zeta": 1, "alpha": 2, "title": "t"}, "unknown_keys", ("zeta", "alpha")),
        ({"suno": {}, "lyria": {}}, "unknown_keys", ("lyria",)),
        ({"duration_s": 8, "routing": {}, "blocks": {}}, "unknown_keys", ("duration_s", "routing", "blocks")),
    ],
)
def test_every_spelling_on_the_wire_is_read(body: dict[str, object], field: str, expected: object) -> None:
    request = read_request({"model": "m", **body}, BLOCKS)
    assert getattr(request, field) == expected
    assert type(getattr(request, field)) is type(expected)


def test_a_missing_model_is_read_as_an_empty_one() -> None:
    assert read_request({}, BLOCKS).model == ""


@pytest.mark.parametrize(
    "body, reason",
    [
        ({"prompt": 1}, "expected text, got int @ $.prompt"),
        ({"instrumental": "false"}, "expected a boolean, got str"),
        ({"instrumental": 1}, "expected a boolean, got int"),
        ({"duration": True}, "expected a whole number, got bool"),
        ({"duration": 1.9}, "expected a whole number, got float"),
        ({"duration": "8"}, "expected a whole number, got str"),
        ({"provider": {"only": "abc"}}, "expected a list, got str @ $.routing.only"),
        ({"provider": {"only": [1]}}, "expected text, got int"),
        ({"provider": []}, "provider is no object"),
        ({"suno": [1]}, "expected an object, got list"),
        ({"metadata": {"a": 1}}, "expected text, got int"),
    ],
)
def test_a_value_of_another_type_is_refused_and_never_coerced(body: dict[str, object], reason: str) -> None:
    with pytest.raises(RequestError, match="the request cannot be read") as caught:
        read_request({"model": "m", **body}, BLOCKS)
    assert reason in caught.value.message
    assert caught.value.code == "validation_error"


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(RequestError) as caught:
        read_request({"model": "m", "duration": "my private words"}, BLOCKS)
    assert "private" not in caught.value.message


# --- rows ---


texts = st.text(max_size=12)
maybe_texts = st.none() | texts
times = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
floats = st.floats(allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)


def tuples_of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=3).map(tuple)


by_type: dict[object, st.SearchStrategy[Any]] = {
    str: texts,
    bool: st.booleans(),
    int: st.integers(),
    float: floats,
    datetime: times,
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    object: json_values,
    Mapping[str, object]: json_objects,
    Mapping[str, str]: st.dictionaries(texts, texts, max_size=3),
    Mapping[str, Mapping[str, object]]: st.dictionaries(texts, json_objects, max_size=2),
    tuple[str | int, ...]: tuples_of(texts | st.integers()),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type, all the way down."""
    if kind in by_type:
        return by_type[kind]
    if attrs.has(kind):
        attrs.resolve_types(kind)
        return st.builds(kind, **{field.name: values(field.type) for field in attrs.fields(kind)})
    arguments: Any = getattr(kind, "__args__", ())
    if type(None) in arguments:
        return st.none() | values(arguments[0])
    if getattr(kind, "__origin__", None) is tuple:
        return tuples_of(values(arguments[0]))
    return st.sampled_from(list(kind))


def kinds(value: Any) -> Any:
    """The types of a value and of all that it holds: text equals a StrEnum member of another type."""
    if attrs.has(type(value)):
        return type(value), [kinds(getattr(value, field.name)) for field in attrs.fields(type(value))]
    if isinstance(value, list | tuple):
        return type(value), [kinds(item) for item in value]
    return type(value)


@settings(max_examples=60, deadline=None)
@given(values(Job))
def test_any_job_comes_back_as_it_was(job: Job) -> None:
    loaded = load_job(dump_job(job))
    assert loaded == job
    assert kinds(loaded) == kinds(job)


@settings(max_examples=60, deadline=None)
@given(values(JobEvent))
def test_any_event_comes_back_as_it_was(event: JobEvent) -> None:
    loaded = load_event(dump_event(event))
    assert loaded == event
    assert kinds(loaded) == kinds(event)


FULL_JOB = attrs.evolve(
    SMALL_JOB,
    state=JobState.COMPLETED,
    version=3,
    completed_at=NOW,
    attempts=(
        Attempt(
            plugin="suno_kie",
            provider="suno",
            model="suno/v4.5plus",
            native_model="V4_5PLUS",
            outcome=AttemptOutcome.ACCEPTED,
            planned_at=NOW,
            native_id="n-1",
            failure=Failure(reason=FailureClass.RATE_LIMITED, message="slow down", retry_after_s=30),
        ),
    ),
    tracks=(
        Track(
            index=0,
            fallback_urls=("https://a.example/1",),
            extra={"plan": [1, 2.5, None]},
            asset=Asset(name="m1/0.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=9, duration_s=1.5),
        ),
    ),
    warnings=(OptionWarning(code=WarningCode.CHANGED, path=("suno", "list", 0), message="m"),),
    usage=Usage(
        output_audio_seconds=1.5,
        lines=(
            PriceLine(
                meter=Meter.REQUESTS,
                quantity=Decimal(1),
                unit_size=Decimal(1),
                price_per_unit_usd=Decimal("0.060"),
                price_usd_nanos=60_000_000,
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    "data",
    [
        {"plugin": "suno_kie", "outcome": AttemptOutcome.SENT, "native_id": None},
        {"title": "\ud83d", "index": 1 << 70},
        {"fraction": float("nan")},
        {},
    ],
)
def test_events_of_one_write_are_the_lines_that_each_makes_alone(data: dict[str, Any]) -> None:
    created = JobEvent(kind=EventKind.CREATED, at=datetime(2026, 11, 1, tzinfo=UTC), data={"model": "x\ny"})
    other = attrs.evolve(created, kind=EventKind.ATTEMPT, data=data)
    assert dump_events([created, other]) == f"{dump_event(created)}\n{dump_event(other)}\n"


def test_job_is_written_with_its_own_request_each_time() -> None:
    requests = [MusicRequest(model="suno/v5", prompt=f"song {number}") for number in range(3)]
    jobs = [attrs.evolve(SMALL_JOB, request=request) for request in requests]
    changed = [attrs.evolve(job, native_status="TEXT_SUCCESS") for job in jobs]
    texts = [dump_job(job) for job in (*jobs, *reversed(changed), *jobs)]
    assert [load_job(text).request.prompt for text in texts] == [
        f"song {number}" for number in (0, 1, 2, 2, 1, 0, 0, 1, 2)
    ]


def test_request_that_takes_the_place_of_another_in_memory_is_written_itself() -> None:
    for number in range(2_000):
        text = dump_job(attrs.evolve(SMALL_JOB, request=MusicRequest(model="suno/v5", prompt=str(number))))
        assert load_job(text).request.prompt == str(number)


def test_a_whole_job_is_one_line_of_known_json() -> None:
    text = dump_job(FULL_JOB)
    assert "\n" not in text
    document = json.loads(text)
    assert document["state"] == "completed"
    assert document["created_at"] == "2026-11-20T12:30:15.123456+00:00"
    assert document["usage"]["lines"][0]["price_per_unit_usd"] == "0.060"
    assert document["warnings"][0]["path"] == ["suno", "list", 0]
    assert load_job(text) == FULL_JOB
    assert kinds(load_job(text).warnings) == kinds(FULL_JOB.warnings)
    assert str(load_job(text).usage) == str(FULL_JOB.usage)


def test_fields_with_their_default_are_left_out_of_a_row() -> None:
    assert json.loads(dump_job(SMALL_JOB)) == {
        "id": "m1",
        "account": "default",
        "generation_id": "G-1",
        "request": {"model": "suno/v4.5plus"},
        "state": "queued",
        "created_at": "2026-11-20T12:30:15.123456+00:00",
        "updated_at": "2026-11-20T12:30:15.123456+00:00",
        "deadline_at": "2026-11-20T12:30:15.123456+00:00",
        "callback_token": "token-not-real",
    }


def test_keys_of_a_newer_version_are_ignored() -> None:
    document = json.loads(dump_job(SMALL_JOB)) | {"mood": "new"}
    document["request"] |= {"tempo_bpm": 120}
    assert load_job(json.dumps(document)) == SMALL_JOB


def test_a_time_of_another_zone_is_the_same_moment_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    text = dump_job(attrs.evolve(SMALL_JOB, created_at=elsewhere))
    assert text == dump_job(SMALL_JOB)
    loaded = load_job(text.replace("12:30:15.123456+00:00", "18:00:15.123456+05:30"))
    assert loaded == SMALL_JOB
    assert loaded.created_at.tzinfo is UTC


def test_a_time_without_zone_is_not_stored() -> None:
    with pytest.raises(ValueError, match="without its zone"):
        dump_job(attrs.evolve(SMALL_JOB, created_at=NOW.replace(tzinfo=None)))


def test_bytes_never_reach_a_row() -> None:
    with pytest.raises(TypeError, match="bytes has no place in JSON"):
        dump_job(attrs.evolve(SMALL_JOB, native_response={"audio": b"RIFF"}))


ODD_VALUES = [
    *("\ud800", "a\x00b", "ü 音楽", float("inf"), -float("inf"), [None, float("inf")], "null"),
    *(2**63 - 1, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**25, -(10**25), 10**400),
]


@pytest.mark.parametrize("odd", ODD_VALUES)
@pytest.mark.parametrize(
    "shape", [lambda odd: {"odd": odd}, lambda odd: [odd], lambda odd: [1, {"a": [odd]}]]
)
def test_a_job_with_any_vendor_body_can_be_stored(odd: object, shape: Callable[[object], object]) -> None:
    job = attrs.evolve(SMALL_JOB, native_response=shape(odd))
    loaded = load_job(dump_job(job))
    assert loaded == job
    assert kinds(loaded.native_response) == kinds(job.native_response)


@pytest.mark.parametrize("odd", [float("inf"), [float("inf")], {"a": float("-inf")}, None, "null", True])
def test_an_event_with_any_fact_can_be_stored(odd: object) -> None:
    event = JobEvent(kind=EventKind.ATTEMPT, at=NOW, data={"native_id": None, "odd": odd})
    assert load_event(dump_event(event)) == event


@pytest.mark.parametrize("odd", ODD_VALUES)
def test_documents_of_the_version_before_orjson_are_read_and_the_other_way_round(odd: object) -> None:
    """The version before wrote and read every document with the standard library, as ASCII."""
    job = attrs.evolve(FULL_JOB, native_response={"odd": odd})
    text = dump_job(job)
    old_text = json.dumps(json.loads(text), separators=(",", ":"))
    assert old_text.isascii()
    assert load_job(old_text) == job
    assert load_job(json.dumps(json.loads(text))) == job


def test_not_a_number_stays_one() -> None:
    text = dump_job(attrs.evolve(SMALL_JOB, native_response={"odd": [float("nan"), None]}))
    assert '"native_response":{"odd":[NaN,null]}' in text
    assert "nan" in repr(load_job(text).native_response)


def test_a_lone_surrogate_is_stored_as_an_escape() -> None:
    text = dump_job(attrs.evolve(SMALL_JOB, native_status="ü\ud800"))
    assert '"native_status":"\\u00fc\\ud800"' in text
    assert load_job(text).native_status == "ü\ud800"


@pytest.mark.parametrize("body", [{1: "a", None: "b"}, {JobState.QUEUED: 1}])
def test_keys_that_are_no_text_are_written_as_text(body: dict[Any, Any]) -> None:
    stored = load_job(dump_job(attrs.evolve(SMALL_JOB, native_response=body))).native_response
    assert stored == json.loads(json.dumps(body))


@pytest.mark.parametrize("value", [b"RIFF", SMALL_JOB, {1}, object()])
def test_a_value_that_is_no_json_never_reaches_a_row(value: object) -> None:
    with pytest.raises(TypeError, match="has no place in JSON"):
        dump_job(attrs.evolve(SMALL_JOB, native_response={"a": value}))


@pytest.mark.parametrize("moment", [NOW, NOW.replace(microsecond=0), NOW.replace(year=1, microsecond=10)])
@pytest.mark.parametrize("other", ["", "\ud800"])
def test_either_writer_of_json_writes_a_time_alike(moment: datetime, other: str) -> None:
    text = dump_job(attrs.evolve(SMALL_JOB, created_at=moment, native_status=other))
    assert f'"created_at":"{moment.isoformat()}"' in text
    assert load_job(text).created_at == moment


def test_the_size_of_a_document_is_counted_in_bytes() -> None:
    assert [doc_bytes(doc) for doc in ("", "abc", "ü", "音楽")] == [0, 3, 2, 6]


def test_mapping_proxies_are_stored_as_objects() -> None:
    job = attrs.evolve(SMALL_JOB, native_request=MappingProxyType({"a": MappingProxyType({"b": (1, 2)})}))
    assert load_job(dump_job(job)).native_request == {"a": {"b": [1, 2]}}


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"version": "3"}, "expected a whole number, got str @ $.version"),
        ({"state": "done"}, "expected a member of JobState, got str @ $.state"),
        ({"created_at": "2026-11-20T12:00:00"}, "expected a time with its zone"),
        ({"created_at": 1763640000}, "expected text, got int"),
        ({"tracks": "abc"}, "expected a list, got str"),
        ({"usage": {"output_audio_seconds": True}}, "expected a number, got bool"),
        (
            {
                "usage": {
                    "lines": [
                        {
                            "meter": "requests",
                            "quantity": "x",
                            "unit_size": "1",
                            "price_per_unit_usd": "1",
                            "price_usd_nanos": 1,
                        }
                    ]
                }
            },
            "a decimal number as text",
        ),
        ({"request": {}}, "a field is missing @ $.request.model"),
    ],
)
def test_a_damaged_row_is_refused_with_the_path_of_the_damage(change: dict[str, object], reason: str) -> None:
    text = json.dumps(json.loads(dump_job(SMALL_JOB)) | change)
    with pytest.raises(StorageError, match="a stored Job cannot be read") as caught:
        load_job(text)
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"abc"', "[" * 100_000])
def test_a_row_that_is_no_json_object_is_a_storage_error(text: str) -> None:
    with pytest.raises(StorageError, match="a stored JobEvent cannot be read"):
        load_event(text)


def test_an_event_is_stored_in_a_fixed_form() -> None:
    event = JobEvent(kind=EventKind.STATE, at=NOW, data={"from": JobState.QUEUED, "to": JobState.FAILED})
    assert dump_event(event) == (
        '{"kind":"state","at":"2026-11-20T12:30:15.123456+00:00","data":{"from":"queued","to":"failed"}}'
    )


def test_request_of_texts_alone_is_what_cattrs_makes_of_it() -> None:
    texts = {"model": "m", "prompt": "p", "lyrics": "l", "vocal_gender": "f", "webhook_url": "https://a.test"}
    assert read_request(texts, BLOCKS) == structure(texts, MusicRequest)
    with pytest.raises(RequestError):
        read_request({"model": "m", "seed": "5"}, BLOCKS)


def test_requests_share_nothing_that_can_be_changed() -> None:
    one, other = (read_request({"model": "suno/v5", "prompt": "Jazz"}, {"suno"}) for _ in range(2))
    assert one == other == MusicRequest(model="suno/v5", prompt="Jazz")
    assert one.blocks is not other.blocks
    assert one.metadata is not other.metadata
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.prompt = "Pop"  # type: ignore[misc]  # on purpose
