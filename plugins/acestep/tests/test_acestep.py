"""What is sent, how a forgotten song ends, and songs from emulated servers with and without a key."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

import musicgate_acestep
from musicgate.emulation.mount import mounted
from musicgate.errors import ConfigError, PluginError, ProviderError, RequestError
from musicgate.gateway import Gateway
from musicgate.hosting import load_plugins
from musicgate.model import FailureClass, JobState, MusicRequest
from musicgate.plugin import EmulatorOptions, HttpRequest, Translation
from musicgate.settings import Settings
from musicgate.testing.rehearsal import Rehearsal
from musicgate_acestep.emulation import AceStepEmulator

TURBO = "acestep/turbo"
ORIGIN = "http://127.0.0.1:1"


def make_rehearsal(**switches: str) -> Rehearsal:
    return Rehearsal("acestep", musicgate_acestep, switches=switches)


def translate(model: str = TURBO, block: dict[str, Any] | None = None, **fields: Any) -> Translation:
    request = MusicRequest(model=model, blocks={"acestep": block or {}}, **fields)
    return make_rehearsal().translate(request)


# --- the request ---


def test_plain_request_names_the_number_of_songs_and_the_file_type() -> None:
    translation = translate(prompt="warm jazz")
    assert (translation.request.url, translation.warnings) == (f"{ORIGIN}/release_task", ())
    assert json.loads(translation.request.body) == {
        "model": "acestep-v15-turbo",
        "batch_size": 1,
        "audio_format": "mp3",
        "lyrics": "[instrumental]",
        "prompt": "warm jazz",
    }


SENT: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    (TURBO, {}, {"seed": 0}, {"seed": 0, "use_random_seed": False}, []),
    (TURBO, {"seed": 7}, {"seed": 8}, {"seed": 7, "use_random_seed": False}, [("changed", "seed")]),
    (TURBO, {}, {}, {"seed": None, "use_random_seed": None}, []),
    (TURBO, {}, {"format": "wav"}, {"audio_format": "wav", "format": None, "use_format": None}, []),
    (TURBO, {"audio_format": "flac"}, {"format": "wav"}, {"audio_format": "flac"}, [("changed", "format")]),
    (TURBO, {"use_format": True, "thinking": True}, {}, {"use_format": True, "thinking": True}, []),
    (TURBO, {}, {"duration_s": 10}, {"audio_duration": 10}, []),
    (TURBO, {}, {"duration_s": 240}, {"audio_duration": 240}, []),
    (TURBO, {}, {"duration_s": 600}, {"audio_duration": 600}, [("changed", "duration")]),
    (TURBO, {}, {"lyrics": "la"}, {"lyrics": "la"}, []),
    (TURBO, {}, {"lyrics": "la", "instrumental": True}, {"lyrics": "la"}, [("not_applied", "instrumental")]),
    (TURBO, {}, {"instrumental": True}, {"lyrics": "[instrumental]"}, []),
    (TURBO, {}, {"style": "folk"}, {"prompt": "p, folk"}, [("changed", "style")]),
    (TURBO, {}, {"title": "t"}, {"title": None}, [("not_applied", "title")]),
    (TURBO, {"batch_size": 8}, {}, {"batch_size": 8}, []),
    (TURBO, {"batch_size": None}, {}, {"batch_size": 1}, []),
    (TURBO, {"model": "acestep-v15-sft"}, {}, {"model": "acestep-v15-sft"}, []),
    (TURBO, {"model": "acestep-v15-xl-base", "guidance_scale": 7}, {}, {"guidance_scale": 7}, []),
    ("acestep/base", {"guidance_scale": 4.5, "inference_steps": 200}, {}, {"guidance_scale": 4.5}, []),
]


@pytest.mark.parametrize(("model", "block", "fields", "keys", "warnings"), SENT)
def test_option_is_sent_or_reported(
    model: str,
    block: dict[str, Any],
    fields: dict[str, Any],
    keys: dict[str, Any],
    warnings: list[tuple[str, str]],
) -> None:
    translation = translate(model, block, prompt="p", **fields)
    body = json.loads(translation.request.body)
    assert {key: body.get(key) for key in keys} == keys
    assert [(warning.code, *warning.path) for warning in translation.warnings] == warnings


@pytest.mark.parametrize(
    ("block", "fields", "path"),
    [
        ({}, {"duration_s": 9}, "duration"),
        ({}, {"duration_s": 601}, "duration"),
        ({}, {"format": "ogg"}, "format"),
        ({}, {"instrumental": False}, "lyrics"),
        ({}, {"prompt": "p" * 901}, "prompt"),
        ({}, {"prompt": None, "style": "s" * 901}, "style"),
        ({"prompt": "p" * 901}, {"style": "s"}, "acestep.prompt"),
        ({}, {"lyrics": "l" * 5001}, "lyrics"),
        ({"lm_backend": "cuda"}, {}, "acestep.lm_backend"),
        ({"time_signature": "5"}, {}, "acestep.time_signature"),
        ({"vocal_language": "xx"}, {}, "acestep.vocal_language"),
        ({"batch_size": 9}, {}, "acestep.batch_size"),
        ({"bpm": 29}, {}, "acestep.bpm"),
        ({"inference_steps": 21}, {}, "acestep.inference_steps"),
        ({"guidance_scale": 7}, {}, "acestep.guidance_scale"),
        ({"model": "acestep-v15-turbo-shift3", "guidance_scale": 7}, {}, "acestep.guidance_scale"),
        ({"format": "wav"}, {}, "acestep.format"),
        ({"ai_token": "x"}, {}, "acestep.ai_token"),
        ({"timesteps": "1"}, {}, "acestep.timesteps"),
        ({"src_audio_path": "/etc/passwd"}, {}, "acestep.src_audio_path"),
    ],
)
def test_request_that_the_server_would_change_or_break_on_is_refused(
    block: dict[str, Any], fields: dict[str, Any], path: str
) -> None:
    with pytest.raises(RequestError) as caught:
        translate(block=block, **{"prompt": "p", **fields})
    assert ".".join(map(str, caught.value.path)) == path


# --- songs ---


def test_batch_gives_as_many_tracks_with_links_that_stay_percent_encoded() -> None:
    rehearsal = make_rehearsal()
    request = MusicRequest(model=TURBO, prompt="p", blocks={"acestep": {"batch_size": 3}})
    job = rehearsal.run(request)
    assert job.delivered_at is not None
    links = [str(track.audio_url) for track in job.tracks]
    assert [link.startswith(f"{ORIGIN}/v1/audio?path=%2Ftmp%2F") for link in links] == [True] * 3
    songs = {rehearsal.send(HttpRequest.get(link)).body for link in links}
    assert len(songs) == 3


def test_song_of_another_model_than_asked_for_is_reported() -> None:
    rehearsal = make_rehearsal()
    job = rehearsal.create(MusicRequest(model=TURBO, prompt="p"))
    rehearsal.emulator.tasks[str(job.native_id)].request["model"] = "acestep-v15-sft"  # type: ignore[attr-defined]
    job = rehearsal.finish(job)
    assert [(warning.code, warning.path) for warning in job.warnings] == [("changed", ("model",))]


# --- restarts ---


def end_of(rehearsal: Rehearsal, request: MusicRequest) -> tuple[FailureClass | None, float]:
    """Why a song failed, and after how many seconds."""
    began_s = rehearsal.now_s
    job = rehearsal.run(request)
    return job.failure.reason if job.failure else None, rehearsal.now_s - began_s


def test_waiting_song_that_a_restart_forgot_ends_as_not_found_after_a_minute() -> None:
    rehearsal = make_rehearsal()
    rehearsal.create(MusicRequest(model=TURBO, prompt="first"))
    reason, after_s = end_of(rehearsal, MusicRequest(model=TURBO, prompt="p [emulate restart_s=10]"))
    assert reason is FailureClass.NOT_FOUND
    assert 70 <= after_s < 90


@pytest.mark.parametrize(("stall_s", "least_s"), [(900, 900), (60, 60)])
def test_running_song_that_a_restart_forgot_ends_when_its_progress_has_stood_still(
    stall_s: int, least_s: int
) -> None:
    rehearsal = Rehearsal("acestep", musicgate_acestep, options={"stall_s": stall_s})
    job = rehearsal.run(MusicRequest(model=TURBO, prompt="p [emulate restart_s=10]"))
    assert job.failure is not None
    assert (job.failure.reason, job.failure.costs) == (FailureClass.UPSTREAM_FAILED, False)
    assert job.failure.message == f"no progress for {stall_s} s: the server was restarted, or hangs"
    assert least_s <= (rehearsal.now - job.created_at).total_seconds() - 10 < least_s + 40


def test_restart_forgets_what_is_not_done_and_keeps_what_is() -> None:
    rehearsal = make_rehearsal()
    assert isinstance(rehearsal.emulator, AceStepEmulator)
    jobs = [rehearsal.create(MusicRequest(model=TURBO, prompt=f"song {number}")) for number in range(3)]
    rehearsal.now_s += 30.0
    rehearsal.emulator.restart(rehearsal.now_s)
    rehearsal.now_s += 1.0
    done, running, waiting = (rehearsal.poll(job) for job in jobs)
    assert (done.delivered_at is not None, done.tracks[0].has_audio) == (True, True)
    assert (running.native_status, running.doubt_since) == ("running", None)
    assert waiting.doubt_since is not None
    assert rehearsal.poll(running).doubt_since is not None


def test_song_that_moves_slowly_is_not_given_up() -> None:
    rehearsal = make_rehearsal(done_s="3000")
    job = rehearsal.finish(rehearsal.create(MusicRequest(model=TURBO, prompt="p")), limit=1000)
    assert job.delivered_at is not None


def test_waiting_in_the_queue_is_no_stall() -> None:
    rehearsal = make_rehearsal(done_s="1500")
    rehearsal.create(MusicRequest(model=TURBO, prompt="first"))
    job = rehearsal.create(MusicRequest(model=TURBO, prompt="p"))
    assert rehearsal.finish(job, limit=1000).delivered_at is not None


def test_record_of_more_than_an_hour_that_says_failed_leaves_the_song_open() -> None:
    rehearsal = make_rehearsal(done_s="4000")
    job = rehearsal.create(MusicRequest(model=TURBO, prompt="p"))
    rehearsal.now_s += 3700.0
    job = rehearsal.poll(job)
    assert json.loads(rehearsal.answers[-1].response.body)["data"][0]["status"] == 2
    assert (job.native_status, job.state, job.failure) == ("running", JobState.IN_PROGRESS, None)
    rehearsal.now_s += 400.0
    assert rehearsal.poll(job).delivered_at is not None


# --- the emulator ---


def call(emulator: AceStepEmulator, path: str, body: dict[str, Any], now: float) -> Any:
    request = HttpRequest.post_json(f"{ORIGIN}{path}", body)
    return json.loads(emulator.answer(request, now).response.body)["data"]


def test_request_that_names_no_number_gets_two_songs_whose_files_come_with_the_end() -> None:
    emulator = AceStepEmulator(EmulatorOptions())
    task_id = call(emulator, "/release_task", {"prompt": "p"}, 0.0)["task_id"]
    (row,) = call(emulator, "/query_result", {"task_id_list": [task_id]}, 25.0)
    links = [HttpRequest.get(f"{ORIGIN}{song['file']}") for song in json.loads(row["result"])]
    statuses = {now: [emulator.answer(link, now).response.status for link in links] for now in (24.0, 25.0)}
    assert statuses == {24.0: [404, 404], 25.0: [200, 200]}


def test_restart_empties_the_queue() -> None:
    emulator = AceStepEmulator(EmulatorOptions())
    for _ in range(10):
        call(emulator, "/release_task", {"prompt": "p"}, 0.0)
    emulator.restart(10.0)
    task_id = call(emulator, "/release_task", {"prompt": "p"}, 10.0)["task_id"]
    (row,) = call(emulator, "/query_result", {"task_id_list": [task_id]}, 35.0)
    assert row["status"] == 1


def test_full_queue_is_429_and_nothing_is_made() -> None:
    rehearsal = make_rehearsal(concurrent="2")
    for number in range(2):
        rehearsal.create(MusicRequest(model=TURBO, prompt=f"song {number}"))
    job = rehearsal.create(MusicRequest(model=TURBO, prompt="p"))
    assert job.failure is not None
    assert (job.failure.reason, job.failure.native_message) == (
        FailureClass.RATE_LIMITED,
        "Server busy: queue is full",
    )
    assert len(rehearsal.emulator.books.creates) == 2


def test_failure_of_a_later_server_says_why() -> None:
    for generation, message in (("feb", "ACE-Step reported failed"), ("later", "RuntimeError: silence")):
        job = make_rehearsal(end="failed", generation=generation).run(MusicRequest(model=TURBO, prompt="p"))
        assert job.failure is not None
        assert job.failure.message == message


def test_server_that_is_shut_without_a_key_of_its_own_is_an_auth_failure() -> None:
    job = make_rehearsal(create="503").create(MusicRequest(model=TURBO, prompt="p"))
    assert job.failure is not None
    assert job.failure.reason is FailureClass.AUTH


def test_lost_answer_is_unknown_and_never_a_refusal() -> None:
    with pytest.raises(ProviderError) as caught:
        make_rehearsal(create="drop").create(MusicRequest(model=TURBO, prompt="p"))
    assert caught.value.maybe_accepted


@pytest.mark.parametrize("switches", [{"generation": "may"}, {"restart_s": "soon"}, {"credits": "1"}])
def test_unknown_switch_or_value_stops_the_start(switches: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        AceStepEmulator(EmulatorOptions(switches=switches))
    with pytest.raises((PluginError, ConfigError)):
        make_rehearsal(**switches)


# --- the whole way, over HTTP ---


def settings_of(base_url: str, folder: Path, **table: Any) -> Settings:
    """Settings as an operator has them: no other provider, and media on private addresses not allowed."""
    settings = Settings(providers={"acestep": {"base_url": base_url, **table}}, environ={}, data_dir=folder)
    return attrs.evolve(settings, follow=attrs.evolve(settings.follow, speed=100.0))


@pytest.mark.parametrize("key", ["server-key", None])
async def test_server_makes_a_song_with_its_key_and_without_one(tmp_path: Path, key: str | None) -> None:
    host = load_plugins({"acestep": musicgate_acestep}, installed=False)
    emulator = AceStepEmulator(EmulatorOptions(key=key, speed=100.0))
    async with mounted(emulator) as base_url:
        table = {"api_key": key} if key else {}
        async with Gateway.open(settings_of(base_url, tmp_path, **table), plugins=host) as gateway:
            job = await gateway.generate("Warm jazz trio", model=TURBO)
            path = gateway.audio_path(job, 0)
    assert job.state is JobState.COMPLETED
    assert path is not None
    assert path.stat().st_size > 1000
    assert job.usage is not None
    assert job.usage.total_usd_nanos == 0


async def test_server_with_a_key_refuses_a_caller_without(tmp_path: Path) -> None:
    host = load_plugins({"acestep": musicgate_acestep}, installed=False)
    emulator = AceStepEmulator(EmulatorOptions(key="server-key"))
    async with (
        mounted(emulator) as base_url,
        Gateway.open(settings_of(base_url, tmp_path), plugins=host) as gateway,
    ):
        with pytest.raises(ProviderError) as caught:
            await gateway.generate("p", model=TURBO)
    assert caught.value.failure.reason is FailureClass.AUTH
    link = HttpRequest.get(f"{ORIGIN}/v1/audio?path=%2Ftmp%2Fa.mp3")
    assert emulator.answer(link, 0.0).response.status == 401


async def test_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    host = load_plugins({"acestep": musicgate_acestep}, installed=False)
    async with Gateway.open(settings_of("http://127.0.0.1:9", tmp_path), plugins=host) as gateway:
        with pytest.raises(ProviderError) as caught:
            await gateway.generate("p", model=TURBO)
    assert (caught.value.failure.reason, caught.value.maybe_accepted) == (FailureClass.UNAVAILABLE, False)
