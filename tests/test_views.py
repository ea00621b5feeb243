from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from musicgate import (
    Failure,
    FailureClass,
    HttpRequest,
    Job,
    JobState,
    MusicRequest,
    Track,
)
from musicgate.accounts import AccountBook
from musicgate.codec.schema import SchemaValidator, bundle
from musicgate.errors import InvalidRequestError
from musicgate.model import (
    Ability,
    Asset,
    Attempt,
    AttemptOutcome,
    DebugOptions,
    Limits,
    Meter,
    Offer,
    OptionWarning,
    PriceLine,
    PriceRule,
    Rights,
    RightsStatement,
    Secret,
    Usage,
    WarningCode,
)
from musicgate.settings import Account, RetentionSettings, ServerSettings, Settings
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.text.masking import Masker
from musicgate.views import AudioEnd
from musicgate.views.catalogue import render_offer, render_provider
from musicgate.views.job import render_created, render_failure, render_job, render_warning
from musicgate.views.native import render_native_body, render_native_request
from musicgate.views.plan import render_plan
from musicgate.views.scalars import time_text, usd_text
from musicgate.views.usage import render_rate_card, render_usage
from tests.fake_vendor import KEY, MODEL, FakeVendor, rig_of

JOB_SCHEMA, PLAN_SCHEMA = SchemaValidator(bundle("job")), SchemaValidator(bundle("plan"))
START = datetime(2026, 11, 20, 10, 0, 0, 123_456, tzinfo=UTC)
LINK, STREAM, COVER = "https://cdn.test/1.mp3", "https://s.test/1", "https://i.test/1.png"
ASSET = Asset(
    name="music_1/0.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=5000, duration_s=12.3456
)
ATTEMPT = Attempt(
    plugin="suno_kie",
    provider="suno",
    model="suno/v4.5plus",
    native_model="V4_5PLUS",
    outcome=AttemptOutcome.ACCEPTED,
    planned_at=START,
    answered_at=START + timedelta(seconds=1),
    native_id="n-1",
)
JOB = Job(
    id="music_1",
    account="alice",
    generation_id="G-1",
    request=MusicRequest(model="suno/v4.5+", prompt="jazz"),
    state=JobState.IN_PROGRESS,
    created_at=START,
    updated_at=START,
    deadline_at=START + timedelta(seconds=600),
    callback_token="token-not-real",
    attempts=(ATTEMPT,),
)
REFUSED = Failure(
    reason=FailureClass.MODERATION,
    message="no",
    native_code="413",
    native_message="rude",
    suggestion={"prompt": "kind jazz"},
)
PAID = Usage(
    output_audio_count=1,
    output_audio_seconds=12.3,
    lines=(
        PriceLine(
            meter=Meter.REQUESTS,
            quantity=Decimal(1),
            unit_size=Decimal(1),
            price_per_unit_usd=Decimal("0.069"),
            price_usd_nanos=69_000_000,
        ),
    ),
)


def own_link(job: Job, track: Track, what: str) -> str | None:
    return f"https://gate.test/v1/music/generate/{job.id}/{what}/{track.index}"


def shown(**more: Any) -> dict[str, Any]:
    answer = render_job(attrs.evolve(JOB, **more), own_link)
    JOB_SCHEMA.check(answer)
    return answer


def request(**more: Any) -> MusicRequest:
    return attrs.evolve(JOB.request, **more)


def test_job_in_progress_has_the_documented_keys() -> None:
    assert shown(native_status="TEXT_SUCCESS") == {
        "id": "music_1",
        "object": "music",
        "status": "in_progress",
        "provider": "suno",
        "provider_plugin": "suno_kie",
        "model": "V4_5PLUS",
        "public_model": "suno/v4.5plus",
        "nativeResponseId": "n-1",
        "requestId": "G-1",
        "created_at": "2026-11-20T10:00:00.123Z",
        "updated_at": "2026-11-20T10:00:00.123Z",
        "completed_at": None,
        "native_status": "TEXT_SUCCESS",
        "attempts": [
            {
                "provider": "suno",
                "provider_plugin": "suno_kie",
                "native_model": "V4_5PLUS",
                "outcome": "accepted",
                "planned_at": "2026-11-20T10:00:00.123Z",
                "answered_at": "2026-11-20T10:00:01.123Z",
                "nativeResponseId": "n-1",
            }
        ],
    }


