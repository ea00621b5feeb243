"""The command line against servers that behave badly: nothing is sent twice, nobody else sees the key, noise is waited out."""

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
    """Gives its answers one after the other, the last one for ever, and writes down who asked with which key."""

    answers: list[object]
    asked: list[tuple[str, str, str | None]] = attrs.field(factory=list)
    url: str = ""

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.asked.append((request.method, request.path, request.headers.get("Authorization")))
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
        with pytest.raises(FailedError, match="whether a job was made is not known"):
            await make(server, order)
    assert [method for method, _, _ in server.asked] == ["POST"]


async def test_noise_while_waiting_is_waited_out(tmp_path: Path, order: Order) -> None:
    audio = song(AudioFormat(), 6.0, seed=1)
    noise = [(503, {"error": "gateway_error"}, {}), (429, {}, {"Retry-After": "0"}), b"<html>", "hang up"]
    async with running(
        OPEN, *noise, {**OPEN, "status": "in_progress"}, finished("/a/0", "/a/1"), audio
    ) as server:
        await make(server, order)
    assert names_in(tmp_path) == ["song-2.mp3", "song.mp3"]
    assert server.asked[0] == ("POST", "/v1/music/generate", f"Bearer {KEY}")
    assert set(server.asked[1:-2]) == {("GET", "/v1/music/generate/music_1", f"Bearer {KEY}")}
    assert server.asked[-2:] == [("GET", "/a/0", f"Bearer {KEY}"), ("GET", "/a/1", f"Bearer {KEY}")]


async def test_a_server_that_stays_away_ends_the_waiting_and_not_the_job(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_MAX_SILENT_LOOKS", 3)
    async with running(OPEN, (503, {}, {})) as server:
        with pytest.raises(FailedError, match=rf"(?s)answers 503.*fetch music_1 --url {server.url}"):
            await make(server, order)
    assert len(server.asked) == 1 + 3


async def test_only_silence_without_a_break_counts(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_MAX_SILENT_LOOKS", 3)
    noise: object = (503, {}, {})
    audio = song(AudioFormat(), 6.0, seed=1)
    async with running(OPEN, noise, noise, OPEN, noise, noise, finished("/a"), audio) as server:
        await make(server, order)
    assert len(server.asked) == 1 + 6 + 1


async def test_the_server_says_when_it_wants_to_be_asked(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_LONGEST_PAUSE_S", 10.0)
    later = attrs.evolve(order, timeout_s=0.4)
    async with running(OPEN, (200, OPEN, {"Retry-After": "5"})) as server:
        with pytest.raises(TimeUpError, match="job music_1 goes on there"):
            await make(server, later)
    assert len(server.asked) == 2


async def test_the_key_is_shown_to_the_server_and_to_nobody_else(tmp_path: Path, order: Order) -> None:
    async with (
        running(song(AudioFormat(), 6.0, seed=1)) as stranger,
        running(finished(f"{stranger.url}/x")) as server,
    ):
        await fetch_remotely(server.url, KEY, "music_1", order)
    assert stranger.asked == [("GET", "/x", None)]
    assert names_in(tmp_path) == ["song.mp3"]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
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
async def test_a_no_keeps_its_words(
    status: int, body: dict[str, Any], kind: type[click.ClickException], words: str, order: Order
) -> None:
    async with running((status, body, {})) as server:
        with pytest.raises(click.ClickException) as caught:
            await make(server, order)
    assert type(caught.value) is kind
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {}, {}), r"the audio cannot be fetched: 127\.0\.0\.1 answers 404"),
        ("hang up", "the audio cannot be fetched: Server disconnected"),
        (b"<html>", "job music_1 has no audio that could be fetched"),
    ],
)
async def test_audio_that_cannot_be_fetched_leaves_no_file(
    answer: object, words: str, tmp_path: Path, order: Order
) -> None:
    async with running(finished("/gone"), answer) as server:
        with pytest.raises(FailedError, match=words):
            await make(server, order)
    assert names_in(tmp_path) == []


async def test_audio_without_an_end_is_given_up(
    tmp_path: Path, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_MAX_TRACK_BYTES", 100_000)
    async with running(finished("/large"), bytes(300_000)) as server:
        with pytest.raises(FailedError, match="it is too large"):
            await make(server, order)
    assert names_in(tmp_path) == []


async def test_a_job_of_a_server_is_stopped_with_one_call() -> None:
    stopped = {**OPEN, "status": "failed", "error": {"reason": "cancelled", "message": "stopped"}}
    async with running(stopped) as server:
        assert await cancel_remotely(server.url, KEY, "music_1") == stopped
        assert server.asked == [("POST", "/v1/music/generate/music_1/cancel", f"Bearer {KEY}")]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((409, {"error": "not_supported", "reason": "already_final", "description": "it has ended"}, {}), RefusedError, "it has ended (already_final)"),
        ((404, {"error": "not_found", "description": "no such job"}, {}), RefusedError, "no such job"),
        ("hang up", FailedError, "cannot be asked"),
        (b"<html>", FailedError, "HTTP 200 without JSON"),
    ],
)  # fmt: skip
async def test_a_server_that_does_not_stop_a_job_is_told_in_words(
    answer: object, kind: type[click.ClickException], words: str
) -> None:
    async with running(answer) as server:
        with pytest.raises(kind, match=re.escape(words)):
            await cancel_remotely(server.url, KEY, "music_1")
    assert len(server.asked) == 1
