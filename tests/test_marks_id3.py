"""ID3 tags of every version are extended without changing a frame that is not ours."""

import io
import zlib
from pathlib import Path

import pytest
from mutagen.id3 import ID3

from musicgate.assets import AudioKind
from musicgate.assets.marks import Tags, write_tags
from musicgate.assets.marks.id3 import MAX_TAG_BYTES, Frame, Id3Tag, id3_bytes, read_id3
from musicgate.emulation.tones import AudioFormat, song
from musicgate.errors import MarksError

TAGS = Tags(
    title="Blue hour ☂",
    artist="Ana Ö",
    provider="suno",
    model="suno/v5",
    tool="musicgate 0.1.0",
    job_id="music_1",
)
AUDIO = song(AudioFormat(), 0.2)


def frame(name: bytes, content: bytes, flags: bytes = b"\0\0") -> Frame:
    return Frame(name=name, flags=flags, content=content)


def read(content: bytes) -> Id3Tag:
    return read_id3(io.BytesIO(content))


def tagged(folder: Path, old: bytes, tags: Tags = TAGS) -> bytes:
    """An MP3 file with an old tag, after ours was written."""
    path = folder / "song.mp3"
    path.write_bytes(old + AUDIO)
    write_tags(path, AudioKind.MP3, tags)
    new = path.read_bytes()
    assert new.endswith(AUDIO)
    return new


#: Frames that we do not know, with bytes that a naive reader trips over.
KEPT = {
    2: [frame(b"ZZ9", b"\xff\xfb\0abc", b""), frame(b"PIC", b"\0PNG\3\0\xff\xe0", b"")],
    3: [
        frame(b"XYZ1", b"\xff\xfb\x90\0abc\xff"),
        frame(b"XYZ1", b"the same name again"),
        frame(b"TYER", b"\x002024"),
        frame(b"PRIV", b"owner\0\xff\0\xff\xe0", b"\x40\0"),
        frame(b"XCMP", (3).to_bytes(4, "big") + zlib.compress(b"abc"), b"\0\x80"),
        frame(b"TXXX", b"\1\xff\xfet\0h\0e\0i\0r\0s\0\0\0\xff\xfex\0"),
        frame(b"COMM", b"\0engtheirs\0text"),
        frame(b"TP1\0", b"\0as iTunes wrote it"),
    ],
    4: [
        frame(b"XYZ1", b"x" * 200),
        frame(b"XENC", b"\1secret", b"\0\4"),
        frame(b"XUNS", b"\xff\0\xfb", b"\0\2"),
        frame(b"CHAP", b""),
        frame(b"TXXX", b"\3theirs\0x"),
    ],
}


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("is_unsynchronised", [False, True])
def test_unknown_frames_are_kept_byte_for_byte(tmp_path: Path, version: int, is_unsynchronised: bool) -> None:
    old = Id3Tag(version=version, frames=tuple(KEPT[version]), is_unsynchronised=is_unsynchronised)
    assert read(id3_bytes(old)).frames == old.frames
    new = read(tagged(tmp_path, id3_bytes(old)))
    assert new.version == version
    assert new.frames[-len(old.frames) :] == old.frames
    assert new.is_unsynchronised is is_unsynchronised


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("is_unsynchronised", [False, True])
def test_mutagen_reads_our_frames_in_every_version(
    tmp_path: Path, version: int, is_unsynchronised: bool
) -> None:
    title = frame(b"TT2" if version == 2 else b"TIT2", b"\0Old", b"" if version == 2 else b"\0\0")
    old = Id3Tag(version=version, frames=(title,), is_unsynchronised=is_unsynchronised)
    tag = ID3(io.BytesIO(tagged(tmp_path, id3_bytes(old))), translate=False)
    assert tag.version[1] == version
    assert [one.text for one in tag.getall("TIT2")] == [["Blue hour ☂"]]
    assert tag["TPE1"].text == ["Ana Ö"]
    assert tag["COMM:AI generated:eng"].text[0].startswith("AI generated with suno/v5")
    assert tag["TXXX:AI_MODEL"].text == ["suno/v5"]


def test_false_frame_headers_are_hidden_in_an_unsynchronised_tag() -> None:
    old = Id3Tag(version=3, frames=(frame(b"XYZ1", b"\xff\xfb\x90\xff\0\xff"),), is_unsynchronised=True)
    assert b"\xff\xfb" not in id3_bytes(old)
    assert id3_bytes(old).endswith(b"\xff\0")  # the audio begins with 0xFF
    assert read(id3_bytes(old)).frames == old.frames


