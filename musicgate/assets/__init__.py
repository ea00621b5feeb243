"""Audio that we keep: recognised and measured by its bytes, stored as files, read back in ranges.

It knows audio containers and the file system, and must not know jobs' states, vendors or links. Start with
`port` (what an asset store does), then `files` (the store in a local folder) and `measure` (how long a file
plays; `containers` reads each format).
"""

from musicgate.assets.audio import (
    LONGEST_S,
    MPEG1_BITRATES_BPS,
    MPEG2_BITRATES_BPS,
    SNIFF_BYTES,
    AudioKind,
    FrameHeader,
    extension,
    g711_wav,
    mp3_header,
    riff_wav,
    sniff,
)
from musicgate.assets.flac_crc import flac_crc8, flac_crc16
from musicgate.assets.measure import measure_bytes
from musicgate.assets.port import AssetStore
from musicgate.assets.samples import wav_of_samples

__all__ = [
    "LONGEST_S",
    "MPEG1_BITRATES_BPS",
    "MPEG2_BITRATES_BPS",
    "SNIFF_BYTES",
    "AssetStore",
    "AudioKind",
    "FrameHeader",
    "extension",
    "flac_crc8",
    "flac_crc16",
    "g711_wav",
    "measure_bytes",
    "mp3_header",
    "riff_wav",
    "sniff",
    "wav_of_samples",
]
