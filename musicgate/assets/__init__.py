"""Audio that we keep: recognised and measured by its bytes, stored as files, read back in ranges.

It knows audio containers, folders and object stores, and must not know jobs' states, vendors or our own
links. Start with `port` (what a store does), then `objects` (which stores there are: `folder`, `cloud`) and
`measure` (how long a file plays; `containers` reads each format). `files` has the audio of jobs in a folder.
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
]
