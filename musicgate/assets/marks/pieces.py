"""Write a file anew from new bytes and ranges of the old file. It knows no format."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from musicgate.errors import MarksError

#: Size of each read and write.
_COPY_BYTES: Final = 1024 * 1024


@attrs.frozen
class Kept:
    """The bytes of the old file from ``start`` up to, not including, ``stop``."""

    start: int
    stop: int


Piece = bytes | Kept


def read_at(file: BinaryIO, start: int, size_bytes: int) -> bytes:
    """Read so many bytes from an offset.

    Raises:
        MarksError: the file ends before.
    """
    file.seek(start)
    content = file.read(size_bytes)
    if len(content) < size_bytes:
        raise MarksError("the file ends inside a header")
    return content


def write_pieces(source: BinaryIO, pieces: Iterable[Piece], target: BinaryIO) -> None:
    """Write the pieces, kept ranges a megabyte at a time."""
    for piece in pieces:
        if isinstance(piece, bytes):
            target.write(piece)
            continue
        source.seek(piece.start)
        left = piece.stop - piece.start
        while left:
            content = source.read(min(left, _COPY_BYTES))
            if not content:
                raise MarksError("the file became shorter while it was read")
            target.write(content)
            left -= len(content)


@contextlib.contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """An empty file beside ``path`` that takes its place at the end, or is removed after an error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}-")
    os.close(handle)
    new = Path(name)
    try:
        yield new
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
