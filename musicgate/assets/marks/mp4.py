"""MP4 (M4A): add texts to ``moov/udta/meta/ilst``, and keep every other box byte for byte.

Where ``moov`` lies before the samples and grows, the samples move: a ``free`` box behind it takes up the
difference, or the offsets of the samples' chunks are corrected.

Source: ISO/IEC 14496-12 (boxes, ``stco``, ``co64``); QuickTime File Format Specification, "Metadata"
(``ilst``).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

import attrs

from musicgate.assets.marks.pieces import Kept, Piece, read_at
from musicgate.errors import MarksError

_MAX_BOXES: Final = 100_000
_MAX_MOOV_BYTES: Final = 16 * 1024 * 1024
_UTF_8: Final = 1
#: ``hdlr`` of a ``meta`` box that has an ``ilst``.
_METADATA_HANDLER: Final = b"\0" * 8 + b"mdirappl" + b"\0" * 9


@attrs.frozen(kw_only=True)
class Box:
    """A box from ``start`` to ``stop`` with its content from ``content``; ``user_type`` of a ``uuid`` box."""

    name: bytes
    start: int
    content: int
    stop: int
    user_type: bytes = b""


def top_boxes(file: BinaryIO) -> Iterator[Box]:
    """The outermost boxes; the last one may be cut.

    Raises:
        MarksError: damaged.
    """
    size_bytes = file.seek(0, 2)
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > size_bytes:
            return
        head = read_at(file, at, min(32, size_bytes - at))
        box = _box(head, at, size_bytes)
        yield box
        at = box.stop
    raise MarksError("the m4a file has too many boxes")


def _box(head: bytes, at: int, limit: int) -> Box:
    """Read the head of a box at ``at``. Size 1: a 64-bit size follows. Size 0: it extends to the end."""
    size, name, head_bytes = int.from_bytes(head[:4], "big"), head[4:8], 8
    if size == 1:
        size, head_bytes = int.from_bytes(head[8:16], "big"), 16
    size = size or limit - at
    if size < head_bytes or (at + size > limit and name != b"mdat"):
        raise MarksError("the m4a file is damaged or cut: a box is larger than what is left")
    user_type = head[head_bytes : head_bytes + 16] if name == b"uuid" else b""
    return Box(name=name, start=at, content=at + head_bytes, stop=min(at + size, limit), user_type=user_type)


def _inner(content: bytes, start: int = 0) -> Iterator[Box]:
    at = start
    while at + 8 <= len(content):
        box = _box(content[at : at + 32], at, len(content))
        yield box
        at = box.stop


def ilst_pieces(
    file: BinaryIO, texts: Sequence[tuple[bytes, str]], fields: Sequence[tuple[str, str]]
) -> Sequence[Piece]:
    """The file with our texts in its list of metadata.

    Args:
        texts: by the name of the item; items of the same name are replaced.
        fields: name and text of free-form items (``----``).

    Raises:
        MarksError: damaged, fragmented, or ``moov`` has over 16 MiB.
    """
    boxes = list(top_boxes(file))
    moov = next((box for box in boxes if box.name == b"moov"), None)
    if moov is None or moov.stop - moov.start > _MAX_MOOV_BYTES:
        raise MarksError("the m4a file has no description of its samples, or one over 16 MiB")
    if any(box.name == b"moof" for box in boxes):
        raise MarksError("metadata are not written to fragmented m4a files")
    old = read_at(file, moov.content, moov.stop - moov.content)
    new = _with_items(old, texts, fields)
    grown = 8 + len(new) - (moov.stop - moov.start)
    behind = next((box for box in boxes if box.start == moov.stop and box.name == b"free"), None)
    stop = boxes[-1].stop
    if behind and behind.content == behind.start + 8 and behind.stop - behind.start - grown >= 8:
        free = _named(b"free", b"\0" * (behind.stop - behind.start - grown - 8))
        return [Kept(0, moov.start), _named(b"moov", new), free, Kept(behind.stop, file.seek(0, 2))]
    if any(box.name == b"mdat" and box.start > moov.start for box in boxes):
        new = _with_moved_chunks(new, moov.stop, grown)
    return [Kept(0, moov.start), _named(b"moov", new), Kept(moov.stop, stop), Kept(stop, file.seek(0, 2))]


def _with_items(moov: bytes, texts: Sequence[tuple[bytes, str]], fields: Sequence[tuple[str, str]]) -> bytes:
    def items(ilst: bytes) -> bytes:
        replaced = {name for name, _ in texts}
        names = {name.encode() for name, _ in fields}
        kept = [
            ilst[box.start : box.stop]
            for box in _inner(ilst)
            if box.name not in replaced and not (box.name == b"----" and _field_name(ilst, box) in names)
        ]
        added = [_named(name, _data(text)) for name, text in texts]
        added += [_field(name, text) for name, text in fields]
        return b"".join((*added, *kept))

    def meta(content: bytes) -> bytes:
        # QuickTime writes `meta` without the four bytes of version and flags.
        start = 0 if content[4:8] == b"hdlr" else 4
        content = content or b"\0" * 4 + _named(b"hdlr", _METADATA_HANDLER)
        return content[:start] + _changed(content[start:], b"ilst", items)

    return _changed(moov, b"udta", lambda udta: _changed(udta, b"meta", meta))


def _changed(content: bytes, name: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Replace the content of the first box of that name; an empty one is added if there is none."""
    end = 0
    for box in _inner(content):
        if box.name == name:
            new = _named(name, change(content[box.content : box.stop]))
            return content[: box.start] + new + content[box.stop :]
        end = box.stop
    # `udta` of QuickTime may end with a zero of 32 bits, which is no box.
    return content[:end] + _named(name, change(b"")) + content[end:]