def test_create_answer_has_the_documented_usage() -> None:
    created = render_created(JOB, own_link)
    JOB_SCHEMA.check(created)
    assert created["usage"] == {"requests": 1}
    done = attrs.evolve(JOB, state=JobState.COMPLETED, usage=PAID, tracks=(Track(index=0, audio_url=LINK),))
    usage: Any = render_created(done, own_link)["usage"]
    assert usage["output_audio_count"] == 1


PER_SECOND = PriceRule(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=Decimal("0.005"))
PER_SONG = PriceRule(meter=Meter.REQUESTS, price_usd=Decimal("0.06"))


@pytest.mark.parametrize(
    ("duration_s", "price", "abilities", "seconds"),
    [
        (30, PER_SECOND, {Ability.DURATION}, 60),
        (None, PER_SECOND, {Ability.DURATION}, None),
        (30, PER_SONG, {Ability.DURATION}, None),
        (30, PER_SECOND, set(), None),
    ],
)
def test_create_answer_expects_the_requested_seconds_where_they_are_priced(
    duration_s: int | None, price: PriceRule, abilities: set[Ability], seconds: int | None
) -> None:
    offer = Offer(model="m", native_model="m", tracks=2, abilities=frozenset(abilities), prices=(price,))
    job = attrs.evolve(JOB, request=MusicRequest(model="m", duration_s=duration_s))
    usage: Any = render_created(job, own_link, offer=offer)["usage"]
    assert (usage["requests"], usage.get("output_audio_seconds")) == (1, seconds)


def test_kept_track_has_our_link_and_the_measured_duration() -> None:
    track = Track(
        index=0,
        native_id="t1",
        audio_url=LINK,
        image_url=COVER,
        title="One",
        tags="jazz",
        duration_s=99.0,
        lyrics="la",
        native_model="chirp",
        created_at=START,
        expires_at=START,
        extra={"words": [], "title": "never"},
        asset=ASSET,
    )
    answer = shown(state=JobState.COMPLETED, tracks=(track,), usage=PAID, completed_at=START)
    assert answer["output"] == [
        {
            "index": 0,
            "id": "t1",
            "audio_url": "https://gate.test/v1/music/generate/music_1/audio/0",
            "stream_audio_url": None,
            "image_url": COVER,
            "title": "One",
            "tags": "jazz",
            "duration": 12.346,
            "content_type": "audio/mpeg",
            "size_bytes": 5000,
            "lyrics": "la",
            "native_model": "chirp",
            "created_at": "2026-11-20T10:00:00.123Z",
            "audio": {
                "format": "mp3",
                "content_type": "audio/mpeg",
                "size_bytes": 5000,
                "duration": 12.346,
            },
            "waveform_url": "https://gate.test/v1/music/generate/music_1/waveform/0",
            "peaks_url": "https://gate.test/v1/music/generate/music_1/peaks/0",
            "words": [],
        }
    ]
    assert answer["completed_at"] == "2026-11-20T10:00:00.123Z"
    assert "expires_at" not in answer


def test_track_that_is_not_kept_has_the_vendors_link_and_its_expiry() -> None:
    tracks = (
        Track(index=0, audio_url=LINK, duration_s=30.0, expires_at=START + timedelta(days=2)),
        Track(index=1, audio_url=LINK, expires_at=START + timedelta(days=1)),
        Track(index=2, audio_url=LINK, expires_at=START, asset=ASSET),
    )
    answer = shown(tracks=tracks)
    assert [item["audio_url"] for item in answer["output"]][:2] == [LINK, LINK]
    assert [item["duration"] for item in answer["output"]] == [30.0, None, 12.346]
    assert answer["expires_at"] == "2026-11-21T10:00:00.123Z"


