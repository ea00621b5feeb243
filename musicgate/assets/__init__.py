"""Audio that we keep: recognised, measured and converted by decoding it, marked, stored as objects by name.

It knows audio and where files are, and must not know jobs, vendors or links. Start with `port` (what a store
of objects does), then `folder` and `objects` (a local folder, and clouds), `measure` (what a file is),
`convert` (to another container), `decoding` (how FFmpeg is kept within bounds) and `marks` (of AI origin).

PyAV and obstore are loaded when they are used: plugins import this room for `sniff` and `riff_wav`.
"""

from musicgate.assets.audio import (
    LONGEST_S,
    MPEG1_BITRATES_BPS,
    MPEG2_BITRATES_BPS,
    SNIFF_BYTES,
    AudioFacts,
    AudioKind,
    FrameHeader,
    content_type,
    extension,
    g711_wav,
    mp3_header,
    riff_wav,
    sniff,
)
from musicgate.assets.convert import KIND_OF_FORMAT
from musicgate.assets.convert import convert as convert_file
from musicgate.assets.custody import Checked as CheckedObject
from musicgate.assets.custody import ExpectedObject, Problem
from musicgate.assets.custody import Moved as MovedObject
from musicgate.assets.custody import move as move_objects
from musicgate.assets.custody import verify as verify_objects
from musicgate.assets.measure import measure_and_repair, measure_bytes
from musicgate.assets.objects import open_objects
from musicgate.assets.port import ObjectStore, StoredObject
from musicgate.assets.samples import wav_of_samples
from musicgate.assets.staging import Staging
from musicgate.assets.workers import AudioWorkers

__all__ = [
    "KIND_OF_FORMAT",
    "LONGEST_S",
    "MPEG1_BITRATES_BPS",
    "MPEG2_BITRATES_BPS",
    "SNIFF_BYTES",
    "AudioFacts",
    "AudioKind",
    "AudioWorkers",
    "CheckedObject",
    "ExpectedObject",
    "FrameHeader",
    "MovedObject",
    "ObjectStore",
    "Problem",
    "Staging",
    "StoredObject",
    "content_type",
    "convert_file",
    "extension",
    "g711_wav",
    "measure_and_repair",
    "measure_bytes",
    "move_objects",
    "mp3_header",
    "open_objects",
    "riff_wav",
    "sniff",
    "verify_objects",
    "wav_of_samples",
]
