"""Reading of answers: recorded cases, codes, statuses, retry times and hostile bytes."""

import json
import struct
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

import musicgate_minimax
from musicgate.errors import ProviderError
from musicgate.model import (
    Failure,
    FailureClass,
    JobState,
    JobUpdate,
    MusicRequest,
)
from musicgate.plugin.hooks import Step
from musicgate.plugin.wire import HttpResponse
from musicgate.testing.rehearsal import Rehearsal

REHEARSAL = Rehearsal("minimax", musicgate_minimax)
JOB = REHEARSAL._new_job(
    MusicRequest(model="minimax/music", prompt="p"),
    REHEARSAL.translate(MusicRequest(model="minimax/music", prompt="p")),
)
NOW = datetime(2026, 5, 15, 12, 0, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "data": {"audio": "49443304", "status": 2},
    "trace_id": "t1",
    "extra_info": {"music_duration": 25364},
    "base_resp": {"status_code": 0, "status_msg": "success"},
}


def parse(
    body: object,
    *,
    status: int = 200,
    step: Step = Step.CREATE,
    headers: dict[str, str] | None = None,
    block: dict[str, Any] | None = None,
) -> JobUpdate:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = HttpResponse(status=status, headers=headers or {}, body=content, received_at=NOW)
    request = MusicRequest(model="minimax/music", blocks={"minimax": block or {}})
    update = REHEARSAL.plugin.parse(step, response, attrs.evolve(JOB, request=request), REHEARSAL.settings)
    assert isinstance(update, JobUpdate)
    return update


def refused(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Failure:
    update = parse(body, status=status, headers=headers)
    assert update.native_id is None
    assert update.failure is not None
    return update.failure


def coded(code: object, text: str = "text") -> dict[str, Any]:
    return {"data": None, "trace_id": "t1", "base_resp": {"status_code": code, "status_msg": text}}


@pytest.mark.parametrize(
    ("code", "reason", "status", "resend", "try_next", "costs"),
    [
        (1000, "upstream_failed", 502, False, False, True),
        (1001, "timeout", 504, False, False, True),
        (1002, "rate_limited", 429, True, True, False),
        (1004, "auth", 401, False, True, False),
        (1008, "credits", 402, False, True, False),
        (1024, "upstream_failed", 502, False, False, True),
        (1026, "moderation", 400, False, False, True),
        (1027, "moderation", 400, False, False, True),
        (1028, "credits", 402, False, True, False),
        (1030, "credits", 402, False, True, False),
        (1033, "upstream_failed", 502, False, False, True),
        (1039, "rate_limited", 429, True, True, False),
        (1041, "rate_limited", 429, True, True, False),
        (1042, "invalid", 400, False, False, False),
        (1043, "invalid", 400, False, False, False),
        (1044, "invalid", 400, False, False, False),
        (2013, "invalid", 400, False, False, False),
        (2037, "invalid", 400, False, False, False),
        (2038, "forbidden", 403, False, True, False),
        (2039, "invalid", 400, False, False, False),
        (2042, "forbidden", 403, False, True, False),
        (2044, "forbidden", 403, False, True, False),
        (2045, "rate_limited", 429, True, True, False),
        (2048, "invalid", 400, False, False, False),
        (2049, "auth", 401, False, True, False),
        (2056, "rate_limited", 429, True, True, False),
        (2061, "forbidden", 403, False, True, False),
        (20132, "invalid", 400, False, False, False),
        (77, "upstream_failed", 502, False, False, True),
        (-1, "upstream_failed", 502, False, False, True),
    ],
)
def test_code_gives_its_failure_class(
    code: int, reason: str, status: int, *, resend: bool, try_next: bool, costs: bool
) -> None:
    failure = refused(coded(code))
    assert (failure.reason, failure.native_code, failure.native_message) == (reason, str(code), "text")
    assert (failure.status, failure.rule.resend, failure.rule.try_next) == (status, resend, try_next)
    assert failure.costs is costs


@pytest.mark.parametrize("code", [1004, 2049])
def test_message_for_a_refused_key_points_at_the_base_url(code: int) -> None:
    assert "check the base URL" in refused(coded(code)).message


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "invalid"),
        (401, "auth"),
        (402, "credits"),
        (403, "forbidden"),
        (404, "not_found"),
        (405, "invalid"),
        (408, "timeout"),
        (413, "invalid"),
        (422, "invalid"),
        (429, "rate_limited"),
    ],
)
@pytest.mark.parametrize("body", [b"<html></html>", b"{}", b""])
def test_4xx_without_a_reason_is_classified_by_its_status(status: int, reason: str, body: bytes) -> None:
    assert refused(body, status=status).reason == reason


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529])
@pytest.mark.parametrize("body", [b"<html></html>", b"{}", b'{"base_resp":null}', b""])
def test_5xx_without_a_reason_may_hide_an_accepted_song(status: int, body: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        parse(body, status=status)
    assert caught.value.failure.reason is FailureClass.UPSTREAM_FAILED
    assert (caught.value.maybe_accepted, caught.value.status, caught.value.retryable) == (True, status, False)


@pytest.mark.parametrize(
    ("text", "headers", "wait_s"),
    [
        ("x, resets at 2026-05-15T15:00:00Z (2056)", {}, 10_800.0),
        ("x, resets at 2026-05-15T23:00:00+08:00 (2056)", {}, 10_800.0),
        ("x, reset at 2026-05-15 12:30:00", {}, 1_800.0),
        ("x, resets at 2026-05-15T09:00:00Z (2056)", {}, 0.0),
        ("x, resets at 2026-05-15T15:00:00Z (2056)", {"Retry-After": "7"}, 7.0),
        ("x, resets at 2026-99-15T15:00:00Z (2056)", {}, 300.0),
        ("usage limit exceeded (2056)", {}, 300.0),
    ],
)
def test_used_up_window_gives_the_time_until_its_reset(
    text: str, headers: dict[str, str], wait_s: float
) -> None:
    assert refused(coded(2056, text), headers=headers).retry_after_s == wait_s


def test_rate_limit_has_a_retry_time_only_with_the_header() -> None:
    assert refused(coded(1002)).retry_after_s is None
    assert refused(coded(1041), headers={"retry-after": "3"}).retry_after_s == 3.0
    assert refused(b"", status=429, headers={"Retry-After": "9"}).retry_after_s == 9.0
    assert refused(coded(1008), headers={"Retry-After": "9"}).retry_after_s is None


def test_native_message_is_truncated_and_can_be_stored() -> None:
    failure = refused(coded(2013, "\ud800" + "w" * 600))
    assert failure.native_message == "?" + "w" * 499
    assert refused(coded(2013, "")).native_message is None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *(
            (status, JobState.COMPLETED)
            for status in ("success", "Succeeded", "completed", "finished", "2", "3")
        ),
        *((status, JobState.IN_PROGRESS) for status in ("running", "processing", "in_progress", "1")),
        *((status, JobState.FAILED) for status in ("failed", "ERROR", "cancelled", "canceled", "-1", "-2")),
        *((status, JobState.QUEUED) for status in ("queued", "pending", "0")),
        ("dreaming", None),
        ("", None),
        ("2.5", None),
    ],
)
def test_native_status_maps_to_a_state(status: str, state: JobState | None) -> None:
    assert REHEARSAL.plugin.map_status(status) is state


