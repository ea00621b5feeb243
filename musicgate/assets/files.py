"""Audio as files in one folder. It knows paths and disks, and leaves formats to `measure`.

    <folder>/.staging/<any>/audio    being written
    <folder>/<job id>/<index>.mp3    kept

A track appears under its name whole or not at all: it is written under another name, measured, its header is
made to agree with its body, it is flushed to the disk, and then renamed. Processes with stores of their own
may share one folder, since job ids are unique. Staged files older than an hour are leftovers of a crash, and
are removed when a store is opened.

A cancelled caller waits until its thread has finished. A staged file has a folder of its own: once that is
removed, a late thread can create nothing in it.
"""

import asyncio
import contextlib
import errno
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, TypeVar

import attrs

from musicgate.aio import run_to_end
from musicgate.assets.audio import content_type, extension
from musicgate.assets.measure import measure_and_repair
from musicgate.assets.port import StagedAudio
from musicgate.errors import StorageError
from musicgate.model import Asset

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_STAGING: Final = ".staging"
#: Ids and names that may become part of a path: they can lead neither out of the folder nor into the staging
#: folder.
_JOB_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_NAME: Final = re.compile(rf"{_JOB_ID.pattern}/[0-9]+\.[a-z0-9]+")
#: Older staged files are leftovers of a crash: a download is aborted much earlier.
_STALE_S: Final = 3600.0
#: Attempts at removing a folder in which others create and remove files.
_MAX_RACES: Final = 10
#: Size of each read, on a thread.
_PIECE_BYTES: Final = 256 * 1024


@attrs.frozen(kw_only=True)
class StagedFile:
    """A file that is being written."""

    path: Path


