"""Measure loudness and true peak (EBU R128) while audio is decoded, with FFmpeg's filter ebur128."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.assets.filters import FilterChain

if TYPE_CHECKING:
    from av import AudioFrame

#: EBU R128 ignores what is quieter; FFmpeg also answers this if there is no block of 0.4 s.
_GATE_LUFS: Final = -70.0


@attrs.frozen(kw_only=True)
class Loudness:
    """Of a whole file; None where it is silent, and the integrated loudness also where it is too short."""

    integrated_lufs: float | None
    true_peak_dbtp: float | None


class LoudnessMeter:
    """Takes the frames of one file, which all have the format of the first one."""

    def __init__(self, first: AudioFrame) -> None:
        # ebur128 works in blocks of a tenth of a second, and would say nothing about the rest of the last.
        self._chain = FilterChain(
            first, ("apad", "pad_dur=0.1"), ("ebur128", "metadata=1:peak=true:framelog=quiet")
        )
        self._integrated_lufs = -math.inf
        self._peak = 0.0

    def add(self, frame: AudioFrame | None) -> None:
        """Measure a frame; None ends the last block."""
        for block in self._chain.push(frame):
            facts = block.metadata
            if "lavfi.r128.I" in facts:
                self._integrated_lufs = _number(facts["lavfi.r128.I"])
                self._peak = max(self._peak, _number(facts["lavfi.r128.true_peak"]))

    def result(self) -> Loudness:
        """The loudness of all frames."""
        integrated_lufs = self._integrated_lufs
        self.add(None)  # the peak of the last block counts; its loudness does not
        # FFmpeg rounds a peak to thousandths of full scale, so what is under -66 dBTP has none. Dither of 16
        # bits has -90, and no music is so quiet.
        if self._peak <= 0:
            return Loudness(integrated_lufs=None, true_peak_dbtp=None)
        return Loudness(
            integrated_lufs=round(integrated_lufs, 2) if integrated_lufs > _GATE_LUFS else None,
            true_peak_dbtp=round(20 * math.log10(self._peak), 1),
        )


def _number(text: str) -> float:
    """A finite number, or minus infinity: samples of floating point may be anything."""
    number = float(text)
    return number if math.isfinite(number) else -math.inf
