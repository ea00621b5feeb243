"""Make playable music of any length and format for emulators; no vendor is known here.

The same arguments give the same bytes, in milliseconds: encoded loops are repeated and moved into larger
frames, linear PCM is computed once per sample rate. The loops are our own synthesis; the program that made
them is `loops/make_loops.py`.
"""

from enum import StrEnum
from typing import Final

import attrs

from musicgate.assets import riff_wav
from musicgate.emulation.loops import flac, mp3, mp4, ogg, pcm
from musicgate.emulation.loops.cover import cover_png

__all__ = ["AudioFormat", "Container", "cover_png", "song"]


class Container(StrEnum):
    """`pcm` is headerless s16le, `ulaw` and `alaw` are headerless G.711.

    `opus` is in Ogg; `bare_opus` is its packets without a container, which nothing plays.
    `m4a` holds MP3 frames, because an AAC encoder would be needed for AAC; `flac` is not compressed.
    """

    MP3 = "mp3"
    WAV = "wav"
    PCM = "pcm"
    OPUS = "opus"
    BARE_OPUS = "bare_opus"
    ULAW = "ulaw"
    ALAW = "alaw"
    M4A = "m4a"
    FLAC = "flac"


_BITRATES_BPS: Final = {
    Container.MP3: 128_000,
    Container.M4A: 128_000,
    Container.OPUS: 96_000,
    Container.BARE_OPUS: 96_000,
}


@attrs.frozen(kw_only=True)
class AudioFormat:
    """Container, sample rate, bit rate and channels of a song.

    `bitrate_bps` counts for mp3, m4a and opus; None means 128,000, for opus 96,000. An mp3 bit rate that the
    sample rate does not have becomes the nearest that it has (16 kHz ends at 160,000), as in LAME.
    """

    container: Container = attrs.field(default=Container.MP3, converter=Container)
    sample_rate_hz: int = 44_100
    bitrate_bps: int | None = None
    channels: int = 2


def song(audio_format: AudioFormat, duration_s: float, seed: int = 0) -> bytes:
    """Make music of `duration_s` seconds, for mp3 to the nearest frame; `seed` varies its beginning.

    Raises:
        ValueError: no music can be made in this format, or the duration is not positive.
    """
    if not duration_s > 0:
        raise ValueError(f"a song of {duration_s} s cannot be made")
    rate_hz, channels = audio_format.sample_rate_hz, audio_format.channels
    bitrate_bps = audio_format.bitrate_bps or _BITRATES_BPS.get(audio_format.container, 0)
    match audio_format.container:
        case Container.MP3 | Container.M4A as container:
            frames = mp3.song(sample_rate_hz=rate_hz, bitrate_bps=bitrate_bps, channels=channels,
                              duration_s=duration_s, seed=seed)  # fmt: skip
            return frames if container is Container.MP3 else mp4.m4a(frames)
        case Container.OPUS | Container.BARE_OPUS as container if rate_hz == ogg.RATE_HZ:
            pages = ogg.song(bitrate_bps=bitrate_bps, channels=channels, duration_s=duration_s, seed=seed)
            return pages if container is Container.OPUS else ogg.without_container(pages)
        case Container.OPUS | Container.BARE_OPUS:
            raise ValueError(f"Opus is always {ogg.RATE_HZ} Hz, not {rate_hz}")
        case Container.ULAW | Container.ALAW as law:
            return pcm.telephone(
                law=law, sample_rate_hz=rate_hz, channels=channels, duration_s=duration_s, seed=seed
            )
    samples = pcm.song(sample_rate_hz=rate_hz, channels=channels, duration_s=duration_s, seed=seed)
    if audio_format.container is Container.PCM:
        return samples
    if audio_format.container is Container.FLAC:
        return flac.flac(samples, sample_rate_hz=rate_hz, channels=channels)
    return riff_wav(samples, sample_rate_hz=rate_hz, channels=channels)
