"""Objects as files in one folder. It knows paths and disks, and must not know what the files are.

    <folder>/.staging/<any>.part    being written
    <folder>/<name>                 stored

An object appears under its name whole or not at all: it is written under another name, flushed to the disk,
and then renamed; then its folder is flushed, too. (obstore 0.12 has a store for folders, which renames as
well but flushes nothing: after a loss of power the name can be there without its bytes.) Several processes
may share a folder. Staged files older than an hour are leftovers of a crash, and are removed when a store is
opened.
"""

import contextlib
import errno
import os
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from musicgate.aio import run_to_end
from musicgate.assets.port import StoredObject, check_name, is_name
from musicgate.errors import StorageError

_STAGING: Final = ".staging"
#: Older staged files are leftovers of a crash: no copy takes as long.
_STALE_S: Final = 3600.0
#: Size of each piece that is copied.
_COPY_BYTES: Final = 1024 * 1024
#: Size of each piece that is read for a listener: 50 of them take 6 MB.
_PIECE_BYTES: Final = 32 * 1024
#: What does not pass by itself, as a full disk may.
_REFUSALS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST})
#: Files that are listed in one go, on a thread.
_LISTED_AT_ONCE: Final = 500


class FolderObjects:
    """An `ObjectStore` in a local folder, which is created when it is needed."""

    def __init__(self, folder: Path) -> None:
        """Use the folder, and remove half-written files that a crashed process left in it."""
        self._folder = folder
        _sweep(folder / _STAGING)

    async def put(self, name: str, source: Path, content_type: str) -> None:
        """Copy a file, flush it to the disk, and rename it; see `ObjectStore.put`."""
        with self._explained(f"store {name}"):
            await run_to_end(_put, source, self._folder, check_name(name))

    async def size(self, name: str) -> int | None:
        """Size of an object in bytes, or None if there is none of that name."""
        with self._explained(f"look for {name}"):
            return await run_to_end(_size, self._path_of(name))

    async def read(self, name: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from ``start`` up to, not including, ``stop``, in pieces; see `ObjectStore.read`."""
        path = self._path_of(name)
        with self._explained(f"read {name}", path):
            for at in range(start, stop, _PIECE_BYTES):
                # Opened for each piece: a listener who pauses, or a thousand of them, hold no file open.
                # And filled there only: each thread of glibc's has a heap of its own, and fifty pieces from
                # all of them took 15 MB instead of 2.
                piece = bytearray(min(_PIECE_BYTES, stop - at))
                if await run_to_end(_read, path, at, piece) < len(piece):
                    raise StorageError(
                        f"cannot read {name}: the object in the folder {self._folder} is shorter than it was"
                    )
                yield bytes(piece)

    async def fetch(self, name: str, target: Path) -> None:
        """Copy an object to a local file; see `ObjectStore.fetch`."""
        path = self._path_of(name)
        try:
            with self._explained(f"read {name}", path):
                await run_to_end(_copy, path, target)
        except BaseException:
            with contextlib.suppress(OSError):
                _remove(target)
            raise

    async def delete(self, name: str) -> None:
        """Remove an object; nothing happens if there is none."""
        with self._explained(f"remove {name}"):
            await run_to_end(_remove, self._path_of(name))

    async def link(self, name: str, *, lifetime_s: int, content_type: str, disposition: str) -> str | None:
        """Return None: no link leads into a folder."""
        check_name(name)
        return None

    async def objects(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """All objects below a folder of names; see `ObjectStore.objects`."""
        files = _files(self._folder, check_name(prefix) if prefix else "")
        with self._explained("list objects"):
            while batch := await run_to_end(_next, files):
                for stored in batch:
                    yield stored

    def local_path(self, name: str) -> Path | None:
        """Path of the object, or None when it is gone."""
        path = self._path_of(name)
        return path if path.is_file() else None

    async def check(self) -> None:
        """Write, flush and remove a small file; see `ObjectStore.check`."""
        with self._explained("write to the store"):
            await run_to_end(_probe, self._folder / _STAGING)

    async def close(self) -> None:
        """Do nothing: a folder holds nothing open."""

    def _path_of(self, name: str) -> Path:
        return self._folder / check_name(name)

    @contextlib.contextmanager
    def _explained(self, doing: str, path: Path | None = None) -> Iterator[None]:
        """Turn errors of the disk into a `StorageError`; a missing ``path`` means that there is no object."""
        try:
            yield
        except OSError as exc:
            if path is not None and isinstance(exc, FileNotFoundError) and exc.filename == str(path):
                raise StorageError(f"cannot {doing}: the folder {self._folder} has no such object") from exc
            reason = exc.strerror or str(exc)
            message = f"cannot {doing}: the folder {self._folder} failed: {reason}"
            raise StorageError(message, is_refusal=exc.errno in _REFUSALS) from exc


def _read(path: Path, start: int, piece: bytearray) -> int:
    """Fill a piece with the bytes of a file; how many there were: fewer only at its end."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        rest = memoryview(piece)
        while rest and (count := file.readinto(rest)):
            rest = rest[count:]
        return len(piece) - len(rest)


def _sweep(staging: Path) -> None:
    for path in staging.glob("*"):
        with contextlib.suppress(OSError):  # another process removes it, too
            if time.time() - path.stat().st_mtime > _STALE_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def _staged(staging: Path) -> Iterator[Path]:
    """Path of a new file that is being written; removed at the end unless it was renamed."""
    staging.mkdir(parents=True, exist_ok=True)
    path = staging / f"{secrets.token_hex(8)}.part"
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):  # one that cannot be removed is removed at a later start
            path.unlink(missing_ok=True)


def _put(source: Path, folder: Path, name: str) -> None:
    stored = folder / name
    with _staged(folder / _STAGING) as staged:
        _copy(source, staged)
        _flush(staged)
        stored.parent.mkdir(parents=True, exist_ok=True)
        staged.replace(stored)
    # A rename is durable only once its folder is flushed, and a new folder only once its parent is.
    for parent in stored.parents:
        _flush(parent)
        if parent == folder:
            break


def _copy(source: Path, target: Path) -> None:
    # The writer is buffered, since an unbuffered one may write a part, which copyfileobj takes for all.
    with source.open("rb", buffering=0) as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, _COPY_BYTES)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except FileNotFoundError:  # removed in between
        return None


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _files(folder: Path, prefix: str) -> Iterator[StoredObject]:
    """All files below a folder of names, whatever others create and remove meanwhile."""
    for home, subfolders, names in os.walk(folder / prefix, onerror=_unless_gone):
        subfolders[:] = [
            name for name in subfolders if is_name(name)
        ]  # neither .staging nor lost+found's like
        for file_name in names:
            path = Path(home, file_name)
            name = path.relative_to(folder).as_posix()
            with contextlib.suppress(FileNotFoundError):
                if is_name(name):
                    facts = path.stat(follow_symlinks=False)
                    modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
                    yield StoredObject(name=name, size_bytes=facts.st_size, modified_at=modified_at)


def _unless_gone(error: OSError) -> None:
    if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
        raise error


def _next(files: Iterator[StoredObject]) -> list[StoredObject]:
    return list(islice(files, _LISTED_AT_ONCE))


def _probe(staging: Path) -> None:
    with _staged(staging) as path:
        path.write_bytes(b"musicgate")
        _flush(path)
        path.read_bytes()


def _flush(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open a folder, and flushes renames by itself.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
