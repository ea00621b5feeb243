"""What is special about fal: one queue, models as data, results that decide."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import musicgate_fal
from musicgate.errors import RequestError
from musicgate.model import FailureClass, JobState
from musicgate.plugin import HttpRequest, MusicRequest, Number, PriceRule, ProviderSettings, Text
from musicgate.testing.rehearsal import Rehearsal
from musicgate_fal.models import MODELS, model

SONG = MusicRequest(model="fal/minimax-music/v2.6", prompt="Warm jazz trio", lyrics="[Verse]\nRow on")


def sent(public: str, prompt: str | None = "Warm jazz trio", **more: Any) -> dict[str, Any]:
    """The input for a model, with the url and the warnings' paths beside it."""
    blocks = {"fal": more.pop("fal", {})}
    request = MusicRequest(model=f"fal/{public}", prompt=prompt, blocks=blocks, **more)
    translation = Rehearsal("fal", musicgate_fal).translate(request)
    warned = [".".join(map(str, warning.path)) for warning in translation.warnings]
    return {"url": translation.request.url, "warned": warned, **json.loads(translation.request.body)}


def refused(public: str, **more: Any) -> str:
    """The path and the text of a refusal."""
    with pytest.raises(RequestError) as caught:
        sent(public, **more)
    return str(caught.value)


def run(request: MusicRequest = SONG, **switches: str) -> Any:
    rehearsal = Rehearsal("fal", musicgate_fal, switches=switches)
    return rehearsal.finish(rehearsal.create(request))


# --- models as data ---


def test_a_model_is_one_entry_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = (
        Text("theme", neutral="prompt", carries=("style",), max_chars=40),
        Text("words", neutral="lyrics", carries=("instrumental",)),
        Number("length_ms", neutral="duration", per_neutral=1000, minimum=3000, maximum=60_000, whole=True),
    )
    new = model("Acme/songs/v9", fields, PriceRule.per_second("0.06", seconds=60), ("wav",), "audio_file")
    monkeypatch.setattr(musicgate_fal.models, "MODELS", [*MODELS, new])
    monkeypatch.setattr(musicgate_fal, "MODELS", [*MODELS, new])
    rehearsal = Rehearsal("fal", musicgate_fal)
    request = MusicRequest(model="fal/acme/songs/v9", prompt="Rain", duration_s=30, style="jazz")
    translation = rehearsal.translate(request)
    assert json.loads(translation.request.body) == {
        "theme": "Rain, jazz",
        "length_ms": 30_000,
        "words": "[inst]",
    }
    with pytest.raises(RequestError, match="duration: is 90000; 3000 to 60000 are allowed"):
        rehearsal.translate(attrs.evolve(request, duration_s=90))
    with pytest.raises(RequestError, match="Acme/songs/v9 has no such option"):
        rehearsal.translate(attrs.evolve(request, blocks={"fal": {"seed": 7}}))
    job = rehearsal.finish(rehearsal.create(request))
    assert job.delivered_at is not None
    assert len(job.tracks) == 1
    assert job.progress is not None
    assert job.progress.charge == pytest.approx(0.03)
    assert list(rehearsal.emulator.books.credits_charged.values()) == [pytest.approx(0.03)]


def test_each_model_gets_its_own_names() -> None:
    lyrics = "[Verse]\nRow on, row on"
    got = sent("minimax-music/v1.5", lyrics=lyrics)
    assert (got["prompt"], got["lyrics_prompt"]) == (lyrics, "Warm jazz trio")
    got = sent("minimax-music/v2", lyrics=lyrics)
    assert (got["lyrics_prompt"], got["prompt"]) == (lyrics, "Warm jazz trio")
    assert sent("ace-step", style="swing", lyrics=lyrics)["tags"] == "Warm jazz trio, swing"
    assert sent("elevenlabs/music", duration_s=30, format="mp3")["music_length_ms"] == 30_000
    assert sent("elevenlabs/music", format="ogg")["output_format"] == "opus_48000_128"
    assert sent("stable-audio-25/text-to-audio", duration_s=30)["seconds_total"] == 30
    assert sent("lyria3", lyrics=lyrics)["prompt"] == f"Warm jazz trio\n\nLyrics:\n{lyrics}"
    assert sent("minimax-music/v2.6", format="wav")["audio_setting"] == {"format": "wav"}


