"""Synthesise and encode the music loops beside it.

It needs numpy and PyAV, and is never imported at run time.
Run from the repository's root, with the development tools installed: `python -m
musicgate.emulation.loops.make_loops`. The music is our own synthesis (electric piano, plucked bass,
vibraphone and brushes, computed note by note; no sample, no foreign recording), under the licence of the
project. Every loop is encoded three times over and the middle one is kept: there the encoder's state is that
of endless repetition, so the end joins the beginning without a seam.
"""

import io
from pathlib import Path

import attrs
import av
import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]

MASTER_RATE_HZ = 48_000
BEAT_SAMPLES = 22_800  # 126 beats a minute
BEATS_IN_BAR = 4
SWING = 2 / 3  # where the off-beat eighth falls
HERE = Path(__file__).parent

#: One bar each: bass notes on the four beats, chord voicing, melody as (beat, note, beats); notes are MIDI
#: numbers. Dm9 G13 Cmaj9 Am9 | Fmaj9 Fm6 Em7 A7: a loop that leads back to its start after four bars or after
#: eight.
BARS: tuple[tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[float, int, float], ...]], ...] = (
    ((38, 45, 41, 42), (57, 60, 64, 65), ((0.0, 76, 1.5), (2 + SWING, 74, 0.9))),
    ((43, 50, 47, 49), (57, 59, 64, 65), ((0.0, 72, 0.6), (SWING, 71, 2.0))),
    ((36, 43, 40, 46), (55, 59, 62, 64), ((1.0, 67, 0.6), (1 + SWING, 71, 0.4), (2.0, 74, 1.8))),
    ((45, 40, 43, 42), (55, 59, 60, 64), ((0.0, 72, 1.4), (2.0, 69, 0.6), (2 + SWING, 67, 1.0))),
    ((41, 48, 45, 42), (57, 60, 64, 67), ((0.0, 69, 0.6), (SWING, 72, 0.4), (1.0, 76, 2.4))),
    (
        (41, 48, 44, 41),
        (56, 60, 62, 65),
        ((0.0, 77, 0.6), (SWING, 74, 0.4), (1.0, 72, 0.6), (1 + SWING, 68, 1.8)),
    ),
    ((40, 47, 43, 46), (55, 59, 62, 66), ((0.0, 67, 1.5), (2.0, 71, 0.6), (2 + SWING, 74, 1.0))),
    ((45, 49, 52, 39), (55, 58, 61, 66), ((0.0, 73, 1.0), (1 + SWING, 70, 0.4), (2.0, 69, 1.6))),
)


@attrs.frozen(kw_only=True)
class Loop:
    """One file: `frame_samples` is the codec's frame, `bar_frames` how many frames make one bar."""

    name: str
    codec: str
    bitrate_bps: int
    sample_rate_hz: int
    frame_samples: int
    bar_frames: int
    bars: int
    wide: bool  # true stereo; otherwise both sides are the same, so that the side channel is empty


LOOPS = (
    Loop(name="stereo-44100.mp3", codec="libmp3lame", bitrate_bps=128_000, sample_rate_hz=44_100, frame_samples=1152,
         bar_frames=73, bars=8, wide=True),
    Loop(name="stereo-48000.mp3", codec="libmp3lame", bitrate_bps=112_000, sample_rate_hz=48_000, frame_samples=1152,
         bar_frames=79, bars=8, wide=True),
    Loop(name="middle-44100.mp3", codec="libmp3lame", bitrate_bps=32_000, sample_rate_hz=44_100, frame_samples=1152,
         bar_frames=73, bars=4, wide=False),
    Loop(name="middle-32000.mp3", codec="libmp3lame", bitrate_bps=32_000, sample_rate_hz=32_000, frame_samples=1152,
         bar_frames=53, bars=4, wide=False),
    Loop(name="middle-24000.mp3", codec="libmp3lame", bitrate_bps=32_000, sample_rate_hz=24_000, frame_samples=576,
         bar_frames=79, bars=4, wide=False),
    Loop(name="middle-22050.mp3", codec="libmp3lame", bitrate_bps=32_000, sample_rate_hz=22_050, frame_samples=576,
         bar_frames=73, bars=4, wide=False),
    Loop(name="middle-16000.mp3", codec="libmp3lame", bitrate_bps=32_000, sample_rate_hz=16_000, frame_samples=576,
         bar_frames=53, bars=4, wide=False),
    Loop(name="stereo-48000.opus", codec="libopus", bitrate_bps=32_000, sample_rate_hz=48_000, frame_samples=960,
         bar_frames=95, bars=8, wide=True),
)  # fmt: skip


def frequency_hz(note: float) -> float:
    """The equal-tempered frequency of a MIDI note number."""
    return float(440.0 * 2.0 ** ((note - 69.0) / 12.0))


