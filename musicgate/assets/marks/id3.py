"""ID3v2 at the start of a file: read it, and add our frames without changing the others.

A tag keeps its version: frames of ID3v2.2 and 2.3 have other names and meanings in 2.4, so a translation
would lose some. A file without a tag gets one of version 2.4 with texts in UTF-8. Frames that are not ours
are kept byte for byte, whatever they are. Not written again are padding, a footer, and an extended header,
whose checksum and restrictions describe the old tag.

Source: id3.org/id3v2-00, /id3v2.3.0, /id3v2.4.0-structure, /id3v2.4.0-frames.
"""

import re
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final

import attrs

from musicgate.errors import MarksError

#: Longest tag that is read or written. Pictures are the only large frames of a song.
MAX_TAG_BYTES: Final = 16 * 1024 * 1024
_MAX_FRAMES: Final = 10_000

#: Names of the frames that we write, by version: title, artist, comment, text with a description.
_NAMES: Final = {
    2: (b"TT2", b"TP1", b"COM", b"TXX"),
    3: (b"TIT2", b"TPE1", b"COMM", b"TXXX"),
    4: (b"TIT2", b"TPE1", b"COMM", b"TXXX"),
}
#: Flags of a tag that are defined, by version. A tag with others cannot be read without knowing them.
_KNOWN_FLAGS: Final = {2: 0x80, 3: 0xE0, 4: 0xF0}
_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
#: iTunes wrote names of ID3v2.2 and a zero into tags of version 2.3.
_NAME: Final = re.compile(rb"[A-Z0-9]{3}|[A-Z0-9]{3}[A-Z0-9\0 ]")
_LATIN_1, _UTF_16, _UTF_8 = b"\0", b"\1", b"\3"


@attrs.frozen(kw_only=True)
class Frame:
    """One frame as it is stored: its name, its two bytes of flags (none in version 2.2), its content."""

    name: bytes
    flags: bytes
    content: bytes

    @property
    def is_compressed(self) -> bool:
        """True if the content is compressed, in the flags of either version."""
        return self.flags != b"" and bool(self.flags[1] & 0x88)


@attrs.frozen(kw_only=True)
class Id3Tag:
    """The tag at the start of a file.

    Attributes:
        version: 2, 3 or 4.
        is_unsynchronised: the whole tag is (2.2 and 2.3), or all frames are (2.4).
        size_bytes: all that lies before the audio, header and footer included; 0 = the file has no tag.
    """

    version: int = 4
    frames: tuple[Frame, ...] = ()
    is_unsynchronised: bool = False
    size_bytes: int = 0


def read_id3(file: BinaryIO) -> Id3Tag:
    """Read the tag at the start of a file; one without frames where there is none.

    Raises:
        MarksError: the tag is damaged, of an unknown version or over 16 MiB.
    """
    file.seek(0)
    head = file.read(10)
    if not head.startswith(b"ID3"):
        return Id3Tag()
    version, flags = head[3:4], head[5:6]
    if len(head) < 10 or version not in {b"\2", b"\3", b"\4"} or max(head[6:]) > 0x7F:
        raise MarksError("the ID3 tag has an unknown version or a damaged header")
    return _read_body(file, version[0], flags[0], _synchsafe(head[6:]))


def _read_body(file: BinaryIO, version: int, flags: int, size_bytes: int) -> Id3Tag:
    if flags & ~_KNOWN_FLAGS[version]:
        raise MarksError("the ID3 tag has flags that no specification defines")
    if size_bytes > MAX_TAG_BYTES:
        raise MarksError(f"the ID3 tag has {size_bytes:,} bytes; at most {MAX_TAG_BYTES:,} are read")
    body = file.read(size_bytes)
    if len(body) < size_bytes:
        raise MarksError("the file ends inside its ID3 tag")
    is_unsynchronised = bool(flags & _UNSYNCHRONISED)
    if is_unsynchronised and version < 4:
        body = body.replace(b"\xff\0", b"\xff")
    if flags & _EXTENDED and version > 2:
        body = body[_extended_bytes(body, version) :]
    return Id3Tag(
        version=version,
        frames=_frames(body, version),
        is_unsynchronised=is_unsynchronised,
        size_bytes=10 + size_bytes + (10 if flags & _FOOTER and version == 4 else 0),
    )


def _extended_bytes(body: bytes, version: int) -> int:
    """Length of the extended header; in version 2.3 its size does not count itself."""
    stated = body[:4]
    if version == 4 and len(stated) == 4 and max(stated) > 0x7F:
        raise MarksError("the extended header of the ID3 tag is damaged")
    size = _synchsafe(stated) if version == 4 else 4 + int.from_bytes(stated, "big")
    if not 6 <= size <= len(body):
        raise MarksError("the extended header of the ID3 tag is damaged")
    return size


def _frames(body: bytes, version: int) -> tuple[Frame, ...]:
    frames = _walk(body, version, synchsafe=version == 4)
    if frames is None and version == 4:
        frames = _walk(body, version, synchsafe=False)  # as iTunes wrote it
    if frames is None:
        raise MarksError("the ID3 tag has a damaged frame")
    return frames


