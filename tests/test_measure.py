"""Durations are measured right whichever encoder wrote the file, and broken files are refused."""

import io
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import av
import pytest

from musicgate.assets.audio import AudioKind, riff_wav
from musicgate.assets.measure import measure, measure_bytes
from musicgate.emulation.loops.ogg import crc
from musicgate.emulation.tones import (
    AudioFormat,
    Container,
    cover_png,
    song,
)
from musicgate.errors import NotAudioError

NO_NOTE = {"write_xing": "0", "id3v2_version": "0"}
ID3V1 = b"TAG" + b"Warm jazz".ljust(124, b"\0") + b"\x08"


def encode(
    codec: str,
    container: str,
    *,
    duration_s: float = 3.0,
    rate_hz: int = 44_100,
    mux: Mapping[str, str] = MappingProxyType({}),
    volume: int = 1,
    **options: str,
) -> bytes:
    """Encode our music with FFmpeg."""
    pcm = song(AudioFormat(container=Container.PCM, sample_rate_hz=rate_hz), duration_s)
    frame = av.AudioFrame(format="s16", layout="stereo", samples=len(pcm) // 4)
    pcm = pcm if volume else bytes(len(pcm))
    frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate = rate_hz
    out = io.BytesIO()
    with av.open(out, "w", format=container, options=dict(mux)) as writer:
        stream = writer.add_stream(codec, rate=rate_hz, layout="stereo", options=options)
        assert isinstance(stream, av.AudioStream)
        for half in (frame, None):
            for packet in stream.encode(half):
                writer.mux(packet)
    return out.getvalue()


def decoded_s(content: bytes) -> float:
    """Duration according to FFmpeg."""
    with av.open(io.BytesIO(content), "r") as reader:
        stream = reader.streams.audio[0]
        samples: int = sum(frame.samples for frame in reader.decode(stream))
        return samples / stream.rate


def id3v2(content: bytes) -> bytes:
    """Content behind a tag with a cover picture."""
    picture = b"\0image/png\0\x03\0" + cover_png()
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = len(frame)
    sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + sizes + frame + content


def with_last_granule(content: bytes, granule: int) -> bytes:
    """An Ogg file whose last page states where it ends (RFC 3533 section 6)."""
    last = content.rindex(b"OggS")
    page = content[last : last + 6] + granule.to_bytes(8, "little", signed=granule < 0) + content[last + 14 :]
    page = page[:22] + bytes(4) + page[26:]
    return content[:last] + page[:22] + crc(page).to_bytes(4, "little") + page[26:]


def quiet_then_loud() -> bytes:
    """An MP3 of variable bit rate whose start says nothing about the rest, without an encoder's note."""
    silence = encode(
        "libmp3lame", "mp3", duration_s=4.0, mux=NO_NOTE, volume=0, flags="+qscale", global_quality="236"
    )
    return silence + encode(
        "libmp3lame", "mp3", duration_s=20.0, mux=NO_NOTE, flags="+qscale", global_quality="236"
    )


MP3: Mapping[str, Callable[[], bytes]] = {
    "constant": lambda: encode("libmp3lame", "mp3", mux=NO_NOTE, b="128k"),
    "constant, with Info": lambda: encode("libmp3lame", "mp3", b="128k"),
    "variable": quiet_then_loud,
    "variable, with Xing": lambda: encode("libmp3lame", "mp3", flags="+qscale", global_quality="236"),
    "mpeg-2": lambda: encode("libmp3lame", "mp3", rate_hz=22_050, mux=NO_NOTE, b="32k"),
    "mpeg-2, with Info": lambda: encode("libmp3lame", "mp3", rate_hz=22_050, b="32k"),
    "ours": lambda: song(AudioFormat(), 3.0),
}
OTHER: Mapping[AudioKind, Callable[[], bytes]] = {
    AudioKind.WAV: lambda: encode("pcm_s16le", "wav"),
    AudioKind.FLAC: lambda: encode("flac", "flac"),
    AudioKind.AAC: lambda: encode("aac", "adts"),
    AudioKind.M4A: lambda: encode("aac", "ipod"),
    AudioKind.OPUS: lambda: song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 3.0),
}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}


