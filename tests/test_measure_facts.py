"""Loudness, peaks, checksums and the tolerance for damage are as the standards and our rules say."""

import errno
import hashlib
import io
import math
import struct
from array import array
from itertools import pairwise
from pathlib import Path

import av
import pytest

from musicgate.assets import measure as measuring
from musicgate.assets.audio import AudioKind, riff_wav
from musicgate.assets.measure import measure, measure_and_repair, measure_bytes
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import NotAudioError
from tests.test_measure import encode


def tone(*, frequency_hz: float, decibels: float, seconds: float, phase: float = 0.0) -> bytes:
    """A sine in both channels, as WAV of 16 bits at 48 kHz."""
    amplitude = 32_767 * 10 ** (decibels / 20)
    period = array("h")
    for number in range(48):  # all frequencies here are multiples of 1 kHz
        value = round(amplitude * math.sin(2 * math.pi * frequency_hz * number / 48_000 + phase))
        period.extend((value, value))
    return riff_wav(period.tobytes() * int(1_000 * seconds), sample_rate_hz=48_000, channels=2)


@pytest.mark.parametrize("decibels", [-23.0, -33.0])
def test_loudness_is_that_of_ebu_r128(decibels: float) -> None:
    """EBU Tech 3341, cases 1 and 2: a stereo sine of 1 kHz is as loud in LUFS as its peak in dBFS."""
    facts = measure_bytes(tone(frequency_hz=1_000, decibels=decibels, seconds=20.0))
    assert facts.loudness_lufs == pytest.approx(decibels, abs=0.1)
    assert facts.true_peak_dbtp == pytest.approx(decibels, abs=0.25)
    assert not facts.is_silent


def test_true_peaks_between_samples_count() -> None:
    """EBU Tech 3341, case 16: samples of a quarter of the rate may all be 3 dB below the peak."""
    facts = measure_bytes(tone(frequency_hz=12_000, decibels=-6.0, seconds=1.0, phase=math.pi / 4))
    assert facts.true_peak_dbtp is not None
    assert -6.4 <= facts.true_peak_dbtp <= -5.2  # it begins with a step, which overshoots


def test_the_peak_of_the_last_moment_counts() -> None:
    quiet, loud = (
        tone(frequency_hz=1_000, decibels=decibels, seconds=0.53)[44:] for decibels in (-40.0, -3.0)
    )
    facts = measure_bytes(riff_wav(quiet + loud[: 4 * 2_000], sample_rate_hz=48_000, channels=2))
    assert facts.true_peak_dbtp == pytest.approx(-3.0, abs=0.3)


@pytest.mark.parametrize(
    "content",
    [
        riff_wav(bytes(88_200), sample_rate_hz=44_100, channels=2),
        riff_wav(b"\x80" * 44_100, sample_rate_hz=44_100, channels=1, bits_per_sample=8),
        encode("libmp3lame", "mp3", volume=0),
        riff_wav(array("h", [1, -1] * 44_100).tobytes(), sample_rate_hz=44_100, channels=2),
    ],
    ids=["zeros", "8 bits", "mp3", "one step of 16 bits"],
)
def test_silence_is_said(content: bytes) -> None:
    facts = measure_bytes(content)
    assert (facts.is_silent, facts.loudness_lufs, facts.true_peak_dbtp) == (True, None, None)


def test_a_short_sound_has_a_peak_and_no_loudness() -> None:
    facts = measure_bytes(tone(frequency_hz=1_000, decibels=-10.0, seconds=0.3))
    assert facts.loudness_lufs is None
    assert facts.true_peak_dbtp == pytest.approx(-10.0, abs=0.2)
    assert not facts.is_silent


def test_samples_that_are_no_numbers_are_measured() -> None:
    samples = struct.pack("<4f", math.nan, math.inf, -math.inf, 0.25) * 12_000
    content = bytearray(riff_wav(samples, sample_rate_hz=48_000, channels=1, bits_per_sample=32))
    content[20] = 3  # floating point
    facts = measure_bytes(bytes(content))
    assert facts.duration_s == 1.0
    assert facts.true_peak_dbtp is None or math.isfinite(facts.true_peak_dbtp)


@pytest.mark.parametrize(
    "content, codec, bit_rate_bps",
    [
        (song(AudioFormat(), 2.0), "mp3", 128_000),
        (song(AudioFormat(container=Container.WAV), 2.0), "pcm_s16le", 1_411_200),
        (song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 2.0), "opus", 100_000),
        (encode("aac", "ipod"), "aac", 128_000),
        (encode("alac", "ipod"), "alac", 1_000_000),
        (encode("libmp3lame", "wav"), "mp3", 128_000),
    ],
    ids=["mp3", "wav", "opus", "aac", "alac", "mp3 in wav"],
)
def test_codec_and_bit_rate_are_those_of_the_audio(content: bytes, codec: str, bit_rate_bps: int) -> None:
    facts = measure_bytes(content)
    assert facts.codec == codec
    assert facts.bit_rate_bps == pytest.approx(bit_rate_bps, rel=0.15)


