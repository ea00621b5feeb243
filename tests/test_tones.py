"""Songs in every format that an emulator needs decode, have the requested length, and are audible."""

import io
import math
import time
import zlib
from array import array
from collections.abc import Iterator
from importlib.resources import files
from operator import mul

import attrs
import av
import pytest

from musicgate.assets import measure_bytes
from musicgate.assets.audio import AudioKind, mp3_header, sniff
from musicgate.emulation.loops import mp3, ogg, pcm
from musicgate.emulation.tones import (
    AudioFormat,
    Container,
    cover_png,
    song,
)

#: Lowest and highest kbit/s at which a vendor sends each sample rate, and one between where two loops are
#: shipped.
MP3_KBPS = {
    16_000: (32, 256), 22_050: (32,), 24_000: (32, 256), 32_000: (32, 256), 44_100: (32, 128, 256), 48_000: (128, 320),
}  # fmt: skip
PCM_RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
#: The formats under which PyAV reads headerless audio.
HEADERLESS = {Container.PCM: "s16le", Container.ULAW: "mulaw", Container.ALAW: "alaw"}


@attrs.frozen(kw_only=True)
class Decoded:
    """A decoded file as interleaved 16-bit samples."""

    codec: str
    rate_hz: int
    channels: int
    samples: "array[int]"

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.channels / self.rate_hz

    @property
    def loudness(self) -> float:
        return math.sqrt(sum(map(mul, self.samples, self.samples)) / len(self.samples)) / 32_768

    @property
    def peak(self) -> float:
        return max(map(abs, self.samples)) / 32_768


def decode(content: bytes, wanted: AudioFormat) -> Decoded:
    options = {}
    if wanted.container in HEADERLESS:
        layout = "mono" if wanted.channels == 1 else "stereo"
        options = {"sample_rate": str(wanted.sample_rate_hz), "ch_layout": layout}
    with av.open(
        io.BytesIO(content), "r", format=HEADERLESS.get(wanted.container), options=options
    ) as container:
        stream = container.streams.audio[0]
        stream.codec_context.options = {"err_detect": "explode"}
        resampler = av.AudioResampler("s16", stream.layout, stream.rate)
        samples = array("h")
        for frame in [*container.decode(stream), None]:
            for out in resampler.resample(frame):
                samples.frombytes(bytes(out.planes[0])[: out.samples * stream.channels * 2])
        return Decoded(
            codec=stream.codec_context.name, rate_hz=stream.rate, channels=stream.channels, samples=samples
        )


def walk(content: bytes) -> Iterator[tuple[int, int]]:
    """Offset and bit rate of every MP3 frame; each must begin where the last one ends."""
    at = 0
    while at < len(content):
        frame = mp3_header(content[at : at + 4])
        assert frame is not None
        yield at, frame.bitrate_bps
        at += frame.size_bytes
    assert at == len(content)


@pytest.mark.parametrize(
    ("rate_hz", "kbps", "channels"),
    [
        (rate_hz, kbps, channels)
        for rate_hz, several in MP3_KBPS.items()
        for kbps in several
        for channels in (1, 2)
        if channels == 2 or rate_hz < 48_000  # no vendor has mono at 48 kHz
    ],
)
def test_mp3_at_every_vendor_rate_has_the_requested_length(rate_hz: int, kbps: int, channels: int) -> None:
    wanted = AudioFormat(sample_rate_hz=rate_hz, bitrate_bps=1000 * kbps, channels=channels)
    content = song(wanted, 2.0)
    decoded = decode(content, wanted)
    assert decoded.codec in {"mp3", "mp3float"}
    assert (decoded.rate_hz, decoded.channels) == (rate_hz, channels)
    assert decoded.duration_s == pytest.approx(2.0, abs=1152 / rate_hz)
    assert 0.08 < decoded.loudness < 0.3
    assert 0.4 < decoded.peak < 0.99
    bitrate_bps = mp3.nearest_bitrate_bps(rate_hz, 1000 * kbps)
    assert {bitrate for _, bitrate in walk(content)} == {bitrate_bps}
    assert len(content) * 8 / 2.0 == pytest.approx(bitrate_bps, rel=0.03)


