"""Jobs from the request to their end, through every fault of the emulator."""

from typing import Any

import pytest

import musicgate_elevenlabs
from musicgate.assets.audio import sniff
from musicgate.errors import ProviderError
from musicgate.model import (
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
)
from musicgate.plugin.hooks import Step
from musicgate.testing.rehearsal import Rehearsal

DETAILED: dict[str, Any] = {"with_timestamps": True}
PLAN = {"chunks": [{"text": "[Verse]\nla la", "duration_ms": 3_000, "positive_styles": ["folk"]}]}


def make_rehearsal(switches: dict[str, str] | None = None) -> Rehearsal:
    return Rehearsal("elevenlabs", musicgate_elevenlabs, switches=switches)


def make_request(block: dict[str, Any] | None = None, **fields: Any) -> MusicRequest:
    blocks = {} if block is None else {"elevenlabs": block}
    return MusicRequest(model="elevenlabs/music", blocks=blocks, **{"prompt": "Warm jazz", **fields})


def deliver(rehearsal: Rehearsal, request: MusicRequest) -> tuple[Job, bytes]:
    """The delivered job and its audio."""
    job = rehearsal.create(request)
    assert job.state is JobState.IN_PROGRESS
    assert job.delivered_at is not None
    translation = rehearsal.translate(request)
    rehearsal.now_s += 1_000
    update = rehearsal.plugin.parse(Step.CREATE, rehearsal.send(translation.request), job, rehearsal.settings)
    assert isinstance(update, JobUpdate)
    audio = update.tracks[0].audio
    assert audio is not None
    return job, audio


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (make_request(), "mp3"),
        (make_request(format="mp3", duration_s=3), "mp3"),
        (make_request(format="wav", duration_s=3), "wav"),
        (make_request(format="ogg", duration_s=3), "opus"),
        (make_request({"output_format": "alaw_8000"}), "wav"),
        (make_request({"output_format": "mp3_24000_48"}), "mp3"),
        (make_request({"composition_plan": PLAN}, prompt=None), "mp3"),
        (make_request(DETAILED, lyrics="One two", style="folk", vocal_gender="f", seed=3), "mp3"),
        (make_request({**DETAILED, "output_format": "pcm_8000"}), "wav"),
        (make_request(instrumental=True, title="T"), "mp3"),
    ],
)
def test_request_becomes_a_song(request_: MusicRequest, kind: str) -> None:
    rehearsal = make_rehearsal()
    job, audio = deliver(rehearsal, request_)
    assert sniff(audio[:64]) == kind
    assert job.native_id == rehearsal.emulator.books.creates[0]
    assert job.native_model == "music_v2"


@pytest.mark.parametrize(
    "switches",
    [
        {"detailed": "lf"},
        {"detailed": "camel"},
        {"detailed": "nulls"},
        {"detailed": "no_closing"},
        {"detailed": "glued"},
        {"detailed": "preamble"},
        {"audio": "boundary"},
        {"detailed": "lf,glued,preamble,camel", "audio": "boundary"},
        {"headers": "no_length"},
        {"headers": "no_song_id"},
    ],
)
@pytest.mark.parametrize("output_format", ["mp3_44100_128", "pcm_8000"])
def test_each_shape_of_the_detailed_answer_gives_the_same_audio(
    switches: dict[str, str], output_format: str
) -> None:
    request = make_request({**DETAILED, "output_format": output_format, "seed": 5, "music_length_ms": 3_000})
    bait = {name: value for name, value in switches.items() if name == "audio"}
    _, plain = deliver(make_rehearsal(bait), request)
    job, audio = deliver(make_rehearsal(switches), request)
    assert audio == plain
    assert job.native_id
    assert (job.tracks[0].title is None) == (switches.get("detailed") == "nulls")


def test_mono_song_is_recognised_by_its_length() -> None:
    _, audio = deliver(make_rehearsal({"audio": "mono"}), make_request(format="wav", duration_s=3))
    assert int.from_bytes(audio[22:24], "little") == 1


