"""Files that are being written, before they are kept or thrown away. It knows paths and disks only.

    <folder>/<job id>-<index>-<any>/audio      being written
    <folder>, "rescued"/<job id>-<index>       what no store took

Each has a folder of its own: once that is removed, a late thread can create nothing in it. What is older than
an hour is a leftover of a crash, and is removed when the folder is opened.
"""

import contextlib
import errno
import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from musicgate.errors import StorageError

_log = logging.getLogger(__name__)

#: Ids that may become part of a path: they cannot lead out of the folder.
_JOB_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
#: Older files are leftovers of a crash: a download is aborted much earlier.
_STALE_S: Final = 3600.0
#: Attempts at removing a folder in which others create and remove files.
_MAX_RACES: Final = 10


class Staging:
    """A folder for files that are being written; it is created when it is needed."""

    def __init__(self, folder: Path) -> None:
        """Use the folder, and remove what a crashed process left in it."""
        self._folder = folder
        _sweep(folder)

    @contextlib.contextmanager
    def file(self, job_id: str, index: int) -> Iterator[Path]:
        """An empty file for a track's audio, with a folder of its own; both are removed at the end.

        Raises:
            StorageError: it cannot be created.
        """
        if not _JOB_ID.fullmatch(job_id):
            raise StorageError(f"no audio can be kept for a job with the id {job_id!r}")
        try:
            path = _new_file(self._folder, f"{job_id}-{index}-")
        except OSError as exc:
            raise StorageError(f"the audio folder failed: {exc.strerror or exc}") from exc
        try:
            yield path
        finally:
            try:
                _remove(path.parent)
            except OSError as exc:  # must not hide the error that the caller is handling
                _log.warning("staged file not removed: path=%s reason=%s", path, exc.strerror or exc)

    def rescue(self, job_id: str, index: int, content: bytes) -> Path:
        """Write audio that no store takes beside the folder, where nothing removes it.

        Raises:
            StorageError: this disk takes it neither.
        """
        rescued = self._folder.with_name(self._folder.name.replace("incoming", "rescued"))
        path = rescued / f"{job_id}-{index}"
        try:
            rescued.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as exc:
            raise StorageError(f"the audio folder failed: {exc.strerror or exc}") from exc
        return path


def _sweep(folder: Path) -> None:
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):  # another process removes it, too
            if time.time() - path.stat().st_mtime > _STALE_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _new_file(folder: Path, prefix: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
    path = own / "audio"
    try:
        path.touch(mode=0o600, exist_ok=False)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove(own)
        raise
    return path


def _remove(folder: Path) -> None:
    """Remove a staged file's folder, although a late thread may create a file in it meanwhile."""
    for _ in range(_MAX_RACES):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:
                raise
        else:
            return
    shutil.rmtree(folder)
