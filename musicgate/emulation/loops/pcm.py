"""Synthesise four bars of music as linear PCM or G.711 from tables of whole-number frequencies.

A note whose frequency is a whole number repeats after one second at any sample rate, so one second of it is a
table look-up per sample, and a chord is a sum of such tables. A loop is made once per rate and then repeated.
"""

import functools
import hashlib
import math
from array import array
from itertools import chain, cycle, islice
from operator import add, mul, sub
from typing import Final

from musicgate.emulation.loops.mp3 import rotation

RATES_HZ: Final = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_BARS: Final = 4
_BEATS: Final = 4  # in a bar, at 120 beats a minute: half a second each
_STEPS: Final = 50 * 2 * _BARS  # places of 20 ms where a seed may begin
#: Dm9 G13 Cmaj9 A7: chord, bass and melody of each bar, in Hz rounded to whole numbers (at most 11 cents
#: off).
_CHORDS: Final = ((220, 262, 330, 349), (175, 247, 330, 440), (165, 247, 294, 392), (165, 233, 277, 370))
_BASS: Final = ((73, 87, 110, 104), (98, 123, 147, 139), (131, 98, 82, 117), (110, 139, 165, 78))
_MELODY: Final = ((659, 0, 698, 587), (494, 523, 0, 440), (392, 494, 587, 0), (554, 523, 466, 440))
_LOUDNESS: Final = 16_000.0


def song(*, sample_rate_hz: int, channels: int, duration_s: float, seed: int) -> bytes:
    """Make headerless s16le PCM of exactly `round(duration_s * sample_rate_hz)` sample frames.

    Raises:
        ValueError: a sample rate or number of channels that no vendor offers.
    """
    return _cut(_linear(sample_rate_hz, channels), 2 * channels, sample_rate_hz, duration_s, seed)


def telephone(*, law: str, sample_rate_hz: int, channels: int, duration_s: float, seed: int) -> bytes:
    """Make the same music as headerless G.711, one byte a sample; `law` is "ulaw" or "alaw"."""
    return _cut(_companded(law, sample_rate_hz, channels), channels, sample_rate_hz, duration_s, seed)


