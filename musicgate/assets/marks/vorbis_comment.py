"""Vorbis comments in FLAC, Opus and Vorbis: add ours, keep every other comment and every audio byte.

Source: RFC 9639 sections 8 and 8.6 (FLAC), RFC 7845 section 5.2 (Opus), RFC 3533 (Ogg pages),
xiph.org/vorbis/doc/v-comment.html.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final

import attrs

from musicgate.assets.marks.pieces import Kept, Piece, read_at
from musicgate.errors import MarksError

_MAX_COMMENTS: Final = 10_000
_MAX_BLOCKS: Final = 1_000
_MAX_BLOCK_BYTES: Final = 0xFF_FFFF
_COMMENT_BLOCK: Final = 4
#: A header packet with its pictures; pages are read until it ends.
_MAX_PACKET_BYTES: Final = 16 * 1024 * 1024
_VENDOR: Final = b"musicgate"


@attrs.frozen(kw_only=True)
class Added:
    """Comments to add: fields that replace those of the same name, and a comment beside those of others.

    Attributes:
        fields: name in upper-case ASCII, and text.
        comment: text for a field ``COMMENT``.
        ours: how every comment of ours begins; such a one is replaced.
    """

    fields: Sequence[tuple[str, str]]
    comment: str
    ours: str


def with_comments(packet: bytes, added: Added) -> bytes:
    """The comments of a packet (without what a codec puts before it) with ours, and what follows them.

    Raises:
        MarksError: the packet is damaged.
    """
    vendor, comments, rest = _read(packet)
    names = {name.encode() for name, _ in added.fields}
    mine = f"COMMENT={added.ours}".encode()
    kept = [
        one
        for one in comments
        if one.partition(b"=")[0].upper() not in names
        and not one[: len(mine)].upper().startswith(mine.upper())
    ]
    new = [f"{name}={text}".encode() for name, text in (*added.fields, ("COMMENT", added.comment))]
    body = b"".join(struct.pack("<I", len(one)) + one for one in (*new, *kept))
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(new) + len(kept)) + body + rest


def _read(packet: bytes) -> tuple[bytes, list[bytes], bytes]:
    vendor, at = _text(packet, 0)
    if at + 4 > len(packet):
        raise MarksError("the Vorbis comments are damaged")
    (count,) = struct.unpack_from("<I", packet, at)
    if count > _MAX_COMMENTS:
        raise MarksError(f"the file states {count:,} Vorbis comments; at most {_MAX_COMMENTS:,} are read")
    at += 4
    comments: list[bytes] = []
    for _ in range(count):
        comment, at = _text(packet, at)
        comments.append(comment)
    return vendor, comments, packet[at:]


def _text(packet: bytes, at: int) -> tuple[bytes, int]:
    if at + 4 > len(packet):
        raise MarksError("the Vorbis comments are damaged")
    (size,) = struct.unpack_from("<I", packet, at)
    end = at + 4 + size
    if end > len(packet):
        raise MarksError("the Vorbis comments are damaged")
    return packet[at + 4 : end], end


def flac_pieces(file: BinaryIO, start: int, added: Added) -> Sequence[Piece]:
    """A FLAC file with our comments.

    Args:
        start: offset of ``fLaC``, behind an ID3 tag.

    Raises:
        MarksError: the metadata blocks are damaged, or the comments too long for one.
    """
    size_bytes = file.seek(0, 2)
    if read_at(file, start, 4) != b"fLaC":
        raise MarksError("the file is not FLAC")
    at = start + 4
    first: tuple[int, int] | None = None
    comments: tuple[int, int] | None = None
    for _ in range(_MAX_BLOCKS):
        head = read_at(file, at, 4)
        stop = at + 4 + int.from_bytes(head[1:], "big")
        if stop > size_bytes:
            break
        first = first or (at, stop)
        if head[0] & 0x7F == _COMMENT_BLOCK and comments is None:
            comments = (at, stop)
        at = stop
        if head[0] & 0x80:
            return _with_block(file, first, comments, size_bytes, added)
    raise MarksError("the metadata blocks of the FLAC file are damaged")


def _with_block(
    file: BinaryIO, first: tuple[int, int], comments: tuple[int, int] | None, size_bytes: int, added: Added
) -> Sequence[Piece]:
    """Put the new block in place of the old one, or behind STREAMINFO, which comes first."""
    empty = struct.pack("<I", len(_VENDOR)) + _VENDOR + struct.pack("<I", 0)
    old = read_at(file, comments[0] + 4, comments[1] - comments[0] - 4) if comments else empty
    block = with_comments(old, added)
    if len(block) > _MAX_BLOCK_BYTES:
        raise MarksError("the Vorbis comments would be too long for a FLAC file")
    before, behind = comments or (first[1], first[1])
    size = len(block).to_bytes(3, "big")
    if comments:
        head = bytes([read_at(file, before, 1)[0]])
        return [Kept(0, before), head + size + block, Kept(behind, size_bytes)]
    # A block behind the first one is the last one where the first one was.
    first_head = read_at(file, first[0], 1)[0]
    head = bytes([first_head & 0x80 | _COMMENT_BLOCK])
    return [
        Kept(0, first[0]),
        bytes([first_head & 0x7F]),
        Kept(first[0] + 1, before),
        head + size + block,
        Kept(behind, size_bytes),
    ]


@attrs.frozen(kw_only=True)
class _Page:
    """An Ogg page at ``start``; ``lacing`` are the lengths of its segments."""

    start: int
    head: bytes
    lacing: bytes

    @property
    def stop(self) -> int:
        return self.start + 27 + len(self.lacing) + sum(self.lacing)


def ogg_pieces(file: BinaryIO, added: Added) -> Sequence[Piece]:
    """An Ogg file with Opus or Vorbis, with our comments; its other pages are kept byte for byte.

    The header packets behind the first page are written to as many pages as before, so that the numbers and
    checksums of all other pages stay true.

    Raises:
        MarksError: damaged, another codec, more than one stream, or comments that need another page.
    """
    size_bytes = file.seek(0, 2)
    first = _page(file, 0)
    head = read_at(file, 0, min(first.stop, 4096))
    ident = head[27 + len(first.lacing) :]
    if ident.startswith(b"OpusHead"):
        magic, count = b"OpusTags", 1
    elif ident.startswith(b"\1vorbis"):
        magic, count = b"\3vorbis", 2
    else:
        raise MarksError("comments are written to Opus and Vorbis in Ogg only")
    pages, packets = _header_packets(file, first, count)
    if not packets[0].startswith(magic):
        raise MarksError("the Ogg file has no comment header")
    packets[0] = magic + with_comments(packets[0][len(magic) :], added)
    return [Kept(0, first.stop), *_paged(pages, packets), Kept(pages[-1].stop, size_bytes)]


def _page(file: BinaryIO, start: int) -> _Page:
    head = read_at(file, start, 27)
    if head[:5] != b"OggS\0":
        raise MarksError("the Ogg file is damaged")
    return _Page(start=start, head=head, lacing=read_at(file, start + 27, head[26]))


def _header_packets(file: BinaryIO, first: _Page, count: int) -> tuple[list[_Page], list[bytes]]:
    """The pages behind the first one up to the end of the header packets, and these packets."""
    pages: list[_Page] = []
    packets: list[bytes] = []
    packet = b""
    total, at = 0, first.stop
    while len(packets) < count:
        page = _page(file, at)
        at = page.stop
        total += at - page.start
        if page.head[14:18] != first.head[14:18] or page.head[5] & 2:
            raise MarksError("the Ogg file has more than one stream")
        if total > _MAX_PACKET_BYTES:
            raise MarksError(f"the Ogg file has over {_MAX_PACKET_BYTES:,} bytes of headers")
        pages.append(page)
        body = read_at(file, page.start + 27 + len(page.lacing), sum(page.lacing))
        for size in page.lacing:
            packet, body = packet + body[:size], body[size:]
            if size < 255:
                packets.append(packet)
                packet = b""
    if packet or len(packets) > count:
        raise MarksError("the headers of the Ogg file do not end with a page")
    return pages, packets


def _paged(pages: Sequence[_Page], packets: Sequence[bytes]) -> Iterable[bytes]:
    """Write packets to as many pages as before, each as full as it can be but for the ones needed later."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    body = b"".join(packets)
    if not len(pages) <= len(lacing) <= 255 * len(pages):
        raise MarksError("the comments of the Ogg file would need another number of pages")
    is_continued = False
    for index, page in enumerate(pages):
        segments = lacing[: min(255, len(lacing) - (len(pages) - 1 - index))]
        lacing = lacing[len(segments) :]
        content, body = body[: sum(segments)], body[sum(segments) :]
        flags = page.head[5] & ~1 | int(is_continued)
        # The granule position is 0 on header pages, and -1 where no packet ends (RFC 3533 section 6).
        granule = b"\xff" * 8 if min(segments) == 255 else b"\0" * 8
        head = (
            page.head[:5] + bytes([flags]) + granule + page.head[14:22] + b"\0" * 4 + bytes([len(segments)])
        )
        raw = head + segments + content
        yield raw[:22] + ogg_crc(raw).to_bytes(4, "little") + raw[26:]
        is_continued = segments[-1] == 255


def ogg_crc(page: bytes) -> int:
    """Checksum of a page whose own checksum is zero: CRC-32, polynomial 0x04C11DB7, not reflected."""
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFF_FFFF) ^ _CRC[crc >> 24 ^ byte]
    return crc


def _crc_row(row: int) -> int:
    value = row << 24
    for _ in range(8):
        value = (value << 1 ^ (0x04C1_1DB7 if value & 0x8000_0000 else 0)) & 0xFFFF_FFFF
    return value


_CRC: Final = tuple(_crc_row(row) for row in range(256))