def test_the_endpoint_keeps_its_letter_case_and_its_parts() -> None:
    url = sent("cassetteai/music-generator", duration_s=30)["url"]
    assert url.endswith("/CassetteAI/music-generator?fal_webhook=http://127.0.0.1:1/v1/callbacks/job/token")
    assert (
        "/fal-ai/stable-audio-3/medium/text-to-audio?" in sent("stable-audio-3/medium/text-to-audio")["url"]
    )


def test_a_model_answers_to_its_endpoint_too() -> None:
    assert Rehearsal("fal", musicgate_fal).offer("fal/fal-ai/minimax-music/v2.6").model == SONG.model


# --- voice ---


@pytest.mark.parametrize(
    ("public", "more", "native"),
    [
        ("minimax-music/v2.6", {}, {"is_instrumental": True}),
        ("minimax-music/v2.6", {"instrumental": True}, {"is_instrumental": True}),
        ("minimax-music/v2.6", {"fal": {"lyrics_optimizer": True}}, {"lyrics_optimizer": True}),
        ("minimax-music/v2.6", {"lyrics": "la", "instrumental": False}, {"lyrics": "la", "is_instrumental": False}),
        ("minimax/music-3", {}, {"lyrics": "[inst]"}),
        ("ace-step", {"instrumental": True}, {"lyrics": "[inst]"}),
        ("ace-step", {"lyrics": "la"}, {"lyrics": "la"}),
        ("ace-step/prompt-to-audio", {}, {}),
        ("ace-step/prompt-to-audio", {"instrumental": True}, {"instrumental": True}),
        ("elevenlabs/music", {}, {}),
        ("elevenlabs/music", {"instrumental": True}, {"force_instrumental": True}),
        ("lyria2", {}, {}),
    ],
)  # fmt: skip
def test_what_says_that_somebody_sings(
    public: str, more: Mapping[str, Any], native: Mapping[str, Any]
) -> None:
    words = ("lyrics", "instrumental", "is_instrumental", "force_instrumental", "lyrics_optimizer")
    assert {name: value for name, value in sent(public, **more).items() if name in words} == native


@pytest.mark.parametrize(
    ("public", "more", "said"),
    [
        ("minimax-music/v2.6", {"instrumental": False}, "lyrics: a voice is wanted"),
        ("minimax-music/v2.6", {"lyrics": "la", "instrumental": True}, "instrumental: lyrics are given"),
        ("ace-step", {"lyrics": "la", "instrumental": True}, "instrumental: lyrics are given"),
        ("minimax-music/v2", {}, "lyrics: is needed"),
        ("diffrhythm", {"instrumental": True}, "lyrics: is needed"),
        ("lyria2", {"lyrics": "la"}, "fal-ai/lyria2 sings no lyrics"),
        ("minimax-music/v2.6", {"fal": {"is_instrumental": False}}, "lyrics: is needed"),
        ("minimax-music/v2.6", {"lyrics": "la", "fal": {"is_instrumental": True}}, "not beside is_instrumental"),
    ],
)  # fmt: skip
def test_words_and_voice_that_contradict_each_other(public: str, more: Mapping[str, Any], said: str) -> None:
    assert said in refused(public, **more)


# --- limits and options ---


@pytest.mark.parametrize(
    ("public", "more", "said"),
    [
        ("minimax-music/v2.6", {"prompt": "short"}, "prompt: has 5 characters; at least 10 are needed"),
        ("minimax/music-3", {"duration_s": 301}, "duration: is 301; 1 to 300 are allowed"),
        ("elevenlabs/music", {"duration_s": 2}, "duration: is 2000; 3000 to 600000 are allowed"),
        ("cassetteai/music-generator", {}, "duration: is needed"),
        ("elevenlabs/music", {"format": "wav"}, "format: must be one of mp3_44100_128"),
        ("ace-step", {"fal": {"number_of_steps": 2}}, "fal.number_of_steps: is 2; 3 to 60 are allowed"),
        ("elevenlabs/music/v2", {"fal": {"seed": 7}}, "fal.seed: only with composition_plan"),
        ("elevenlabs/music", {"fal": {"composition_plan": {}}}, "prompt: not beside composition_plan"),
        ("minimax-music/v2.6", {"fal": {"num_samples": 2}}, "fal-ai/minimax-music/v2.6 has no such option"),
        ("minimax-music/v2.6", {"fal": {"sync_mode": True}}, "fal-ai/minimax-music/v2.6 has no such option"),
        ("ace-step", {"fal": {"fal_webhook": "https://example.com"}}, "fal-ai/ace-step has no such option"),
    ],
)  # fmt: skip
def test_what_a_model_does_not_take_is_refused_by_name(
    public: str, more: Mapping[str, Any], said: str
) -> None:
    assert said in refused(public, **more)


