"""The played vendor: order of checks, special keys, shapes, counting, and every switch."""

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
from musicgate_elevenlabs.emulator_routes import ElevenLabsEmulator

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


def vendor(**switches: str) -> ElevenLabsEmulator:
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
    wish = {"prompt": "x", "model_id": "music_v2"} if body is None else body
    raw = wish if isinstance(wish, bytes) else json.dumps(wish).encode()
    headers = {} if key is None else {"XI-API-Key": key}
    url = f"http://127.0.0.1:1{path}{'?' + query if query else ''}"
    return emulator.answer(HttpRequest(method=method, url=url, headers=headers, body=raw), now)


def detail(answer: EmulatedAnswer) -> Any:
    return json.loads(answer.response.body)["detail"]


def word(answer: EmulatedAnswer) -> tuple[int, str]:
    said = detail(answer)
    entry = said[0] if isinstance(said, list) else said
    return answer.response.status, entry.get("code") or entry.get("status") or ".".join(
        map(str, entry["loc"])
    )


def test_a_song() -> None:
    answer = call(vendor())
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


def test_the_same_calls_give_the_same_answers() -> None:
    first, second = vendor(), vendor()
    assert [call(first), call(first)] == [call(second), call(second)]
    assert call(first, now=99).response.header("song-id") != call(first, now=99).response.header("song-id")
    other = ElevenLabsEmulator(EmulatorOptions(seed=1))
    assert call(other).response.header("song-id") != call(vendor()).response.header("song-id")


@pytest.mark.parametrize("output_format", sorted(formats.KNOWN))
def test_every_output_format_plays(output_format: str) -> None:
    body = {"prompt": "x", "music_length_ms": 3_000}
    answer = call(vendor(), body, query=f"output_format={output_format}")
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
def test_the_automatic_format_goes_by_the_model(model: str | None, rate_hz: int) -> None:
    answer = call(vendor(), {"prompt": "x", "model_id": model})
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
def test_the_length_follows_the_wish(body: dict[str, Any], duration_s: int) -> None:
    answer = call(vendor(), body)
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
def test_a_song_takes_as_long_as_it_was_seen_to(body: dict[str, Any], speed: float, delay_s: float) -> None:
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
def test_unknown_routes_invent_no_success(method: str, path: str) -> None:
    emulator = vendor()
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
def test_special_keys(key: str | None, expected: tuple[int, str]) -> None:
    assert word(call(vendor(), key=key)) == expected


def test_an_error_names_its_request() -> None:
    answer = call(vendor(), key="bad-key")
    assert detail(answer)["request_id"] == answer.response.header("request-id")


def test_checks_come_in_the_vendors_order() -> None:
    emulator = vendor(max_concurrent="0")
    wrong: dict[str, Any] = {
        "prompt": "nirvana",
        "composition_plan": V1_PLAN,
        "model_id": "music_v2",
        "seed": -1,
    }
    bad_query = "output_format=nope"
    assert word(call(emulator, b"{", query=bad_query, key="bad"))[1] == "invalid_api_key"
    assert word(call(emulator, b"{", query=bad_query))[1] == "query.output_format"
    assert word(call(emulator, b"{"))[1] == "malformed_json"
    assert word(call(emulator, []))[1] == "body"
    assert word(call(emulator, wrong))[1] == "body.seed"
    del wrong["seed"]
    assert "exclude" in detail(call(emulator, wrong))[0]["msg"]
    wrong["prompt"] = None
    wrong["note"] = "nirvana"
    assert "plan type" in detail(call(emulator, wrong))[0]["msg"]
    wrong["model_id"] = "music_v1"
    assert word(call(emulator, wrong))[1] == "bad_request"
    del wrong["note"]
    assert word(call(emulator, wrong))[1] == "concurrent_limit_exceeded"
    assert emulator.books.creates == []