def electric_piano(note: int, beats: float, loudness: float) -> Signal:
    """Two-operator FM: a warm body and a short bright tine at the attack."""
    t = np.arange(int((beats + 0.6) * BEAT_SAMPLES)) / MASTER_RATE_HZ
    f = frequency_hz(note)
    body = np.sin(2 * np.pi * f * t + 1.5 * np.exp(-t * 3.0) * np.sin(2 * np.pi * f * t))
    tine = 0.2 * np.exp(-t * 14.0) * np.sin(2 * np.pi * f * 7.0 * t)
    return np.asarray(loudness * (body + tine) * np.exp(-t * 1.6) * gate(t, beats), dtype=np.float64)


def vibraphone(note: int, beats: float, loudness: float) -> Signal:
    """A bar struck with a soft mallet: first and fourth partial, slow tremolo."""
    t = np.arange(int((beats + 1.2) * BEAT_SAMPLES)) / MASTER_RATE_HZ
    f = frequency_hz(note)
    tone = np.sin(2 * np.pi * f * t) + 0.22 * np.exp(-t * 6.0) * np.sin(2 * np.pi * 4.0 * f * t)
    tremolo = 1.0 + 0.18 * np.sin(2 * np.pi * 4.6 * t)
    return np.asarray(loudness * tone * tremolo * np.exp(-t * 2.2) * gate(t, beats + 0.6), dtype=np.float64)


def plucked_bass(note: int, beats: float, loudness: float) -> Signal:
    """A string as eight decaying partials, the high ones dying first."""
    t = np.arange(int((beats + 0.1) * BEAT_SAMPLES)) / MASTER_RATE_HZ
    tone = np.zeros_like(t)
    for partial in range(1, 9):
        decay = np.exp(-t * (1.8 + 1.4 * partial))
        tone += decay * np.sin(2 * np.pi * partial * frequency_hz(note) * t) / partial**1.3
    return np.asarray(loudness * tone * gate(t, beats), dtype=np.float64)


def gate(t: Signal, beats: float) -> Signal:
    """Attack of 4 ms, and a soft release after `beats` beats."""
    end = beats * BEAT_SAMPLES / MASTER_RATE_HZ
    return np.asarray(
        np.clip(t / 0.004, 0.0, 1.0) * np.clip((end + 0.09 - t) / 0.09, 0.0, 1.0), dtype=np.float64
    )


def brush(noise: Signal, low_hz: float, high_hz: float, decay_per_s: float) -> Signal:
    """Band-limited noise with an exponential end: ride cymbal, brushed snare."""
    spectrum = np.fft.rfft(noise)
    at_hz = np.fft.rfftfreq(len(noise), 1 / MASTER_RATE_HZ)
    band = np.exp(-((at_hz / high_hz) ** 4)) * (1 - np.exp(-((at_hz / low_hz) ** 4)))
    t = np.arange(len(noise)) / MASTER_RATE_HZ
    shaped = np.fft.irfft(spectrum * band, len(noise))
    return np.asarray(shaped * np.exp(-t * decay_per_s) * np.clip(t / 0.003, 0.0, 1.0), dtype=np.float64)


def kick() -> Signal:
    """A feathered bass drum: a sine that falls from 90 to 48 Hz."""
    t = np.arange(int(0.3 * MASTER_RATE_HZ)) / MASTER_RATE_HZ
    phase = 2 * np.pi * (48.0 * t + 42.0 / 22.0 * (1 - np.exp(-t * 22.0)))
    return np.asarray(
        0.24 * np.sin(phase) * np.exp(-t * 11.0) * np.clip(t / 0.003, 0.0, 1.0), dtype=np.float64
    )


def place(mix: Signal, at_beat: float, sound: Signal, pan: float) -> None:
    """Add a sound to the stereo mix, which is a ring; `pan` is -1 (left) to 1 (right)."""
    length = mix.shape[1]
    index = (round(at_beat * BEAT_SAMPLES) + np.arange(len(sound))) % length
    for side, gain in enumerate((np.sqrt((1 - pan) / 2), np.sqrt((1 + pan) / 2))):
        np.add.at(mix[side], index, gain * sound)


def drums(mix: Signal, first_beat: float, random: np.random.Generator) -> None:
    """Add a bar of swing: ride on 1, 2, 2and, 3, 4, 4and; brushed snare on 2, 4; soft kick on 1, 3."""
    for beat, loudness in ((0, 0.8), (1, 1.0), (1 + SWING, 0.6), (2, 0.8), (3, 1.0), (3 + SWING, 0.6)):
        ride = brush(random.standard_normal(16_000), 5_500.0, 13_000.0, 13.0)
        place(mix, first_beat + beat, 0.10 * loudness * ride, 0.35)
    for beat in (1, 3):
        snare = brush(random.standard_normal(16_000), 900.0, 5_000.0, 20.0)
        place(mix, first_beat + beat, 0.20 * snare, -0.2)
    for beat in (0, 2):
        place(mix, first_beat + beat, kick(), 0.0)


