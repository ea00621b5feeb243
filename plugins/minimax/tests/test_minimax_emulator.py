"""The emulator: order of checks, limits, each switch, links, covers and streams."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

import musicgate_minimax
from musicgate.assets.audio import AudioKind, sniff
from musicgate.emulation.switches import markdown
from musicgate.errors import ProviderError
from musicgate.model import (
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
)
from musicgate.plugin.emulator import EmulatedAnswer, EmulatorOptions
from musicgate.plugin.hooks import Step
from musicgate.plugin.wire import HttpRequest
from musicgate.testing.rehearsal import START_S, Rehearsal
from musicgate_minimax.emulator_service import MiniMaxEmulator

ORIGIN = "http://127.0.0.1:1"
CREATE = f"{ORIGIN}/v1/music_generation"
SONG = {"model": "music-2.6", "prompt": "Warm jazz", "is_instrumental": True}


def make_rehearsal(key: str = "test-key-not-real", **switches: str) -> Rehearsal:
    return Rehearsal("minimax", musicgate_minimax, switches=switches, key=key)


def make_request(
    text: str = "", block: dict[str, Any] | None = None, model: str = "minimax/music"
) -> MusicRequest:
    return MusicRequest(model=model, prompt=f"Warm jazz {text}", blocks={"minimax": block or {}})


def make_emulator(**switches: str) -> MiniMaxEmulator:
    return MiniMaxEmulator(EmulatorOptions(switches=switches))


def call(
    emulator: MiniMaxEmulator,
    body: dict[str, Any],
    *,
    now: float = START_S,
    url: str = CREATE,
    authorization: str | None = "Bearer test-key-not-real",
) -> EmulatedAnswer:
    request = HttpRequest.post_json(url, body)
    headers = dict(request.headers) | ({} if authorization is None else {"Authorization": authorization})
    return emulator.answer(attrs.evolve(request, headers=headers), now)


def code_of(answer: EmulatedAnswer) -> int:
    body = answer.response.json_object()
    base = body["base_resp"]
    assert isinstance(base, dict)
    assert answer.response.status == 200
    assert answer.response.header("trace-id") == body["trace_id"]
    return int(base["status_code"])


def assert_delivered(job: Job, *, duration_s: float | None = 10.0) -> None:
    assert (job.state, job.failure) == (JobState.IN_PROGRESS, None)
    assert job.delivered_at is not None
    assert [track.duration_s for track in job.tracks] == [duration_s]
    assert job.native_id == job.tracks[0].native_id


@pytest.mark.parametrize(
    ("container", "kind"), [("mp3", AudioKind.MP3), ("wav", AudioKind.WAV), ("pcm", AudioKind.WAV)]
)
def test_song_is_delivered_as_playable_hex(container: str, kind: AudioKind) -> None:
    rehearsal = make_rehearsal()
    request = make_request(
        block={"audio_setting": {"format": container, "sample_rate": 16000, "bitrate": 32000, "channel": 1}}
    )
    job = rehearsal.create(request)
    assert_delivered(job)
    update = rehearsal.plugin.parse(Step.CREATE, rehearsal.answers[0].response, job, rehearsal.settings)
    assert isinstance(update, JobUpdate)
    content = update.tracks[0].audio
    assert content is not None
    assert sniff(content[:64]) is kind


@pytest.mark.parametrize(
    ("authorization", "model", "switches", "body", "code"),
    [
        (None, "nonsense", {}, {}, 1004),
        ("test-key-not-real", "nonsense", {}, {}, 1004),
        ("Bearer ", "music-2.6", {}, {}, 1004),
        ("Bearer bad-key", "nonsense", {}, {}, 2049),
        ("Bearer free-plan-key", "nonsense", {}, {}, 2013),
        ("Bearer free-plan-key", "music-2.6", {"credits": "0.1"}, {}, 2061),
        ("Bearer no-credits-key", "music-2.6", {"rate": "0"}, {}, 1008),
        ("Bearer good", "music-2.6", {"credits": "0.1", "rate": "0"}, {}, 1008),
        ("Bearer good", "music-2.6", {"rate": "0", "concurrent": "0"}, {}, 1002),
        ("Bearer good", "music-2.6", {"concurrent": "0"}, {"prompt": ""}, 1041),
        ("Bearer window-used-key", "music-2.6", {}, {"prompt": ""}, 2056),
        ("Bearer good", "music-2.6", {"create": "1026"}, {"prompt": ""}, 1026),
        ("Bearer good", "music-2.6", {}, {"prompt": ""}, 2013),
        ("Bearer good", "music-2.6-free", {}, {}, 2061),
        ("Bearer good", "music-2.6-free", {"free": "alive"}, {}, 0),
        ("Bearer free-plan-key", "music-2.6-free", {"free": "alive"}, {}, 0),
        ("Bearer good", "music-2.6", {}, {}, 0),
    ],
)
def test_checks_run_in_the_vendors_order(
    authorization: str | None, model: str, switches: dict[str, str], body: dict[str, Any], code: int
) -> None:
    answer = call(make_emulator(**switches), {**SONG, "model": model, **body}, authorization=authorization)
    assert code_of(answer) == code
    assert (answer.delay_s > 0) is (code == 0)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"is_instrumental": False}, "lyrics is required"),
        ({"model": "music-2.5"}, "lyrics is required"),
        ({"prompt": "p" * 2001}, "prompt has 2001 characters"),
        ({"lyrics": "l" * 3501}, "lyrics has 3501 characters"),
        ({"prompt": 7}, "prompt must be text"),
        ({"output_format": "mp3"}, "output_format"),
        ({"stream": True, "output_format": "url"}, "stream only supports hex"),
        ({"audio_setting": {"sample_rate": 48000}}, "audio_setting.sample_rate"),
        ({"audio_setting": {"format": "ogg"}}, "audio_setting.format"),
        ({"model": "music-cover", "prompt": "short"}, "prompt has 5 characters"),
        ({"model": "music-cover", "prompt": "slow bossa nova"}, "exactly one"),
        (
            {"model": "music-cover", "prompt": "slow bossa nova", "audio_base64": "!"},
            "audio_base64 is invalid",
        ),
        (
            {"model": "music-cover", "prompt": "slow bossa nova", "cover_feature_id": "x"},
            "invalid or expired",
        ),
    ],
)
def test_invalid_parameter_is_refused_without_delay(body: dict[str, Any], text: str) -> None:
    answer = call(make_emulator(), {**SONG, **body})
    assert code_of(answer) == 2013
    said = answer.response.body.decode()
    assert text in said
    assert said.count("invalid params, ") == 1
    assert answer.delay_s == 0.0


def test_body_that_is_not_json_is_refused_as_an_unknown_model() -> None:
    request = HttpRequest(method="POST", url=CREATE, headers={"authorization": "Bearer k"}, body=b"{")
    assert code_of(make_emulator().answer(request, START_S)) == 2013


def test_rate_and_concurrency_are_limited_per_key() -> None:
    emulator = make_emulator(rate="3", concurrent="2")
    codes = [code_of(call(emulator, SONG, now=START_S + second)) for second in range(4)]
    assert codes == [0, 0, 1041, 1002]
    assert code_of(call(emulator, SONG, now=START_S, authorization="Bearer other")) == 0
    assert code_of(call(emulator, SONG, now=START_S + 61)) == 0


def test_each_song_is_charged_until_the_balance_is_spent() -> None:
    emulator = make_emulator(credits="0.30")
    assert [code_of(call(emulator, SONG)) for _ in range(3)] == [0, 0, 1008]
    assert sum(emulator.books.credits_charged.values()) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("lyrics", "text", "duration_s"),
    [
        ("[Verse]\nla", "", 10.0),
        ("[Verse]\n" + "la\n\n" * 6, "", 18.0),
        ("la\n" * 150, "", 300.0),
        ("la", "[emulate song_s=12]", 12.0),
    ],
)
def test_length_follows_the_sung_lines(lyrics: str, text: str, duration_s: float) -> None:
    rehearsal = make_rehearsal()
    job = rehearsal.create(MusicRequest(model="minimax/music-2.6", prompt=f"p {text}", lyrics=lyrics))
    assert_delivered(job, duration_s=duration_s)
    assert rehearsal.answers[0].delay_s == pytest.approx(30.0 + 0.3 * duration_s)


def test_speed_divides_the_delay() -> None:
    assert call(MiniMaxEmulator(EmulatorOptions(speed=100.0)), SONG).delay_s == pytest.approx(0.33)
    assert call(make_emulator(done_s="7"), SONG).delay_s == 7.0


def test_another_seed_gives_another_song() -> None:
    other = MiniMaxEmulator(EmulatorOptions(seed=1))
    assert call(other, SONG).response.body != call(make_emulator(), SONG).response.body


#: Switches with which the song is still delivered, and its known length.
DELIVERED: list[tuple[str, float | None]] = [
    ("extra=null", None),
    ("extra=no_duration", None),
    ("extra=text", 10.0),
    ("extra=size", 10.0),
    ("base_resp=missing", 10.0),
    ("base_resp=text", 10.0),
    ("status=success", 10.0),
]


@pytest.mark.parametrize(("switch", "duration_s"), [*DELIVERED, ("audio=upper", 10.0)])
def test_song_in_an_odd_shape_is_delivered(switch: str, duration_s: float | None) -> None:
    assert_delivered(make_rehearsal().create(make_request(f"[emulate {switch}]")), duration_s=duration_s)


@pytest.mark.parametrize(("switch", "duration_s"), DELIVERED)
def test_song_in_an_odd_shape_is_delivered_by_link(switch: str, duration_s: float | None) -> None:
    job = make_rehearsal().create(make_request(f"[emulate {switch}]", {"output_format": "url"}))
    assert_delivered(job, duration_s=duration_s)
    assert job.tracks[0].audio_url


def test_link_in_audio_url_is_read() -> None:
    job = make_rehearsal().create(make_request("[emulate audio=audio_url]", {"output_format": "url"}))
    assert_delivered(job)
    assert str(job.tracks[0].audio_url).startswith(f"{ORIGIN}/music%2Fprod%2F")


def test_missing_trace_id_does_not_lose_the_song() -> None:
    job = make_rehearsal().create(make_request("[emulate trace=missing]"))
    assert job.delivered_at is not None
    assert job.native_id is None


LOST = [
    *(
        ("data=null", "protocol"),
        ("data=absent", "protocol"),
        ("status=1", "protocol"),
        ("audio=empty", "protocol"),
    ),
    *(
        ("audio=odd", "protocol"),
        ("audio=nohex", "protocol"),
        ("create=made-text", "protocol"),
        ("create=made-html-200", "protocol"),
    ),
    *(
        ("create=made-malformed", "protocol"),
        ("create=made-empty", "protocol"),
        ("create=made-html-500", "upstream_failed"),
    ),
    *(
        ("create=made-html-503", "upstream_failed"),
        ("create=drop", "unknown_outcome"),
        ("create=cut", "unknown_outcome"),
    ),
]


@pytest.mark.parametrize(("switch", "reason"), LOST)
def test_lost_answer_may_hide_an_accepted_song(switch: str, reason: str) -> None:
    rehearsal = make_rehearsal()
    with pytest.raises(ProviderError) as caught:
        rehearsal.create(make_request(f"[emulate {switch}]"))
    assert caught.value.failure.reason == reason
    assert caught.value.maybe_accepted
    assert len(rehearsal.emulator.books.credits_charged) == 1


@pytest.mark.parametrize(
    ("switch", "reason", "late"),
    [
        *((f"create={code}", "upstream_failed", True) for code in (1000, 1024, 1033)),
        ("create=1001", "timeout", True),
        ("create=1027", "moderation", True),
        ("create=1026", "moderation", False),
        ("create=1002", "rate_limited", False),
        ("create=2056", "rate_limited", False),
        ("create=2056 shape=llm", "rate_limited", False),
        ("create=2061 base_resp=text", "forbidden", False),
        ("create=1008 data=absent", "credits", False),
        ("create=4711", "upstream_failed", False),
        ("status=failed", "upstream_failed", True),
        ("create=html-429", "rate_limited", False),
        ("create=html-401", "auth", False),
    ],
)
def test_refusal_fails_the_job_with_its_class(switch: str, reason: str, *, late: bool) -> None:
    rehearsal = make_rehearsal()
    job = rehearsal.create(make_request(f"[emulate {switch}]"))
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.reason == reason
    assert (rehearsal.answers[0].delay_s > 0) is late
    assert job.native_id is None


def test_used_up_window_resets_in_two_hours() -> None:
    job = make_rehearsal(key="window-used-up").create(make_request())
    assert job.failure is not None
    assert job.failure.retry_after_s == 7200.0


def test_echoed_key_is_only_in_the_native_message() -> None:
    job = make_rehearsal(key="bad-key", echo_key="1").create(make_request())
    assert job.failure is not None
    assert "bad-key" not in job.failure.message
    assert job.failure.native_message == "invalid api key: bad-key"


def linked(text: str = "", **switches: str) -> tuple[Rehearsal, str]:
    rehearsal = make_rehearsal(**switches)
    job = rehearsal.create(make_request(text, {"output_format": "url"}))
    link = job.tracks[0].audio_url
    assert link is not None
    return rehearsal, link


def fetch(rehearsal: Rehearsal, link: str, *, later_s: float = 0.0) -> EmulatedAnswer:
    return rehearsal.emulator.answer(HttpRequest(method="GET", url=link), rehearsal.now_s + later_s)


def test_link_serves_the_song_until_it_expires() -> None:
    rehearsal, link = linked()
    made_at_s = START_S
    answer = fetch(rehearsal, link)
    assert answer.response.status == 200
    assert answer.response.header("content-type") == "audio/mpeg"
    assert answer.response.header("content-length") == str(len(answer.response.body))
    assert sniff(answer.response.body[:64]) is AudioKind.MP3
    expired = rehearsal.emulator.answer(HttpRequest(method="GET", url=link), made_at_s + 86_401)
    assert expired.response.status == 403
    assert expired.response.header("content-type") == "application/xml"
    assert rehearsal.emulator.books.calls["GET media"] == 2


def test_track_has_the_expiry_of_its_link() -> None:
    rehearsal = make_rehearsal(link_s="60")
    job = rehearsal.create(make_request(block={"output_format": "url"}))
    assert job.tracks[0].expires_at == datetime.fromtimestamp(START_S + 60, UTC)


def test_changed_link_is_refused() -> None:
    rehearsal, link = linked()
    assert fetch(rehearsal, link.replace("%2B", "+")).response.status == 403
    assert fetch(rehearsal, link.replace("Expires=1", "Expires=2")).response.status == 403
    assert fetch(rehearsal, link.replace("Signature", "signature")).response.status == 403


@pytest.mark.parametrize(
    ("fault", "status", "length"),
    [
        ("403", 403, None),
        ("expired", 403, None),
        ("404", 404, None),
        ("empty", 200, 0),
        ("html", 200, 37),
    ],
)
def test_link_with_a_fault(fault: str, status: int, length: int | None) -> None:
    rehearsal, link = linked(f"[emulate media={fault}]")
    response = fetch(rehearsal, link).response
    assert response.status == status
    assert length is None or len(response.body) == length


def test_link_can_be_slow_or_cut() -> None:
    rehearsal, link = linked(media="slow")
    assert fetch(rehearsal, link).bytes_per_s == 64_000.0
    rehearsal, link = linked(media="cut")
    answer = fetch(rehearsal, link)
    assert answer.cut_after_bytes == len(answer.response.body) // 2


def test_prepared_recording_can_be_covered_for_a_day() -> None:
    emulator = make_emulator()
    prepare = {"model": "music-cover", "audio_base64": "AAAA"}
    first, second = (
        call(emulator, prepare, url=f"{ORIGIN}/v1/music_cover_preprocess").response.json_object()
        for _ in range(2)
    )
    assert first["cover_feature_id"] == second["cover_feature_id"]
    assert json.loads(str(first["structure_result"]))["num_segments"] == 2
    lyrics = "[Verse]\nThe river keeps the time"
    song = {
        "model": "music-cover",
        "prompt": "slow bossa nova",
        "cover_feature_id": first["cover_feature_id"],
    }
    assert code_of(call(emulator, {**song, "lyrics": lyrics})) == 0
    assert code_of(call(emulator, {**song, "lyrics": "la"})) == 2013
    assert code_of(call(emulator, {**song, "lyrics": lyrics}, now=START_S + 86_401)) == 2013


@pytest.mark.parametrize(
    "body",
    [
        {"model": "music-2.6", "audio_base64": "AAAA"},
        {"model": "music-cover"},
        {"model": "music-cover", "audio_base64": "AAAA", "audio_url": "https://example.com/a.mp3"},
        {"model": "music-cover", "audio_base64": "?"},
    ],
)
def test_preparation_needs_exactly_one_readable_recording(body: dict[str, Any]) -> None:
    assert code_of(call(make_emulator(), body, url=f"{ORIGIN}/v1/music_cover_preprocess")) == 2013


def test_cover_is_delivered_through_the_plugin() -> None:
    block = {"audio_url": "https://example.com/a.mp3"}
    assert_delivered(make_rehearsal().create(make_request("as a bossa nova", block, "minimax/music-cover")))


def frames_of(emulator: MiniMaxEmulator, **body: Any) -> list[dict[str, Any]]:
    response = call(emulator, {**SONG, "stream": True, **body}).response
    assert response.header("content-type") == "text/event-stream"
    return [json.loads(line[6:]) for line in response.body.decode().splitlines() if line]


@pytest.mark.parametrize("frame", ["none", "tail", "full"])
def test_stream_ends_with_status_2(frame: str) -> None:
    whole = "".join(item["data"]["audio"] for item in frames_of(make_emulator(frame="none")))
    frames = frames_of(make_emulator(frame=frame))
    assert {item["data"]["status"] for item in frames[:-1]} == {1}
    last = frames[-1]
    assert (last["data"]["status"], last["extra_info"]["music_duration"]) == (2, 10_000)
    before = "".join(item["data"]["audio"] for item in frames[:-1])
    assert last["data"]["audio"] == {"none": "", "tail": whole[len(before) :], "full": whole}[frame]
    assert before == (whole[: len(before)] if frame == "tail" else whole)


def test_stream_can_end_early_or_be_one_body() -> None:
    assert {item["data"]["status"] for item in frames_of(make_emulator(sse="broken"))} == {1}
    assert code_of(call(make_emulator(sse="json"), {**SONG, "stream": True})) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/music_generation"),
        ("GET", "/v1/query/music_generation"),
        ("POST", "/v1/lyrics_generation"),
        ("GET", "/music%2Fprod%2Funknown.mp3"),
    ],
)
def test_unknown_route_is_an_error(method: str, path: str) -> None:
    answer = make_emulator().answer(HttpRequest(method=method, url=f"{ORIGIN}{path}"), START_S)
    assert answer.response.status in {403, 404}


def test_there_are_no_callbacks() -> None:
    emulator = make_emulator()
    call(emulator, SONG)
    assert list(emulator.due_callbacks(START_S + 1000)) == []


def test_readme_has_the_vendors_own_switches() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    assert markdown(MiniMaxEmulator.switches) in readme
