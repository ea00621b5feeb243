"""The audio: it plays, it is measured, it is served with Range to whoever has the link, and it outlives the vendor's."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.e2e.house import decoded_s, running_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")


#: Wish, content type, first bytes, number of tracks.
SONGS: list[tuple[dict[str, Any], str, bytes, int]] = [
    ({"model": "suno/v5", "provider": {"only": ["suno_kie"]}}, "audio/mpeg", b"", 2),
    ({"model": "suno/v5", "provider": {"only": ["apiin_one"]}}, "audio/mpeg", b"", 2),
    ({"model": "elevenlabs/music", "duration": 3}, "audio/mpeg", b"", 1),
    ({"model": "elevenlabs/music", "duration": 3, "format": "mp3"}, "audio/mpeg", b"", 1),
    ({"model": "elevenlabs/music", "duration": 3, "format": "wav"}, "audio/wav", b"RIFF", 1),
    ({"model": "elevenlabs/music", "duration": 3, "format": "ogg"}, "audio/ogg", b"OggS", 1),
    (
        {"model": "elevenlabs/music", "duration": 3, "elevenlabs": {"output_format": "ulaw_8000"}},
        "audio/wav",
        b"RIFF",
        1,
    ),
    (
        {
            "model": "elevenlabs/music",
            "duration": 3,
            "elevenlabs": {"with_timestamps": True},
            "format": "wav",
        },
        "audio/wav",
        b"RIFF",
        1,
    ),
    ({"model": "minimax/music-2.6", "prompt": "rain [emulate length_s=3]"}, "audio/mpeg", b"", 1),
    (
        {"model": "minimax/music-2.6", "prompt": "rain [emulate length_s=3]", "format": "wav"},
        "audio/wav",
        b"RIFF",
        1,
    ),
    (
        {
            "model": "minimax/music-2.6",
            "prompt": "rain [emulate length_s=3]",
            "minimax": {"output_format": "url"},
        },
        "audio/mpeg",
        b"",
        1,
    ),
    (
        {
            "model": "minimax/music-2.6",
            "prompt": "rain [emulate length_s=3]",
            "minimax": {"audio_setting": {"format": "pcm"}},
        },
        "audio/wav",
        b"RIFF",
        1,
    ),
]


@pytest.mark.parametrize(
    ("wish", "content_type", "magic", "count"), SONGS, ids=[str(row[0])[:100] for row in SONGS]
)
async def test_completed_means_audio_that_plays_and_is_measured(
    house: House,
    wish: dict[str, Any],
    content_type: str,
    magic: bytes,
    count: int,
) -> None:
    job = await house.make({"prompt": "rain", **wish})
    assert job["status"] == "completed", job
    total_s = 0.0
    for track in job["output"]:
        assert track["audio_url"].startswith(house.url)
        audio = await house.call("GET", track["audio_url"], key=None)
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
    assert job["usage"]["output_audio_seconds"] == pytest.approx(
        sum(track["duration"] for track in job["output"]), abs=0.002
    )


async def test_elevens_wav_is_a_riff_file_of_the_wished_length(house: House) -> None:
    job = await house.make({"model": "elevenlabs/music", "prompt": "rain", "duration": 4, "format": "wav"})
    raw = (await house.call("GET", job["output"][0]["audio_url"], key=None)).raw
    assert (raw[:4], raw[8:16], raw[36:40]) == (b"RIFF", b"WAVEfmt ", b"data")
    assert struct.unpack("<I", raw[4:8])[0] == len(raw) - 8
    tag, channels, rate_hz, byte_rate, _, bits = struct.unpack("<HHIIHH", raw[20:36])
    data_bytes = struct.unpack("<I", raw[40:44])[0]
    assert (tag, channels, rate_hz, bits) == (1, 2, 44100, 16)
    assert data_bytes == len(raw) - 44
    assert data_bytes / byte_rate == 4.0
    assert job["usage"]["output_audio_seconds"] == 4.0
    assert job["usage"]["pricing_breakdown"]["total_usd_str"] == "0.01"


@pytest.fixture(scope="module")
def song() -> dict[str, Any]:
    """A wish for a short song."""
    return {"model": "suno/v5", "prompt": "rain [emulate lengths=3,3 skip=text]"}


async def test_pieces_heads_and_wrong_signatures(house: House, song: dict[str, Any]) -> None:
    job = await house.make(song)
    link = job["output"][0]["audio_url"]
    whole = (await house.call("GET", link, key=None)).raw
    size = len(whole)
    for asked, first, last in (("0-99", 0, 99), ("100-", 100, size - 1), ("-50", size - 50, size - 1)):
        part = await house.call("GET", link, headers={"Range": f"bytes={asked}"}, key=None)
        assert part.status == 206
        assert part.raw == whole[first : last + 1]
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
    beyond = await house.call("GET", link, headers={"Range": f"bytes={size}-"}, key=None)
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    head = await house.call("HEAD", link, key=None)
    assert (head.status, head.raw, head.headers["Content-Length"]) == (200, b"", str(size))
    bare = urlsplit(link).path
    with_key = await house.call("GET", bare)
    assert with_key.raw == whole
    assert (await house.call("GET", bare, key=None)).status == 401
    for wrong in ("x", "0" * 32, link.rpartition("=")[2][:-1], "%ff", "ü"):
        refused = await house.call("GET", f"{bare}?sig={wrong}", key=None)
        assert (refused.status, refused.body["error"]) == (404, "not_found")
    other = bare.replace("/audio/0", "/audio/1") + "?" + urlsplit(link).query
    assert (await house.call("GET", other, key=None)).status == 404
    for index in ("2", "99", "x", "-1", "9" * 5000):
        assert (await house.call("GET", f"/v1/music/generate/{job['id']}/audio/{index}")).status == 404


async def test_an_unchanged_file_need_not_be_sent_again(house: House, song: dict[str, Any]) -> None:
    link = (await house.make(song))["output"][0]["audio_url"]
    first = await house.call("GET", link, key=None)
    again = await house.call("GET", link, headers={"If-None-Match": first.headers["ETag"]}, key=None)
    assert (again.status, again.raw) == (304, b"")


@pytest.mark.parametrize("vendor", ["suno_kie", "apiin_one", "minimax"])
async def test_a_kept_song_outlives_the_vendors_link(open_house: OpenHouse, vendor: str) -> None:
    model = "minimax/music-2.6" if vendor == "minimax" else "suno/v5"
    wish = {
        "model": model,
        "prompt": "rain [emulate length_s=3 song_s=3 lengths=3,3]",
        "provider": {"only": [vendor]},
    }
    wish |= {"minimax": {"output_format": "url"}} if vendor == "minimax" else {}
    async with open_house() as house:
        job = await house.make(wish)
        link = job["output"][0]["audio_url"]
        with house.watch() as seen:
            first = await house.call("GET", link, key=None)
        assert seen.reads == []
        assert "expires_at" not in job
    async with open_house(tables={vendor: {"base_url": "http://127.0.0.1:9"}}) as house:  # the vendor is gone
        later = await house.get(job["id"])
        link = later.body["output"][0]["audio_url"]
        assert link.startswith(house.url)
        assert (await house.call("GET", link, key=None)).raw == first.raw
        assert later.body["usage"] == job["usage"]


async def test_without_the_archive_the_vendors_link_is_handed_on(open_house: OpenHouse) -> None:
    async with open_house(archive=False) as house:
        job = await house.make({"model": "suno/v5", "prompt": "rain [emulate lengths=3,4]"})
        track = job["output"][0]
        assert job["status"] == "completed"
        assert not track["audio_url"].startswith(house.url)
        assert [item["duration"] for item in job["output"]] == [3, 4]
        assert job["usage"]["output_audio_seconds"] == 7
        redirect = await house.call("GET", f"/v1/music/generate/{job['id']}/audio/0")
        assert (redirect.status, redirect.headers["Location"]) == (302, track["audio_url"])
        bytes_job = await house.make({"model": "elevenlabs/music", "prompt": "rain", "duration": 3})
        assert bytes_job["output"][0]["audio_url"].startswith(house.url)
        linked = await house.make(
            {"model": "minimax/music-2.6", "prompt": "x", "minimax": {"output_format": "url"}}
        )
        assert linked["expires_at"] > linked["created_at"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory, plugins: Any) -> AsyncIterator[House]:
    """A house where the ten minutes for which a link is tried last 0.2 s."""
    async with running_house(tmp_path_factory.mktemp("hasty"), plugins, speed=3000.0) as started:
        yield started


#: Vendor, magic words, what becomes of the job: completed after all, or failed because nothing plays.
MEDIA: list[tuple[str, str, str]] = [
    ("suno_kie", "media=403:2", "completed"),
    ("suno_kie", "media=404:1,empty:1", "completed"),
    ("suno_kie", "media=cut:1", "completed"),
    ("suno_kie", "media=html:1", "completed"),
    ("suno_kie", "media=slow:1", "completed"),
    # kie's records name a second address of each track, which is not spoilt.
    ("suno_kie", "media=403:ever", "completed"),
    ("suno_kie", "media=403:ever shape=doc", "failed"),
    ("suno_kie", "media=empty:ever shape=doc", "failed"),
    ("suno_kie", "media=cut:ever shape=doc", "failed"),
    ("suno_kie", "media=html:ever shape=doc", "failed"),
    ("apiin_one", "media=forbidden_once", "completed"),
    ("apiin_one", "media=forbidden", "failed"),
    ("apiin_one", "media=empty", "failed"),
    ("apiin_one", "media=cut", "failed"),
    ("apiin_one", "media=expired", "failed"),
    ("apiin_one", "media=html", "failed"),
    ("minimax", "media=empty", "failed"),
    ("minimax", "media=cut", "failed"),
    ("minimax", "media=html", "failed"),
    ("minimax", "media=forbidden", "failed"),
    ("minimax", "media=expired", "failed"),
    ("minimax", "media=missing", "failed"),
]


@pytest.mark.parametrize(("vendor", "switches", "status"), MEDIA, ids=[f"{row[0]}-{row[1]}" for row in MEDIA])
async def test_links_that_do_not_give_the_song_are_tried_again_and_then_told(
    hasty: House, vendor: str, switches: str, status: str
) -> None:
    wish: dict[str, Any] = {
        "model": "minimax/music-2.6" if vendor == "minimax" else "suno/v5",
        "prompt": f"rain [emulate {switches} length_s=3 song_s=3 lengths=3,3]",
        "provider": {"only": [vendor]},
    }
    wish |= {"minimax": {"output_format": "url"}} if vendor == "minimax" else {}
    with hasty.watch(vendor) as seen:
        job = await hasty.make(wish)
    assert (job["status"], seen.billed) == (status, 1)
    if status == "completed":
        for track in job["output"]:
            audio = await hasty.call("GET", track["audio_url"], key=None)
            assert decoded_s(audio.raw) > 2.5
    else:
        assert job["error"]["reason"] == "upstream_failed"
        assert job["error"]["may_have_cost"] is True
        assert job["output"][0]["error"]["message"]
        assert "usage" not in job