class FileAssetStore:
    """Audio in a local folder, which is created if it is missing."""

    def __init__(self, folder: Path) -> None:
        """Use the folder, and remove half-written files that a crashed process left in it."""
        self._folder = folder
        self._staging = folder / _STAGING
        _sweep(self._staging)

    def stage(self, job_id: str, index: int) -> StagedFile:
        """Create an empty file to write a track's audio to.

        Raises:
            StorageError: it cannot be created.
        """
        prefix = f"{self._folder_of(job_id).name}-{index}-"
        return StagedFile(path=_on_disk(lambda: _new_file(self._staging, prefix)))

    @contextlib.asynccontextmanager
    async def staged(self, job_id: str, index: int) -> AsyncIterator[StagedAudio]:
        """Create an empty file to write a track's audio to, and remove it at the end unless it was kept.

        Raises:
            StorageError: it cannot be created.
        """
        staged = self.stage(job_id, index)
        try:
            yield staged
        finally:
            self.discard(staged)

    async def fill(self, staged: StagedAudio, content: bytes) -> None:
        """Write audio that is in memory to a staged file.

        Raises:
            StorageError: the disk is full, read-only or broken.
        """
        await run_to_end(_on_disk, lambda: staged.path.write_bytes(content))

    async def keep(self, staged: StagedAudio, job_id: str, index: int) -> Asset:
        """Measure the staged audio and keep it durably; keeping the same track again replaces it.

        A cancelled caller waits until the file is kept, or until it is certain that it will not be.

        Raises:
            NotAudioError: it is not audio that plays; nothing is kept.
            StorageError: the disk is full, read-only or broken.
        """
        home = self._folder_of(job_id)
        caller = asyncio.current_task()
        before = caller.cancelling() if caller else 0

        def is_cancelled() -> bool:
            return caller is not None and caller.cancelling() > before

        return await run_to_end(_on_disk, lambda: _keep(staged.path, home, index, is_cancelled))

    def discard(self, staged: StagedAudio) -> None:
        """Remove a staged file if it exists. One that cannot be removed is removed at a later start."""
        try:
            _discard(staged.path, self._staging)
        except OSError as exc:  # must not hide the error that the caller is handling
            _log.warning("staged file not removed: path=%s reason=%s", staged.path, exc.strerror or exc)

    def local_path(self, asset: Asset) -> Path | None:
        """Path of the asset, or None when it is gone."""
        path = self._path_of(asset)
        return path if path is not None and path.is_file() else None

    async def read(self, asset: Asset, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``stop``, in pieces.

        Raises:
            StorageError: the file is gone, or shorter than it was.
        """
        path = self._path_of(asset)
        if path is None:
            raise StorageError(f"no audio can have the name {asset.name!r}")
        # Opened here and not on a thread: a cancelled caller could not close a file that a thread opens.
        with _on_disk(lambda: path.open("rb", buffering=0)) as file:
            await run_to_end(file.seek, start)
            left = stop - start
            while left > 0:
                size = min(left, _PIECE_BYTES)
                piece = await run_to_end(_on_disk, lambda size=size: file.read(size))
                if not piece:
                    raise StorageError(f"the audio {asset.name} is shorter than it was")
                left -= len(piece)
                yield piece

    async def delete(self, job_id: str) -> None:
        """Remove all audio of a job; nothing happens if there is none.

        Raises:
            StorageError: it cannot be removed.
        """
        home = self._folder_of(job_id)
        await run_to_end(_on_disk, lambda: _remove(home))

    def _folder_of(self, job_id: str) -> Path:
        if not _JOB_ID.fullmatch(job_id):
            raise StorageError(f"no audio can be kept for a job with the id {job_id!r}")
        return self._folder / job_id

    def _path_of(self, asset: Asset) -> Path | None:
        return self._folder / asset.name if _NAME.fullmatch(asset.name) else None


def _sweep(staging: Path) -> None:
    for path in staging.glob("*"):
        with contextlib.suppress(OSError):  # another process removes it, too
            if time.time() - path.stat().st_mtime > _STALE_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _on_disk(action: Callable[[], _T]) -> _T:
    try:
        return action()
    except OSError as exc:
        raise StorageError(f"the audio folder failed: {exc.strerror or exc}") from exc


def _remove(home: Path) -> None:
    """Remove a job's folder, although another caller may remove it, too, or add a track meanwhile."""
    for _ in range(_MAX_RACES):
        try:
            shutil.rmtree(home)
        except FileNotFoundError:
            if not home.exists():
                return
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:
                raise
        else:
            return
    shutil.rmtree(home)


def _new_file(folder: Path, prefix: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=folder)) / "audio"
    try:
        path.touch(mode=0o600, exist_ok=False)
    except BaseException:
        with contextlib.suppress(OSError):
            _discard(path, folder)
        raise
    return path


def _discard(path: Path, staging: Path) -> None:
    """Remove a staged file and its folder, although a late thread may create the file again."""
    for _ in range(_MAX_RACES):
        path.unlink(missing_ok=True)
        if path.parent.parent != staging:
            return
        try:
            path.parent.rmdir()
        except FileNotFoundError:
            return
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:
                raise
        else:
            return
    shutil.rmtree(path.parent)


def _keep(staged: Path, home: Path, index: int, is_cancelled: Callable[[], bool]) -> Asset:
    facts = measure_and_repair(staged)
    _flush(staged)
    if is_cancelled():
        raise StorageError("the caller was cancelled before the audio was kept")
    home.mkdir(exist_ok=True)
    kept = home / f"{index}{extension(facts.kind)}"
    staged.replace(kept)
    with contextlib.suppress(OSError):  # removed at a later start if this fails
        _discard(staged, home.parent / _STAGING)
    # A rename is durable only once its folder is flushed, and a new folder only once its parent is.
    _flush(home)
    _flush(home.parent)
    for older in home.glob(f"{index}.*"):
        if older != kept:
            older.unlink()
    return Asset(
        name=f"{home.name}/{kept.name}",
        kind=facts.kind.value,
        content_type=content_type(facts.kind),
        size_bytes=facts.size_bytes,
        duration_s=facts.duration_s,
    )


def _flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder, and flushes renames by itself.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
