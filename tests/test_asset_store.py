"""The audio folder: kept audio is whole, measured and durable; no name leads out of the folder."""

import asyncio
import errno
import os
import shutil
import threading
import time
from pathlib import Path

import attrs
import pytest

from musicgate.assets import files
from musicgate.assets.audio import AudioFacts
from musicgate.assets.files import FileAssetStore, StagedFile
from musicgate.assets.measure import measure
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import NotAudioError, StorageError
from musicgate.model import Asset

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
async def test_kept_audio_is_measured_and_stored_under_its_name(
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
async def test_bytes_that_are_not_audio_are_not_kept(
    store: FileAssetStore, folder: Path, content: bytes
) -> None:
    with pytest.raises(NotAudioError):
        await keep(store, content)
    assert not (folder / "m1").exists()


async def test_keeping_a_track_again_replaces_it_even_in_another_format(
    store: FileAssetStore, folder: Path
) -> None:
    await keep(store, MP3)
    await keep(store, WAV, index=1)
    await keep(store, MP3, index=10)
    again = await keep(store, WAV)
    assert again.name == "m1/0.wav"
    assert tree(folder) == ["m1/0.wav", "m1/1.wav", "m1/10.mp3"]


async def test_a_failed_second_keep_leaves_the_first_one(store: FileAssetStore, folder: Path) -> None:
    asset = await keep(store, MP3)
    with pytest.raises(NotAudioError):
        await keep(store, b"oops")
    assert (folder / asset.name).read_bytes() == MP3


def test_concurrent_downloads_of_one_track_have_a_file_each(store: FileAssetStore, folder: Path) -> None:
    first, second = store.stage("m1", 0), store.stage("m1", 0)
    assert first.path != second.path
    assert first.path.parents[1] == second.path.parents[1] == folder / ".staging"


def test_a_discarded_file_is_gone_and_may_be_discarded_again(store: FileAssetStore, folder: Path) -> None:
    staged = store.stage("m1", 0)
    staged.path.write_bytes(b"half")
    store.discard(staged)
    store.discard(staged)
    assert list((folder / ".staging").iterdir()) == []
    with pytest.raises(FileNotFoundError):
        staged.path.write_bytes(b"from a late thread")


async def test_staged_files_that_a_crash_left_are_removed_at_a_later_start(
    store: FileAssetStore, folder: Path
) -> None:
    asset = await keep(store, MP3)
    stale = store.stage("m2", 0).path
    stale.write_bytes(b"half")
    old = folder / ".staging" / "a file of an earlier version"
    old.touch()
    for path in (stale.parent, old):
        os.utime(path, (time.time() - 3601,) * 2)
    reopened = FileAssetStore(folder)
    assert tree(folder) == ["m1/0.mp3"]
    assert reopened.local_path(asset) is not None
    assert (await keep(reopened, MP3, "m2")).name == "m2/0.mp3"


async def test_a_file_that_another_process_is_writing_is_not_removed(
    store: FileAssetStore, folder: Path
) -> None:
    other = store.stage("m2", 0).path
    FileAssetStore(folder)
    assert other.exists()


async def test_audio_is_flushed_before_it_is_renamed_and_its_folders_after(
    store: FileAssetStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    replace, flush, fsync = Path.replace, files._flush, os.fsync

    def recorded_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    def recorded_flush(path: Path) -> None:
        steps.append("staged file" if path.is_file() else path.name)
        flush(path)

    def recorded_fsync(handle: int) -> None:
        steps.append("fsync")
        fsync(handle)

    monkeypatch.setattr(Path, "replace", recorded_replace)
    monkeypatch.setattr(files, "_flush", recorded_flush)
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    await keep(store, MP3)
    assert steps == ["staged file", "fsync", "rename", "m1", "fsync", folder.name, "fsync"]


def staging(folder: Path) -> list[Path]:
    return list((folder / ".staging").iterdir())


async def test_a_kept_wav_gets_correct_sizes_in_its_header(store: FileAssetStore, folder: Path) -> None:
    unknown = b"\xff\xff\xff\x7f"
    asset = await keep(store, WAV[:4] + unknown + WAV[8:40] + unknown + WAV[44:])
    assert (asset.size_bytes, asset.duration_s) == (len(WAV), 1.0)
    assert (folder / asset.name).read_bytes() == WAV
    assert b"".join(await pieces(store, asset, 0, asset.size_bytes)) == WAV


@pytest.mark.parametrize("error", [ValueError, MemoryError, asyncio.CancelledError, None])
async def test_no_staged_file_is_left_whatever_is_raised(
    store: FileAssetStore, folder: Path, error: type[BaseException] | None
) -> None:
    async def work() -> None:
        async with store.staged("m1", 0) as staged:
            await store.fill(staged, WAV)
            if error:
                raise error
            await store.keep(staged, "m1", 0)

    if error:
        with pytest.raises(error):
            await work()
    else:
        await work()
    assert staging(folder) == []
    assert tree(folder) == ([] if error else ["m1/0.wav"])


async def test_a_staged_file_that_cannot_be_removed_hides_no_error(
    store: FileAssetStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Path, *, missing_ok: bool) -> None:
        raise PermissionError(errno.EACCES, "no")

    async def work() -> None:
        async with store.staged("m1", 0):
            monkeypatch.setattr(Path, "unlink", refuse)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert "staged file not removed: path=" in caplog.text


async def test_discarding_removes_a_file_that_a_late_thread_creates_again(
    store: FileAssetStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged, remove, times = store.stage("m1", 0), Path.rmdir, [0]

    def late(path: Path) -> None:
        times[0] += 1
        if times[0] < 3:
            (path / "audio").touch()
        remove(path)

    monkeypatch.setattr(Path, "rmdir", late)
    store.discard(staged)
    assert staging(folder) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), MemoryError()])
