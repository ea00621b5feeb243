"""Whatever the bytes are, `measure` answers or raises NotAudioError, within bounds of time and memory."""

import struct
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicgate.assets.audio import LONGEST_S
from musicgate.assets.measure import measure_bytes
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import NotAudioError
from tests.test_measure import FRAGMENTED, box, encode, id3v2, numbers

SIZE = 200_000
MP3_FRAME = bytes.fromhex("fffb9064") + bytes(413)
OPUS_HEAD = b"OpusHead\x01\x02\x38\x01" + struct.pack("<I", 48_000) + bytes(3)
STREAMINFO = bytes.fromhex("1000 1000 000000 000000 0ac442f0 00286fd0".replace(" ", "")) + bytes(16)
FLAC_HEAD = b"fLaC\x80\0\0\x22" + STREAMINFO


def filled(unit: bytes, head: bytes = b"") -> bytes:
    return head + unit * ((SIZE - len(head)) // len(unit))


def page(body: bytes, lacing: bytes, flags: int = 0) -> bytes:
    head = struct.pack("<qIII", 960, 1, 0, 0)
    return b"OggS\0" + bytes([flags]) + head + bytes([len(lacing)]) + lacing + body


OPUS = page(OPUS_HEAD, b"\x13", 2) + page(b"OpusTags" + bytes(8), b"\x10")
FTYP = box(b"ftyp", b"M4A " + bytes(4))
MVEX = box(b"mvex", box(b"trex", numbers(0, 1, 1, 1024, 0, 0)))


def moov(*tables: bytes) -> bytes:
    """A moov box with one track of sound."""
    entry = bytes(6) + struct.pack(">H8xHHIHH", 1, 2, 16, 0, 44_100, 0)
    stbl = box(b"stbl", box(b"stsd", numbers(0, 1) + box(b"mp4a", entry)) + b"".join(tables))
    hdlr = box(b"hdlr", numbers(0, 0) + b"soun" + bytes(12))
    mdia = box(b"mdia", box(b"mdhd", numbers(0, 0, 0, 44_100, 0, 0)) + hdlr + box(b"minf", stbl))
    return box(b"moov", box(b"trak", box(b"tkhd", numbers(0, 0, 0, 1, 0, 0)) + mdia) + MVEX)


def nested() -> bytes:
    """Boxes nested as deeply as they fit."""
    names = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
    depth = SIZE // 8
    return b"".join((8 * (depth - level)).to_bytes(4, "big") + names[level % 5] for level in range(depth))


HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "mp3 of false syncs": lambda: filled(bytes.fromhex("fffb9064"), MP3_FRAME * 2),
    "mp3 of half syncs": lambda: filled(b"\xff\xfb", MP3_FRAME * 2),
    "mp3 of ones": lambda: filled(b"\xff", MP3_FRAME * 2),
    "mp3 of false syncs behind a tag of 256 MB": lambda: filled(
        bytes.fromhex("fffb9064"), b"ID3\x03\0\0\x7f\x7f\x7f\x7f"
    ),
    "tags of id3": lambda: filled(b"ID3\x03" + bytes(6)),
    "aac of 7-byte frames": lambda: filled(bytes.fromhex("fff1508000fffc")),
    "aac of false syncs": lambda: filled(
        bytes.fromhex("fff15080"), bytes.fromhex("fff15080017ffc00000000") * 2
    ),
    "wav of empty chunks": lambda: filled(b"junk" + bytes(4), b"RIFF" + bytes(4) + b"WAVE"),
    "ogg of 1-byte pages": lambda: filled(page(b"\xfc", b"\1"), OPUS),
    "ogg of empty pages": lambda: filled(page(b"", b""), OPUS),
    "ogg of 1-byte packets": lambda: filled(page(b"\xfc" * 255, b"\1" * 255), OPUS),
    "ogg of many streams": lambda: filled(page(OPUS_HEAD, b"\x13", 6)),
    "ogg of an endless comment": lambda: filled(page(bytes(255 * 255), b"\xff" * 255), OPUS),
    "flac of empty blocks": lambda: filled(b"\1\0\0\0", b"fLaC\0\0\0\x22" + STREAMINFO),
    "flac of false syncs": lambda: filled(b"\xff\xf8", FLAC_HEAD),
    "flac of one frame again and again": lambda: filled(
        bytes.fromhex("fff869180042 0000".replace(" ", "")), FLAC_HEAD
    ),
    "m4a of empty boxes": lambda: filled(box(b"free", b""), FTYP),
    "m4a of nested boxes": lambda: FTYP + nested(),
    "m4a of empty tracks": lambda: FTYP + box(b"moov", filled(box(b"trak", b""))),
    "m4a of tracks without sound": lambda: (
        FTYP + box(b"moov", filled(box(b"trak", box(b"mdia", box(b"hdlr", bytes(12))))))
    ),
    "m4a of empty fragments": lambda: FTYP + moov() + filled(box(b"moof", box(b"traf", b""))),
    "m4a of sample sizes": lambda: (
        FTYP
        + moov(
            box(b"stsz", numbers(0, 0, SIZE // 4) + bytes(SIZE)), box(b"stts", numbers(0, 1, SIZE // 4, 1024))
        )
    ),
    "m4a of sample times": lambda: (
        FTYP
        + moov(box(b"stsz", numbers(0, 1, 100)), box(b"stts", numbers(0, SIZE // 8) + bytes(SIZE)))
        + box(b"mdat", bytes(100))
    ),
    "m4a of runs": lambda: (
        FTYP
        + moov()
        + box(
            b"moof",
            box(
                b"traf",
                box(b"tfhd", numbers(0, 1)) + box(b"trun", numbers(0x100, SIZE // 4) + filled(numbers(9))),
            ),
        )
        + box(b"mdat", bytes(SIZE))
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_audio_or_refused(name: str) -> None:
    measured(HOSTILE[name]())


def test_audio_that_takes_too_long_is_refused() -> None:
    content = song(AudioFormat(), 1.0)
    with pytest.raises(NotAudioError, match="took more than 0 s"):
        measure_bytes(content, limit_s=0.0)


SONGS: Mapping[str, Callable[[], bytes]] = {
    "mp3": lambda: song(AudioFormat(), 0.5),
    "mp3 behind a tag": lambda: id3v2(song(AudioFormat(), 0.5)),
    "wav": lambda: song(AudioFormat(container=Container.WAV, sample_rate_hz=8_000), 0.5),
    "opus": lambda: song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 0.5),
    "vorbis": lambda: encode("vorbis", "ogg", duration_s=0.5, strict="experimental"),
    "aac": lambda: encode("aac", "adts", duration_s=0.5),
    "m4a": lambda: encode("aac", "ipod", duration_s=0.5),
    "m4a in fragments": lambda: encode("aac", "ipod", duration_s=2.0, mux=FRAGMENTED),
    "flac": lambda: encode("flac", "flac", duration_s=0.5),
    "ima": lambda: encode("adpcm_ima_wav", "wav", duration_s=0.5),
    "mp3 in wav": lambda: encode("libmp3lame", "wav", duration_s=0.5),
}
STARTS = [b"", b"ID3\x03\0\0\0\0\0\0", b"RIFF\0\0\0\0WAVE", b"OggS", OPUS, b"fLaC", FLAC_HEAD, FTYP, FTYP + moov(),
          MP3_FRAME, bytes.fromhex("fff15080017ffc")]  # fmt: skip
ANY = st.binary(max_size=400)
NUMBERS = st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])


def measured(content: bytes) -> None:
    """Measure, and check what must hold if it is audio."""
    try:
        facts = measure_bytes(content)
    except NotAudioError as error:
        assert str(error)
        return
    assert 0 < facts.duration_s <= LONGEST_S
    assert facts.size_bytes == len(content) >= facts.duration_s * 500 / 8
    assert facts.is_silent == (facts.true_peak_dbtp is None)
    assert all(repair.at + len(repair.content) <= len(content) for repair in facts.repairs)


@settings(deadline=None)
@given(start=st.sampled_from(STARTS), rest=ANY)
def test_arbitrary_bytes_are_audio_or_refused(start: bytes, rest: bytes) -> None:
    measured(start + rest)


@settings(max_examples=10, deadline=None)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), ANY | NUMBERS.map(numbers)), max_size=5), end=st.floats(0, 1)
)
@pytest.mark.parametrize("name", SONGS)
def test_a_changed_file_is_audio_or_refused(
    name: str, changes: list[tuple[float, bytes]], end: float
) -> None:
    content = bytearray(_SONGS.setdefault(name, SONGS[name]()))
    for where, change in changes:
        at = int(where**3 * len(content))  # headers are in front
        content[at : at + len(change)] = change
    measured(bytes(content[: int((1 - end**4) * len(content))]))


_SONGS: dict[str, bytes] = {}
