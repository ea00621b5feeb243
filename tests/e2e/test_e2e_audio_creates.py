"""Create calls that are answered with audio, and ``/llms.txt``."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.errors import RequestError
from musicgate.web.audio_creates import accepted_format, as_music_request
from tests.e2e.running_server import UNFINISHED, decoded_s, song
from tests.waiting import until

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, Reply, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

MUSIC, SPEECH = "/v1/audio/music", "/v1/audio/speech"


async def ask(server: RunningServer, path: str, body: object, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await server.call("POST", path, body=body, headers=named)


async def test_the_answer_is_the_audio_with_the_job_and_its_cost(server: RunningServer) -> None:
    reply = await ask(server, MUSIC, song(duration=3))
    assert (reply.status, reply.headers["Content-Type"]) == (200, "audio/mpeg")
    assert decoded_s(reply.raw) > 2
    job = (await server.get(reply.headers["X-Gateway-Music-Id"])).body
    assert job["status"] == "completed"
    assert reply.headers["X-Gateway-Cost-Usd"] == job["usage"]["pricing_breakdown"]["total_usd_str"]
    assert reply.headers["X-Gateway-Tracks"] == str(len(job["output"]))
    assert reply.headers["X-Gateway-Warnings"] == str(len(job["warnings"])) == "1"
    assert reply.headers["Cache-Control"] == "no-store"


async def test_a_key_is_shared_with_the_create_route(server: RunningServer) -> None:
    with server.vendor_calls("suno_kie") as calls:
        created = await server.create(song(), Idempotency_Key="audio-1")
        reply = await ask(server, MUSIC, song(), Idempotency_Key="audio-1")
        other = await ask(server, MUSIC, song(title="another"), Idempotency_Key="audio-1")
    assert (reply.status, reply.headers["Idempotency-Replayed"]) == (200, "true")
    assert reply.headers["X-Gateway-Music-Id"] == created.body["id"]
    assert other.error == (422, "validation_error", "idempotency_key_reused")
    assert len(calls.creates) == 1


async def test_a_wait_that_ends_before_the_song_is_answered_with_the_job(server: RunningServer) -> None:
    reply = await ask(server, MUSIC, song(), Prefer="wait=0")
    assert (reply.status, reply.headers["Preference-Applied"]) == (202, "wait=0")
    assert reply.body["status"] in {"queued", "in_progress"}
    assert reply.headers["X-Gateway-Music-Id"] == reply.body["id"]
    assert (await server.finish(reply.body["id"]))["status"] == "completed"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"model": 5}, (400, "validation_error", "invalid_type")),
        (song(switches="create=429"), (429, "upstream_error", "rate_limited")),
        (song(switches="end=SENSITIVE_WORD_ERROR"), (400, "upstream_error", "moderation")),
    ],
)
async def test_errors_are_those_of_the_create_route(
    server: RunningServer, request_: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert (await ask(server, MUSIC, request_)).error == expected


async def test_a_format_that_cannot_be_made_is_refused_before_anything_is_paid(server: RunningServer) -> None:
    with server.vendor_calls() as calls:
        html = await ask(server, MUSIC, song(), Accept="text/html")
        pcm = await ask(server, SPEECH, {"model": "suno/v5", "input": "rain", "response_format": "pcm"})
    assert html.error == (406, "not_supported", "not_acceptable")
    assert pcm.error == (400, "validation_error", None)
    assert "response_format must be one of" in pcm.body["description"]
    assert calls.creates == []


async def test_a_speech_client_gets_a_song_and_what_is_not_applied_is_reported(server: RunningServer) -> None:
    body = {"input": "rain", "voice": "alloy", "response_format": "opus", **song()}
    del body["prompt"]
    with server.vendor_calls("suno_kie") as calls:
        reply = await ask(server, SPEECH, body)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "audio/ogg")
    assert calls.body["prompt"] == "rain"
    job = (await server.get(reply.headers["X-Gateway-Music-Id"])).body
    assert ["voice"] in [warning["path"] for warning in job["warnings"]]
    strict = await ask(server, SPEECH, body, Prefer="handling=strict")
    assert strict.status == 400


async def test_accept_chooses_the_format(server: RunningServer) -> None:
    with server.vendor_calls("minimax") as calls:
        accept = "audio/flac;q=0.5, audio/wav, */*;q=0.1"
        reply = await ask(server, MUSIC, song("minimax"), Accept=accept)
    assert reply.headers["Content-Type"] == "audio/wav"
    assert calls.body["audio_setting"]["format"] == "wav"
    own = await ask(server, MUSIC, song(format="mp3"), Accept="audio/*")
    assert own.headers["Content-Type"] == "audio/mpeg"


async def test_a_create_that_waits_for_audio_counts_as_a_waiting_request(open_server: OpenServer) -> None:
    limits = {"max_waiting_requests": 1, "max_waiting_requests_per_account": 1}
    async with open_server(server=limits) as server:
        waiting = asyncio.create_task(ask(server, MUSIC, UNFINISHED))
        await until(lambda: server.vendors["suno_kie"].requests)
        refused = await ask(server, MUSIC, song())
        assert refused.error == (429, "key_limit_exceeded", "waiting_requests")
        at_once = await ask(server, MUSIC, song(), Prefer="wait=0")
        assert at_once.status == 202
        waiting.cancel()


async def test_audio_that_is_not_kept_is_at_the_vendor(open_server: OpenServer) -> None:
    async with open_server(archive=False) as server:
        reply = await ask(server, MUSIC, song())
    assert reply.status == 303
    assert reply.headers["Location"].endswith(".mp3")
    assert "X-Gateway-Music-Id" in reply.headers


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ([], None),
        (["*/*"], None),
        (["audio/*"], None),
        (["application/json"], None),
        (["audio/mpeg"], "mp3"),
        (["text/html, audio/ogg"], "ogg"),
        (["audio/wav;q=0.2", "audio/flac;q=0.9"], "flac"),
        (["audio/wav;q=0, audio/mp4"], "aac"),
        (["audio/wav;q=nonsense"], "wav"),
        ([""], None),
    ],
)
async def test_the_format_of_an_accept_header(header: list[str], expected: str | None) -> None:
    assert accepted_format(header) == expected


async def test_an_accept_header_without_audio_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        accepted_format(["image/png"])
    assert caught.value.http_status == 406


@pytest.mark.parametrize("body", [None, 7, [], {"input": "rain"}, {"response_format": 3}])
async def test_any_body_of_a_speech_request_is_left_to_the_schema(body: object) -> None:
    assert as_music_request(body) is not body or not isinstance(body, dict)


async def test_llms_txt_leads_to_what_is_there_without_a_key(server: RunningServer) -> None:
    reply = await server.call("GET", "/llms.txt", key=None)
    text = reply.raw.decode()
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert text.startswith("# musicgate\n\n> ")
    links = re.findall(r"\]\((http[^)]+)\)", text)
    assert f"{server.url}/mcp" in links
    for link in links:
        shown = await server.call("GET", link.removeprefix(server.url))
        assert shown.status == (405 if link.endswith("/mcp") else 200), link
