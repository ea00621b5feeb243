"""Names and files of fetched audio."""

from __future__ import annotations

import mimetypes
import re
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from musicgate.aio import new_id, run_to_end
from musicgate.mcp.api import ApiError
from musicgate.views import render_envelope

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
#: What the system's tables call otherwise, or not at all.
_ENDINGS: Final = {
    "audio/aac": ".m4a",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
}


def file_name(job_id: str, index: int, content_type: str) -> str:
    """The name of a track's file: always the same one, so that it is fetched once more over itself."""
    stem = _UNSAFE.sub("-", job_id)[:100] or "song"
    return (
        f"{stem}-{index}{_ENDINGS.get(content_type) or mimetypes.guess_extension(content_type) or '.audio'}"
    )


def unwritable(path: Path, error: OSError) -> ApiError:
    """The error of a file that cannot be written, with its folder: the caller's user has chosen it."""
    message = f"{path.parent} cannot be written: {error.strerror or type(error).__name__}"
    return ApiError(render_envelope(new_id("G-"), "gateway_error", message).body)


async def write_pieces(pieces: AsyncIterable[bytes], sink: Path, max_bytes: int) -> int:
    """Write a file, which appears under its name when it is whole.

    Returns:
        Its size.

    Raises:
        OSError: it cannot be written.
        ValueError: it is too large.
    """
    size_bytes = 0
    file = await run_to_end(_begin, sink)
    try:
        async for piece in pieces:
            size_bytes += len(piece)
            _check_size(size_bytes, max_bytes)
            await run_to_end(file.write, piece)
        await run_to_end(_finish, file, sink)
    finally:
        _discard(file)
    return size_bytes


def _begin(sink: Path) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=sink.parent, prefix=".musicgate-", suffix=".part", delete=False)


def _finish(file: IO[bytes], sink: Path) -> None:
    file.close()
    Path(file.name).replace(sink)


def _discard(file: IO[bytes]) -> None:
    file.close()
    Path(file.name).unlink(missing_ok=True)


def _check_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise ValueError("the audio is too large")
