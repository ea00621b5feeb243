"""The audio folder: what is kept is whole, measured and durable; nothing can lead out of the folder."""

import asyncio
import errno
import os
import shutil
import time
from pathlib import Path

import attrs
import pytest

from musicgate.adapters import files
from musicgate.adapters.files import FileAssetStore, StagedFile
from musicgate.audio import NotAudioError
from musicgate.errors import StorageError
from musicgate.model import Asset
from musicgate.testing.tones import AudioFormat, Container, song

MP3 = song(AudioFormat(container=Container.MP3), 2.0)
WAV = song(AudioFormat(container=Container.WAV), 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audio"


@pytest.fixture
def store(folder: Path) -> FileAssetStore:
    return FileAssetStore(folder)


async def keep(store: FileAssetStore, content: bytes, job_id: str = "m1", index: int = 0) -> Asset:
    staged = store.stage(job_id, index)
    staged.path.write_bytes(content)
    return await store.keep(staged, job_id, index)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def pieces(store: FileAssetStore, asset: Asset, start: int, stop: int) -> list[bytes]:
    return [piece async for piece in store.read(asset, start, stop)]


@pytest.mark.parametrize(
    "content, name, kind, content_type, duration_s",
    [(MP3, "m1/0.mp3", "mp3", "audio/mpeg", 2.0), (WAV, "m1/0.wav", "wav", "audio/wav", 1.0)],
)
async def test_kept_audio_is_measured_and_lies_under_its_name(
    store: FileAssetStore,
    folder: Path,
    content: bytes,
    name: str,
    kind: str,
    content_type: str,
    duration_s: float,
) -> None:
    asset = await keep(store, content)
    assert attrs.evolve(asset, duration_s=0.0) == Asset(
        name=name, kind=kind, content_type=content_type, size_bytes=len(content), duration_s=0.0
    )
    assert type(asset.kind) is str
    assert asset.duration_s == pytest.approx(duration_s, abs=0.05)
    assert tree(folder) == [name]
    assert store.local_path(asset) == folder / name
    assert (folder / name).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x00" * 5000, WAV[: len(WAV) // 2]])
async def test_what_is_no_audio_is_not_kept(store: FileAssetStore, folder: Path, content: bytes) -> None:
    with pytest.raises(NotAudioError):
        await keep(store, content)
    assert not (folder / "m1").exists()


async def test_keeping_a_track_again_replaces_it_whatever_its_kind(
    store: FileAssetStore, folder: Path
) -> None:
    await keep(store, MP3)
    await keep(store, WAV, index=1)
    await keep(store, MP3, index=10)
    again = await keep(store, WAV)
    assert again.name == "m1/0.wav"
    assert tree(folder) == ["m1/0.wav", "m1/1.wav", "m1/10.mp3"]


async def test_a_failed_second_try_leaves_the_first_one(store: FileAssetStore, folder: Path) -> None:
    asset = await keep(store, MP3)
    with pytest.raises(NotAudioError):
        await keep(store, b"oops")
    assert (folder / asset.name).read_bytes() == MP3


def test_two_tries_at_one_track_have_a_file_each(store: FileAssetStore, folder: Path) -> None:
    first, second = store.stage("m1", 0), store.stage("m1", 0)
    assert first.path != second.path
    assert first.path.parent == second.path.parent == folder / ".staging"


def test_a_discarded_file_is_gone_and_may_be_discarded_again(store: FileAssetStore, folder: Path) -> None:
    staged = store.stage("m1", 0)
    staged.path.write_bytes(b"half")
    store.discard(staged)
    store.discard(staged)
    assert tree(folder) == []


async def test_what_a_crash_left_half_written_is_swept_at_the_next_start(
    store: FileAssetStore, folder: Path
) -> None:
    asset = await keep(store, MP3)
    stale = store.stage("m2", 0).path
    stale.write_bytes(b"half")
    os.utime(stale, (time.time() - 3601,) * 2)
    reopened = FileAssetStore(folder)
    assert tree(folder) == ["m1/0.mp3"]
    assert reopened.local_path(asset) is not None
    assert (await keep(reopened, MP3, "m2")).name == "m2/0.mp3"


async def test_what_another_process_is_filling_is_not_swept(store: FileAssetStore, folder: Path) -> None:
    filling = store.stage("m2", 0).path
    FileAssetStore(folder)
    assert filling.exists()


async def test_a_song_is_on_the_disk_before_it_has_its_name(
    store: FileAssetStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    replace, write_through, fsync = Path.replace, files._write_through, os.fsync

    def noted_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    def noted_write_through(path: Path) -> None:
        steps.append(path.parent.name if path.is_file() else path.name)
        write_through(path)

    def noted_fsync(handle: int) -> None:
        steps.append("fsync")
        fsync(handle)

    monkeypatch.setattr(Path, "replace", noted_replace)
    monkeypatch.setattr(files, "_write_through", noted_write_through)
    monkeypatch.setattr(os, "fsync", noted_fsync)
    await keep(store, MP3)
    assert steps == [".staging", "fsync", "rename", "m1", "fsync", folder.name, "fsync"]


async def test_any_range_is_read_in_pieces(store: FileAssetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = await keep(store, MP3)
    assert b"".join(await pieces(store, asset, 0, len(MP3))) == MP3
    monkeypatch.setattr(files, "_PIECE_BYTES", 100)
    assert await pieces(store, asset, 10, 250) == [MP3[10:110], MP3[110:210], MP3[210:250]]
    assert await pieces(store, asset, 10, 11) == [MP3[10:11]]
    assert await pieces(store, asset, 10, 10) == []


async def test_a_reader_that_goes_away_leaves_no_open_file(store: FileAssetStore) -> None:
    asset = await keep(store, MP3)
    reading = store.read(asset, 0, len(MP3))
    await anext(reading)
    await reading.aclose()  # type: ignore[attr-defined] # an async generator, which the port does not promise


async def test_a_song_that_is_gone_or_cut_is_a_storage_error(store: FileAssetStore, folder: Path) -> None:
    asset = await keep(store, MP3)
    (folder / asset.name).write_bytes(MP3[:50])
    with pytest.raises(StorageError, match=r"the audio m1/0\.mp3 is shorter than it was"):
        await pieces(store, asset, 0, len(MP3))
    (folder / asset.name).unlink()
    assert store.local_path(asset) is None
    with pytest.raises(StorageError, match="No such file"):
        await pieces(store, asset, 0, len(MP3))


async def test_deleting_a_job_removes_its_audio_only(store: FileAssetStore, folder: Path) -> None:
    await keep(store, MP3, "m1", 0)
    await keep(store, MP3, "m1", 1)
    await keep(store, MP3, "m10", 0)
    await store.delete("m1")
    await store.delete("m1")
    assert tree(folder) == ["m10/0.mp3"]


@pytest.mark.parametrize(
    "job_id", ["", ".", "..", "../x", "a/b", "a\\b", ".staging", "a\x00b", "/etc", "ü", "a\n"]
)
async def test_no_job_id_leads_out_of_the_folder(store: FileAssetStore, tmp_path: Path, job_id: str) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(StorageError, match="no audio can be kept"):
        store.stage(job_id, 0)
    with pytest.raises(StorageError, match="no audio can be kept"):
        await store.keep(StagedFile(path=tmp_path / "file"), job_id, 0)
    with pytest.raises(StorageError, match="no audio can be kept"):
        await store.delete(job_id)
    assert (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "name",
    ["../secret.mp3", "m1/../../secret.mp3", "/etc/passwd", ".staging/0.mp3", "m1/0", "m1/0.mp3/x", ""],
)
async def test_no_asset_name_leads_out_of_the_folder(
    store: FileAssetStore, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret.mp3").write_bytes(MP3)
    asset = Asset(name=name, kind="mp3", content_type="audio/mpeg", size_bytes=1, duration_s=1.0)
    assert store.local_path(asset) is None
    with pytest.raises(StorageError, match="no audio can have the name"):
        await pieces(store, asset, 0, 1)


async def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = FileAssetStore(tmp_path / "file")
    with pytest.raises(StorageError, match="the audio folder failed: Not a directory"):
        store.stage("m1", 0)


async def test_a_staged_file_that_vanished_is_a_storage_error(store: FileAssetStore) -> None:
    staged = store.stage("m1", 0)
    staged.path.unlink()
    with pytest.raises(StorageError, match="the audio folder failed: No such file"):
        await store.keep(staged, "m1", 0)


@pytest.mark.parametrize("trouble", [FileNotFoundError(2, "gone"), OSError(errno.ENOTEMPTY, "not empty")])
async def test_audio_is_removed_although_somebody_else_works_on_it(
    store: FileAssetStore, folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: OSError
) -> None:
    await keep(store, WAV)
    remove, troubles = shutil.rmtree, [trouble, trouble]

    def disturbed(path: Path) -> None:
        if troubles:
            raise troubles.pop()
        remove(path)

    monkeypatch.setattr("musicgate.adapters.files.shutil.rmtree", disturbed)
    await store.delete("m1")
    assert tree(folder) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOTEMPTY])
async def test_audio_that_cannot_be_removed_is_told(
    store: FileAssetStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    await keep(store, WAV)

    def refuse(_: Path) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr("musicgate.adapters.files.shutil.rmtree", refuse)
    with pytest.raises(StorageError, match="the audio folder failed: no"):
        await store.delete("m1")


async def test_deletes_at_the_same_time_are_no_trouble(store: FileAssetStore, folder: Path) -> None:
    for round_ in range(20):
        for index in range(4):
            await keep(store, WAV, f"m{round_}", index)
        await asyncio.gather(*(store.delete(f"m{round_}") for _ in range(4)))
    assert tree(folder) == []