@pytest.mark.parametrize("name", MP3)
def test_mp3_is_measured_as_ffmpeg_plays_it(name: str) -> None:
    content = MP3[name]()
    facts = measure_bytes(content)
    rate_hz = 22_050 if name.startswith("mpeg-2") else 44_100
    assert facts.duration_s == pytest.approx(decoded_s(content), abs=1e-6)
    assert (facts.kind, facts.size_bytes) == (AudioKind.MP3, len(content))
    assert (facts.sample_rate_hz, facts.channels) == (rate_hz, 2)


@pytest.mark.parametrize("kind", OTHER)
def test_other_kinds_are_measured(kind: AudioKind) -> None:
    content = OTHER[kind]()
    facts = measure_bytes(content)
    assert facts.kind is kind
    assert facts.duration_s == pytest.approx(3.0, abs=0.05 if kind in {AudioKind.AAC, AudioKind.M4A} else 0)
    assert facts.repairs == ()
    assert (facts.sample_rate_hz, facts.channels) == (48_000 if kind is AudioKind.OPUS else 44_100, 2)


def test_fragmented_m4a_is_measured_by_its_fragments() -> None:
    content = encode("aac", "ipod", mux=FRAGMENTED)
    assert content.count(b"moof") > 1
    assert measure_bytes(content).duration_s == pytest.approx(decoded_s(content), abs=0.03)


def box(name: bytes, content: bytes) -> bytes:
    """An MP4 box."""
    return (8 + len(content)).to_bytes(4, "big") + name + content


def numbers(*values: int) -> bytes:
    """32-bit numbers."""
    return b"".join(value.to_bytes(4, "big") for value in values)


def test_a_video_without_sound_is_refused() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as writer:
        stream = writer.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for half in (av.VideoFrame(32, 32, "yuv420p"), None):
            writer.mux(stream.encode(half))
    with pytest.raises(NotAudioError, match="no audio that we know"):
        measure_bytes(out.getvalue())


def test_a_vbri_note_is_read() -> None:
    content = song(AudioFormat(), 3.0)
    note = b"VBRI" + bytes(10) + numbers(115)
    noted = content[:36] + note + content[36 + len(note) :]
    assert measure_bytes(noted).duration_s == decoded_s(noted) == 116 * 1152 / 44_100
    with pytest.raises(NotAudioError, match="115 of 116 frames"):
        measure_bytes(noted[:-1])


def test_ogg_vorbis_is_measured_by_its_packets() -> None:
    content = encode("vorbis", "ogg", strict="experimental")  # FFmpeg writes wrong granule positions
    facts = measure_bytes(content)
    assert (facts.kind, facts.codec, facts.sample_rate_hz) == (AudioKind.OGG, "vorbis", 44_100)
    assert facts.duration_s == decoded_s(content)
    ended = with_last_granule(content, 132_300)  # FFmpeg plays the last block to its end
    assert measure_bytes(ended).duration_s == decoded_s(ended) == pytest.approx(3.0, abs=1024 / 44_100)


@pytest.mark.parametrize("name", ["constant", "constant, with Info", "variable, with Xing"])
def test_leading_and_trailing_tags_do_not_change_the_duration(name: str) -> None:
    content = MP3[name]()
    length_s = measure_bytes(content).duration_s
    for tagged in (id3v2(content), content + ID3V1, id3v2(content) + ID3V1, id3v2(id3v2(content))):
        facts = measure_bytes(tagged)
        assert (facts.kind, facts.duration_s, facts.size_bytes) == (AudioKind.MP3, length_s, len(tagged))


def test_noise_between_frames_is_skipped() -> None:
    content = MP3["constant"]()
    at = 417
    assert content[at : at + 2] == b"\xff\xfb"
    again = content.index(b"\xff\xfb", at + 400)
    noise = b"\0\xff\xfb\0\xff\xf3\x44\0"  # half a header, and one of another sample rate
    noisy = id3v2(noise + content[:again] + noise + content[again:])
    lost_s = measure_bytes(content).duration_s - measure_bytes(noisy).duration_s
    assert lost_s == pytest.approx(2 * 1152 / 44_100)  # the frames that FFmpeg cannot tell from the noise


