"""The emulator: order of checks, special keys, answers, limits, and each switch."""

import base64
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicgate.assets.audio import AudioKind
from musicgate.assets.measure import measure_bytes
from musicgate.emulation.switches import markdown
from musicgate.plugin import wav_of_samples
from musicgate.plugin.emulator import EmulatedAnswer, EmulatorOptions
from musicgate.plugin.wire import HttpRequest
from musicgate_elevenlabs import formats
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
    content_type: str = "application/json",
) -> EmulatedAnswer:
    content = {"prompt": "x", "model_id": "music_v2"} if body is None else body
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"Content-Type": content_type, **({} if key is None else {"XI-API-Key": key})}
    url = f"http://127.0.0.1:1{path}{'?' + query if query else ''}"
    return emulator.answer(HttpRequest(method=method, url=url, headers=headers, body=raw), now)


def send_form(
    emulator: ElevenLabsEmulator, path: str, *parts: tuple[str, str], key: str = KEY, now: float = 0.0
) -> EmulatedAnswer:
    """Send a form of fields and, where the name is ``name/file name``, files."""
    body = b""
    for name, text in parts:
        field, _, filename = name.partition("/")
        named = f'name="{field}"' + (f'; filename="{filename}"' if filename else "")
        body += f"--edge\r\nContent-Disposition: form-data; {named}\r\n\r\n{text}\r\n".encode()
    content_type = "multipart/form-data; boundary=edge"
    return call(emulator, body + b"--edge--\r\n", path=path, key=key, now=now, content_type=content_type)


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
    assert re.fullmatch("[0-9A-Za-z]{20}", header("song-id") or "")
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
    if output.codec is not None and output.is_headerless:
        audio, _ = wav_of_samples(audio, output.codec, sample_rate_hz=output.sample_rate_hz, expected_s=3.0)
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
        ({"prompt": "x [emulate song_s=10]"}, 10),
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
        ({"prompt": "x [emulate done_s=3]", "music_length_ms": 180_000}, 1.0, 3.0),
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


def test_some_errors_have_the_older_form() -> None:
    assert sorted(detail(call(make_emulator(), key="no-scope-key"))) == ["message", "status"]
    current = ["code", "message", "param", "request_id", "status", "type"]
    assert sorted(detail(call(make_emulator(), key="no-credits-key"))) == current


def test_error_has_its_request_id() -> None:
    answer = call(make_emulator(), key="bad-key")
    assert detail(answer)["request_id"] == answer.response.header("request-id")


def test_checks_run_in_the_vendors_order() -> None:
    emulator = make_emulator(concurrent="0")
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
    ("query", "path", "field"),
    [
        ("output_format=flac", "/v1/music", "query.output_format"),
        ("enable_logging=maybe", "/v1/music", "query.enable_logging"),
        ("enable_logging=maybe", "/v1/music/plan", "query.enable_logging"),
        ("output_format=mp3_48000_192", "/v1/music/stem-separation", "query.output_format"),
    ],
)
def test_wrong_query_is_refused(query: str, path: str, field: str) -> None:
    assert refusal(call(make_emulator(), query=query, path=path)) == (422, field)


def test_enable_logging_is_read_from_the_query_only() -> None:
    emulator = make_emulator(tier_gate="1")
    assert refusal(call(emulator, query="enable_logging=false")) == (403, "subscription_required")
    assert call(emulator, query="enable_logging=true").response.status == 200
    body = {"prompt": "x", "enable_logging": "odd"}
    assert call(emulator, body, now=99).response.status == 200


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
    emulator = make_emulator(rate="1", done_s="0")
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
    assert ("conditioning_ref" in pieces[0]) == (model == "music_v2")
    assert "source_from" not in pieces[0]
    again = call(emulator, {"composition_plan": plan, "model_id": model})
    assert again.response.status == 200


