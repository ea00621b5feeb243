"""Read what a file's header states about its body.

A header is only a claim, and decoding shows if it holds. Paid audio is not discarded because a streaming
encoder could not know its length in advance: a stated length counts only if it is plausible, and only
together with a body that ends inside a frame, page or box. What FFmpeg would expand without bound (sample
tables of an MP4 file) is refused here.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

import attrs

from musicgate.assets.audio import LONGEST_S, MP3, SNIFF_BYTES, AudioKind, Repair, id3v2_size, mp3_header
from musicgate.assets.wav_header import read_wav_header
from musicgate.errors import NotAudioError

#: Largest page of Ogg: a header of 27 bytes, 255 lacing values, and 255 segments of 255 bytes (RFC 3533).
_OGG_PAGE_BYTES: Final = 27 + 255 + 255 * 255
#: FFmpeg keeps some 50 bytes for each packet of an MP4 file; so many are six hours of AAC.
_MOST_PACKETS: Final = 1_000_000
#: FFmpeg repeats the packets of a track for each entry of its edit list; songs have one or two.
_MOST_EDITS: Final = 16
_MOST_BOXES: Final = 200_000
_MOST_TAGS: Final = 16
#: FFmpeg reads a tag with its pictures into memory.
_LARGEST_TAG_BYTES: Final = 8 * 1024 * 1024
#: Boxes into which FFmpeg looks for tables.
_PARENTS: Final = frozenset(
    {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"dinf", b"tref"}
    | {b"udta", b"wave", b"ilst", b"sinf", b"schi"}
)


@attrs.frozen(kw_only=True)
class Claims:
    """What the header of a file states.

    Attributes:
        begin: where the audio begins: behind ID3 tags, whose size may be wrong.
        has_whole_tags: those tags are whole, and not so large that FFmpeg should not read them.
        head: what a decoder must read before it begins there.
        frames: of MP3, by the encoder's note; 0 = not stated.
        samples: of FLAC, by STREAMINFO; 0 = not stated.
        lacks_media: bytes that an MP4 file announces are missing at its end.
        is_fragmented: it is an MP4 file in fragments, whose number is not stated.
    """

    begin: int = 0
    has_whole_tags: bool = False
    head: bytes = b""
    frames: int = 0
    samples: int = 0
    lacks_media: bool = False
    is_fragmented: bool = False
    repairs: tuple[Repair, ...] = ()


def read_claims(file: BinaryIO, kind: AudioKind, size_bytes: int) -> Claims:
    """Read the header of a file.

    Raises:
        NotAudioError: it is cut, damaged, or would cost far more to decode than audio does.
    """
    if kind is AudioKind.WAV:
        header = read_wav_header(file, size_bytes)
        return Claims(begin=header.begin, head=header.head, repairs=header.repairs)
    if kind is AudioKind.M4A:
        return _mp4_claims(file, size_bytes)
    if kind in {AudioKind.OGG, AudioKind.OPUS}:
        _check_last_page(file, size_bytes)
        return Claims()
    begin, is_whole = _tag_end(file, size_bytes)
    file.seek(begin)
    head = file.read(SNIFF_BYTES)
    return Claims(
        begin=begin,
        has_whole_tags=is_whole and begin <= _LARGEST_TAG_BYTES,
        frames=_mp3_frames(head) if kind is AudioKind.MP3 else 0,
        samples=_flac_samples(head) if kind is AudioKind.FLAC else 0,
    )


def _tag_end(file: BinaryIO, size_bytes: int) -> tuple[int, bool]:
    """The offset behind the leading ID3 tags, and whether they are whole.

    A tag larger than the file has a wrong size; the audio may be there all the same.
    """
    at = 0
    for _ in range(_MOST_TAGS):
        file.seek(at)
        tag_bytes = id3v2_size(file.read(10))
        if not tag_bytes:
            break
        if at + tag_bytes >= size_bytes:
            return min(at + 10, size_bytes), False
        at += tag_bytes
    return at, True


def _mp3_frames(head: bytes) -> int:
    """The plausible number of frames that an encoder's note states, or 0.

    Source: gabriel.mp3-tech.org/mp3infotag.html (Xing and Info); VBRI is Fraunhofer's.
    """
    for found in MP3.pattern.finditer(head):
        frame = mp3_header(head[found.start() : found.start() + 4])
        if frame is None:
            continue
        note = head[found.start() + frame.note_offset : found.start() + frame.size_bytes]
        vbri = head[found.start() + 36 : found.start() + 54]
        stated = 0
        if note[:4] in {b"Xing", b"Info"} and len(note) >= 12:
            stated = int.from_bytes(note[8:12], "big") if note[7] & 1 else 0
        elif vbri[:4] == b"VBRI" and len(vbri) == 18:
            stated = int.from_bytes(vbri[14:18], "big") + 1  # FFmpeg plays the frame with the note, too
        return stated if stated * frame.samples <= LONGEST_S * frame.sample_rate_hz else 0
    return 0


def _flac_samples(head: bytes) -> int:
    """The plausible number of samples that STREAMINFO states, or 0 (RFC 9639 section 8.2)."""
    fields = int.from_bytes(head[18:26], "big")
    samples, rate_hz = fields & 0xF_FFFF_FFFF, fields >> 44
    return samples if samples <= LONGEST_S * rate_hz else 0


def _check_last_page(file: BinaryIO, size_bytes: int) -> None:
    """Refuse an Ogg file that ends inside its last page (RFC 3533 section 6)."""
    begin = max(0, size_bytes - _OGG_PAGE_BYTES)
    file.seek(begin)
    tail = file.read(_OGG_PAGE_BYTES)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if page[:4] != b"OggS":
        return
    lacing = page[27 : 27 + page[26]] if len(page) >= 27 else b""
    missing = 27 + (page[26] if len(page) >= 27 else 0) + sum(lacing) - len(page)
    if missing > 0:
        raise NotAudioError(f"the ogg file is cut: its last page lacks {missing} bytes")


def _mp4_claims(file: BinaryIO, size_bytes: int) -> Claims:
    """Walk the boxes of an MP4 file (ISO/IEC 14496-12).

    Raises:
        NotAudioError: a box is larger than what is left, or the tables state more than FFmpeg should expand.
    """
    packets, lacks_media, is_fragmented = 0, False, False
    for name, at, end in _boxes(file, size_bytes):
        if name == b"mdat":
            lacks_media = lacks_media or end > size_bytes
        elif name == b"moof":
            is_fragmented = True
        elif name == b"stsz":
            size, count = _numbers(file, at + 4, 2)
            packets += count if size else min(count, (end - at) // 4)
        elif name == b"trun":
            packets += _numbers(file, at + 4, 1)[0]
        elif name == b"elst" and _numbers(file, at + 4, 1)[0] > _MOST_EDITS:
            raise NotAudioError(f"the m4a file is cut into more than {_MOST_EDITS} edits")
        elif name == b"cmov":
            raise NotAudioError("the m4a file has a compressed index, which audio never has")
        if packets > _MOST_PACKETS:
            raise NotAudioError(f"the m4a file states more than {_MOST_PACKETS} packets")
    return Claims(lacks_media=lacks_media, is_fragmented=is_fragmented)


def _boxes(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each box, parents before what is in them (section 4.2).

    Size 1 means that a 64-bit size follows, size 0 that the box extends to the end. ``mdat`` may be shorter
    than its size; inside another box the rest of that one is taken, as FFmpeg does.
    """
    at, ends, boxes = 0, [size_bytes], 0
    while at + 8 <= ends[0]:
        while at + 8 > ends[-1] and len(ends) > 1:
            at = ends.pop()
        if at + 8 > ends[-1]:
            continue
        file.seek(at)
        head = file.read(16)
        name, size, head_bytes = head[4:8], int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, head_bytes = int.from_bytes(head[8:16], "big"), 16
        size = size or ends[-1] - at
        if size < head_bytes or (at + size > size_bytes and name != b"mdat"):
            raise NotAudioError("the m4a file is damaged or cut: a box is larger than what is left")
        if len(ends) > 1:
            size = min(size, ends[-1] - at)
        boxes += 1
        if boxes > _MOST_BOXES:
            raise NotAudioError(f"the m4a file is made of more than {_MOST_BOXES} boxes")
        yield name, at + head_bytes, at + size
        if name in _PARENTS:
            ends.append(at + size)
            at += head_bytes
        else:
            at += size


def _numbers(file: BinaryIO, at: int, count: int) -> tuple[int, ...]:
    file.seek(at)
    return struct.unpack(f">{count}I", file.read(4 * count).ljust(4 * count, b"\0"))