def _named(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


def _data(text: str) -> bytes:
    return _named(b"data", _UTF_8.to_bytes(4, "big") + b"\0" * 4 + text.encode())


def _field(name: str, text: str) -> bytes:
    mean = _named(b"mean", b"\0" * 4 + b"com.apple.iTunes")
    return _named(b"----", mean + _named(b"name", b"\0" * 4 + name.encode()) + _data(text))


def _field_name(ilst: bytes, item: Box) -> bytes:
    content = ilst[item.content : item.stop]
    return next((content[box.content + 4 : box.stop] for box in _inner(content) if box.name == b"name"), b"")


def _with_moved_chunks(moov: bytes, behind: int, moved: int) -> bytes:
    """Add ``moved`` to every offset of a chunk of samples that lies behind ``moov``."""
    new = bytearray(moov)
    for at, wide in _offset_tables(moov):
        count = int.from_bytes(moov[at + 4 : at + 8], "big")
        first, stop = at + 8, at + 8 + count * wide
        if stop > len(moov):
            raise MarksError("the m4a file is damaged: a table of offsets is larger than its box")
        for entry in range(first, stop, wide):
            offset = int.from_bytes(moov[entry : entry + wide], "big")
            if offset >= behind:
                if (offset + moved) >> 8 * wide:
                    raise MarksError("the m4a file is too large for its 32-bit offsets")
                new[entry : entry + wide] = (offset + moved).to_bytes(wide, "big")
    return bytes(new)


def _offset_tables(moov: bytes) -> Iterator[tuple[int, int]]:
    """Offset of the content of each ``stco`` and ``co64``, and how wide its entries are."""
    yield from _tables_in(moov, 0, len(moov), (b"trak", b"mdia", b"minf", b"stbl"))


def _tables_in(moov: bytes, start: int, stop: int, path: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    for box in _inner(moov[:stop], start):
        if path and box.name == path[0]:
            yield from _tables_in(moov, box.content, box.stop, path[1:])
        elif not path and box.name in {b"stco", b"co64"}:
            yield box.content, 4 if box.name == b"stco" else 8
