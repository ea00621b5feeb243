"""The audio plays, is measured, is served to the holder of its link, and outlives the vendor's."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.e2e.running_server import JOBS, decoded_s, running_server, song

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = song(switches="song_s=3,3 skip=text")
#: Request, content type, first bytes, number of tracks.
SONGS: list[tuple[dict[str, Any], str, bytes, int]] = [
    (song("suno_kie"), "audio/mpeg", b"", 2),
    (song("apiin_one"), "audio/mpeg", b"", 2),
    (song("elevenlabs", duration=3, format="ogg"), "audio/ogg", b"OggS", 1),
    (song("elevenlabs", duration=3, elevenlabs={"output_format": "ulaw_8000"}), "audio/wav", b"RIFF", 1),
    (
        song("elevenlabs", duration=3, format="wav", elevenlabs={"with_timestamps": True}),
        "audio/wav",
        b"RIFF",
        1,
    ),
    (song("minimax", "song_s=3"), "audio/mpeg", b"", 1),
    (song("minimax", "song_s=3", minimax={"output_format": "url"}), "audio/mpeg", b"", 1),
    (song("minimax", "song_s=3", minimax={"audio_setting": {"format": "pcm"}}), "audio/wav", b"RIFF", 1),
    # Converted here.
    (song("suno_kie", format="wav"), "audio/wav", b"RIFF", 2),
    (song("apiin_one", format="ogg"), "audio/ogg", b"OggS", 2),
    (song("elevenlabs", duration=3, format="aac"), "audio/mp4", b"", 1),
    (song("minimax", "song_s=3", format="flac"), "audio/flac", b"fLaC", 1),
]


@pytest.mark.parametrize(
    ("request_body", "content_type", "magic", "count"),
    SONGS,
    ids=[
        *("kie", "apiin", "ogg", "ulaw", "multipart wav", "hex", "link", "bare pcm"),
        *("kie to wav", "apiin to ogg", "elevenlabs to aac", "minimax to flac"),
    ],
)
async def test_a_completed_job_has_audio_that_plays_and_is_measured(
    server: RunningServer, request_body: dict[str, Any], content_type: str, magic: bytes, count: int
) -> None:
    job = await server.generate(request_body)
    assert job["status"] == "completed", job
    total_s = 0.0
    for track in job["output"]:
        assert track["audio_url"].startswith(server.url)
        audio = await server.call("GET", track["audio_url"], key=None)
        assert (audio.status, audio.headers["Content-Type"]) == (200, content_type)
        assert audio.headers["Accept-Ranges"] == "bytes"
        assert len(audio.raw) == int(audio.headers["Content-Length"]) == track["size_bytes"]
        assert audio.raw.startswith(magic)
        length_s = decoded_s(audio.raw)
        assert length_s > 2.5
        # A decoder drops or adds at most the padding of a codec: three mp3 frames.
        assert track["duration"] == pytest.approx(length_s, abs=0.08)
        assert track["content_type"] == content_type
        total_s += length_s
    assert job["usage"]["requests"] == 1
    assert job["usage"]["output_audio_count"] == count == len(job["output"])
    assert job["usage"]["output_audio_seconds"] == pytest.approx(total_s, abs=0.08 * count)


async def test_a_wav_file_of_elevenlabs_has_the_requested_length_to_the_sample(server: RunningServer) -> None:
    job = await server.generate(song("elevenlabs", duration=4, format="wav"))
    raw = (await server.call("GET", job["output"][0]["audio_url"], key=None)).raw
    assert (raw[:4], raw[8:16], raw[36:40]) == (b"RIFF", b"WAVEfmt ", b"data")
    assert struct.unpack("<I", raw[4:8])[0] == len(raw) - 8
    tag, channels, rate_hz, byte_rate, _, bits = struct.unpack("<HHIIHH", raw[20:36])
    data_bytes = struct.unpack("<I", raw[40:44])[0]
    assert (tag, channels, rate_hz, bits) == (1, 2, 44100, 16)
    assert data_bytes == len(raw) - 44
    assert data_bytes / byte_rate == 4.0
    assert job["usage"]["output_audio_seconds"] == 4.0
    assert job["usage"]["pricing_breakdown"]["total_usd_str"] == "0.01"


async def test_audio_is_served_to_the_key_or_to_the_signature_of_its_link(server: RunningServer) -> None:
    """Ranges and conditions are tested in test_e2e_http.py."""
    job = await server.generate(SHORT)
    link = job["output"][0]["audio_url"]
    whole = (await server.call("GET", link, key=None)).raw
    head = await server.call("HEAD", link, key=None)
    assert (head.status, head.raw, head.headers["Content-Length"]) == (200, b"", str(len(whole)))
    bare = urlsplit(link).path
    assert (await server.call("GET", bare)).raw == whole
    assert (await server.call("GET", bare, key=None)).status == 401
    for wrong in ("x", "0" * 32, link.rpartition("=")[2][:-1], "%ff", "ü"):
        refused = await server.call("GET", f"{bare}?sig={wrong}", key=None)
        assert refused.error[:2] == (404, "not_found")
    other = bare.replace("/audio/0", "/audio/1") + "?" + urlsplit(link).query
    assert (await server.call("GET", other, key=None)).status == 404
    for index in ("2", "99", "x", "-1", "9" * 5000):
        assert (await server.call("GET", f"{JOBS}/{job['id']}/audio/{index}")).status == 404


async def test_kept_audio_is_served_when_the_vendor_is_gone(open_server: OpenServer) -> None:
    async with open_server() as server:
        job = await server.generate(song("minimax", "song_s=3", minimax={"output_format": "url"}))
        with server.vendor_calls() as calls:
            first = await server.call("GET", job["output"][0]["audio_url"], key=None)
        assert calls.reads == []
        assert "expires_at" not in job
    async with open_server(providers={"minimax": {"base_url": "http://127.0.0.1:9"}}) as server:
        later = (await server.get(job["id"])).body
        link = later["output"][0]["audio_url"]
        assert link.startswith(server.url)
        assert (await server.call("GET", link, key=None)).raw == first.raw
        assert later["usage"] == job["usage"]


async def test_without_an_archive_callers_get_the_vendors_link(open_server: OpenServer) -> None:
    async with open_server(archive=False) as server:
        job = await server.generate(song(switches="song_s=3,4"))
        track = job["output"][0]
        assert job["status"] == "completed"
        assert not track["audio_url"].startswith(server.url)
        assert [item["duration"] for item in job["output"]] == [3, 4]
        assert job["usage"]["output_audio_seconds"] == 7
        redirect = await server.call("GET", f"{JOBS}/{job['id']}/audio/0")
        assert (redirect.status, redirect.headers["Location"]) == (302, track["audio_url"])
        as_bytes = await server.generate(song("elevenlabs", duration=3))
        assert as_bytes["output"][0]["audio_url"].startswith(server.url)
        as_link = await server.generate(song("minimax", minimax={"output_format": "url"}))
        assert as_link["expires_at"] > as_link["created_at"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient_server(
    tmp_path_factory: pytest.TempPathFactory, plugins: Any
) -> AsyncIterator[RunningServer]:
    """A server that retries a media link for 0.2 s instead of ten minutes."""
    async with running_server(tmp_path_factory.mktemp("impatient"), plugins, speed=3000.0) as started:
        yield started


#: Plugin, switches of its media host, end of the job.
MEDIA: list[tuple[str, str, str]] = [
    ("suno_kie", "media=404:1,empty:1,cut:1,html:1", "completed"),
    # kie's records name a second address of each track, which works.
    ("suno_kie", "media=403:ever", "completed"),
    ("suno_kie", "media=403:ever shape=doc", "failed"),
    ("apiin_one", "media=403", "completed"),
    ("apiin_one", "media=expired:ever", "failed"),
    ("minimax", "media=cut:ever", "failed"),
    ("minimax", "media=html:ever", "failed"),
]


@pytest.mark.parametrize(("plugin", "switches", "status"), MEDIA, ids=[f"{row[0]}-{row[1]}" for row in MEDIA])
async def test_media_links_are_retried_and_a_job_without_playable_audio_fails(
    impatient_server: RunningServer, plugin: str, switches: str, status: str
) -> None:
    server = impatient_server
    more = {"minimax": {"output_format": "url"}} if plugin == "minimax" else {}
    with server.vendor_calls(plugin) as calls:
        job = await server.generate(song(plugin, f"{switches} song_s=3", **more))
    assert (job["status"], calls.billed) == (status, 1)
    if status == "completed":
        for track in job["output"]:
            audio = await server.call("GET", track["audio_url"], key=None)
            assert decoded_s(audio.raw) > 2.5
    else:
        assert job["error"]["reason"] == "upstream_failed"
        assert job["error"]["may_have_cost"] is True
        assert job["output"][0]["error"]["message"]
        assert "usage" not in job