def _walk(body: bytes, version: int, *, synchsafe: bool) -> tuple[Frame, ...] | None:
    """Split a tag into frames; None if something is neither a frame nor padding."""
    name_bytes, size_bytes, flag_bytes = (3, 3, 0) if version == 2 else (4, 4, 2)
    head_bytes = name_bytes + size_bytes + flag_bytes
    frames: list[Frame] = []
    at = 0
    while at < len(body) and body[at]:
        name = body[at : at + name_bytes]
        stated = body[at + name_bytes : at + name_bytes + size_bytes]
        is_whole = at + head_bytes <= len(body) and _NAME.fullmatch(name)
        if not is_whole or (synchsafe and max(stated) > 0x7F) or len(frames) == _MAX_FRAMES:
            return None
        start = at + head_bytes
        at = start + (_synchsafe(stated) if synchsafe else int.from_bytes(stated, "big"))
        if at > len(body):
            return None
        frames.append(Frame(name=name, flags=body[start - flag_bytes : start], content=body[start:at]))
    return None if body[at:].strip(b"\0") else tuple(frames)


def with_texts(
    tag: Id3Tag,
    *,
    title: str | None,
    artist: str | None,
    comment: tuple[str, str],
    texts: Sequence[tuple[str, str]],
) -> Id3Tag:
    """Add our frames; those of the same kind go, and a title or artist that is None stays as it is.

    Args:
        comment: description and text. Comments with other descriptions stay.
        texts: description and text each.
    """
    title_name, artist_name, comment_name, text_name = _NAMES[tag.version]
    ours: list[tuple[bytes, bytes]] = []
    if title is not None:
        ours.append((title_name, _encoded(tag.version, title)))
    if artist is not None:
        ours.append((artist_name, _encoded(tag.version, artist)))
    ours.append((comment_name, _encoded(tag.version, *comment, before=b"eng")))
    ours += [(text_name, _encoded(tag.version, *pair)) for pair in texts]
    replaced = {name for name, _ in ours} & {title_name, artist_name}
    described = {(comment_name, comment[0]), *((text_name, description) for description, _ in texts)}
    kept = [
        frame
        for frame in tag.frames
        if frame.name not in replaced
        and (frame.name, _description(frame, after=3 if frame.name == comment_name else 0)) not in described
    ]
    flags = b"" if tag.version == 2 else b"\0\2" if tag.is_unsynchronised and tag.version == 4 else b"\0\0"
    added = [Frame(name=name, flags=flags, content=content) for name, content in ours]
    return attrs.evolve(tag, frames=(*added, *kept))


def _encoded(version: int, *parts: str, before: bytes = b"") -> bytes:
    """Texts with a zero between them, behind the byte that names their encoding."""
    if version == 4:
        return _UTF_8 + before + b"\0".join(part.encode() for part in parts)
    if all(part.isascii() or _is_latin_1(part) for part in parts):
        return _LATIN_1 + before + b"\0".join(part.encode("latin-1") for part in parts)
    return _UTF_16 + before + b"\0\0".join(b"\xff\xfe" + part.encode("utf-16-le") for part in parts)


def _is_latin_1(text: str) -> bool:
    return all(ord(letter) < 256 for letter in text)


def _description(frame: Frame, *, after: int) -> str | None:
    """Description of a comment or text frame; None where it cannot be read, so that the frame stays."""
    if frame.flags.strip(b"\0") not in {b"", b"\2"} or not frame.content:
        return None
    content = frame.content[1 + after :]
    match frame.content[:1]:
        case b"\0":
            return content.partition(b"\0")[0].decode("latin-1")
        case b"\3":
            return content.partition(b"\0")[0].decode(errors="replace")
        case b"\1" | b"\2":
            ends = (at for at in range(0, len(content) - 1, 2) if content[at : at + 2] == b"\0\0")
            text = content[: next(ends, 0)]
            if frame.content[:1] == b"\2":
                return text.decode("utf-16-be", errors="replace")
            return text.decode("utf-16", errors="replace")
    return None


def id3_bytes(tag: Id3Tag) -> bytes:
    """The tag as bytes, without padding.

    Raises:
        MarksError: it has more than 16 MiB.
    """
    body = b"".join(_frame_bytes(tag.frames, tag.version))
    if tag.is_unsynchronised and tag.version < 4:
        body = _unsynchronise(body)
    if len(body) > MAX_TAG_BYTES:
        raise MarksError(f"the ID3 tag would have {len(body):,} bytes; at most {MAX_TAG_BYTES:,} are written")
    flags = _UNSYNCHRONISED if tag.is_unsynchronised else 0
    return b"ID3" + bytes((tag.version, 0, flags)) + _as_synchsafe(len(body)) + body


def _frame_bytes(frames: Iterable[Frame], version: int) -> Iterable[bytes]:
    for frame in frames:
        size = len(frame.content)
        stated = _as_synchsafe(size) if version == 4 else size.to_bytes(3 if version == 2 else 4, "big")
        yield frame.name + stated + frame.flags + frame.content


def _unsynchronise(body: bytes) -> bytes:
    """Put a zero behind each 0xFF that a decoder could take for the start of a frame (2.3, section 5)."""
    body = re.sub(rb"\xff(?=[\xe0-\xff\0])", b"\xff\0", body)
    return body + b"\0" if body.endswith(b"\xff") else body


def _synchsafe(stated: bytes) -> int:
    value = 0
    for byte in stated:
        value = value << 7 | byte
    return value


def _as_synchsafe(value: int) -> bytes:
    return bytes(value >> shift & 0x7F for shift in (21, 14, 7, 0))
