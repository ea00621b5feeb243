"""RIFF WAVE: a LIST INFO chunk with our texts; every other chunk is kept byte for byte.

Source: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, August 1991).
"""

from collections.abc import Mapping, Sequence
from typing import BinaryIO, Final

import attrs

from musicgate.assets.marks.pieces import Kept, Piece, read_at
from musicgate.errors import MarksError

_MAX_CHUNKS: Final = 10_000
_MAX_INFO_BYTES: Final = 1024 * 1024
_MAX_RIFF_BYTES: Final = 0xFFFF_FFFF
#: Between a comment of theirs and ours.
_BETWEEN: Final = b"; "


@attrs.frozen(kw_only=True)
class Chunk:
    """A chunk at ``start``; ``stop`` is behind its content and its padding byte."""

    name: bytes
    start: int
    content_bytes: int
    stop: int


@attrs.frozen(kw_only=True)
class RiffFile:
    """The chunks of a file, and where its RIFF form ends; what follows is no part of it."""

    chunks: tuple[Chunk, ...]
    stop: int


def read_riff(file: BinaryIO) -> RiffFile:
    """Find the chunks. Sizes that a streaming writer did not know (0, or beyond the file) mean "the rest".

    Raises:
        MarksError: not RIFF WAVE, or something between the chunks is none.
    """
    size_bytes = file.seek(0, 2)
    head = read_at(file, 0, 12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise MarksError("the file is not RIFF WAVE")
    stated = 8 + int.from_bytes(head[4:8], "little")
    stop = stated if 12 < stated <= size_bytes else size_bytes
    chunks: list[Chunk] = []
    at = 12
    while at + 8 <= stop:
        head = read_at(file, at, 8)
        name, content_bytes = head[:4], int.from_bytes(head[4:], "little")
        is_open = name == b"data" and (not content_bytes or at + 8 + content_bytes > stop)
        if is_open:
            stop = size_bytes
            content_bytes = size_bytes - at - 8
        end = at + 8 + content_bytes
        if end > stop or len(chunks) == _MAX_CHUNKS or not all(0x20 <= byte < 0x7F for byte in name):
            raise MarksError("the wav file has a damaged chunk")
        padded = min(end + content_bytes % 2, stop)
        chunks.append(Chunk(name=name, start=at, content_bytes=content_bytes, stop=padded))
        at = padded
    return RiffFile(chunks=tuple(chunks), stop=stop)


def info_pieces(file: BinaryIO, texts: Mapping[bytes, str], comment: str, ours: str) -> Sequence[Piece]:
    """The file with our texts in its LIST INFO chunk, which comes before the samples if it is new.

    Args:
        texts: by the name of the INFO entry; entries of the same name are replaced.
        comment: the text of ``ICMT``, of which there is one; it is put behind the comment that is there.
        ours: how every comment of ours begins; such a one is replaced.

    Raises:
        MarksError: the file is damaged, or would be larger than RIFF can say.
    """
    riff = read_riff(file)
    data = next((chunk for chunk in riff.chunks if chunk.name == b"data"), None)
    if data is None:
        raise MarksError("the wav file has no samples")
    old = next((chunk for chunk in riff.chunks if _is_info(file, chunk)), None)
    entries = _entries(file, old) if old else []
    there = next((content.rstrip(b"\0") for name, content in entries if name == b"ICMT"), b"")
    theirs = there.partition(ours.encode())[0].removesuffix(_BETWEEN)
    comments = _BETWEEN.join(filter(None, (theirs, comment.encode())))
    added = {name: text.encode() for name, text in texts.items()} | {b"ICMT": comments}
    kept = [(name, content) for name, content in entries if name not in added]
    all_entries = [*kept, *((name, text + b"\0") for name, text in added.items())]
    new = _chunk(b"LIST", b"INFO" + b"".join(_chunk(name, content) for name, content in all_entries))
    at, behind = (old.start, old.stop) if old else (data.start, data.start)
    riff_bytes = riff.stop + len(new) - (behind - at) - 8
    if riff_bytes > _MAX_RIFF_BYTES:
        raise MarksError("the wav file would be larger than 4 GiB")
    # The samples' chunk gets a true size: the file may have been written by a program that did not know it.
    head = b"data" + data.content_bytes.to_bytes(4, "little")
    body: list[Piece] = [Kept(12, at), new, Kept(behind, data.start), head, Kept(data.start + 8, riff.stop)]
    if at > data.start:
        body = [Kept(12, data.start), head, Kept(data.start + 8, at), new, Kept(behind, riff.stop)]
    return [b"RIFF" + riff_bytes.to_bytes(4, "little") + b"WAVE", *body, Kept(riff.stop, file.seek(0, 2))]


def _is_info(file: BinaryIO, chunk: Chunk) -> bool:
    return chunk.name == b"LIST" and chunk.content_bytes >= 4 and read_at(file, chunk.start + 8, 4) == b"INFO"


def _entries(file: BinaryIO, chunk: Chunk) -> list[tuple[bytes, bytes]]:
    """Name and content of the entries of an INFO chunk."""
    if chunk.content_bytes > _MAX_INFO_BYTES:
        raise MarksError(
            f"the INFO chunk has {chunk.content_bytes:,} bytes; at most {_MAX_INFO_BYTES:,} are read"
        )
    content = read_at(file, chunk.start + 8, chunk.content_bytes)
    entries: list[tuple[bytes, bytes]] = []
    at = 4
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if at + 8 + size > len(content):
            raise MarksError("the INFO chunk of the wav file is damaged")
        entries.append((content[at : at + 4], content[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return entries


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)
