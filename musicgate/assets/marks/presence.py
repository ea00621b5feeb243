"""Whether a file carries a C2PA manifest, by the structure of its container; it judges no manifest.

It reads headers only, needs no library, and costs well under a millisecond.

Source: C2PA Technical Specification 2.2, appendix A.3 (where manifests are embedded).
"""

import contextlib
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from musicgate.assets.audio import AudioKind, id3v2_size
from musicgate.assets.decoding import kind_of
from musicgate.assets.marks.id3 import MAX_TAG_BYTES, Frame, read_id3
from musicgate.assets.marks.mp4 import top_boxes
from musicgate.assets.marks.pieces import read_at
from musicgate.assets.marks.riff import read_riff
from musicgate.errors import MarksError

#: Kinds of files that c2pa-python reads and signs (0.38.1).
SIGNABLE: Final = frozenset({AudioKind.MP3, AudioKind.WAV, AudioKind.FLAC, AudioKind.M4A})
#: Largest manifest that is handed to the library; one of a song has some kilobytes.
_MAX_MANIFEST_BYTES: Final = 8 * 1024 * 1024

#: Media types of the ID3 frame (GEOB) with the manifest; the second one is of older versions.
_GEOB_TYPES: Final = (b"application/c2pa\0", b"application/x-c2pa-manifest-store\0")
_MANIFEST_BOX: Final = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP_BOX: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
#: The property of XMP that names the address of a manifest which is kept elsewhere.
_REMOTE: Final = b"dcterms:provenance"


@attrs.frozen(kw_only=True)
class FoundManifest:
    """A manifest that the container announces.

    Attributes:
        obstacle: why it must not or cannot be read, or None.
        content: the manifest of a WAV file, which the library would read whole into memory to find it.
    """

    kind: AudioKind
    obstacle: str | None = None
    content: bytes | None = attrs.field(default=None, repr=False)


def find_manifest(path: Path) -> FoundManifest | None:
    """Look for an embedded manifest, or a reference to one that is kept elsewhere.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        kind = kind_of(file)
        if kind in {AudioKind.MP3, AudioKind.AAC, AudioKind.FLAC}:
            return _in_id3(file, kind)
        if kind is AudioKind.WAV:
            return _in_riff(file)
        if kind is AudioKind.M4A:
            return _in_mp4(file)
        return None


def _in_id3(file: BinaryIO, kind: AudioKind) -> FoundManifest | None:
    file.seek(0)
    head = file.read(10)
    if not head.startswith(b"ID3"):
        return None
    tag = head + file.read(min(id3v2_size(head), MAX_TAG_BYTES))
    if not any(name in tag for name in _GEOB_TYPES):
        return _remote(kind, tag)
    try:
        frames = read_id3(file).frames
    except MarksError as error:
        return FoundManifest(kind=kind, obstacle=str(error))
    if any(frame.is_compressed for frame in frames):
        return FoundManifest(kind=kind, obstacle="the ID3 tag has compressed frames, which are not unpacked")
    objects = [len(frame.content) for frame in frames if is_manifest_frame(frame)]
    return _found(kind, max(objects, default=0))


def is_manifest_frame(frame: Frame) -> bool:
    """True for the frame of an ID3 tag that holds a manifest."""
    return frame.name in {b"GEOB", b"GEO"} and any(name in frame.content[:64] for name in _GEOB_TYPES)


def _in_riff(file: BinaryIO) -> FoundManifest | None:
    with contextlib.suppress(MarksError):
        chunks = read_riff(file).chunks
        for chunk in chunks:
            if chunk.name == b"C2PA":
                found = _found(AudioKind.WAV, chunk.content_bytes)
                if found.obstacle is not None:
                    return found
                return attrs.evolve(found, content=read_at(file, chunk.start + 8, chunk.content_bytes))
        for chunk in chunks:
            if chunk.name in {b"_PMX", b"XMP "}:
                file.seek(chunk.start + 8)
                return _remote(AudioKind.WAV, file.read(min(chunk.content_bytes, MAX_TAG_BYTES)))
    return None


def _in_mp4(file: BinaryIO) -> FoundManifest | None:
    xmp = b""
    with contextlib.suppress(MarksError):
        for box in top_boxes(file):
            if box.user_type == _MANIFEST_BOX:
                return _found(AudioKind.M4A, box.stop - box.content)
            if box.user_type == _XMP_BOX:
                file.seek(box.content)
                xmp = file.read(min(box.stop - box.content, MAX_TAG_BYTES))
    return _remote(AudioKind.M4A, xmp)


def _found(kind: AudioKind, size_bytes: int) -> FoundManifest:
    if kind not in SIGNABLE:
        return FoundManifest(kind=kind, obstacle=f"manifests in {kind} files cannot be read")
    if size_bytes > _MAX_MANIFEST_BYTES:
        obstacle = f"the manifest has {size_bytes:,} bytes; at most {_MAX_MANIFEST_BYTES:,} are read"
        return FoundManifest(kind=kind, obstacle=obstacle)
    return FoundManifest(kind=kind)


def _remote(kind: AudioKind, xmp: bytes) -> FoundManifest | None:
    if _REMOTE not in xmp:
        return None
    return FoundManifest(kind=kind, obstacle="the manifest is kept at another address, which is not asked")
