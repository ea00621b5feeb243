"""The emulator: order of checks, special keys, answers, limits, and each switch."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicgate.assets.audio import AudioKind
from musicgate.assets.measure import measure_bytes
from musicgate.plugin.emulator import EmulatedAnswer, EmulatorOptions
from musicgate.plugin.wire import HttpRequest
from musicgate_elevenlabs import formats
from musicgate_elevenlabs.emulator_call import SWITCHES
from musicgate_elevenlabs.emulator_service import ElevenLabsEmulator

KEY = "test-key-not-real"
CHUNK = {"text": "la", "duration_ms": 3_000, "positive_styles": []}
SECTION = {
    "section_name": "Verse",
    "positive_local_styles": [],
    "negative_local_styles": [],
    "duration_ms": 4_000,
    "lines": [],
}
V1_PLAN = {"positive_global_styles": [], "negative_global_styles": [], "sections": [SECTION]}
V2_PLAN = {"chunks": [CHUNK]}


def make_emulator(**switches: str) -> ElevenLabsEmulator:
    return ElevenLabsEmulator(EmulatorOptions(switches=switches))


def call(
    emulator: ElevenLabsEmulator,
    body: object = None,
    *,
    path: str = "/v1/music",
    query: str = "",
    key: str | None = KEY,
    now: float = 0.0,
    method: str = "POST",
) -> EmulatedAnswer:
    content = {"prompt": "x", "model_id": "music_v2"} if body is None else body
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {} if key is None else {"XI-API-Key": key}
    url = f"http://127.0.0.1:1{path}{'?' + query if query else ''}"
    return emulator.answer(HttpRequest(method=method, url=url, headers=headers, body=raw), now)


def detail(answer: EmulatedAnswer) -> Any:
    return json.loads(answer.response.body)["detail"]


def refusal(answer: EmulatedAnswer) -> tuple[int, str]:
    """The status, and the code or the path of the first field."""
    found = detail(answer)
    entry = found[0] if isinstance(found, list) else found
    return answer.response.status, entry.get("code") or entry.get("status") or ".".join(
        map(str, entry["loc"])
    )


def test_song_is_playable_and_has_the_vendors_headers() -> None:
    answer = call(make_emulator())
    facts = measure_bytes(answer.response.body)
    assert (answer.response.status, facts.kind) == (200, AudioKind.MP3)
    assert facts.duration_s == pytest.approx(8, abs=0.05)
    header = answer.response.header
    assert header("content-type") == "audio/mpeg"
    assert header("content-length") == str(len(answer.response.body))
    assert header("song-id")
    assert header("request-id")
    assert header("x-trace-id")
    assert header("character-cost") == "120"
    assert (header("current-concurrent-requests"), header("maximum-concurrent-requests")) == ("1", "2")


def test_each_call_and_each_seed_gives_another_song_id() -> None:
    emulator = make_emulator()
    assert call(emulator).response.header("song-id") != call(emulator).response.header("song-id")
    other = ElevenLabsEmulator(EmulatorOptions(seed=1))
    assert call(other).response.header("song-id") != call(make_emulator()).response.header("song-id")


@pytest.mark.parametrize("output_format", sorted(formats.KNOWN))
def test_each_output_format_is_playable(output_format: str) -> None:
    body = {"prompt": "x", "music_length_ms": 3_000}
    answer = call(make_emulator(), body, query=f"output_format={output_format}")
    assert answer.response.status == 200
    audio, output = answer.response.body, formats.parse(output_format)
    if output.is_headerless:
        audio, _ = formats.playable(output, audio, 3.0)
    facts = measure_bytes(audio)
    assert facts.duration_s == pytest.approx(3, abs=0.05)
    assert facts.channels == (1 if "law" in output_format else 2)
    assert facts.sample_rate_hz == (44_100 if output_format == "auto" else output.sample_rate_hz)


@pytest.mark.parametrize(
    ("model", "rate_hz"), [(None, 44_100), ("music_v1", 44_100), ("music_v2", 48_000), ("music_v2_5", 48_000)]
)
def test_automatic_format_depends_on_the_model(model: str | None, rate_hz: int) -> None:
    answer = call(make_emulator(), {"prompt": "x", "model_id": model})
    assert measure_bytes(answer.response.body).sample_rate_hz == rate_hz


@pytest.mark.parametrize(
    ("body", "duration_s"),
    [
        ({"prompt": "x", "music_length_ms": 5_000}, 5),
        ({"composition_plan": V1_PLAN}, 4),
        ({"composition_plan": {"chunks": [CHUNK, CHUNK]}, "model_id": "music_v2"}, 6),
        ({"prompt": "x [emulate default_length_s=10]"}, 10),
    ],
)
def test_length_is_the_requested_one(body: dict[str, Any], duration_s: int) -> None:
    answer = call(make_emulator(), body)
    assert measure_bytes(answer.response.body).duration_s == pytest.approx(duration_s, abs=0.05)


@pytest.mark.parametrize(
    ("body", "speed", "delay_s"),
    [
        ({"prompt": "x", "music_length_ms": 30_000}, 1.0, 8.0),
        ({"prompt": "x", "music_length_ms": 60_000}, 2.0, 6.0),
        ({"prompt": "x", "music_length_ms": 120_000}, 1.0, 20.0),
        ({"prompt": "x", "music_length_ms": 180_000}, 1.0, 22.0),
        ({"prompt": "x [emulate latency_s=3]", "music_length_ms": 180_000}, 1.0, 3.0),
    ],
)
def test_delay_follows_the_length_of_the_song(body: dict[str, Any], speed: float, delay_s: float) -> None:
    emulator = ElevenLabsEmulator(EmulatorOptions(speed=speed))
    assert call(emulator, body).delay_s == pytest.approx(delay_s)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/music"),
        ("POST", "/v1/music/generate"),
        ("POST", "/v1/music/separate-stems"),
        ("GET", "/v1/music/song_1"),
        ("POST", "/"),
    ],
)
def test_unknown_route_is_404(method: str, path: str) -> None:
    emulator = make_emulator()
    answer = call(emulator, method=method, path=path, key=None)
    assert (answer.response.status, detail(answer)) == (404, "Not Found")
    assert emulator.books.calls == {f"{method} {path}": 1}
    assert emulator.books.creates == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, (401, "missing_api_key")),
        ("", (401, "missing_api_key")),
        ("bad-key", (401, "invalid_api_key")),
        ("free-plan-key", (402, "limited_access")),
        ("no-scope-key", (401, "missing_permissions")),
        ("no-scope-403-key", (403, "insufficient_permissions")),
        ("no-credits-key", (402, "insufficient_credits")),
        ("no-credits-401-key", (401, "quota_exceeded")),
    ],
)
def test_special_key_is_refused(key: str | None, expected: tuple[int, str]) -> None:
    assert refusal(call(make_emulator(), key=key)) == expected


def test_error_has_its_request_id() -> None:
    answer = call(make_emulator(), key="bad-key")
    assert detail(answer)["request_id"] == answer.response.header("request-id")


def test_checks_run_in_the_vendors_order() -> None:
    emulator = make_emulator(max_concurrent="0")
    wrong: dict[str, Any] = {
        "prompt": "nirvana",
        "composition_plan": V1_PLAN,
        "model_id": "music_v2",
        "seed": -1,
    }
    bad_query = "output_format=nope"
    assert refusal(call(emulator, b"{", query=bad_query, key="bad"))[1] == "invalid_api_key"
    assert refusal(call(emulator, b"{", query=bad_query))[1] == "query.output_format"
    assert refusal(call(emulator, b"{"))[1] == "malformed_json"
    assert refusal(call(emulator, []))[1] == "body"
    assert refusal(call(emulator, wrong))[1] == "body.seed"
    del wrong["seed"]
    assert "exclude" in detail(call(emulator, wrong))[0]["msg"]
    wrong["prompt"] = None
    wrong["note"] = "nirvana"
    assert "plan type" in detail(call(emulator, wrong))[0]["msg"]
    wrong["model_id"] = "music_v1"
    assert refusal(call(emulator, wrong))[1] == "bad_request"
    del wrong["note"]
    assert refusal(call(emulator, wrong))[1] == "concurrent_limit_exceeded"
    assert emulator.books.creates == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "body.prompt"),
        ({"prompt": "x" * 4101}, "body.prompt"),
        ({"prompt": 5}, "body.prompt"),
        ({"prompt": "x", "music_length_ms": 2_999}, "body.music_length_ms"),
        ({"prompt": "x", "music_length_ms": 600_001}, "body.music_length_ms"),
        ({"prompt": "x", "music_length_ms": True}, "body.music_length_ms"),
        ({"prompt": "x", "model_id": "music_v9"}, "body.model_id"),
        ({"prompt": "x", "seed": 2**31}, "body.seed"),
        ({"prompt": "x", "force_instrumental": "yes"}, "body.force_instrumental"),
        ({"prompt": "x", "finetune_strength": 1.0}, "body.finetune_strength"),
        ({"prompt": "x", "finetune_id": "f", "finetune_strength": 0}, "body.finetune_strength"),
        ({"prompt": "x", "finetune_id": "f" * 101}, "body.finetune_id"),
        ({"prompt": "x", "lyrics_text": "l" * 4001}, "body.lyrics_text"),
        ({"prompt": "x", "generation_mode": "song"}, "body.generation_mode"),
        ({"prompt": "x", "composition_plan": []}, "body.composition_plan"),
        ({"composition_plan": V1_PLAN, "music_length_ms": 5_000}, "body.music_length_ms"),
        ({"composition_plan": V1_PLAN, "force_instrumental": True}, "body.force_instrumental"),
        (
            {"composition_plan": {"chunks": [{**CHUNK, "duration_ms": 1}]}},
            "body.composition_plan.chunks.0.duration_ms",
        ),
        ({"composition_plan": V2_PLAN}, "body.composition_plan"),
    ],
)
def test_invalid_field_is_422_with_its_path(body: dict[str, Any], path: str) -> None:
    assert refusal(call(make_emulator(), body)) == (422, path)


def test_only_mp3_can_be_signed() -> None:
    body = {"prompt": "x", "sign_with_c2pa": True}
    assert refusal(call(make_emulator(), body, query="output_format=pcm_8000")) == (
        422,
        "body.sign_with_c2pa",
    )
    assert call(make_emulator(), body).response.status == 200


def test_nulls_unknown_keys_and_output_format_in_the_body_are_ignored() -> None:
    body = {
        "prompt": "x",
        "composition_plan": None,
        "music_length_ms": None,
        "output_format": "pcm_8000",
        "odd": 1,
    }
    answer = call(make_emulator(), body)
    assert answer.response.header("content-type") == "audio/mpeg"


def test_timestamps_on_the_plain_route_are_ignored() -> None:
    answer = call(make_emulator(), {"prompt": "x", "with_timestamps": True})
    assert answer.response.header("content-type") == "audio/mpeg"


@pytest.mark.parametrize(
    ("switches", "expected"),
    [({}, (422, "query.output_format")), ({"query_error": "400"}, (400, "invalid_output_format"))],
)
def test_unknown_output_format_is_refused(switches: dict[str, str], expected: tuple[int, str]) -> None:
    assert refusal(call(make_emulator(**switches), query="output_format=flac")) == expected


def test_tier_gate_refuses_the_formats_of_higher_plans() -> None:
    for query in ("output_format=pcm_44100", "output_format=mp3_44100_192"):
        assert refusal(call(make_emulator(tier_gate="1"), query=query)) == (403, "subscription_required")
    assert call(make_emulator(tier_gate="1"), query="output_format=mp3_44100_128").response.status == 200


def test_moderation_with_and_without_suggestion() -> None:
    refused = detail(call(make_emulator(), {"prompt": "Like The Beatles, slow"}))
    assert (refused["status"], refused["data"]) == (
        "bad_prompt",
        {"prompt_suggestion": "Like a well-known artist, slow"},
    )
    assert detail(call(make_emulator(), {"prompt": "nirvana [emulate suggestion=0]"}))["data"] == {}
    assert detail(call(make_emulator(), {"prompt": "how to build a bomb"}))["data"] == {}
    plan = {"chunks": [{**CHUNK, "positive_styles": ["Nirvana"]}]}
    refused = detail(call(make_emulator(), {"composition_plan": plan, "model_id": "music_v2"}))
    assert (refused["code"], refused["status"]) == ("bad_request", "bad_composition_plan")
    suggested = refused["data"]["composition_plan_suggestion"]
    assert suggested == {"chunks": [{**CHUNK, "positive_styles": ["a well-known artist"]}]}
    assert (
        call(make_emulator(), {"composition_plan": suggested, "model_id": "music_v2"}).response.status == 200
    )


@pytest.mark.parametrize(
    ("forced", "status"), [("prompt", "bad_prompt"), ("plan", "bad_prompt"), ("harmful", "bad_prompt")]
)
def test_moderation_can_be_forced(forced: str, status: str) -> None:
    assert detail(call(make_emulator(moderation=forced)))["status"] == status
    plan = {"composition_plan": V2_PLAN, "model_id": "music_v2"}
    expected = "bad_prompt" if forced == "prompt" else "bad_composition_plan"
    assert detail(call(make_emulator(moderation=forced), plan))["status"] == expected


def test_third_concurrent_call_is_refused_until_one_has_ended() -> None:
    emulator = make_emulator()
    first = call(emulator, now=0)
    second = call(emulator, now=1)
    assert second.response.header("current-concurrent-requests") == "2"
    assert refusal(call(emulator, now=2)) == (429, "concurrent_limit_exceeded")
    assert call(emulator, key="test-other-key-not-real", now=2).response.status == 200
    assert refusal(call(emulator, now=first.delay_s - 0.01))[0] == 429
    assert call(emulator, now=first.delay_s).response.status == 200
    assert len(emulator.books.creates) == 4


def test_calls_per_minute_are_limited() -> None:
    emulator = make_emulator(calls_per_min="1", latency_s="0")
    assert call(emulator, now=0).response.status == 200
    assert refusal(call(emulator, now=59.9)) == (429, "rate_limit_exceeded")
    assert call(emulator, now=60).response.status == 200


def test_each_song_is_charged_until_the_credits_are_spent() -> None:
    emulator = make_emulator(credits="200")
    song_id = call(emulator).response.header("song-id")
    assert emulator.books.credits_charged == {song_id: 120.0}
    assert refusal(call(emulator, now=99)) == (402, "insufficient_credits")
    assert emulator.books.creates == [song_id]


def test_song_is_stored_only_with_the_flag() -> None:
    emulator = make_emulator()
    kept = call(emulator, {"prompt": "x", "store_for_inpainting": True}).response.header("song-id")
    gone = call(emulator, {"prompt": "y"}).response.header("song-id")

    def reuse(song_id: str | None) -> EmulatedAnswer:
        part = {"song_id": song_id, "range": {"start_ms": 0, "end_ms": 1_000}}
        plan = {"chunks": [CHUNK, part]}
        return call(emulator, {"composition_plan": plan, "model_id": "music_v2"}, now=99)

    assert reuse(kept).response.status == 200
    assert refusal(reuse(gone)) == (404, "song_not_found")


@pytest.mark.parametrize("model", ["music_v1", "music_v2"])
def test_plan_is_free_and_can_be_sent_back(model: str) -> None:
    emulator = make_emulator()
    answer = call(
        emulator, {"prompt": "x", "music_length_ms": 200_000, "model_id": model}, path="/v1/music/plan"
    )
    plan = json.loads(answer.response.body)
    assert emulator.books.creates == []
    pieces = plan["sections" if model == "music_v1" else "chunks"]
    assert sum(piece["duration_ms"] for piece in pieces) == 200_000
    assert all(3_000 <= piece["duration_ms"] <= 120_000 for piece in pieces)
    if model == "music_v2":
        assert pieces[0]["conditioning_ref"] is None
    again = call(emulator, {"composition_plan": plan, "model_id": model})
    assert again.response.status == 200


def test_plan_needs_a_prompt_and_has_sections_by_default() -> None:
    assert refusal(call(make_emulator(), {}, path="/v1/music/plan")) == (422, "body.prompt")
    assert "sections" in json.loads(
        call(make_emulator(), {"prompt": "x"}, path="/v1/music/plan").response.body
    )


def test_detailed_answer_has_the_vendors_exact_layout() -> None:
    answer = call(
        make_emulator(),
        {"prompt": "x", "model_id": "music_v2", "with_timestamps": True},
        path="/v1/music/detailed",
    )
    kind, _, boundary = (answer.response.header("content-type") or "").partition("; boundary=")
    mark = b"--" + boundary.encode()
    assert kind == "multipart/mixed"
    lines = answer.response.body.split(b"\r\n")
    assert lines[:3] == [mark, b"Content-Type: application/json", b""]
    facts = json.loads(lines[3])
    assert list(facts) == ["composition_plan", "song_metadata", "words_timestamps"]
    assert facts["words_timestamps"][0] == {"word": "la", "start_ms": 0, "end_ms": 2666}
    assert lines[4:8] == [
        mark,
        b"Content-Type: audio/mpeg",
        b'Content-Disposition: attachment; filename="song.mp3"',
        b"",
    ]
    assert lines[-2:] == [mark + b"--", b""]


def test_words_and_waveform_come_only_if_requested() -> None:
    def facts(**fields: object) -> Any:
        answer = call(make_emulator(), {"prompt": "x", **fields}, path="/v1/music/detailed")
        return json.loads(answer.response.body.split(b"\r\n")[3])

    assert facts()["words_timestamps"] is None
    assert "waveform_visual" not in facts()
    wave = facts(with_waveform_visual=True)["waveform_visual"]
    assert len(wave) == 32
    assert all(-1000 <= height <= 1000 for height in wave)
    assert facts(with_timestamps=True, force_instrumental=True)["words_timestamps"] == []


@pytest.mark.parametrize(
    "code",
    ["rate_limit_exceeded", "concurrent_limit_exceeded", "system_busy", "too_many_concurrent_requests"],
)
def test_busy_switch_answers_429_with_its_code(code: str) -> None:
    answer = call(make_emulator(), {"prompt": f"x [emulate busy={code} retry_after=5]"})
    assert refusal(answer) == (429, code)
    assert answer.response.header("retry-after") == "5"


def test_fault_ends_after_the_given_number_of_calls() -> None:
    emulator = make_emulator()
    statuses = [call(emulator, {"prompt": "x [emulate busy times=2]"}).response.status for _ in range(3)]
    assert statuses == [429, 429, 200]
    statuses = [call(emulator, {"prompt": "x [emulate error=503 times=1]"}).response.status for _ in range(2)]
    assert statuses == [503, 200]


@pytest.mark.parametrize(
    ("error", "status", "start"),
    [
        ("500", 500, b'{"detail": {"type": "internal_error"'),
        ("503", 503, b'{"detail": {"type": "service_unavailable", "code": "maintenance"'),
        ("500html", 500, b"<!DOCTYPE html>"),
        ("503html", 503, b"<!DOCTYPE html>"),
        ("504empty", 504, b""),
    ],
)
def test_error_switch_answers_with_a_server_error(error: str, status: int, start: bytes) -> None:
    emulator = make_emulator(error=error)
    answer = call(emulator)
    assert answer.response.status == status
    assert answer.response.body.startswith(start)
    assert emulator.books.creates == []


@pytest.mark.parametrize(("switch", "creates"), [("1", 1), ("before", 0)])
def test_dropped_connection(switch: str, creates: int) -> None:
    emulator = make_emulator(drop=switch)
    assert call(emulator).drop
    assert len(emulator.books.creates) == creates


def test_cut_answer_is_charged() -> None:
    emulator = make_emulator(cut="1")
    answer = call(emulator)
    assert answer.cut_after_bytes == len(answer.response.body) // 2
    assert len(emulator.books.credits_charged) == 1


@pytest.mark.parametrize("form", ["text", "legacy"])
def test_detail_switch_changes_the_form_of_errors(form: str) -> None:
    found = detail(call(make_emulator(detail=form), {"prompt": "x", "seed": -1}))
    message = "Input should be a whole number from 0 to 2147483647"
    assert found == (message if form == "text" else {"status": "value_error", "message": message})


def test_headers_can_be_missing() -> None:
    answer = call(make_emulator(song_id="0", no_length="1"))
    assert answer.response.header("song-id") is None
    assert answer.response.header("content-length") is None


def test_headerless_audio_can_be_mono_and_opus_without_its_container() -> None:
    mono = call(make_emulator(pcm_channels="1"), query="output_format=pcm_8000").response.body
    assert len(mono) == 8 * 8_000 * 2
    bare = call(make_emulator(bare_opus="1"), query="output_format=opus_48000_64").response.body
    assert b"OggS" not in bare
    assert bare.startswith(b"OpusHead")


def test_audio_with_boundary_bytes_is_playable() -> None:
    for query in ("", "output_format=pcm_8000"):
        answer = call(make_emulator(boundary_in_audio="1"), query=query)
        assert b"\r\n--musicgate" in answer.response.body
    assert measure_bytes(
        call(make_emulator(boundary_in_audio="1")).response.body
    ).duration_s == pytest.approx(8, abs=0.05)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 5_000)
    | st.floats()
    | st.sampled_from(["x", "music_v2", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["chunks", "sections", "text", "duration_ms", "positive_styles", "song_id", "range"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NAMES = [
    "prompt",
    "composition_plan",
    "music_length_ms",
    "model_id",
    "seed",
    "finetune_strength",
    "music_prompt",
]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=4).map(
        lambda body: json.dumps(body).encode()
    )
    | st.binary(max_size=40),
    st.sampled_from(["/v1/music", "/v1/music/detailed", "/v1/music/plan"]),
)
def test_any_body_gets_a_documented_status(body: bytes, path: str) -> None:
    answer = call(make_emulator(), body, path=path)
    assert answer.response.status in {200, 400, 404, 422}
    assert answer.response.status == 200 or detail(answer)


def test_switches_are_found_at_any_depth() -> None:
    nested = "[" * 900 + '"[emulate busy]"' + "]" * 900
    assert refusal(call(make_emulator(), f'{{"prompt": "x", "note": {nested}}}'.encode()))[0] == 429


def test_there_are_no_callbacks() -> None:
    emulator = make_emulator()
    call(emulator)
    assert list(emulator.due_callbacks(1e9)) == []
    emulator.callback_answered("x", 200, 1e9)


def test_readme_explains_each_switch() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert [name for name in SWITCHES if f"| `{name}` |" not in readme] == []
