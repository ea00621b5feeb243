"""The sweeper: what is old goes, what is open or young stays, and trouble in one round does not end the next ones."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import StorageError
from musicgate.gateway.idempotency import IdempotencyKey, claim_of
from musicgate.gateway.sweep import Sweeper
from musicgate.model import Job, JobState, MusicRequest
from musicgate.settings import RetentionSettings
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import MODEL, START, FakeVendor, House, house_of

KEY = IdempotencyKey(route="POST /somewhere", key="k", fingerprint="f")
DAY = timedelta(days=1)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as house:
        yield house


def sweeper(house: House, **retention: float) -> Sweeper:
    settings = attrs.evolve(house.context.settings, retention=RetentionSettings(**retention))
    return Sweeper(attrs.evolve(house.context, settings=settings))


async def leave(house: House, name: str, *, ended_days_ago: float | None, claim: bool = False) -> Job:
    """A job that ended so long ago (None: still open), with audio."""
    ended_at = None if ended_days_ago is None else START - ended_days_ago * DAY
    made_at = START - 100 * DAY if ended_at is None else ended_at
    job = Job(
        id=f"music_{name}",
        account="local",
        generation_id="G-1",
        request=MusicRequest(model=MODEL, prompt="jazz"),
        state=JobState.IN_PROGRESS if ended_at is None else JobState.COMPLETED,
        created_at=made_at,
        updated_at=made_at,
        completed_at=ended_at,
        deadline_at=made_at,
        callback_token="token-not-real",
    )
    await house.store.add(job, (), claim_of(KEY, job) if claim else None)
    folder = house.assets.folder / job.id
    folder.mkdir(parents=True)
    (folder / "0.wav").write_bytes(b"audio")
    return job


async def state_of(house: House) -> dict[str, tuple[bool, bool]]:
    """By job: is it there, is its audio there."""
    names = ("open", "old", "young")
    return {
        name: (
            await house.store.get(f"music_{name}") is not None,
            (house.assets.folder / f"music_{name}" / "0.wav").exists(),
        )
        for name in names
    }


@pytest.mark.parametrize(
    ("retention", "old", "young"),
    [
        ({}, (True, True), (True, True)),
        ({"audio_days": 7.0}, (True, False), (True, True)),
        ({"jobs_days": 7.0}, (False, False), (True, True)),
        ({"audio_days": 3.0, "jobs_days": 30.0}, (True, False), (True, False)),
        ({"audio_days": 30.0, "jobs_days": 7.0}, (False, False), (True, True)),
        ({"audio_days": 1e12, "jobs_days": 1e12}, (True, True), (True, True)),
    ],
)
async def test_what_is_old_goes_and_what_is_open_stays(
    house: House, retention: dict[str, float], old: tuple[bool, bool], young: tuple[bool, bool]
) -> None:
    await leave(house, "open", ended_days_ago=None)
    await leave(house, "old", ended_days_ago=10)
    await leave(house, "young", ended_days_ago=5)
    await sweeper(house, **retention).sweep()
    assert await state_of(house) == {"open": (True, True), "old": old, "young": young}


async def test_rounds_take_what_has_become_old_since(house: House) -> None:
    await leave(house, "open", ended_days_ago=None)
    await leave(house, "old", ended_days_ago=10)
    await leave(house, "young", ended_days_ago=5)
    swept = sweeper(house, audio_days=7.0, jobs_days=12.0)
    seen = []
    for _ in range(4):
        await swept.sweep()
        seen.append(await state_of(house))
        house.clock.pass_s(2.5 * 86_400)
    assert [(state["old"], state["young"]) for state in seen] == [
        ((True, False), (True, True)),
        ((False, False), (True, False)),
        ((False, False), (True, False)),
        ((False, False), (False, False)),
    ]
    assert all(state["open"] == (True, True) for state in seen)


async def test_more_jobs_than_fit_on_a_page_are_all_swept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.gateway.sweep._PAGE", 2)
    for number in range(5):
        await leave(house, f"n{number}", ended_days_ago=10 + number)
    await sweeper(house, audio_days=7.0).sweep()
    assert list(house.assets.folder.glob("music_*")) == []
    await sweeper(house, jobs_days=7.0).sweep()
    assert await house.store.finished_jobs(None, START, 10) == []


@pytest.mark.parametrize(("age_hours", "is_kept"), [(47.0, True), (49.0, False)])
async def test_keys_are_kept_as_long_as_is_said(house: House, age_hours: float, *, is_kept: bool) -> None:
    job = await leave(house, "old", ended_days_ago=age_hours / 24, claim=True)
    await sweeper(house).sweep()
    assert (await house.store.find_claim("local", KEY.route, KEY.key) is not None) is is_kept
    assert await house.store.get(job.id) is not None


async def test_no_job_goes_before_its_key_is_old(house: House) -> None:
    """A key goes with its job, and a call that is sent again must not make a second song."""
    await leave(house, "old", ended_days_ago=1.5, claim=True)
    swept = sweeper(house, jobs_days=0.1)
    await swept.sweep()
    assert await house.store.find_claim("local", KEY.route, KEY.key) is not None
    house.clock.pass_s(86_400)
    await swept.sweep()
    assert await house.store.get("music_old") is None


@pytest.mark.parametrize("trouble", [StorageError("disk full"), OSError("odd"), RuntimeError("a bug")])
async def test_trouble_in_one_round_does_not_end_the_next_ones(
    house: House, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    swept = sweeper(house, jobs_days=7.0, sweep_s=0.001)
    await leave(house, "old", ended_days_ago=10)
    delete, tries = house.assets.delete, []

    async def broken_once(job_id: str) -> Any:
        tries.append(job_id)
        if len(tries) == 1:
            raise trouble
        await delete(job_id)

    monkeypatch.setattr(house.assets, "delete", broken_once)
    running = asyncio.create_task(swept.run())
    async with asyncio.timeout(5):
        while await house.store.get("music_old") is not None:  # noqa: ASYNC110 - a sweeper tells nobody
            await asyncio.sleep(0.001)
    running.cancel()
    assert tries == ["music_old", "music_old"]


async def brought_to_an_end(swept: Sweeper, rounds: int = 1) -> None:
    for _ in range(rounds):
        await swept.sweep()


@pytest.fixture
def stubborn(house: House, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of jobs whose folders cannot be removed, as that of a folder that was moved elsewhere and linked; to be filled."""
    names: list[str] = []
    delete = house.assets.delete

    async def refuse(job_id: str) -> None:
        if job_id in names:
            raise StorageError("the audio folder failed: Permission denied")
        await delete(job_id)

    monkeypatch.setattr(house.assets, "delete", refuse)
    return names


