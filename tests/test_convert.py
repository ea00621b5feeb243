"""Converted audio keeps its length, rate, channels, depth and tags, and appears whole or not at all."""

import io
import struct
from array import array
from pathlib import Path

import attrs
import av
import pytest

from musicgate.assets import convert as conversion
from musicgate.assets.audio import AudioKind, riff_wav
from musicgate.assets.convert import KIND_OF_FORMAT, KINDS_OF_FORMAT, MADE, convert_file
from musicgate.assets.measure import measure
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import NotAudioError
from tests.test_measure import encode

#: Samples of a frame of each codec, by which a converted file may be longer.
FRAME_SAMPLES = {AudioKind.MP3: 1152, AudioKind.M4A: 1024, AudioKind.OPUS: 960}
WAV = song(AudioFormat(container=Container.WAV), 2.345)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize(
    "source",
    [
        lambda: WAV,
        lambda: song(AudioFormat(), 2.345),
        lambda: song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 2.345),
        lambda: encode("aac", "ipod"),
    ],
    ids=["wav", "mp3", "opus", "m4a"],
)
def test_a_converted_file_is_what_was_asked_for_and_as_long(
    tmp_path: Path, kind: AudioKind, source: object
) -> None:
    assert callable(source)
    before = measure(written(tmp_path, source()))
    convert_file(tmp_path / "source", tmp_path / "target", kind)
    after = measure(tmp_path / "target")
    assert (after.kind, after.codec) == (kind, MADE[kind].codec)
    assert after.sample_rate_hz == (48_000 if kind is AudioKind.OPUS else before.sample_rate_hz)
    assert after.channels == before.channels == 2
    longer_samples = (after.duration_s - before.duration_s) * after.sample_rate_hz
    assert -1 <= longer_samples < FRAME_SAMPLES.get(kind, 1) + 1
    assert after.loudness_lufs == pytest.approx(before.loudness_lufs, abs=0.5)
    if bit_rate_bps := MADE[kind].bit_rate_bps:
        assert after.bit_rate_bps == pytest.approx(bit_rate_bps, rel=0.25)


def test_every_format_of_a_request_is_made() -> None:
    assert {name: MADE[kind].codec for name, kind in KIND_OF_FORMAT.items()} == {
        "mp3": "mp3",
        "wav": "pcm_s16le",
        "ogg": "opus",
        "aac": "aac",
        "flac": "flac",
    }
    assert all(kind in KINDS_OF_FORMAT[name] for name, kind in KIND_OF_FORMAT.items())
    assert {kind for kinds in KINDS_OF_FORMAT.values() for kind in kinds} == set(AudioKind)


def test_a_conversion_without_loss_keeps_every_sample(tmp_path: Path) -> None:
    source = written(tmp_path, WAV)
    convert_file(source, tmp_path / "a.flac", AudioKind.FLAC)
    convert_file(tmp_path / "a.flac", tmp_path / "b.wav", AudioKind.WAV)
    assert (tmp_path / "b.wav").read_bytes() == WAV


@pytest.mark.parametrize("codec", ["pcm_s24le", "pcm_f32le"])
@pytest.mark.parametrize("kind", [AudioKind.WAV, AudioKind.FLAC])
def test_more_than_16_bits_stay_24(tmp_path: Path, codec: str, kind: AudioKind) -> None:
    quiet = array("i", [(-1) ** number * 300 << 8 for number in range(44_100)])  # below one step of 16 bits
    content = riff_wav(
        b"".join(struct.pack("<i", one)[1:] for one in quiet), sample_rate_hz=44_100, channels=1, bits_per_sample=24
    )  # fmt: skip
    if codec == "pcm_f32le":
        convert_file(written(tmp_path, content), tmp_path / "deep.flac", AudioKind.FLAC)
        content = _float_wav(tmp_path / "deep.flac")
    convert_file(written(tmp_path, content), tmp_path / "target", kind)
    with av.open(tmp_path / "target") as reader:
        frame = next(reader.decode(audio=0))
        samples = struct.unpack_from("<4i", bytes(frame.planes[0]))
    assert measure(tmp_path / "target").codec == ("flac" if kind is AudioKind.FLAC else "pcm_s24le")
    assert samples == (300 << 8, -300 << 8, 300 << 8, -300 << 8)


