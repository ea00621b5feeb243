"""A song with a lying header is kept and billed by what it holds, and its job is settled."""

import struct
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from musicgate import jobs
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.gateway.inline_audio import keep_inline_audio
from musicgate.model import (
    Job,
    JobState,
    JobUpdate,
    Meter,
    NativeTrack,
    PriceRule,
    WarningCode,
)
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import KEY, FakeVendor, Rig, rig_of
from tests.test_gateway_follow import DONE, LINK, OTHER, accepted, step

WAV = song(AudioFormat(container=Container.WAV), 2.0)
OPUS = song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 2.0)
LAST_PAGE = OPUS.rindex(b"OggS")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as rig:
        yield rig


async def test_key_goes_with_links_at_the_vendors_own_address_alone(tmp_path: Path) -> None:
    own = "https://one.test/v1/audio?path=%2Fa.wav"
    async with rig_of(
        tmp_path / "audio", FakeVendor("one", media_needs_key=True), store=MemoryJobStore()
    ) as rig:
        like_own = "https://one.test.evil.example/b.wav"
        rig.transport.media = {own: WAV, like_own: WAV}
        answer = {**DONE, "tracks": [{"id": "t1", "url": own}, {"id": "t2", "url": like_own}]}
        job, _ = await step(rig, await accepted(rig), answer)
        assert job.state is JobState.COMPLETED
        assert rig.transport.fetched_with == {own: {"Authorization": f"Bearer {KEY}"}}


async def test_no_key_goes_with_links_unless_the_vendor_wants_it(rig: Rig) -> None:
    own = "https://one.test/a.wav"
    rig.transport.media = {own: WAV}
    await step(rig, await accepted(rig), {**DONE, "tracks": [{"id": "t1", "url": own}]})
    assert (rig.transport.fetched, rig.transport.fetched_with) == ([own], {})


@pytest.mark.parametrize("claimed_s", [10**10, 1.9e14])
async def test_a_job_whose_audio_claims_to_last_for_ever_is_settled_by_what_it_holds(
    rig: Rig, claimed_s: float
) -> None:
    lying = OPUS[: LAST_PAGE + 6] + struct.pack("<q", int(claimed_s * 48_000)) + OPUS[LAST_PAGE + 14 :]
    streamed = WAV[:40] + b"\xff\xff\xff\x7f" + WAV[44:]
    rig.transport.media = {LINK: lying, OTHER: streamed}
    job, _ = await step(rig, await accepted(rig), DONE)
    assert job.state is JobState.COMPLETED
    assert job.usage is not None
    assert job.usage.output_audio_seconds == pytest.approx(4.0, abs=0.1)
    assert job.usage.total_usd_nanos == 60_000_000
    kept = [track.asset for track in job.tracks]
    assert [asset.size_bytes if asset else None for asset in kept] == [len(lying), len(WAV)]
    path = rig.gate.audio_path(job, 1)
    assert path is not None
    assert path.read_bytes() == WAV


async def test_job_whose_price_is_unknown_is_completed_with_a_warning(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = PriceRule(meter=Meter.REQUESTS, price_usd=Decimal("1e999"))
    monkeypatch.setattr("musicgate.gateway.settle._prices", lambda *_: (endless,))
    rig.transport.media = {LINK: WAV, OTHER: WAV}
    job, _ = await step(rig, await accepted(rig), DONE)
    assert job.state is JobState.COMPLETED
    assert job.usage is not None
    assert job.usage.lines is None
    assert [warning.code for warning in job.warnings] == [WarningCode.NOT_PRICED]


#: A song of a vendor's new codec, and the error page of an expired link.
NOISE, PAGE = b"\x00\x01garbage" * 5000, b"\xef\xbb\xbf\n<html>gone</html>"


async def settled_at_the_end(rig: Rig, media: dict[str, bytes]) -> Job:
    rig.transport.media = {**media}
    job, pause_s = await step(rig, await accepted(rig), DONE)
    assert pause_s is not None
    assert [track.rejected for track in job.tracks] == [None, None]
    assert await rig.context.store.asset_references.of_job(job.id) == [
        track.asset.name for track in job.tracks if track.asset
    ]
    rig.clock.pass_s(600)
    job, _ = await step(rig, job)
    return job


async def test_paid_bytes_that_do_not_play_are_kept_at_the_last_try(rig: Rig) -> None:
    job = await settled_at_the_end(rig, {LINK: NOISE, OTHER: WAV})
    assert job.state is JobState.COMPLETED
    broken, good = job.tracks
    assert (broken.asset, good.rejected) == (None, None)
    assert broken.rejected is not None
    assert "the delivered bytes are kept" in (broken.failure_message or "")
    stored = rig.assets.folder / broken.rejected.name
    assert (stored.read_bytes(), stored.suffix) == (NOISE, ".bin")
    assert (broken.rejected.content_type, broken.rejected.size_bytes) == (
        "application/octet-stream",
        len(NOISE),
    )
    assert await rig.gate.audio(job, 0) is None
    await rig.gate.delete(job.id)
    assert not stored.exists()


async def test_a_job_without_any_audio_that_plays_says_that_the_bytes_are_kept(rig: Rig) -> None:
    job = await settled_at_the_end(rig, {LINK: NOISE, OTHER: NOISE})
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert "the delivered bytes are kept for the gateway's operator" in job.failure.message
    assert job.failure.may_have_cost
    assert [track.rejected is not None for track in job.tracks] == [True, True]


async def test_bytes_that_do_not_play_of_a_deleted_job_are_not_kept(rig: Rig) -> None:
    job = await accepted(rig)
    await rig.gate.delete(job.id)
    update = JobUpdate(tracks=(NativeTrack(audio=NOISE),))
    assert await keep_inline_audio(rig.context, job, update) == jobs.NO_AUDIO
    assert list(rig.assets.folder.rglob("*.bin")) == []


async def test_error_pages_and_empty_bodies_are_not_kept(rig: Rig) -> None:
    job = await settled_at_the_end(rig, {LINK: PAGE, OTHER: b'{"error": "expired"}'})
    assert [track.rejected for track in job.tracks] == [None, None]
    assert job.failure is not None
    assert "kept for" not in job.failure.message
    assert list(rig.assets.folder.rglob("*.bin")) == []
