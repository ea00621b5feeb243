"""Formats are recognised by their first bytes, and headers are read as the standards say."""

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate.assets.audio import (
    AudioKind,
    adts_header,
    content_type,
    extension,
    g711_wav,
    id3v2_size,
    mp3_header,
    riff_wav,
    sniff,
)

ID3 = b"ID3\x04\x00\x00\x00\x00\x02\x01"  # a tag of 257 bytes behind its header of ten
MP3_FRAME = bytes.fromhex("fffb9064") + bytes(413)
ADTS = bytes.fromhex("fff15080017ffc")  # 44.1 kHz, two channels, 11 bytes


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (bytes.fromhex("fffb9064") + bytes(60), AudioKind.MP3),
        (bytes.fromhex("fff34400") + bytes(60), AudioKind.MP3),
        (bytes.fromhex("fffa9064"), AudioKind.MP3),  # with a checksum
        (ID3 + bytes(50), AudioKind.MP3),
        (ID3 + bytes(257) + ADTS, AudioKind.AAC),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", AudioKind.WAV),
        (b"OggS" + bytes(23) + b"\x13OpusHead\x01", AudioKind.OPUS),
        (b"OggS" + bytes(23) + b"\x1e\x01vorbis", AudioKind.OGG),
        (b"OggS", AudioKind.OGG),
        (b"fLaC\x00\x00\x00\x22", AudioKind.FLAC),
        (b"\x00\x00\x00\x1cftypM4A ", AudioKind.M4A),
        (b"\x00\x00\x00\x1cftypisom", AudioKind.M4A),
        (ADTS, AudioKind.AAC),
        (bytes.fromhex("fff95080017ffc"), AudioKind.AAC),  # MPEG-2 AAC
        (b"", None),
        (b"<!DOCTYPE html><html>", None),
        (b'{"code":200,"msg":"success"}', None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"\x00\x00\x00\x1cftypavif", None),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", None),
        (b"RIFF", None),
        (b"ID3", None),
        (b"ID3\x04\x00\x00\x80\x00\x02\x01", None),  # a size byte above 127
        (b"\xff" * 64, None),
        (bytes(512) + MP3_FRAME * 5, AudioKind.MP3),  # leading zeros
        (MP3_FRAME[100:] + MP3_FRAME * 5, AudioKind.MP3),  # begins mid-frame
        (ADTS[3:] + bytes(4) + (ADTS + bytes(4)) * 5, AudioKind.AAC),
        (bytes(512) + MP3_FRAME * 4, None),  # four in a row may be an accident
        (ID3 + bytes(257) + b"fLaC", AudioKind.FLAC),
        (bytes.fromhex("fffefffe"), None),  # UTF-16 text: layer I
        (bytes.fromhex("fffd9064"), None),  # layer II
        (bytes.fromhex("ffeb9064"), None),  # reserved MPEG version
        (bytes.fromhex("fffbf064"), None),  # bit rate index 15
        (bytes.fromhex("fffb0064"), None),  # free format
        (bytes.fromhex("fffb9c64"), None),  # reserved sample rate
        (bytes.fromhex("fffb9062"), None),  # reserved emphasis
        (bytes.fromhex("fff17480017ffc"), None),  # ADTS sample rate index 13
        (bytes.fromhex("fff1508000dffc"), None),  # an ADTS frame shorter than its header
        (bytes(64), None),
    ],
)
def test_the_kind_is_recognised_by_the_first_bytes(head: bytes, kind: AudioKind | None) -> None:
    assert sniff(head) is kind


@given(
    st.binary(max_size=80)
    | st.builds(bytes.__add__, st.sampled_from([b"ID3", b"RIFF", b"OggS", b"\xff"]), st.binary())
)
def test_sniffing_arbitrary_bytes_raises_nothing(head: bytes) -> None:
    assert sniff(head) in {None, *AudioKind}


@pytest.mark.parametrize(
    ("kind", "media_type", "ending"),
    [
        (AudioKind.MP3, "audio/mpeg", ".mp3"),
        (AudioKind.WAV, "audio/wav", ".wav"),
        (AudioKind.OGG, "audio/ogg", ".ogg"),
        (AudioKind.OPUS, "audio/ogg", ".opus"),
        (AudioKind.FLAC, "audio/flac", ".flac"),
        (AudioKind.M4A, "audio/mp4", ".m4a"),
        (AudioKind.AAC, "audio/aac", ".aac"),
    ],
)
def test_every_kind_has_a_media_type_and_an_extension(kind: AudioKind, media_type: str, ending: str) -> None:
    assert (content_type(kind), extension(kind)) == (media_type, ending)


