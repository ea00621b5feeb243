"""The vendor's ``output_format`` names.

Source: elevenlabs.io/docs/api-reference/music/compose, 2026-08.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import attrs

from musicgate.plugin import MusicRequest, is_blank


class Codec(StrEnum):
    """First part of an output format name."""

    MP3 = "mp3"
    PCM = "pcm"
    ULAW = "ulaw"
    ALAW = "alaw"
    OPUS = "opus"


#: Output format for each neutral format; there is none for aac.
NEUTRAL: Final = {"mp3": "mp3_44100_128", "wav": "pcm_44100", "ogg": "opus_48000_128"}

#: Every documented name; ``auto`` is mp3 in the model's own quality.
KNOWN: Final = frozenset(
    {
        *("auto", "ulaw_8000", "alaw_8000", "mp3_22050_32", "mp3_24000_48"),
        *(f"mp3_48000_{kbps}" for kbps in (128, 192, 240, 320)),
        *(f"mp3_44100_{kbps}" for kbps in (32, 64, 96, 128, 192)),
        *(f"pcm_{rate_hz}" for rate_hz in (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)),
        *(f"opus_48000_{kbps}" for kbps in (32, 64, 96, 128, 192)),
    }
)

_NAME: Final = re.compile(r"(mp3|pcm|ulaw|alaw|opus)_([1-9][0-9]{3,5})(?:_([1-9][0-9]{0,3}))?")


@attrs.frozen(kw_only=True)
class OutputFormat:
    """An output format, taken apart; ``codec`` is None for an unknown name."""

    codec: Codec | None
    sample_rate_hz: int = 0
    bitrate_bps: int | None = None

    @property
    def container(self) -> str | None:
        """What the caller gets: mp3, wav or ogg; None for an unknown codec."""
        own: dict[Codec | None, str] = {Codec.MP3: "mp3", Codec.OPUS: "ogg"}
        return "wav" if self.is_headerless else own.get(self.codec)

    @property
    def is_headerless(self) -> bool:
        """True if the vendor sends bare samples, which are not playable."""
        return self.codec in {Codec.PCM, Codec.ULAW, Codec.ALAW}


def chosen_format(request: MusicRequest) -> str | None:
    """Output format to send: the block's, else the one for ``format``, else None (the model decides)."""
    own = request.block("elevenlabs").get("output_format")
    if isinstance(own, str) and not is_blank(own):
        return own.strip()
    return NEUTRAL.get(request.format) if request.format else None


def parse(name: str | None) -> OutputFormat:
    """Take a name apart, also an unlisted one of the known form. None and ``auto`` are mp3."""
    if name in {None, "auto"}:
        return OutputFormat(codec=Codec.MP3)
    match = _NAME.fullmatch(name or "")
    if match is None:
        return OutputFormat(codec=None)
    bitrate_bps = int(match[3]) * 1000 if match[3] else None
    return OutputFormat(codec=Codec(match[1]), sample_rate_hz=int(match[2]), bitrate_bps=bitrate_bps)
