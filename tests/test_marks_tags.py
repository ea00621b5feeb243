"""Tags are written where the caller asked for them, and nothing else in the file changes."""

import base64
import io
from pathlib import Path

import av
import mutagen
import pytest
from mutagen.flac import FLAC, Picture
from mutagen.id3 import ID3, Encoding
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

from musicgate.assets import AudioKind
from musicgate.assets.marks import MAX_MARK_CHARS, Tags, write_tags
from musicgate.assets.marks.riff import read_riff
from musicgate.assets.marks.vorbis_comment import ogg_crc
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import MarksError

TAGS = Tags(
    title="Blue hour ☂",
    artist="Ana Ö",
    provider="suno",
    model="suno/v5",
    tool="musicgate 0.1.0",
    job_id="music_1",
)
COMMENT = "AI generated with suno/v5 by suno through musicgate 0.1.0, job music_1"
FIELDS = {
    "AI_GENERATED": "yes",
    "AI_PROVIDER": "suno",
    "AI_MODEL": "suno/v5",
    "AI_TOOL": "musicgate 0.1.0",
    "AI_JOB_ID": "music_1",
}
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
KINDS = [AudioKind.MP3, AudioKind.WAV, AudioKind.FLAC, AudioKind.M4A, AudioKind.OPUS, AudioKind.OGG]


