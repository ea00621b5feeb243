"""The audio keeper: one copy of equal audio, converted once, and removed with its last job."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from musicgate.assets import AudioWorkers, Staging, measure_bytes
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import JobNotFoundError, NotAudioError, StorageError
from musicgate.gateway.audio_keeper import AudioKeeper
from musicgate.model import Asset, Track
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import FolderAssets
from tests.job_samples import make_job

WAV = song(AudioFormat(container=Container.WAV), 1.0)
MP3 = song(AudioFormat(container=Container.MP3), 2.0)


@pytest.fixture
async def store() -> MemoryJobStore:
    store = MemoryJobStore()
    for job_id in ("m1", "m2"):
        await store.add(make_job(job_id), [])
    return store


@pytest.fixture
def folder(tmp_path: Path) -> FolderAssets:
    return FolderAssets(tmp_path)


@pytest.fixture
async def keeper(store: MemoryJobStore, folder: FolderAssets) -> AsyncIterator[AudioKeeper]:
    with contextlib.closing(AudioWorkers()) as workers:
        yield AudioKeeper(
            objects=folder, store=store, staging=Staging(folder.folder / ".incoming"), workers=workers
        )


def files(folder: FolderAssets) -> list[str]:
    return sorted(path.name for path in folder.folder.glob("??/*"))


async def read(keeper: AudioKeeper, track: Track, wanted: str | None, job_id: str = "m1") -> bytes | None:
    found = await keeper.rendition(track, wanted, job_id)
    if found is None:
        return None
    return b"".join([piece async for piece in keeper.read(found.name, 0, found.size_bytes)])


async def test_kept_audio_is_measured_and_named_by_its_content(
    keeper: AudioKeeper, folder: FolderAssets
) -> None:
    asset = await keeper.keep_bytes(MP3, "m1", 0)
    assert asset.sha256 is not None
    assert asset.name == f"{asset.sha256[:2]}/{asset.sha256}.mp3"
    assert (asset.kind, asset.content_type, asset.size_bytes) == ("mp3", "audio/mpeg", len(MP3))
    assert asset.duration_s == pytest.approx(2.0, abs=0.05)
    assert asset.codec is not None
    path = keeper.local_path(asset)
    assert path is not None
    assert path.read_bytes() == MP3
    assert folder.parts == []


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x00" * 5000, WAV[: len(WAV) // 2]])
async def test_bytes_that_are_not_audio_are_not_kept(
    keeper: AudioKeeper, folder: FolderAssets, store: MemoryJobStore, content: bytes
) -> None:
    with pytest.raises(NotAudioError):
        await keeper.keep_bytes(content, "m1", 0)
    assert (files(folder), folder.parts) == ([], [])
    assert await store.asset_references.of_job("m1") == []


async def test_equal_audio_is_stored_once_and_stays_for_its_last_job(
    keeper: AudioKeeper, folder: FolderAssets
) -> None:
    assert await keeper.keep_bytes(WAV, "m1", 0) == await keeper.keep_bytes(WAV, "m2", 0)
    assert len(files(folder)) == 1
    await keeper.delete_job("m1")
    assert len(files(folder)) == 1
    await keeper.release("m2")
    assert files(folder) == []


async def test_a_full_disk_leaves_a_reference_and_no_bytes(
    keeper: AudioKeeper, folder: FolderAssets, store: MemoryJobStore
) -> None:
    folder.troubles = [StorageError("disk full")]
    with pytest.raises(StorageError, match="disk full"):
        await keeper.keep_bytes(WAV, "m1", 0)
    assert files(folder) == []
    await keeper.keep_bytes(WAV, "m1", 0)
    assert await store.asset_references.of_job("m1") == [f"{files(folder)[0][:2]}/{files(folder)[0]}"]


async def test_audio_of_a_deleted_job_is_not_kept(keeper: AudioKeeper, folder: FolderAssets) -> None:
    await keeper.delete_job("m1")
    with pytest.raises(JobNotFoundError):
        await keeper.keep_bytes(WAV, "m1", 0)
    assert files(folder) == []


async def test_audio_whose_bytes_are_being_removed_is_kept_under_another_name(
    keeper: AudioKeeper, folder: FolderAssets, store: MemoryJobStore
) -> None:
    """Another process is between the two steps of a removal: its deletion may come at any moment."""
    asset = await keeper.keep_bytes(WAV, "m1", 0)
    await store.asset_references.release("m1")
    assert await store.asset_references.begin_removal(asset.name)
    again = await keeper.keep_bytes(WAV, "m2", 0)
    await folder.delete(asset.name)
    await store.asset_references.end_removal(asset.name)
    assert again == attrs.evolve(asset, name=asset.name.replace(".wav", "-1.wav"))
    assert await read(keeper, Track(index=0, asset=again), None, "m2") == WAV


async def test_a_removal_that_was_broken_off_is_ended_later(
    keeper: AudioKeeper, folder: FolderAssets, store: MemoryJobStore
) -> None:
    asset = await keeper.keep_bytes(WAV, "m1", 0)
    await store.asset_references.release("m1")
    await store.asset_references.begin_removal(asset.name)
    await keeper.remove_unused()
    assert files(folder) == []
    assert await store.asset_references.unused("", 10) == []


async def test_audio_of_an_earlier_version_is_served_and_removed(
    keeper: AudioKeeper, folder: FolderAssets, store: MemoryJobStore
) -> None:
    old = Asset(name="m1/0.wav", kind="wav", content_type="audio/wav", size_bytes=len(WAV), duration_s=1.0)
    (folder.folder / "m1").mkdir()
    (folder.folder / old.name).write_bytes(WAV)
    job = make_job("m1")
    track = Track(index=0, asset=old)
    await store.replace(job, attrs.evolve(job, tracks=(track,)), [])
    assert await read(keeper, track, None) == WAV
    await keeper.delete_job("m1")
    assert not (folder.folder / old.name).exists()
    assert await store.get("m1") is None


# --- formats ---


async def test_audio_is_converted_on_demand_once(keeper: AudioKeeper, folder: FolderAssets) -> None:
    track = Track(index=0, asset=await keeper.keep_bytes(WAV, "m1", 0))
    assert await read(keeper, track, "wav") == WAV
    assert len(files(folder)) == 1
    first, second = await asyncio.gather(read(keeper, track, "flac"), read(keeper, track, "flac"))
    assert first is not None
    assert first == second
    facts = measure_bytes(first)
    assert facts.kind.value == "flac"
    assert facts.duration_s == pytest.approx(1.0, abs=0.05)
    assert len(files(folder)) == 2
    folder.troubles = [StorageError("it would be stored again")]
    assert await read(keeper, track, "flac") == first


async def test_no_conversion_is_made_of_a_conversion(keeper: AudioKeeper) -> None:
    original = await keeper.keep_bytes(WAV, "m1", 0)
    track = Track(index=0, asset=await keeper.finish(original, "mp3", None, "m1", 0), original=original)
    assert track.asset is not None
    assert track.asset.kind == "mp3"
    assert await read(keeper, track, "wav") == WAV
    assert await read(keeper, track, "original") == WAV
    lossless = await read(keeper, track, "flac")
    assert lossless is not None
    assert measure_bytes(lossless).sample_rate_hz == original.sample_rate_hz
    name = (await keeper.rendition(track, "flac", "m1") or pytest.fail("gone")).name
    assert name.startswith(original.name.removesuffix(".wav"))


async def test_conversions_are_removed_with_their_job(keeper: AudioKeeper, folder: FolderAssets) -> None:
    track = Track(index=0, asset=await keeper.keep_bytes(WAV, "m1", 0))
    await read(keeper, track, "flac")
    await keeper.release("m1")
    assert files(folder) == []
    assert await read(keeper, track, None) is None
    assert await read(keeper, track, "mp3") is None


async def test_a_job_whose_audio_is_gone_gets_no_references_again(
    keeper: AudioKeeper, store: MemoryJobStore
) -> None:
    track = Track(index=0, asset=await keeper.keep_bytes(WAV, "m1", 0))
    await keeper.release("m1")
    assert await read(keeper, track, "flac") is None
    assert await keeper.peaks(track, "m1") is None
    assert await store.asset_references.of_job("m1") == []


# --- pictures ---


async def test_peaks_are_found_once_and_removed_with_their_job(
    keeper: AudioKeeper, folder: FolderAssets, monkeypatch: pytest.MonkeyPatch
) -> None:
    track = Track(index=0, asset=await keeper.keep_bytes(WAV, "m1", 0))
    first, second = await asyncio.gather(keeper.peaks(track, "m1"), keeper.peaks(track, "m1"))
    assert first is not None
    assert first == second
    assert first.sample_rate_hz == 44_100
    assert 10_000 < len(first.pairs) <= 20_000
    monkeypatch.setattr("musicgate.gateway.audio_files.find_peaks", None)
    assert await keeper.peaks(track, "m1") == first
    assert files(folder) == [f"{track.asset.sha256}.{kind}" for kind in ("peaks.json", "wav") if track.asset]
    (folder.folder / files(folder)[0][:2] / files(folder)[0]).write_bytes(b"{}")
    with pytest.raises(StorageError, match="damaged"):
        await keeper.peaks(track, "m1")
    await keeper.release("m1")
    assert files(folder) == []


async def test_peaks_are_those_of_the_original(keeper: AudioKeeper) -> None:
    original = await keeper.keep_bytes(WAV, "m1", 0)
    made = await keeper.finish(original, "mp3", None, "m1", 0)
    track = Track(index=0, asset=made, original=original)
    assert await keeper.peaks(track, "m1") == await keeper.peaks(Track(index=0, asset=original), "m1")


async def test_bytes_that_are_stored_again_during_a_removal_stay(
    keeper: AudioKeeper, folder: FolderAssets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rounds of removing at once: the second must not remove what was kept after the first."""
    asset = await keeper.keep_bytes(WAV, "m1", 0)
    delete, deleted = folder.delete, asyncio.Event()

    async def slow(name: str) -> None:
        if deleted.is_set():
            await asyncio.sleep(0.05)
        deleted.set()
        await delete(name)

    monkeypatch.setattr(folder, "delete", slow)
    await keeper._references.release("m1")
    rounds = [asyncio.create_task(keeper.remove_unused()) for _ in range(2)]
    await rounds[0]
    again = await keeper.keep_bytes(WAV, "m2", 0)
    await rounds[1]
    assert await read(keeper, Track(index=0, asset=again), None, "m2") == WAV
    assert again.name == asset.name
