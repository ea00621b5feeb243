"""Headers are only claims: the body is measured, and no paid audio is discarded."""

import struct
from collections.abc import Callable

import pytest

from musicgate.assets import decoding, measure
from musicgate.assets.audio import AudioKind, riff_wav
from musicgate.assets.measure import measure_bytes
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.errors import NotAudioError
from tests.test_measure import FRAGMENTED, box, decoded_s, encode, id3v2, numbers, with_last_granule

FRAME = bytes.fromhex("fffb9044") + bytes(413)
#: 100 frames of 1,152 samples at 44.1 kHz, without any note.
PLAIN_MP3 = FRAME * 100
PLAIN_MP3_S = 115_200 / 44_100
WAV = song(AudioFormat(container=Container.WAV), 2.0)
OPUS = song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 2.0)


def noted(frames: int) -> bytes:
    """A silent leading frame that states how many follow."""
    return FRAME[:36] + b"Xing" + numbers(1, frames) + FRAME[48:]


def with_sizes(riff: int, data: int, content: bytes = WAV) -> bytes:
    return content[:4] + struct.pack("<I", riff) + content[8:40] + struct.pack("<I", data) + content[44:]


@pytest.mark.parametrize("size", [0x7FFF_FFFF, 2_000_000_000, 0xFFFF_FFFF, 0x7FFF_F000, 0])
def test_a_streamed_wav_is_measured_by_its_samples_and_gets_correct_sizes(size: int) -> None:
    streamed = with_sizes(size, size)
    facts = measure_bytes(streamed)
    assert (facts.duration_s, facts.size_bytes) == (2.0, len(WAV))
    for repair in facts.repairs:
        streamed = streamed[: repair.at] + repair.content + streamed[repair.at + len(repair.content) :]
    assert streamed == WAV


@pytest.mark.parametrize(
    "riff, data",
    [(0xFFFF_FFFF, 352_800), (0, 352_800), (352_836, 0xFFFF_FFFF), (352_836, 999_999)],
    ids=["riff unknown", "riff zero", "data unknown", "data wrong, riff right"],
)
def test_one_correct_size_of_a_wav_is_enough(riff: int, data: int) -> None:
    facts = measure_bytes(with_sizes(riff, data))
    assert facts.duration_s == 2.0
    assert facts.repairs


def test_a_wav_shorter_than_its_plausible_size_is_cut() -> None:
    with pytest.raises(NotAudioError, match="176400 of 352800 bytes are there"):
        measure_bytes(WAV[: 44 + 176_400])


@pytest.mark.parametrize("bytes_per_s", [0, 88_200, 352_800, 0xFFFF_FFFF])
def test_the_byte_rate_of_a_wav_is_derived(bytes_per_s: int) -> None:
    facts = measure_bytes(WAV[:28] + struct.pack("<I", bytes_per_s) + WAV[32:])
    assert facts.duration_s == 2.0
    assert [(repair.at, repair.content) for repair in facts.repairs] == [(28, struct.pack("<IH", 176_400, 4))]


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s24le", "pcm_f32le", "pcm_mulaw", "adpcm_ima_wav", "adpcm_ms"]
)
def test_every_usual_kind_of_wav_is_measured_as_ffmpeg_plays_it(codec: str) -> None:
    content = encode(codec, "wav")
    at = content.index(b"fmt ") + 16
    assert measure_bytes(content).repairs == ()
    content = content[:at] + bytes(4) + content[at + 4 :]  # no byte rate
    assert measure_bytes(content).duration_s == decoded_s(content)


def test_mp3_inside_a_wav_is_measured_by_its_frames() -> None:
    content = encode("libmp3lame", "wav")
    assert measure_bytes(content).duration_s == decoded_s(content)


def test_a_chunk_that_was_not_padded_hides_no_samples() -> None:
    listed = WAV[:36] + b"LIST\x05\0\0\0INFOx" + WAV[36:]
    assert measure_bytes(listed).duration_s == 2.0