def test_plans_count_in_the_rate_window() -> None:
    emulator = make_emulator(rate="1")
    assert call(emulator, path="/v1/music/plan").response.status == 200
    assert refusal(call(emulator, path="/v1/music/plan", now=59)) == (429, "rate_limit_exceeded")


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
    assert re.fullmatch("----boundary[0-9a-f]{32}", boundary)
    lines = answer.response.body.split(b"\r\n")
    assert lines[:3] == [mark, b"Content-Type: application/json", b""]
    facts = json.loads(lines[3])
    assert list(facts) == ["composition_plan", "song_metadata", "words_timestamps"]
    assert facts["words_timestamps"][0] == {"word": "la", "start_ms": 0, "end_ms": 2666}
    assert lines[4:8] == [
        mark,
        b"Content-Type: audio/mpeg",
        b'Content-Disposition: attachment; filename="music.mp3"',
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
def test_create_switch_answers_with_a_code(code: str) -> None:
    answer = call(make_emulator(), {"prompt": f"x [emulate create={code} retry_after=5]"})
    assert refusal(answer) == (429, code)
    assert answer.response.header("retry-after") == "5"


def test_fault_ends_after_the_given_number_of_calls() -> None:
    emulator = make_emulator()
    body = {"prompt": "x [emulate create=429:2,503]"}
    assert [call(emulator, body).response.status for _ in range(4)] == [429, 429, 503, 200]


@pytest.mark.parametrize(
    ("fault", "status", "start"),
    [
        ("500", 500, b'{"detail": {"type": "internal_error"'),
        ("503", 503, b'{"detail": {"type": "service_unavailable", "code": "maintenance"'),
        ("504", 504, b'{"detail": {"type": "internal_error"'),
        ("refusal", 200, b'{"detail": {"type": "rate_limit_error", "code": "system_busy"'),
        ("json", 200, b'{"message"'),
        ("html-503", 503, b"<html>"),
    ],
)
def test_create_switch_answers_with_an_error(fault: str, status: int, start: bytes) -> None:
    emulator = make_emulator(create=fault)
    answer = call(emulator)
    assert answer.response.status == status
    assert answer.response.body.startswith(start)
    assert emulator.books.creates == []


def test_song_that_was_made_can_be_refused() -> None:
    emulator = make_emulator(create="made-system_busy")
    assert refusal(call(emulator)) == (429, "system_busy")
    assert len(emulator.books.credits_charged) == 1


@pytest.mark.parametrize("form", ["text", "legacy"])
def test_detail_switch_changes_the_form_of_errors(form: str) -> None:
    found = detail(call(make_emulator(detail=form), {"prompt": "x", "seed": -1}))
    message = "is -1; 0 to 2147483647 are allowed"
    assert found == (message if form == "text" else {"status": "value_error", "message": message})


def test_headers_can_be_missing() -> None:
    answer = call(make_emulator(headers="no_song_id,no_length"))
    assert answer.response.header("song-id") is None
    assert answer.response.header("content-length") is None


def test_bare_headers_are_those_of_the_recordings() -> None:
    answer = call(make_emulator(headers="bare"))
    assert sorted(answer.response.headers) == ["Content-Length", "Content-Type", "song-id"]


def test_headerless_audio_can_be_mono_and_opus_without_its_container() -> None:
    mono = call(make_emulator(audio="mono"), query="output_format=pcm_8000").response.body
    assert len(mono) == 8 * 8_000 * 2
    bare = call(make_emulator(audio="bare_opus"), query="output_format=opus_48000_64").response.body
    assert b"OggS" not in bare
    assert bare.startswith(b"OpusHead")


def test_audio_with_boundary_bytes_is_playable() -> None:
    for query in ("", "output_format=pcm_8000"):
        answer = call(make_emulator(audio="boundary"), query=query)
        assert b"\r\n------boundary" in answer.response.body
    song = call(make_emulator(audio="boundary")).response.body
    assert measure_bytes(song).duration_s == pytest.approx(8, abs=0.05)


def test_stream_begins_early_and_is_as_slow_as_the_song_is_made() -> None:
    body = {"prompt": "x", "music_length_ms": 30_000, "seed": 1}
    whole, streamed = (call(make_emulator(), body, path=path) for path in ("/v1/music", "/v1/music/stream"))
    assert streamed.response.body == whole.response.body
    assert streamed.delay_s == pytest.approx(2.0)
    assert streamed.bytes_per_s == pytest.approx(len(whole.response.body) / 6.0)


def test_detailed_stream_has_facts_and_audio_as_events() -> None:
    body = {"prompt": "x", "seed": 1, "with_timestamps": True, "with_waveform_visual": True}
    answer = call(make_emulator(), body, path="/v1/music/detailed/stream")
    assert answer.response.header("content-type") == "text/event-stream"
    frames = [frame.removeprefix(b"data: ") for frame in answer.response.body.split(b"\n\n")[:-1]]
    events = [json.loads(frame) for frame in frames]
    chunks = [event["data"] for event in events if event["event"] == "audio_chunk"]
    audio = b"".join(base64.b64decode(chunk["audio_base64"]) for chunk in chunks)
    assert audio == call(make_emulator(), body).response.body
    assert [word["word"] for chunk in chunks for word in chunk["words_timestamps"]] == ["la", "la", "la"]
    assert sum(len(chunk["waveform_visual"]) for chunk in chunks) == 32
    assert [event["event"] for event in events if event["event"] != "audio_chunk"] == [
        "composition_plan",
        "song_metadata",
        "completion",
    ]


def test_upload_is_charged_and_can_be_part_of_another_song() -> None:
    emulator = make_emulator()
    answer = send_form(
        emulator, "/v1/music/upload", ("file/a.mp3", "x"), ("extract_composition_plan", "music_v2")
    )
    found = json.loads(answer.response.body)
    assert emulator.books.credits_charged == {found["song_id"]: 120.0}
    assert list(found["composition_plan"]) == ["chunks"]
    part = {"song_id": found["song_id"], "range": {"start_ms": 0, "end_ms": 1_000}}
    body = {"composition_plan": {"chunks": [CHUNK, part]}, "model_id": "music_v2"}
    assert call(emulator, body, now=99).response.status == 200
    assert refusal(call(emulator, body, key="test-other-key-not-real")) == (404, "song_not_found")


@pytest.mark.parametrize(("given", "kind"), [("true", "sections"), ("music_v2_5", "chunks"), ("false", None)])
def test_upload_extracts_a_plan_only_if_requested(given: str, kind: str | None) -> None:
    parts = (("file/a.mp3", "x"), ("extract_composition_plan", given))
    plan = json.loads(send_form(make_emulator(), "/v1/music/upload", *parts).response.body)[
        "composition_plan"
    ]
    assert (kind in plan) if kind else plan is None


def test_stems_are_an_uncompressed_zip_and_cost_nothing() -> None:
    emulator = make_emulator()
    parts = (("file/a.mp3", "x"), ("stem_variation_id", "two_stems_v1"))
    answer = send_form(emulator, "/v1/music/stem-separation", *parts)
    assert answer.response.header("content-disposition") == "attachment; filename=stems.zip"
    assert answer.response.header("song-id") is None
    with zipfile.ZipFile(io.BytesIO(answer.response.body)) as opened:
        assert opened.namelist() == ["vocals.mp3", "instrumental.mp3"]
        assert {file.compress_type for file in opened.infolist()} == {zipfile.ZIP_STORED}
        assert opened.read("vocals.mp3") != opened.read("instrumental.mp3")
    assert emulator.books.creates == []


@pytest.mark.parametrize(
    ("path", "parts", "field"),
    [
        ("/v1/music/upload", [], "body.file"),
        (
            "/v1/music/upload",
            [("file/a", ""), ("extract_composition_plan", "yes")],
            "body.extract_composition_plan",
        ),
        ("/v1/music/stem-separation", [("file/a", ""), ("stem_variation_id", "x")], "body.stem_variation_id"),
        ("/v1/music/video-to-music", [], "body.videos"),
        ("/v1/music/video-to-music", [("videos/a", "")] * 11, "body.videos"),
        ("/v1/music/video-to-music", [("videos/a", ""), *[("tags", "a")] * 11], "body.tags"),
        ("/v1/music/video-to-music", [("videos/a", ""), ("description", "d" * 4101)], "body.description"),
        ("/v1/music/video-to-music", [("videos/a", ""), ("add_sfx", "maybe")], "body.add_sfx"),
        ("/v1/music/finetunes", [("name", "abc"), ("primary_genre", "folk")], "body.name"),
        (
            "/v1/music/finetunes",
            [("name", "abcde"), ("primary_genre", "folk"), *[("files/a", "")] * 51],
            "body.files",
        ),
        ("/v1/music/finetunes", [("name", "abcde")], "body.primary_genre"),
    ],
)
def test_wrong_form_is_422_with_its_field(path: str, parts: list[tuple[str, str]], field: str) -> None:
    assert refusal(send_form(make_emulator(), path, *parts)) == (422, field)


def test_video_with_harmful_description_is_refused() -> None:
    parts = (("videos/a", ""), ("description", "nirvana"))
    assert refusal(send_form(make_emulator(), "/v1/music/video-to-music", *parts)) == (400, "bad_prompt")


@pytest.mark.parametrize(
    ("switches", "end", "reason"),
    [
        ({}, "completed", None),
        ({"finetune": "failed"}, "failed", "training_failed"),
        ({"finetune": "blocked"}, "blocked", "copyright_violation"),
    ],
)
def test_finetune_is_trained_on_virtual_time(switches: dict[str, str], end: str, reason: str | None) -> None:
    emulator = make_emulator(**switches)
    made = send_form(
        emulator,
        "/v1/music/finetunes",
        ("name", "Our sound"),
        ("primary_genre", "folk"),
        ("tags", "a"),
        now=100,
    )
    path = f"/v1/music/finetunes/{json.loads(made.response.body)['id']}"

    def status(now: float) -> tuple[str, float, str | None]:
        record = json.loads(call(emulator, b"", path=path, method="GET", now=now).response.body)
        return record["status"], record["training_progress"], record["failure_reason"]

    assert made.response.status == 201
    assert [status(now) for now in (104, 130, 160)] == [
        ("pending", pytest.approx(4 / 60), None),
        ("in_progress", 0.5, None),
        (end, 1.0, reason),
    ]
    other = call(emulator, b"", path=path, method="GET", key="test-other-key-not-real")
    assert refusal(other) == (404, "finetune_not_found")


def test_finetunes_are_filtered_sorted_and_paged() -> None:
    emulator = make_emulator()
    for now, (name, visibility) in enumerate(
        [("Bravo", "private"), ("Alpha", "workspace"), ("Charlie", "private")]
    ):
        parts = (("name", name), ("primary_genre", "folk"), ("visibility", visibility))
        send_form(emulator, "/v1/music/finetunes", *parts, now=now)

    def page(query: str, key: str = KEY) -> tuple[list[str], str | None]:
        answer = call(emulator, b"", path="/v1/music/finetunes", query=query, method="GET", now=9, key=key)
        body = json.loads(answer.response.body)
        assert body["has_more"] == (body["next_cursor"] is not None)
        return [one["name"] for one in body["finetunes"]], body["next_cursor"]

    assert page("") == (["Charlie", "Alpha", "Bravo"], None)
    assert page("sort=name&sort_direction=asc&page_size=2") == (["Alpha", "Bravo"], "2")
    assert page("sort=name&sort_direction=asc&page_size=2&cursor=2") == (["Charlie"], None)
    assert page("page_size=3")[1] is None
    assert page("visibility=workspace") == (["Alpha"], None)
    assert page("created_by=elevenlabs") == ([], None)
    assert page("", key="test-other-key-not-real") == ([], None)
    for name, value in {"sort": "id", "page_size": "151", "sort_direction": "up"}.items():
        wrong = call(emulator, b"", path="/v1/music/finetunes", query=f"{name}={value}", method="GET")
        assert refusal(wrong) == (422, f"query.{name}")


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


PATHS = [name.replace("{id}", "x").split(" ") for name in ElevenLabsEmulator.route_names()]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=4).map(
        lambda body: json.dumps(body).encode()
    )
    | st.binary(max_size=40),
    st.sampled_from([path for method, path in PATHS if method == "POST"]),
)
def test_any_body_gets_a_documented_status(body: bytes, path: str) -> None:
    answer = call(make_emulator(), body, path=path)
    assert answer.response.status in {200, 400, 404, 422}
    assert answer.response.status == 200 or detail(answer)


def test_switches_are_found_at_any_depth() -> None:
    nested = "[" * 900 + '"[emulate create=429]"' + "]" * 900
    assert refusal(call(make_emulator(), f'{{"prompt": "x", "note": {nested}}}'.encode()))[0] == 429


def test_there_are_no_callbacks() -> None:
    emulator = make_emulator()
    call(emulator)
    assert list(emulator.due_callbacks(1e9)) == []
    emulator.callback_answered("x", 200, 1e9)


def test_readme_has_the_vendors_own_switches() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert markdown(ElevenLabsEmulator.switches) in readme