def test_failing_to_stage_a_file_leaves_nothing(
    store: FileAssetStore, folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises((StorageError, MemoryError)):
        store.stage("m1", 0)
    assert staging(folder) == []


async def test_a_cancelled_keep_waits_for_its_thread_and_keeps_nothing(
    store: FileAssetStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = await keep(store, MP3)
    started, resume = threading.Event(), threading.Event()
    done: list[str] = []

    def slow(path: Path) -> AudioFacts:
        started.set()
        assert resume.wait(10)
        done.append("measured")
        return measure(path)

    monkeypatch.setattr(files, "measure_and_repair", slow)

    async def work() -> None:
        async with store.staged("m1", 0) as staged:
            await store.fill(staged, WAV)
            await store.keep(staged, "m1", 0)

    keeping = asyncio.create_task(work())
    await asyncio.to_thread(started.wait, 10)
    for _ in range(3):
        keeping.cancel()
        await asyncio.sleep(0)
    assert not keeping.done()
    resume.set()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert done == ["measured"]
    assert tree(folder) == [earlier.name]
    assert staging(folder) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files as Linux lists them")
async def test_errors_leave_no_file_open(store: FileAssetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "broken")

    def opened() -> list[str]:
        return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only the names are wanted

    await keep(store, WAV)  # starts the thread
    before = opened()
    for content in (b"", b"oops", WAV[:-1], MP3[:-1]):
        with pytest.raises(NotAudioError):
            await keep(store, content)
    for function in ("os.fsync", "os.open", "pathlib.Path.open"):
        with monkeypatch.context() as broken:
            broken.setattr(function, refuse)
            with pytest.raises((StorageError, OSError)):
                await keep(store, WAV)
    assert opened() == before


async def test_audio_that_cannot_be_written_is_a_storage_error(store: FileAssetStore) -> None:
    staged = store.stage("m1", 0)
    store.discard(staged)
    with pytest.raises(StorageError, match="the audio folder failed: No such file"):
        await store.fill(staged, WAV)


async def test_any_range_is_read_in_pieces(store: FileAssetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = await keep(store, MP3)
    assert b"".join(await pieces(store, asset, 0, len(MP3))) == MP3
    monkeypatch.setattr(files, "_PIECE_BYTES", 100)
    assert await pieces(store, asset, 10, 250) == [MP3[10:110], MP3[110:210], MP3[210:250]]
    assert await pieces(store, asset, 10, 11) == [MP3[10:11]]
    assert await pieces(store, asset, 10, 10) == []


async def test_a_reader_that_stops_early_leaves_no_open_file(store: FileAssetStore) -> None:
    asset = await keep(store, MP3)
    reading = store.read(asset, 0, len(MP3))
    await anext(reading)
    await reading.aclose()  # type: ignore[attr-defined] # an async generator, which the port does not promise


async def test_reading_missing_or_truncated_audio_is_a_storage_error(
    store: FileAssetStore, folder: Path
) -> None:
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


async def test_keeping_a_missing_staged_file_is_a_storage_error(store: FileAssetStore) -> None:
    staged = store.stage("m1", 0)
    staged.path.unlink()
    with pytest.raises(StorageError, match="the audio folder failed: No such file"):
        await store.keep(staged, "m1", 0)


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone"), OSError(errno.ENOTEMPTY, "not empty")])
async def test_audio_is_removed_although_another_caller_changes_the_folder(
    store: FileAssetStore, folder: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    await keep(store, WAV)
    remove, errors = shutil.rmtree, [error, error]

    def disturbed(path: Path) -> None:
        if errors:
            raise errors.pop()
        remove(path)

    monkeypatch.setattr("musicgate.assets.files.shutil.rmtree", disturbed)
    await store.delete("m1")
    assert tree(folder) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOTEMPTY])
async def test_audio_that_cannot_be_removed_is_a_storage_error(
    store: FileAssetStore, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    await keep(store, WAV)

    def refuse(_: Path) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr("musicgate.assets.files.shutil.rmtree", refuse)
    with pytest.raises(StorageError, match="the audio folder failed: no"):
        await store.delete("m1")


async def test_concurrent_deletes_of_a_job_succeed(store: FileAssetStore, folder: Path) -> None:
    for round_ in range(20):
        for index in range(4):
            await keep(store, WAV, f"m{round_}", index)
        await asyncio.gather(*(store.delete(f"m{round_}") for _ in range(4)))
    assert tree(folder) == []
