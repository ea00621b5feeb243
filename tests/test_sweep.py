"""The sweeper: old jobs go, open and young ones stay, and a failed round does not stop the next."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import StorageError
from musicgate.accounts import AccountBook
from musicgate.gateway.idempotency import IdempotencyKey, claim_of
from musicgate.gateway.sweep import Sweeper
from musicgate.model import Job, JobState
from musicgate.settings import Account, RetentionSettings
from musicgate.testing.memory_store import MemoryJobStore
from tests import sample_jobs
from tests.fake_vendor import START, FakeVendor, Rig, rig_of

KEY = IdempotencyKey(route="POST /somewhere", key="k", fingerprint="f")
DAY = timedelta(days=1)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as rig:
        yield rig


def sweeper(rig: Rig, **retention: float) -> Sweeper:
    settings = attrs.evolve(rig.context.settings, retention=RetentionSettings(**retention))
    return Sweeper(attrs.evolve(rig.context, settings=settings, accounts=AccountBook(settings)))


async def leave(
    rig: Rig, name: str, *, ended_days_ago: float | None, claim: bool = False, account: str = "local"
) -> Job:
    """A job that ended so long ago (None: still open), with audio."""
    ended_at = None if ended_days_ago is None else START - ended_days_ago * DAY
    made_at = START - 100 * DAY if ended_at is None else ended_at
    job = sample_jobs.job(
        JobState.IN_PROGRESS if ended_at is None else JobState.COMPLETED,
        id=f"music_{name}",
        account=account,
        created_at=made_at,
        completed_at=ended_at,
    )
    await rig.store.add(job, (), claim_of(KEY, job) if claim else None)
    await rig.store.asset_references.claim(f"aa/{name}.wav", job.id)
    audio_of(rig, name).parent.mkdir(parents=True, exist_ok=True)
    audio_of(rig, name).write_bytes(b"audio")
    return job


def audio_of(rig: Rig, name: str) -> Path:
    return rig.assets.folder / "aa" / f"{name}.wav"


def kept(rig: Rig) -> list[str]:
    """Names of the audio files that are left."""
    return sorted(path.stem for path in rig.assets.folder.glob("aa/*.wav"))


async def state_of(rig: Rig) -> dict[str, tuple[bool, bool]]:
    """Whether a job and its audio exist, by job."""
    return {
        name: (await rig.store.get(f"music_{name}") is not None, audio_of(rig, name).exists())
        for name in ("open", "old", "young")
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
async def test_old_jobs_are_removed_and_open_ones_stay(
    rig: Rig, retention: dict[str, float], old: tuple[bool, bool], young: tuple[bool, bool]
) -> None:
    await leave(rig, "open", ended_days_ago=None)
    await leave(rig, "old", ended_days_ago=10)
    await leave(rig, "young", ended_days_ago=5)
    await sweeper(rig, **retention).sweep()
    assert await state_of(rig) == {"open": (True, True), "old": old, "young": young}


async def test_each_round_removes_what_has_become_old_since_the_last(rig: Rig) -> None:
    await leave(rig, "open", ended_days_ago=None)
    await leave(rig, "old", ended_days_ago=10)
    await leave(rig, "young", ended_days_ago=5)
    swept = sweeper(rig, audio_days=7.0, jobs_days=12.0)
    seen = []
    for _ in range(4):
        await swept.sweep()
        seen.append(await state_of(rig))
        rig.clock.pass_s(2.5 * 86_400)
    assert [(state["old"], state["young"]) for state in seen] == [
        ((True, False), (True, True)),
        ((False, False), (True, False)),
        ((False, False), (True, False)),
        ((False, False), (False, False)),
    ]
    assert all(state["open"] == (True, True) for state in seen)


async def test_more_jobs_than_fit_on_a_page_are_all_swept(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicgate.gateway.sweep._PAGE", 2)
    for number in range(5):
        await leave(rig, f"n{number}", ended_days_ago=10 + number)
    await sweeper(rig, audio_days=7.0).sweep()
    assert kept(rig) == []
    await sweeper(rig, jobs_days=7.0).sweep()
    assert await rig.store.finished_jobs("local", None, START, 10) == []


@pytest.mark.parametrize(("age_hours", "is_kept"), [(47.0, True), (49.0, False)])
async def test_keys_are_kept_for_the_configured_time(rig: Rig, age_hours: float, *, is_kept: bool) -> None:
    job = await leave(rig, "old", ended_days_ago=age_hours / 24, claim=True)
    await sweeper(rig).sweep()
    assert (await rig.store.find_claim("local", KEY.route, KEY.key) is not None) is is_kept
    assert await rig.store.get(job.id) is not None


async def test_no_job_is_removed_before_its_key_is_old(rig: Rig) -> None:
    """A key is deleted with its job, and a repeated call must not make a second song."""
    await leave(rig, "old", ended_days_ago=1.5, claim=True)
    swept = sweeper(rig, jobs_days=0.1)
    await swept.sweep()
    assert await rig.store.find_claim("local", KEY.route, KEY.key) is not None
    rig.clock.pass_s(86_400)
    await swept.sweep()
    assert await rig.store.get("music_old") is None


@pytest.mark.parametrize("error", [StorageError("disk full"), OSError("odd"), RuntimeError("a bug")])
async def test_a_failed_round_does_not_stop_the_next_ones(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    swept = sweeper(rig, jobs_days=7.0, sweep_s=0.001)
    await leave(rig, "old", ended_days_ago=10)
    delete, tries = rig.store.delete, []

    async def broken_once(job_id: str, **more: Any) -> Any:
        tries.append(job_id)
        if len(tries) == 1:
            raise error
        return await delete(job_id, **more)

    monkeypatch.setattr(rig.store, "delete", broken_once)
    running = asyncio.create_task(swept.run())
    async with asyncio.timeout(5):
        while await rig.store.get("music_old") is not None:  # noqa: ASYNC110 - a sweeper sends no signal
            await asyncio.sleep(0.001)
    running.cancel()
    assert tries == ["music_old", "music_old"]


@pytest.fixture
def stubborn(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Ids of jobs that cannot be swept, to be filled by a test."""
    ids: set[str] = set()
    references = rig.store.asset_references
    release, delete = references.release, rig.store.delete

    async def refused_release(job_id: str, names: Any = ()) -> Any:
        if job_id in ids:
            raise StorageError("the job store failed: disk I/O error")
        return await release(job_id, names)

    async def refused_delete(job_id: str, **more: Any) -> Any:
        if job_id in ids:
            raise StorageError("the job store failed: disk I/O error")
        return await delete(job_id, **more)

    monkeypatch.setattr(references, "release", refused_release)
    monkeypatch.setattr(rig.store, "delete", refused_delete)
    return ids