@pytest.mark.parametrize(
    ("account", "retention", "expected"),
    [
        ("studio", RetentionSettings(audio_days=30), "2026-12-20T10:00:00.123Z"),
        ("studio", RetentionSettings(audio_days=30, jobs_days=10), "2026-11-30T10:00:00.123Z"),
        ("own", RetentionSettings(audio_days=30), "2026-11-21T10:00:00.123Z"),
        ("studio", RetentionSettings(), None),
        ("studio", RetentionSettings(audio_days=10_000_000), None),
    ],
)
def test_kept_audio_says_when_it_is_removed(
    account: str, retention: RetentionSettings, expected: str | None
) -> None:
    own = Account(name="own", key=Secret("key-not-real"), audio_days=1.0)
    end = AudioEnd(AccountBook(Settings(retention=retention, accounts=(own,))).retention_of)
    tracks = (Track(index=0, asset=ASSET), Track(index=1, audio_url=LINK))
    ended = attrs.evolve(JOB, account=account, tracks=tracks, completed_at=START)
    output: Any = render_job(ended, lambda *_: None, ends=end)["output"]
    assert [item.get("expires_at") for item in output] == [expected, None]
    open_job: Any = render_job(attrs.evolve(ended, completed_at=None), lambda *_: None, ends=end)["output"]
    assert "expires_at" not in open_job[0]


def test_kept_track_that_we_cannot_serve_has_the_vendors_link() -> None:
    job = attrs.evolve(JOB, tracks=(Track(index=0, audio_url=LINK, asset=ASSET),))
    output: Any = render_job(job, lambda *_: None)["output"]
    assert output[0]["audio_url"] == LINK


def test_tracks_without_any_link_are_left_out_of_the_output() -> None:
    tracks = (
        Track(index=0, native_id="t1", title="named only"),
        Track(index=1, stream_audio_url=STREAM),
        Track(index=2, image_url=COVER),
        Track(index=3, failure_message="HTTP 403"),
    )
    answer = shown(tracks=tracks)
    assert [item["index"] for item in answer["output"]] == [1, 2, 3]
    assert [item["audio_url"] for item in answer["output"]] == [None, None, None]
    assert answer["output"][2]["error"] == {"message": "HTTP 403"}
    assert "output" not in shown(tracks=tracks[:1])


def test_secret_that_a_vendor_returns_in_an_id_a_link_or_a_title_is_masked() -> None:
    track = Track(
        index=0, native_id=f"t-{KEY}", audio_url=f"https://cdn.test/{KEY.upper()}.mp3", title=KEY, tags="test",
        lyrics=f"la {KEY} la", extra={"plan": [KEY]},
    )  # fmt: skip
    attempt = attrs.evolve(ATTEMPT, native_id=f"n-{KEY}")
    job = attrs.evolve(JOB, tracks=(track,), attempts=(attempt,), native_status=f"works {KEY}")
    for render in (render_job, render_created):
        shown = render(job, lambda *_: None, Masker([KEY], whole=True))
        assert KEY not in str(shown).lower()
        assert shown["nativeResponseId"] == "n-***"
        (output,) = cast("list[dict[str, object]]", shown["output"])
        assert output["audio_url"] == "https://cdn.test/***.mp3"
        assert (output["title"], output["tags"], output["plan"]) == ("***", "test", ["***"])
        assert shown["id"] == "music_1"
    plain = render_job(job, lambda *_: None)
    assert plain == render_job(job, lambda *_: None, Masker(["another-key-not-there"], whole=True))