@pytest.mark.parametrize(
    "content",
    [
        noted(100) + PLAIN_MP3,
        noted(101) + PLAIN_MP3,  # it counts itself
        noted(7) + PLAIN_MP3,
        noted(0xFFFF_FFFF) + PLAIN_MP3,
        noted(0xFFFF_FFFF) + PLAIN_MP3 + FRAME[:-1],  # no encoder could mean that
        bytes(512) + PLAIN_MP3,
        b"\x55" * 65 + b"\xff\x25" + b"\x12" * 3 + PLAIN_MP3,
        FRAME[70:] + PLAIN_MP3,
        b"ID3\x03\0\0\x7f\x7f\x7f\x7f" + PLAIN_MP3,
        PLAIN_MP3 + FRAME[:100],
    ],
    ids=["right", "itself", "less", "unknown", "unknown, cut", "zeros", "junk", "blunt", "tag", "tail"],
)
def test_the_duration_of_an_mp3_is_that_of_its_frames(content: bytes) -> None:
    facts = measure_bytes(content)
    assert (facts.kind, facts.duration_s) == (AudioKind.MP3, PLAIN_MP3_S)


def test_aac_that_begins_mid_frame_is_measured() -> None:
    content = encode("aac", "adts")
    lost_s = measure_bytes(content).duration_s - measure_bytes(content[100:]).duration_s
    assert lost_s == pytest.approx(3 * 1024 / 44_100)  # the half frame, and what FFmpeg needs to begin


def test_a_few_frames_inside_other_data_are_not_audio() -> None:
    with pytest.raises(NotAudioError, match="most of the file"):
        measure_bytes(bytes(512) + FRAME * 6 + bytes(5_000))


@pytest.mark.parametrize("granule", [0, 48_000, 10**10 * 48_000])
def test_the_duration_of_opus_is_that_of_its_packets(granule: int) -> None:
    lying = with_last_granule(OPUS, granule)
    assert measure_bytes(OPUS).duration_s == 2.0
    assert measure_bytes(lying).duration_s == pytest.approx(2.0, abs=0.09)  # the padding of the last packets


def test_durations_of_chained_ogg_streams_add_up() -> None:
    assert measure_bytes(OPUS + OPUS).duration_s == 4.0
    assert measure_bytes(OPUS + b"rest").duration_s == 2.0


@pytest.mark.parametrize("stated", [0, 1, 10**9, 2**36 - 1])
def test_the_duration_of_flac_is_that_of_its_frames(stated: int) -> None:
    content = encode("flac", "flac")
    fields = int.from_bytes(content[18:26], "big") >> 36 << 36 | stated
    lying = content[:18] + fields.to_bytes(8, "big") + content[26:]
    assert measure_bytes(lying).duration_s == 3.0
    assert measure_bytes(id3v2(lying) + b"TAG" + bytes(125)).duration_s == 3.0


def test_flac_that_ends_mid_frame_is_cut_if_its_header_states_more() -> None:
    content = encode("flac", "flac")
    with pytest.raises(NotAudioError, match="cut: 115200 of 132300 samples"):
        measure_bytes(content[:120_000])
    for placeholder in (b"\xf0" + bytes(4), b"\xff" * 5):
        unknown = content[:21] + placeholder + content[26:120_000]
        assert measure_bytes(unknown).duration_s == (119_808 - 4_608) / 44_100


def m4a_with(name: bytes, offset: int, value: int) -> bytes:
    content = encode("aac", "ipod")
    at = content.index(name) + 4 + offset
    return content[:at] + numbers(value) + content[at + 4 :]


