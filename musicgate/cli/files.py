"""Writes audio files for people: the name they asked for, the ending that the audio has, and never over a file that is there."""

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
#: Further tracks, and names that are taken, lengthen a name by up to so much.
_LONGEST_NUMBER = "-999"
#: Nothing of the name is in it, so that it fits wherever the name does.
_STAGING_PREFIX, _STAGING_SUFFIX = ".musicgate-", ".part"


@attrs.frozen(kw_only=True)
class Target:
    """Where the files of one job go.

    Attributes:
        folder: an existing folder that can be written.
        stem: name without ending; further tracks get ``-2``, ``-3``, ...
        ending: the audio ending that was asked for, or "".
        force: write over files that are there.
    """

    folder: Path
    stem: str
    ending: str = ""
    force: bool = False


def find_target(output: str | None, *, force: bool) -> Target:
    """Read ``--output`` before anything is paid for.

    Raises:
        click.UsageError: there is no such folder, it cannot be written, or the name is too long for it.
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
    except OSError:  # a name that is too long, for example
        return False


def _check_writable(folder: Path, output: str | None) -> None:
    """Write a file and remove it: permissions do not tell of read-only file systems, quotas and full disks."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=_STAGING_PREFIX, suffix=_STAGING_SUFFIX) as probe:
            probe.write(b"0")
    except OSError as exc:
        where = f"--output {output}: " if output else ""
        message = f"{where}the folder {folder} cannot be written: {exc.strerror}."
        raise click.UsageError(message) from exc


def _check_length(folder: Path, stem: str) -> None:
    """Look up the longest name that this run could need: the file system knows what is too long for it."""
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
        message = f"--output: the name is too long for this folder: {size} bytes, and up to {room} more for a number and the ending."
        raise click.UsageError(message) from exc


def write(source: Path, target: Target, position: int) -> Path:
    """Copy finished audio to its place.

    Args:
        position: which of the job's files it is, from 0 on.

    Returns:
        The path that was written: with the ending of what the file really is, and the first number that is free.

    Raises:
        NotAudioError: it is no audio; nothing is written.
        OSError: the disk is full or cannot be written; nothing is left behind.
    """
    with source.open("rb") as audio:
        kind = sniff(audio.read(SNIFF_BYTES))
    if kind is None:
        raise NotAudioError("what came is no audio")
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
    """Give the file its name unless somebody has it, in one step: another run may be looking for a name, too."""
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: claim the name with an empty file, then fill it
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
    """A length as people read it: ``2:31``."""
    if seconds is None:
        return "length unknown"
    return f"{int(seconds + 0.5) // 60}:{int(seconds + 0.5) % 60:02d}"


def size_text(size_bytes: int) -> str:
    """A size as people read it: ``3.4 MB``."""
    return f"{size_bytes / 1_000_000:.1f} MB" if size_bytes >= 100_000 else f"{size_bytes / 1000:.1f} kB"
