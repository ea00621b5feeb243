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
from musicgate.assets.measure import measure_and_repair, measure_bytes
from musicgate.assets.objects import open_objects
from musicgate.assets.peaks import DARK, LARGEST_SIDE, LIGHT, MOST_POINTS, USUAL_POINTS, Colours, Peaks
from musicgate.assets.peaks import peaks as find_peaks
from musicgate.assets.peaks import png as draw_png
from musicgate.assets.peaks import svg as draw_svg
from musicgate.assets.pictures import PICTURE_SNIFF_BYTES, sniff_picture
from musicgate.assets.port import ObjectStore, StoredObject
from musicgate.assets.staging import Staging
from musicgate.assets.workers import AudioWorkers

__all__ = [
    "DARK",
    "KIND_OF_FORMAT",
    "LARGEST_SIDE",
    "LIGHT",
    "LONGEST_S",
    "MOST_POINTS",
    "MPEG1_BITRATES_BPS",
    "MPEG2_BITRATES_BPS",
    "PICTURE_SNIFF_BYTES",
    "SNIFF_BYTES",
    "USUAL_POINTS",
    "AudioFacts",
    "AudioKind",
    "AudioWorkers",
    "Colours",
    "FrameHeader",
    "ObjectStore",
    "Peaks",
    "Staging",
    "StoredObject",
    "content_type",
    "convert_file",
    "draw_png",
    "draw_svg",
    "extension",
    "find_peaks",
    "g711_wav",
    "measure_and_repair",
    "measure_bytes",
    "mp3_header",
    "open_objects",
    "riff_wav",
    "sniff",
    "sniff_picture",
]
