"""Headerless samples made playable."""

import struct

import pytest

from musicgate.assets import AudioKind, measure_bytes, wav_of_samples
from musicgate.emulation import AudioFormat, Container, song


@pytest.mark.parametrize(
    ("encoding", "rate_hz", "channels", "expected_s"),
    [
        ("pcm", 44100, 2, None),
        ("pcm", 44100, 2, 2.0),
        ("pcm", 44100, 1, 2.0),
        ("pcm", 8000, 2, 2.04),
        ("ulaw", 8000, 1, None),
        ("ulaw", 8000, 2, 2.0),
        ("alaw", 8000, 1, 1.96),
    ],
)
def test_headerless_samples_become_a_playable_wav_file(
    encoding: str, rate_hz: int, channels: int, expected_s: float | None
) -> None:
    raw = song(AudioFormat(container=Container(encoding), sample_rate_hz=rate_hz, channels=channels), 2.0)
    wav, duration_s = wav_of_samples(raw, encoding, sample_rate_hz=rate_hz, expected_s=expected_s)
    facts = measure_bytes(wav)
    assert (facts.kind, facts.channels, facts.sample_rate_hz) == (AudioKind.WAV, channels, rate_hz)
    assert facts.duration_s == duration_s == 2.0
    assert raw in wav


@pytest.mark.parametrize(
    ("encoding", "tag", "header_bytes"), [("pcm", 1, 44), ("alaw", 6, 58), ("ulaw", 7, 58)]
)
def test_wav_header_has_the_format_tag_and_the_sizes(encoding: str, tag: int, header_bytes: int) -> None:
    wav, _ = wav_of_samples(bytes(8), encoding, sample_rate_hz=8_000)
    assert len(wav) == header_bytes + 8
    assert struct.unpack_from("<H", wav, 20)[0] == tag
    assert struct.unpack_from("<I", wav, 4)[0] == len(wav) - 8
    assert struct.unpack_from("<I", wav, header_bytes - 4)[0] == 8


def test_fact_chunk_has_the_length_in_samples() -> None:
    wav, _ = wav_of_samples(bytes(7), "ulaw", sample_rate_hz=8000)
    assert struct.unpack_from("<I", wav, 46)[0] == 7
    assert len(wav) == 58 + 8
    assert struct.unpack_from("<I", wav, 54)[0] == 7


@pytest.mark.parametrize("extra", [1, 2, 3])
def test_incomplete_sample_frame_is_cut_off(extra: int) -> None:
    wav, duration_s = wav_of_samples(bytes(32_000 + extra), "pcm", sample_rate_hz=8000)
    assert len(wav) == 32_044
    assert duration_s == 1.0


def test_wav_file_is_unchanged() -> None:
    wav = song(AudioFormat(container=Container.WAV), 1.0)
    assert wav_of_samples(wav, "pcm", sample_rate_hz=44100) == (wav, None)


def test_format_with_a_container_is_an_error() -> None:
    with pytest.raises(ValueError, match="container of its own"):
        wav_of_samples(b"x", "mp3", sample_rate_hz=44_100)


def test_stated_channels_beat_the_expected_length() -> None:
    wav, duration_s = wav_of_samples(bytes(32_000), "pcm", sample_rate_hz=8_000, channels=2, expected_s=2.0)
    assert (measure_bytes(wav).channels, duration_s) == (2, 1.0)