@pytest.mark.parametrize("retention", [{"jobs_days": 1.0}, {"audio_days": 1.0}])
async def test_a_job_that_cannot_be_swept_does_not_stop_the_others(
    rig: Rig, stubborn: set[str], caplog: pytest.LogCaptureFixture, retention: dict[str, float]
) -> None:
    for number in range(5):
        await leave(rig, f"n{number}", ended_days_ago=9 - number)
    stubborn |= {"music_n0", "music_n2"}
    swept = sweeper(rig, **retention)
    for _ in range(3):
        await swept.sweep()
    assert kept(rig) == ["n0", "n2"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        (
            "sweep failed, retrying: accounts: 2 old jobs or their audio cannot be removed, like music_n0: "
            "the job store failed: disk I/O error"
        )
    ]
    stubborn.clear()
    await sweeper(rig, **retention).sweep()
    assert kept(rig) == []


async def test_a_file_that_cannot_be_removed_is_removed_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await leave(rig, f"n{number}", ended_days_ago=9 - number)
    delete = rig.assets.delete

    async def refuse(name: str) -> None:
        if name == "aa/n0.wav":
            raise StorageError("the audio folder failed: Permission denied")
        await delete(name)

    with monkeypatch.context() as patch:
        patch.setattr(rig.assets, "delete", refuse)
        await sweeper(rig, jobs_days=1.0).sweep()
    assert kept(rig) == ["n0"]
    assert await rig.store.get("music_n0") is None
    await sweeper(rig).sweep()
    assert kept(rig) == []


@pytest.mark.parametrize("retention", [{"jobs_days": 1.0}, {"audio_days": 1.0}])
async def test_many_failures_in_a_row_end_the_round_of_an_account(
    rig: Rig, stubborn: set[str], monkeypatch: pytest.MonkeyPatch, retention: dict[str, float]
) -> None:
    monkeypatch.setattr("musicgate.gateway.sweep._MAX_FAILURES_IN_A_ROW", 3)
    for number in range(4):
        await leave(rig, f"n{number}", ended_days_ago=9 - number)
    await leave(rig, "other", ended_days_ago=9, account="other")
    stubborn |= {f"music_n{number}" for number in range(3)}
    await sweeper(rig, **retention).sweep()
    assert kept(rig) == ["n0", "n1", "n2", "n3"]


async def test_an_account_has_its_own_times(rig: Rig) -> None:
    for account in ("local", "long", "short"):
        await leave(rig, account, ended_days_ago=5, account=account)
    accounts = (
        Account(name="long", key_hash="sha256:" + "a" * 64, audio_days=0.0),
        Account(name="short", key_hash="sha256:" + "b" * 64, jobs_days=4.0),
    )
    settings = attrs.evolve(
        rig.context.settings, retention=RetentionSettings(audio_days=3.0, jobs_days=9.0), accounts=accounts
    )
    await Sweeper(attrs.evolve(rig.context, settings=settings, accounts=AccountBook(settings))).sweep()
    assert kept(rig) == ["long"]
    assert await rig.store.get("music_local") is not None
    assert await rig.store.get("music_short") is None


