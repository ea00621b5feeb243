"""Measure how long an audio file plays, by its content. It decodes nothing.

Usage is billed by the result, and the bytes come from vendors. So a header is not believed where the body can
be counted (`containers`), the work is bounded by the size of the file, and the result must be plausible: at
most a day, and no more seconds than so many bytes can hold.
"""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import Final

from musicgate.assets.audio import (
    LONGEST_S,
    SNIFF_BYTES,
    AudioFacts,
    AudioKind,
    id3v2_size,
    sniff,
)
from musicgate.assets.containers.flac import flac
from musicgate.assets.containers.mp4 import m4a
from musicgate.assets.containers.mpeg import adts, mp3
from musicgate.assets.containers.ogg import ogg
from musicgate.assets.containers.riff import wav
from musicgate.assets.containers.steps import Content, Length, Steps
from musicgate.errors import NotAudioError

#: Lowest plausible bit rate. Opus that transmits nothing has about 1,000 bit/s, an MP3 8,000, a FLAC of
#: silence 1,200.
_LOWEST_BPS: Final = 500
_HIGHEST_RATE_HZ: Final = 1_000_000


def measure(path: Path) -> AudioFacts:
    """Measure an audio file.

    Raises:
        NotAudioError: not audio, empty, cut, or of an implausible length.
        OSError: the file cannot be read.
    """
    size_bytes = path.stat().st_size
    if not size_bytes:
        raise NotAudioError("the file is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return measure_bytes(content)


def measure_bytes(content: Content) -> AudioFacts:
    """Measure audio that is in memory or mapped into it, as `measure` does.

    Raises:
        NotAudioError: not audio, empty, cut, or of an implausible length.
    """
    kind = _kind(content)
    if kind is None:
        raise NotAudioError("the bytes are no audio format that we know")
    length = _READERS[kind](content, Steps(len(content)))
    _check(kind, length, len(content))
    return AudioFacts(
        kind=kind,
        duration_s=length.duration_s,
        size_bytes=len(content),
        sample_rate_hz=length.sample_rate_hz,
        channels=length.channels,
        repairs=length.repairs,
    )


def _kind(content: Content) -> AudioKind | None:
    head = content[:SNIFF_BYTES]
    tag_bytes = id3v2_size(head)
    if not tag_bytes:
        return sniff(head)
    behind = sniff(content[tag_bytes : tag_bytes + 64])
    return behind if behind in {AudioKind.AAC, AudioKind.FLAC} else AudioKind.MP3


def _check(kind: AudioKind, length: Length, size_bytes: int) -> None:
    """Refuse implausible results.

    Raises:
        NotAudioError: no audio, more than a day of it, or more than the bytes can hold.
    """
    if not length.duration_s > 0:
        raise NotAudioError(f"the {kind} file has no audio in it")
    if length.duration_s > LONGEST_S:
        raise NotAudioError(f"the {kind} file claims to last {length.duration_s:.0f} s, which is over a day")
    if size_bytes * 8 < length.duration_s * _LOWEST_BPS:
        raise NotAudioError(
            f"the {kind} file claims to last {length.duration_s:.0f} s, too long for its {size_bytes} bytes"
        )
    if not 0 < length.sample_rate_hz <= _HIGHEST_RATE_HZ or not 0 < length.channels <= 255:
        raise NotAudioError(f"the {kind} file does not say what its samples are")


_READERS: Final[dict[AudioKind, Callable[[Content, Steps], Length]]] = {
    AudioKind.MP3: mp3,
    AudioKind.AAC: adts,
    AudioKind.WAV: wav,
    AudioKind.OGG: ogg,
    AudioKind.OPUS: ogg,
    AudioKind.M4A: m4a,
    AudioKind.FLAC: flac,
}
