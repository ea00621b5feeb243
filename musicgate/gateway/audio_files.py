"""What is done to kept files on the workers' threads: measured, converted, marked, drawn.

A failing disk is a `StorageError`. It knows no store, no job and no link.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.assets import (
    MOST_POINTS,
    PICTURE_SNIFF_BYTES,
    AudioKind,
    Peaks,
    convert_file,
    find_peaks,
    measure_and_repair,
    sniff_picture,
)
from musicgate.assets.marks import SIGNABLE, read_manifest, sign, write_tags
from musicgate.errors import StorageError
from musicgate.model import Asset, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from musicgate.assets import AudioFacts
    from musicgate.assets.marks import SigningKey, Tags

#: Shorter texts are the error pages of links.
_LONGEST_PAGE_BYTES: Final = 65_536
_PAGE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*[<{\[]")


@attrs.frozen(kw_only=True)
class Marks:
    """How finished files are marked as made by AI; nothing is, unless the operator asks for it.

    Attributes:
        tags: write tags into them.
        signing: sign them.
    """

    tags: bool = False
    signing: SigningKey | None = None

    def __bool__(self) -> bool:
        return self.tags or self.signing is not None


def write_peaks(source: Path, target: Path) -> None:
    """Write the finest peaks of audio as JSON."""
    with _on_disk():
        target.write_text(json.dumps(find_peaks(source, MOST_POINTS).to_json(), separators=(",", ":")))


def read_peaks(name: str, content: bytes) -> Peaks:
    """Read what `write_peaks` wrote; ``name`` is for the error."""
    try:
        return Peaks.from_json(json.loads(content))
    except (ValueError, TypeError, KeyError) as exc:
        raise StorageError(f"the peaks {name} are damaged") from exc


def read_picture(path: Path) -> Asset | None:
    """What a picture is kept as, under its first name; None if it is none."""
    with _on_disk(), path.open("rb") as file:
        kind = sniff_picture(file.read(PICTURE_SNIFF_BYTES))
        if kind is None:
            return None
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return Asset(
            name=f"{sha256[:2]}/{sha256}.{kind[0]}",
            kind=kind[0],
            content_type=kind[1],
            size_bytes=file.tell(),
            duration_s=0.0,
            sha256=sha256,
        )


def write(path: Path, content: bytes) -> None:
    """Write what is in memory."""
    with _on_disk():
        path.write_bytes(content)


def bytes_worth_keeping(path: Path) -> tuple[str, int] | None:
    """Hash and size of a file, unless it is empty or an error page."""
    with _on_disk(), path.open("rb") as file:
        head = file.read(_LONGEST_PAGE_BYTES)
        if not head or (len(head) < _LONGEST_PAGE_BYTES and _PAGE.match(head)):
            return None
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def measure(path: Path) -> tuple[AudioFacts, Manifest | None]:
    """Measure audio, make its header agree with its body, and read its C2PA manifest."""
    with _on_disk():
        facts, found = measure_and_repair(path), read_manifest(path)
    if found is None:
        return facts, None
    return facts, Manifest(
        validity=found.validity.value,
        reason=found.reason,
        signer=found.signer,
        issuer=found.issuer,
        claim_generator=found.claim_generator,
        states_ai=found.states_ai,
    )


def mark(path: Path, kind: AudioKind, tags: Tags, marks: Marks, original: Path) -> None:
    """Tag and sign a file in place; ``original`` is what it was made of, perhaps itself."""
    parent = None if original == path else original
    with _on_disk():
        if marks.tags:
            signing = marks.signing if kind in SIGNABLE else None
            write_tags(path, kind, tags, signing=signing, parent=parent)
        elif marks.signing is not None and kind in SIGNABLE:
            sign(path, path, kind, tags, marks.signing, parent=original)


def convert(source: Path, target: Path, kind: AudioKind) -> None:
    """Make a file of another kind from an audio file."""
    with _on_disk():
        convert_file(source, target, kind)


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(f"the folder for new audio failed: {exc.strerror or exc}") from exc