def test_the_checksum_is_that_of_the_repaired_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = song(AudioFormat(container=Container.WAV), 0.5)
    lying = content[:4] + b"\xff" * 4 + content[8:28] + bytes(4) + content[32:40] + b"\xff" * 4 + content[44:]
    path = tmp_path / "song"
    for piece_bytes in (1, 5, 7, 42, 2**20):  # a field may be split between two pieces
        monkeypatch.setattr(measuring, "_PIECE_BYTES", piece_bytes)
        assert measure_bytes(lying).sha256 == hashlib.sha256(content).hexdigest()
    path.write_bytes(lying)
    assert len(measure(path).repairs) == 3
    assert path.read_bytes() == lying
    facts = measure_and_repair(path)
    assert path.read_bytes() == content
    assert facts.sha256 == hashlib.sha256(content).hexdigest()
    assert measure(path).repairs == ()


def test_a_file_that_is_refused_is_not_repaired(tmp_path: Path) -> None:
    content = song(AudioFormat(container=Container.WAV), 0.5)
    path = tmp_path / "song"
    path.write_bytes(content[:28] + bytes(4) + content[32:-2])
    with pytest.raises(NotAudioError, match="cut"):
        measure_and_repair(path)
    assert path.read_bytes() == content[:28] + bytes(4) + content[32:-2]


def test_a_stream_that_changes_from_mono_to_stereo_is_measured_whole() -> None:
    mono, stereo = (song(AudioFormat(sample_rate_hz=44_100, channels=channels), 1.0) for channels in (1, 2))
    facts = measure_bytes(mono + stereo)
    assert facts.channels == 1
    assert facts.duration_s == pytest.approx(2.0, abs=0.06)
    assert facts.loudness_lufs == pytest.approx(measure_bytes(stereo).loudness_lufs, abs=3.5)


def test_rf64_is_a_wav() -> None:
    pcm = song(AudioFormat(container=Container.PCM), 0.5)
    wav = riff_wav(pcm, sample_rate_hz=44_100, channels=2)
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, len(wav) + 28, len(pcm), len(pcm) // 4, 0)
    content = b"RF64" + b"\xff" * 4 + b"WAVE" + ds64 + wav[12:40] + b"\xff" * 4 + pcm
    facts = measure_bytes(content)
    assert (facts.kind, facts.duration_s, facts.repairs) == (AudioKind.WAV, 0.5, ())


def damaged(every: int) -> bytes:
    """An M4A of which each so-manieth packet is noise."""
    content = bytearray(encode("aac", "ipod"))
    with av.open(io.BytesIO(bytes(content)), "r") as reader:
        places = [(packet.pos, packet.size) for packet in reader.demux(audio=0) if packet.pos is not None]
    for pos, size in places[3::every]:
        content[pos : pos + size] = b"\xff" * size
    return bytes(content)


def test_a_scratch_is_tolerated_and_a_ruin_is_not() -> None:
    whole = measure_bytes(encode("aac", "ipod"))
    scratched = measure_bytes(damaged(20))
    assert 0.9 * whole.duration_s < scratched.duration_s < whole.duration_s
    with pytest.raises(NotAudioError, match=r"damaged: [0-9]+ of 131 packets do not decode"):
        measure_bytes(damaged(5))


def test_boxes_that_are_nested_or_large_do_not_hide_the_tables() -> None:
    content = encode("aac", "ipod")
    sizes = [content.index(name) for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsz")]
    assert all(outer < inner for outer, inner in pairwise(sizes))
    at = sizes[-1] + 8
    lying = content[:at] + (1).to_bytes(4, "big") + (2_000_000).to_bytes(4, "big") + content[at + 8 :]
    with pytest.raises(NotAudioError, match="more than 1000000 packets"):
        measure_bytes(lying)


def test_too_many_open_files_are_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise av.error.OSError(errno.EMFILE, "Too many open files", "song")

    path = tmp_path / "song"
    path.write_bytes(song(AudioFormat(), 0.5))
    monkeypatch.setattr(av, "open", refuse)
    with pytest.raises(OSError, match="Too many open files") as caught:
        measure(path)
    assert not isinstance(caught.value, NotAudioError)


@pytest.mark.parametrize("codec, container", [("pcm_s16le", "mov"), ("ac3", "ipod")])
def test_a_codec_that_no_music_has_is_not_opened(codec: str, container: str) -> None:
    with pytest.raises(NotAudioError, match=f"holds audio that we do not decode: {codec}"):
        measure_bytes(encode(codec, container))
