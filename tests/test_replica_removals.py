"""Unused audio is removed by one replica at a time; one that was stalled removes nothing in use."""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from musicgate.assets import AudioWorkers, Staging
from musicgate.gateway.audio_keeper import AudioKeeper
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.postgres_references import PostgresAssetReferences
from tests.fake_vendor import FolderAssets
from tests.job_samples import make_job
from tests.postgres_servers import Postgres, emptied, execute
from tests.test_audio_keeper import WAV, files

NAME = "aa/aa11.mp3"


class SlowFolder(FolderAssets):
    """A folder whose removals wait until they may go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.going_on, self.began = asyncio.Event(), asyncio.Event()

    async def delete(self, name: str) -> None:
        self.began.set()
        await self.going_on.wait()
        await super().delete(name)


@attrs.frozen
class Replica:
    """A process as the store sees it: with its own removals."""

    references: PostgresAssetReferences
    keeper: AudioKeeper


@attrs.frozen
class Pair:
    """Two replicas; the removals of ``stalled`` wait."""

    url: str
    stalled: Replica
    other: Replica
    slow: SlowFolder

    async def pass_minutes(self, minutes: int) -> None:
        passed = f"began_at = began_at - interval '{minutes} minutes'"
        await execute(self.url, f"UPDATE musicgate.unused_assets SET {passed}")  # noqa: S608 - a number


@pytest.fixture
async def pair(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Pair]:
    url = await emptied(postgres.url)
    slow = SlowFolder(tmp_path)
    async with PostgresJobStore.open(url) as store:
        for job_id in ("m1", "m2"):
            await store.add(make_job(job_id), [])
        with contextlib.closing(AudioWorkers()) as workers:

            def replica(objects: FolderAssets) -> Replica:
                view = copy.copy(store)
                view.asset_references = PostgresAssetReferences(store._connections)
                staging = Staging(tmp_path / ".incoming")
                keeper = AudioKeeper(objects=objects, store=view, staging=staging, workers=workers)
                return Replica(view.asset_references, keeper)

            yield Pair(url, replica(slow), replica(FolderAssets(tmp_path)), slow)


async def test_a_stalled_removal_does_not_hit_bytes_that_were_kept_again(pair: Pair) -> None:
    asset = await pair.stalled.keeper.keep_bytes(WAV, "m1", 0)
    removing = asyncio.create_task(pair.stalled.keeper.release("m1"))
    await pair.slow.began.wait()
    await pair.other.keeper.remove_unused()
    assert len(files(pair.slow)) == 1, "another one removed it at once"
    await pair.pass_minutes(11)
    await pair.other.keeper.remove_unused()
    assert files(pair.slow) == []
    again = await pair.other.keeper.keep_bytes(WAV, "m2", 0)
    pair.slow.going_on.set()
    await removing
    path = pair.other.keeper.local_path(again)
    assert path is not None
    assert path.read_bytes() == WAV
    assert again.name == asset.name.replace(".wav", "-1.wav")
    assert await pair.other.references.unused("", 9) == []
    assert not await pair.other.references.begin_removal(asset.name)


async def unused(pair: Pair) -> None:
    await pair.other.references.claim(NAME, "m1")
    await pair.other.references.release("m1")


async def test_a_removal_belongs_to_one_replica_for_ten_minutes(pair: Pair) -> None:
    await unused(pair)
    assert await pair.stalled.references.begin_removal(NAME)
    assert await pair.stalled.references.begin_removal(NAME)
    await pair.pass_minutes(9)
    assert not await pair.other.references.begin_removal(NAME)
    await pair.pass_minutes(2)
    assert await pair.other.references.begin_removal(NAME)
    assert not await pair.stalled.references.begin_removal(NAME)


async def test_the_end_of_a_removal_that_was_taken_over_is_not_noted(pair: Pair) -> None:
    await unused(pair)
    await pair.stalled.references.begin_removal(NAME)
    await pair.pass_minutes(11)
    await pair.other.references.begin_removal(NAME)
    await pair.stalled.references.end_removal(NAME)
    assert await pair.other.references.unused("", 9) == [NAME]
    assert not await pair.other.references.claim(NAME, "m2")


@pytest.mark.parametrize("remover", ["its own", None])
async def test_a_name_whose_remover_has_ended_for_certain_can_be_used_again(
    pair: Pair, remover: str | None
) -> None:
    """It is the process itself, or one of a version that ran alone."""
    await unused(pair)
    await pair.other.references.begin_removal(NAME)
    await pair.pass_minutes(11)
    if remover is None:
        await execute(pair.url, "UPDATE musicgate.unused_assets SET remover = NULL, began_at = NULL")
    assert await pair.other.references.begin_removal(NAME)
    await pair.other.references.end_removal(NAME)
    assert await pair.other.references.claim(NAME, "m2")