@pytest.mark.parametrize("step", [Step.POLL, Step.CANCEL, Step.NEXT])
def test_create_is_the_only_call(step: Step) -> None:
    with pytest.raises(ProviderError):
        parse(GOOD, step=step)
    assert REHEARSAL.plugin.poll(JOB, REHEARSAL.settings) is None
    assert REHEARSAL.plugin.cancel(JOB, REHEARSAL.settings) is None


def test_upstream_body_replaces_hex_by_a_note_and_keeps_the_rest() -> None:
    assert parse(GOOD).body == {**GOOD, "data": {"audio": "<8 characters>", "status": 2}}
    link = {**GOOD, "data": {"audio": "https://example.com/a.mp3", "status": 2}}
    assert parse(link).body == link


def wav_of(update: JobUpdate) -> bytes:
    content = update.tracks[0].audio
    assert content is not None
    return content


def test_bare_pcm_becomes_a_playable_wav_file() -> None:
    extra = {"music_sample_rate": 32000, "music_channel": 1}
    body = {**GOOD, "data": {"audio": "0102030405", "status": 2}, "extra_info": extra}
    content = wav_of(parse(body, block={"audio_setting": {"format": "pcm"}}))
    assert content[:4] + content[8:12] == b"RIFFWAVE"
    assert struct.unpack("<HI", content[22:28]) == (1, 32000)
    assert content[44:] == b"\x01\x02\x03\x04"


def test_bare_pcm_without_extra_info_has_the_requested_sample_rate() -> None:
    body = {**GOOD, "data": {"audio": "01020304", "status": 2}, "extra_info": {"music_channel": 9}}
    content = wav_of(parse(body, block={"audio_setting": {"format": "pcm", "sample_rate": 16000}}))
    assert struct.unpack("<HI", content[22:28]) == (2, 16000)


def test_wav_file_in_answer_to_pcm_gets_no_second_header() -> None:
    riff = b"RIFF\x24\x00\x00\x00WAVEfmt "
    body = {**GOOD, "data": {"audio": riff.hex(), "status": 2}}
    assert wav_of(parse(body, block={"audio_setting": {"format": "pcm"}})) == riff