@pytest.mark.parametrize("retention", [{"jobs_days": 1.0}, {"audio_days": 1.0}])
async def test_a_folder_that_cannot_be_removed_keeps_no_other(
    house: House, stubborn: list[str], caplog: pytest.LogCaptureFixture, retention: dict[str, float]
) -> None:
    jobs = [await leave(house, f"n{number}", ended_days_ago=9 - number) for number in range(5)]
    stubborn += [jobs[0].id, jobs[2].id]
    swept = sweeper(house, **retention)
    await brought_to_an_end(swept, 3)
    assert sorted(path.name for path in house.assets.folder.glob("music_*")) == stubborn
    for job in jobs:
        kept = "audio_days" in retention or job.id in stubborn
        assert (await house.store.get(job.id) is not None) is kept
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "sweeping failed and is tried again: 2 old jobs or their audio cannot be removed, music_n0 for one: the audio folder failed: Permission denied"
    ]
    stubborn.clear()
    await swept.sweep()
    assert list(house.assets.folder.glob("music_*")) == []


async def test_a_link_in_place_of_a_folder_keeps_no_other(house: House, tmp_path: Path) -> None:
    jobs = [await leave(house, f"n{number}", ended_days_ago=9 - number) for number in range(3)]
    moved = house.assets.folder / jobs[0].id
    moved.rename(tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    await sweeper(house, jobs_days=1.0, audio_days=1.0).sweep()
    assert [await house.store.get(job.id) is not None for job in jobs] == [True, False, False]


@pytest.mark.parametrize("retention", [{"jobs_days": 1.0}, {"audio_days": 1.0}])
async def test_many_failures_in_a_row_end_a_round_and_the_next_one_goes_on_behind_them(
    house: House, stubborn: list[str], monkeypatch: pytest.MonkeyPatch, retention: dict[str, float]
) -> None:
    monkeypatch.setattr("musicgate.gateway.sweep._MAX_FAILURES_IN_A_ROW", 3)
    jobs = [await leave(house, f"n{number}", ended_days_ago=9 - number) for number in range(7)]
    stubborn += [job.id for job in jobs[:5]]
    tried: list[str] = []
    delete = house.assets.delete

    async def watched(job_id: str) -> None:
        tried.append(job_id)
        await delete(job_id)

    monkeypatch.setattr(house.assets, "delete", watched)
    swept = sweeper(house, **retention)
    await swept.sweep()
    assert tried == [job.id for job in jobs[:3]]
    await brought_to_an_end(swept, 3)
    assert sorted(path.name for path in house.assets.folder.glob("music_*")) == stubborn


async def test_keys_that_cannot_be_forgotten_keep_no_audio(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_before: Any) -> int:
        raise StorageError("the job store failed")

    monkeypatch.setattr(house.store, "forget_claims", broken)
    await leave(house, "old", ended_days_ago=10)
    await brought_to_an_end(sweeper(house, audio_days=7.0, jobs_days=7.0), 2)
    assert list(house.assets.folder.glob("music_*")) == []
    assert await house.store.get("music_old") is None
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["sweeping failed and is tried again: idempotency keys: the job store failed"]