async def test_keys_that_cannot_be_removed_do_not_keep_audio(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_before: Any) -> int:
        raise StorageError("the job store failed")

    monkeypatch.setattr(rig.store, "forget_claims", broken)
    await leave(rig, "old", ended_days_ago=10)
    swept = sweeper(rig, audio_days=7.0, jobs_days=7.0)
    await swept.sweep()
    await swept.sweep()
    assert kept(rig) == []
    assert await rig.store.get("music_old") is None
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["sweep failed, retrying: idempotency keys: the job store failed"]


# --- the mark of audio that is removed ---


@pytest.fixture
def tried(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the jobs whose audio was to be removed, in order."""
    names: list[str] = []
    keeper = rig.context.keeper
    release = keeper.release

    async def watched(job_id: str) -> None:
        names.append(job_id.removeprefix("music_"))
        await release(job_id)

    monkeypatch.setattr(keeper, "release", watched)
    return names


async def test_a_restart_goes_on_after_the_audio_that_is_removed(rig: Rig, tried: list[str]) -> None:
    for number in range(3):
        await leave(rig, f"n{number}", ended_days_ago=9 - number)
    await sweeper(rig, audio_days=8.0).sweep()
    assert tried == ["n0"]
    rig.clock.pass_s(86_400)
    await sweeper(rig, audio_days=8.0).sweep()
    assert tried == ["n0", "n1"]
    await sweeper(rig, audio_days=8.0).sweep()
    assert tried == ["n0", "n1"]


async def test_the_mark_is_written_once_in_a_round_that_moves_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    set_mark = rig.store.set_mark

    async def watched(name: str, value: str) -> None:
        written.append(f"{name} {value}")
        await set_mark(name, value)

    monkeypatch.setattr(rig.store, "set_mark", watched)
    for number in range(3):
        await leave(rig, f"n{number}", ended_days_ago=9)
    for _ in range(3):
        await sweeper(rig, audio_days=8.0).sweep()
    assert written == [f"audio_removed_up_to:local {(START - 9 * DAY).isoformat()} music_n2"]


async def test_an_account_goes_on_from_the_mark_of_all_accounts(rig: Rig, tried: list[str]) -> None:
    """Until each account had its own times, one mark was for all."""
    for number in range(3):
        await leave(rig, f"n{number}", ended_days_ago=9 - number)
    await rig.store.set_mark("audio_removed_up_to", f"{(START - 8 * DAY).isoformat()} music_n1")
    await sweeper(rig, audio_days=1.0).sweep()
    assert tried == ["n2"]


async def test_a_restart_retries_audio_that_could_not_be_removed(
    rig: Rig, tried: list[str], stubborn: set[str]
) -> None:
    for number in range(5):
        await leave(rig, f"n{number}", ended_days_ago=9 - number)
    stubborn |= {"music_n1", "music_n3"}
    await sweeper(rig, audio_days=1.0).sweep()
    stubborn.clear()
    tried.clear()
    await sweeper(rig, audio_days=1.0).sweep()
    assert tried == ["n1", "n2", "n3", "n4"]
    assert kept(rig) == []


async def test_audio_that_is_kept_for_longer_or_shorter_now_is_removed_in_time(
    rig: Rig, tried: list[str]
) -> None:
    for number in range(6):
        await leave(rig, f"n{number}", ended_days_ago=9 - number)
    await sweeper(rig, audio_days=7.5).sweep()
    assert tried == ["n0", "n1"]
    await sweeper(rig, audio_days=20.0).sweep()
    rig.clock.pass_s(12.5 * 86_400)
    await sweeper(rig, audio_days=20.0).sweep()
    assert set(tried) == {"n0", "n1"}
    await sweeper(rig, audio_days=17.0).sweep()
    assert set(tried) == {"n0", "n1", "n2", "n3", "n4"}


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_audio_of_jobs_that_end_after_the_clock_was_set_back_is_removed(
    rig: Rig, tried: list[str], *, is_restarted: bool
) -> None:
    await leave(rig, "before", ended_days_ago=1.0)
    swept = sweeper(rig, audio_days=0.5)
    await swept.sweep()
    rig.clock.pass_s(-10 * 86_400)
    await leave(rig, "after", ended_days_ago=9.999)
    rig.clock.pass_s(600)
    for _ in range(2):
        swept = sweeper(rig, audio_days=0.5) if is_restarted else swept
        await swept.sweep()
        rig.clock.pass_s(86_400)
    assert tried == ["before", "after"]


async def test_audio_is_removed_after_the_clock_was_set_back_although_rounds_are_rare(
    rig: Rig, tried: list[str]
) -> None:
    await leave(rig, "before", ended_days_ago=1.0)
    swept = sweeper(rig, audio_days=0.5, sweep_s=86_400.0)
    await swept.sweep()
    rig.clock.pass_s(-10 * 86_400)
    await leave(rig, "after", ended_days_ago=9.999)
    rig.clock.pass_s(86_400)
    await swept.sweep()
    assert tried == ["before", "after"]