def test_aac_behind_an_id3_tag_is_aac() -> None:
    content = OTHER[AudioKind.AAC]()
    tagged = measure_bytes(id3v2(content))
    assert (tagged.kind, tagged.duration_s) == (AudioKind.AAC, measure_bytes(content).duration_s)


def test_a_chunk_before_the_samples_is_skipped() -> None:
    content = song(AudioFormat(container=Container.WAV), 3.0)
    listed = content[:36] + b"LIST\x05\0\0\0INFOx\0" + content[36:]
    assert measure_bytes(listed).duration_s == 3.0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (song(AudioFormat(), 3.0)[:-1], "114 of 115 frames"),
        (song(AudioFormat(), 3.0)[:24_000], "56 of 115 frames"),
        (song(AudioFormat(container=Container.WAV), 3.0)[:-1], "529199 of 529200 bytes"),
        (song(AudioFormat(container=Container.WAV), 3.0)[:44], "0 of 529200 bytes"),
        (song(AudioFormat(container=Container.WAV), 3.0)[:36], "no data chunk"),
        (song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 3.0)[:-1], "lacks 1 bytes"),
        (riff_wav(b"", sample_rate_hz=44_100, channels=2), "no audio in it"),
        (song(AudioFormat(), 3.0)[:4], "does not decode"),
        (bytes.fromhex("fffb9064") + bytes(2_000), "does not decode"),
        (b"ID3\x03\0\0\x01\0\0\0" + bytes(99), "does not decode"),
        (b"fLaC" + bytes(30), "does not decode"),
        (b"fLaC\x80\0\0\x22" + bytes(60), "what its samples are"),
        (b"OggS" + bytes(60), "does not decode"),
        (b"OggS" + bytes(23), "does not decode"),
        (b"RIFF\x24\0\0\0WAVEdata\x04\0\0\0abcd", "what its samples are"),
        (b"<!DOCTYPE html><html></html>", "no audio format"),
        (b'{"code":404}', "no audio format"),
        (b"", "empty"),
    ],
)
def test_files_that_do_not_play_are_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(NotAudioError, match=reason):
        measure_bytes(content)


def test_a_cut_m4a_is_refused() -> None:
    for content in (OTHER[AudioKind.M4A](), encode("aac", "ipod", mux=FRAGMENTED)):
        with pytest.raises(NotAudioError, match="damaged or cut"):
            measure_bytes(content[:-1])


def test_a_fragmented_m4a_that_is_cut_inside_its_media_is_refused() -> None:
    content = encode("aac", "ipod", mux=FRAGMENTED)
    with pytest.raises(NotAudioError, match="its last fragment is not whole"):
        measure_bytes(content[: content.rindex(b"mdat") + 50])


@pytest.mark.parametrize("kind", OTHER)
def test_a_file_cut_anywhere_raises_only_not_audio_error(kind: AudioKind) -> None:
    content = OTHER[kind]()
    for end in [*range(0, min(2_000, len(content)), 7), *range(2_000, len(content), 4_999)]:
        try:
            facts = measure_bytes(content[:end])
        except NotAudioError:
            continue
        assert kind in {AudioKind.AAC, AudioKind.OPUS, AudioKind.FLAC, AudioKind.M4A}
        assert facts.duration_s > 0


def test_ffmpeg_is_loaded_when_it_is_needed_or_asked_for() -> None:
    program = """
import sys
import musicgate.assets, musicgate.assets.convert, musicgate.assets.peaks, musicgate.assets.workers
assert "av" not in sys.modules
musicgate.assets.decoding.load_ffmpeg()
assert "av.filter" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)  # noqa: S603 - our own program


def test_files_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "song.bin"  # the name says nothing
    path.write_bytes(song(AudioFormat(), 3.0))
    assert measure(path) == measure_bytes(path.read_bytes())
    path.write_bytes(b"")
    with pytest.raises(NotAudioError, match="empty"):
        measure(path)
    with pytest.raises(FileNotFoundError):
        measure(tmp_path / "missing")