def test_failed_job_has_its_failure_as_error() -> None:
    answer = shown(state=JobState.FAILED, failure=REFUSED, completed_at=START)
    assert answer["error"] == {
        "reason": "moderation",
        "message": "no",
        "native_code": "413",
        "native_message": "rude",
        "may_have_cost": True,
        "suggestion": {"prompt": "kind jazz"},
    }
    assert "usage" not in answer
    assert "suggestion" not in render_failure(attrs.evolve(REFUSED, suggestion=None))
    assert render_failure(attrs.evolve(REFUSED, may_have_cost=False))["may_have_cost"] is False


def test_attempts_show_their_failure_unless_they_were_accepted_after_all() -> None:
    refused = attrs.evolve(ATTEMPT, outcome=AttemptOutcome.REFUSED, failure=REFUSED, native_id=None)
    adopted = attrs.evolve(ATTEMPT, failure=REFUSED)
    attempts = shown(attempts=(refused, adopted))["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["refused", "accepted"]
    assert {key: attempts[0][key] for key in ("reason", "message", "native_code")} == {
        "reason": "moderation",
        "message": "no",
        "native_code": "413",
    }
    assert "reason" not in attempts[1]


def test_provider_and_model_of_a_job_are_those_of_its_last_attempt() -> None:
    second = attrs.evolve(ATTEMPT, plugin="apiin_one", native_model="v4.5", native_id=None)
    answer = shown(attempts=(ATTEMPT, second))
    assert (answer["provider_plugin"], answer["model"], answer["nativeResponseId"]) == (
        "apiin_one",
        "v4.5",
        None,
    )


def test_only_completed_jobs_have_usage() -> None:
    assert "usage" not in shown(usage=PAID)


@pytest.mark.parametrize(
    ("fields", "key", "present"),
    [
        ({}, "upstream_request", False),
        ({"echo_upstream_request": True}, "upstream_request", True),
        ({"debug": DebugOptions(return_upstream_request=True)}, "upstream_request", True),
        (
            {"echo_upstream_request": True, "debug": DebugOptions(return_upstream_request=False)},
            "upstream_request",
            False,
        ),
        ({"echo_upstream_request": True}, "upstream_response", False),
        ({"debug": DebugOptions(return_upstream_response=True)}, "upstream_response", True),
    ],
)
def test_upstream_request_and_response_are_shown_only_on_request(
    fields: dict[str, Any], key: str, *, present: bool
) -> None:
    answer = shown(request=request(**fields), native_request={"a": 1}, native_response={"b": 2})
    assert (key in answer) is present


def test_job_has_its_warnings_and_metadata() -> None:
    warning = OptionWarning(
        code=WarningCode.NOT_APPLIED, path=("suno", "x", 0), message="no", plugin="suno_kie"
    )
    answer = shown(warnings=(warning,), request=request(metadata={"project": "river"}))
    assert answer["warnings"] == [
        {"code": "not_applied", "path": ["suno", "x", 0], "message": "no", "provider_plugin": "suno_kie"}
    ]
    assert render_warning(warning) == answer["warnings"][0]
    assert answer["metadata"] == {"project": "river"}
    assert {"warnings", "metadata"}.isdisjoint(shown())


@pytest.mark.parametrize(
    "contradiction",
    [
        {"state": JobState.COMPLETED},
        {"state": JobState.COMPLETED, "usage": PAID, "tracks": (Track(index=0, stream_audio_url=STREAM),)},
        {"state": JobState.FAILED},
        {"failure": REFUSED},
    ],
)
def test_published_schema_refuses_a_job_that_contradicts_its_status(contradiction: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        JOB_SCHEMA.check(render_job(attrs.evolve(JOB, **contradiction), own_link))


# --- usage, prices ---


def test_usage_has_a_pricing_breakdown() -> None:
    assert render_usage(PAID) == {
        "requests": 1,
        "output_audio_count": 1,
        "output_audio_seconds": 12.3,
        "pricing_breakdown": {
            "total_nanos": 69_000_000,
            "total_usd_str": "0.069",
            "total_cents": 6,
            "currency": "USD",
            "lines": [
                {
                    "meter": "requests",
                    "quantity": 1.0,
                    "unit_size": 1.0,
                    "price_per_unit": "0.069",
                    "line_nanos": 69_000_000,
                }
            ],
        },
    }


def test_unknown_seconds_and_price_are_left_out_of_usage() -> None:
    assert render_usage(Usage(output_audio_count=2)) == {"requests": 1, "output_audio_count": 2}


@pytest.mark.parametrize(
    ("nanos", "text"),
    [(60_000_000, "0.06"), (0, "0"), (1, "0.000000001"), (100_000_000_000, "100"), (1_500_000_000, "1.5")],
)
def test_dollars_are_exact_text(nanos: int, text: str) -> None:
    assert usd_text(nanos) == text


def test_rate_card_of_an_offer_without_prices_is_none() -> None:
    offer = FakeVendor("one").declared.offers[0]
    assert render_rate_card(offer) == [
        {"meter": "requests", "unit_size": 1.0, "price_per_unit": "0.06", "currency": "USD"}
    ]
    assert render_rate_card(attrs.evolve(offer, prices=())) is None


# --- requests, providers ---


def test_native_request_has_method_url_headers_and_body() -> None:
    sent = HttpRequest.post_json("https://a.test/create", {"n": 1})
    assert render_native_request(sent) == {
        "method": "POST",
        "url": "https://a.test/create",
        "headers": {"Content-Type": "application/json", "Accept": "application/json"},
        "body": {"n": 1},
    }


def test_secrets_in_a_native_body_are_replaced() -> None:
    sent = HttpRequest.post_json("https://a.test", {"callback": "https://gate.test/job/tok", "n": 1})
    body = render_native_body(sent, {"tok": "***", "": "never"})
    assert body == {"callback": "https://gate.test/job/***", "n": 1}


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"{}", {}), (b"a=1", {"text": "a=1"}), (b"\xff", {"text": "\ufffd"}), (b"", {"text": ""})],
)
def test_native_body_that_is_not_json_is_shown_as_text(body: bytes, expected: object) -> None:
    assert render_native_body(HttpRequest(method="POST", url="https://a.test", body=body), {}) == expected