def _cut(loop: bytes, block: int, sample_rate_hz: int, duration_s: float, seed: int) -> bytes:
    start = rotation(seed, _STEPS, _BARS) * (sample_rate_hz // 50) * block
    size = max(1, round(duration_s * sample_rate_hz)) * block
    return (loop[start:] + loop * (size // len(loop) + 1))[:size]


@functools.lru_cache(maxsize=4)
def _linear(sample_rate_hz: int, channels: int) -> bytes:
    if sample_rate_hz not in RATES_HZ or channels not in {1, 2}:
        raise ValueError(f"no PCM music for {sample_rate_hz} Hz and {channels} channel(s)")
    middle, side = _loop(sample_rate_hz)
    if channels == 1:
        samples = array("h", map(int, middle))
    else:
        samples = array("h", bytes(4 * len(middle)))
        samples[0::2] = array("h", map(int, map(add, middle, side)))
        samples[1::2] = array("h", map(int, map(sub, middle, side)))
    if array("H", b"\x01\x00")[0] != 1:
        samples.byteswap()
    return samples.tobytes()


def _loop(sample_rate_hz: int) -> tuple[list[float], list[float]]:
    """Return the four bars as middle and side (chords a little to the left, melody to the right)."""
    wave = _warm_wave(sample_rate_hz)
    beat_samples = sample_rate_hz // 2
    fading = _fading(beat_samples, 5.0)
    bass = [*chain.from_iterable(_plucks(_BASS[bar], wave, fading, 0.9) for bar in range(_BARS))]
    melody = [*chain.from_iterable(_plucks(_MELODY[bar], wave, fading, 0.5) for bar in range(_BARS))]
    strokes = _strokes(beat_samples)
    chords = [*chain.from_iterable(_comping(chord, wave, strokes) for chord in _CHORDS)]
    brushes = islice(cycle(_brushes(beat_samples)), len(bass))
    middle = list(map(add, map(add, bass, melody), map(add, chords, brushes)))
    side = [0.35 * (chord - note) for chord, note in zip(chords, melody, strict=True)]
    return middle, side


def _warm_wave(sample_rate_hz: int) -> list[float]:
    """Return one second of 1 Hz: a sine with a little of its second and third partial."""
    step = 2 * math.pi / sample_rate_hz
    return [
        _LOUDNESS * (math.sin(step * i) + 0.25 * math.sin(2 * step * i) + 0.08 * math.sin(3 * step * i))
        for i in range(sample_rate_hz)
    ]


def _fading(samples: int, per_beat: float) -> list[float]:
    """Return the envelope of a pluck: it rises for 1/100 of the time, decays, and ends in silence."""
    return [
        min(1.0, i / samples * 100)
        * math.exp(-per_beat * i / samples)
        * min(1.0, (samples - i) / samples * 20)
        for i in range(samples)
    ]


def _tone(frequency_hz: int, wave: list[float], samples: int) -> list[float]:
    """Return a tone: every n-th sample of the 1 Hz wave, one slice per cycle, which is fast."""
    out: list[float] = []
    start = 0
    while len(out) < samples:
        cycle_samples = wave[start::frequency_hz]
        out += cycle_samples
        start += len(cycle_samples) * frequency_hz - len(wave)
    return out[:samples]


def _plucks(
    notes_hz: tuple[int, ...], wave: list[float], fading: list[float], loudness: float
) -> list[float]:
    """Return one note a beat; 0 is a rest."""
    scaled = [loudness * level for level in fading]
    out: list[float] = []
    for note_hz in notes_hz:
        out.extend(map(mul, _tone(note_hz, wave, len(scaled)), scaled) if note_hz else [0.0] * len(scaled))
    return out


def _strokes(beat_samples: int) -> list[float]:
    """Return a chord's envelope over a bar: struck on beat 1 and on the swung off-beat of beat 2."""
    first = beat_samples * 5 // 3
    strokes = _fading(first, 3.0) + _fading(_BEATS * beat_samples - first, 4.0)
    return [0.16 * level for level in strokes]


def _comping(chord_hz: tuple[int, ...], wave: list[float], strokes: list[float]) -> list[float]:
    """Return a bar of one chord; its two seconds have the same tones."""
    one, two, three, four = (_tone(hz, wave, len(wave)) for hz in chord_hz)
    second = list(map(add, map(add, one, two), map(add, three, four)))
    return list(map(mul, second + second, strokes))


def _brushes(beat_samples: int) -> list[float]:
    """Return two beats: silence, then a stroke of a brush."""
    # Noise from a hash is the same on every machine.
    noise = array("b", hashlib.shake_256(b"brush").digest(beat_samples))
    level = _LOUDNESS / 128 * 0.22
    stroke = [level * n * fade for n, fade in zip(noise, _fading(beat_samples, 14.0), strict=True)]
    return [0.0] * beat_samples + stroke


@functools.lru_cache(maxsize=4)
def _companded(law: str, sample_rate_hz: int, channels: int) -> bytes:
    samples = array("h", _linear(sample_rate_hz, channels))
    if array("H", b"\x01\x00")[0] != 1:
        samples.byteswap()
    return bytes(map({"ulaw": ulaw, "alaw": alaw}[law], samples))


def ulaw(sample: int) -> int:
    """Encode G.711 mu-law.

    Sign, 3-bit exponent and 4-bit mantissa of the magnitude plus a bias of 132, all bits inverted.
    """
    magnitude = min(abs(sample), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def alaw(sample: int) -> int:
    """Encode G.711 A-law.

    Sign (set for positive), exponent and mantissa of the 13-bit magnitude, even bits inverted.
    """
    magnitude = (sample if sample >= 0 else ~sample) >> 4
    exponent = max(0, magnitude.bit_length() - 4)
    mantissa = magnitude >> max(0, exponent - 1) & 0x0F
    return ((0x80 if sample >= 0 else 0) | exponent << 4 | mantissa) ^ 0x55