@pytest.mark.parametrize(
    ("switches", "reason", "maybe_accepted"),
    [
        ({"create": "cut"}, "unknown_outcome", True),
        ({"create": "drop"}, "unknown_outcome", True),
        ({"create": "hangup"}, "unknown_outcome", True),
        ({"detailed": "no_closing", "headers": "no_length"}, "unknown_outcome", True),
        ({"create": "made-empty"}, "protocol", True),
        ({"create": "made-html-200"}, "protocol", True),
        ({"create": "made-json"}, "protocol", True),
        ({"create": "500"}, "upstream_failed", True),
        ({"create": "html-500"}, "upstream_failed", True),
        ({"create": "lost"}, "upstream_failed", True),
        ({"create": "html-503"}, "upstream_failed", True),
        ({"create": "html-504"}, "timeout", True),
    ],
)
def test_answer_that_may_hide_a_song_is_not_retryable(
    switches: dict[str, str], reason: str, *, maybe_accepted: bool
) -> None:
    with pytest.raises(ProviderError) as caught:
        make_rehearsal(switches).create(make_request(DETAILED))
    assert (caught.value.failure.reason, caught.value.maybe_accepted) == (reason, maybe_accepted)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("switches", "reason", "status"),
    [
        ({"credits": "1"}, "credits", 402),
        ({"create": "429"}, "rate_limited", 429),
        ({"create": "system_busy"}, "rate_limited", 429),
        ({"create": "too_many_concurrent_requests", "detail": "legacy"}, "rate_limited", 429),
        ({"create": "429", "detail": "text"}, "rate_limited", 429),
        ({"concurrent": "0"}, "rate_limited", 429),
        ({"create": "503"}, "unavailable", 503),
        ({"create": "503", "detail": "text"}, "unavailable", 503),
        ({"moderation": "prompt"}, "moderation", 400),
        ({"moderation": "harmful"}, "moderation", 400),
        ({"tier_gate": "1"}, "forbidden", 403),
        ({"create": "refusal"}, "rate_limited", 429),
        ({"audio": "bare_opus"}, "unsupported", 400),
    ],
)
def test_refusal_fails_the_job_with_its_class(switches: dict[str, str], reason: str, status: int) -> None:
    output_format = {"tier_gate": "wav", "audio": "ogg"}.get(next(iter(switches), ""), "mp3")
    rehearsal = make_rehearsal(switches)
    job = rehearsal.create(make_request(format=output_format))
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert (job.failure.reason, job.failure.status) == (reason, status)
    assert (job.native_id is not None) == (reason == "unsupported")
    assert len(rehearsal.emulator.books.creates) == (1 if reason == "unsupported" else 0)


def test_unknown_output_format_is_refused_by_the_vendor() -> None:
    job = make_rehearsal().create(make_request({"output_format": "flac_44100"}))
    assert job.failure is not None
    assert (job.failure.reason, job.failure.status) == ("invalid", 422)


def test_suggestion_reaches_the_caller_and_is_not_sent_again() -> None:
    rehearsal = make_rehearsal()
    job = rehearsal.create(make_request(prompt="Slow, like Nirvana"))
    assert job.failure is not None
    assert job.failure.suggestion == "Slow, like a well-known artist"
    assert rehearsal.emulator.books.calls == {"POST /v1/music": 1}


def test_rate_limit_refusal_has_a_retry_time() -> None:
    rehearsal = make_rehearsal()
    request = make_request(prompt="x [emulate create=429 retry_after=4]")
    refused = rehearsal.create(request)
    assert refused.failure is not None
    assert refused.failure.retry_after_s == 4.0
    assert refused.failure.rule.resend
    assert rehearsal.create(request).delivered_at is not None


def test_create_succeeds_after_the_rate_window() -> None:
    rehearsal = make_rehearsal({"rate": "1", "song_s": "3", "done_s": "0"})
    assert rehearsal.create(make_request()).failure is None
    assert rehearsal.create(make_request()).failure is not None
    rehearsal.now_s += 60
    assert rehearsal.create(make_request()).failure is None


def test_returned_plan_can_be_sent_back_unchanged() -> None:
    rehearsal = make_rehearsal()
    job, _ = deliver(rehearsal, make_request(DETAILED))
    rehearsal.now_s += 1_000
    again = rehearsal.create(
        make_request({"composition_plan": job.tracks[0].extra["composition_plan"]}, prompt=None)
    )
    assert again.delivered_at is not None
    assert again.tracks[0].duration_s == 8.0