def test_a_bit_rate_that_the_sample_rate_lacks_becomes_the_nearest() -> None:
    assert mp3.nearest_bitrate_bps(16_000, 256_000) == 160_000
    assert mp3.nearest_bitrate_bps(48_000, 240_000) == 224_000
    assert mp3.nearest_bitrate_bps(44_100, 128_000) == 128_000


def test_a_long_song_costs_milliseconds_and_keeps_its_bit_rate() -> None:
    wanted = AudioFormat(bitrate_bps=128_000)
    song(wanted, 1.0)
    start = time.perf_counter()
    content = song(wanted, 180.0)
    assert time.perf_counter() - start < 0.1  # 2 ms on the machine it was written on
    assert len(content) == pytest.approx(180 * 16_000, rel=0.001)


@pytest.mark.parametrize(
    ("container", "rate_hz"), [("wav", 44_100), *(("pcm", rate_hz) for rate_hz in PCM_RATES)]
)
def test_linear_pcm_is_exact_to_the_sample(container: str, rate_hz: int) -> None:
    wanted = AudioFormat(container=Container(container), sample_rate_hz=rate_hz)
    content = song(wanted, 1.5)
    assert len(content) - (44 if container == "wav" else 0) == rate_hz * 3 // 2 * 4
    decoded = decode(content, wanted)
    assert (decoded.rate_hz, decoded.channels, decoded.duration_s) == (rate_hz, 2, 1.5)
    assert 0.08 < decoded.loudness < 0.3
    assert 0.4 < decoded.peak < 0.99


def test_the_two_sides_of_a_stereo_song_differ() -> None:
    for container in ("mp3", "wav", "opus"):
        wanted = AudioFormat(container=Container(container), sample_rate_hz=48_000, bitrate_bps=128_000)
        samples = decode(song(wanted, 1.0), wanted).samples
        assert samples[0::2] != samples[1::2], container


def test_mono_is_the_middle_of_stereo() -> None:
    stereo = array("h", song(AudioFormat(container=Container.PCM, sample_rate_hz=8_000), 1.0))
    mono = array("h", song(AudioFormat(container=Container.PCM, sample_rate_hz=8_000, channels=1), 1.0))
    assert all(
        abs(left + right - 2 * middle) <= 3
        for left, right, middle in zip(stereo[0::2], stereo[1::2], mono, strict=True)
    )


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_telephone_formats_carry_the_same_music(law: str) -> None:
    wanted = AudioFormat(container=Container(law), sample_rate_hz=8_000, channels=1)
    content = song(wanted, 2.5)
    assert len(content) == 20_000
    linear = array("h", song(attrs.evolve(wanted, container=Container.PCM), 2.5))
    decoded = decode(content, wanted)
    assert decoded.duration_s == 2.5
    assert all(abs(a - b) <= abs(b) / 16 + 16 for a, b in zip(decoded.samples, linear, strict=True))


@pytest.mark.parametrize(
    ("sample", "ulaw", "alaw"),
    # ITU-T G.711 tables 1 and 2, by way of the reference code g711.c
    [
        (0, 0xFF, 0xD5),
        (-1, 0x7F, 0x55),
        (32_767, 0x80, 0xAA),
        (-32_768, 0x00, 0x2A),
        (1000, 0xCE, 0xFA),
        (-1000, 0x4E, 0x7A),
    ],
)
def test_g711_codes(sample: int, ulaw: int, alaw: int) -> None:
    assert (pcm.ulaw(sample), pcm.alaw(sample)) == (ulaw, alaw)


