"""Kept audio, covers and waveforms are served: formats, links that end, links of the store."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import av
import pytest

from musicgate.errors import StorageError
from musicgate.gateway import audio_files
from tests import s3_servers
from tests.e2e.running_server import JOBS, decoded_s, song

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SONG = song(switches="song_s=3,3 skip=text")


async def finished(server: RunningServer) -> tuple[dict[str, Any], str]:
    """A track of a finished job, and the path of its audio."""
    job = await server.generate(SONG)
    return job["output"][0], f"{JOBS}/{job['id']}/audio/0"


def link_to(track: dict[str, Any], tail: str) -> str:
    """The signed link of a track's audio with another end of its path, perhaps with a query."""
    path, _, query = track["audio_url"].partition("?")
    tail, _, more = tail.partition("?")
    return f"{path}{tail}?{query}&{more}"


async def test_audio_has_its_digest_as_etag_and_ranges_of_that_version(server: RunningServer) -> None:
    track, path = await finished(server)
    whole = await server.call("GET", path)
    tag = whole.headers["ETag"]
    assert tag == f'"{track["audio"]["sha256"]}"' == f'"{hashlib.sha256(whole.raw).hexdigest()}"'
    part = await server.call("GET", path, headers={"Range": "bytes=10-19", "If-Range": tag})
    assert (part.status, part.raw) == (206, whole.raw[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole.raw)}"
    other = await server.call("GET", path, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
    assert (other.status, other.raw) == (200, whole.raw)
    assert (await server.call("GET", path, headers={"If-None-Match": tag})).status == 304
    head = await server.call("HEAD", path, headers={"Range": "bytes=10-19"})
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(whole.raw)))
    for name in ("X-Content-Type-Options", "Content-Security-Policy", "Content-Type", "ETag"):
        assert head.headers[name] == whole.headers[name]


#: Format, media type, container and codec as FFmpeg says.
FORMATS = [
    ("mp3", "audio/mpeg", "mp3", "mp3float"),
    ("original", "audio/mpeg", "mp3", "mp3float"),
    ("wav", "audio/wav", "wav", "pcm_s16le"),
    ("ogg", "audio/ogg", "ogg", "opus"),
    ("aac", "audio/mp4", "mov,mp4,m4a,3gp,3g2,mj2", "aac"),
    ("flac", "audio/flac", "flac", "flac"),
]


async def test_audio_is_served_in_every_format(server: RunningServer) -> None:
    track, path = await finished(server)
    for wanted, media_type, container, codec in FORMATS:
        audio = await server.call("GET", f"{path}?format={wanted}")
        assert (audio.status, audio.headers["Content-Type"]) == (200, media_type), wanted
        with av.open(io.BytesIO(audio.raw), mode="r") as opened:
            assert (opened.format.name, opened.streams.audio[0].codec_context.name) == (container, codec)
        assert decoded_s(audio.raw) == pytest.approx(track["duration"], abs=0.06), wanted
        part = await server.call("GET", f"{path}?format={wanted}", headers={"Range": "bytes=-100"})
        assert (part.status, part.raw) == (206, audio.raw[-100:])
    refused = await server.call("GET", f"{path}?format=midi")
    assert refused.error[:2] == (400, "validation_error")
    assert all(wanted in refused.body["description"] for wanted, *_ in FORMATS)