def test_options_of_no_model_are_not_in_the_schema() -> None:
    schema = musicgate_fal.provider().options_schema
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert not {"sync_mode", "fal_webhook"} & properties.keys()
    assert schema["additionalProperties"] is False


def test_a_plan_goes_without_a_prompt() -> None:
    got = sent("elevenlabs/music/v2", prompt=None, fal={"composition_plan": {"chunks": []}, "seed": 7})
    assert {name: got[name] for name in ("composition_plan", "seed")} == {
        "composition_plan": {"chunks": []},
        "seed": 7,
    }


def test_neutral_fields_without_a_place_are_reported() -> None:
    got = sent("lyria2", title="Blue", vocal_gender="f", format="mp3", duration_s=10, negative_style="drums")
    assert got["negative_prompt"] == "drums"
    assert sorted(got["warned"]) == ["duration", "format", "title", "vocal_gender"]


def test_several_songs_are_made_where_a_model_has_an_option_for_it() -> None:
    request = MusicRequest(
        model="fal/sonilo/v1.1/text-to-music", prompt="Rain", blocks={"fal": {"num_samples": 3}}
    )
    assert len(run(request).tracks) == 3


# --- life of a job ---


def test_status_and_result_have_the_address_of_the_app() -> None:
    rehearsal = Rehearsal("fal", musicgate_fal)
    job = rehearsal.finish(rehearsal.create(SONG))
    app = f"/fal-ai/minimax-music/requests/{job.native_id}"
    asked = list(rehearsal.emulator.books.calls)
    assert asked == [
        "POST /{endpoint...}",
        "GET /{owner}/{app}/requests/{id}/status",
        "GET /{owner}/{app}/requests/{id}",
    ]
    headers = {"Authorization": f"Key {rehearsal.key}"}
    wrong = HttpRequest(
        method="GET", url=f"http://127.0.0.1:1/fal-ai/minimax-music/v2.6{app[21:]}/status", headers=headers
    )
    assert rehearsal.emulator.answer(wrong, rehearsal.now_s).response.status == 404
    again = attrs.evolve(wrong, url=f"http://127.0.0.1:1{app}/response")
    assert rehearsal.emulator.answer(again, rehearsal.now_s).response.json_object().keys() == {"audio"}


def test_an_open_job_is_202() -> None:
    rehearsal = Rehearsal("fal", musicgate_fal)
    job = rehearsal.create(SONG)
    request = rehearsal.plugin.poll(job, rehearsal.settings)
    assert request is not None
    assert rehearsal.send(request).status == 202
    rehearsal.now_s += 60
    assert rehearsal.send(request).status == 200


def test_a_song_is_priced_by_the_units_that_fal_bills() -> None:
    assert run().progress.charge == 0.15
    request = MusicRequest(model="fal/minimax/music-3", prompt="Rain", duration_s=30)
    assert run(request).progress.charge == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("content_policy_violation", FailureClass.MODERATION),
        ("internal_server_error", FailureClass.UPSTREAM_FAILED),
        ("generation_timeout", FailureClass.TIMEOUT),
    ],
)
def test_completed_is_not_success(word: str, reason: FailureClass) -> None:
    job = run(end=word)
    assert (job.state, job.native_status) == (JobState.FAILED, "IN_PROGRESS")
    assert (job.failure.reason, job.failure.native_code) == (reason, word)


def test_a_status_that_says_completed_too_early_is_not_believed() -> None:
    job = run(poll="status-COMPLETED,html-504,status-COMPLETED")
    assert job.delivered_at is not None


