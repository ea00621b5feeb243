"""The command line against servers that misbehave. What the client itself does: tests/test_client.py."""

import re
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from musicgate.cli import (
    FailedError,
    RefusedError,
    SettingsError,
    TimeUpError,
    remote,
)
from musicgate.cli.error_text import as_click_error
from musicgate.cli.files import Target
from musicgate.cli.remote import cancel_remotely, fetch_remotely, generate_remotely
from musicgate.cli.run import Order
from musicgate.client import async_client, retries
from musicgate.emulation.tones import AudioFormat, song
from musicgate.errors import MusicgateError
from tests.bad_server import BadServer, running

KEY = "test-key-not-real"
OPEN = {
    "id": "music_1",
    "object": "music",
    "status": "queued",
    "provider_plugin": "suno_kie",
    "created_at": "2026-11-20T10:38:43.744Z",
}
ENVELOPE = {"generation_id": "G-1", "request_id": "G-1"}
AUDIO = "/v1/music/generate/music_1/audio/"


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(target=Target(folder=tmp_path, stem="song"))


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "RETRY_S", 0.3)
    monkeypatch.setattr(retries, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(async_client, "_FIRST_POLL_S", 0.01)


def finished(*links: str) -> dict[str, Any]:
    output = [{"index": index, "audio_url": link, "duration": 6.0} for index, link in enumerate(links)]
    return {**OPEN, "status": "completed", "output": output}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def make(server: BadServer, order: Order) -> None:
    await generate_remotely(server.url, KEY, {"model": "m"}, order, strict=False)


@pytest.mark.parametrize("answer", ["hang up", b"<html>", (200, [1], {}), (502, "gone", {})])
async def test_a_create_call_without_a_readable_answer_says_so(answer: object, order: Order) -> None:
    async with running(answer) as server:
        with pytest.raises(FailedError, match="it is not known whether a job was created"):
            await make(server, order)
    assert {method for method, _, _ in server.requests} == {"POST"}


async def test_failed_polls_are_repeated(tmp_path: Path, order: Order) -> None:
    audio = song(AudioFormat(), 6.0, seed=1)
    failures = [(503, {"error": "gateway_error", **ENVELOPE}, {}), "hang up", (502, "gone", {})]
    async with running(
        OPEN, *failures, {**OPEN, "status": "in_progress"}, finished("/a/0", "/a/1"), audio
    ) as server:
        await make(server, order)
    assert names_in(tmp_path) == ["song-2.mp3", "song.mp3"]
    assert server.requests[0] == ("POST", "/v1/music/generate", f"Bearer {KEY}")
    assert set(server.requests[1:-2]) == {("GET", "/v1/music/generate/music_1", f"Bearer {KEY}")}
    assert server.requests[-2:] == [("GET", f"{AUDIO}{index}", f"Bearer {KEY}") for index in (0, 1)]


async def test_waiting_ends_when_a_server_stays_away(order: Order) -> None:
    async with running(OPEN, (503, {"error": "gateway_error", **ENVELOPE}, {})) as server:
        with pytest.raises(FailedError, match=rf"(?s)the job continues.*fetch music_1 --url {server.url}"):
            await make(server, order)


async def test_retry_after_sets_the_pause_between_polls(order: Order) -> None:
    later = attrs.evolve(order, timeout_s=0.4)
    async with running(OPEN, (200, OPEN, {"Retry-After": "5"})) as server:
        with pytest.raises(TimeUpError, match="job music_1 continues there"):
            await make(server, later)
    assert len(server.requests) == 2


async def test_the_key_is_not_sent_to_another_host(tmp_path: Path, order: Order) -> None:
    async with (
        running(song(AudioFormat(), 6.0, seed=1)) as other,
        running(finished("/a"), (302, {}, {"Location": f"{other.url}/x"})) as server,
    ):
        await fetch_remotely(server.url, KEY, "music_1", order)
    assert other.requests == [("GET", "/x", None)]
    assert names_in(tmp_path) == ["song.mp3"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (401, {"error": "unauthorised", "reason": "key_expired", "description": "too old"}, SettingsError, "too old; look at --key or MUSICGATE_API_KEY"),
        (400, {"error": "validation_error", "description": "no", "details": [{"path": ["a", 0], "message": "bad"}]}, RefusedError, "  a[0]: bad"),
        (402, {"error": "insufficient_funds", "description": "no money"}, RefusedError, "no money"),
        (400, {"error": "upstream_error", "reason": "moderation", "description": "not this"}, FailedError, "not this"),
        (502, {"error": "upstream_error", "reason": "all_candidates_failed", "description": "none", "failed_samples": [{"message": "no key"}]}, FailedError, "no provider could be called: no key"),
        (418, {"error": "not_supported"}, RefusedError, "no reason given"),
    ],
)  # fmt: skip
async def test_a_refusal_keeps_the_message_of_the_server(
    status: int, body: dict[str, Any], kind: type[click.ClickException], message: str, order: Order
) -> None:
    async with running((status, {**ENVELOPE, **body}, {})) as server:
        with pytest.raises((click.ClickException, MusicgateError)) as caught:
            await make(server, order)
    error = caught.value
    shown = error if isinstance(error, click.ClickException) else as_click_error(error)
    assert type(shown) is kind
    assert message in shown.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (404, {"error": "not_found", "description": "gone", **ENVELOPE}, {}),
            "the audio cannot be fetched: gone",
        ),
        ("hang up", "the audio cannot be fetched: .* does not answer"),
        (b"<html>", "job music_1 has no audio that could be fetched"),
    ],
)
async def test_audio_that_cannot_be_fetched_leaves_no_file(
    answer: object, message: str, tmp_path: Path, order: Order
) -> None:
    async with running(finished("/gone"), answer) as server:
        with pytest.raises(FailedError, match=message):
            await make(server, order)
    assert names_in(tmp_path) == []


async def test_a_job_of_a_server_is_cancelled_with_one_call() -> None:
    cancelled = {**OPEN, "status": "failed", "error": {"reason": "cancelled", "message": "cancelled"}}
    async with running(cancelled) as server:
        assert await cancel_remotely(server.url, KEY, "music_1") == cancelled
        assert server.requests == [("POST", "/v1/music/generate/music_1/cancel", f"Bearer {KEY}")]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("hang up", "does not answer"),
        (b"<html>", "answers HTTP 200 without JSON; look at --url"),
    ],
)
async def test_a_failed_cancellation_is_reported(answer: object, message: str) -> None:
    async with running(answer) as server:
        with pytest.raises(FailedError, match=re.escape(message)):
            await cancel_remotely(server.url, KEY, "music_1")