async def test_callers_at_once_convert_once(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = await finished(server)
    made = []

    def convert(*args: Any) -> None:
        made.append(args)
        time.sleep(0.05)
        args[1].write_bytes(b"converted")

    monkeypatch.setattr(audio_files, "convert_file", convert)
    calls = [server.call("GET", f"{path}?format=flac") for _ in range(5)]
    answers = {(answer.status, answer.raw) for answer in await asyncio.gather(*calls)}
    assert (answers, len(made)) == ({(200, b"converted")}, 1)


async def test_what_is_gone_says_so(open_server: OpenServer, tmp_path: Path) -> None:
    async with open_server() as server:
        track, path = await finished(server)
        image = urlsplit(track["image_url"]).path
        for file in (tmp_path / "audio").glob("??/*"):
            file.unlink()
        for tail in ("", "?format=original", "?format=flac", "/peaks", "/waveform.svg", "/waveform.png"):
            gone = await server.call("GET", path + tail)
            assert gone.error == (404, "not_found", "audio_gone"), tail
        assert (await server.call("GET", image)).error == (404, "not_found", "image_gone")
        for missing, reason in (("audio/7/peaks", "audio_not_found"), ("image/7", "image_not_found")):
            answer = await server.call("GET", path.replace("audio/0", missing))
            assert answer.error == (404, "not_found", reason)


async def test_a_store_that_fails_says_so_and_is_asked_again(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_server() as server:
        track, path = await finished(server)
        objects = server.gateway._context.keeper._objects

        async def away(_name: str) -> int | None:
            raise StorageError("cannot look for it: /srv/secret-path is away")

        monkeypatch.setattr(objects, "size", away)
        for at in (path, f"{path}?format=flac", f"{path}/peaks", urlsplit(track["image_url"]).path):
            answer = await server.call("GET", at)
            assert answer.error == (503, "gateway_error", "audio_store_failed"), at
            assert answer.headers["Retry-After"] == "5"
            assert "secret-path" not in answer.raw.decode()


async def test_what_is_not_kept_is_at_the_vendor(open_server: OpenServer) -> None:
    async with open_server(archive=False) as server:
        job = await server.generate(SONG)
        track, path = job["output"][0], f"{JOBS}/{job['id']}/audio/0"
        assert "waveform_url" not in track
        cover = await server.call("GET", path.replace("audio", "image"))
        assert (cover.status, cover.headers["Location"]) == (302, track["image_url"])
        refused = await server.call("GET", f"{path}?format=flac")
        assert refused.error == (404, "not_found", "audio_not_kept")


# --- pictures ---


async def test_peaks_and_waveforms_are_served_by_key_and_by_link(server: RunningServer) -> None:
    track, path = await finished(server)
    assert track["peaks_url"].startswith(f"{server.url}{path}/peaks?")
    assert track["waveform_url"].startswith(f"{server.url}{path}/waveform.svg?")
    usual = await server.call("GET", track["peaks_url"], key=None)
    assert usual.headers["Content-Type"] == "application/json"
    peaks = usual.body
    assert (peaks["version"], peaks["channels"], peaks["bits"], peaks["sample_rate"]) == (2, 1, 16, 44100)
    assert 900 <= peaks["length"] <= 1000
    assert len(peaks["data"]) == 2 * peaks["length"]
    assert peaks["length"] * peaks["samples_per_pixel"] >= track["duration"] * 44100 - 1
    finer = (await server.call("GET", f"{path}/peaks?points=20000")).body
    assert 15_000 < finer["length"] <= 20_000
    assert (max(finer["data"]), min(finer["data"])) == (max(peaks["data"]), min(peaks["data"]))
    svg = await server.call("GET", track["waveform_url"], key=None)
    assert (svg.headers["Content-Type"], svg.raw[:4]) == ("image/svg+xml", b"<svg")
    assert "sandbox" in svg.headers["Content-Security-Policy"]
    assert svg.headers["X-Content-Type-Options"] == "nosniff"
    pictures = [
        await server.call("GET", link_to(track, f"/waveform.png?width=300&height=40{theme}"), key=None)
        for theme in ("", "&theme=light", "&theme=dark")
    ]
    assert {picture.headers["Content-Type"] for picture in pictures} == {"image/png"}
    with av.open(io.BytesIO(pictures[0].raw), mode="r") as opened:
        frame = next(opened.decode(video=0))
        assert (frame.width, frame.height) == (300, 40)
    assert pictures[0].raw == pictures[1].raw != pictures[2].raw
    assert len({answer.headers["ETag"] for answer in (usual, svg, pictures[1], pictures[2])}) == 4
    known = await server.call("GET", f"{path}/peaks", headers={"If-None-Match": usual.headers["ETag"]})
    assert (known.status, known.raw) == (304, b"")
    head = await server.call("HEAD", f"{path}/waveform.svg")
    assert (head.status, head.raw, head.headers["Content-Length"]) == (200, b"", str(len(svg.raw)))


@pytest.mark.parametrize(
    ("tail", "named"),
    [
        *(
            (f"/peaks?points={points}", "points")
            for points in ("0", "20001", "-1", "x", "1e3", "", "9" * 5000)
        ),
        ("/waveform.svg?width=0", "width"),
        ("/waveform.png?height=4097", "height"),
        ("/waveform.svg?theme=blue", "theme"),
    ],
)
async def test_impossible_pictures_are_refused(server: RunningServer, tail: str, named: str) -> None:
    refused = await server.call("GET", f"{JOBS}/music_x/audio/0{tail}")
    assert refused.error[:2] == (400, "validation_error")
    assert named in refused.body["description"]


async def test_the_cover_is_kept_and_removed_with_its_job(open_server: OpenServer, tmp_path: Path) -> None:
    async with open_server() as server:
        job = await server.generate(SONG)
        link = job["output"][0]["image_url"]
        assert link.startswith(f"{server.url}{JOBS}/{job['id']}/image/0?")
        cover = await server.call("GET", link, key=None)
        assert (cover.status, cover.headers["Content-Type"], cover.raw[:4]) == (200, "image/png", b"\x89PNG")
        assert cover.headers["X-Content-Type-Options"] == "nosniff"
        policy = cover.headers["Content-Security-Policy"]
        assert ("default-src 'none'" in policy, "sandbox" in policy, "script" in policy) == (
            True,
            True,
            False,
        )
        assert cover.headers["ETag"] == f'"{hashlib.sha256(cover.raw).hexdigest()}"'
        assert cover.headers["Content-Disposition"].endswith(".png")
        await server.call("GET", job["output"][0]["peaks_url"], key=None)
        kinds = {path.name.partition(".")[2] for path in (tmp_path / "audio").glob("??/*")}
        assert kinds == {"mp3", "png", "peaks.json"}
        assert (await server.call("DELETE", f"{JOBS}/{job['id']}")).status == 204
        assert list((tmp_path / "audio").glob("??/*")) == []


# --- links ---


async def test_links_end_and_answers_never_show_an_ended_one(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [2_000_000_000.0]
    clock = SimpleNamespace(time=lambda: now_s[0], monotonic=time.monotonic)
    for module in ("kept_files", "job_resource"):
        monkeypatch.setattr(f"musicgate.web.{module}.time", clock)
    async with open_server(assets={"link_hours": 1.0}) as server:
        job = await server.generate(SONG)
        reply = await server.get(job["id"])
        old = reply.body["output"][0]["audio_url"]
        assert (await server.call("GET", old, key=None)).status == 200
        expires = int(old.partition("expires=")[2].partition("&")[0])
        assert now_s[0] + 3600 <= expires <= now_s[0] + 7200
        longer = old.replace(str(expires), str(expires + 3600))
        without = f"{old.partition('?')[0]}?{old.rpartition('&')[2]}"
        for changed in (longer, without, old.replace(str(expires), "x"), old.replace(str(expires), "")):
            assert (await server.call("GET", changed, key=None)).status == 404
        now_s[0] = expires - 1
        assert (await server.call("GET", old, key=None)).status == 200
        now_s[0] = expires
        assert (await server.call("GET", old, key=None)).status == 404
        known = {"If-None-Match": reply.headers["ETag"]}
        again = await server.call("GET", f"{JOBS}/{job['id']}", headers=known)
        assert again.status == 200
        fresh = again.body["output"][0]
        for link in (fresh["audio_url"], fresh["image_url"], fresh["peaks_url"], fresh["waveform_url"]):
            assert (await server.call("GET", link, key=None)).status == 200


@pytest.fixture(scope="module")
def s3() -> Iterator[s3_servers.S3Server]:
    with s3_servers.moto() as started:
        yield started


async def test_the_object_store_serves_by_itself(open_server: OpenServer, s3: s3_servers.S3Server) -> None:
    environ = {f"AWS_{name.upper()}": value for name, value in s3.options().items() if name != "endpoint"}
    environ["AWS_ENDPOINT_URL"] = s3.options()["endpoint"]
    assets = {"url": f"s3://{s3_servers.BUCKET}/served", "serve": "redirect"}
    async with open_server(assets=assets, environ=environ) as server:
        track, path = await finished(server)
        head = await server.call("HEAD", path)
        assert (head.status, head.headers["Content-Length"]) == (200, str(track["size_bytes"]))
        for wanted in ("", "?format=flac"):
            sent = await server.call("GET", f"{path}{wanted}")
            assert (sent.status, sent.headers["Cache-Control"]) == (307, "no-store")
            link = sent.headers["Location"]
            async with server.session.get(link) as answer:
                whole = await answer.read()
                assert answer.headers["Content-Type"] == ("audio/flac" if wanted else "audio/mpeg")
                assert "Midnight%20Blue" in answer.headers["Content-Disposition"]
            async with server.session.get(link, headers={"Range": "bytes=5-9"}) as answer:
                assert (answer.status, await answer.read()) == (206, whole[5:10])
        image = await server.call("GET", track["image_url"], key=None)
        async with server.session.get(image.headers["Location"]) as answer:
            assert answer.headers["Content-Type"] == "image/png"
        assert (await server.call("GET", track["peaks_url"], key=None)).body["version"] == 2