def vorbis() -> bytes:
    """Vorbis, by FFmpeg's own encoder: the wheels of PyAV have no other."""
    pcm = song(AudioFormat(container=Container.PCM), 0.5)
    frame = av.AudioFrame(format="s16", layout="stereo", samples=len(pcm) // 4)
    frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate = 44_100
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as writer:
        stream = writer.add_stream("vorbis", rate=44_100, layout="stereo", options={"strict": "-2"})
        assert isinstance(stream, av.AudioStream)
        for half in (frame, None):
            for packet in stream.encode(half):
                writer.mux(packet)
    return out.getvalue()


def audio_file(folder: Path, kind: AudioKind) -> Path:
    path = folder / f"song.{kind}"
    if kind is AudioKind.OGG:
        path.write_bytes(vorbis())
    else:
        rate_hz = 48_000 if kind is AudioKind.OPUS else 44_100
        path.write_bytes(song(AudioFormat(container=Container(kind.value), sample_rate_hz=rate_hz), 0.5))
    return path


def samples(path: Path) -> bytes:
    """All decoded samples."""
    with av.open(str(path)) as reader:
        return b"".join(bytes(plane) for frame in reader.decode(audio=0) for plane in frame.planes)


def packets(path: Path) -> list[tuple[bytes, int | None]]:
    """All encoded packets with their times."""
    with av.open(str(path)) as reader:
        return [(bytes(packet), packet.pts) for packet in reader.demux(audio=0) if packet.size]


@pytest.mark.parametrize("kind", KINDS)
def test_audio_is_the_same_to_the_sample(tmp_path: Path, kind: AudioKind) -> None:
    path = audio_file(tmp_path, kind)
    before = samples(path), packets(path)
    write_tags(path, kind, TAGS)
    assert (samples(path), packets(path)) == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", KINDS)
def test_ffmpeg_reads_title_artist_and_comment(tmp_path: Path, kind: AudioKind) -> None:
    path = audio_file(tmp_path, kind)
    write_tags(path, kind, TAGS)
    with av.open(str(path)) as reader:
        found = {**reader.metadata, **reader.streams[0].metadata}
    found = {name.lower(): text for name, text in found.items()}
    assert (found["title"], found["artist"]) == ("Blue hour ☂", "Ana Ö")
    assert found.get("comment", found.get("ai generated")) == COMMENT
    if kind is not AudioKind.WAV:
        assert {name: found[name.lower()] for name in FIELDS} == FIELDS


@pytest.mark.parametrize("kind", KINDS)
def test_tags_written_twice_are_there_once(tmp_path: Path, kind: AudioKind) -> None:
    path = audio_file(tmp_path, kind)
    write_tags(path, kind, TAGS)
    once = path.read_bytes()
    write_tags(path, kind, TAGS)
    assert path.read_bytes() == once


def test_mutagen_reads_the_id3_tag_as_version_2_4_in_utf_8(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.MP3)
    write_tags(path, AudioKind.MP3, TAGS)
    tag = ID3(path, translate=False)
    assert tag.version == (2, 4, 0)
    assert (tag["TIT2"].text, tag["TIT2"].encoding) == (["Blue hour ☂"], Encoding.UTF8)
    assert tag["TPE1"].text == ["Ana Ö"]
    assert tag["COMM:AI generated:eng"].text == [COMMENT]
    assert {frame.desc: frame.text[0] for frame in tag.getall("TXXX")} == FIELDS


def test_an_adts_stream_gets_an_id3_tag(tmp_path: Path) -> None:
    path = tmp_path / "song.aac"
    stream = bytes.fromhex("fff15080 01 5ffc 00000000".replace(" ", "")) * 5
    path.write_bytes(stream)
    write_tags(path, AudioKind.AAC, TAGS)
    assert ID3(path)["TIT2"].text == ["Blue hour ☂"]
    assert path.read_bytes().endswith(stream)


def test_mutagen_reads_vorbis_comments_and_keeps_theirs(tmp_path: Path) -> None:
    for kind, reader in ((AudioKind.FLAC, FLAC), (AudioKind.OPUS, OggOpus), (AudioKind.OGG, OggVorbis)):
        path = audio_file(tmp_path, kind)
        file = reader(path)
        picture = Picture()
        picture.data, picture.mime = PNG, "image/png"
        file["mine"] = ["one", "two"]
        file["comment"] = ["a comment of theirs"]
        file["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]
        file["title"] = ["Old"]
        file.save()
        vendor = reader(path).tags.vendor
        write_tags(path, kind, TAGS)
        tags = reader(path).tags
        assert tags.vendor == vendor
        assert (tags["title"], tags["artist"]) == (["Blue hour ☂"], ["Ana Ö"])
        assert tags["mine"] == ["one", "two"]
        assert tags["comment"] == [COMMENT, "a comment of theirs"]
        assert len(tags["metadata_block_picture"]) == 1
        assert {name: tags[name][0] for name in FIELDS} == FIELDS


def assert_pages_are_true(content: bytes) -> int:
    """Check flags, granule positions and checksums of Ogg pages against RFC 3533; how many there are."""
    at = count = 0
    is_continued = False
    while at < len(content):
        lacing = content[at + 27 : at + 27 + content[at + 26]]
        stop = at + 27 + len(lacing) + sum(lacing)
        page, ends = content[at:stop], any(size < 255 for size in lacing)
        assert bool(page[5] & 1) is is_continued
        assert (page[6:14] == b"\xff" * 8) is not ends
        assert int.from_bytes(page[18:22], "little") == count
        assert int.from_bytes(page[22:26], "little") == ogg_crc(page[:22] + bytes(4) + page[26:])
        at, count, is_continued = stop, count + 1, lacing[-1] == 255
    return count


def pictured(path: Path, reader: type, size_bytes: int) -> None:
    """Put a picture of that size into the comments of a file."""
    file = reader(path)
    file["metadata_block_picture"] = ["A" * size_bytes]
    file.save()


@pytest.mark.parametrize(("kind", "reader"), [(AudioKind.OPUS, OggOpus), (AudioKind.OGG, OggVorbis)])
def test_comments_over_several_ogg_pages_keep_their_pages(
    tmp_path: Path, kind: AudioKind, reader: type
) -> None:
    path = audio_file(tmp_path, kind)
    pictured(path, reader, 150_000)
    before, content = packets(path), path.read_bytes()
    write_tags(path, kind, TAGS)
    assert packets(path) == before
    assert assert_pages_are_true(path.read_bytes()) == assert_pages_are_true(content)
    tags = reader(path).tags
    assert (tags["title"], len(tags["metadata_block_picture"][0])) == (["Blue hour ☂"], 150_000)


def test_comments_that_need_another_ogg_page_are_refused(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.OPUS)
    content = path.read_bytes()
    second = content.index(b"OggS", 4)
    third = content.index(b"OggS", second + 4)
    packet = content[second + 27 + content[second + 26] : third].ljust(254 * 255 + 200, b"\0")
    page = content[second : second + 22] + bytes(4) + b"\xff" + b"\xff" * 254 + b"\xc8" + packet
    page = page[:22] + ogg_crc(page).to_bytes(4, "little") + page[26:]
    content = content[:second] + page + content[third:]
    path.write_bytes(content)
    assert OggOpus(path).tags is not None
    with pytest.raises(MarksError, match="another number of pages"):
        write_tags(path, AudioKind.OPUS, TAGS)
    assert path.read_bytes() == content


def test_ogg_with_several_streams_or_another_codec_is_refused(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.OPUS)
    content = path.read_bytes()
    second = content.index(b"OggS", 4)
    for changed, message in (
        (
            content[:second] + content[:second].replace(b"OpusHead", b"Other...") + content[second:],
            "one stream",
        ),
        (content.replace(b"OpusHead", b"Speex   "), "Opus and Vorbis"),
        (content.replace(b"OpusTags", b"NotTags!"), "no comment header"),
    ):
        path.write_bytes(changed)
        with pytest.raises(MarksError, match=message):
            write_tags(path, AudioKind.OPUS, TAGS)
        assert path.read_bytes() == changed


def test_headers_that_share_a_page_with_audio_are_refused(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.OPUS)
    content = path.read_bytes()
    second = content.index(b"OggS", 4)
    segments = content[second + 26]
    lacing = content[second + 27 : second + 27 + segments]
    page = content[second : second + 26] + bytes([segments + 1]) + lacing + b"\1"
    rest = content[second + 27 + segments :]
    path.write_bytes(content[:second] + page + rest[: sum(lacing)] + b"x" + rest[sum(lacing) :])
    with pytest.raises(MarksError, match="do not end with a page"):
        write_tags(path, AudioKind.OPUS, TAGS)


def test_every_other_flac_block_is_kept(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.FLAC)
    content = path.read_bytes()
    block = b"\x82\x00\x00\x08ownr1234"  # an APPLICATION block, the last one
    first_stop = 8 + int.from_bytes(content[5:8], "big")
    path.write_bytes(content[:4] + b"\0" + content[5:first_stop] + block + content[first_stop:])
    write_tags(path, AudioKind.FLAC, TAGS)
    assert block in path.read_bytes()
    assert FLAC(path).tags["title"] == ["Blue hour ☂"]


def test_a_flac_file_that_has_streaminfo_only_gets_a_comment_block(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.FLAC)
    content = path.read_bytes()
    file = FLAC(path)
    frames = content[content.index(b"\xff\xf8") :]
    info = file.info
    path.write_bytes(b"fLaC\x80\0\0\x22" + content[8:42] + frames)
    write_tags(path, AudioKind.FLAC, TAGS)
    again = FLAC(path)
    assert again.tags["title"] == ["Blue hour ☂"]
    assert again.info.total_samples == info.total_samples
    assert path.read_bytes().endswith(frames)


def test_mutagen_reads_mp4_items_and_those_that_were_there(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.M4A)
    file = MP4(path)
    file.add_tags()
    file["----:com.apple.iTunes:mine"] = [MP4FreeForm(b"one")]
    file["covr"] = [MP4Cover(PNG, MP4Cover.FORMAT_PNG)]
    file["\xa9nam"] = "Old"
    file.save()
    before = samples(path)
    write_tags(path, AudioKind.M4A, TAGS)
    tags = MP4(path).tags
    assert (tags["\xa9nam"], tags["\xa9ART"], tags["\xa9cmt"]) == (["Blue hour ☂"], ["Ana Ö"], [COMMENT])
    assert tags["----:com.apple.iTunes:mine"] == [b"one"]
    assert tags["covr"] == [PNG]
    assert {name: tags[f"----:com.apple.iTunes:{name}"][0].decode() for name in FIELDS} == FIELDS
    assert samples(path) == before


@pytest.mark.parametrize("options", [{"movflags": "faststart"}, {"moov_size": "4000"}])
def test_m4a_with_its_description_in_front_keeps_its_samples(tmp_path: Path, options: dict[str, str]) -> None:
    """The offsets of the samples are corrected, or a ``free`` box takes up the difference."""
    path, original = tmp_path / "front.m4a", audio_file(tmp_path, AudioKind.M4A)
    with av.open(str(original)) as reader, av.open(str(path), "w", format="mp4", options=options) as to:
        stream = to.add_stream_from_template(reader.streams.audio[0])
        for packet in reader.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                to.mux(packet)
    content, before = path.read_bytes(), packets(path)
    assert content.index(b"moov") < content.index(b"mdat")
    write_tags(path, AudioKind.M4A, TAGS)
    assert packets(path) == before
    assert MP4(path).tags["\xa9nam"] == ["Blue hour ☂"]
    assert (path.stat().st_size == len(content)) is ("moov_size" in options)


def test_a_fragmented_m4a_is_refused(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.M4A)
    content = path.read_bytes() + b"\0\0\0\x08moof"
    path.write_bytes(content)
    with pytest.raises(MarksError, match="fragmented"):
        write_tags(path, AudioKind.M4A, TAGS)
    assert path.read_bytes() == content


def test_metadata_of_quicktime_without_a_version_are_extended(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.M4A)
    write_tags(path, AudioKind.M4A, Tags(title="Old", provider="p", model="m", tool="t", job_id="j"))
    content = bytearray(path.read_bytes())
    at = content.index(b"meta")
    for name, less in ((b"moov", 4), (b"udta", 4), (b"meta", 4)):
        start = content.index(name) - 4
        size = int.from_bytes(content[start : start + 4], "big") - less
        content[start : start + 4] = size.to_bytes(4, "big")
    assert content[at + 4 : at + 8] == bytes(4)
    path.write_bytes(content[: at + 4] + content[at + 8 :])
    write_tags(path, AudioKind.M4A, TAGS)
    new = path.read_bytes()
    assert (new.count(b"ilst"), new.count(b"hdlrmdir"), b"Old" in new) == (1, 0, False)
    assert new.count(b"mdirappl") == 1


def test_every_other_riff_chunk_is_kept_and_their_comment_too(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.WAV)
    content = path.read_bytes()
    info = (
        b"LIST"
        + (4 + 8 + 6 + 8 + 4).to_bytes(4, "little")
        + b"INFOICMT\x06\0\0\0caf\xe9\0\0ISFT\x04\0\0\0abc\0"
    )
    other = b"bext\x03\0\0\0abc\0"
    body = content[12:] + other + info + b"junk\x02\0\0\0\xff\xfe"
    path.write_bytes(b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WAVE" + body)
    write_tags(path, AudioKind.WAV, TAGS)
    new = path.read_bytes()
    assert int.from_bytes(new[4:8], "little") == len(new) - 8
    with path.open("rb") as file:
        assert [chunk.name for chunk in read_riff(file).chunks] == [
            b"fmt ",
            b"data",
            b"bext",
            b"LIST",
            b"junk",
        ]
    assert other in new
    assert b"ISFT\x04\0\0\0abc\0" in new
    assert b"caf\xe9; " + COMMENT.encode() in new
    assert b"INAM" in new
    write_tags(path, AudioKind.WAV, TAGS)
    assert path.read_bytes().count(COMMENT.encode()) == 1


def test_bytes_behind_the_riff_form_stay_behind_it(tmp_path: Path) -> None:
    path = audio_file(tmp_path, AudioKind.WAV)
    path.write_bytes(path.read_bytes() + b"what follows")
    write_tags(path, AudioKind.WAV, TAGS)
    new = path.read_bytes()
    assert new.endswith(b"what follows")
    assert int.from_bytes(new[4:8], "little") == len(new) - 8 - len(b"what follows")


@pytest.mark.parametrize("stated", [0x7FFFFFFF, 0xFFFFFFFF, 0])
def test_a_wav_whose_writer_did_not_know_its_size_gets_a_true_one(tmp_path: Path, stated: int) -> None:
    path = audio_file(tmp_path, AudioKind.WAV)
    before = samples(path)
    content = path.read_bytes()
    size = stated.to_bytes(4, "little")
    path.write_bytes(b"RIFF" + size + content[8:40] + size + content[44:])
    write_tags(path, AudioKind.WAV, TAGS)
    assert samples(path) == before
    with path.open("rb") as file:
        chunks = {chunk.name: chunk.content_bytes for chunk in read_riff(file).chunks}
    assert chunks[b"data"] == len(content) - 44


def test_a_title_that_was_not_given_stays(tmp_path: Path) -> None:
    untitled = Tags(provider="suno", model="suno/v5", tool="musicgate 0.1.0", job_id="music_1")
    for kind in KINDS:
        path = audio_file(tmp_path, kind)
        write_tags(path, kind, TAGS)
        write_tags(path, kind, untitled)
        with av.open(str(path)) as reader:
            found = {**reader.metadata, **reader.streams[0].metadata}
        assert {name.lower(): text for name, text in found.items()}["title"] == "Blue hour ☂"


DAMAGED = {
    AudioKind.MP3: b"ID3\x04\0\0\0\0\x7f\x7fTIT2\0\0\x40\0\0\0",
    AudioKind.WAV: b"RIFF\x30\0\0\0WAVEfmt \xff\xff\xff\x7f",
    AudioKind.FLAC: b"fLaC\x00\x00\xff\xff",
    AudioKind.M4A: b"\0\0\0\x10ftypM4A \0\0\0\0\0\0\xff\xffmoov",
    AudioKind.OPUS: b"OggS\0\x02"
    + bytes(20)
    + b"\x01\x13OpusHead"
    + bytes(11)
    + b"OggS\0\0"
    + bytes(20)
    + b"\xff",
    AudioKind.OGG: b"not ogg at all, but longer than a page's head",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_refused_and_stays_as_it_is(tmp_path: Path, kind: AudioKind) -> None:
    path = tmp_path / "song"
    path.write_bytes(DAMAGED[kind])
    with pytest.raises(MarksError):
        write_tags(path, kind, TAGS)
    assert path.read_bytes() == DAMAGED[kind]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_raises_nothing_but_a_marks_error(tmp_path: Path, kind: AudioKind) -> None:
    content = audio_file(tmp_path, kind).read_bytes()
    path = tmp_path / "cut"
    for size in [*range(0, min(len(content), 400), 7), *range(400, len(content), len(content) // 20)]:
        path.write_bytes(content[:size])
        try:
            write_tags(path, kind, TAGS)
        except MarksError:
            assert path.read_bytes() == content[:size]


def test_a_huge_number_of_vorbis_comments_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "song.flac"
    comments = b"\0\0\0\0\xff\xff\xff\xff"
    path.write_bytes(b"fLaC\0\0\0\x22" + bytes(34) + b"\x84\0\0" + bytes([len(comments)]) + comments)
    with pytest.raises(MarksError, match="4,294,967,295 Vorbis comments"):
        write_tags(path, AudioKind.FLAC, TAGS)


def test_texts_are_one_line_and_whole_letters() -> None:
    tags = Tags(title="a\r\nb\0c\ud83d", provider="p", model="m", tool="t", job_id="j", artist=" \n")
    assert (tags.title, tags.artist) == ("a b c�", None)


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(MarksError, match="title has 1,001 characters"):
        Tags(title="x" * (MAX_MARK_CHARS + 1), provider="p", model="m", tool="t", job_id="j")


def test_mutagen_is_no_dependency_of_the_product() -> None:
    root = Path(__file__).parents[1] / "musicgate"
    assert not [path for path in root.rglob("*.py") if "mutagen" in path.read_text("utf-8")]
    assert mutagen.version >= (1, 47)
