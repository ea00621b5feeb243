"""Measure audio by decoding it: how long it plays, how loud it is, and what it is made of.

Usage is billed by the result, and the bytes come from vendors. So no header is believed where the decoded
samples can be counted, the work is bounded (`decoding`), and the result must be plausible: at most a day, and
no more seconds than so many bytes can hold.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from musicgate.assets.audio import AudioFacts, AudioKind, Repair
from musicgate.assets.decoding import Deadline, Decoding, Source, opened
from musicgate.assets.loudness import Loudness, LoudnessMeter
from musicgate.errors import NotAudioError

#: A three-minute song takes about a second.
MEASURE_LIMIT_S: Final = 120.0
#: Lowest plausible bit rate. Opus that transmits nothing has about 1,000 bit/s, an MP3 8,000, a FLAC of
#: silence 1,200.
_LOWEST_BPS: Final = 500
_PIECE_BYTES: Final = 1024 * 1024


def measure(path: Path, *, limit_s: float = MEASURE_LIMIT_S) -> AudioFacts:
    """Measure an audio file. It blocks, without holding the interpreter's lock while it decodes.

    Raises:
        NotAudioError: not audio, empty, damaged, cut, of an implausible length, or not decoded in time.
        OSError: the file cannot be read.
    """
    return _measured(path, limit_s)


def measure_bytes(content: bytes, *, limit_s: float = MEASURE_LIMIT_S) -> AudioFacts:
    """Measure audio that is in memory, as `measure` does.

    Raises:
        NotAudioError: not audio, empty, damaged, cut, of an implausible length, or not decoded in time.
    """
    return _measured(content, limit_s)


def measure_and_repair(path: Path, *, limit_s: float = MEASURE_LIMIT_S) -> AudioFacts:
    """Measure an audio file, and correct its header in place; the facts are those of the corrected file.

    Raises:
        NotAudioError: as `measure`; the file is as it was.
        OSError: the file cannot be read or written.
    """
    facts = measure(path, limit_s=limit_s)
    repair(path, facts.repairs)
    return facts


def repair(path: Path, repairs: Sequence[Repair]) -> None:
    """Correct header fields in place.

    Raises:
        OSError: the file cannot be written.
    """
    if not repairs:
        return
    with path.open("r+b") as file:
        for one in repairs:
            file.seek(one.at)
            file.write(one.content)


def _measured(source: Source, limit_s: float) -> AudioFacts:
    with opened(source, Deadline(limit_s)) as decoding:
        loudness = _loudness(decoding)
        duration_s = decoding.duration_s
        _check_duration(decoding, duration_s)
        return AudioFacts(
            kind=decoding.kind,
            codec=decoding.codec,
            duration_s=duration_s,
            sample_rate_hz=decoding.sample_rate_hz,
            channels=decoding.channels,
            bit_rate_bps=round(decoding.audio_bytes * 8 / duration_s),
            size_bytes=decoding.size_bytes,
            sha256=_sha256(source, decoding.claims.repairs),
            loudness_lufs=loudness.integrated_lufs,
            true_peak_dbtp=loudness.true_peak_dbtp,
            is_silent=loudness.true_peak_dbtp is None,
            repairs=decoding.claims.repairs,
        )


def _loudness(decoding: Decoding) -> Loudness:
    """Decode everything, and listen to it."""
    meter: LoudnessMeter | None = None
    for frame in decoding.frames():
        meter = meter or LoudnessMeter(frame)
        meter.add(frame)
    if meter is None:
        raise NotAudioError(f"the {decoding.kind} file has no audio in it")
    return meter.result()


def _check_duration(decoding: Decoding, duration_s: float) -> None:
    """Refuse more seconds than the bytes can hold, and a few frames inside other data.

    Raises:
        NotAudioError: so it is.
    """
    kind, size_bytes = decoding.kind, decoding.size_bytes
    if size_bytes * 8 < duration_s * _LOWEST_BPS:
        raise NotAudioError(
            f"the {kind} file claims to last {duration_s:.0f} s, too long for its {size_bytes} bytes"
        )
    is_stream = kind in {AudioKind.MP3, AudioKind.AAC} and not decoding.claims.begin
    if is_stream and 2 * decoding.audio_bytes < size_bytes:
        raise NotAudioError("most of the file is no audio")


def _sha256(source: Source, repairs: Sequence[Repair]) -> str:
    """SHA-256 of a file as it is with its repairs."""
    digest, at = hashlib.sha256(), 0
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(_repaired(piece, at, repairs))
            at += len(piece)
    return digest.hexdigest()


def _repaired(piece: bytes, begin: int, repairs: Sequence[Repair]) -> bytes:
    """A piece of a file, which begins at an offset, with those parts of the repairs that fall into it."""
    for one in repairs:
        first, last = max(one.at, begin), min(one.at + len(one.content), begin + len(piece))
        if first < last:
            content = one.content[first - one.at : last - one.at]
            piece = piece[: first - begin] + content + piece[last - begin :]
    return piece
