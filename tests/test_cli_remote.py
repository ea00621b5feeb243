"""The command line against servers that misbehave: no second request, no key for another host."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
from aiohttp import web

from musicgate.cli import (
    FailedError,
    RefusedError,
    SettingsError,
    TimeUpError,
    remote,
)
from musicgate.cli.files import Target
from musicgate.cli.remote import cancel_remotely, fetch_remotely, generate_remotely
from musicgate.cli.run import Order
from musicgate.emulation.tones import AudioFormat, song

KEY = "test-key-not-real"
OPEN = {"id": "music_1", "status": "queued", "provider_plugin": "suno_kie"}
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@attrs.define
class BadServer:
    """Gives its answers in order, then repeats the last one; records each request and its key."""

    answers: list[object]
    requests: list[tuple[str, str, str | None]] = attrs.field(factory=list)
    url: str = ""

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.requests.append((request.method, request.path, request.headers.get("Authorization")))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang up":
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        status, body, headers = answer if isinstance(answer, tuple) else (200, answer, {})
        return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)


@asynccontextmanager
async def running(*answers: object) -> AsyncIterator[BadServer]:
    server = BadServer(list(answers))
    runner = web.ServerRunner(web.Server(server.take), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
def order(tmp_path: Path) -> Order:
    return Order(target=Target(folder=tmp_path, stem="song"))


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(remote, "_LONGEST_PAUSE_S", 0.02)


def finished(*links: str) -> dict[str, Any]:
    output = [{"index": index, "audio_url": link, "duration": 6.0} for index, link in enumerate(links)]
    return {**OPEN, "status": "completed", "output": output}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def make(server: BadServer, order: Order) -> None:
    await generate_remotely(server.url, KEY, {"model": "m"}, order, strict=False)


@pytest.mark.parametrize("answer", ["hang up", b"<html>", (200, [1], {}), (502, "gone", {})])
async def test_a_create_call_without_a_readable_answer_is_not_sent_again(
    answer: object, order: Order
) -> None:
    async with running(answer) as server:
        with pytest.raises(FailedError, match="it is not known whether a job was created"):
            await make(server, order)
    assert [method for method, _, _ in server.requests] == ["POST"]


async def test_failed_polls_are_repeated(tmp_path: Path, order: Order) -> None:
    audio = song(AudioFormat(), 6.0, seed=1)
    failures = [(503, {"error": "gateway_error"}, {}), (429, {}, {"Retry-After": "0"}), b"<html>", "hang up"]
    async with running(
        OPEN, *failures, {**OPEN, "status": "in_progress"}, finished("/a/0", "/a/1"), audio
    ) as server:
        await make(server, order)
    assert names_in(tmp_path) == ["song-2.mp3", "song.mp3"]
    assert server.requests[0] == ("POST", "/v1/music/generate", f"Bearer {KEY}")
    assert set(server.requests[1:-2]) == {("GET", "/v1/music/generate/music_1", f"Bearer {KEY}")}
    assert server.requests[-2:] == [("GET", "/a/0", f"Bearer {KEY}"), ("GET", "/a/1", f"Bearer {KEY}")]


async def test_waiting_ends_when_a_server_stays_away(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_MAX_FAILED_POLLS", 3)
    async with running(OPEN, (503, {}, {})) as server:
        with pytest.raises(FailedError, match=rf"(?s)answers 503.*fetch music_1 --url {server.url}"):
            await make(server, order)
    assert len(server.requests) == 1 + 3


async def test_only_consecutive_failed_polls_count(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_MAX_FAILED_POLLS", 3)
    failure: object = (503, {}, {})
    audio = song(AudioFormat(), 6.0, seed=1)
    async with running(OPEN, failure, failure, OPEN, failure, failure, finished("/a"), audio) as server:
        await make(server, order)
    assert len(server.requests) == 1 + 6 + 1


async def test_retry_after_sets_the_pause_between_polls(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_LONGEST_PAUSE_S", 10.0)
    later = attrs.evolve(order, timeout_s=0.4)
    async with running(OPEN, (200, OPEN, {"Retry-After": "5"})) as server:
        with pytest.raises(TimeUpError, match="job music_1 continues there"):
            await make(server, later)
    assert len(server.requests) == 2


async def test_the_key_is_not_sent_to_another_host(tmp_path: Path, order: Order) -> None:
    async with (
        running(song(AudioFormat(), 6.0, seed=1)) as other,
        running(finished(f"{other.url}/x")) as server,
    ):
        await fetch_remotely(server.url, KEY, "music_1", order)
    assert other.requests == [("GET", "/x", None)]
    assert names_in(tmp_path) == ["song.mp3"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (401, {"error": "unauthorised", "reason": "key_expired", "description": "too old"}, SettingsError, "too old (key_expired); set --key"),
        (400, {"error": "validation_error", "description": "no", "details": [{"path": ["a", 0], "message": "bad"}]}, RefusedError, "  a[0]: bad"),
        (402, {"error": "insufficient_funds", "description": "no money"}, RefusedError, "no money"),
        (400, {"error": "upstream_error", "reason": "moderation", "description": "not this"}, FailedError, "not this (moderation)"),
        (502, {"error": "upstream_error", "description": "lost", "music_id": "music_9"}, FailedError, "lost\njob music_9"),
        (404, {"message": "elsewhere"}, RefusedError, "elsewhere"),
        (418, {}, RefusedError, "no reason given"),
    ],
)  # fmt: skip
async def test_a_refusal_keeps_the_message_of_the_server(
    status: int, body: dict[str, Any], kind: type[click.ClickException], message: str, order: Order
) -> None:
    async with running((status, body, {})) as server:
        with pytest.raises(click.ClickException) as caught:
            await make(server, order)
    assert type(caught.value) is kind
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {}, {}), r"the audio cannot be fetched: 127\.0\.0\.1 answers 404"),
        ("hang up", "the audio cannot be fetched: Server disconnected"),
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


async def test_audio_that_is_too_large_is_refused(
    tmp_path: Path, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_MAX_TRACK_BYTES", 100_000)
    async with running(finished("/large"), bytes(300_000)) as server:
        with pytest.raises(FailedError, match="it is too large"):
            await make(server, order)
    assert names_in(tmp_path) == []


async def test_a_job_of_a_server_is_cancelled_with_one_call() -> None:
    cancelled = {**OPEN, "status": "failed", "error": {"reason": "cancelled", "message": "cancelled"}}
    async with running(cancelled) as server:
        assert await cancel_remotely(server.url, KEY, "music_1") == cancelled
        assert server.requests == [("POST", "/v1/music/generate/music_1/cancel", f"Bearer {KEY}")]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ((409, {"error": "not_supported", "reason": "already_final", "description": "it has ended"}, {}), RefusedError, "it has ended (already_final)"),
        ((404, {"error": "not_found", "description": "no such job"}, {}), RefusedError, "no such job"),
        ("hang up", FailedError, "does not answer"),
        (b"<html>", FailedError, "HTTP 200 without JSON"),
    ],
)  # fmt: skip
async def test_a_failed_cancellation_is_reported(
    answer: object, kind: type[click.ClickException], message: str
) -> None:
    async with running(answer) as server:
        with pytest.raises(kind, match=re.escape(message)):
            await cancel_remotely(server.url, KEY, "music_1")
    assert len(server.requests) == 1