@pytest.mark.parametrize(
    ("body", "place"),
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
def test_broken_bodies_are_422_with_the_place(body: dict[str, Any], place: str) -> None:
    assert word(call(vendor(), body)) == (422, place)


def test_only_mp3_can_be_signed() -> None:
    body = {"prompt": "x", "sign_with_c2pa": True}
    assert word(call(vendor(), body, query="output_format=pcm_8000")) == (422, "body.sign_with_c2pa")
    assert call(vendor(), body).response.status == 200


def test_nulls_and_unknown_keys_are_no_error_and_the_body_has_no_output_format() -> None:
    body = {
        "prompt": "x",
        "composition_plan": None,
        "music_length_ms": None,
        "output_format": "pcm_8000",
        "odd": 1,
    }
    answer = call(vendor(), body)
    assert answer.response.header("content-type") == "audio/mpeg"


def test_timestamps_on_the_plain_route_are_silently_useless() -> None:
    answer = call(vendor(), {"prompt": "x", "with_timestamps": True})
    assert answer.response.header("content-type") == "audio/mpeg"


@pytest.mark.parametrize(
    ("switches", "expected"),
    [({}, (422, "query.output_format")), ({"query_error": "400"}, (400, "invalid_output_format"))],
)
def test_an_unknown_output_format(switches: dict[str, str], expected: tuple[int, str]) -> None:
    assert word(call(vendor(**switches), query="output_format=flac")) == expected


def test_formats_behind_a_plan() -> None:
    for query in ("output_format=pcm_44100", "output_format=mp3_44100_192"):
        assert word(call(vendor(tier_gate="1"), query=query)) == (403, "subscription_required")
    assert call(vendor(tier_gate="1"), query="output_format=mp3_44100_128").response.status == 200


def test_moderation_with_and_without_suggestion() -> None:
    refused = detail(call(vendor(), {"prompt": "Like The Beatles, slow"}))
    assert (refused["status"], refused["data"]) == (
        "bad_prompt",
        {"prompt_suggestion": "Like a well-known artist, slow"},
    )
    assert detail(call(vendor(), {"prompt": "nirvana [emulate suggestion=0]"}))["data"] == {}
    assert detail(call(vendor(), {"prompt": "how to build a bomb"}))["data"] == {}
    plan = {"chunks": [{**CHUNK, "positive_styles": ["Nirvana"]}]}
    refused = detail(call(vendor(), {"composition_plan": plan, "model_id": "music_v2"}))
    assert (refused["code"], refused["status"]) == ("bad_request", "bad_composition_plan")
    suggested = refused["data"]["composition_plan_suggestion"]
    assert suggested == {"chunks": [{**CHUNK, "positive_styles": ["a well-known artist"]}]}
    assert call(vendor(), {"composition_plan": suggested, "model_id": "music_v2"}).response.status == 200


@pytest.mark.parametrize(
    ("forced", "status"), [("prompt", "bad_prompt"), ("plan", "bad_prompt"), ("harmful", "bad_prompt")]
)
def test_moderation_can_be_forced(forced: str, status: str) -> None:
    assert detail(call(vendor(moderation=forced)))["status"] == status
    plan = {"composition_plan": V2_PLAN, "model_id": "music_v2"}
    expected = "bad_prompt" if forced == "prompt" else "bad_composition_plan"
    assert detail(call(vendor(moderation=forced), plan))["status"] == expected


def test_a_call_runs_until_its_answer_and_the_third_is_refused() -> None:
    emulator = vendor()
    first = call(emulator, now=0)
    second = call(emulator, now=1)
    assert second.response.header("current-concurrent-requests") == "2"
    assert word(call(emulator, now=2)) == (429, "concurrent_limit_exceeded")
    assert call(emulator, key="test-other-key-not-real", now=2).response.status == 200
    assert word(call(emulator, now=first.delay_s - 0.01))[0] == 429
    assert call(emulator, now=first.delay_s).response.status == 200
    assert len(emulator.books.creates) == 4


def test_rate_windows_are_counted() -> None:
    emulator = vendor(calls_per_min="1", latency_s="0")
    assert call(emulator, now=0).response.status == 200
    assert word(call(emulator, now=59.9)) == (429, "rate_limit_exceeded")
    assert call(emulator, now=60).response.status == 200


def test_credits_are_charged_once_a_song_and_run_out() -> None:
    emulator = vendor(credits="200")
    song_id = call(emulator).response.header("song-id")
    assert emulator.books.credits_charged == {song_id: 120.0}
    assert word(call(emulator, now=99)) == (402, "insufficient_credits")
    assert emulator.books.creates == [song_id]


def test_songs_are_stored_only_with_the_flag() -> None:
    emulator = vendor()
    kept = call(emulator, {"prompt": "x", "store_for_inpainting": True}).response.header("song-id")
    gone = call(emulator, {"prompt": "y"}).response.header("song-id")

    def reuse(song_id: str | None) -> EmulatedAnswer:
        part = {"song_id": song_id, "range": {"start_ms": 0, "end_ms": 1_000}}
        plan = {"chunks": [CHUNK, part]}
        return call(emulator, {"composition_plan": plan, "model_id": "music_v2"}, now=99)

    assert reuse(kept).response.status == 200
    assert word(reuse(gone)) == (404, "song_not_found")


@pytest.mark.parametrize("model", ["music_v1", "music_v2"])
def test_a_plan_is_free_and_can_be_sent_back(model: str) -> None:
    emulator = vendor()
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


def test_a_plan_needs_a_prompt_and_its_default_model_makes_sections() -> None:
    assert word(call(vendor(), {}, path="/v1/music/plan")) == (422, "body.prompt")
    assert "sections" in json.loads(call(vendor(), {"prompt": "x"}, path="/v1/music/plan").response.body)


def test_the_detailed_answer_has_the_vendors_exact_layout() -> None:
    answer = call(
        vendor(), {"prompt": "x", "model_id": "music_v2", "with_timestamps": True}, path="/v1/music/detailed"
    )
    kind, _, boundary = (answer.response.header("content-type") or "").partition("; boundary=")
    mark = b"--" + boundary.encode()
    assert kind == "multipart/mixed"
    lines = answer.response.body.split(b"\r\n")
    assert lines[:3] == [mark, b"Content-Type: application/json", b""]
    told = json.loads(lines[3])
    assert list(told) == ["composition_plan", "song_metadata", "words_timestamps"]
    assert told["words_timestamps"][0] == {"word": "la", "start_ms": 0, "end_ms": 2666}
    assert lines[4:8] == [
        mark,
        b"Content-Type: audio/mpeg",
        b'Content-Disposition: attachment; filename="song.mp3"',
        b"",
    ]
    assert lines[-2:] == [mark + b"--", b""]


def test_words_and_waveform_come_only_when_asked_for() -> None:
    def told(**wish: object) -> Any:
        answer = call(vendor(), {"prompt": "x", **wish}, path="/v1/music/detailed")
        return json.loads(answer.response.body.split(b"\r\n")[3])

    assert told()["words_timestamps"] is None
    assert "waveform_visual" not in told()
    wave = told(with_waveform_visual=True)["waveform_visual"]
    assert len(wave) == 32
    assert all(-1000 <= height <= 1000 for height in wave)
    assert told(with_timestamps=True, force_instrumental=True)["words_timestamps"] == []


@pytest.mark.parametrize(
    "code",
    ["rate_limit_exceeded", "concurrent_limit_exceeded", "system_busy", "too_many_concurrent_requests"],
)
def test_429_under_each_name(code: str) -> None:
    answer = call(vendor(), {"prompt": f"x [emulate busy={code} retry_after=5]"})
    assert word(answer) == (429, code)
    assert answer.response.header("retry-after") == "5"


def test_a_fault_can_end_after_some_calls() -> None:
    emulator = vendor()
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
def test_server_errors(error: str, status: int, start: bytes) -> None:
    emulator = vendor(error=error)
    answer = call(emulator)
    assert answer.response.status == status
    assert answer.response.body.startswith(start)
    assert emulator.books.creates == []


@pytest.mark.parametrize(("switch", "made"), [("1", 1), ("before", 0)])
def test_a_dropped_connection(switch: str, made: int) -> None:
    emulator = vendor(drop=switch)
    assert call(emulator).drop
    assert len(emulator.books.creates) == made


def test_a_cut_answer_is_charged() -> None:
    emulator = vendor(cut="1")
    answer = call(emulator)
    assert answer.cut_after_bytes == len(answer.response.body) // 2
    assert len(emulator.books.credits_charged) == 1


@pytest.mark.parametrize(
    ("switches", "body"),
    [
        ({"zero": "1"}, b""),
        ({"html": "1"}, b"<!DOCTYPE html>"),
        ({"json": "1"}, b'{"message"'),
        ({"json": "refusal"}, b'{"detail"'),
    ],
)
def test_no_audio_where_audio_was_due(switches: dict[str, str], body: bytes) -> None:
    answer = call(vendor(**switches))
    assert answer.response.status == 200
    assert answer.response.body.startswith(body)
    assert len(answer.response.body) < 300


@pytest.mark.parametrize("form", ["text", "legacy"])
def test_errors_in_other_forms(form: str) -> None:
    said = detail(call(vendor(detail=form), {"prompt": "x", "seed": -1}))
    message = "Input should be a whole number from 0 to 2147483647"
    assert said == (message if form == "text" else {"status": "value_error", "message": message})


def test_headers_can_be_missing() -> None:
    answer = call(vendor(song_id="0", no_length="1"))
    assert answer.response.header("song-id") is None
    assert answer.response.header("content-length") is None


def test_headerless_audio_can_be_mono_and_opus_bare() -> None:
    mono = call(vendor(pcm_channels="1"), query="output_format=pcm_8000").response.body
    assert len(mono) == 8 * 8_000 * 2
    bare = call(vendor(bare_opus="1"), query="output_format=opus_48000_64").response.body
    assert b"OggS" not in bare
    assert bare.startswith(b"OpusHead")


def test_the_boundary_bait_leaves_the_audio_playable() -> None:
    for query in ("", "output_format=pcm_8000"):
        answer = call(vendor(boundary_in_audio="1"), query=query)
        assert b"\r\n--musicgate" in answer.response.body
    assert measure_bytes(call(vendor(boundary_in_audio="1")).response.body).duration_s == pytest.approx(
        8, abs=0.05
    )


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
        lambda wish: json.dumps(wish).encode()
    )
    | st.binary(max_size=40),
    st.sampled_from(["/v1/music", "/v1/music/detailed", "/v1/music/plan"]),
)
def test_odd_bodies_are_answered_in_the_vendors_forms(body: bytes, path: str) -> None:
    answer = call(vendor(), body, path=path)
    assert answer.response.status in {200, 400, 404, 422}
    assert answer.response.status == 200 or detail(answer)


def test_magic_words_are_found_at_any_depth() -> None:
    nested = "[" * 900 + '"[emulate busy]"' + "]" * 900
    assert word(call(vendor(), f'{{"prompt": "x", "note": {nested}}}'.encode()))[0] == 429


def test_the_vendor_never_calls_back() -> None:
    emulator = vendor()
    call(emulator)
    assert list(emulator.due_callbacks(1e9)) == []
    emulator.callback_answered("x", 200, 1e9)


def test_every_switch_is_explained_in_the_readme() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert [name for name in SWITCHES if f"| `{name}` |" not in readme] == []
