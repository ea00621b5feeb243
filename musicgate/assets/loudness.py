"""Measure loudness and true peak (EBU R128) while audio is decoded, with FFmpeg's filter ebur128."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from av import AudioFrame

#: EBU R128 ignores what is quieter; FFmpeg also answers this if there is no block of 0.4 s.
SILENCE_DB: Final = -70.0
#: ebur128 works in blocks of a tenth of a second, and says nothing about the rest of the last one.
_BLOCKS_PER_S: Final = 10


@attrs.frozen(kw_only=True)
class Loudness:
    """Of a whole file; None where it is silent, and the integrated loudness also where it is too short."""

    integrated_lufs: float | None
    true_peak_dbtp: float | None


class LoudnessMeter:
    """Takes the frames of one file, which all have the format of the first one."""

    def __init__(self, first: AudioFrame) -> None:
        from av.filter import Graph

        self._rate_hz, self._format, self._layout = first.sample_rate, first.format, first.layout
        self._graph = Graph()
        self._graph.threads = 1
        nodes = (
            self._graph.add_abuffer(
                sample_rate=first.sample_rate,
                format=first.format,
                layout=first.layout,
                time_base=Fraction(1, first.sample_rate),
            ),
            self._graph.add("ebur128", "metadata=1:peak=true:framelog=quiet"),
            self._graph.add("abuffersink"),
        )
        self._graph.link_nodes(*nodes).configure()
        self._samples = 0
        self._integrated_lufs = -math.inf
        self._peak = 0.0

    def add(self, frame: AudioFrame) -> None:
        """Measure a frame."""
        frame.pts, frame.time_base = self._samples, Fraction(1, self._rate_hz)
        self._samples += frame.samples
        self._graph.push(frame)
        self._pull()

    def result(self) -> Loudness:
        """The loudness of all frames."""
        integrated_lufs = self._integrated_lufs
        self._fill_last_block()  # its peak counts; its loudness does not
        peak_db = 20 * math.log10(self._peak) if self._peak > 0 else -math.inf
        is_silent = not peak_db > SILENCE_DB
        has_loudness = not is_silent and integrated_lufs > SILENCE_DB
        return Loudness(
            integrated_lufs=round(integrated_lufs, 2) if has_loudness else None,
            true_peak_dbtp=None if is_silent else round(peak_db, 2),
        )

    def _fill_last_block(self) -> None:
        from av import AudioFrame

        missing = -self._samples % max(1, self._rate_hz // _BLOCKS_PER_S)
        if missing:
            silence = AudioFrame(format=self._format, layout=self._layout, samples=missing)
            silence.sample_rate = self._rate_hz
            for plane in silence.planes:
                zero = b"\x80" if self._format.bytes == 1 else b"\0"  # u8 is unsigned
                plane.update(zero * plane.buffer_size)
            self.add(silence)

    def _pull(self) -> None:
        while True:
            try:
                block = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            facts = block.metadata
            if "lavfi.r128.I" in facts:
                self._integrated_lufs = _number(facts["lavfi.r128.I"])
                self._peak = max(self._peak, _number(facts["lavfi.r128.true_peak"]))


def _number(text: str) -> float:
    """A finite number, or minus infinity: samples of floating point may be anything."""
    number = float(text)
    return number if math.isfinite(number) else -math.inf
