"""Write tags that name a song and state that AI generated it; only where they were asked for.

`write_tags` knows which writer serves which kind of file: `id3` (mp3, aac), `riff` (wav), `vorbis_comment`
(flac, opus, ogg), `mp4` (m4a). None of them touches an audio byte or a field that is not ours.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from musicgate.assets.audio import AudioKind
from musicgate.assets.marks.c2pa import SigningKey, sign
from musicgate.assets.marks.id3 import id3_bytes, read_id3, with_texts
from musicgate.assets.marks.mp4 import ilst_pieces
from musicgate.assets.marks.origin import COMMENT_BEGINS, COMMENT_NAME, Tags
from musicgate.assets.marks.pieces import Kept, Piece, replacement, write_pieces
from musicgate.assets.marks.presence import find_manifest
from musicgate.assets.marks.riff import info_pieces
from musicgate.assets.marks.vorbis_comment import Added, flac_pieces, ogg_pieces
from musicgate.errors import MarksError


def write_tags(
    path: Path,
    kind: AudioKind,
    tags: Tags,
    *,
    signing: SigningKey | None = None,
    parent: Path | None = None,
) -> None:
    """Write tags into a file: the new file takes the place of the old one, whole or not at all.

    A file with a C2PA manifest is not tagged unless it is signed again, since the change would make the
    manifest invalid. The new manifest names the old file, with its manifest, as the one it was made of.

    Args:
        signing: sign the tagged file, whether or not it had a manifest.
        parent: for a signed file, the original that this one was converted from.

    Raises:
        MarksError: it has a manifest and ``signing`` is None, its tags are damaged or too large, or it cannot
            be signed. The file is as it was.
        OSError: the file cannot be read, or the folder not be written to.
    """
    has_manifest = find_manifest(path) is not None
    if has_manifest and signing is None:
        raise MarksError(
            "the file is signed: tags would make its C2PA manifest invalid, and it is not signed again"
        )
    with replacement(path) as tagged:
        with path.open("rb") as source, tagged.open("wb") as target:
            write_pieces(source, _pieces(source, kind, tags), target)
        if signing is not None:
            sign(tagged, tagged, kind, tags, signing, parent=path if has_manifest else parent)


def _pieces(file: BinaryIO, kind: AudioKind, tags: Tags) -> Sequence[Piece]:
    if kind in {AudioKind.MP3, AudioKind.AAC}:
        old = read_id3(file)
        new = with_texts(
            old, title=tags.title, artist=tags.artist, comment=(COMMENT_NAME, tags.comment), texts=tags.fields
        )
        return [id3_bytes(new), Kept(old.size_bytes, file.seek(0, 2))]
    if kind is AudioKind.WAV:
        texts = {b"INAM": tags.title, b"IART": tags.artist}
        given = {name: text for name, text in texts.items() if text is not None}
        return info_pieces(file, given, tags.comment, COMMENT_BEGINS)
    if kind is AudioKind.M4A:
        items = ((b"\xa9nam", tags.title), (b"\xa9ART", tags.artist), (b"\xa9cmt", tags.comment))
        return ilst_pieces(file, [(name, text) for name, text in items if text is not None], tags.fields)
    return _vorbis_pieces(file, kind, tags)


def _vorbis_pieces(file: BinaryIO, kind: AudioKind, tags: Tags) -> Sequence[Piece]:
    titles = (("TITLE", tags.title), ("ARTIST", tags.artist))
    given = [(name, text) for name, text in titles if text is not None]
    added = Added(fields=[*given, *tags.fields], comment=tags.comment, ours=COMMENT_BEGINS)
    if kind is AudioKind.FLAC:
        return flac_pieces(file, read_id3(file).size_bytes, added)
    return ogg_pieces(file, added)