@pytest.mark.parametrize(
    ("version", "extended"),
    [(3, b"\0\0\0\x06\0\0\0\0\0\0"), (3, b"\0\0\0\x0a\x80\0\0\0\0\0\1\2\3\4"), (4, b"\0\0\0\x06\1\0")],
)
def test_an_extended_header_is_skipped(tmp_path: Path, version: int, extended: bytes) -> None:
    kept = frame(b"XYZ1", b"abc")
    frames = id3_bytes(Id3Tag(version=version, frames=(kept,)))[10:]
    body = extended + frames + bytes(100)
    old = b"ID3" + bytes([version, 0, 0x40, 0, 0, len(body) >> 7, len(body) & 0x7F]) + body
    new = tagged(tmp_path, old)
    assert read(new).frames[-1] == kept
    assert new[5] == 0


def test_a_footer_is_no_part_of_the_audio(tmp_path: Path) -> None:
    body = id3_bytes(Id3Tag(frames=(frame(b"XYZ1", b"abc"),)))[10:]
    head = b"\4\0\x10\0\0\0" + bytes([len(body)])
    new = tagged(tmp_path, b"ID3" + head + body + b"3DI" + head)
    assert b"3DI" not in new
    assert read(new).frames[-1] == frame(b"XYZ1", b"abc")


def test_sizes_that_itunes_wrote_into_version_2_4_are_read(tmp_path: Path) -> None:
    content = b"x" * 300
    wrong = b"XYZ1" + (300).to_bytes(4, "big") + b"\0\0" + content + b"ZZZZ\0\0\0\1\0\0y"
    new = tagged(tmp_path, b"ID3\4\0\0\0\0" + bytes([len(wrong) >> 7, len(wrong) & 0x7F]) + wrong)
    assert read(new).frames[-2:] == (frame(b"XYZ1", content), frame(b"ZZZZ", b"y"))


def test_comments_and_texts_of_others_stay_and_ours_are_replaced(tmp_path: Path) -> None:
    first = tagged(tmp_path, id3_bytes(Id3Tag(version=3, frames=tuple(KEPT[3]))))
    other = Tags(provider="minimax", model="minimax/music-3", tool="musicgate 0.2.0", job_id="music_2")
    second = tagged(tmp_path, first[: read(first).size_bytes], other)
    tag = ID3(io.BytesIO(second), translate=False)
    assert tag["TXXX:theirs"].text == ["x"]
    assert tag["COMM:theirs:eng"].text == ["text"]
    assert tag["TXXX:AI_MODEL"].text == ["minimax/music-3"]
    assert tag["TIT2"].text == ["Blue hour ☂"]
    assert len(tag.getall("COMM")) == 2


@pytest.mark.parametrize(
    "old",
    [
        pytest.param(b"ID3\5\0\0\0\0\0\0", id="version 5"),
        pytest.param(b"ID3\2\0\x40\0\0\0\0", id="compressed as a whole"),
        pytest.param(b"ID3\4\0\1\0\0\0\0", id="an undefined flag"),
        pytest.param(b"ID3\4\0\0\0\0\x80\0", id="size that is not synchsafe"),
        pytest.param(b"ID3\4\0\0\x7f\x7f\x7f\x7f", id="256 MiB"),
        pytest.param(b"ID3\3\0\0\0\0\0\x14XYZ1\x7f\xff\xff\xff\0\0abcdefghij", id="a frame beyond the tag"),
        pytest.param(b"ID3\3\0\0\0\0\0\x0cxyz1\0\0\0\2\0\0ab", id="no name of a frame"),
        pytest.param(b"ID3\3\0\0\0\0\0\x0e\0\0\0\0XYZ1\0\0\0\0\0\0", id="a frame in the padding"),
        pytest.param(b"ID3\3\0\x40\0\0\0\x04\xff\xff\xff\xff", id="an extended header beyond the tag"),
        pytest.param(b"ID3\4\0\x40\0\0\0\x04\xff\xff\xff\xff", id="an extended header of a negative size"),
    ],
)
def test_a_damaged_tag_is_refused_and_the_file_stays_as_it_is(tmp_path: Path, old: bytes) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(old + AUDIO)
    with pytest.raises(MarksError, match="ID3 tag"):
        write_tags(path, AudioKind.MP3, TAGS)
    assert path.read_bytes() == old + AUDIO
    assert list(tmp_path.iterdir()) == [path]


def test_a_tag_over_16_mib_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(MarksError, match="at most 16,777,216 are read"):
        tagged(tmp_path, b"ID3\4\0\0\x7f\x7f\x7f\x7f")


def test_a_tag_that_would_become_too_large_is_refused(tmp_path: Path) -> None:
    old = Id3Tag(frames=(frame(b"APIC", bytes(MAX_TAG_BYTES - 20)),))
    with pytest.raises(MarksError, match="would have"):
        tagged(tmp_path, id3_bytes(old))
