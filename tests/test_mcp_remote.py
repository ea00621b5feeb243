"""The API of a server somewhere else, as agents use it: what is sent, and what its errors say."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.client import AgentClient, agent, calls, retries
from musicgate.mcp import ApiError, RemoteMusic
from musicgate.views import read_job
from tests.bad_server import running
from tests.free_port import free_port
from tests.loopback_tls import server_tls
from tests.loopback_vendors import Vendor, answer, serving, then_silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.loopback_vendors import Script

KEY = "key-not-real"
LINK = "http://127.0.0.1/song?t=1"
JOB = {
    "id": "music_1",
    "object": "music",
    "status": "completed",
    "created_at": "2026-11-20T10:38:43.744Z",
    "model": "V5",
    "output": [{"index": 0, "audio_url": LINK, "audio": {"size_bytes": 3}}],
}
OPEN = {**JOB, "status": "in_progress", "output": []}
ENVELOPE = {"error": "gateway_error", "generation_id": "G-1", "request_id": "G-1", "status_code": 503}
MP3 = {"Content-Type": "audio/mpeg"}
AUDIO = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(calls, "STRANGER_S", 0.05)
    monkeypatch.setattr(agent, "_POLL_S", 0.01)


@asynccontextmanager
async def music(url: str, key: str = KEY, *, retry_s: float = 20.0) -> AsyncIterator[RemoteMusic]:
    async with AgentClient(url, api_key=key, retry_s=retry_s) as client:
        yield RemoteMusic(client)


async def refused(url: str, **options: Any) -> dict[str, Any]:
    """The error of a call."""
    async with music(url, **options) as api:
        with pytest.raises(ApiError) as caught:
            await api.job("music_1")
    assert KEY not in str(caught.value.body)
    return caught.value.body


async def test_an_error_of_the_server_is_handed_on_as_it_is() -> None:
    body = {**ENVELOPE, "error": "not_found", "description": "none", "status_code": 404, "more": [1]}
    async with running((404, body, {})) as server:
        assert await refused(server.url) == body


async def test_a_refusal_of_the_vendor_is_an_error_that_names_the_job() -> None:
    body = {**ENVELOPE, "error": "upstream_error", "reason": "moderation", "music_id": "music_1"}
    async with running((400, body, {})) as server, music(server.url) as api:
        with pytest.raises(ApiError) as caught:
            await api.create({"model": "m"}, "k")
    assert (caught.value.body, len(server.requests)) == (body, 1)


async def test_a_wrong_url_a_wrong_key_and_a_wrong_certificate_are_told_apart(tmp_path: Path) -> None:
    shown = [await refused(f"http://127.0.0.1:{free_port()}")]
    tls, _ = server_tls(tmp_path)
    async with running(JOB, tls=tls) as server:
        shown.append(await refused(server.url))
    unauthorised = {**ENVELOPE, "error": "unauthorised", "reason": "unknown", "description": f"not {KEY}"}
    async with running((401, unauthorised, {})) as server:
        shown.append(await refused(server.url))
    async with running((404, {"detail": "Not Found"}, {})) as server:
        shown.append(await refused(server.url))
    assert [(item["error"], item["reason"]) for item in shown] == [
        ("gateway_error", "unreachable"),
        ("gateway_error", "certificate_not_trusted"),
        ("unauthorised", "unknown"),
        ("gateway_error", "not_musicgate"),
    ]
    for item, variable in zip(shown, ("URL", "CA_FILE", "API_KEY", "URL"), strict=True):
        assert f"(MUSICGATE_{variable})" in item["description"]
    assert "not ***" in shown[2]["description"]
    assert shown[2]["request_id"] == "G-1"


async def test_a_create_call_whose_answer_is_lost_is_repeated_with_its_key() -> None:
    replayed = (200, JOB, {"Idempotency-Replayed": "true"})
    async with running("hang up", (503, ENVELOPE, {}), replayed) as server, music(server.url) as api:
        created = await api.create({"model": "m"}, 'a "b"')
    assert created.is_replay
    assert [headers["Idempotency-Key"] for headers in server.headers] == [r'"a \"b\""'] * 3
    assert {headers["Prefer"] for headers in server.headers} == {"wait=0"}


async def test_a_create_call_without_any_answer_says_that_the_job_may_exist() -> None:
    async with running("hang up") as server, music(server.url, retry_s=0.0) as api:
        with pytest.raises(ApiError, match="not known whether a job was created") as caught:
            await api.create({"model": "m"}, "k")
    assert (caught.value.body["reason"], caught.value.body["status_code"]) == ("no_answer", 503)


async def test_a_job_is_polled_where_the_server_does_not_hold_its_answer() -> None:
    too_many: object = (503, {**ENVELOPE, "reason": "waiting_requests"}, {})
    async with running(too_many, OPEN, OPEN, JOB, JOB) as server, music(server.url) as api:
        assert (await api.job("music_1", 5.0))["status"] == "in_progress"
        assert (await api.job("music_1", 5.0))["status"] == "completed"
        assert (await api.job("music_1", 5.0))["updated_at"] == JOB["created_at"]
    assert [headers.get("Prefer") for headers in server.headers] == ["wait=5", None, "wait=5", None, "wait=5"]


async def test_audio_that_is_too_large_is_not_read_and_has_its_size_and_link() -> None:
    async with running(JOB, (200, b"abc", MP3), JOB, (200, b"abc", MP3)) as server, music(server.url) as api:
        small = await api.audio("music_1", 0, "wav", max_bytes=3)
        large = await api.audio("music_1", 0, None, max_bytes=2)
    assert (small.content, large.content) == (b"abc", None)
    assert (small.size_bytes, large.size_bytes) == (3, 3)
    assert (small.name, small.content_type) == ("music_1-0.mp3", "audio/mpeg")
    assert (small.uri, large.uri) == (f"{LINK}&format=wav", LINK)
    assert [query for query in server.queries if query] == [{"format": "wav"}]


async def test_a_link_of_the_vendor_has_no_other_format() -> None:
    at_the_vendor = {**JOB, "output": [{"index": 0, "audio_url": LINK}]}
    async with running(at_the_vendor, (200, b"abc", MP3)) as server, music(server.url) as api:
        assert (await api.audio("music_1", 0, "wav", max_bytes=3)).uri == LINK


@pytest.mark.parametrize(
    ("script", "size_bytes"),
    [
        (then_silence(AUDIO + b"Content-Length: 1000000\r\n\r\n"), 1_000_000),
        (answer(AUDIO + b"Connection: close\r\n\r\nabc"), None),
    ],
)
async def test_audio_is_read_up_to_the_limit_whether_or_not_its_size_is_known(
    script: Script, size_bytes: int | None
) -> None:
    async with serving() as start:
        port = await start(Vendor(port=0, script=script).serve)
        async with AgentClient(f"http://127.0.0.1:{port}") as client, asyncio.timeout(20):
            found = await client.sized_audio(read_job(JOB), 0, wanted=None, max_bytes=2)
    assert (found.size_bytes, found.content) == (size_bytes, None)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_a_file_is_there_when_it_is_whole_or_its_folder_is_named(tmp_path: Path) -> None:
    async with running(JOB, (200, b"abc", MP3)) as server, music(server.url) as api:
        await api.save("music_1", 0, None, tmp_path / "song.mp3")
    assert contents(tmp_path) == {"song.mp3": b"abc"}
    folder = tmp_path / "none"
    async with running(JOB) as server, music(server.url) as api:
        with pytest.raises(ApiError, match=f"{folder} cannot be written: No such file or directory"):
            await api.save("music_1", 0, None, folder / "song.mp3")


@pytest.mark.parametrize("shown", [{"object": "plan"}, {"candidates": ["a"]}, JOB])
async def test_what_is_no_plan_and_no_page_is_no_musicgate(shown: object) -> None:
    async with running(shown) as server, music(server.url) as api:
        for call in (api.plan({"model": "m"}), api.jobs((), None, 10, None), api.models()):
            with pytest.raises(ApiError, match="JSON that is not a list; look at url"):
                await call


async def test_a_page_is_that_of_the_server() -> None:
    page = {"object": "list", "data": [JOB], "next_cursor": "c2", "more": 1}
    async with running(page) as server, music(server.url) as api:
        assert await api.jobs(["queued", "failed"], "suno/v5", 7, "c1") == page
    assert server.queries == [
        {"limit": "7", "state": "queued,failed", "model": "suno/v5", "cursor": "c1"},
    ]
