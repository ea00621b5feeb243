"""What a conversion does to a file's C2PA manifest. No I/O."""

from enum import StrEnum

from musicgate.assets.audio import AudioKind
from musicgate.assets.marks.presence import SIGNABLE


class ManifestFate(StrEnum):
    """What becomes of a manifest."""

    #: There was none.
    NONE = "none"
    #: The bytes stay as they are.
    KEPT = "kept"
    #: A new manifest of ours names the original, with its manifest, as the file it was made of.
    NAMED = "named"
    #: The new file has none. A manifest holds for the bytes that were signed and for no others.
    LOST = "lost"


def manifest_fate(
    *, has_manifest: bool, source: AudioKind, target: AudioKind, is_signed: bool = False
) -> ManifestFate:
    """Whether a manifest survives when a file is kept as ``source`` or converted to ``target``.

    Args:
        is_signed: the new file is signed by us. Ogg, Opus and AAC without a container cannot be.
    """
    if not has_manifest:
        return ManifestFate.NONE
    if source is target:
        return ManifestFate.KEPT
    return ManifestFate.NAMED if is_signed and target in SIGNABLE else ManifestFate.LOST
