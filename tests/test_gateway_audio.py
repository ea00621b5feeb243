"""A song with a lying header is kept and billed by what it holds, and its job is settled."""

import struct
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.model import (
    JobState,
    Meter,
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