@pytest.mark.parametrize(
    ("header", "rate_hz", "channels", "samples", "size_bytes", "bitrate_bps", "note_offset"),
    [
        ("fffb9064", 44_100, 2, 1152, 417, 128_000, 36),
        ("fffb9264", 44_100, 2, 1152, 418, 128_000, 36),
        ("fffb90c4", 44_100, 1, 1152, 417, 128_000, 21),
        ("fffa9064", 44_100, 2, 1152, 417, 128_000, 38),
        ("fffbb444", 48_000, 2, 1152, 576, 192_000, 36),
        ("fffb1844", 32_000, 2, 1152, 144, 32_000, 36),
        ("fff34044", 22_050, 2, 576, 104, 32_000, 21),
        ("fff364c4", 24_000, 1, 576, 144, 48_000, 13),
        ("fff3e844", 16_000, 2, 576, 720, 160_000, 21),
        ("ffe34044", 11_025, 2, 576, 208, 32_000, 21),
    ],
)
def test_mp3_header(
    header: str,
    rate_hz: int,
    channels: int,
    samples: int,
    size_bytes: int,
    bitrate_bps: int,
    note_offset: int,
) -> None:
    frame = mp3_header(bytes.fromhex(header))
    assert frame is not None
    assert (frame.sample_rate_hz, frame.channels, frame.samples) == (rate_hz, channels, samples)
    assert (frame.size_bytes, frame.bitrate_bps, frame.note_offset) == (size_bytes, bitrate_bps, note_offset)


def test_adts_header() -> None:
    frame = adts_header(ADTS)
    assert frame is not None
    assert (frame.sample_rate_hz, frame.channels, frame.samples, frame.size_bytes) == (44_100, 2, 1024, 11)
    assert adts_header(ADTS[:6]) is None
    mono = adts_header(bytes.fromhex("fff15040017ffc"))
    assert mono is not None
    assert mono.channels == 1
    several = adts_header(bytes.fromhex("fff151c0017ffe"))  # eight channels (configuration 7), three blocks
    assert several is not None
    assert (several.channels, several.samples) == (8, 3072)


@pytest.mark.parametrize(
    ("head", "size_bytes"),
    [
        (ID3, 267),
        (b"ID3\x04\x00\x10\x00\x00\x02\x01", 277),  # with a footer
        (b"ID3\x03\x00\x00\x7f\x7f\x7f\x7f", 268_435_465),
        (ID3[:9], 0),
        (b"ID3\xff\x00\x00\x00\x00\x02\x01", 0),
        (b"TAG", 0),
    ],
)
def test_id3v2_size(head: bytes, size_bytes: int) -> None:
    assert id3v2_size(head) == size_bytes


def test_riff_wav_is_a_header_of_44_bytes_that_the_standard_library_reads() -> None:
    pcm = bytes(range(24))
    content = riff_wav(pcm, sample_rate_hz=44_100, channels=2)
    assert content[:44].hex() == (
        "524946463c000000" "57415645" "666d7420" "10000000" "01000200" "44ac0000" "10b10200" "04001000" "64617461" "18000000"
    )  # fmt: skip
    with wave.open(io.BytesIO(content)) as reader:
        assert (reader.getnchannels(), reader.getframerate(), reader.getsampwidth()) == (2, 44_100, 2)
        assert reader.readframes(100) == pcm
    with wave.open(io.BytesIO(riff_wav(pcm, sample_rate_hz=8_000, channels=1, bits_per_sample=24))) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getnframes()) == (1, 3, 8)


class Endless(bytes):
    """Claims to be longer than a WAV file can be, without taking memory."""

    __slots__ = ()

    def __len__(self) -> int:
        return 0xFFFF_FFFF - 35


@pytest.mark.parametrize(("law", "tag"), [("alaw", 6), ("ulaw", 7)])
def test_g711_wav_has_the_number_of_samples_and_ends_at_an_even_byte(law: str, tag: int) -> None:
    content = g711_wav(bytes(5), law, sample_rate_hz=8_000, channels=1)
    assert content[:4] + content[8:16] == b"RIFFWAVEfmt "
    assert struct.unpack_from("<HHIIHHH", content, 20) == (tag, 1, 8_000, 8_000, 1, 8, 0)
    assert content[38:46] == b"fact\4\0\0\0"
    assert struct.unpack_from("<I", content, 46) == (5,)
    assert content[50:58] == b"data\5\0\0\0"
    assert struct.unpack_from("<I", content, 4) == (len(content) - 8,)
    assert content[58:] == bytes(6)


def test_riff_wav_refuses_more_than_its_header_can_state() -> None:
    with pytest.raises(ValueError, match="too long"):
        riff_wav(Endless(), sample_rate_hz=44_100, channels=2)


def test_riff_wav_refuses_half_a_sample() -> None:
    with pytest.raises(ValueError, match="sample frames of 4 bytes"):
        riff_wav(bytes(6), sample_rate_hz=44_100, channels=2)