def _float_wav(path: Path) -> bytes:
    out = io.BytesIO()
    with av.open(path) as reader, av.open(out, "w", format="wav") as writer:
        stream = writer.add_stream("pcm_f32le", rate=44_100, layout="mono")
        for frame in reader.decode(audio=0):
            frame.pts = None
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("channels", [1, 4, 6, 7, 8])
@pytest.mark.parametrize("kind", MADE)
def test_every_number_of_channels_is_kept_where_the_codec_has_it(
    tmp_path: Path, kind: AudioKind, channels: int
) -> None:
    pcm = bytes(song(AudioFormat(container=Container.PCM, channels=1), 0.2)) * channels
    source = written(tmp_path, riff_wav(pcm[: len(pcm) // (2 * channels) * 2 * channels],
                                        sample_rate_hz=44_100, channels=channels))  # fmt: skip
    convert_file(source, tmp_path / "target", kind)
    expected = min(channels, 2) if kind is AudioKind.MP3 else channels
    assert measure(tmp_path / "target").channels == expected


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize(
    ("rate_hz", "nearest"), [(8_000, 8_000), (22_050, 22_050), (45_000, 48_000), (96_000, 48_000)]
)
def test_the_nearest_sample_rate_is_taken(
    tmp_path: Path, kind: AudioKind, rate_hz: int, nearest: int
) -> None:
    source = written(tmp_path, riff_wav(bytes(rate_hz * 2), sample_rate_hz=rate_hz, channels=1))
    convert_file(source, tmp_path / "target", kind)
    facts = measure(tmp_path / "target")
    if kind is AudioKind.OPUS:
        nearest = 48_000
    elif kind in {AudioKind.WAV, AudioKind.FLAC} or (kind is AudioKind.M4A and rate_hz == 96_000):
        nearest = rate_hz
    assert facts.sample_rate_hz == nearest
    assert facts.duration_s == pytest.approx(1.0, abs=0.13)


def tagged(folder: Path) -> Path:
    """An MP3 with tags and a cover."""
    path = folder / "tagged.mp3"
    with av.open(path, "w", options={"id3v2_version": "4"}) as writer:
        writer.metadata.update(
            {"title": "Blåhaj 🎷", "artist": "A & B", "lyrics-eng": "one\ntwo", "encoder": "x"}
        )
        stream = writer.add_stream("libmp3lame", rate=44_100, layout="stereo")
        frame = av.AudioFrame(format="s16p", layout="stereo", samples=44_100)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate = 44_100
        for half in (frame, None):
            writer.mux(stream.encode(half))
    return path


@pytest.mark.parametrize("kind", MADE)
def test_text_tags_are_kept(tmp_path: Path, kind: AudioKind) -> None:
    convert_file(tagged(tmp_path), tmp_path / "target", kind)
    with av.open(tmp_path / "target") as reader:
        tags = {
            name.lower(): text for name, text in {**reader.metadata, **reader.streams[0].metadata}.items()
        }
    assert (tags["title"], tags["artist"]) == ("Blåhaj 🎷", "A & B")


def test_tags_that_describe_the_old_container_are_left_out(tmp_path: Path) -> None:
    convert_file(tagged(tmp_path), tmp_path / "m4a", AudioKind.M4A)
    convert_file(tmp_path / "m4a", tmp_path / "target", AudioKind.FLAC)
    with av.open(tmp_path / "target", "r") as reader:
        assert {name.lower() for name in reader.metadata} == {"title", "artist"}


def test_the_index_of_an_m4a_is_in_front(tmp_path: Path) -> None:
    convert_file(written(tmp_path, WAV), tmp_path / "target", AudioKind.M4A)
    content = (tmp_path / "target").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("kind", MADE)
def test_the_same_source_gives_the_same_bytes(tmp_path: Path, kind: AudioKind) -> None:
    source = written(tmp_path, song(AudioFormat(container=Container.WAV), 0.5))
    for name in ("a", "b"):
        convert_file(source, tmp_path / name, kind)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "content", [b"<html>", b"", WAV[:-1], song(AudioFormat(), 1.0)[:-1], b"OggS" + bytes(99)]
)
def test_what_does_not_decode_leaves_no_target(tmp_path: Path, content: bytes) -> None:
    source, target = written(tmp_path, content), tmp_path / "target"
    with pytest.raises(NotAudioError):
        convert_file(source, target, AudioKind.MP3)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_conversion_that_takes_too_long_leaves_no_target(tmp_path: Path) -> None:
    with pytest.raises(NotAudioError, match="took more than 0 s"):
        convert_file(written(tmp_path, WAV), tmp_path / "target", AudioKind.MP3, limit_s=0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_what_cannot_be_encoded_or_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path, WAV)
    with pytest.raises(FileNotFoundError):
        convert_file(source, tmp_path / "missing" / "target", AudioKind.WAV)
    with pytest.raises(FileNotFoundError):
        convert_file(tmp_path / "missing", tmp_path / "target", AudioKind.WAV)
    broken = attrs.evolve(MADE[AudioKind.OPUS], rates_hz=(44_100,))
    monkeypatch.setattr(conversion, "MADE", {AudioKind.OPUS: broken})
    with pytest.raises(NotAudioError, match="cannot be made into opus"):
        convert_file(source, tmp_path / "target", AudioKind.OPUS)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_one_channel_has_half_the_bits_of_two(tmp_path: Path) -> None:
    source = written(tmp_path, song(AudioFormat(container=Container.WAV, channels=1), 2.0))
    convert_file(source, tmp_path / "target", AudioKind.MP3)
    assert measure(tmp_path / "target").bit_rate_bps == pytest.approx(96_000, rel=0.02)


def test_a_higher_bit_rate_is_made_on_request(tmp_path: Path) -> None:
    convert_file(written(tmp_path, WAV), tmp_path / "target", AudioKind.MP3, bit_rate_bps=320_000)
    assert measure(tmp_path / "target").bit_rate_bps == pytest.approx(320_000, rel=0.02)
