"""Whatever the bytes are, `measure` raises only NotAudioError, and its work and memory are bounded."""

import re
import struct
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import SupportsIndex, overload

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicgate.assets.audio import LONGEST_S
from musicgate.assets.containers import steps
from musicgate.assets.containers.steps import Steps
from musicgate.assets.measure import measure_bytes
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import NotAudioError
from tests.test_measure import FRAGMENTED, box, encode, id3v2, numbers

SIZE = 1_000_000
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


class Watched(bytes):
    """Bytes that count the reads and their sizes."""

    reads = 0
    bytes_read = 0

    @overload
    def __getitem__(self, key: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: SupportsIndex | slice) -> int | bytes:
        part = super().__getitem__(key)
        self.reads += 1
        self.bytes_read += 1 if isinstance(part, int) else len(part)
        return part


@pytest.fixture
def _few_free_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scale the free steps down to small files."""
    monkeypatch.setattr(steps, "_FREE_STEPS", 2_000)


@pytest.mark.usefixtures("_few_free_steps")
@pytest.mark.parametrize("name", HOSTILE)
def test_work_and_memory_are_bounded_by_the_size_of_the_file(name: str) -> None:
    content = Watched(HOSTILE[name]())
    tracemalloc.start()
    try:
        facts = measure_bytes(content)
    except NotAudioError:
        pass
    else:
        assert 0 < facts.duration_s < LONGEST_S
    finally:
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert content.reads < len(content) / 16  # half a microsecond each: some 30 ns per byte
    assert content.bytes_read < 3 * len(content)
    assert peak_bytes < 1_500_000  # a table of 8,192 entries, not the file


def test_a_search_costs_steps_in_proportion_to_its_length() -> None:
    allowed = Steps(0)
    before = allowed.left
    content = bytes(10 * 65_536 + 6_400) + b"x"
    assert steps.find(re.compile(b"x"), content, 0, allowed) == 10 * 65_536 + 6_400
    assert before - allowed.left == 10 * 1_025 + 101


def test_long_work_lets_other_threads_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    allowed = Steps(SIZE)
    for _ in range(20_000):
        allowed.take()
    assert 9 <= len(rests) <= 10


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
    assert all(repair.at + len(repair.content) <= len(content) for repair in facts.repairs)


@settings(deadline=None)
@given(start=st.sampled_from(STARTS), rest=ANY)
def test_arbitrary_bytes_are_audio_or_refused(start: bytes, rest: bytes) -> None:
    measured(start + rest)


@settings(max_examples=25, deadline=None)
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
