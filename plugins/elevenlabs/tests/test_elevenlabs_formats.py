"""Output formats, and headerless samples made playable."""

import struct

import pytest

from musicgate.assets.audio import AudioKind
from musicgate.assets.measure import measure_bytes
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.model import MusicRequest
from musicgate_elevenlabs import formats
from musicgate_elevenlabs.formats import Codec, OutputFormat


@pytest.mark.parametrize(
    ("name", "output"),
    [
        (None, OutputFormat(codec=Codec.MP3)),
        ("auto", OutputFormat(codec=Codec.MP3)),
        ("mp3_44100_128", OutputFormat(codec=Codec.MP3, sample_rate_hz=44_100, bitrate_bps=128_000)),
        ("pcm_8000", OutputFormat(codec=Codec.PCM, sample_rate_hz=8_000)),
        ("pcm_96000", OutputFormat(codec=Codec.PCM, sample_rate_hz=96_000)),
        ("opus_48000_32", OutputFormat(codec=Codec.OPUS, sample_rate_hz=48_000, bitrate_bps=32_000)),
        ("ulaw_8000", OutputFormat(codec=Codec.ULAW, sample_rate_hz=8_000)),
        ("flac_44100", OutputFormat(codec=None)),
        ("pcm_0", OutputFormat(codec=None)),
        ("pcm", OutputFormat(codec=None)),
        ("", OutputFormat(codec=None)),
    ],
)
def test_output_format_is_parsed(name: str | None, output: OutputFormat) -> None:
    assert formats.parse(name) == output


def test_all_documented_output_formats_are_known() -> None:
    assert len(formats.KNOWN) == 26
    assert all(formats.parse(name).codec is not None for name in formats.KNOWN)


@pytest.mark.parametrize(
    ("neutral", "own", "name"),
    [
        (None, None, None),
        ("mp3", None, "mp3_44100_128"),
        ("wav", None, "pcm_44100"),
        ("ogg", None, "opus_48000_128"),
        ("aac", None, None),
        ("wav", " mp3_48000_192 ", "mp3_48000_192"),
        ("wav", "", "pcm_44100"),
    ],
)
def test_output_format_of_the_block_beats_the_neutral_format(
    neutral: str | None, own: str | None, name: str | None
) -> None:
    blocks = {} if own is None else {"elevenlabs": {"output_format": own}}
    assert formats.chosen_format(MusicRequest(model="m", format=neutral, blocks=blocks)) == name


@pytest.mark.parametrize(
    ("name", "channels", "requested_s"),
    [
        ("pcm_44100", 2, None),
        ("pcm_44100", 2, 2.0),
        ("pcm_44100", 1, 2.0),
        ("pcm_8000", 2, 2.04),
        ("ulaw_8000", 1, None),
        ("ulaw_8000", 2, 2.0),
        ("alaw_8000", 1, 1.96),
    ],
)
def test_headerless_samples_become_a_playable_wav_file(
    name: str, channels: int, requested_s: float | None
) -> None:
    output = formats.parse(name)
    assert output.codec is not None
    raw = song(
        AudioFormat(
            container=Container(output.codec.value), sample_rate_hz=output.sample_rate_hz, channels=channels
        ),
        2.0,
    )
    wav, duration_s = formats.playable(output, raw, requested_s)
    facts = measure_bytes(wav)
    assert (facts.kind, facts.channels, facts.sample_rate_hz) == (
        AudioKind.WAV,
        channels,
        output.sample_rate_hz,
    )
    assert facts.duration_s == duration_s == 2.0
    assert raw in wav


@pytest.mark.parametrize(
    ("name", "tag", "header_bytes"), [("pcm_44100", 1, 44), ("alaw_8000", 6, 58), ("ulaw_8000", 7, 58)]
)
def test_wav_header_has_the_format_tag_and_the_sizes(name: str, tag: int, header_bytes: int) -> None:
    wav, _ = formats.playable(formats.parse(name), bytes(8), None)
    assert len(wav) == header_bytes + 8
    assert struct.unpack_from("<H", wav, 20)[0] == tag
    assert struct.unpack_from("<I", wav, 4)[0] == len(wav) - 8
    assert struct.unpack_from("<I", wav, header_bytes - 4)[0] == 8


def test_fact_chunk_has_the_length_in_samples() -> None:
    wav, _ = formats.playable(formats.parse("ulaw_8000"), bytes(7), None)
    assert struct.unpack_from("<I", wav, 46)[0] == 7
    assert len(wav) == 58 + 8
    assert struct.unpack_from("<I", wav, 54)[0] == 7


@pytest.mark.parametrize("extra", [1, 2, 3])
def test_incomplete_sample_frame_is_cut_off(extra: int) -> None:
    wav, duration_s = formats.playable(formats.parse("pcm_8000"), bytes(32_000 + extra), None)
    assert len(wav) == 32_044
    assert duration_s == 1.0


def test_wav_file_is_unchanged() -> None:
    wav = song(AudioFormat(container=Container.WAV), 1.0)
    assert formats.playable(formats.parse("pcm_44100"), wav, 1.0) == (wav, None)


def test_format_with_a_container_is_an_error() -> None:
    with pytest.raises(ValueError, match="container of its own"):
        formats.playable(formats.parse("mp3_44100_128"), b"x", None)
