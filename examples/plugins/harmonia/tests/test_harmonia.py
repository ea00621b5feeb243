"""Harmonia: the compliance kit, translations, and what is special about this vendor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from musicgate.plugin import (
    EmulatorOptions,
    FailureClass,
    JobState,
    MusicRequest,
    ProviderError,
    ProviderSettings,
    RequestError,
    Secret,
    Step,
    UnsupportedOptionError,
)
from musicgate.testing.compliance import ProviderCompliance
from musicgate.testing.rehearsal import CALLBACK_URL, START_S, Rehearsal

import musicgate_harmonia

SECRET = "test-secret-not-real"  # noqa: S105 - not a real secret


class TestCompliance(ProviderCompliance):
    plugin = musicgate_harmonia
    cases = Path(__file__).parent / "cases"
    failure_switches = "end=broken"


def rehearsal_with(**switches: str) -> Rehearsal:
    return Rehearsal("harmonia", musicgate_harmonia, switches=switches, webhook_secret=SECRET)


def request(**fields: Any) -> MusicRequest:
    return MusicRequest(**{"model": "harmonia/allegro", "prompt": "Rain", **fields})


def test_every_neutral_field_and_option_is_sent() -> None:
    translation = rehearsal_with().translate(
        request(
            lyrics="Drip",
            style="jazz",
            negative_style="metal",
            title="Wet",
            duration_s=30,
            seed=0,
            format="wav",
            vocal_gender="f",
            blocks={"harmonia": {"tempo_bpm": 96, "key": "C minor", "instruments": ["oud"]}},
        )
    )
    assert translation.request.url == "http://127.0.0.1:1/v2/scores"
    assert json.loads(translation.request.body) == {
        "engine": "allegro-2",
        "brief": "Rain",
        "words": "Drip",
        "genre": "jazz",
        "avoid": "metal",
        "name": "Wet",
        "seconds": 30,
        "seed": 0,
        "container": "wav",
        "voices": "female",
        "tempo_bpm": 96,
        "key": "C minor",
        "instruments": ["oud"],
        "hook": {"url": CALLBACK_URL},
    }
    assert translation.warnings == ()


@pytest.mark.parametrize(
    ("fields", "voices", "reported"),
    [
        ({}, None, []),
        ({"instrumental": True}, "none", []),
        ({"instrumental": False}, "any", []),
        ({"instrumental": True, "vocal_gender": "m"}, "none", [("vocal_gender",)]),
        ({"vocal_gender": "m", "blocks": {"harmonia": {"voices": "female"}}}, "female", [("vocal_gender",)]),
        ({"instrumental": True, "blocks": {"harmonia": {"voices": "any"}}}, "any", [("instrumental",)]),
        ({"instrumental": False, "blocks": {"harmonia": {"voices": "none"}}}, "none", [("instrumental",)]),
        ({"format": "ogg"}, None, [("format",)]),
    ],
)
def test_voices_and_what_is_reported_as_not_applied(
    fields: dict[str, Any], voices: str | None, reported: list[tuple[str]]
) -> None:
    translation = rehearsal_with().translate(request(**fields))
    assert json.loads(translation.request.body).get("voices") == voices
    assert [warning.path for warning in translation.warnings] == reported


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"prompt": "  "}, "prompt_required"),
        ({"prompt": "é" * 751}, "prompt_too_long"),
        ({"lyrics": "x" * 4001}, "lyrics_too_long"),
        ({"duration_s": 9}, "duration_out_of_range"),
        ({"duration_s": 301}, "duration_out_of_range"),
        ({"blocks": {"harmonia": {"tuba": 1}}}, "unsupported_option"),
    ],
)
def test_requests_outside_the_limits_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        rehearsal_with().translate(request(**fields))
    assert caught.value.reason == reason
    assert isinstance(caught.value, UnsupportedOptionError) is (reason == "unsupported_option")


@pytest.mark.parametrize("fields", [{"prompt": "é" * 750}, {"duration_s": 10}, {"duration_s": 300}])
def test_requests_at_the_limits_are_accepted(fields: dict[str, Any]) -> None:
    assert rehearsal_with(song_s="1").run(request(**fields)).delivered_at is not None


def test_score_is_free_and_its_performance_is_charged_once() -> None:
    rehearsal = rehearsal_with()
    job = rehearsal.run(request())
    assert (job.delivered_at is not None, [track.duration_s for track in job.tracks]) == (True, [10.0])
    assert job.tracks[0].audio_url == f"http://127.0.0.1:1/v2/recordings/{job.native_id}/master.mp3"
    assert list(rehearsal.emulator.books.credits_charged.values()) == [0.02]


@pytest.mark.parametrize(
    ("switches", "reason"),
    [
        ({"score": "402"}, FailureClass.CREDITS),
        ({"create": "402"}, FailureClass.CREDITS),
        ({"score": "422"}, FailureClass.MODERATION),
        ({"create": "503"}, FailureClass.UNAVAILABLE),
        ({"end": "silenced"}, FailureClass.MODERATION),
        ({"end": "broken"}, FailureClass.UPSTREAM_FAILED),
        ({"end": "encore"}, FailureClass.EXPIRED),
        ({"recording": "none"}, FailureClass.UPSTREAM_FAILED),
    ],
)
def test_every_fault_ends_in_its_failure_class(switches: dict[str, str], reason: FailureClass) -> None:
    job = rehearsal_with(**switches).run(request())
    assert (job.state, job.failure and job.failure.reason) == (JobState.FAILED, reason)


@pytest.mark.parametrize("switches", [{"create": "drop"}, {"create": "no_location"}, {"create": "html"}])
def test_performance_that_may_have_begun_is_maybe_accepted(switches: dict[str, str]) -> None:
    rehearsal = rehearsal_with(**switches)
    with pytest.raises(ProviderError) as caught:
        rehearsal.create(request())
    assert caught.value.maybe_accepted


def test_retry_after_is_read_as_a_date() -> None:
    rehearsal = rehearsal_with(poll="429")
    rehearsal.poll(rehearsal.create(request()))
    assert [error.retry_after_s for error in rehearsal.noise] == [3.0]


def test_cancelled_performance_ends_as_cancelled() -> None:
    rehearsal = rehearsal_with()
    job = rehearsal.create(request())
    cancel = rehearsal.plugin.cancel(job, rehearsal.settings)
    assert cancel is not None
    update = rehearsal.plugin.parse(Step.CANCEL, rehearsal.send(cancel), job, rehearsal.settings)
    job = rehearsal.fold(job, update)  # type: ignore[arg-type]  # a cancel call has no next one
    assert (job.state, job.failure and job.failure.reason) == (JobState.FAILED, FailureClass.CANCELLED)
    rehearsal.now_s += 60
    too_late = rehearsal.send(cancel)
    with pytest.raises(ProviderError, match="ended"):
        rehearsal.plugin.parse(Step.CANCEL, too_late, job, rehearsal.settings)


@pytest.mark.parametrize(("switch", "verified"), [("", True), ("badsign", False), ("stale", False)])
def test_hook_is_verified_only_with_a_good_recent_signature(switch: str, verified: bool) -> None:  # noqa: FBT001
    options = EmulatorOptions(webhook_secret=SECRET, switches={"callbacks": switch} if switch else {})
    rehearsal = rehearsal_with()
    rehearsal.emulator = rehearsal.plugin.emulator(options)
    job = rehearsal.create(request())
    (due,) = rehearsal.emulator.due_callbacks(START_S + 60)
    headers = {name.lower(): value for name, value in due.request.headers.items()}
    settings = ProviderSettings(base_url="http://127.0.0.1:1", webhook_secret=Secret(SECRET))
    claim = rehearsal.plugin.parse_callback(headers, due.request.body, settings, START_S + 60)
    assert claim.verified is verified
    assert (claim.native_id == job.native_id) is verified


def test_unanswered_hook_is_called_three_times() -> None:
    rehearsal = rehearsal_with()
    rehearsal.create(request())
    calls = []
    for minute in range(1, 8):
        for due in rehearsal.emulator.due_callbacks(START_S + 61 * minute):
            calls.append(minute)
            rehearsal.emulator.callback_answered(due.id, 500, START_S + 61 * minute)
    assert calls == [1, 2, 3]
