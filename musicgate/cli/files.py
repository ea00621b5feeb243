"""Writes audio files for people: the name they asked for, the ending that the audio has, and never over a file that is there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from musicgate.audio import SNIFF_BYTES, AudioKind, NotAudioError, extension, sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULT_STEM = "song"
_ENDINGS = frozenset(extension(kind) for kind in AudioKind)


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
        click.UsageError: there is no such folder, or it cannot be written.
    """
    path = Path(output) if output else Path(_DEFAULT_STEM)
    is_folder = path.is_dir() or bool(output and output.endswith(("/", os.sep)))
    folder, name = (path, _DEFAULT_STEM) if is_folder else (path.parent, path.name)
    if not folder.is_dir():
        raise click.UsageError(f"--output {output}: there is no folder {folder}.")
    if not os.access(folder, os.W_OK):
        raise click.UsageError(f"--output {output}: the folder {folder} cannot be written.")
    ending = Path(name).suffix.lower()
    known = ending in _ENDINGS and name != ending
    return Target(
        folder=folder,
        stem=name[: -len(ending)] if known else name,
        ending=ending if known else "",
        force=force,
    )


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
        dir=target.folder, prefix=f".{target.stem}.", suffix=".part", delete=False
    ) as part:
        whole = Path(part.name)
    try:
        shutil.copyfile(source, whole)
        whole.chmod(0o666 & ~_umask())
        if target.force:
            path = target.folder / next(names)
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