def test_provider_and_offer_in_the_catalogue() -> None:
    declared = FakeVendor("one", retention_s=86_400.0, docs_url="https://docs.test").declared
    listed = render_provider(declared, has_key=True)
    assert (listed["provider"], listed["provider_plugin"], listed["configured"]) == ("fake", "one", True)
    assert (listed["models"], listed["key_setting"], listed["stage"]) == ([MODEL], "ONE_KEY", "active")
    assert listed["retention_seconds"] == 86_400.0
    offer = attrs.evolve(declared.offers[0], limits=Limits(prompt_chars=500, max_duration_s=300.0))
    assert render_offer(declared, offer, has_key=False) == {
        "provider": "fake",
        "provider_plugin": "one",
        "native_model": "one-native",
        "configured": False,
        "stage": "active",
        "abilities": ["style"],
        "formats": ["mp3"],
        "tracks": 1,
        "limits": {
            "prompt_characters": 500,
            "lyrics_characters": None,
            "style_characters": None,
            "title_characters": None,
            "max_duration_seconds": 300.0,
        },
        "pricing": [{"meter": "requests", "unit_size": 1.0, "price_per_unit": "0.06", "currency": "USD"}],
        "rights": {"commercial_use": UNKNOWN, "watermark": UNKNOWN, "retention": UNKNOWN},
    }


UNKNOWN = {"statement": "unknown", "source": None, "as_of": None}


