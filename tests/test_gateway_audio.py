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
from tests.fake_vendor import FakeVendor, House, house_of
from tests.test_gateway_follow import DONE, LINK, OTHER, accepted, step

WAV = song(AudioFormat(container=Container.WAV), 2.0)
OPUS = song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 2.0)
LAST_PAGE = OPUS.rindex(b"OggS")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as house:
        yield house


@pytest.mark.parametrize("claimed_s", [10**10, 1.9e14])
async def test_a_job_whose_audio_claims_to_last_for_ever_is_settled_by_what_it_holds(
    house: House, claimed_s: float
) -> None:
    lying = OPUS[: LAST_PAGE + 6] + struct.pack("<q", int(claimed_s * 48_000)) + OPUS[LAST_PAGE + 14 :]
    streamed = WAV[:40] + b"\xff\xff\xff\x7f" + WAV[44:]
    house.transport.media = {LINK: lying, OTHER: streamed}
    job, _ = await step(house, await accepted(house), DONE)
    assert job.state is JobState.COMPLETED
    assert job.usage is not None
    assert job.usage.output_audio_seconds == pytest.approx(4.0, abs=0.1)
    assert job.usage.total_usd_nanos == 60_000_000
    kept = [track.asset for track in job.tracks]
    assert [asset.size_bytes if asset else None for asset in kept] == [len(lying), len(WAV)]
    assert (house.assets.folder / job.id / "1.wav").read_bytes() == WAV


async def test_job_whose_price_cannot_be_told_is_completed_and_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = PriceRule(meter=Meter.REQUESTS, price_usd=Decimal("1e999"))
    monkeypatch.setattr("musicgate.gateway.settle._prices", lambda *_: (endless,))
    house.transport.media = {LINK: WAV, OTHER: WAV}
    job, _ = await step(house, await accepted(house), DONE)
    assert job.state is JobState.COMPLETED
    assert job.usage is not None
    assert job.usage.lines is None
    assert [warning.code for warning in job.warnings] == [WarningCode.NOT_PRICED]
