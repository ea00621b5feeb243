"""Covers are kept beside the audio where they can be had, and cost no song anything where they cannot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.assets import sniff_picture
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import StorageError
from musicgate.gateway import covers
from musicgate.model import JobState
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import FakeVendor, Rig, broken_link, rig_of
from tests.test_gateway_follow import LINK, accepted, step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WAV = song(AudioFormat(container=Container.WAV), 1.0)
COVER = "https://cdn.test/1.png"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
DONE: dict[str, Any] = {"status": "done", "tracks": [{"id": "t1", "url": LINK, "image": COVER}]}

PICTURES = [
    (PNG, ("png", "image/png")),
    (b"\xff\xd8\xff\xe0\0\x10JFIF", ("jpg", "image/jpeg")),
    (b"GIF87a", ("gif", "image/gif")),
    (b"GIF89a\1\0", ("gif", "image/gif")),
    (b"RIFF\x0a\0\0\0WEBPVP8X", ("webp", "image/webp")),
    (b"\0\0\0\x1cftypavif\0\0\0\0mif1", ("avif", "image/avif")),
    (b"\0\0\0\x1cftypmif1\0\0\0\0miafavif", ("avif", "image/avif")),
    (b"\0\0\0\x1cftypmif1\0\0\0\0heicmiaf", None),
    (b"\0\0\0\x1cftypM4A \0\0\0\0mp42", None),
    (b"RIFF\x24\0\0\0WAVEfmt ", None),
    (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', None),
    (b"<!doctype html>", None),
    (b"BM\x36\0", None),
    (b"", None),
]


@pytest.mark.parametrize(("head", "found"), PICTURES)
def test_pictures_are_recognised_by_their_bytes(head: bytes, found: tuple[str, str] | None) -> None:
    assert sniff_picture(head) == found


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as rig:
        rig.transport.media = {LINK: WAV}
        yield rig


def kept(rig: Rig) -> list[str]:
    return sorted(path.suffix for path in rig.assets.folder.glob("??/*"))


async def test_the_cover_is_kept_with_its_audio(rig: Rig) -> None:
    rig.transport.media[COVER] = PNG
    job, _ = await step(rig, await accepted(rig), DONE)
    image = job.tracks[0].image
    assert image is not None
    assert image.sha256 is not None
    assert image.name == f"{image.sha256[:2]}/{image.sha256}.png"
    assert (image.kind, image.content_type, image.size_bytes, image.duration_s) == (
        "png", "image/png", len(PNG), 0.0,
    )  # fmt: skip
    assert (rig.assets.folder / image.name).read_bytes() == PNG
    found = await rig.gate.cover(job)
    assert found is not None
    assert (found.name, found.size_bytes, found.sha256) == (image.name, len(PNG), image.sha256)
    await rig.gate.delete(job.id)
    assert kept(rig) == []


@pytest.mark.parametrize(
    "answer",
    [b"<svg/>", b"<html>404</html>", b"", broken_link("HTTP 404"), StorageError("full"), RuntimeError("bug")],
    ids=lambda answer: repr(answer)[:20],
)
async def test_a_cover_that_cannot_be_kept_is_tried_once_and_changes_nothing(
    rig: Rig, answer: bytes | Exception
) -> None:
    rig.transport.media[COVER] = answer
    job, pause_s = await step(rig, await accepted(rig), DONE)
    assert (job.state, pause_s) == (JobState.COMPLETED, None)
    assert (job.tracks[0].image, job.tracks[0].image_url) == (None, COVER)
    assert job.warnings == ()
    assert rig.transport.fetched == [LINK, COVER]
    assert (kept(rig), rig.assets.parts) == ([".wav"], [])
    assert await rig.gate.cover(job) is None


async def test_covers_that_do_not_arrive_are_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covers, "_LIMIT_S", 0.05)
    download = rig.transport.download

    async def silent(url: str, *args: Any, **options: Any) -> None:
        if url == COVER:
            await asyncio.Event().wait()
        await download(url, *args, **options)

    monkeypatch.setattr(rig.transport, "download", silent)
    job, _ = await step(rig, await accepted(rig), DONE)
    assert (job.state, job.tracks[0].image) == (JobState.COMPLETED, None)
    assert rig.assets.parts == []


async def test_no_cover_is_fetched_for_a_track_without_audio(rig: Rig) -> None:
    broken = {"id": "t2", "image": "https://cdn.test/2.png", "broken": "moderated"}
    job, _ = await step(rig, await accepted(rig), {**DONE, "tracks": [*DONE["tracks"], broken]})
    assert (job.state, len(job.tracks)) == (JobState.COMPLETED, 2)
    assert rig.transport.fetched == [LINK, COVER]
