"""Draw what a song looks like: peaks as data, a waveform as SVG and as PNG.

The JSON is that of the BBC's audiowaveform (version 2), which players such as peaks.js read.

Source: github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md (29 November 2026).
"""

from __future__ import annotations

import math
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from musicgate.assets.decoding import Deadline, Source, opened
from musicgate.assets.filters import FilterChain
from musicgate.assets.measure import MEASURE_LIMIT_S
from musicgate.errors import NotAudioError

if TYPE_CHECKING:
    from collections.abc import Mapping

USUAL_POINTS: Final = 1_000
MOST_POINTS: Final = 20_000
LARGEST_SIDE: Final = 4_096
#: Of one number of the JSON; the numbers are signed.
_BITS: Final = 16
_FULL_SCALE: Final = (1 << _BITS - 1) - 1
_LOWEST: Final = "lavfi.astats.Overall.Min_level"
_HIGHEST: Final = "lavfi.astats.Overall.Max_level"


@attrs.frozen(kw_only=True)
class Peaks:
    """The lowest and the highest sample of each stretch of a song, all channels together.

    Attributes:
        pairs: (lowest, highest) in -1..1, in the order of time.
    """

    sample_rate_hz: int
    samples_per_point: int
    pairs: tuple[tuple[float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """The document as audiowaveform writes it: numbers of 16 bits, lowest and highest by turns."""
        return {
            "version": 2,
            "channels": 1,
            "sample_rate": self.sample_rate_hz,
            "samples_per_pixel": self.samples_per_point,
            "bits": _BITS,
            "length": len(self.pairs),
            "data": [round(value * _FULL_SCALE) for pair in self.pairs for value in pair],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read a document of `to_json`."""
        levels = [value / _FULL_SCALE for value in document["data"]]
        return cls(
            sample_rate_hz=document["sample_rate"],
            samples_per_point=document["samples_per_pixel"],
            pairs=tuple(zip(levels[::2], levels[1::2], strict=True)),
        )

    def at_most(self, points: int) -> Self:
        """The same peaks in fewer points, each of which covers as many of these.

        Raises:
            ValueError: an impossible number of points.
        """
        _check_points(points)
        together = math.ceil(len(self.pairs) / points)
        if together <= 1:
            return self
        stretches = (self.pairs[at : at + together] for at in range(0, len(self.pairs), together))
        return attrs.evolve(
            self,
            samples_per_point=self.samples_per_point * together,
            pairs=tuple(
                (min(low for low, _ in pairs), max(high for _, high in pairs)) for pairs in stretches
            ),
        )


@attrs.frozen(kw_only=True)
class Colours:
    """RGB of a picture; without a background it is transparent."""

    wave: tuple[int, int, int] = (0x1F, 0x6F, 0xEB)
    background: tuple[int, int, int] | None = None


LIGHT: Final = Colours()
DARK: Final = Colours(wave=(0x79, 0xC0, 0xFF))


def find_peaks(source: Source, points: int = USUAL_POINTS, *, limit_s: float = MEASURE_LIMIT_S) -> Peaks:
    """Find the peaks of a song by decoding it, twice: once for its length.

    Args:
        source: a file, or its bytes.
        points: how many are wanted, at most `MOST_POINTS`; a song of fewer samples has fewer.
        limit_s: seconds that it may take.

    Raises:
        NotAudioError: as `measure`.
        ValueError: an impossible number of points.
        OSError: the file cannot be read.
    """
    _check_points(points)
    deadline = Deadline(limit_s)
    with opened(source, deadline) as decoding:
        samples = sum(frame.samples for frame in decoding.frames())
    samples_per_point = math.ceil(samples / points)
    pairs: list[tuple[float, float]] = []
    with opened(source, deadline) as decoding:
        chain: FilterChain | None = None
        for frame in decoding.frames():
            chain = chain or FilterChain(frame, *_filters(samples_per_point))
            pairs += [_pair(window.metadata) for window in chain.push(frame)]
        if chain is None:
            raise NotAudioError("the file has no audio in it")
        pairs += [_pair(window.metadata) for window in chain.push(None)]
        return Peaks(
            sample_rate_hz=decoding.sample_rate_hz, samples_per_point=samples_per_point, pairs=tuple(pairs)
        )


def _filters(samples_per_point: int) -> tuple[tuple[str, str], ...]:
    """Cut the song into windows, and state the levels of each; floating point, so that full scale is 1."""
    return (
        ("aformat", "sample_fmts=flt"),
        ("asetnsamples", f"n={samples_per_point}:p=0"),
        ("astats", "metadata=1:reset=1:measure_perchannel=none:measure_overall=Min_level+Max_level"),
    )


def _pair(facts: dict[str, str]) -> tuple[float, float]:
    return _level(facts.get(_LOWEST, "0")), _level(facts.get(_HIGHEST, "0"))


def _level(text: str) -> float:
    level = float(text)
    return max(-1.0, min(1.0, level)) if math.isfinite(level) else 0.0


def draw_svg(found: Peaks, width: int = 1_000, height: int = 120, *, colours: Colours = LIGHT) -> bytes:
    """Draw a waveform as one closed path, with a point of it for each peak.

    Raises:
        ValueError: an impossible size.
    """
    _check_size(width, height)
    middle, step = height / 2, width / max(1, len(found.pairs))
    upper = [
        f"{_short(at * step)} {_short(middle - high * middle)}" for at, (_, high) in enumerate(found.pairs)
    ]
    lower = [
        f"{_short(at * step)} {_short(middle - low * middle)}" for at, (low, _) in enumerate(found.pairs)
    ]
    path = f"M{'L'.join([*upper, *reversed(lower)])}Z"
    background = (
        f'<rect width="100%" height="100%" fill="{_hex(colours.background)}"/>' if colours.background else ""
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' preserveAspectRatio="none" role="img" aria-label="Waveform">{background}'
        f'<path fill="{_hex(colours.wave)}" stroke="{_hex(colours.wave)}" stroke-width="0.5" d="{path}"/></svg>\n'
    ).encode()


def draw_png(found: Peaks, width: int = 1_000, height: int = 120, *, colours: Colours = LIGHT) -> bytes:
    """Draw a waveform as a PNG, a vertical line for each column of pixels.

    Raises:
        ValueError: an impossible size.

    Source: PNG specification (ISO/IEC 15948), sections 5.3 and 11.2; a palette of two colours.
    """
    _check_size(width, height)
    # A row differs from the one above it where a line begins or has ended.
    changes = [0] * (height + 1)
    for column, (top, bottom) in zip(range(width)[::-1], _columns(found, width, height), strict=True):
        changes[top] ^= 1 << column
        changes[bottom + 1] ^= 1 << column
    bits, rows = 0, bytearray()
    for change in changes[:height]:
        bits ^= change
        rows += b"\0" + (bits << -width % 8).to_bytes((width + 7) // 8, "big")
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((1, 3, 0, 0, 0))
    palette = bytes((colours.background or (0, 0, 0)) + colours.wave)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette),
            _chunk(b"tRNS", bytes((255 if colours.background else 0, 255))),
            _chunk(b"IDAT", zlib.compress(bytes(rows), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _columns(found: Peaks, width: int, height: int) -> list[tuple[int, int]]:
    """The first and the last row of the line in each column: the extremes of the points that fall into it."""
    count = len(found.pairs)
    bounds = [at * count // width for at in range(width + 1)]
    columns = []
    for first, last in pairwise(bounds):
        inside = found.pairs[first : max(last, first + 1)] or ((0.0, 0.0),)
        low, high = min(pair[0] for pair in inside), max(pair[1] for pair in inside)
        columns.append((round((1 - high) / 2 * (height - 1)), round((1 - low) / 2 * (height - 1))))
    return columns


def _chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")


def _check_points(points: int) -> None:
    if not 0 < points <= MOST_POINTS:
        raise ValueError(f"a song has 1 to {MOST_POINTS} points, not {points}")


def _check_size(width: int, height: int) -> None:
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise ValueError(f"a picture has sides of 1 to {LARGEST_SIDE} pixels, not {width} x {height}")


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _hex(colour: tuple[int, int, int]) -> str:
    return f"#{bytes(colour).hex()}"