@pytest.mark.parametrize(("rate_hz", "channels"), [(16_000, 1), (44_100, 2), (48_000, 2)])
@pytest.mark.parametrize(
    ("container", "codec"), [(Container.M4A, "mp3float"), (Container.FLAC, "flac")], ids=["m4a", "flac"]
)
def test_m4a_and_flac_decode_and_are_measured_as_what_they_are(
    container: Container, codec: str, rate_hz: int, channels: int
) -> None:
    wanted = AudioFormat(container=container, sample_rate_hz=rate_hz, channels=channels)
    content = song(wanted, 2.5, seed=3)
    decoded, facts = decode(content, wanted), measure_bytes(content)
    assert (decoded.codec, decoded.rate_hz, decoded.channels) == (codec, rate_hz, channels)
    assert decoded.duration_s == pytest.approx(2.5, abs=0.04)
    assert 0.02 < decoded.loudness < 0.4
    assert (facts.kind, facts.sample_rate_hz, facts.channels) == (AudioKind(container), rate_hz, channels)
    assert facts.duration_s == pytest.approx(decoded.duration_s, abs=0.001)


@pytest.mark.parametrize(("kbps", "channels"), [(32, 2), (96, 1), (192, 2)])
def test_opus_is_exact_to_the_sample_and_has_its_bit_rate(kbps: int, channels: int) -> None:
    wanted = AudioFormat(
        container=Container.OPUS, sample_rate_hz=48_000, bitrate_bps=1000 * kbps, channels=channels
    )
    content = song(wanted, 2.345)
    decoded = decode(content, wanted)
    assert sniff(content) is AudioKind.OPUS
    assert "opus" in decoded.codec
    assert (decoded.rate_hz, decoded.channels, decoded.duration_s) == (48_000, channels, 2.345)
    assert 0.08 < decoded.loudness < 0.3
    assert 0.4 < decoded.peak < 0.99
    assert len(content) * 8 / 2.425 == pytest.approx(1000 * kbps, rel=0.04)  # with 80 ms to settle


def test_ogg_checksum_of_a_known_page() -> None:
    slow = 0
    page = bytes(range(200)) + b"OggS"
    for byte in page:
        slow ^= byte << 24
        for _ in range(8):
            slow = slow << 1 ^ (0x104C11DB7 if slow & 0x80000000 else 0)
    assert ogg.crc(page) == slow
    assert ogg.crc(b"123456789") == 0x89A1897F  # CRC-32/MPEG-2 with an initial value of zero


@pytest.mark.parametrize("size_bytes", [80, 81, 82, 83, 336, 337, 338, 592, 593, 640])
def test_padded_opus_packet_has_the_requested_size(size_bytes: int) -> None:
    packet = ogg.padded(b"\xfc" + bytes(79), size_bytes)
    assert len(packet) == (size_bytes if size_bytes >= 82 else 80)


@pytest.mark.parametrize(
    "wanted",
    [
        AudioFormat(),
        AudioFormat(container=Container.WAV),
        AudioFormat(container=Container.OPUS, sample_rate_hz=48_000),
        AudioFormat(container=Container.ULAW, sample_rate_hz=8_000, channels=1),
    ],
)
def test_songs_repeat_exactly_and_seeds_differ(wanted: AudioFormat) -> None:
    songs = [song(wanted, 3.0, seed) for seed in range(20)]
    assert songs == [song(wanted, 3.0, seed) for seed in range(20)]
    assert len(set(songs)) == 20
    assert len(set(map(len, songs))) == 1 or wanted.container is Container.MP3


def test_song_is_the_same_on_every_machine() -> None:
    assert zlib.crc32(song(AudioFormat(), 20.0)) == 2_707_721_262
    assert (
        zlib.crc32(song(AudioFormat(container=Container.OPUS, sample_rate_hz=48_000), 20.0)) == 2_445_892_260
    )


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 32_000, 44_100])
def test_middle_loops_have_an_empty_side_channel(rate_hz: int) -> None:
    for part in mp3._parts(f"middle-{rate_hz}.mp3"):
        side = mp3._granules(part.side, mp3._layout(part.header), 2)[1::2]
        assert {bits for bits, _ in side} == {0}  # mono is made by leaving it out
        assert part.header[3] & 0xF0 == 0x60  # joint stereo, middle and side