def test_an_unknown_status_leaves_the_job_open() -> None:
    rehearsal = Rehearsal("fal", musicgate_fal, switches={"stuck": "FAILED"})
    job = rehearsal.poll(rehearsal.create(SONG))
    assert (job.state, job.native_status) == (JobState.QUEUED, "FAILED")


def test_an_empty_account_is_told_apart_from_a_forbidden_one() -> None:
    assert run(credits="0.1").failure.reason is FailureClass.CREDITS


@pytest.mark.parametrize("fault", ["html-502", "503", "500", "drop", "cut", "malformed"])
def test_a_submit_without_a_clear_answer_may_have_been_taken(fault: str) -> None:
    from musicgate.errors import ProviderError

    with pytest.raises(ProviderError) as caught:
        run(create=f"made-{fault}")
    assert caught.value.maybe_accepted


def test_the_third_job_of_an_account_waits() -> None:
    rehearsal = Rehearsal("fal", musicgate_fal)
    jobs = [rehearsal.create(SONG) for _ in range(3)]
    rehearsal.now_s += 10
    assert [rehearsal.poll(job).native_status for job in jobs] == ["IN_PROGRESS", "IN_PROGRESS", "IN_QUEUE"]


@pytest.mark.parametrize(("wait_s", "charged"), [(0, 0.0), (10, 0.15)])
def test_a_cancelled_job_costs_only_once_it_runs(wait_s: int, charged: float) -> None:
    rehearsal = Rehearsal("fal", musicgate_fal)
    job = rehearsal.create(SONG)
    rehearsal.now_s += wait_s
    request = rehearsal.plugin.cancel(job, rehearsal.settings)
    assert request is not None
    assert (request.method, rehearsal.send(request).status) == ("PUT", 202)
    assert rehearsal.send(request).status == 400
    assert list(rehearsal.emulator.books.credits_charged.values()) == [charged]
    assert rehearsal.finish(job).failure.native_code == "client_cancelled"  # type: ignore[union-attr]


# --- callbacks ---

BODY = json.dumps(
    {"request_id": "id-1", "gateway_request_id": "id-1", "status": "OK", "payload": None}
).encode()
NOW = 1_790_000_000.0


def claim(headers: Mapping[str, str], jwks: str, body: bytes = BODY, now: float = NOW) -> Any:
    settings = ProviderSettings(base_url="https://queue.fal.run", options={"webhook_jwks": jwks})
    return musicgate_fal.parse_callback(headers, body, settings, now)


def test_a_callback_without_keys_is_an_unverified_hint() -> None:
    got = claim({}, "")
    assert (got.native_id, got.native_status, got.verified) == ("id-1", "OK", None)


def test_a_callback_is_verified_by_the_key_set() -> None:
    old, key = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2))
    keys = [
        base64.urlsafe_b64encode(one.public_key().public_bytes_raw()).decode().rstrip("=")
        for one in (old, key)
    ]
    jwks = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x} for x in keys]})
    message = "\n".join(["id-1", "user", str(int(NOW)), hashlib.sha256(BODY).hexdigest()]).encode()
    headers = {
        "x-fal-webhook-request-id": "id-1",
        "x-fal-webhook-user-id": "user",
        "x-fal-webhook-timestamp": str(int(NOW)),
        "x-fal-webhook-signature": key.sign(message).hex(),
    }
    assert claim(headers, jwks).verified is True
    assert claim(headers, jwks).native_id == "id-1"
    assert claim(headers, jwks, now=NOW + 301).verified is False
    assert claim(headers, jwks, body=BODY + b" ").verified is False
    assert claim({**headers, "x-fal-webhook-user-id": "other"}, jwks).verified is False
    assert claim({**headers, "x-fal-webhook-signature": "zz"}, jwks).verified is False
    assert (claim({}, jwks).verified, claim({}, jwks).native_id) == (False, None)
    assert claim(headers, json.dumps({"keys": [{"x": keys[0]}, {"x": "?"}, {}]})).verified is False
    assert claim(headers, "no json").verified is False


def test_a_callback_is_an_unverified_hint_where_signatures_cannot_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("musicgate.plugin.key_set.find_spec", lambda _: None)
    assert claim({}, '{"keys": []}').verified is None
