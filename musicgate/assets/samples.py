"""Headerless samples made playable. Nothing in their bytes says how they are to be read."""

from __future__ import annotations

from typing import Final

from musicgate.assets.audio import AudioKind, g711_wav, riff_wav, sniff

#: Bytes of a sample, by encoding: little-endian PCM of 16 bits, and G.711.
_SAMPLE_BYTES: Final = {"pcm": 2, "ulaw": 1, "alaw": 1}


def wav_of_samples(
    samples: bytes,
    encoding: str,
    *,
    sample_rate_hz: int,
    channels: int | None = None,
    expected_s: float | None = None,
) -> tuple[bytes, float | None]:
    """Put a WAV header before headerless samples; return the file and its length in seconds.

    An incomplete last sample frame is cut off. A file that already has a WAV header is unchanged, and its
    length is None.

    Args:
        samples: what a vendor sent, not empty.
        encoding: ``pcm``, ``ulaw`` or ``alaw``.
        sample_rate_hz: samples per second and channel.
        channels: None = by the expected length; without one, PCM is stereo, and G.711, which is made for
            telephone lines, mono.
        expected_s: about how long the song is.

    Raises:
        ValueError: an encoding that has a container of its own.
    """
    if encoding not in _SAMPLE_BYTES:
        raise ValueError(f"{encoding} has a container of its own")
    if sniff(samples[:64]) is AudioKind.WAV:
        return samples, None
    sample_bytes = _SAMPLE_BYTES[encoding]
    if channels is None and expected_s:
        channels = 2 if len(samples) > 1.5 * expected_s * sample_rate_hz * sample_bytes else 1
    elif channels is None:
        channels = 2 if encoding == "pcm" else 1
    block = sample_bytes * channels
    whole = samples[: len(samples) // block * block]
    duration_s = len(whole) / (block * sample_rate_hz)
    if encoding == "pcm":
        return riff_wav(whole, sample_rate_hz=sample_rate_hz, channels=channels), duration_s
    return g711_wav(whole, encoding, sample_rate_hz=sample_rate_hz, channels=channels), duration_s