def test_mono_is_as_loud_as_stereo() -> None:
    stereo, mono = (
        decode(song(wanted, 2.0), wanted)
        for wanted in (AudioFormat(sample_rate_hz=24_000, channels=channels) for channels in (2, 1))
    )
    assert mono.loudness == pytest.approx(stereo.loudness, rel=0.001)


def test_a_frame_that_does_not_fit_is_never_cut() -> None:
    with pytest.raises(ValueError, match="does not fit into 64000 bit/s"):
        list(mp3._wrapped(mp3._parts("stereo-44100.mp3"), 44_100, 64_000))


def test_shipped_frames_use_no_bit_reservoir() -> None:
    for name in ("stereo-44100.mp3", "stereo-48000.mp3", "middle-44100.mp3", "middle-16000.mp3"):
        for part in mp3._parts(name):
            begin_bits = mp3._layout(part.header)[0]
            assert int.from_bytes(part.side[:2], "big") >> 16 - begin_bits == 0


def test_the_shipped_data_stay_small() -> None:
    data = [item for item in files(mp3.__package__).iterdir() if item.name.endswith((".mp3", ".opus"))]
    assert len(data) == 8
    assert sum(len(item.read_bytes()) for item in data) < 700_000


@pytest.mark.parametrize("bars", [4, 8])
def test_every_seed_below_the_length_of_the_loop_begins_at_another_frame(bars: int) -> None:
    frames = 73 * bars
    assert {mp3.rotation(seed, frames, bars) for seed in range(frames)} == set(range(frames))
    assert [mp3.rotation(seed, frames, bars) for seed in range(3)] == [0, 73, 146]


@pytest.mark.parametrize(
    ("wanted", "duration_s", "complaint"),
    [
        (AudioFormat(), 0.0, "0.0 s"),
        (AudioFormat(), float("nan"), "nan"),
        (AudioFormat(sample_rate_hz=11_025), 1.0, "11025 Hz"),
        (AudioFormat(sample_rate_hz=48_000, bitrate_bps=64_000), 1.0, "64000 bit/s"),
        (AudioFormat(sample_rate_hz=48_000, channels=1), 1.0, "1 channel"),
        (AudioFormat(channels=3), 1.0, "3 channel"),
        (AudioFormat(container=Container.WAV, sample_rate_hz=44_000), 1.0, "44000 Hz"),
        (AudioFormat(container=Container.PCM, channels=6), 1.0, "6 channel"),
        (AudioFormat(container=Container.OPUS), 1.0, "44100"),
        (AudioFormat(container=Container.OPUS, sample_rate_hz=48_000, bitrate_bps=8_000), 1.0, "8000 bit/s"),
    ],
)
def test_unknown_format_or_length_is_refused(wanted: AudioFormat, duration_s: float, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        song(wanted, duration_s)


def test_the_shortest_song_is_one_frame() -> None:
    assert len(list(walk(song(AudioFormat(), 0.001)))) == 2  # the note about the length, and the music
    assert decode(
        song(AudioFormat(container=Container.WAV), 0.00001), AudioFormat(container=Container.WAV)
    ).samples


def test_cover_is_a_png_of_its_title() -> None:
    with av.open(io.BytesIO(cover_png("Blue")), "r") as container:
        frame = next(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == "png"
        assert (frame.width, frame.height) == (128, 128)
    assert cover_png("Blue") == cover_png("Blue") != cover_png("Green")


@pytest.mark.parametrize("frequency_hz", [1, 7, 73, 440, 698])
def test_a_tone_is_every_nth_sample_of_the_wave(frequency_hz: int) -> None:
    wave = [float(number) for number in range(8_000)]
    expected = [float(number * frequency_hz % 8_000) for number in range(4_000)]
    assert pcm._tone(frequency_hz, wave, 4_000) == expected