def test_rights_of_an_offer_are_its_own_or_those_of_its_provider() -> None:
    kept = RightsStatement(text="at least 7 days", source="https://docs.test/faq", as_of="2026-08")
    free = RightsStatement(text="allowed", source="https://docs.test/terms", as_of="2026-05-26")
    declared = FakeVendor("one", rights=Rights(retention=kept)).declared
    offer = declared.offers[0]
    assert render_offer(declared, offer, has_key=True)["rights"] == {
        "commercial_use": UNKNOWN,
        "watermark": UNKNOWN,
        "retention": {"statement": "at least 7 days", "source": "https://docs.test/faq", "as_of": "2026-08"},
    }
    own = attrs.evolve(offer, rights=Rights(commercial_use=free))
    assert render_offer(declared, own, has_key=True)["rights"] == {
        "commercial_use": {
            "statement": "allowed",
            "source": "https://docs.test/terms",
            "as_of": "2026-05-26",
        },
        "watermark": UNKNOWN,
        "retention": UNKNOWN,
    }


# --- dry run ---

PER_SECOND = PriceRule(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=Decimal("0.30"), unit_size=Decimal(60))


async def test_plan_shows_candidates_exclusions_warnings_and_prices(tmp_path: Path) -> None:
    one = FakeVendor("one", priority=1)
    offer = attrs.evolve(one.declared.offers[0], prices=(PER_SECOND,), tracks=2)
    timed = FakeVendor("two", priority=2, offers=(offer,))
    server = ServerSettings(public_url="https://gate.test")
    vendors = (one, timed, FakeVendor("three"))
    async with rig_of(
        tmp_path / "a", *vendors, store=MemoryJobStore(), keyless=("two",), server=server
    ) as rig:
        body = {"model": MODEL, "prompt": "jazz", "seed": 1, "wobble": 1, "provider": {"ignore": ["three"]}}
        music_request = rig.gate.read(body)
        plan: Any = render_plan(music_request, rig.gate.plan(music_request))
        PLAN_SCHEMA.check(plan)
        assert (plan["object"], plan["model"]) == ("plan", MODEL)
        first, second = plan["candidates"]
        assert first["upstream_request"] == {
            "method": "POST",
            "url": "https://one.test/create",
            "headers": {"Content-Type": "application/json", "Accept": "application/json"},
            "body": {
                "prompt": "jazz",
                "model": "one-native",
                "callback": "https://gate.test/v1/callbacks/***/***",
            },
        }
        assert [(warning["code"], warning["path"]) for warning in first["warnings"]] == [
            ("unknown_key", ["wobble"]),
            ("not_applied", ["seed"]),
        ]
        assert first["price"]["total_nanos"] == 60_000_000
        assert (first["configured"], second["configured"], second["price"]) == (True, False, None)
        assert [(item["provider_plugin"], item["reason"]) for item in plan["excluded"]] == [
            ("three", "ignored")
        ]
        assert KEY not in repr(plan)
        music_request = attrs.evolve(music_request, duration_s=60)
        plan = render_plan(music_request, rig.gate.plan(music_request))
        assert plan["candidates"][1]["price"]["total_nanos"] == 600_000_000


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 8, 1, 12, 0, tzinfo=UTC), "2026-08-01T12:00:00.000Z"),
        (datetime(2026, 8, 1, 12, 0, 0, 999, tzinfo=UTC), "2026-08-01T12:00:00.000Z"),
        (datetime(2026, 8, 1, 12, 0, 0, 999_999, tzinfo=UTC), "2026-08-01T12:00:00.999Z"),
        (datetime(5, 1, 1, 0, 0, 0, 20_000, tzinfo=UTC), "0005-01-01T00:00:00.020Z"),
        (datetime(2026, 8, 1, tzinfo=timezone(timedelta())), "2026-08-01T00:00:00.000Z"),
        (datetime(2026, 8, 1, tzinfo=timezone(timedelta(hours=2))), "2026-08-01T00:00:00.000+02:00"),
    ],
)
def test_a_moment_is_shown_in_milliseconds_never_rounded_up(moment: datetime, text: str) -> None:
    assert time_text(moment) == text