def render(bars: int) -> Signal:
    """The whole loop, stereo at the master rate, with a small room around it."""
    random = np.random.default_rng(20_261_120)
    mix = np.zeros((2, bars * BEATS_IN_BAR * BEAT_SAMPLES))
    for number in range(bars):
        bass, chord, melody = BARS[number]
        first_beat = number * BEATS_IN_BAR
        for quarter, note in enumerate(bass):
            place(mix, first_beat + quarter, plucked_bass(note, 0.92, 0.21), 0.0)
        for beat, beats in ((0.0, 1.3), (1 + SWING, 1.6)):
            for voice, note in enumerate(chord):
                rolled = first_beat + beat + 0.006 * voice
                place(mix, rolled, electric_piano(note, beats, 0.105), -0.75 + 0.25 * voice)
        for beat, note, beats in melody:
            place(mix, first_beat + beat, vibraphone(note, beats, 0.21), 0.4)
        drums(mix, first_beat, random)
    return room(mix, random)


def room(mix: Signal, random: np.random.Generator) -> Signal:
    """Add reverberation by circular convolution, and bring the peak to -2 dB."""
    length = mix.shape[1]
    t = np.arange(length) / MASTER_RATE_HZ
    wet = np.empty_like(mix)
    for side in range(2):
        tail = random.standard_normal(length) * np.exp(-t * 6.5) * (t > 0.012)
        spectrum = np.fft.rfft(tail) / np.sqrt(np.sum(tail**2))
        softness = np.exp(-((np.fft.rfftfreq(length, 1 / MASTER_RATE_HZ) / 4_500.0) ** 2))
        wet[side] = np.fft.irfft(np.fft.rfft(mix[side]) * spectrum * softness, length)
    out = np.tanh(1.2 * (mix + 0.30 * wet))
    return np.asarray(out * (10 ** (-2 / 20) / np.max(np.abs(out))), dtype=np.float64)


def fit(mix: Signal, samples: int) -> Signal:
    """Resample the endless loop to `samples` samples, by its spectrum (so without a seam)."""
    spectrum = np.fft.rfft(mix, axis=1)
    kept = np.zeros((2, samples // 2 + 1), dtype=np.complex128)
    width = min(kept.shape[1], spectrum.shape[1])
    kept[:, :width] = spectrum[:, :width]
    return np.asarray(np.fft.irfft(kept, samples, axis=1) * (samples / mix.shape[1]), dtype=np.float64)


def encode(loop: Loop) -> list[bytes]:
    """Three rounds of the loop as packets of one frame each."""
    mix = fit(render(loop.bars), loop.bars * loop.bar_frames * loop.frame_samples)
    if not loop.wide:
        mix = np.repeat(mix.mean(axis=0, keepdims=True), 2, axis=0)
    rounds = np.tile(np.clip(mix * 32_767, -32_768, 32_767).astype(np.int16), (1, 3))
    mp3 = loop.codec == "libmp3lame"
    # reservoir=0 makes every MP3 frame complete in itself: it may be cut, repeated and moved into a larger
    # frame.
    options = {"reservoir": "0", "compression_level": "0"} if mp3 else {"vbr": "off", "frame_duration": "20"}
    with av.open(io.BytesIO(), "w", format="mp3" if mp3 else "ogg") as container:
        stream = container.add_stream(loop.codec, rate=loop.sample_rate_hz, layout="stereo", options=options)
        if not isinstance(stream, av.AudioStream):
            raise TypeError(f"{loop.codec} is no audio encoder")
        stream.bit_rate = loop.bitrate_bps
        pcm = rounds if mp3 else rounds.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16p" if mp3 else "s16", layout="stereo")
        frame.sample_rate = loop.sample_rate_hz
        return [bytes(packet) for half in (frame, None) for packet in stream.encode(half)]


def middle_round(loop: Loop) -> list[bytes]:
    """The packets of the second round."""
    packets = [packet for packet in encode(loop) if packet]
    frames = loop.bars * loop.bar_frames
    return packets[frames : 2 * frames]


def main() -> None:
    """Write every loop: MP3 as plain frames, Opus as packets behind 2-byte lengths."""
    for loop in LOOPS:
        packets = middle_round(loop)
        if loop.codec == "libopus":
            packets = [len(packet).to_bytes(2, "big") + packet for packet in packets]
        (HERE / loop.name).write_bytes(b"".join(packets))
        print(f"{loop.name}: {len(packets)} frames, {sum(map(len, packets))} bytes")  # noqa: T201 - a program


if __name__ == "__main__":
    main()
