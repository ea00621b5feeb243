"""Audio that we keep: recognised and measured by its bytes, stored as files, read back in ranges.

It knows containers of audio and the file system, and must not know jobs, vendors or links. Start with `port`.
"""

from musicgate.assets.audio import (
    LONGEST_S,
    MPEG1_BITRATES_BPS,
    MPEG2_BITRATES_BPS,
    SNIFF_BYTES,
    AudioKind,
    FrameHeader,
    extension,
    mp3_header,
    riff_wav,
    sniff,
)
from musicgate.assets.measure import (
    measure_bytes,
)
from musicgate.assets.port import (
    AssetStore,
)

__all__ = [
    "LONGEST_S",
    "MPEG1_BITRATES_BPS",
    "MPEG2_BITRATES_BPS",
    "SNIFF_BYTES",
    "AssetStore",
    "AudioKind",
    "FrameHeader",
    "extension",
    "measure_bytes",
    "mp3_header",
    "riff_wav",
    "sniff",
]
