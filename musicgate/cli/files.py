"""Writes audio files under the requested name, with the extension of the real format."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from musicgate.assets import (
    SNIFF_BYTES,
    AudioKind,
    extension,
    sniff,
)
from musicgate.errors import NotAudioError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULT_STEM = "song"
_ENDINGS = frozenset(extension(kind) for kind in AudioKind)
#: Longest suffix for further tracks and names that are taken.
_LONGEST_NUMBER = "-999"
#: Does not contain the name, so that it fits wherever the name does.
_STAGING_PREFIX, _STAGING_SUFFIX = ".musicgate-", ".part"


@attrs.frozen(kw_only=True)
class Target:
    """Where the files of one job go.

    Attributes:
        folder: An existing, writable folder.
        stem: Name without extension; further tracks get ``-2``, ``-3``, ...
        ending: The requested audio extension, or "".
        force: Overwrite existing files.
    """

    folder: Path
    stem: str
    ending: str = ""
    force: bool = False


def find_target(output: str | None, *, force: bool) -> Target:
    """Check ``--output`` before anything is paid for.

    Raises:
        click.UsageError: The folder does not exist or cannot be written, or the name is too long for it.
    """
    path = Path(output) if output else Path(_DEFAULT_STEM)
    is_folder = _is_folder(path) or bool(output and output.endswith(("/", os.sep)))
    folder, name = (path, _DEFAULT_STEM) if is_folder else (path.parent, path.name)
    if not _is_folder(folder):
        raise click.UsageError(f"--output {output}: there is no folder {folder}.")
    _check_writable(folder, output)
    ending = Path(name).suffix.lower()
    known = ending in _ENDINGS and name != ending
    stem = name[: -len(ending)] if known else name
    _check_length(folder, stem)
    return Target(folder=folder, stem=stem, ending=ending if known else "", force=force)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # for example, a name that is too long
        return False


def _check_writable(folder: Path, output: str | None) -> None:
    """Write and remove a file: permissions do not show read-only file systems, quotas and full disks."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=_STAGING_PREFIX, suffix=_STAGING_SUFFIX) as probe:
            probe.write(b"0")
    except OSError as exc:
        where = f"--output {output}: " if output else ""
        message = f"{where}the folder {folder} cannot be written: {exc.strerror}."
        raise click.UsageError(message) from exc


def _check_length(folder: Path, stem: str) -> None:
    """Look up the longest name that this run could need: only the file system knows its limit."""
    ending = max(_ENDINGS, key=len)
    try:
        os.lstat(folder / f"{stem}{_LONGEST_NUMBER}{ending}")
    except FileNotFoundError:
        return
    except OSError as exc:
        if exc.errno != errno.ENAMETOOLONG:
            raise click.UsageError(f"--output: {exc.strerror}.") from exc
        size = len(os.fsencode(stem))
        room = len(_LONGEST_NUMBER) + len(ending)
        message = (
            f"--output: the name is too long for this folder: {size} bytes, "
            f"and up to {room} more for a number and the extension."
        )
        raise click.UsageError(message) from exc


def write(source: Path, target: Target, position: int) -> Path:
    """Copy finished audio to its target.

    Args:
        position: Index among the job's files.

    Returns:
        The path that was written, with the extension of the real format and the first free number.

    Raises:
        NotAudioError: It is not audio; nothing is written.
        OSError: The disk is full or cannot be written; no partial file is left.
    """
    with source.open("rb") as audio:
        kind = sniff(audio.read(SNIFF_BYTES))
    if kind is None:
        raise NotAudioError("the file is not audio")
    names = _names(target.stem, extension(kind), position)
    with tempfile.NamedTemporaryFile(
        dir=target.folder, delete=False, prefix=_STAGING_PREFIX, suffix=_STAGING_SUFFIX
    ) as part:
        whole = Path(part.name)
    try:
        shutil.copyfile(source, whole)
        whole.chmod(0o666 & ~_umask())
        if target.force:
            path = next(path for name in names if not (path := target.folder / name).is_dir())
            whole.replace(path)
            return path
        return next(path for name in names if _claim(whole, path := target.folder / name))
    finally:
        whole.unlink(missing_ok=True)


def _claim(whole: Path, path: Path) -> bool:
    """Rename a file unless the name is taken, atomically: another run may want the same name."""
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links: claim the name with an empty file, then replace it
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            return False
        whole.replace(path)
    return True


def _names(stem: str, ending: str, position: int) -> Iterator[str]:
    number = position + 1
    while True:
        yield f"{stem}{ending}" if number == 1 else f"{stem}-{number}{ending}"
        number += 1


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def length_text(seconds: float | None) -> str:
    """Format a duration as ``2:31``."""
    if seconds is None:
        return "length unknown"
    return f"{int(seconds + 0.5) // 60}:{int(seconds + 0.5) % 60:02d}"


def size_text(size_bytes: int) -> str:
    """Format a size as ``3.4 MB``."""
    return f"{size_bytes / 1_000_000:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1000:.1f} kB"