@pytest.mark.parametrize(
    "lie",
    [
        lambda: m4a_with(b"mvhd", 16, 0xFFFF_FFFF),
        lambda: m4a_with(b"mdhd", 16, 0xFFFF_FFFF),
        lambda: m4a_with(b"mdhd", 16, 1),
        lambda: m4a_with(b"stts", 8, 0xFFFF_FFFF),
    ],
    ids=["movie duration", "media duration", "media duration 1", "sample count"],
)
def test_the_duration_of_m4a_is_that_of_the_samples_present(lie: Callable[[], bytes]) -> None:
    assert measure_bytes(lie()).duration_s == decoded_s(encode("aac", "ipod"))


@pytest.mark.parametrize(
    "offset, value", [(8, 0xFFFF_FFFF), (8, 2_000_000), (4, 1_000)], ids=["endless", "many", "wrong sizes"]
)
def test_an_m4a_that_states_other_samples_than_it_has_is_refused(offset: int, value: int) -> None:
    with pytest.raises(NotAudioError, match=r"does not decode|do not decode|no audio"):
        measure_bytes(m4a_with(b"stsz", offset, value))


def test_a_cut_m4a_with_a_leading_index_is_refused() -> None:
    content = encode("aac", "ipod")
    moov, mdat, stco = (content.index(name) - 4 for name in (b"moov", b"mdat", b"stco"))
    first = int.from_bytes(content[stco + 16 : stco + 20], "big")
    assert content[stco + 12 : stco + 16] == numbers(1)
    index = content[moov : stco + 16] + numbers(first + len(content) - moov) + content[stco + 20 :]
    at = mdat + len(index)
    content = content[:mdat] + index + content[mdat:moov]
    with pytest.raises(NotAudioError, match=r"cut: [0-9]+ of 131 frames"):
        measure_bytes(content[:-5_000])
    larger = content[:at] + numbers(len(content) - at + 1) + content[at + 4 :]
    assert measure_bytes(larger).duration_s == measure_bytes(content).duration_s


@pytest.mark.parametrize(
    "lie, reason",
    [
        (box(b"traf", box(b"tfhd", numbers(0x18, 1, 1024, 0)) + box(b"trun", numbers(0, 0xFFFF_FFFF))),
         "more than 1000000 packets"),
        (box(b"trak", box(b"edts", box(b"elst", numbers(0, 17)))), "more than 16 edits"),
        (box(b"trak", box(b"mdia", box(b"stsz", numbers(0, 1, 1_000_001)))), "more than 1000000 packets"),
        (box(b"cmov", b""), "compressed index"),
        (numbers(4) + b"free", "damaged"),
    ],
)  # fmt: skip
def test_an_m4a_that_would_fill_the_memory_is_refused_before_it_is_opened(lie: bytes, reason: str) -> None:
    content = encode("aac", "ipod", mux=FRAGMENTED)
    for parent in (b"moof", b"moov"):
        with pytest.raises(NotAudioError, match=reason):
            measure_bytes(content + box(parent, lie))


@pytest.mark.parametrize(
    "sample_rate_hz, channels", [(1, 1), (999, 2), (1_000_001, 1), (2**31, 1), (44_100, 9), (44_100, 255)]
)
def test_impossible_rates_and_channels_are_refused(sample_rate_hz: int, channels: int) -> None:
    content = riff_wav(
        bytes(9 * 255 * 16), sample_rate_hz=sample_rate_hz, channels=channels, bits_per_sample=8
    )
    with pytest.raises(NotAudioError, match=r"what its samples are|does not decode"):
        measure_bytes(content)


def test_implausible_durations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = encode("flac", "flac", duration_s=30.0, volume=0)
    assert measure_bytes(silence).duration_s == 30.0
    monkeypatch.setattr(decoding, "LONGEST_S", 29)
    with pytest.raises(NotAudioError, match="over a day"):
        measure_bytes(silence)
    monkeypatch.undo()
    monkeypatch.setattr(measure, "_LOWEST_BPS", 4_000)
    with pytest.raises(NotAudioError, match=f"claims to last 30 s, too long for its {len(silence)} bytes"):
        measure_bytes(silence)
