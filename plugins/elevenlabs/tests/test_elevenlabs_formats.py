"""Output formats: their names, taken apart and chosen."""

import pytest

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
